"""How right the answers are: macro-F1, accuracy, per room, confusion, room changes.

W windows, K rooms. `true` and `answered` are [W] integers from 0 to K - 1.

Macro-F1 is the plain mean of each room's F1 **over the rooms that occur in the truth**, and no others. A
room that the test recordings never enter has no F1; an answer that names it still counts against the room
the window is truly in. This is scikit-learn's `f1_score(true, answered, labels=numpy.unique(true),
average="macro", zero_division=0)`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tinyloc.judge.parts import Room, RoomChanges, Segment

Indices = npt.NDArray[np.integer] | Sequence[int]
Counts = npt.NDArray[np.int64]


def confusion(true: Indices, answered: Indices, K: int) -> Counts:
    """Windows by true room (row) and answered room (column), [K, K]. No window at all is a ValueError."""
    rows, columns = np.asarray(true), np.asarray(answered)
    if rows.ndim != 1 or rows.shape != columns.shape:
        raise ValueError(f"true {rows.shape} and answered {columns.shape} are not two lists of one length")
    if rows.size == 0:
        raise ValueError("there is no window to score")
    for name, values in (("true", rows), ("answered", columns)):
        if values.dtype.kind not in "iu" or values.min() < 0 or values.max() >= K:
            raise ValueError(f"{name} holds a room outside 0 to {K - 1}")
    flat = rows.astype(np.int64) * K + columns.astype(np.int64)
    return np.bincount(flat, minlength=K * K).reshape(K, K).astype(np.int64)


def _f1(table: Counts) -> npt.NDArray[np.float64]:
    """F1 of each room [K]; 0 where it is neither true nor answered. 2 hits / (truly + answered)."""
    whole = table.sum(axis=1) + table.sum(axis=0)
    hits = np.diagonal(table).astype(np.float64)
    f1: npt.NDArray[np.float64] = 2.0 * hits / np.maximum(whole, 1)
    return f1


def macro_f1(true: Indices, answered: Indices) -> float:
    """Mean F1 over the rooms that occur in `true`, 0 to 1."""
    K = int(max(np.max(true, initial=0), np.max(answered, initial=0))) + 1
    table = confusion(true, answered, K)
    return float(_f1(table)[table.sum(axis=1) > 0].mean())


def accuracy(true: Indices, answered: Indices) -> float:
    """Share of windows answered with their true room, 0 to 1."""
    K = int(max(np.max(true, initial=0), np.max(answered, initial=0))) + 1
    table = confusion(true, answered, K)
    return float(np.trace(table) / table.sum())


def per_room(table: Counts, rooms: Sequence[str]) -> tuple[Room, ...]:
    """Windows, F1, precision and recall of each room (0 to 1) from a confusion table [K, K].

    A room without windows has neither F1 nor recall, one that is never answered has no precision: None, and
    not a 0 that it did not earn.
    """
    truly, answered, hits, f1 = table.sum(axis=1), table.sum(axis=0), np.diagonal(table), _f1(table)
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
