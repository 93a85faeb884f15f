"""A published zip file, opened in place: all that can be wrong with it is one line."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tinyloc.errors import DataError

FAULTS: Final = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError)
"""What opening and reading one that is cut, altered, encrypted or of a newer kind raises."""


@contextmanager
def opened_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """The zip file, while it is read. Raises DataError for its faults; a member's CRC-32 is checked."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except FAULTS as error:
        hint = "It may have been cut: fetch it again."
        raise DataError(f"not a whole zip file ({error})", path=path, hint=hint) from None
