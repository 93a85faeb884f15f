"""Every way a recording can be wrong is one line that names the place and the way out."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from recording_samples import rows, write

from tinyloc.data import Recording, load_windows
from tinyloc.errors import DataError, SplitError, TinylocError, UsageError

Table = list[list[str]]


def complaint(name: Path | str, **options: object) -> str:
    with pytest.raises(TinylocError) as caught:
        load_windows(str(name), download=False, **options)
    text = str(caught.value)
    assert "\n" not in text
    assert isinstance(caught.value, DataError | SplitError | UsageError)
    return text


def set_cell(row: int, column: int, value: str) -> Callable[[Table], Table]:
    def change(table: Table) -> Table:
        table[row][column] = value
        return table

    return change


def test_the_sound_file_is_read(own: Path) -> None:
    sets = load_windows(str(own))
    assert sets.train.rooms == ("hall", "kitchen")
    assert sets.train.access_points == ("ap1", "ap2")
    assert (sets.train.sessions, sets.validation.sessions, sets.test.sessions) == (("s1",), ("s2",), ("s3",))
    assert sets.train.seconds_per_step == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (set_cell(0, 0, "when"), ["line 1", "'time'", "--time"]),
        (set_cell(7, 1, "weak"), ["line 8", "column 'ap1'", "value 'weak'", "not a number"]),
        (set_cell(7, 0, "yesterday"), ["line 8", "column 'time'", "value 'yesterday'"]),
        (set_cell(7, 0, ""), ["line 8", "column 'time'", "no time"]),
        (set_cell(9, 0, "0.1"), ["line 10", "column 'time'", "value '0.1'", "backwards", "'s1'"]),
        (set_cell(5, 2, "42"), ["line 6", "column 'ap2'", "42", "-127..20 dBm", "--not-heard"]),
        (set_cell(5, 2, "-500"), ["line 6", "column 'ap2'", "-500", "-127..20 dBm"]),
        (set_cell(5, 2, "inf"), ["line 6", "column 'ap2'", "inf"]),
        (set_cell(3, 4, ""), ["line 4", "column 'session'", "no name"]),
        (set_cell(0, 2, "ap1"), ["line 1", "two columns", "'ap1'", "Rename"]),
        (lambda table: table[:4], ["3 samples", "Record for longer"]),
        (lambda table: table[:1], ["no rows"]),
        (lambda table: [*table[:9], table[9][:3], *table[10:]], ["line 10", "3 fields, expected 5", "cut"]),
    ],
)  # fmt: skip
def test_a_spoilt_table(tmp_path: Path, change: Callable[[Table], Table], said: list[str]) -> None:
    path = write(tmp_path / "walk.csv", change(rows()))
    text = complaint(path)
    for part in [str(path), *said]:
        assert part in text


def every_row(column: int, value: Callable[[str], str]) -> Table:
    table = rows()
    for row in table[1:]:
        row[column] = value(row[column])
    return table


@pytest.mark.parametrize("value", ["yesterday", "10:00", "2024-05-01T10:00+Z", "1.2.3"])
def test_times_of_no_known_form(tmp_path: Path, value: str) -> None:
    text = complaint(write(tmp_path / "a.csv", every_row(0, lambda _: value)))
    for part in ("a.csv, line 2, column 'time'", repr(value), "600 such cells", "ISO 8601", "--time-unit"):
        assert part in text


def test_one_time_of_no_known_form_among_sound_ones(tmp_path: Path) -> None:
    table = every_row(0, lambda seconds: f"2024-05-01 10:00:{float(seconds):06.3f}"[:23])
    table[1][0] = "yesterday"
    text = complaint(write(tmp_path / "a.csv", table[:200]))
    assert "line 2, column 'time', value 'yesterday': not a time" in text


@pytest.mark.parametrize(
    ("column", "change", "line", "mended"),
    [
        (0, lambda cell: cell.replace(".", ","), 2, "0.0"),
        (1, lambda cell: f"{cell},5", 2, ".5"),
    ],
)
def test_a_decimal_comma_is_named(
    tmp_path: Path, column: int, change: Callable[[str], str], line: int, mended: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("\n".join(";".join(row) for row in every_row(column, change)) + "\n")
    text = complaint(path)
    assert f"line {line}, column {rows()[0][column]!r}" in text
    assert "decimal comma" in text
    assert f"{mended}, with a point" in text


@pytest.mark.parametrize(("count", "said"), [(1, "(1 such cell)"), (2, "(2 such cells)")])
def test_counts_agree_with_what_is_counted(tmp_path: Path, count: int, said: str) -> None:
    table = rows()
    for row in table[5 : 5 + count]:
        row[2] = "42"
    assert said in complaint(write(tmp_path / "a.csv", table))
    assert "1 sample;" in complaint(write(tmp_path / "b.csv", rows()[:2]))


def test_all_not_heard(tmp_path: Path) -> None:
    table = rows()
    for row in table[1:]:
        row[1] = row[2] = "nan"
    assert "no access point is heard in 600 rows" in complaint(write(tmp_path / "a.csv", table))


def test_a_session_where_nothing_is_heard(tmp_path: Path) -> None:
    table = rows()
    for row in table[1:201]:
        row[1] = row[2] = ""
    text = complaint(write(tmp_path / "a.csv", table))
    assert "line 2" in text
    assert "session 's1'" in text


def test_an_empty_session() -> None:
    with pytest.raises(DataError, match="session 'night': it holds no samples"):
        Recording(np.zeros(0), np.zeros((0, 1)), ("ap1",), "night")


def test_no_column_for_an_access_point(tmp_path: Path) -> None:
    table = [[row[0], row[3]] for row in rows(sessions=1)]
    assert "Add one column per access point" in complaint(write(tmp_path / "a.csv", table))


def test_a_blank_first_line(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("\ntime,ap1,room\n0,-50,hall\n")
    assert "line 1: the line is blank" in complaint(path)


def test_one_room_only(tmp_path: Path) -> None:
    table = [[*row[:3], "hall", *row[4:]] for row in rows()]
    table[0][3] = "room"
    assert "only 'hall'" in complaint(write(tmp_path / "a.csv", table))


def test_no_room_column(tmp_path: Path) -> None:
    table = [row[:3] for row in rows(sessions=1)]
    assert "no room at all" in complaint(write(tmp_path / "a.csv", table))


def test_a_room_never_seen_in_training(tmp_path: Path) -> None:
    table = rows()
    table[-1][3] = "attic"
    text = complaint(write(tmp_path / "a.csv", table))
    assert "test session 's3' enters room 'attic', which is never seen in training" in text


def test_a_session_that_does_not_exist(own: Path) -> None:
    text = complaint(own, test_sessions="s4")
    assert "no session 's4'; it has s1, s2, s3" in text
    assert "Did you mean" in text
    assert "to test and to validate" in complaint(own, test_sessions="s1", val_sessions=["s1"])
    assert "to test and to select" in complaint(own, test_sessions="s1", select_sessions="s1")
    assert "no session is left to train" in complaint(own, test_sessions="s1,s2", val_sessions="s3")
    assert "no session is left to train" in complaint(own, test_sessions="s1,s2", select_sessions="s3")


def test_no_such_file_folder_or_name(tmp_path: Path) -> None:
    assert "no such file" in complaint(tmp_path / "none.csv")
    assert "this is a folder" in complaint(tmp_path)
    assert "Did you mean 'flat'" in complaint("falt")
    assert "walks:library" in complaint("walks:libary")
    assert "There are flat" in complaint("zzzzzz")


def test_not_text(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"time,ap1,room\n0,-50,hall\n1,-50,k\xfcche\n")
    text = complaint(path)
    assert "line 3" in text
    assert "UTF-8" in text
    path.write_bytes(b"")
    assert "empty" in complaint(path)


@pytest.mark.parametrize("keep", [0.5, 0.98])
def test_a_parquet_file_cut(tmp_path: Path, own: Path, keep: float) -> None:
    path = tmp_path / "a.parquet"
    pl.read_csv(own).write_parquet(path)
    whole = load_windows(str(path))
    assert whole.train.rssi.tobytes() == load_windows(str(own)).train.rssi.tobytes()
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    assert "not a whole Parquet file" in complaint(path)


def test_a_csv_file_cut_in_half(tmp_path: Path, own: Path) -> None:
    content = own.read_bytes()
    path = tmp_path / "a.csv"
    path.write_bytes(content[: content.index(b"\n", len(content) // 2) - 8])
    assert "the file may have been cut here" in complaint(path)


@pytest.mark.parametrize("keep", [0.3, 0.999])
def test_a_zip_file_cut(tmp_path: Path, keep: float) -> None:
    folder = tmp_path / "uji"
    folder.mkdir()
    path = folder / "UJIndoorLoc.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("trainingData.csv", "\n".join(str(number) for number in range(5000)))
        archive.writestr("validationData.csv", "A\n1\n")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    assert "not a whole zip file" in complaint("uji", data_dir=tmp_path)


def test_a_zip_file_with_a_flipped_byte(tmp_path: Path) -> None:
    folder = tmp_path / "uji"
    folder.mkdir()
    path = folder / "UJIndoorLoc.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("trainingData.csv", "\n".join(str(number) for number in range(5000)))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))
    assert "not a whole zip file" in complaint("uji", data_dir=tmp_path)


def test_a_zip_file_of_other_tables(tmp_path: Path) -> None:
    path = tmp_path / "uji" / "UJIndoorLoc.zip"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("UJIndoorLoc/trainingData.csv", "WAP001,TIMESTAMP\n-50,1\n")
    text = complaint("uji", data_dir=tmp_path)
    assert f"{path}: not the published trainingData.csv: its SHA-256 is " in text
    assert "fetch the data set again" in text


def test_data_that_are_not_here(tmp_path: Path) -> None:
    text = complaint("flat", data_dir=tmp_path / "nowhere")
    for part in ("'flat' is not here", str(tmp_path / "nowhere" / "flat"), "does not exist", "zenodo"):
        assert part in text
    (tmp_path / "flat").mkdir()
    assert "lacks calibration.csv" in complaint("flat", data_dir=tmp_path)


def test_options_that_cannot_be(own: Path) -> None:
    assert "--with steps=0" in complaint(own, steps=0)
    assert "hop=1.5" in complaint(own, hop=1.5)
    assert "no option 'stepps'. Did you mean 'steps'" in complaint(own, stepps=3)
    assert "is not a number" in complaint(own, not_heard="none")
    assert "--time-unit years" in complaint(own, time_unit="years")
    assert "no train window" in complaint(own, steps=500)
    assert "--with floors=3" in complaint("house", floors=3)
    assert "--with minutes=5 is not possible; expected 11..2304" in complaint("house", minutes=5)
    assert "--with house_seed=-1" in complaint("house", house_seed=-1)
    assert "'ap9'" in complaint(own, access_points="ap1,ap9")
    assert "three columns" in complaint(own, acceleration="ap1,ap2")
