"""`windows.npz`: the three sets of windows in one file, with a version and a checksum inside.

The file is a NumPy archive without pickles. `format` and `version` say what it is, `meta` is JSON (names,
grid, description), and `sha256` is taken over the names, types, shapes and bytes of everything else.
"""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyloc.data.windows import ARRAYS, OPTIONAL_ARRAYS, Windows, WindowSets
from tinyloc.errors import DataError
from tinyloc.files import write_bytes

FORMAT = "tinyloc windows"
VERSION = 1
_ROLES = ("train", "validation", "test")
_TYPES = {
    "rssi": "int8",
    "rooms_at": "int16",
    "room": "int16",
    "session": "int32",
    "end_time": "float64",
    "acceleration": "float32",
    "positions_at": "float32",
}
_HINT = "Make it again with `tinyloc data`."


def save_windows(path: Path, sets: WindowSets) -> None:
    """Write `sets` to `path`, whole or not at all. The same sets give the same bytes."""
    arrays: dict[str, npt.NDArray[Any]] = {}
    meta: dict[str, Any] = {
        "name": sets.name,
        "description": sets.description,
        "licence": sets.licence,
        "citation": sets.citation,
        "simulated": sets.simulated,
        "notes": list(sets.notes),
    }
    for role in _ROLES:
        windows: Windows = getattr(sets, role)
        meta[role] = {
            "rooms": list(windows.rooms),
            "access_points": list(windows.access_points),
            "sessions": list(windows.sessions),
            "seconds_per_step": windows.seconds_per_step,
        }
        for name in ARRAYS:
            array = getattr(windows, name)
            if array is not None:
                arrays[f"{role}.{name}"] = array
    arrays["meta"] = _as_bytes(json.dumps(meta, ensure_ascii=False, sort_keys=True))
    arrays["format"] = _as_bytes(FORMAT)
    arrays["version"] = np.array(VERSION, np.int64)
    arrays["sha256"] = _as_bytes(_digest(arrays))
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **arrays)
    write_bytes(Path(path), stream.getvalue())


def load_windows_file(path: Path) -> WindowSets:
    """Read what `save_windows` wrote. Raises DataError if it is cut, altered or of another version."""
    arrays = _read(Path(path))
    if "format" not in arrays or _text(arrays["format"]) != FORMAT:
        raise DataError("this is no file of tinyloc windows", path=path, hint=_HINT)
    version = int(arrays["version"]) if "version" in arrays else 0
    if version != VERSION:
        raise DataError(f"the file has version {version}, expected {VERSION}", path=path, hint=_HINT)
    said = arrays.pop("sha256", np.zeros(0, np.uint8))
    if _text(said) != _digest(arrays):
        raise DataError("the file was altered: its checksum differs", path=path, hint=_HINT)
    try:
        meta = json.loads(_text(arrays["meta"]))
        return WindowSets(
            name=meta["name"],
            train=_windows(arrays, meta, "train"),
            validation=_windows(arrays, meta, "validation"),
            test=_windows(arrays, meta, "test"),
            description=meta["description"],
            licence=meta["licence"],
            citation=meta["citation"],
            simulated=bool(meta["simulated"]),
            notes=tuple(meta["notes"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"the file lacks {error}", path=path, hint=_HINT) from None


def _read(path: Path) -> dict[str, npt.NDArray[Any]]:
    if path.is_dir():
        raise DataError("this is a folder, expected a file", path=path)
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise DataError("no such file", path=path, hint="Make it with `tinyloc data`.") from None
    except Exception as error:  # spoilt, it fails in any parser: zip, zlib, numpy's, Python's tokens
        raise DataError(f"not a whole file of windows ({error})", path=path, hint=_HINT) from None


def _windows(arrays: dict[str, npt.NDArray[Any]], meta: dict[str, Any], role: str) -> Windows:
    found = {name: arrays.get(f"{role}.{name}") for name in ARRAYS}
    for name, array in found.items():
        if array is None and name not in OPTIONAL_ARRAYS:
            raise KeyError(f"{role}.{name}")
        if array is not None and array.dtype != _TYPES[name]:
            raise ValueError(f"{role}.{name} as {_TYPES[name]}: it is {array.dtype}")
    about = meta[role]
    return Windows(
        **found,  # type: ignore[arg-type]
        rooms=tuple(about["rooms"]),
        access_points=tuple(about["access_points"]),
        sessions=tuple(about["sessions"]),
        seconds_per_step=float(about["seconds_per_step"]),
    )


def _digest(arrays: dict[str, npt.NDArray[Any]]) -> str:
    sha = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        sha.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        sha.update(array.tobytes())
    return sha.hexdigest()


def _as_bytes(text: str) -> npt.NDArray[np.uint8]:
    return np.frombuffer(text.encode(), np.uint8)


def _text(array: npt.NDArray[Any]) -> str:
    return array.astype(np.uint8).tobytes().decode("utf-8", "replace")
