"""The fuzzers of fuzz/, briefly: that they run, find nothing in a moment, and would find what is there."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import fuzz_loader
import fuzz_mutants
import fuzz_steps
import pytest
from fuzz_models import graphs

from tinyloc.emit import emit
from tinyloc.errors import ModelFileError
from tinyloc.quant import storage

needs_clang = pytest.mark.skipif(
    shutil.which("clang") is None, reason="libFuzzer needs clang, which is not installed"
)


def test_mutant_files_are_refused_or_are_models() -> None:
    """Anything but a TinylocError would be raised through here."""
    tally = fuzz_loader.Tally()
    for seed in range(300):
        tally.one(fuzz_loader.Seeded(seed), compile_every=10**6)
    assert tally.tried == 300
    assert 0 < tally.accepted < 150


def refused(data: bytes) -> str:
    """Why a file is refused; empty where it is not."""
    try:
        storage.from_bytes(data)
    except ModelFileError as error:
        return error.message
    return ""


def test_a_mutant_differs_and_is_signed() -> None:
    data = storage.to_bytes(graphs()["mlp"])
    about, body = fuzz_mutants.parts(data)
    assert storage.to_bytes(storage.from_bytes(fuzz_mutants.signed(about, body))) == data
    changed = [fuzz_mutants.mutant(data, fuzz_loader.Seeded(seed)) for seed in range(30)]
    assert sum(one != data for one in changed) > 20
    said = [message for message in map(refused, changed) if message]
    assert said
    assert not any("checksum" in message for message in said)  # whatever is wrong, it is not that


def test_choices_from_bytes_stay_within_their_bounds() -> None:
    told = fuzz_loader.Told(bytes(range(40)))
    assert all(3 <= told.number(3, 700) <= 700 for _ in range(100))  # also after the last byte


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("tensors", "scale", "1"),
        ("tensors", "size", 2.0),
        ("tensors", "bits", True),
        ("operators", "further", 1),
        ("operators", "name", 7),
        (None, "window_steps", 2**70),
        (None, "rooms", "abc"),
        (None, "seconds_per_step", "0.2"),
        (None, "operators", 7),
    ],
)
def test_a_field_of_another_kind_is_refused(part: str | None, key: str, value: object) -> None:
    about, body = fuzz_mutants.parts(storage.to_bytes(graphs()["mlp"]))
    (about if part is None else about[part][0])[key] = value
    with pytest.raises(ModelFileError, match="makes no sense"):
        storage.from_bytes(fuzz_mutants.signed(about, body))


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -1.0])
def test_a_step_without_a_length_is_refused(seconds: float) -> None:
    about, body = fuzz_mutants.parts(storage.to_bytes(graphs()["mlp"]))
    about["seconds_per_step"] = seconds
    with pytest.raises(ModelFileError, match="cannot last"):
        storage.from_bytes(fuzz_mutants.signed(about, body))


@pytest.mark.parametrize("shape", [[-1], [2, -3], [3, 2**63], [2**40]])
def test_an_array_of_an_impossible_shape_is_refused(shape: list[int]) -> None:
    about, body = fuzz_mutants.parts(storage.to_bytes(graphs()["mlp"]))
    about["arrays"][0]["shape"] = shape
    with pytest.raises(ModelFileError, match="array of shape"):
        storage.from_bytes(fuzz_mutants.signed(about, body))


@needs_clang
@pytest.mark.parametrize("name", ["mamba", "statnet-streams"])
def test_any_calls_of_a_model_are_clean_for_a_moment(name: str, tmp_path: Path) -> None:
    program = fuzz_steps.build(graphs()[name], tmp_path)
    done = fuzz_steps.fuzz(program, "-runs=1000", "-seed=1")
    assert done.returncode == 0, done.stderr[-2000:]
    assert fuzz_steps.executed(done) >= 1000


@needs_clang
def test_a_fault_in_the_c_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that writes behind its result once a sample holds 77 dBm."""

    def broken(graph: object, folder: Path) -> None:
        emit(graph, folder)  # type: ignore[arg-type]
        path = folder / "tinyloc_model.c"
        text = path.read_text()
        begin = text.index("{", text.index("void tinyloc_step("))
        fault = "\n    if (sample[0] == 77) { ((uint8_t *)result)[sizeof *result] = 1; }\n"
        path.write_text(text[: begin + 1] + fault + text[begin + 1 :])

    monkeypatch.setattr(fuzz_steps, "emit", broken)
    done = fuzz_steps.fuzz(fuzz_steps.build(graphs()["mlp"], tmp_path), "-runs=200000", "-seed=1")
    assert done.returncode != 0
    assert "AddressSanitizer" in done.stderr
