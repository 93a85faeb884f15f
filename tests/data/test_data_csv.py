"""The user's own file: mapped names, units of time, and who trains, validates and tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from recording_samples import rows, write

from tinyloc.data import load_material, load_windows
from tinyloc.data.folds import build_selection
from tinyloc.data.sources.csv import read
from tinyloc.errors import DataError, SplitError


def test_every_name_can_be_mapped(tmp_path: Path) -> None:
    table = [[row[0], row[3], row[1], row[2], row[4], "0", "0", "1", "x"] for row in rows()]
    table[0] = ["when", "where", "left", "right", "who", "gx", "gy", "gz", "remark"]
    path = write(tmp_path / "a.csv", table)
    options = {
        "time": "when",
        "room": "where",
        "session": "who",
        "access_points": "right, left",
        "acceleration": ("gx", "gy", "gz"),
    }
    sets = load_windows(str(path), **options)
    assert sets.train.access_points == ("right", "left")
    assert sets.train.acceleration is not None
    assert sets.train.acceleration[0, 0].tolist() == [0, 0, 1]
    plain = load_windows(str(write(tmp_path / "b.csv", rows())))
    assert np.array_equal(sets.train.rssi[..., ::-1], plain.train.rssi)


def test_positions_are_read_where_they_are_named(tmp_path: Path) -> None:
    table = [[*row, str(number), "" if number == 3 else "-2.5"] for number, row in enumerate(rows())]
    table[0][-2:] = ["x", "y"]
    path = write(tmp_path / "a.csv", table)
    (first, *_), _ = read(path, {"position": "x, y"})
    assert first.access_points == ("ap1", "ap2")
    assert first.position is not None
    assert first.position[:2].tolist() == [[1, -2.5], [2, -2.5]]
    assert np.isnan(first.position[2]).all()
    (plain, *_), _ = read(path, {"access_points": "ap1,ap2"})
    assert plain.position is None
    with pytest.raises(DataError, match="no column 'z' for a position"):
        read(path, {"position": "x,z"})
    for some in ("x", "", "x,y,time"):
        with pytest.raises(DataError, match="a position needs two columns"):
            read(path, {"position": some})
    for options in ({"position": "time,x"}, {"position": "x,y", "access_points": "ap1,x"}):
        with pytest.raises(DataError, match="is named for a position and for something else"):
            read(path, options)
    table[7][-2] = "4864900"
    with pytest.raises(DataError, match="at most 10,000 m from its origin") as caught:
        read(write(path, table), {"position": "x,y"})
    assert (caught.value.line, caught.value.column, caught.value.value) == (8, "x", 4864900)
    table[7][-2] = "7"
    table[5][-1] = "there"
    with pytest.raises(DataError) as caught:
        read(write(path, table), {"position": "x,y"})
    assert (caught.value.line, caught.value.column, caught.value.value) == (6, "y", "there")


def test_a_column_above_0_dbm_is_doubted(tmp_path: Path) -> None:
    table = [[*row, str(number % 9)] for number, row in enumerate(rows())]
    table[0][-1] = "x"
    _, notes = read(write(tmp_path / "a.csv", table), {})
    assert any("x rises above 0 dBm" in note and "--with position" in note for note in notes)
    _, notes = read(tmp_path / "a.csv", {"access_points": "ap1,ap2"})
    assert notes == ()


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_units_of_time(tmp_path: Path, unit: str) -> None:
    factor = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    table = rows()
    for row in table[1:]:
        row[0] = str(round(float(row[0]) * 5) * factor // 5 if unit != "s" else float(row[0]))
    (recording, *_), notes = read(write(tmp_path / "a.csv", table), {"time_unit": unit})
    assert recording.time[:3] == pytest.approx([0, 0.2, 0.4])
    assert notes == ()


@pytest.mark.parametrize("factor", [1, 10**3, 10**6, 10**9])
def test_the_unit_of_a_time_since_1970_is_found(tmp_path: Path, factor: int) -> None:
    table = rows()
    for row in table[1:]:
        row[0] = str(
            (1_700_000_000 * 5 + round(float(row[0]) * 5)) * factor / 5
            if factor == 1
            else (1_700_000_000 * 5 + round(float(row[0]) * 5)) * factor // 5
        )
    (recording, *_), _ = read(write(tmp_path / "a.csv", table), {})
    assert recording.time[:2] == pytest.approx([1_700_000_000, 1_700_000_000.2], abs=1e-3)


@pytest.mark.parametrize("zone", ["", "Z", "+00:00", "+0000"])
@pytest.mark.parametrize("between", ["T", " "])
def test_iso_text(tmp_path: Path, zone: str, between: str) -> None:
    table = rows()
    for row in table[1:]:
        seconds = float(row[0])
        row[0] = f"2024-05-01{between}10:00:{seconds:06.3f}{zone}" if seconds < 59 else row[0]
    (recording, *_), _ = read(write(tmp_path / "a.csv", table), {})
    assert recording.time[0] == pytest.approx(1714557600.0)
    assert recording.time[3] - recording.time[0] == pytest.approx(0.6)


def test_milliseconds_taken_for_seconds_are_noticed(tmp_path: Path) -> None:
    table = rows()
    for row in table[1:]:
        row[0] = str(round(float(row[0]) * 1000))
    _, notes = read(write(tmp_path / "a.csv", table), {})
    assert "say --time-unit ms" in notes[0]


def test_parquet_with_dates_and_nulls(tmp_path: Path) -> None:
    own = write(tmp_path / "a.csv", rows())
    frame = pl.read_csv(own).with_columns(
        pl.from_epoch((pl.col("time") * 1e6).cast(pl.Int64), time_unit="us").alias("time"),
        pl.when(pl.col("ap1") > -70).then(pl.col("ap1")).alias("ap1"),
    )
    frame.write_parquet(tmp_path / "a.parquet")
    (recording, *_), _ = read(tmp_path / "a.parquet", {})
    assert recording.time[:2] == pytest.approx([0, 0.2])
    assert np.isnan(recording.rssi[:, 0]).any()


def test_rows_of_equal_time_are_joined_and_counted(tmp_path: Path) -> None:
    table = rows()
    table[2][0] = table[1][0]
    table[1][1], table[2][1], table[2][2] = "-40", "", "-41"
    (recording, *_), notes = read(write(tmp_path / "a.csv", table), {})
    assert len(recording) == 199
    assert recording.rssi[0].tolist() == [-40, -41]
    assert notes == ("1 row had the time of the row before it and was joined with it.",)


def test_packet_by_packet_rows_get_a_grid_of_their_own(tmp_path: Path) -> None:
    table = rows()
    for index, row in enumerate(table[1:]):
        row[0] = f"{(index % 200) // 5 + (index % 5) * 0.002:.3f}"
    sets = load_windows(str(write(tmp_path / "a.csv", table)))
    assert sets.train.seconds_per_step == 0.2
    assert "packets" in sets.notes[0]


def test_readings_of_0_are_doubted(tmp_path: Path) -> None:
    table = rows()
    assert read(write(tmp_path / "a.csv", table), {})[1] == ()
    table[4][1] = table[5][1] = "0"
    path = write(tmp_path / "a.csv", table)
    (note,) = read(path, {})[1]
    assert "2 readings of exactly 0 dBm" in note
    assert "--not-heard 0" in note
    assert read(path, {"not_heard": 0})[1] == ()


@pytest.mark.parametrize(("gravity", "doubted"), [("1.0", False), ("9.8", True), ("0.98", False)])
def test_acceleration_in_metres_is_doubted(tmp_path: Path, gravity: str, doubted: bool) -> None:
    table = [[*row, "0.1", "", gravity] if at % 7 == 3 else [*row, "0.1", "0", gravity]
             for at, row in enumerate(rows())]  # fmt: skip
    table[0][-3:] = ["ax", "ay", "az"]
    notes = read(write(tmp_path / "a.csv", table), {})[1]
    assert bool(notes) == doubted
    assert all("looks like m/s^2" in note for note in notes)


def test_a_number_that_means_not_heard(tmp_path: Path) -> None:
    table = rows()
    table[4][1] = "100"
    (recording, *_), _ = read(write(tmp_path / "a.csv", table), {"not_heard": 100})
    assert np.isnan(recording.rssi[3, 0])


def test_windows_line_ends_a_mark_and_quotes(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    plain = load_windows(str(write(path, rows())))
    text = path.read_text()
    path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert load_windows(str(path)).digest == plain.digest
    path.write_text(text.replace("kitchen", '"kitchen, small"'))
    assert load_windows(str(path)).train.rooms == ("hall", "kitchen, small")
    for mark in ";\t":
        path.write_text(text.replace(",", mark))
        assert load_windows(str(path)).digest == plain.digest


@pytest.mark.parametrize("room", ["kitchen", '"kitchen"'])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_blank_lines_are_passed_over_and_counted(tmp_path: Path, room: str, end: str) -> None:
    path = tmp_path / "a.csv"
    lines = write(path, rows()).read_text().replace("kitchen", room).split("\n")
    plain = load_windows(str(path))
    path.write_bytes(end.join([*lines[:5], "", "", *lines[5:], "", ""]).encode())
    assert load_windows(str(path)).digest == plain.digest
    lines[9] = lines[9].replace(",s1", "")
    path.write_bytes(end.join([*lines[:5], "", "", *lines[5:]]).encode())
    with pytest.raises(DataError, match="line 12: 4 fields"):
        load_windows(str(path))


def test_a_column_without_a_name_is_no_access_point(tmp_path: Path) -> None:
    numbered = [["" if index == 0 else str(index), *row] for index, row in enumerate(rows())]
    sets = load_windows(str(write(tmp_path / "a.csv", numbered)))
    assert sets.train.access_points == ("ap1", "ap2")


def test_a_session_that_selects_does_nothing_else(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", rows(800, sessions=4))
    sets = load_windows(str(path), steps=10, hop=5, select_sessions="s2")
    assert (sets.train.sessions, sets.validation.sessions, sets.test.sessions) == (("s1",), ("s3",), ("s4",))
    assert "to train: s1; to validate: s3; to select: s2; to test: s4" in sets.description
    selection = build_selection(load_material(str(path), steps=10, hop=5, select_sessions="s2"))
    assert selection is not None
    assert selection.validation.sessions == ("s2",)
    assert len(selection.validation)
    with pytest.raises(SplitError, match="what selects, s2, has no window in a room that trains"):
        build_selection(load_material(str(path), steps=500, hop=5, select_sessions="s2"))


@pytest.mark.parametrize(
    ("count", "options", "train", "validation", "test"),
    [
        (9, {}, ("s1", "s2", "s3", "s4"), ("s5", "s6"), ("s7", "s8", "s9")),
        (3, {}, ("s1",), ("s2",), ("s3",)),
        (3, {"test_sessions": "s1"}, ("s2",), ("s3",), ("s1",)),
        (3, {"val_sessions": "s1"}, ("s2",), ("s1",), ("s3",)),
        (2, {}, ("s1:start",), ("s1:end",), ("s2",)),
        (1, {}, ("s1:start:start",), ("s1:start:end",), ("s1:end",)),
        (2, {"val_sessions": "s2"}, ("s1:start",), ("s2",), ("s1:end",)),
    ],
)
def test_who_tests(
    tmp_path: Path,
    count: int,
    options: dict[str, object],
    train: tuple[str, ...],
    validation: tuple[str, ...],
    test: tuple[str, ...],
) -> None:
    path = write(tmp_path / "a.csv", rows(200 * count, sessions=count))
    sets = load_windows(str(path), steps=10, hop=5, **options)
    assert (sets.train.sessions, sets.validation.sessions, sets.test.sessions) == (train, validation, test)
    if count == 1:
        assert "the last 30% of the time tests" in sets.description
        ends = [float(part.end_time.max()) for part in (sets.train, sets.validation)]
        starts = [float(part.end_time.min()) - 9 * 0.2 for part in (sets.validation, sets.test)]
        assert starts[0] - ends[0] >= 1.0 - 0.2
        assert starts[1] - ends[1] >= 1.0 - 0.2


def test_the_later_room_that_is_filled_in_is_that_of_joined_rows(tmp_path: Path) -> None:
    table = rows()
    for first in (1, 51, 101):  # each with the row after it
        table[first + 1][0] = table[first][0]
    table[2][3] = ""  # only the first of the two names the room
    table[51][3] = ""  # only the second
    table[101][3], table[102][3] = "hall", "kitchen"  # both, and they differ
    (recording, *_), notes = read(write(tmp_path / "a.csv", table), {})
    assert recording.room is not None
    assert recording.room[[0, 49, 98]].tolist() == ["kitchen", "hall", "kitchen"]
    assert notes[:2] == (
        "3 rows had the time of the row before them and were joined with it.",
        "1 sample had two rooms; the later one was taken.",
    )


@pytest.mark.parametrize("word", ["nan", "NULL", "None", "unknown", "Unavailable", "N/A"])
def test_words_for_no_room_are_no_room(tmp_path: Path, word: str) -> None:
    table = rows()
    table[5][3] = word
    (recording, *_), _ = read(write(tmp_path / "a.csv", table), {})
    assert recording.room is not None
    assert recording.room[3:6].tolist() == ["kitchen", "", "kitchen"]


def test_what_is_doubtful_gets_a_note(tmp_path: Path) -> None:
    table = rows()
    table[0] += ["dead", "battery"]
    for number, row in enumerate(table[1:]):
        row += ["", "-59"]
        if number % 3 == 0:
            row[1] = "-100"
        if number == 77:
            row[3] = "Hall"
    _, notes = read(write(tmp_path / "a.csv", table), {})
    assert any(note == "never heard: dead." for note in notes)
    assert any("always the same reading: battery" in note for note in notes)
    assert any("exactly -100 dBm, the weakest" in note and "--not-heard -100" in note for note in notes)
    assert any("in capitals alone" in note and "Hall and hall" in note for note in notes)
    assert read(write(tmp_path / "b.csv", rows()), {})[1] == ()


def test_sessions_stand_in_the_order_of_their_dates(tmp_path: Path) -> None:
    def dated(when: float) -> list[list[str]]:
        table = rows()
        for row in table[1:]:
            row[0] = str(float(row[0]) + when * {"s1": 3, "s2": 2, "s3": 4}[row[4]])
        return table

    for when, order in ((2e9, ["s2", "s1", "s3"]), (100.0, ["s1", "s2", "s3"])):
        found, _ = read(write(tmp_path / "a.csv", dated(when)), {})
        assert [one.session for one in found] == order


def test_line_ends_of_an_old_mac_and_spaces_before_a_time(tmp_path: Path) -> None:
    plain = read(write(tmp_path / "a.csv", rows()), {})[0]
    path = tmp_path / "b.csv"
    path.write_bytes((tmp_path / "a.csv").read_bytes().replace(b"\n", b"\r").replace(b"\r0.", b"\r 0."))
    again = read(path, {})[0]
    assert [one.time.tolist() for one in again] == [one.time.tolist() for one in plain]


def test_a_time_of_day_alone_is_no_time(tmp_path: Path) -> None:
    own = write(tmp_path / "a.csv", rows())
    frame = pl.read_csv(own).with_columns((pl.col("time") * 1e9).cast(pl.Int64).cast(pl.Time))
    frame.write_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match="the column holds Time; expected a time"):
        read(tmp_path / "a.parquet", {})


def test_what_nothing_judges_is_said(tmp_path: Path) -> None:
    table = [row for row in rows() if not (row[4] == "s3" and row[3] == "hall")]
    sets = load_windows(str(write(tmp_path / "a.csv", table)))
    assert sets.notes[0] == "Not in test: hall; nothing says how often an answer is right there."
    assert sets.notes[1].startswith("Only ")
    assert len(load_windows(str(write(tmp_path / "b.csv", rows(1800)))).notes) == 0


def test_acceleration_that_is_never_whole_gets_a_note(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    table = rows()
    table[0] += ["ax", "ay", "az"]
    for row in table[1:]:
        row += ["0.1", "", ""]
    _, notes = read(write(tmp_path / "a.csv", table), {})
    assert "acceleration is never there on all three axes at once." in notes
    assert not recwarn.list


def test_one_row_for_each_reading_is_refused_with_the_way_out(tmp_path: Path) -> None:
    table = [["time", "ap", "rssi", "room"]]
    for row in rows()[1:]:
        table += [
            [row[0], name, value, row[3]] for name, value in zip(("left", "right"), row[1:3], strict=True)
        ]
    path = write(tmp_path / "a.csv", table)
    with pytest.raises(DataError, match="one row is one reading here"):
        read(path, {"access_points": "rssi"})
    with pytest.raises(DataError, match="one row is one reading here") as caught:
        read(path, {})
    assert "pivot(on='ap'" in str(caught.value)
    assert "If 'rssi' is one access point, give its column another name" in str(caught.value)


@pytest.mark.parametrize("who", [["anna"], ["", "anna"], ["anna", "bert"]], ids=["one", "gaps", "two"])
def test_an_access_point_that_is_called_signal_beside_a_text_is_read(tmp_path: Path, who: list[str]) -> None:
    table = [["time", "ap1", "signal", "room", "session", "who"]]
    table += [[*row, who[i % len(who)]] for i, row in enumerate(rows()[1:])]
    path = write(tmp_path / "a.csv", table)
    recordings, _ = read(path, {"access_points": "ap1,signal"})
    assert recordings[0].access_points == ("ap1", "signal")
    if len(who) == 1 or "" in who:  # what names no access point is no reason to refuse a column alone
        assert read(path, {"access_points": "signal"})[0][0].access_points == ("signal",)


def test_a_column_of_lists_is_passed_over_and_refused_as_a_room(tmp_path: Path) -> None:
    head, *body = rows()
    frame = pl.DataFrame(
        {
            name: [float(cell) if name in ("time", "ap1") else cell for cell in column]
            for name, column in zip(head, zip(*body, strict=True), strict=True)
        }
    ).drop("ap2")
    frame = frame.rename({"ap1": "rssi"}).with_columns(tags=pl.Series([["a"]] * len(frame)))
    path = tmp_path / "a.parquet"
    frame.write_parquet(path)
    assert read(path, {"access_points": "rssi"})[0][0].access_points == ("rssi",)
    frame.drop("room").write_parquet(path)
    with pytest.raises(DataError, match="column 'tags': the cells are of the type List"):
        read(path, {"access_points": "rssi", "room": "tags"})


def test_a_date_that_may_be_may_or_june_is_refused(tmp_path: Path) -> None:
    table = rows()
    for row in table[1:]:
        row[0] = f"05/06/2024 10:00:{float(row[0]) % 60:06.3f}"
    with pytest.raises(DataError, match=r"not a time \(600 such cells\); expected a number, or ISO 8601"):
        read(write(tmp_path / "a.csv", table), {})
