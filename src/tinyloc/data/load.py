"""The one public entry: a data set's name or a file in, windows out."""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from tinyloc.data.sources import ALL
from tinyloc.data.sources.base import refuse_unknown
from tinyloc.data.splits import Material, build_sets
from tinyloc.data.windows import WindowSets
from tinyloc.errors import DataError

PROTOCOL_OPTIONS = {
    "steps": "time steps in a window",
    "hop": "steps between the windows that validate and test",
    "train_hop": "steps between the windows that train (default: as hop)",
    "seconds_per_step": "the grid, s",
    "fill_seconds": "how long a silent access point keeps its last value, s",
    "gap_seconds": "silence of all access points that ends a run, s",
}


def load_windows(name: str, *, data_dir: Path | None = None, **options: object) -> WindowSets:
    """Windows of the data set `name`: a source's name, or a path to a .csv or .parquet file."""
    return build_sets(load_material(name, data_dir=data_dir, **options))


def load_material(name: str, *, data_dir: Path | None = None, **options: object) -> Material:
    """The divided recordings behind `load_windows`."""
    if name not in ALL:
        near = get_close_matches(name, ALL, 3, 0.4)
        raise DataError(f"no data set is called {name!r}", hint=f"Did you mean {' or '.join(near)}?" if near else "")
    source = ALL[name]
    given = {key: value for key, value in options.items() if value is not None}
    refuse_unknown(name, given, {**source.options, **PROTOCOL_OPTIONS})
    folder = Path(data_dir or ".") / source.folder
    material = source.load(folder, {k: v for k, v in given.items() if k in source.options})
    changes = {k: v for k, v in given.items() if k in PROTOCOL_OPTIONS}
    return replace(material, protocol=replace(material.protocol, **changes))  # type: ignore[arg-type]
