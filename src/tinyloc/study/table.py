"""What a study keeps on disk: one file a finished cell, and at the end the table.

    OUT/cells/<digest>.json            a finished cell: its row, with a checksum
    OUT/cells/<mark>.safetensors       a trained model, shared by its compressions
    OUT/windows/<digest>.npz           the windows of a data set, or of a fold of it
    OUT/rows.parquet, rows.json        the table: all rows in order
    OUT/index.html                     the page

A file is written whole or not at all, and one that is broken counts as not there. No file of the table holds
a time or a date: the same grid gives the same bytes, however often it was interrupted.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import io
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from tinyloc import __version__, files
from tinyloc.errors import ModelFileError, OutputError, UsageError
from tinyloc.study.rows import FIELDS, SHARES, Row, from_json, kind

FORMAT: Final = "tinyloc study"
VERSION: Final = 5
"""Of the table and its rows."""
CELLS: Final = 4
"""Of what decides a cell or a trained model: the names of their files know it."""


def digest(facts: Any) -> str:
    """A name for the cell that these facts decide, the version of tinyloc among them."""
    text = json.dumps([CELLS, __version__, facts], sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _checksum(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


@dataclasses.dataclass(frozen=True)
class StudyFolder:
    """Where a study's files are."""

    path: Path

    @property
    def cells(self) -> Path:
        """Finished cells and trained models."""
        return self.path / "cells"

    @property
    def windows(self) -> Path:
        """Windows of the data sets."""
        return self.path / "windows"

    @property
    def parquet(self) -> Path:
        """The raw rows for other programs."""
        return self.path / "rows.parquet"

    @property
    def json(self) -> Path:
        """The raw rows and the grid they belong to."""
        return self.path / "rows.json"

    @property
    def page(self) -> Path:
        """The page."""
        return self.path / "index.html"

    def take(self, name: str) -> Row | None:
        """The finished cell of that digest, or None where it is not there, broken or without figures."""
        try:
            value = json.loads((self.cells / f"{name}.json").read_bytes())
            if (
                value["format"] != FORMAT
                or value["cell"] != name
                or value["sha256"] != _checksum(value["row"])
            ):
                return None
            row = from_json(value["row"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        return None if row.error else row

    def leave(self, name: str, row: Row) -> None:
        """Write a finished cell. Raises OutputError."""
        value = row.to_json()
        about = {"format": FORMAT, "cell": name, "sha256": _checksum(value), "row": value}
        files.write_json(self.cells / f"{name}.json", about)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the folder: two studies at once would do everything twice. A kill lets go of it."""
        try:
            self.cells.mkdir(parents=True, exist_ok=True)
            lock = open(self.path / ".lock", "w")  # noqa: SIM115  (closed below, on every way out)
        except OSError as error:
            raise OutputError(
                f"{self.path}: the folder cannot be used ({error.strerror or error})",
                hint="Name another with --out.",
            ) from None
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise UsageError(
                    f"{self.path}: another study is at work in this folder",
                    hint="Wait for it, or name another with --out.",
                ) from None
            yield

    def sweep(self) -> None:
        """Remove what a kill left half-written."""
        for folder in (self.path, self.cells, self.windows):
            for part in folder.glob(".*.part"):
                with contextlib.suppress(OSError):
                    part.unlink()


def save_rows(folder: StudyFolder, rows: Sequence[Row], about: dict[str, Any]) -> None:
    """Write the table: Parquet and JSON, rows in order. `about` the grid stands beside them in the JSON."""
    files.write_bytes(folder.parquet, parquet(rows))
    table = {"format": FORMAT, "version": VERSION, "about": about, "rows": [row.to_json() for row in rows]}
    files.write_json(folder.json, table)


def parquet(rows: Sequence[Row]) -> bytes:
    """The rows as Parquet: the same rows give the same bytes."""
    import polars as pl

    kinds: dict[str, pl.DataType] = {
        "str": pl.String(),
        "int": pl.Int64(),
        "bool": pl.Boolean(),
        "float": pl.Float64(),
        SHARES: pl.List(pl.Float64()),
    }
    types = {f.name: kinds[kind(f)] for f in dataclasses.fields(Row)}
    values = [row.to_json() for row in rows]
    table = pl.DataFrame({name: [one[name] for one in values] for name in FIELDS}, schema=types)
    stream = io.BytesIO()
    table.write_parquet(stream, compression="zstd", statistics=False)
    return stream.getvalue()


def load_rows(out: Path) -> tuple[list[Row], dict[str, Any]]:
    """The rows that a study left in the folder `out`, and its `about`. Raises ModelFileError, UsageError."""
    path = StudyFolder(out).json
    try:
        value = json.loads(path.read_bytes())
        if value["format"] != FORMAT or value["version"] != VERSION:
            raise ValueError
        return [from_json(one) for one in value["rows"]], dict(value["about"])
    except OSError:
        raise UsageError(f"{path}: not there yet", hint="`tinyloc study` makes it.") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ModelFileError(
            f"{path}: not a whole table of this version of tinyloc", hint="Run the study again."
        ) from None


def cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
