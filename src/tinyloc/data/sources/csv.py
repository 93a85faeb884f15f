"""The user's own recording: a CSV or Parquet file with `time` and one column per access point.

Optional columns: `room` (empty = not annotated), `session`, and `ax`, `ay`, `az` in g. Other names are mapped
by options. Without an option, every other column that has a name is an access point.

Time must not run backwards within a session. Rows of equal time are one sample: per access point the later
reading wins, and the later room that is filled in; a note says how many were joined. A reading no radio can
report is refused, not dropped; what is merely doubtful gets a note (`doubts.py`). Sessions stand in the order
of their dates, or, where times are none, in that of the file.

Who tests: `test_sessions` and `val_sessions`, else the last third of the sessions, else the last 30 % of
the time. Who validates, unless named: the last quarter of the sessions that remain (one at least), else the
last quarter of the time that remains; one second is left out at each border in time. `select_sessions` do
neither: a study chooses its winners by them.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tinyloc.data.folds import fold_time
from tinyloc.data.recording import RSSI_MAX, RSSI_MIN, FloatArray, Recording, TextArray
from tinyloc.data.sources.base import Options, choose, nearest, number
from tinyloc.data.sources.doubts import doubts
from tinyloc.data.sources.times import TIME_UNITS, read_time
from tinyloc.data.splits import Division, Fold, Material, Protocol, rooms_of, split_time
from tinyloc.data.table import EMPTY, Table, read_csv, read_parquet
from tinyloc.data.words import counted, flag
from tinyloc.errors import DataError, SplitError, UsageError

STEPS = 20
HOP = 10
TEST_SHARE = 0.30
VALIDATION_SHARE = 0.25
BORDER = 1.0
SHORTEST_STEP = 0.05
"""Rows that come faster than this, s, are packets, not scans."""
PACKET_STEP = 0.2
FARTHEST = 10_000.0
"""The largest coordinate of a position, m: what float32 holds to the millimetre, and no building exceeds."""
DATED = 5e8
"""Times above this, s, are dates of 1985 and later, and tell which session came first."""
UNKNOWN_ROOMS = frozenset(name.lower() for name in (*EMPTY, "unknown", "unavailable"))
"""Cells that name no room; the last two are what Home Assistant writes where it knows none."""
READINGS = ("rssi", "rss", "signal", "signal_strength", "dbm", "value", "state")
"""What the one column of readings is called where each row is one reading."""
_AXES = ("ax", "ay", "az")

OPTIONS = {
    "time": "column with the time (default time)",
    "room": "column with the room (default room)",
    "session": "column with the session (default session)",
    "access_points": "columns with RSSI (default: all others that have a name)",
    "acceleration": "three columns in g (default ax,ay,az)",
    "position": "two columns in metres, to learn from with --tune positions=0.5 (default none)",
    "time_unit": f"one of {', '.join(TIME_UNITS)} (default auto)",
    "not_heard": "number that means not heard, besides an empty cell",
    "test_sessions": "sessions that test",
    "val_sessions": "sessions that validate",
    "select_sessions": "sessions by which a study chooses its winners; no training reads them",
}


def load(path: Path, options: Options) -> Material:
    """Read the file, check it, and divide its sessions. Raises DataError or SplitError in one line."""
    recordings, notes = read(path, options)
    roles = (names(options, f"{role}_sessions") for role in ("test", "val", "select"))
    division = divide(path, recordings, *roles)
    step, more = _grid(recordings)
    protocol = Protocol(steps=STEPS, hop=HOP, seconds_per_step=step)
    return Material(path.name, division, protocol, "the file's owner's", "own recording", notes=notes + more)


def names(options: Options, name: str) -> tuple[str, ...]:
    """An option that lists names: a sequence, or text with commas."""
    value = options.get(name)
    if value is None:
        return ()
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, Sequence):
        raise UsageError(f"{flag(name, value)} is not a list of names")
    return tuple(dict.fromkeys(str(part).strip() for part in parts if str(part).strip()))


def read(path: Path, options: Options) -> tuple[tuple[Recording, ...], tuple[str, ...]]:
    """The file's sessions, by date where they have one, else in the order in which they begin in it; and
    notes on what was joined.
    """
    table = read_parquet(path) if path.suffix.lower() in (".parquet", ".pq") else read_csv(path)
    time_name = _column(table, options, "time", required=True)
    room_name = _column(table, options, "room")
    session_name = _column(table, options, "session")
    axes = _axes(table, options)
    place = _place(table, options, {time_name, room_name, session_name, *axes})
    points = _points(table, options, {time_name, room_name, session_name, *axes, *place})
    time, notes = read_time(table, time_name, str(choose(options, "time_unit", "auto", TIME_UNITS)))
    rssi = _rssi(table, points, options)
    moves = np.column_stack([table.numbers(name, "g") for name in axes]) if axes else None
    places = _positions(table, place) if place else None
    rooms = _rooms(table, room_name) if room_name else None
    made, joined, torn = [], 0, 0
    for name, rows in _sessions(table, session_name, time):
        _check_order(table, time, rows, time_name, name if session_name else "")
        recording, count, two = _join(time, rssi, rooms, moves, places, rows, points, name)
        if np.isnan(recording.rssi).all():
            raise DataError(
                f"session {name!r}: no access point is heard in its {counted(len(rows), 'row')}",
                path=path,
                line=int(table.lines[rows[0]]),
                hint=f"Leave the session out, or name the access points with {flag('access_points')}.",
            )
        made.append(recording)
        joined += count
        torn += two
    if joined:
        them, were = ("it", "was") if joined == 1 else ("them", "were")
        notes += (
            f"{counted(joined, 'row')} had the time of the row before {them} and {were} joined with it.",
        )
    if torn:
        notes += (f"{counted(torn, 'sample')} had two rooms; the later one was taken.",)
    notes += doubts(rssi, points, moves, rooms_of(made))
    _check_enough(table, made, room_name)
    return tuple(made), notes


def _grid(recordings: Sequence[Recording]) -> tuple[float, tuple[str, ...]]:
    """Seconds per step: the usual time between samples, but 0.2 s for rows that come packet by packet."""
    gaps = np.concatenate([np.diff(recording.time) for recording in recordings])
    usual = float(f"{np.median(gaps):.3g}") if len(gaps) else PACKET_STEP
    if usual >= SHORTEST_STEP:
        return usual, ()
    note = (
        f"Rows come every {usual:g} s, as packets do: the grid was set to {PACKET_STEP:g} s; "
        f"{flag('seconds_per_step')} sets another."
    )
    return PACKET_STEP, (note,)


# --- columns ----------------------------------------------------------------------------------------------


def _column(table: Table, options: Options, role: str, required: bool = False) -> str:
    named = options.get(role)
    name = str(named or role)
    if name in table.columns:
        return name
    if named is None and not required:
        return ""
    raise DataError(
        f"there is no column {name!r}; the file has {', '.join(table.columns[:12])}",
        path=table.path,
        line=1,
        hint=nearest(name, table.columns) or f"Say which column holds the {role} with {flag(role)}.",
    )


def _axes(table: Table, options: Options) -> tuple[str, ...]:
    wanted = names(options, "acceleration") or _AXES
    there = tuple(name for name in wanted if name in table.columns)
    if not there and "acceleration" not in options:
        return ()
    if len(there) != 3 or len(wanted) != 3:
        raise DataError(
            f"acceleration needs three columns, found {', '.join(there) or 'none'} of {', '.join(wanted)}",
            path=table.path,
            line=1,
            hint="Give all three axes in g, or none.",
        )
    return there


def _place(table: Table, options: Options, taken: set[str]) -> tuple[str, ...]:
    wanted = names(options, "position")
    if options.get("position") is None:
        return ()
    for name in wanted:
        if name not in table.columns:
            raise DataError(
                f"there is no column {name!r} for a position",
                path=table.path,
                line=1,
                hint=nearest(name, table.columns) or f"Check {flag('position')}.",
            )
    if len(wanted) != 2:
        raise DataError(
            f"a position needs two columns, found {', '.join(wanted)}",
            path=table.path,
            line=1,
            hint="Name two columns in metres: --with position=x,y.",
        )
    twice = [name for name in wanted if name in taken | set(names(options, "access_points"))]
    if twice:
        raise DataError(
            f"the column {twice[0]!r} is named for a position and for something else",
            path=table.path,
            line=1,
            hint=f"Check {flag('position')}.",
        )
    return wanted


def _positions(table: Table, columns: tuple[str, ...]) -> FloatArray:
    """Positions [R, 2] m, NaN where either cell is empty; refuses those of a map, in place of a home."""
    found = np.column_stack([table.numbers(name, "metres") for name in columns])
    found[np.isnan(found).any(axis=1)] = np.nan
    bad = np.argwhere(np.abs(found) > FARTHEST)
    if len(bad):
        row, column = (int(index) for index in bad[0])
        raise DataError(
            f"a position is at most {FARTHEST:,.0f} m from its origin ({counted(len(bad), 'such cell')})",
            path=table.path,
            line=int(table.lines[row]),
            column=columns[column],
            value=float(found[row, column]),
            hint="Count metres from a corner of the building.",
        )
    return found


def _points(table: Table, options: Options, taken: set[str]) -> tuple[str, ...]:
    named = names(options, "access_points")
    for name in named:
        if name not in table.columns:
            raise DataError(
                f"there is no column {name!r} for an access point",
                path=table.path,
                line=1,
                hint=nearest(name, table.columns) or f"Check {flag('access_points')}.",
            )
    others = tuple(name for name in table.columns if name and name not in taken)
    points = named or others
    _refuse_long(table, points, others)
    if not points:
        raise DataError(
            f"there is no column for an access point; the file has {', '.join(table.columns[:12])}",
            path=table.path,
            line=1,
            hint="Add one column per access point with its RSSI in dBm.",
        )
    return points


def _refuse_long(table: Table, points: tuple[str, ...], others: tuple[str, ...]) -> None:
    """Refuse one row per reading: a column that names the access point in every row, and one that holds all
    readings: alone, where the access points were named.
    """
    readings = next((name for name in points if name.lower() in READINGS), "")
    if not readings or (len(points) > 1 and points != others):
        return
    name = next((name for name in others if name != readings and _names_things(table, name)), "")
    if name:
        raise DataError(
            f"one row is one reading here, of the access point in {name!r}; expected a column for each",
            path=table.path,
            line=1,
            column=readings,
            hint=f"Turn it first, in polars: frame.pivot(on={name!r}, index=[...], values={readings!r}). "
            f"If {readings!r} is one access point, give its column another name.",
        )


def _names_things(table: Table, column: str) -> bool:
    """Whether every cell is filled, the first is a text and no number, and not all are alike."""
    if not table.holds_text(column):
        return False
    cells = table.text(column)
    try:
        float(cells[0])
    except ValueError:
        return len(set(cells)) > 1 and not set(cells) & {"", *EMPTY}
    return False


def _rssi(table: Table, points: tuple[str, ...], options: Options) -> FloatArray:
    """Columns of RSSI [R, P] dBm; refuses what no radio can report, with the place."""
    rssi = np.column_stack([table.numbers(name, "RSSI in dBm") for name in points])
    if options.get("not_heard") is not None:
        rssi[rssi == number(options, "not_heard", 0.0)] = np.nan
    with np.errstate(invalid="ignore"):
        bad = np.argwhere((rssi < RSSI_MIN) | (rssi > RSSI_MAX) | np.isinf(rssi))
    if len(bad):
        row, column = (int(index) for index in bad[0])
        raise DataError(
            f"no radio reports this; expected {RSSI_MIN:g}..{RSSI_MAX:g} dBm "
            f"({counted(len(bad), 'such cell')})",
            path=table.path,
            line=int(table.lines[row]),
            column=points[column],
            value=float(rssi[row, column]),
            hint=f"Empty the cell, name the number that means not heard with {flag('not_heard')}, or, if the "
            f"column is no access point, those that are with {flag('access_points')}.",
        )
    if np.isnan(rssi).all():
        raise DataError(
            f"no access point is heard in {counted(len(table), 'row')} ({', '.join(points[:6])})",
            path=table.path,
            hint=f"Name the columns with RSSI with {flag('access_points')}.",
        )
    return rssi


# --- sessions ---------------------------------------------------------------------------------------------


def _sessions(table: Table, column: str, time: FloatArray) -> list[tuple[str, npt.NDArray[np.int64]]]:
    """(name, its rows): by date where every time is one, else in the order in which they first appear."""
    if not column:
        return [("all", np.arange(len(table)))]
    cells = table.text(column)
    empty = np.flatnonzero(cells == "")
    if len(empty):
        raise DataError(
            f"the session has no name ({counted(len(empty), 'such row')})",
            path=table.path,
            line=int(table.lines[empty[0]]),
            column=column,
            hint="Name the session in every row, or leave the rows out.",
        )
    found, first = np.unique(cells, return_index=True)
    order = np.argsort(first)
    if time.min() > DATED:
        order = order[np.argsort(time[first[order]], kind="stable")]
    return [(str(found[index]), np.flatnonzero(cells == found[index])) for index in order]


def _check_order(
    table: Table, time: FloatArray, rows: npt.NDArray[np.int64], column: str, session: str
) -> None:
    back = np.flatnonzero(np.diff(time[rows]) < 0)
    if len(back):
        row = rows[int(back[0]) + 1]
        by = time[rows[int(back[0])]] - time[row]
        within = f" within session {session!r}" if session else ""
        raise DataError(
            f"time runs backwards{within}, by {by:.3f} s ({counted(len(back), 'time')})",
            path=table.path,
            line=int(table.lines[row]),
            column=column,
            value=str(table.frame[column][int(row)]),
            hint="Sort the rows by time, or give each recording its own session name.",
        )


def _join(
    time: FloatArray,
    rssi: FloatArray,
    rooms: TextArray | None,
    moves: FloatArray | None,
    places: FloatArray | None,
    rows: npt.NDArray[np.int64],
    points: tuple[str, ...],
    session: str,
) -> tuple[Recording, int, int]:
    """One session; rows of equal time become one sample, whose later readings win, and whose later room. With
    it how many rows were joined, and how many samples had two rooms.
    """
    moments, at = np.unique(time[rows], return_inverse=True)
    values = np.full((len(moments), len(points)), np.nan)
    row, column = np.nonzero(~np.isnan(rssi[rows]))
    values[at[row], column] = rssi[rows][row, column]
    last = np.empty(len(moments), np.int64)
    last[at] = rows
    named, two = last.copy(), 0
    if rooms is not None:
        filled = rooms[rows] != ""
        named[at[filled]] = rows[filled]
        differs = np.zeros(len(moments), bool)
        differs[at[filled & (rooms[rows] != rooms[named[at]])]] = True
        two = int(differs.sum())
    recording = Recording(
        time=moments,
        rssi=values,
        access_points=points,
        session=session,
        room=None if rooms is None else rooms[named],
        acceleration=None if moves is None else moves[last],
        position=None if places is None else places[last],
    )
    return recording, len(rows) - len(moments), two


def _rooms(table: Table, column: str) -> TextArray:
    """The rooms [R]; the empty string where a cell names none."""
    rooms = table.text(column)
    rooms[np.isin(np.char.lower(rooms), list(UNKNOWN_ROOMS))] = ""
    return rooms


def _check_enough(table: Table, recordings: Sequence[Recording], room_column: str) -> None:
    count = sum(len(recording) for recording in recordings)
    if count < 3 * STEPS:
        raise DataError(
            f"{counted(count, 'sample')}; training, validation and test together need {3 * STEPS} at least",
            path=table.path,
            hint="Record for longer.",
        )
    known = rooms_of(recordings)
    if len(known) < 2:
        found = f"only {known[0]!r}" if known else "no room at all"
        raise DataError(
            f"{found} is annotated; a room model needs two rooms or more",
            path=table.path,
            column=room_column or None,
            hint=f"Fill the column, or name another one with {flag('room')}.",
        )


# --- who tests --------------------------------------------------------------------------------------------


def divide(
    path: Path,
    recordings: Sequence[Recording],
    test_names: tuple[str, ...],
    val_names: tuple[str, ...],
    select_names: tuple[str, ...] = (),
) -> Division:
    """Give out whole sessions, or the end of the time where there are too few."""
    known = {recording.session: recording for recording in recordings}
    for name in (*test_names, *val_names, *select_names):
        if name not in known:
            raise SplitError(
                f"{path}: there is no session {name!r}; it has {', '.join(list(known)[:12])}",
                hint=nearest(name, tuple(known)),
            )
    tasks = (("test", test_names), ("validate", val_names), ("select", select_names))
    for (one, mine), (other, others) in itertools.combinations(tasks, 2):
        both = sorted(set(mine) & set(others))
        if both:
            raise SplitError(f"session {both[0]!r} is to {one} and to {other}", hint="Name it once.")
    named = {*test_names, *val_names, *select_names}
    rest = [recording for recording in recordings if recording.session not in named]
    test = [known[name] for name in test_names]
    validation = [known[name] for name in val_names]
    selection = [known[name] for name in select_names]
    said = []
    folds: tuple[Fold, ...] = ()
    if not test and len(rest) >= 2:
        count = max(1, round(len(rest) / 3))
        rest, test = rest[:-count], rest[-count:]
    elif not test and rest:
        early, late = split_time(rest[-1], TEST_SHARE, BORDER)
        rest, test = [*rest[:-1], early], [late]
        said.append(f"the last {TEST_SHARE:.0%} of the time tests")
    if not rest:
        raise SplitError(
            "no session is left to train", hint="Name fewer sessions to test, validate and select."
        )
    if not validation and len(rest) >= 2:
        count = max(1, round(len(rest) * VALIDATION_SHARE))
        rest, validation = rest[:-count], rest[-count:]
    elif not validation:
        folds = fold_time(rest, BORDER)
        early, late = split_time(rest[0], VALIDATION_SHARE, BORDER)
        rest, validation = [early], [late]
        said.append(f"the last {VALIDATION_SHARE:.0%} of the time before that validates")
    _check_rooms(path, rest, (("test", test), ("validation", validation), ("selection", selection)))
    roles = (("train", rest), ("validate", validation), ("select", selection), ("test", test))
    listed = "; ".join(f"to {role}: {_count(members)}" for role, members in roles if members)
    ends = f" ({', '.join(said)}, with {BORDER:g} s left out at each border)" if said else ""
    said_so = f"Sessions {listed}{ends}."
    return Division(tuple(rest), tuple(validation), tuple(test), said_so, folds, tuple(selection))


def _check_rooms(path: Path, train: list[Recording], judges: Sequence[tuple[str, list[Recording]]]) -> None:
    seen = set(rooms_of(train))
    for role, members in judges:
        for recording in members:
            strange = sorted(set(rooms_of([recording])) - seen)
            if strange:
                raise SplitError(
                    f"{path}: {role} session {recording.session!r} enters room {strange[0]!r}, which is "
                    f"never seen in training (it knows {', '.join(sorted(seen)[:8]) or 'none'})",
                    hint="Let a session with that room train: name others to test, validate or select.",
                )


def _count(members: Sequence[Recording], most: int = 6) -> str:
    shown = ", ".join(recording.session for recording in members[:most])
    return shown + (f" and {len(members) - most} more" if len(members) > most else "")
