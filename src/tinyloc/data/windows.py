"""Recordings -> windows: the only shape that models, quantisation and the device ever see.

A window is T samples on a regular grid from one session with no gap inside. RSSI is rounded here, once, to
the radio's own number: int8 dBm, -128 for "not heard". So the floating-point model, the forest, the integer
model and the device all read the same bytes.

The grid. A session is cut wherever two samples stand further apart than `gap_seconds`; each piece, a run,
gets its own grid, which starts at its first sample. A sample belongs to the step it is nearest to; where
two fall on one step, the later wins, per access point. An access point that is silent at a step keeps its
last value for up to `fill_seconds`, then counts as not heard. Room and position go the same way.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinyloc.data.recording import NOT_HEARD, FloatArray, Recording
from tinyloc.errors import SplitError, UsageError

FILL_SECONDS = 1.0
"""How long a value is held while its access point is silent, s (the paper's forward-fill)."""
_MOST_CELLS = 200_000_000
GAP_SECONDS = 3.0
"""Silence of all access points that ends a run, s, unless five steps of the grid are longer."""


@dataclass(frozen=True)
class Windows:
    """W windows of T steps over P access points.

    `rssi` [W, T, P] int8 dBm, -128 = not heard. `rooms_at` [W, T] int16 index into `rooms`, -1 = not
    annotated. `room` [W] int16: the room at the last step, which is the one that is scored (never -1).
    `session` [W] int32 index into `sessions`. `end_time` [W] s: time of the last step.
    `acceleration` [W, T, 3] float32 in g, or None. `positions_at` [W, T, 2] float32 in m, NaN where none was
    noted, or None: training may learn from them, and nothing else reads them. `rooms`, `access_points`,
    `sessions`: names. `seconds_per_step`: the grid, 0 where a window is a single sample. Windows stand in
    order of session and time.
    """

    rssi: npt.NDArray[np.int8]
    rooms_at: npt.NDArray[np.int16]
    room: npt.NDArray[np.int16]
    session: npt.NDArray[np.int32]
    end_time: npt.NDArray[np.float64]
    rooms: tuple[str, ...]
    access_points: tuple[str, ...]
    sessions: tuple[str, ...]
    seconds_per_step: float
    acceleration: npt.NDArray[np.float32] | None = None
    positions_at: npt.NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.rssi)

    @property
    def steps(self) -> int:
        """T, the time steps in one window."""
        return int(self.rssi.shape[1])

    def rows(self, chosen: slice | npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> Windows:
        """The chosen windows alone, as NumPy chooses rows of an array."""
        arrays = {name: getattr(self, name) for name in ARRAYS}
        return dataclasses.replace(self, **{name: a[chosen] for name, a in arrays.items() if a is not None})

    def only(self, access_points: tuple[str, ...]) -> Windows:
        """The same windows with these access points alone, in this order: what a model that reads them hears.

        Raises UsageError, naming them, where some are not there.
        """
        if access_points == self.access_points:
            return self
        at = {name: index for index, name in enumerate(self.access_points)}
        missing = [name for name in access_points if name not in at]
        if missing:
            raise UsageError(
                f"the model reads access points that these windows do not have: {_some(missing)}",
                hint="Give it windows of the data set that it was trained on.",
            )
        columns = [at[name] for name in access_points]
        rssi = np.ascontiguousarray(self.rssi[:, :, columns])
        return dataclasses.replace(self, rssi=rssi, access_points=access_points)


ARRAYS = ("rssi", "rooms_at", "room", "session", "end_time", "acceleration", "positions_at")
"""The fields of `Windows` that have a row for each window, where they are not None."""
OPTIONAL_ARRAYS = ("acceleration", "positions_at")


@dataclass(frozen=True)
class WindowSets:
    """What a protocol hands on: three disjoint sets of windows of one data set, and how they were made.

    `description` is one plain sentence on who trains, validates and tests, for the page.
    `simulated` is True for the simulator, so that every page can say so. `notes` says what was left out or
    mended on the way, one plain sentence each, with counts.
    """

    name: str
    train: Windows
    validation: Windows
    test: Windows
    description: str
    licence: str
    citation: str
    simulated: bool = False
    notes: tuple[str, ...] = ()

    def only(self, access_points: tuple[str, ...]) -> WindowSets:
        """`Windows.only` of all three sets."""
        if access_points == self.train.access_points:
            return self
        parts = (part.only(access_points) for part in (self.train, self.validation, self.test))
        train, validation, test = parts
        return dataclasses.replace(self, train=train, validation=validation, test=test)

    @property
    def digest(self) -> str:
        """SHA-256 over every number and name in the three sets: equal digests, equal data."""
        sha = hashlib.sha256()
        for part in (self.train, self.validation, self.test):
            sha.update(repr((part.rooms, part.access_points, part.sessions, part.seconds_per_step)).encode())
            arrays = (part.rssi, part.rooms_at, part.room, part.session, part.end_time, part.acceleration)
            for array in arrays:
                sha.update(b"none" if array is None else repr((array.dtype.str, array.shape)).encode())
                sha.update(b"" if array is None else np.ascontiguousarray(array).tobytes())
            if part.positions_at is not None:
                sha.update(repr(part.positions_at.shape).encode() + part.positions_at.tobytes())
        return sha.hexdigest()


def joined(first: Windows, second: Windows) -> Windows:
    """The windows of both, `first`'s before `second`'s; each keeps its sessions. Where one alone has
    positions, those of the other are not known.

    Raises SplitError unless rooms, access points, steps and the presence of acceleration agree.
    """
    shapes = [(w.rooms, w.access_points, w.steps, w.acceleration is None) for w in (first, second)]
    if shapes[0] != shapes[1]:
        raise SplitError("windows of different rooms, access points, lengths or signals cannot be joined")
    acceleration = positions_at = None
    if first.acceleration is not None and second.acceleration is not None:
        acceleration = np.concatenate([first.acceleration, second.acceleration])
    if not (first.positions_at is None and second.positions_at is None):
        positions_at = np.concatenate([_positions(first), _positions(second)])
    return dataclasses.replace(
        first,
        rssi=np.concatenate([first.rssi, second.rssi]),
        rooms_at=np.concatenate([first.rooms_at, second.rooms_at]),
        room=np.concatenate([first.room, second.room]),
        session=np.concatenate([first.session, second.session + np.int32(len(first.sessions))]),
        end_time=np.concatenate([first.end_time, second.end_time]),
        sessions=first.sessions + second.sessions,
        acceleration=acceleration,
        positions_at=positions_at,
    )


def _positions(windows: Windows) -> npt.NDArray[np.float32]:
    if windows.positions_at is None:
        return np.full((*windows.rooms_at.shape, 2), np.nan, np.float32)
    return windows.positions_at


def merged(sets: WindowSets) -> WindowSets:
    """The same sets, with validation among the training windows too: scores on it mean nothing then."""
    return dataclasses.replace(sets, train=joined(sets.train, sets.validation))


def gap_for(seconds_per_step: float, gap_seconds: float | None = None) -> float:
    """Seconds of silence that end a run: `gap_seconds`, or else the longer of 3 s and five steps."""
    return max(GAP_SECONDS, 5.0 * seconds_per_step) if gap_seconds is None else gap_seconds


def find_runs(time: FloatArray, gap_seconds: float) -> list[tuple[int, int]]:
    """Stretches of `time` [T] s without a gap, as (start, stop) sample indices that cover all of it."""
    breaks = np.flatnonzero(np.diff(time) > gap_seconds) + 1
    edges = [0, *(int(index) for index in breaks), len(time)]
    return list(itertools.pairwise(edges))


def make_windows(
    recordings: Sequence[Recording],
    rooms: Sequence[str],
    steps: int,
    hop: int,
    seconds_per_step: float,
    fill_seconds: float = FILL_SECONDS,
    gap_seconds: float | None = None,
) -> Windows:
    """Cut `recordings` into windows of `steps` steps, one starting every `hop` steps.

    `rooms`: the K names that `room` may hold. `seconds_per_step` s: the grid; 0 makes each sample a window
    of its own (then `steps` must be 1, and nothing is filled). `fill_seconds` s: see the module's head; a
    step longer than that still shows its own samples. `gap_seconds` s: see `gap_for`. A window whose last
    step has no room is left out. The result may be empty. Raises SplitError for a room that is not in
    `rooms`, for recordings whose access points differ, and for impossible sizes.
    """
    if not recordings:
        raise SplitError("there is no recording to cut into windows")
    if steps < 1 or hop < 1 or seconds_per_step < 0 or (seconds_per_step == 0 and steps != 1):
        raise SplitError(
            f"windows of {steps} steps with hop {hop} on a grid of {seconds_per_step:g} s cannot be made",
            hint="Steps and hop are at least 1; a grid of 0 s means windows of one sample.",
        )
    points = recordings[0].access_points
    moves = all(recording.acceleration is not None for recording in recordings)
    placed = any(recording.position is not None for recording in recordings)
    known = {name: index for index, name in enumerate(rooms)}
    parts: list[_Cut] = []
    for index, recording in enumerate(recordings):
        if recording.access_points != points:
            raise SplitError(
                f"sessions {recordings[0].session!r} and {recording.session!r} have different access points",
                hint="Give every session the same columns in the same order.",
            )
        labels = _room_indices(recording, known)
        gap = 0.0 if seconds_per_step == 0 else gap_for(seconds_per_step, gap_seconds)
        runs = [(0, len(recording))] if seconds_per_step == 0 else find_runs(recording.time, gap)
        for start, stop in runs:
            grid = _lay_on_grid(recording, labels, start, stop, seconds_per_step, fill_seconds)
            parts.append(_cut(grid, steps, hop, index))
    return Windows(
        rssi=np.concatenate([part.rssi for part in parts]),
        rooms_at=np.concatenate([part.rooms_at for part in parts]),
        room=np.concatenate([part.rooms_at[:, -1] for part in parts]),
        session=np.concatenate([part.session for part in parts]),
        end_time=np.concatenate([part.end_time for part in parts]),
        rooms=tuple(rooms),
        access_points=points,
        sessions=tuple(recording.session for recording in recordings),
        seconds_per_step=float(seconds_per_step),
        acceleration=np.concatenate([part.acceleration for part in parts]) if moves else None,
        positions_at=np.concatenate([part.positions_at for part in parts]) if placed else None,
    )


@dataclass(frozen=True)
class _Grid:
    """One run on its grid: rssi [N, P] int8, room [N] int16, time [N] s, acceleration [N, 3] g, 0 where there
    is none, position [N, 2] m, NaN where there is none.
    """

    rssi: npt.NDArray[np.int8]
    room: npt.NDArray[np.int16]
    time: npt.NDArray[np.float64]
    acceleration: npt.NDArray[np.float32]
    position: npt.NDArray[np.float32]


@dataclass(frozen=True)
class _Cut:
    rssi: npt.NDArray[np.int8]
    rooms_at: npt.NDArray[np.int16]
    session: npt.NDArray[np.int32]
    end_time: npt.NDArray[np.float64]
    acceleration: npt.NDArray[np.float32]
    positions_at: npt.NDArray[np.float32]


def _room_indices(recording: Recording, known: dict[str, int]) -> npt.NDArray[np.int16]:
    """Index of each sample's room, -1 where none is noted [T]."""
    if recording.room is None:
        return np.full(len(recording), -1, np.int16)
    names, inverse = np.unique(recording.room, return_inverse=True)
    strange = [str(name) for name in names if name and str(name) not in known]
    if strange:
        raise SplitError(
            f"session {recording.session!r} is in room {strange[0]!r}, which is never seen in training",
            hint=f"Training knows {_some(list(known))}. Let a session with that room train.",
        )
    lookup = np.array([known.get(str(name), -1) for name in names], np.int16)
    return lookup[inverse]


def _some(names: list[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _lay_on_grid(
    recording: Recording,
    labels: npt.NDArray[np.int16],
    start: int,
    stop: int,
    seconds_per_step: float,
    fill_seconds: float,
) -> _Grid:
    time, rssi = recording.time[start:stop], recording.rssi[start:stop]
    if seconds_per_step == 0:
        at, count, limit, times = np.arange(stop - start), stop - start, 0, time
    else:
        at = np.floor((time - time[0]) / seconds_per_step + 0.5).astype(np.int64)
        count = int(at[-1]) + 1
        if count * rssi.shape[1] > _MOST_CELLS:
            raise SplitError(
                f"session {recording.session!r}: a grid of {seconds_per_step:g} s has {count:,} steps",
                hint="Choose a longer step (--seconds-per-step).",
            )
        limit = int(np.floor(fill_seconds / seconds_per_step + 1e-9))
        times = time[0] + np.arange(count) * seconds_per_step

    values = np.full((count, rssi.shape[1]), np.nan)
    rows, columns = np.nonzero(~np.isnan(rssi))
    values[at[rows], columns] = rssi[rows, columns]  # a repeated index keeps the last: the newest sample
    values = _hold(values, ~np.isnan(values), limit)
    heard = ~np.isnan(values)
    whole = np.where(heard, np.rint(np.where(heard, values, 0.0)), NOT_HEARD).astype(np.int8)

    newest = np.full(count, -1, np.int64)
    newest[at] = np.arange(start, stop)
    source = _latest(newest >= 0)
    fresh = np.arange(count) - source <= limit
    room = np.where(fresh, labels[newest[source]], -1).astype(np.int16)

    acceleration = np.zeros((count, 3), np.float32)
    if recording.acceleration is not None:
        acceleration = np.nan_to_num(recording.acceleration[newest[source]]).astype(np.float32)
    position = np.full((count, 2), np.nan, np.float32)
    if recording.position is not None:
        position[fresh] = recording.position[newest[source[fresh]]]
    return _Grid(whole, room, times, acceleration, position)


def _latest(present: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """For each row, the last row at or before it that is present; -1 before the first. [N, ...]."""
    order = np.arange(len(present)).reshape((-1,) + (1,) * (present.ndim - 1))
    latest: npt.NDArray[np.int64] = np.maximum.accumulate(np.where(present, order, -1), axis=0)
    return latest


def _hold(values: FloatArray, present: npt.NDArray[np.bool_], limit: int) -> FloatArray:
    """Carry each column's last value forward by up to `limit` rows [N, P]."""
    latest = _latest(present)
    age = np.arange(len(values))[:, None] - latest
    held = np.take_along_axis(values, np.maximum(latest, 0), axis=0)
    return np.where((latest >= 0) & (age <= limit), held, np.nan)


def _cut(grid: _Grid, steps: int, hop: int, session: int) -> _Cut:
    starts = np.arange(0, len(grid.time) - steps + 1, hop)
    starts = starts[grid.room[starts + steps - 1] >= 0] if len(starts) else starts.astype(np.int64)
    index = starts[:, None] + np.arange(steps)
    return _Cut(
        rssi=grid.rssi[index],
        rooms_at=grid.room[index],
        session=np.full(len(starts), session, np.int32),
        end_time=grid.time[starts + steps - 1],
        acceleration=grid.acceleration[index],
        positions_at=grid.position[index],
    )
