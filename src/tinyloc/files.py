"""Writing files whole or not at all.

Everything that tinyloc leaves on disk goes through here: the bytes go to a temporary file beside the
target, are flushed, and take the target's name in one step. A full disk, a kill or a Ctrl-C leaves the old
file, or none, never half a new one. What a killed process left half-written is removed by the next write to
the same target.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from tinyloc.errors import OutputError

STALE_SECONDS = 3600.0
"""A half-written file of this age is nobody's, whoever has its number by now."""


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path` atomically. Raises OutputError when the disk is full or not writable."""
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(path)
        prefix = f".{path.name}.{os.getpid()}-"
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=prefix, suffix=".part")
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        raise OutputError(
            f"{path}: could not be written ({error.strerror or error})",
            hint="Free some space or name another folder with --out; nothing half-written was left.",
        ) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def _remove_stale(path: Path) -> None:
    """Remove what dead processes left half-written of `path`; another's living write is left alone."""
    start = f".{path.name}."
    for left in path.parent.iterdir():
        if not (left.name.startswith(start) and left.name.endswith(".part")):
            continue
        number = left.name.removeprefix(start).split("-")[0]
        with contextlib.suppress(OSError):
            old = time.time() - left.stat().st_mtime > STALE_SECONDS
            if old or not (number.isdigit() and _alive(number)):
                left.unlink()


def _alive(number: str) -> bool:
    if os.name == "nt":
        return True  # to ask would be to kill there: the age alone decides
    try:
        os.kill(int(number), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True  # another user's
    return True


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, atomically."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically. NaN is refused: JSON has none."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")
