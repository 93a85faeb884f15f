"""Windows that overlap, laid end to end again: what a device that never resets hears."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinyloc.data.windows import Windows
from tinyloc.errors import UsageError
from tinyloc.models.scaling import NOT_HEARD


@dataclass(frozen=True)
class Stream:
    """One unbroken stretch of a session.

    `rssi` [S, P] int8 dBm; `rooms_at` [S] int16, -1 = not annotated; `ends` [V] the steps at which the
    windows it was made of end; `windows` [V] which windows those are.
    """

    rssi: npt.NDArray[np.int8]
    rooms_at: npt.NDArray[np.int16]
    ends: npt.NDArray[np.int64]
    windows: npt.NDArray[np.int64]


def streams(windows: Windows) -> list[Stream]:
    """Every unbroken stretch; of no windows none. Each sample comes once; a gap or another session starts a
    new stretch.
    """
    if windows.seconds_per_step <= 0:
        raise UsageError("single samples have no order in time: a state cannot be carried over them")
    if not len(windows):
        return []
    steps = windows.rssi.shape[1]
    hops = np.diff(windows.end_time) / windows.seconds_per_step  # [W - 1]
    whole = np.rint(hops).astype(np.int64)
    follows = (
        (np.diff(windows.session) == 0) & (np.abs(hops - whole) < 0.01) & (whole >= 1) & (whole <= steps)
    )
    starts = np.flatnonzero(np.concatenate([[True], ~follows]))
    result = []
    for first, after in zip(starts, [*starts[1:], len(windows)], strict=True):
        fresh = [steps, *whole[first : after - 1]]  # how many new samples each window brings
        parts = range(first, after)
        rssi = [windows.rssi[i, steps - n :] for i, n in zip(parts, fresh, strict=True)]
        rooms = [windows.rooms_at[i, steps - n :] for i, n in zip(parts, fresh, strict=True)]
        ends = np.cumsum(fresh) - 1
        result.append(Stream(np.concatenate(rssi), np.concatenate(rooms), ends, np.arange(first, after)))
    return result


def chunks(windows: Windows, chunk_steps: int) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int16]]:
    """Stretches of `chunk_steps` steps, half overlapping: rssi [C, S, P] and rooms [C, S].

    A stretch that is too short is filled at its end with samples that nobody heard and nobody annotated.
    """
    rssi, rooms = [], []
    for stream in streams(windows):
        for start in range(0, max(len(stream.rssi) - chunk_steps // 2, 1), max(chunk_steps // 2, 1)):
            part = slice(start, start + chunk_steps)
            short = chunk_steps - len(stream.rssi[part])
            rssi.append(np.pad(stream.rssi[part], ((0, short), (0, 0)), constant_values=NOT_HEARD))
            rooms.append(np.pad(stream.rooms_at[part], (0, short), constant_values=-1))
    return np.stack(rssi), np.stack(rooms)


@dataclass(frozen=True)
class Pieces:
    """All stretches end to end, to cut pieces of one length from: `rssi` [S, P] int8 dBm, `rooms_at` [S]
    int16 (-1 = not annotated), `starts` [N] the steps at which a piece may begin.
    """

    rssi: npt.NDArray[np.int8]
    rooms_at: npt.NDArray[np.int16]
    starts: npt.NDArray[np.int64]

    def draw(self, rows: int, steps: int, piece: int, random: np.random.Generator) -> npt.NDArray[np.int64]:
        """[rows, pieces, piece] the steps of as many pieces as `steps` need, from anywhere."""
        count = -(-steps // piece)
        first = random.choice(self.starts, (rows, count, 1))
        return np.asarray(first + np.arange(piece))


def pieces(windows: Windows, piece: int) -> Pieces:
    """What pieces of `piece` steps are cut from. A stretch that is shorter is filled at its end with samples
    that nobody heard and nobody annotated.
    """
    rssi, rooms, starts, length = [], [], [], 0
    for stream in streams(windows):
        short = max(piece - len(stream.rssi), 0)
        rssi.append(np.pad(stream.rssi, ((0, short), (0, 0)), constant_values=NOT_HEARD))
        rooms.append(np.pad(stream.rooms_at, (0, short), constant_values=-1))
        starts.append(length + np.arange(len(rssi[-1]) - piece + 1))
        length += len(rssi[-1])
    return Pieces(np.concatenate(rssi), np.concatenate(rooms), np.concatenate(starts))
