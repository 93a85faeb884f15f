"""What every source says about itself, and small things that they share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from tinyloc.data.recording import RSSI_MAX, RSSI_MIN, FloatArray, TextArray
from tinyloc.data.splits import Material
from tinyloc.data.words import counted, flag
from tinyloc.errors import UsageError

STANDARD_GRAVITY = 9.80665
"""m/s^2 in one g (CGPM 1901, ISO 80000-3)."""

Options = Mapping[str, object]


@dataclass(frozen=True)
class RemoteFile:
    """One file of a data set at its public home.

    `path` below the source's folder; `url` where it lies; `size` bytes and `sha256` of the whole file, as
    far as known (0 and "" where not).
    """

    path: str
    url: str
    size: int = 0
    sha256: str = ""


@dataclass(frozen=True)
class Source:
    """A data set by name: what it holds, on what terms, where it lives, and how it becomes `Material`.

    `folder`: below the data folder ("" for what is made, not read). `needs`: the files that must be there.
    `remote`: how each of them is fetched. `found(folder)`: True where the data set is there in another form
    that does as well. `load(folder, options)` reads it; `options` names the options that it knows, each with
    one line of help.
    """

    name: str
    title: str
    signals: str
    truth: str
    licence: str
    citation: str
    home: str
    folder: str
    needs: tuple[str, ...]
    load: Callable[[Path, Options], Material]
    remote: tuple[RemoteFile, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    simulated: bool = False
    found: Callable[[Path], bool] | None = None


def choose(options: Options, name: str, default: object, allowed: tuple[object, ...]) -> object:
    """An option's value, or UsageError with what is allowed."""
    value = options.get(name, default)
    by_text = {str(choice): choice for choice in allowed}
    if str(value) not in by_text:
        raise UsageError(f"{flag(name, value)} is not known; it is one of {', '.join(by_text)}")
    return by_text[str(value)]


def number(options: Options, name: str, default: float) -> float:
    """An option's value as a number, or UsageError."""
    value = options.get(name, default)
    try:
        return float(str(value))
    except ValueError:
        raise UsageError(f"{flag(name, value)} is not a number") from None


def nearest(name: str, known: Iterable[str]) -> str:
    """ "Did you mean ...?", or the empty string where nothing is near."""
    near = get_close_matches(name, list(known), 2, 0.5)
    return f"Did you mean {' or '.join(repr(other) for other in near)}?" if near else ""


def refuse_unknown(source: str, options: Options, known: Mapping[str, str]) -> None:
    """UsageError at the first option that the source does not know, with the nearest that it does."""
    for name in options:
        if name not in known:
            raise UsageError(
                f"{source} has no option {name!r}",
                hint=nearest(name, known) or f"It has {', '.join(sorted(known)) or 'none'}.",
            )


def keep_possible(rssi: FloatArray, thing: str, where: str) -> tuple[FloatArray, tuple[str, ...]]:
    """Drop readings that no radio can report, and say how many: rssi [T, P] dBm -> (rssi, notes).

    `thing`: what one of them is called, `where`: what they are of.

    Used by published data sets with known corrupt cells only; a user's own file is refused instead.
    """
    with np.errstate(invalid="ignore"):
        bad = (rssi < RSSI_MIN) | (rssi > RSSI_MAX)
    if not bad.any():
        return rssi, ()
    values = ", ".join(f"{value:+g}" for value in np.unique(rssi[bad])[:4])
    count = int(bad.sum())
    note = (
        f"{counted(count, thing)} of {where} of {values} dBm dropped: outside {RSSI_MIN:g}..{RSSI_MAX:g}, "
        "what a radio can report."
    )
    return np.where(bad, np.nan, rssi), (note,)


def grid_zones(x: FloatArray, y: FloatArray, extent: tuple[float, float, float, float]) -> TextArray:
    """Zone names on a grid of 3 cells along the longer side of `extent` and 2 along the shorter.

    `x`, `y` [T] m; `extent` (x least, x most, y least, y most) m. Names run A1..C2: the letter along the
    longer side, the number along the shorter. Positions outside count to the nearest cell; a side without
    length has one cell.
    """
    x0, x1, y0, y1 = extent
    long, long0, long_side, short, short0, short_side = (
        (x, x0, x1 - x0, y, y0, y1 - y0) if x1 - x0 >= y1 - y0 else (y, y0, y1 - y0, x, x0, x1 - x0)
    )
    column = _cell(long, long0, long_side, 3)
    row = _cell(short, short0, short_side, 2)
    names = np.array([[f"{letter}{number}" for number in (1, 2)] for letter in "ABC"])
    zones: TextArray = names[column, row]
    return zones


def _cell(
    value: FloatArray, low: float, side: float, cells: int
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    if side <= 0:
        return np.zeros(len(value), np.int64)
    return np.clip(np.floor((value - low) / side * cells), 0, cells - 1).astype(np.int64)
