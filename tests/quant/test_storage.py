"""The integer model's file: whole, or refused in one line."""

from pathlib import Path

import pytest
from builders import any_bytes, mamba, signal
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyloc.errors import ModelFileError
from tinyloc.quant.lower import lower
from tinyloc.quant.reference import Reference, answers
from tinyloc.quant.storage import from_bytes, load, save, to_bytes

_, CHECKPOINT = mamba(hidden=2, points=3, rooms=3)
GRAPH = lower(CHECKPOINT, signal(40, 20, 3))
DATA = to_bytes(GRAPH)


@pytest.mark.parametrize("precision", ["int16", "int8"])
def test_what_is_read_is_what_was_written(tmp_path: Path, precision: str) -> None:
    graph = lower(CHECKPOINT, signal(40, 20, 3), precision)  # type: ignore[arg-type]
    save(graph, tmp_path / "model.tinyloc")
    again = load(tmp_path / "model.tinyloc")
    assert to_bytes(again) == to_bytes(graph)
    rssi = any_bytes(20, 20, 3)
    assert answers(Reference(again).run(rssi)) == answers(Reference(graph).run(rssi))


def refused(data: bytes, pattern: str | None = None) -> None:
    with pytest.raises(ModelFileError, match=pattern) as caught:
        from_bytes(data, "model.tinyloc")
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("model.tinyloc")


@given(st.integers(0, len(DATA) - 1))
@settings(max_examples=200, deadline=None)
def test_a_cut_anywhere_is_refused(length: int) -> None:
    refused(DATA[:length])


@given(st.integers(0, len(DATA) - 1), st.integers(1, 255))
@settings(max_examples=300, deadline=None)
def test_a_flipped_byte_anywhere_is_refused(position: int, flip: int) -> None:
    refused(DATA[:position] + bytes([DATA[position] ^ flip]) + DATA[position + 1 :])


def test_what_is_wrong_is_said() -> None:
    refused(b"", "not an integer model")
    refused(b"PK\3\4" + DATA, "not an integer model")
    refused(DATA[:8] + b"\x07\x00" + DATA[10:], "version 7 .* reads version 4")
    refused(DATA[:-1], "bytes where its header says")
    refused(DATA + b"\0", "bytes where its header says")
    refused(DATA[:-1] + bytes([DATA[-1] ^ 1]), "checksum")


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="No such file"):
        load(tmp_path / "none.tinyloc")
