"""Reading a table strictly: every refusal names the file, the line, the column and the value.

A CSV file is read as text first and turned into numbers column by column, so that the first cell which is
not a number can be shown as it stands in the file. Headers, field counts and the encoding are checked on the
bytes, before polars may rename a double column or pad a short row.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from tinyloc.data.recording import FloatArray
from tinyloc.data.words import counted, flag, mend_cell
from tinyloc.errors import DataError

EMPTY = ("", "nan", "NaN", "NAN", "null", "NULL", "None", "NA", "N/A")
"""Cells that mean "no value"."""


@dataclass(frozen=True)
class Table:
    """A frame of R rows, and on which line of its file each row stands.

    `frame`: all columns as text for a CSV file, typed for Parquet. `lines` [R]: 1-based line numbers, or
    row numbers for Parquet, which has no lines.
    """

    path: Path
    frame: pl.DataFrame
    lines: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def columns(self) -> tuple[str, ...]:
        """Column names in the order of the file."""
        return tuple(self.frame.columns)

    def shifted(self, lines: int) -> Table:
        """The same table with `lines` added to every line number."""
        return Table(self.path, self.frame, self.lines + lines)

    def text(self, column: str) -> npt.NDArray[np.str_]:
        """A column as text [R]; an empty cell is the empty string. Raises DataError for lists and such."""
        series = self._series(column)
        if series.dtype.is_nested() or series.dtype in (pl.Binary, pl.Object):
            raise DataError(
                f"the cells are of the type {series.dtype}, expected text or numbers",
                path=self.path,
                column=column,
                hint="Take it apart first, or name another column.",
            )
        series = series.cast(pl.String).fill_null("").str.strip_chars()
        return np.array(series.to_list(), dtype=np.str_)

    def holds_text(self, column: str) -> bool:
        """Whether a column is of text."""
        return self._series(column).dtype in (pl.String, pl.Categorical, pl.Enum)

    def numbers(self, column: str, expected: str = "a number") -> FloatArray:
        """A column as float64 [R], NaN where the cell is empty. Raises DataError at the first other text."""
        series = self._series(column)
        if series.dtype == pl.String:
            stripped = series.str.strip_chars()
            blank = stripped.is_null() | stripped.is_in(EMPTY)
            values = stripped.set(blank, None).cast(pl.Float64, strict=False)
            wrong = (values.is_null() & ~blank).to_numpy()
            if wrong.any():
                row = int(np.argmax(wrong))
                count = int(wrong.sum())
                raise DataError(
                    f"not a number ({counted(count, 'such cell')} in this column); "
                    f"expected {expected}, or an empty cell for no value",
                    path=self.path,
                    line=int(self.lines[row]),
                    column=column,
                    value=str(series[row]),
                    hint=mend_cell(
                        str(series[row]),
                        f"Mend the cell; if the column is no access point, name those that are with "
                        f"{flag('access_points')}.",
                    ),
                )
        elif series.dtype.is_numeric() or series.dtype == pl.Null:
            values = series.cast(pl.Float64)
        else:
            raise DataError(
                f"the column holds {series.dtype}; expected {expected}",
                path=self.path,
                column=column,
                hint="Write the column as numbers.",
            )
        return np.array(values.fill_null(float("nan")).to_numpy(), dtype=np.float64)

    def _series(self, column: str) -> pl.Series:
        if column not in self.frame.columns:
            raise DataError(
                f"there is no column {column!r}; the file has {_list(self.columns)}",
                path=self.path,
                hint="Check that this is the published file.",
            )
        return self.frame[column]


def read_csv(path: Path) -> Table:
    """Read a CSV file with a header line. Raises DataError for whatever is not one."""
    return parse_csv(read_file(path), path)


def read_file(path: Path) -> bytes:
    """All bytes of a file; a missing file, a folder or a file without permission is a one-line DataError."""
    if path.is_dir():
        raise DataError("this is a folder, expected a file", path=path, hint="Name one file in it.")
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise DataError("no such file", path=path, hint="Check the name and the folder.") from None
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", path=path) from None


def parse_csv(content: bytes, path: Path) -> Table:
    """Read the bytes of a CSV file; `path` only names it in errors.

    Fields are divided by commas, or by semicolons or tabs where the header has those and no comma. Blank
    lines are passed over. Spaces around a field do not count.
    """
    content = content.removeprefix(b"\xef\xbb\xbf")
    if b"\n" not in content:
        content = content.replace(b"\r", b"\n")  # lines end as on an old Mac
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"byte {content[error.start]:#04x} is not UTF-8 text; expected a CSV file in UTF-8",
            path=path,
            line=content.count(b"\n", 0, error.start) + 1,
            hint="Save the file as CSV with the encoding UTF-8.",
        ) from None
    if not content.strip():
        raise DataError("the file is empty; expected a header line and rows", path=path)
    first = _first_line(content)
    if not first.strip():
        raise DataError("the line is blank; expected the names of the columns", path=path, line=1)
    separator = next((mark for mark in ",;\t" if mark in first), ",")
    header = [name.strip() for name in next(csv.reader(io.StringIO(first), delimiter=separator))]
    _check_header(header, path)
    lines, content = _check_rows(content, len(header), path, separator)
    if not len(lines):
        raise DataError(
            "the file has a header but no rows", path=path, line=2, hint="Check that the recording ran."
        )
    try:
        frame = pl.read_csv(
            io.BytesIO(content), separator=separator, infer_schema=False, has_header=False, skip_rows=1
        )
    except pl.exceptions.PolarsError as error:
        raise DataError(f"not a CSV file: {str(error).splitlines()[0]}", path=path) from None
    frame.columns = header
    if len(frame) != len(lines):
        raise DataError(f"{len(lines)} rows were counted but {len(frame)} read: broken quotes", path=path)
    return Table(path, frame, lines)


def read_parquet(path: Path) -> Table:
    """Read a Parquet file. Raises DataError for a file that is cut, altered or not Parquet at all."""
    content = read_file(path)
    try:
        frame = pl.read_parquet(io.BytesIO(content))
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        raise DataError(
            f"not a whole Parquet file ({(str(error).splitlines() or ['unreadable'])[0]})",
            path=path,
            hint="It may have been cut while it was copied: fetch or write it again.",
        ) from None
    if not len(frame):
        raise DataError("the file has no rows", path=path, hint="Check that the recording ran.")
    return Table(path, frame, np.arange(1, len(frame) + 1))


def _first_line(content: bytes) -> str:
    return content.split(b"\n", 1)[0].rstrip(b"\r").decode()


def _check_header(header: list[str], path: Path) -> None:
    seen: set[str] = set()
    for number, name in enumerate(header, start=1):
        if name in seen:
            raise DataError(
                f"two columns have the name {name!r} (the second is column {number}); names must differ",
                path=path,
                line=1,
                hint="Rename one of the two access points.",
            )
        seen.add(name)


def _check_rows(
    content: bytes, width: int, path: Path, separator: str
) -> tuple[npt.NDArray[np.int64], bytes]:
    """Line number of every row after the header [R], and the content without blank lines.

    Raises DataError at the first row of another width than the header's.
    """
    numbers: list[int] = []
    if b'"' not in content:
        mark = separator.encode()
        lines = content.split(b"\n")
        for number, line in enumerate(lines, start=1):
            if number == 1 or not line.strip(b"\r "):
                continue
            numbers.append(number)
            if line.count(mark) + 1 != width:
                raise _wrong_width(path, number, line.count(mark) + 1, width)
        if len(numbers) + 1 < len(lines):
            content = b"\n".join(line for line in lines if line.strip(b"\r ")) + b"\n"
        return np.array(numbers, np.int64), content
    reader = csv.reader(io.StringIO(content.decode(), newline=""), delimiter=separator)
    kept: list[list[str]] = []
    blank = False
    for row in reader:
        if not row:
            blank = True
            continue
        if kept:
            numbers.append(reader.line_num)
        kept.append(row)
        if len(row) != width:
            raise _wrong_width(path, reader.line_num, len(row), width)
    if blank:
        stream = io.StringIO()
        csv.writer(stream, delimiter=separator).writerows(kept)
        content = stream.getvalue().encode()
    return np.array(numbers, np.int64), content


def _wrong_width(path: Path, line: int, found: int, width: int) -> DataError:
    return DataError(
        f"{found} fields, expected {width} as in the header; the file may have been cut here",
        path=path,
        line=line,
        hint="Fetch or export the file again, or remove the line.",
    )


def _list(names: tuple[str, ...], most: int = 12) -> str:
    shown = ", ".join(repr(name) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
