"""Windows in the order of time: how far apart they stand, where they begin anew, which room follows which."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tinyloc.data.windows import Windows


def hop_seconds(windows: Windows) -> float:
    """The usual time from one window to the next, s."""
    same = np.diff(windows.session) == 0
    steps = np.diff(windows.end_time)[same]
    return float(np.median(steps)) if len(steps) else windows.seconds_per_step


def begins(windows: Windows) -> npt.NDArray[np.bool_]:
    """[W] True where nothing known comes before: a session's first window, and after more than 1.5 hops."""
    new = np.ones(len(windows), np.bool_)
    late = np.diff(windows.end_time) > 1.5 * hop_seconds(windows)
    new[1:] = (np.diff(windows.session) != 0) | late
    return new


def transitions(train: Windows, hop: float) -> npt.NDArray[np.float64]:
    """[K, K] how often a room (row) is followed by a room (column) `hop` seconds later, in training."""
    counts = np.zeros((len(train.rooms), len(train.rooms)))
    for session in np.unique(train.session):
        mine = np.flatnonzero(train.session == session)
        times = train.end_time[mine]
        after = np.searchsorted(times, times + hop - 1e-6 * max(hop, 1.0))
        there = np.flatnonzero(after < len(mine))
        there = there[np.abs(times[after[there]] - times[there] - hop) < 0.5 * hop]
        np.add.at(counts, (train.room[mine[there]], train.room[mine[after[there]]]), 1.0)
    return counts
