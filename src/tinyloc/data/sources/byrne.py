"""`byrne:A` .. `byrne:D`: four houses, people with a wearable on the wrist (Byrne et al. 2018).

A wearable sends Bluetooth packets at 5 Hz, 8 or 11 access points note their RSSI in dBm, and annotated
floor tags say where its wearer was; the room is the one that `room_tags` gives the tag. An annotation holds
until the next if that one names the same room, else for 10 s (option `hold_seconds`). Where several
wearables were heard in a recording, the one that was heard most often is read, and the page says so. The
packets of all access points are laid on one grid of 5 Hz, the newest of a step per access point. Where the
data folder holds the authors' flat tables only, those are read: no time, no acceleration, already filled.

The fingerprint walk trains with the first three quarters of its time and validates with the last, one second
left out between. A walk that goes through the house once has other rooms at its end than before; where that
loses a room in either set, the last quarter of the time *in each room* validates instead, again with a second
left out at every border. All free-living recordings test. A room without one training window cannot be
learned: its time is left without a room, and a note says so.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from tinyloc.data.folds import QUARTERS, fold_time, together
from tinyloc.data.recording import Recording
from tinyloc.data.sources.base import Options, RemoteFile, Source, choose, number
from tinyloc.data.sources.byrne_files import NAME, Tree, find_flat, find_tree, is_here, read_house
from tinyloc.data.sources.byrne_recordings import STEP, read_experiment, read_flat, to_g
from tinyloc.data.splits import Division, Fold, Material, Protocol, rooms_of, split_time
from tinyloc.data.windows import gap_for, make_windows
from tinyloc.errors import AbsentError, DataError, SplitError

STEPS, HOP = 20, 10
VALIDATION_SHARE = 0.25
BORDER = 1.0
HOLD = 10.0
"""How long an annotation holds where the next names another room, s."""
ROOMS = {
    "A": ("hallway_entrance", "bedroom", "living_area", "bathroom"),
    "B": (
        *("hallway_lower", "kitchen", "living_room", "dining_room", "stairs_lower", "stairs_upper"),
        *("bathroom", "hallway_upper", "bedroom_2", "bedroom_1", "toilet"),
    ),
    "C": (
        *("living_room", "kitchen", "stairs", "outside", "hallway", "bathroom"),
        *("bedroom-2", "bedroom-1", "study"),
    ),
    "D": (
        *("hallway_lower", "living_area_A", "living_area_B", "kitchen", "outside", "stairs"),
        *("bathroom", "hallway_upper", "bedroom_2", "bedroom_1"),
    ),
}
"""The rooms 1..K of the flat tables, as the paper names them."""
POINTS = {"A": 8, "B": 11, "C": 11, "D": 11}
"""Access points of the flat tables."""


@dataclass(frozen=True)
class _Read:
    """What either form gives: walks and free-living recordings, the rooms' order, notes, the filling."""

    walks: list[Recording]
    living: list[Recording]
    rooms: tuple[str, ...]
    notes: list[str]
    fill_seconds: float


def load_house(house: str, folder: Path, options: Options) -> Material:
    """Read and divide one house."""
    form = choose(options, "form", "any", ("any", "published", "flat"))
    tree = None if form == "flat" else find_tree(folder, house)
    flat = None if form == "published" else find_flat(folder, house)
    if tree is not None:
        read = _read_tree(tree, options)
    elif flat is not None:
        read = _read_tables(house, flat)
    else:
        raise AbsentError(f"house {house} is not here in the form {form!r}", path=folder)
    train, validation, who, folds = divide(read.walks)
    sets, lost = _without_unlearnable((train, validation, read.living))
    tests = (
        "1 free-living recording tests"
        if len(sets[2]) == 1
        else f"{len(sets[2])} free-living recordings test"
    )
    known = rooms_of(sets[0])
    folds = tuple(Fold(tuple(_only(one.train, known)), tuple(_only(one.validation, known))) for one in folds)
    division = Division(tuple(sets[0]), tuple(sets[1]), tuple(sets[2]), f"{who}; {tests}.", folds)
    protocol = Protocol(STEPS, HOP, STEP, fill_seconds=read.fill_seconds)
    source = SOURCES[house]
    return Material(
        source.name,
        division,
        protocol,
        source.licence,
        source.citation,
        notes=(*read.notes, *lost),
        rooms=read.rooms,
    )


def divide(
    walks: Sequence[Recording],
) -> tuple[list[Recording], list[Recording], str, tuple[Fold, ...]]:
    """(training, validation, who is which, folds) of the fingerprint walks; see the module's head."""
    pairs = [split_time(walk, VALIDATION_SHARE, BORDER) for walk in walks]
    train, validation = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    rooms = rooms_of(walks)
    missing = sorted(set(rooms) - (_learnable(train, rooms) & _learnable(validation, rooms)))
    if not missing:
        return (
            train,
            validation,
            "The first three quarters of the fingerprint walk's time train and the last quarter validates "
            "(one second is left out between)",
            fold_time(walks, BORDER),
        )
    folds = tuple(
        together(split_rooms(walk, 1 / QUARTERS, BORDER, (quarter + 1) / QUARTERS) for walk in walks)
        for quarter in range(QUARTERS)
    )
    last = together(split_rooms(walk, VALIDATION_SHARE, BORDER) for walk in walks)
    return (
        list(last.train),
        list(last.validation),
        f"The plain last quarter of the fingerprint walk would leave {', '.join(missing)} out of training or "
        "validation, so the first three quarters of its time in each room train and the last quarter "
        "validates (one second is left out at every border)",
        folds,
    )


def split_rooms(
    recording: Recording, share: float, gap_seconds: float, end: float = 1.0
) -> tuple[list[Recording], list[Recording]]:
    """A `share` of the time in each room, up to its `end` (0 to 1), apart from the rest: (rest, share), as
    recordings of their own.

    Samples without a room go with those before them. Where the two meet, `gap_seconds` are left out.
    """
    if recording.room is None:
        raise SplitError(f"session {recording.session!r} has no rooms to be divided by")
    time, room = recording.time, recording.room
    steps = np.append(np.diff(time), STEP)
    spent = np.where(steps > gap_for(STEP), STEP, steps)
    late = np.zeros(len(recording), bool)
    for name in rooms_of([recording]):
        rows = np.flatnonzero(room == name)
        passed = np.cumsum(spent[rows])
        late[rows] = (passed > (end - share) * passed[-1]) & (passed <= end * passed[-1])
    named = np.where(room != "", np.arange(len(recording)), 0)
    late = late[np.maximum.accumulate(named)]
    borders = np.flatnonzero(late[1:] != late[:-1]) + 1
    keep = np.ones(len(recording), bool)
    for border in borders:
        middle = (time[border - 1] + time[border]) / 2
        first, last = np.searchsorted(time, (middle - gap_seconds / 2, middle + gap_seconds / 2))
        keep[first:last] = False
    piles: tuple[list[Recording], list[Recording]] = ([], [])
    for start, stop in itertools.pairwise([0, *(int(border) for border in borders), len(recording)]):
        rows = start + np.flatnonzero(keep[start:stop])
        if len(rows):
            pile = piles[int(late[start])]
            which = "end" if late[start] else "start"
            pile.append(
                recording.part(
                    int(rows[0]), int(rows[-1]) + 1, f"{recording.session}:{which} {len(pile) + 1}"
                )
            )
    return piles


def _learnable(recordings: Sequence[Recording], rooms: tuple[str, ...]) -> set[str]:
    """The rooms in which at least one window ends."""
    if not recordings:
        return set()
    windows = make_windows(recordings, rooms, STEPS, HOP, STEP)
    return {rooms[index] for index in np.unique(windows.room)}


def _without_unlearnable(sets: Sequence[Sequence[Recording]]) -> tuple[list[list[Recording]], list[str]]:
    """The sets with no room that training has no window of, and a note for each such room."""
    known = _learnable(sets[0], rooms_of(sets[0]))
    lost = [name for name in rooms_of([one for part in sets for one in part]) if name not in known]
    if not lost:
        return [list(part) for part in sets], []

    notes = []
    for name in lost:
        seconds = [STEP * sum(np.count_nonzero(one.room == name) for one in part) for part in sets]
        notes.append(
            f"Room {name} has no training window; its {sum(seconds):.0f} s ({seconds[2]:.0f} s of the test) "
            "are left without a room."
        )
    return [_only(part, sorted(known)) for part in sets], notes


def _only(recordings: Sequence[Recording], rooms: Sequence[str]) -> list[Recording]:
    """The recordings without the names of other rooms than these."""
    return [
        one if one.room is None else replace(one, room=np.where(np.isin(one.room, rooms), one.room, ""))
        for one in recordings
    ]


def _read_tree(tree: Tree, options: Options) -> _Read:
    hold = number(options, "hold_seconds", HOLD)
    wearable = str(options.get("wearable", ""))
    house = read_house(tree)
    notes = list(house.notes)
    names = tree.experiments()
    kinds = {kind: [name for name in names if name.startswith(kind)] for kind in ("fingerprint", "living")}
    for kind, found in kinds.items():
        if not found:
            raise DataError(
                f"the house holds no recording whose name begins with {kind!r}",
                path=tree.shown("experiments"),
                hint=f"It holds {', '.join(names) or 'none'}. Unpack or fetch the data set again.",
            )
    other = [name for name in names if name not in kinds["fingerprint"] + kinds["living"]]
    if other:
        notes.append(f"Recordings that no set uses: {', '.join(other)}.")
    read: dict[str, list[Recording]] = {"fingerprint": [], "living": []}
    for kind, found in kinds.items():
        for name in found:
            recording, more = read_experiment(tree, name, house, wearable, hold)
            read[kind].append(recording)
            notes += more
    both = read["fingerprint"] + read["living"]
    still = [one.session for one in both if one.acceleration is None]
    if still:
        notes.append(f"No accelerometer in {', '.join(still)}: acceleration is left out of the whole house.")
        read = {kind: [replace(one, acceleration=None) for one in part] for kind, part in read.items()}
    else:
        moves = np.concatenate([one.acceleration for one in both if one.acceleration is not None])
        divisor, unit = to_g(moves)
        read = {kind: [_in_g(one, divisor) for one in part] for kind, part in read.items()}
        if unit != "g":
            notes.append(f"Acceleration was read in {unit}, which its median length tells.")
    return _Read(read["fingerprint"], read["living"], house.rooms, notes, 1.0)


def _in_g(recording: Recording, divisor: float) -> Recording:
    assert recording.acceleration is not None
    return replace(recording, acceleration=recording.acceleration / divisor)


def _read_tables(house: str, paths: tuple[Path, Path]) -> _Read:
    rooms = ROOMS[house]
    walks, notes = read_flat(paths[0], POINTS[house], rooms, "fingerprint")
    living, more = read_flat(paths[1], POINTS[house], rooms, "living")
    if walks[0].access_points != living[0].access_points:
        raise DataError(
            f"its access points are {', '.join(living[0].access_points)}, those of {paths[0].name} are "
            f"{', '.join(walks[0].access_points)}",
            path=paths[1],
            line=1,
        )
    notes += [*more, "Read from the flat tables: no acceleration, and values were already filled there."]
    return _Read(walks, living, rooms, notes, 0.0)


_TITLES = {
    "A": "house A: a flat with one bedroom",
    "B": "house B: two bedrooms on two floors",
    "C": "house C: three bedrooms on two floors",
    "D": "house D: two bedrooms on two floors",
}


def _source(house: str) -> Source:
    return Source(
        name=f"byrne:{house}",
        title=f"{_TITLES[house]}, a wearable on the wrist",
        signals=f"{POINTS[house]} BLE access points at 5 Hz, accelerometer",
        truth=f"annotated floor tags; {len(ROOMS[house])} rooms",
        licence="see figshare 6051794",
        citation=(
            "D. Byrne, M. Kozlowski, R. Santos-Rodriguez, R. Piechocki, I. Craddock, Residential wearable "
            "RSSI and accelerometer measurements with detailed location annotations, Scientific Data "
            "5:180168, 2018"
        ),
        home="https://figshare.com/articles/dataset/6051794",
        folder="byrne",
        needs=(f"{NAME}.zip",),
        load=partial(load_house, house),
        remote=(RemoteFile(f"{NAME}.zip", "https://ndownloader.figshare.com/files/14220518"),),
        options={
            "wearable": "which wearable_id to read (default: the one heard most often, in each recording)",
            "hold_seconds": "how long an annotation holds before one of another room, s (default 10)",
            "form": "published, flat, or any (default: published where it is here)",
        },
        found=lambda folder: is_here(folder, house),
    )


SOURCES = {house: _source(house) for house in ROOMS}
