"""Reading one recording of Byrne et al.'s houses, from the tree's packets or from a flat table."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tinyloc.data.recording import FloatArray, Recording, TextArray
from tinyloc.data.sources.base import STANDARD_GRAVITY, keep_possible
from tinyloc.data.sources.byrne_files import AGAIN, House, Tree
from tinyloc.data.sources.times import read_time
from tinyloc.data.table import Table, parse_csv, read_csv
from tinyloc.data.words import counted
from tinyloc.errors import DataError

STEP = 0.2
"""Seconds between two packets of the wearable, and the grid."""
FRESH = 1.0
"""How long a reading of the accelerometer stands, s."""
UNHEARD = -120.0
"""How the flat form writes "not heard", dBm."""

IntArray = npt.NDArray[np.int64]


def read_experiment(
    tree: Tree, experiment: str, house: House, wearable: str, hold_seconds: float
) -> tuple[Recording, tuple[str, ...]]:
    """One recording on the 5 Hz grid with its rooms, and notes. Its acceleration is in the file's unit.

    `wearable`: which one, "" for the one that was heard most often here. `hold_seconds`: see
    `rooms_at`.
    """
    table = _table(tree, experiment, "rx_wearable_data", ("timestamp", "ap_id", "wearable_id", "rssi"))
    worn = table.text("wearable_id")
    counts = Counter(str(name) for name in worn)
    chosen = wearable or min(counts, key=lambda name: (-counts[name], name))
    notes: list[str] = []
    if chosen not in counts:
        raise DataError(
            f"wearable {chosen!r} was not heard",
            path=table.path,
            column="wearable_id",
            value=chosen,
            hint=f"Heard were {', '.join(sorted(counts))}.",
        )
    if len(counts) > 1:
        others = ", ".join(f"{counts[name]} of {name}" for name in sorted(counts) if name != chosen)
        notes.append(
            f"{experiment}: wearable {chosen} is read ({counted(counts[chosen], 'packet')}); "
            f"left out: {others}."
        )
    point = _points(tree, experiment, table, house)
    strange = int((point < 0).sum())
    if strange == len(table):
        row = 0
        raise DataError(
            f"no packet is from an access point of the metadata ({', '.join(map(str, house.points))})",
            path=table.path,
            line=int(table.lines[row]),
            column="ap_id",
            value=str(table.text("ap_id")[row]),
        )
    if strange:
        notes.append(
            f"{experiment}: {counted(strange, 'packet')} of access points that the metadata lack dropped."
        )
    power, more = keep_possible(table.numbers("rssi", "dBm"), "packet", experiment)
    time, unit = read_time(table, "timestamp")
    keep = (worn == chosen) & (point >= 0) & ~np.isnan(power)
    if not keep.any():
        raise DataError(f"wearable {chosen!r} sent no packet with an RSSI", path=table.path, column="rssi")
    order = np.flatnonzero(keep)[np.argsort(time[keep], kind="stable")]
    begin = float(time[order[0]])
    at = np.floor((time[order] - begin) / STEP + 0.5).astype(np.int64)
    steps, row_of = np.unique(at, return_inverse=True)
    rssi = np.full((len(steps), len(house.points)), np.nan)
    rssi[row_of, point[order]] = power[order]  # a repeated index keeps the last: the newest packet
    grid = (begin + steps * STEP).astype(np.float64)
    room, about = _rooms(tree, experiment, house, grid, hold_seconds)
    recording = Recording(
        time=grid,
        rssi=rssi,
        access_points=tuple(house.points.values()),
        session=experiment,
        room=room,
        acceleration=_acceleration(tree, experiment, chosen, grid),
    )
    return recording, (*notes, *more, *unit, *about)


def rooms_at(grid: FloatArray, time: FloatArray, room: TextArray, hold_seconds: float) -> TextArray:
    """The annotated room at each moment of `grid` [T] s, "" where none is known.

    A moment takes the latest annotation before it, if the next one names the same room, or else for
    `hold_seconds`. `time` [R] s ascending.
    """
    if not len(time):
        return np.full(len(grid), "", dtype=np.str_)
    latest = np.searchsorted(time, grid + 1e-6, side="right") - 1
    after = np.minimum(latest + 1, len(time) - 1)
    stays = (room[after] == room[latest]) & (after > latest)
    known = (latest >= 0) & (stays | (grid - time[latest] <= hold_seconds))
    return np.where(known, room[latest], "")


def to_g(acceleration: FloatArray) -> tuple[float, str]:
    """What divides these readings [T, 3] into g, and its unit's name, told by their median length.

    At rest the length is 1 g: 1, or 9.8 in m/s^2, or 1000 in mg.
    """
    size = np.linalg.norm(acceleration[~np.isnan(acceleration).any(axis=1)], axis=1)
    middle = float(np.median(size)) if len(size) else 1.0
    if middle >= 100:
        return 1000.0, "mg"
    return (STANDARD_GRAVITY, "m/s^2") if middle >= 4 else (1.0, "g")


def read_flat(
    path: Path, points: int, rooms: tuple[str, ...], name: str
) -> tuple[list[Recording], list[str]]:
    """A flat table as recordings, and notes. A row is a step of the grid; rooms are numbered 1..K.

    The first column is an index; where it goes back, another recording begins.
    """
    table = read_csv(path)
    if len(table.columns) < points + 2:
        raise DataError(
            f"{len(table.columns)} columns, expected an index, {points} access points and the room",
            path=path,
            line=1,
            hint="Is this the table of another house?",
        )
    names, label = table.columns[1 : points + 1], table.columns[points + 1]
    rssi = np.column_stack([table.numbers(column, "dBm") for column in names])
    rssi, notes = keep_possible(np.where(rssi <= UNHEARD, np.nan, rssi), "reading", path.name)
    number = _whole(table, label, f"a room, 1..{len(rooms)}")
    wrong = np.flatnonzero((number < 1) | (number > len(rooms)))
    if len(wrong):
        row = int(wrong[0])
        raise DataError(
            f"there is no such room; expected 1..{len(rooms)}",
            path=path,
            line=int(table.lines[row]),
            column=label,
            value=int(number[row]),
        )
    room = np.array(rooms, dtype=np.str_)[number - 1]
    try:
        index = table.numbers(table.columns[0])
    except DataError:  # dates, say: the rows stand in their order all the same
        index = np.arange(len(table), dtype=np.float64)
    edges = [0, *(int(back) + 1 for back in np.flatnonzero(np.diff(index) < 0)), len(table)]
    time = (np.arange(len(table)) * STEP).astype(np.float64)
    whole = Recording(time, rssi, names, name, room)
    parts = [
        whole.part(start, stop, name if len(edges) == 2 else f"{name}_{count}")
        for count, (start, stop) in enumerate(itertools.pairwise(edges), start=1)
    ]
    return parts, list(notes)


def _table(tree: Tree, experiment: str, name: str, columns: tuple[str, ...]) -> Table:
    file = f"experiments/{experiment}/{name}.dat"
    table = parse_csv(tree.read(file), tree.shown(file))
    for column in columns:
        if column not in table.columns:
            raise DataError(
                f"there is no such column; the file has {', '.join(table.columns)}",
                path=table.path,
                line=1,
                column=column,
                hint=AGAIN,
            )
    return table


def _whole(table: Table, column: str, expected: str = "a whole number") -> IntArray:
    values = table.numbers(column, expected)
    with np.errstate(invalid="ignore"):
        wrong = ~(np.abs(values) < 2**53) | (values != np.rint(values))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(
            f"expected {expected}",
            path=table.path,
            line=int(table.lines[row]),
            column=column,
            value=str(table.text(column)[row]),
            hint=AGAIN,
        )
    return values.astype(np.int64)


def _points(tree: Tree, experiment: str, table: Table, house: House) -> IntArray:
    """Column of each packet's access point [R], -1 for one that the metadata lack.

    The recording's own list of MAC addresses leads to the metadata where both know all of them; else the
    numbers are the same.
    """
    keys = {key: key for key in house.points}
    file = f"experiments/{experiment}/ap_mac_ref.dat"
    if file in tree.members and house.addresses:
        listed = _table(tree, experiment, "ap_mac_ref", ("ap_id", "ap_mac_address"))
        text = [str(address).lower() for address in listed.text("ap_mac_address")]
        if all(house.addresses.get(address) in house.points for address in text):
            numbers = _whole(listed, "ap_id")
            keys = {int(n): house.addresses[address] for n, address in zip(numbers, text, strict=True)}
    column = {key: index for index, key in enumerate(house.points)}
    found, inverse = np.unique(_whole(table, "ap_id"), return_inverse=True)
    return np.array([column[keys[int(n)]] if int(n) in keys else -1 for n in found], np.int64)[inverse]


def _rooms(
    tree: Tree, experiment: str, house: House, grid: FloatArray, hold_seconds: float
) -> tuple[TextArray, list[str]]:
    table = _table(tree, experiment, "tag_annotations", ("timestamp", "tag"))
    tags = _whole(table, "tag", "the number of a floor tag")
    time, _ = read_time(table, "timestamp")
    order = np.argsort(time, kind="stable")
    room = np.array([house.tags.get(int(tag), "") for tag in tags], dtype=np.str_)
    strange = sorted({int(tag) for tag in tags if int(tag) not in house.tags})
    if not room.astype(bool).any():
        raise DataError(
            f"no annotation names a floor tag of room_tags ({len(table)} annotations)",
            path=table.path,
            line=int(table.lines[0]),
            column="tag",
            value=int(tags[0]),
        )
    notes: list[str] = []
    if strange:
        some = ", ".join(map(str, strange[:6])) + (" ..." if len(strange) > 6 else "")
        count = int((room == "").sum())
        notes.append(
            f"{experiment}: {count} annotations with tags that are in no room ({some}): no room then."
        )
    return rooms_at(grid, time[order], room[order], hold_seconds), notes


def _acceleration(tree: Tree, experiment: str, wearable: str, grid: FloatArray) -> FloatArray | None:
    """Newest reading of the first accelerometer at each step [T, 3], NaN where it is old; None without."""
    if f"experiments/{experiment}/accelerometer_filtered.dat" not in tree.members:
        return None
    axes = ("acc1x", "acc1y", "acc1z")
    table = _table(tree, experiment, "accelerometer_filtered", ("timestamp", *axes))
    values = np.column_stack([table.numbers(axis, "an acceleration") for axis in axes])
    time, _ = read_time(table, "timestamp")
    keep = np.isfinite(values).all(axis=1)
    if "wearable_id" in table.columns:
        keep &= table.text("wearable_id") == wearable
    if not keep.any():
        return None
    order = np.flatnonzero(keep)[np.argsort(time[keep], kind="stable")]
    newest = np.searchsorted(time[order], grid + STEP / 2, side="left") - 1
    fresh = (newest >= 0) & (grid - time[order][newest] <= FRESH)
    return np.where(fresh[:, None], values[order][newest], np.nan)
