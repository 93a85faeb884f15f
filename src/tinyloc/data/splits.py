"""Who trains, who validates, who tests.

A protocol divides *samples* before any window is cut: each set is made of its own recordings, or of its own
stretch of a recording (`Recording.part`). A window is then cut from one recording alone, so no sample can
reach two sets, whatever the hop. Shuffling windows across time is not offered.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tinyloc.data.recording import Recording
from tinyloc.data.windows import FILL_SECONDS, Windows, WindowSets, make_windows
from tinyloc.data.words import counted, flag
from tinyloc.errors import SplitError

FEW_WINDOWS = 50
"""A test of fewer gets a note: one window more or less is 2 points of accuracy."""


@dataclass(frozen=True)
class Protocol:
    """How a source becomes windows.

    `steps` T; `hop` steps between the windows that validate and test; `train_hop` the same for training
    (0: as `hop`); `seconds_per_step` s (0: one sample is one window); `fill_seconds` s; `gap_seconds` s
    (None: the longer of 3 s and five steps).
    """

    steps: int
    hop: int
    seconds_per_step: float
    fill_seconds: float = FILL_SECONDS
    gap_seconds: float | None = None
    train_hop: int = 0


@dataclass(frozen=True)
class Fold:
    """Who trains and who validates in one round of a cross-validation."""

    train: tuple[Recording, ...]
    validation: tuple[Recording, ...]


@dataclass(frozen=True)
class Division:
    """The recordings of the three sets, what selects, and one plain sentence on how they were chosen.

    `folds`: the rounds of a cross-validation on what trains and validates; empty where those are whole
    sessions, each of which then validates in turn (`folds.py`). `selection`: recordings by which a study
    chooses its winners; no training reads them.
    """

    train: tuple[Recording, ...]
    validation: tuple[Recording, ...]
    test: tuple[Recording, ...]
    description: str
    folds: tuple[Fold, ...] = ()
    selection: tuple[Recording, ...] = ()


@dataclass(frozen=True)
class Material:
    """What a source delivers: divided recordings, its protocol, and what it left out or mended.

    `unused`: recordings of the source that no set uses (shown by `data show`). `rooms`: the order of the
    rooms where the source has one; others follow sorted.
    """

    name: str
    division: Division
    protocol: Protocol
    licence: str
    citation: str
    simulated: bool = False
    notes: tuple[str, ...] = ()
    unused: tuple[Recording, ...] = field(default=())
    rooms: tuple[str, ...] = ()


def split_time(recording: Recording, share: float, gap_seconds: float = 0.0) -> tuple[Recording, Recording]:
    """The first `1 - share` of a recording's time and the rest, `gap_seconds` of it left out between.

    The parts are named after the session with ``:start`` and ``:end``. Raises SplitError when either part
    would hold no sample.
    """
    border = recording.time[0] + (1.0 - share) * recording.duration
    stop = int(np.searchsorted(recording.time, border - gap_seconds / 2, side="left"))
    start = int(np.searchsorted(recording.time, border + gap_seconds / 2, side="left"))
    if stop < 1 or start >= len(recording):
        raise SplitError(
            f"session {recording.session!r} is too short to be divided: {len(recording)} samples over "
            f"{recording.duration:.1f} s",
            hint="Record for longer, or record several sessions.",
        )
    return (
        recording.part(0, stop, f"{recording.session}:start"),
        recording.part(start, len(recording), f"{recording.session}:end"),
    )


def split_quarter(
    recording: Recording, quarter: int, gap_seconds: float
) -> tuple[list[Recording], list[Recording]]:
    """The `quarter` (0 to 3) of a recording's time apart from what lies around it, `gap_seconds` of which are
    left out at both borders. Returns (around, quarter), without parts that hold no sample.
    """
    edges = recording.time[0] + recording.duration * np.array([quarter, quarter + 1]) / 4
    time, half = recording.time, gap_seconds / 2
    last = len(recording) if quarter == 3 else int(np.searchsorted(time, edges[1] - half))
    after = len(recording) if quarter == 3 else int(np.searchsorted(time, edges[1] + half))
    first = 0 if quarter == 0 else int(np.searchsorted(time, edges[0] + half))
    before = 0 if quarter == 0 else int(np.searchsorted(time, edges[0] - half))
    name = f"{recording.session}:{quarter + 1}"
    around = [(0, before, f"{name} before"), (after, len(recording), f"{name} after")]
    held = [(first, last, name)]

    def parts(pieces: list[tuple[int, int, str]]) -> list[Recording]:
        return [recording.part(*piece) for piece in pieces if piece[1] > piece[0]]

    return parts(around), parts(held)


def rooms_of(recordings: Sequence[Recording]) -> tuple[str, ...]:
    """Rooms that the recordings name, sorted; the empty string is none."""
    names: set[str] = set()
    for recording in recordings:
        if recording.room is not None:
            names.update(str(name) for name in np.unique(recording.room))
    return tuple(sorted(names - {""}))


def rooms_in_order(material: Material) -> tuple[str, ...]:
    """The rooms that training knows: in the source's order where it has one, the others sorted."""
    named = rooms_of(material.division.train)
    return (*(name for name in material.rooms if name in named), *sorted(set(named) - set(material.rooms)))


def cut(
    protocol: Protocol, recordings: Sequence[Recording], rooms: Sequence[str], *, train: bool = False
) -> Windows:
    """The recordings' windows as the protocol wants them, to `train` or to be judged by."""
    hop = (protocol.train_hop or protocol.hop) if train else protocol.hop
    return make_windows(
        recordings,
        rooms,
        protocol.steps,
        hop,
        protocol.seconds_per_step,
        protocol.fill_seconds,
        protocol.gap_seconds,
    )


def build_sets(material: Material) -> WindowSets:
    """Windows of all three sets. Raises SplitError when they cannot train, validate and test a model."""
    division, protocol = material.division, material.protocol
    rooms = rooms_in_order(material)
    if len(rooms) < 2:
        found = f"only {rooms[0]!r}" if rooms else "none"
        raise SplitError(
            f"{material.name}: the training sessions name {found}; a room model needs two rooms or more",
            hint="Annotate another room, or choose other test and validation sessions.",
        )
    sets: dict[str, Windows] = {}
    for role, recordings in (
        ("train", division.train),
        ("validation", division.validation),
        ("test", division.test),
    ):
        windows = cut(protocol, recordings, rooms, train=role == "train")
        if not len(windows):
            longest = max(recording.duration for recording in recordings)
            raise SplitError(
                f"{material.name}: no {role} window: {counted(sum(map(len, recordings)), 'sample')}; "
                f"the longest session lasts {longest:.1f} s, "
                f"a window {protocol.steps * protocol.seconds_per_step:.1f} s",
                hint=f"Record for longer, shorten the windows ({flag('steps')}), or annotate more of it.",
            )
        sets[role] = windows
    seen = np.unique(sets["train"].room)
    if len(seen) < len(rooms):
        missing = rooms[int(np.setdiff1d(np.arange(len(rooms)), seen)[0])]
        raise SplitError(
            f"{material.name}: room {missing!r} is too short to fill one training window",
            hint=f"Record more of it, shorten the windows ({flag('steps')}), or leave its name empty.",
        )
    return WindowSets(
        name=material.name,
        train=sets["train"],
        validation=sets["validation"],
        test=sets["test"],
        description=division.description,
        licence=material.licence,
        citation=material.citation,
        simulated=material.simulated,
        notes=material.notes + _unjudged(sets["validation"], sets["test"]),
    )


def _unjudged(validation: Windows, test: Windows) -> tuple[str, ...]:
    """Notes on what validation or test cannot say: rooms that they never enter, a test of a few windows."""
    notes: list[str] = []
    for windows, which, what in (
        (validation, "validation", "no choice was judged there"),
        (test, "test", "nothing says how often an answer is right there"),
    ):
        absent = np.setdiff1d(np.arange(len(windows.rooms)), windows.room)
        if len(absent):
            named = ", ".join(windows.rooms[int(room)] for room in absent[:6])
            more = f" and {len(absent) - 6} more" if len(absent) > 6 else ""
            notes.append(f"Not in {which}: {named}{more}; {what}.")
    if len(test) < FEW_WINDOWS:
        notes.append(
            f"Only {counted(len(test), 'window')} test{'s' * (len(test) == 1)}: too few to tell much."
        )
    return tuple(notes)


def split_stays(
    recording: Recording, share: float, centre: float = 0.5
) -> tuple[list[Recording], list[Recording]]:
    """A `share` of the time of every stay in a room, around its `centre` (0 to 1), apart from the rest.

    For a recording that visits each room once: its end alone would not know them all, and the end of each
    stay would be a place that the rest has never been near. The parts are recordings of their own, so no
    window joins them. Returns (around, middle).
    """
    if recording.room is None:
        raise SplitError(f"session {recording.session!r} has no rooms to be divided by")
    borders = np.flatnonzero(recording.room[1:] != recording.room[:-1]) + 1
    edges = [0, *(int(border) for border in borders), len(recording)]
    around: list[Recording] = []
    middle: list[Recording] = []
    for number, (start, stop) in enumerate(itertools.pairwise(edges), start=1):
        time = recording.time[start:stop]
        borders_of = time[0] + (time[-1] - time[0]) * np.array((centre - share / 2, centre + share / 2))
        first, last = (start + int(index) for index in np.searchsorted(time, borders_of))
        name = f"{recording.session}:stay {number}"
        pieces = (
            (around, start, first, "before"),
            (middle, first, last, "middle"),
            (around, last, stop, "after"),
        )
        for pile, low, high, which in pieces:
            if high > low:
                pile.append(recording.part(low, high, f"{name} {which}"))
    return around, middle
