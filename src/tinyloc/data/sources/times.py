"""Reading a time column: seconds, milli-, micro- or nanoseconds, or ISO 8601 text."""

from __future__ import annotations

import numpy as np
import polars as pl

from tinyloc.data.recording import FloatArray
from tinyloc.data.table import Table
from tinyloc.data.words import counted, flag, mend_cell
from tinyloc.errors import DataError

_PER_SECOND = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
TIME_UNITS = ("auto", *_PER_SECOND, "iso")
_EPOCHS = ((1e17, "ns"), (1e14, "us"), (1e11, "ms"))
"""A number above this, counted from 1970, can only be in this unit."""


def read_time(table: Table, column: str, unit: str = "auto") -> tuple[FloatArray, tuple[str, ...]]:
    """Seconds [R] and notes on what was assumed. Raises DataError at the first cell that is no time.

    ``auto``: dates and text are ISO 8601; a number is in the unit that puts it after 1970 and before 5138,
    else in seconds.
    """
    series = table.frame[column]
    dated = series.dtype in (pl.Date, pl.Datetime)
    if unit == "iso" or dated or (unit == "auto" and series.dtype == pl.String and _is_text(series)):
        return _from_text(table, column, dated), ()
    values = table.numbers(column, "a time, as a number or as ISO 8601 text")
    missing = np.flatnonzero(~np.isfinite(values))
    if len(missing):
        raise DataError(
            f"the row has no time ({counted(len(missing), 'such row')})",
            path=table.path,
            line=int(table.lines[missing[0]]),
            column=column,
            hint="Give every row a time, or leave the row out.",
        )
    notes: tuple[str, ...] = ()
    if unit == "auto":
        size = float(np.median(np.abs(values)))
        unit = next((name for least, name in _EPOCHS if size > least), "s")
        steps = np.diff(np.unique(values))
        step = float(np.median(steps)) if len(steps) else 0.0
        if unit == "s" and step >= 20:
            notes = (
                f"time was read in seconds, so a sample comes every {step:g} s; "
                f"if it is in milliseconds, say {flag('time_unit', 'ms')}.",
            )
    return values / _PER_SECOND[unit], notes


def _is_text(series: pl.Series) -> bool:
    """True if the first cell that is filled is not a number."""
    filled = series.drop_nulls().str.strip_chars()
    return bool(len(filled)) and filled[0] != "" and filled.head(1).cast(pl.Float64, strict=False)[0] is None


def _from_text(table: Table, column: str, dated: bool) -> FloatArray:
    series = table.frame[column]
    if dated:
        moments = series.cast(pl.Datetime("us"), strict=False)
    else:
        text = series.str.strip_chars()
        iso = text.str.contains(r"^\d{4}-").fill_null(False)
        text = text.set(~iso, None)  # 05/06 may be May or June: refused
        zoned = text.str.contains(r"(Z|[+-]\d{2}:?\d{2})$").fill_null(False)
        bare = _dates(text.set(zoned, None).str.replace("T", " "))
        if zoned.any():
            aware = text.set(~zoned, None).str.replace("T", " ").str.replace("Z$", "+00:00")
            parsed = aware.str.to_datetime("%Y-%m-%d %H:%M:%S%.f%:z", time_unit="us", strict=False)
            moments = _merge(bare, parsed)
        else:
            moments = bare
    wrong = np.flatnonzero(moments.is_null().to_numpy())
    if len(wrong):
        row = int(wrong[0])
        raise DataError(
            f"not a time ({counted(len(wrong), 'such cell')}); expected a number, or ISO 8601 like "
            "2024-05-01T10:00:00.250",
            path=table.path,
            line=int(table.lines[row]),
            column=column,
            value=str(series[row]),
            hint=mend_cell(
                str(series[row]), f"Mend the cell, or say what the numbers are with {flag('time_unit')}."
            ),
        )
    return np.array(moments.dt.timestamp("us").to_numpy(), np.float64) / 1e6


def _dates(text: pl.Series) -> pl.Series:
    """Times without a zone; null where a cell is none, also where polars finds no format in any cell."""
    try:
        return text.str.to_datetime(time_unit="us", strict=False)
    except pl.exceptions.ComputeError:
        return text.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us", strict=False)


def _merge(bare: pl.Series, zoned: pl.Series) -> pl.Series:
    """Times without a zone and with one, all as UTC."""
    return bare.fill_null(zoned.dt.convert_time_zone("UTC").dt.replace_time_zone(None))
