"""The one public entry: a data set's name or a file in, windows out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from tinyloc.data.folds import build_folds
from tinyloc.data.locate import locate
from tinyloc.data.sources import ALL
from tinyloc.data.sources import csv as own
from tinyloc.data.sources.base import Options, nearest, number, refuse_unknown
from tinyloc.data.splits import Material, Protocol, build_sets
from tinyloc.data.windows import WindowSets
from tinyloc.data.words import flag
from tinyloc.errors import DataError, UsageError

PROTOCOL_OPTIONS = {
    "steps": "time steps in a window",
    "hop": "steps between the windows that validate and test",
    "train_hop": "steps between the windows that train (default: as hop)",
    "seconds_per_step": "the grid, s",
    "fill_seconds": "how long a silent access point keeps its last value, s",
    "gap_seconds": "silence of all access points that ends a run, s",
}
"""Options that every source knows: each changes the protocol of its windows."""

_FILES = (".csv", ".txt", ".tsv", ".parquet", ".pq")
_WHOLE = ("steps", "hop", "train_hop")


def load_windows(
    name: str,
    *,
    data_dir: Path | None = None,
    download: bool = True,
    console: Console | None = None,
    **options: object,
) -> WindowSets:
    """Windows of the data set `name`: the name of a source, or a path to a .csv or .parquet file.

    `data_dir`: the folder with the data sets (else `TINYLOC_DATA`, the cache, a download). `options`: those
    of the source (`Source.options`, for a file `sources.csv.OPTIONS`) and `PROTOCOL_OPTIONS`; None counts as
    not given. Raises DataError, DownloadError, SplitError or UsageError, each in one line.
    """
    material = load_material(name, data_dir=data_dir, download=download, console=console, **options)
    return build_sets(material)


def load_folds(
    name: str,
    *,
    data_dir: Path | None = None,
    download: bool = True,
    console: Console | None = None,
    **options: object,
) -> tuple[WindowSets, ...]:
    """The folds of a cross-validation on what trains and validates in `load_windows` (`folds.py`): arguments
    and errors are the same.
    """
    material = load_material(name, data_dir=data_dir, download=download, console=console, **options)
    return build_folds(material)


def load_material(
    name: str,
    *,
    data_dir: Path | None = None,
    download: bool = True,
    console: Console | None = None,
    **options: object,
) -> Material:
    """The divided recordings and the protocol behind `load_windows`."""
    given = {key: value for key, value in options.items() if value is not None}
    source = ALL.get(name)
    known: Mapping[str, str] = own.OPTIONS if source is None else source.options
    if source is None:
        _expect_file(name)
    refuse_unknown(name, given, {**known, **PROTOCOL_OPTIONS})
    chosen = {key: value for key, value in given.items() if key in known}
    if source is None:
        material = own.load(Path(name), chosen)
    else:
        folder = locate(source, data_dir, download=download, console=console)
        material = source.load(folder, chosen)
    return replace(material, protocol=_changed(material.protocol, given))


def _expect_file(name: str) -> None:
    """Pass if `name` is a file that can be read; else say whether a name or a file is wrong."""
    path = Path(name)
    if path.is_dir():
        raise DataError(
            "this is a folder, expected a data set's name or a file",
            path=path,
            hint="Name one .csv or .parquet file in it; a folder of data sets goes to --data-dir.",
        )
    if path.is_file():
        return
    if path.suffix.lower() in _FILES or "/" in name or "\\" in name:
        raise DataError("no such file", path=path, hint="Check the name and the folder.")
    raise DataError(
        f"no data set is called {name!r}, and there is no such file",
        hint=nearest(name, ALL) or f"There are {', '.join(ALL)}, or a path to a .csv or .parquet file.",
    )


def _changed(protocol: Protocol, options: Options) -> Protocol:
    """The protocol with the options that change it. Raises UsageError for impossible numbers."""
    changes: dict[str, float] = {}
    for name in PROTOCOL_OPTIONS:
        if name not in options:
            continue
        value = number(options, name, 0.0)
        least = 1 if name in ("steps", "hop") else 0
        if not least <= value < 1e9 or (name in _WHOLE and value != int(value)):
            kind = "a whole number" if name in _WHOLE else "a number"
            raise UsageError(f"{flag(name, options[name])} is not possible; expected {kind}, {least} or more")
        if protocol.seconds_per_step == 0 and not (name in ("hop", "train_hop") or value == protocol.steps):
            raise UsageError(f"{flag(name)} cannot be set: each row of this data set is a window of its own")
        changes[name] = int(value) if name in _WHOLE else value
    return replace(protocol, **changes)  # type: ignore[arg-type]
