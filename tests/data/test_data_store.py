"""`windows.npz`: what is written is read; what is cut, altered or of another version is refused."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyloc.data import WindowSets, load_windows, load_windows_file, save_windows
from tinyloc.errors import DataError, OutputError


@pytest.fixture(scope="module")
def sets() -> WindowSets:
    return load_windows("house", minutes=16, rooms=3, access_points=2, floors=1)


@pytest.fixture(scope="module")
def content(sets: WindowSets, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("store") / "windows.npz"
    save_windows(path, sets)
    return path.read_bytes()


def test_round_trip(sets: WindowSets, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "windows.npz"
    save_windows(path, sets)
    assert path.read_bytes() == content
    again = load_windows_file(path)
    assert again.digest == sets.digest
    for name in ("name", "description", "licence", "citation", "simulated", "notes"):
        assert getattr(again, name) == getattr(sets, name)
    assert again.simulated


def test_round_trip_without_acceleration(own: Path, tmp_path: Path) -> None:
    sets = load_windows(str(own))
    save_windows(tmp_path / "w.npz", sets)
    assert load_windows_file(tmp_path / "w.npz").digest == sets.digest


def refused(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        load_windows_file(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_byte_is_never_believed(
    where: float, bit: int, sets: WindowSets, content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "flipped.npz"
    spoilt = bytearray(content)
    spoilt[int(where * len(content))] ^= 1 << bit
    path.write_bytes(bytes(spoilt))
    try:
        again = load_windows_file(path)
    except DataError:
        return
    assert again.digest == sets.digest  # a byte that carries nothing, such as a date in the archive


def header(text: bytes) -> bytes:
    """An .npy file with this header and nothing after it."""
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    "member",
    [
        header(b"{'descr': '|i1', 'shape': (("),
        header(b"{'descr': '|i1', 'fortran_order': False, 'shape': (1099511627776, 1099511627776)}"),
        header(b"{'descr': '|i1', 'fortran_order': False, 'shape': (3,)}"),
        header(b"\xff" * 40),
    ],
    ids=["a header that does not end", "more than memory", "nothing behind", "no text"],
)
def test_a_spoilt_array(member: bytes, tmp_path: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("train.rssi.npy", member)
    assert "not a whole file of windows" in refused(tmp_path / "w.npz", stream.getvalue())


@pytest.mark.parametrize("where", [6, 8], ids=["encrypted", "compressed in no known way"])
def test_a_spoilt_archive(content: bytes, tmp_path: Path, where: int) -> None:
    """The two bytes that say how a member is stored, in its own entry and in the archive's directory."""
    spoilt = bytearray(content)
    first, listed = content.index(b"PK\x03\x04"), content.index(b"PK\x01\x02")
    spoilt[first + where] ^= 0x41
    spoilt[listed + where + 2] ^= 0x41
    assert "not a whole file of windows" in refused(tmp_path / "w.npz", bytes(spoilt))


@pytest.mark.parametrize("keep", [0, 3, 100, 0.5, 0.99])
def test_a_cut_file(content: bytes, tmp_path: Path, keep: float) -> None:
    size = int(keep * len(content)) if isinstance(keep, float) else keep
    assert "not a whole file of windows" in refused(tmp_path / "w.npz", content[:size])


def changed(content: bytes, **arrays: object) -> bytes:
    with np.load(io.BytesIO(content)) as archive:
        every = {name: archive[name] for name in archive.files} | arrays
    stream = io.BytesIO()
    np.savez_compressed(stream, **every)  # type: ignore[arg-type]
    return stream.getvalue()


def test_another_version_or_format(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    assert "version 2, expected 1" in refused(path, changed(content, version=np.array(2)))
    assert "no file of tinyloc windows" in refused(path, changed(content, format=np.zeros(3, np.uint8)))
    with np.load(io.BytesIO(content)) as archive:
        rssi = archive["train.rssi"].copy()
    rssi[0, 0, 0] ^= 1
    assert "its checksum differs" in refused(path, changed(content, **{"train.rssi": rssi}))


def test_pickles_are_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    np.savez(stream, format=np.array([{"a": 1}], dtype=object))
    assert "not a whole file of windows" in refused(tmp_path / "w.npz", stream.getvalue())


def test_no_file_or_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        load_windows_file(tmp_path / "none.npz")
    with pytest.raises(DataError, match="folder"):
        load_windows_file(tmp_path)


def test_a_full_disk_leaves_nothing(
    sets: WindowSets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        save_windows(tmp_path / "w.npz", sets)
    assert list(tmp_path.iterdir()) == []
