"""What a verdict tells beside macro-F1 and accuracy: per room, room changes, the timeline.

W windows, K rooms. `true` and `answered` are [W] integers from 0 to K - 1, as in `tinyloc.metrics`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tinyloc.judge.parts import Room, RoomChanges, Segment
from tinyloc.metrics import Counts, Indices, accuracy, confusion, macro_f1, room_f1

__all__ = ["accuracy", "confusion", "macro_f1", "per_room", "room_changes", "timeline"]


def per_room(table: Counts, rooms: Sequence[str]) -> tuple[Room, ...]:
    """Windows, F1, precision and recall of each room (0 to 1) from a confusion table [K, K].

    A room without windows has neither F1 nor recall, one that is never answered has no precision: None, and
    not a 0 that it did not earn.
    """
    truly, answered, hits, f1 = table.sum(axis=1), table.sum(axis=0), np.diagonal(table), room_f1(table)
    return tuple(
        Room(
            room=name,
            windows=int(truly[k]),
            f1=float(f1[k]) if truly[k] else None,
            precision=float(hits[k] / answered[k]) if answered[k] else None,
            recall=float(hits[k] / truly[k]) if truly[k] else None,
        )
        for k, name in enumerate(rooms)
    )


def room_changes(true: Indices, answered: Indices, session: Indices) -> RoomChanges:
    """Changes of room between neighbouring windows of one session, in the truth and in the answers."""
    same = np.diff(np.asarray(session)) == 0
    return RoomChanges(
        true=int(np.count_nonzero((np.diff(np.asarray(true)) != 0) & same)),
        predicted=int(np.count_nonzero((np.diff(np.asarray(answered)) != 0) & same)),
    )


def timeline(
    true: Indices,
    answered: Indices,
    session: Indices,
    end_time: npt.NDArray[np.floating] | Sequence[float],
    sessions: Sequence[str],
) -> tuple[Segment, ...]:
    """The test recordings as stretches in which neither room changes.

    `session` [W] indexes `sessions`; `end_time` [W] s is when each window ends; windows stand in order of
    session and time. A window stands for the time since the one before it, or for the session's usual hop
    where it is the first or follows a gap (more than one and a half hops). Times start at 0 in each session.
    """
    truth, said = np.asarray(true), np.asarray(answered)
    which, ends = np.asarray(session), np.asarray(end_time, dtype=np.float64)
    segments: list[Segment] = []
    for index in dict.fromkeys(which.tolist()):
        mine = np.flatnonzero(which == index)
        at = ends[mine]
        steps = np.diff(at)
        hop = float(np.median(steps)) if len(steps) else 1.0
        starts = np.concatenate([[at[0] - hop], np.where(steps > 1.5 * hop, at[1:] - hop, at[:-1])])
        zero = starts[0]
        breaks = np.ones(len(mine), dtype=bool)
        breaks[1:] = (
            (np.diff(truth[mine]) != 0) | (np.diff(said[mine]) != 0) | (starts[1:] > at[:-1] + 1e-9 * hop)
        )
        first = np.flatnonzero(breaks)
        last = np.append(first[1:], len(mine)) - 1
        segments += [
            Segment(
                session=sessions[index],
                start=round(float(starts[a] - zero), 3),
                end=round(float(at[b] - zero), 3),
                true=int(truth[mine[a]]),
                device=int(said[mine[a]]),
            )
            for a, b in zip(first, last, strict=True)
        ]
    return tuple(segments)
