"""The exception tree: one root, one class per thing a user can mend.

::

    TinylocError
    ├── UsageError            a flag or a combination of flags that cannot be
    ├── DataError             a recording: file, line, column, value, what was expected
    │   ├── AbsentError       a data set that is in none of the folders
    │   └── DownloadError     a data set that could not be fetched or failed its checksum
    ├── SplitError            sessions, rooms or windows that cannot be divided as asked
    ├── TrainingError         training that diverged or cannot start
    ├── ModelFileError        a checkpoint or an integer model: cut, altered, of another version
    ├── QuantisationError     a model that cannot be lowered to integers safely
    ├── ToolchainError        no compiler or no emulator, or one that failed
    ├── BoardError            a microcontroller that is not in the table
    ├── BudgetError           a model that does not fit: by how much, and what would
    ├── DeviceError           the emulated chip faulted, or answered otherwise than Python
    ├── OutputError           a result that could not be written (disk full, no permission)
    └── StoppedError          Ctrl-C, where it is known what was kept

The command line prints `str(error)` on one line and leaves with `exit_code`; a traceback needs `--debug`.
"""

from __future__ import annotations

from pathlib import Path


class TinylocError(Exception):
    """Root of all errors that a user can mend. `hint` says how."""

    exit_code = 2

    def __init__(self, message: str, *, hint: str = "") -> None:
        self.message = message
        self.hint = hint
        super().__init__(message)

    def __str__(self) -> str:
        text = self.message if not self.hint else f"{self.message.rstrip('.')}. {self.hint}"
        return " ".join(text.split())


class UsageError(TinylocError):
    """A flag, or a combination of flags, that cannot be."""


class DataError(TinylocError):
    """A recording that cannot be read as one.

    The place is part of the message: ``walk.csv, line 17, column 'ap3': '+42' ...``.
    """

    def __init__(
        self,
        message: str,
        *,
        path: Path | str | None = None,
        line: int | None = None,
        column: str | None = None,
        value: object = None,
        hint: str = "",
    ) -> None:
        self.path = None if path is None else Path(path)
        self.line = line
        self.column = column
        self.value = value
        place = [] if path is None else [str(path)]
        if line is not None:
            place.append(f"line {line}")
        if column is not None:
            place.append(f"column {column!r}")
        if value is not None:
            place.append(f"value {value!r}")
        super().__init__(f"{', '.join(place)}: {message}" if place else message, hint=hint)


class AbsentError(DataError):
    """A data set that is in none of the folders that were looked into."""


class DownloadError(DataError):
    """A data set that could not be fetched, or whose checksum differs."""


class SplitError(TinylocError):
    """Sessions, rooms or windows that cannot be divided as asked."""


class TrainingError(TinylocError):
    """Training that diverged or cannot start."""


class ModelFileError(TinylocError):
    """A checkpoint or an integer model that is cut, altered or of another version."""


class QuantisationError(TinylocError):
    """A model that cannot be lowered to integers safely."""


class ToolchainError(TinylocError):
    """No compiler or emulator was found, or one failed."""


class BoardError(TinylocError):
    """A microcontroller that is not in the table."""


class BudgetError(TinylocError):
    """A model that does not fit its memory: by how much, and what would."""

    exit_code = 3


class DeviceError(TinylocError):
    """The emulated chip faulted, or answered otherwise than the reference."""

    exit_code = 4


class OutputError(TinylocError):
    """A result that could not be written; nothing half-written is left behind."""


class StoppedError(TinylocError):
    """Ctrl-C, with a word on what was kept."""

    exit_code = 130
