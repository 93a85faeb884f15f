"""How right answers are: one confusion table, macro-F1 and accuracy for training, baselines and verdict.

W windows, K rooms. `true` and `answered` are [W] integers from 0 to K - 1. NumPy only.

Macro-F1 is the plain mean of each room's F1 **over the rooms that occur in the truth**, and no others. A
room that the test recordings never enter has no F1; an answer that names it still counts against the room
the window is truly in. This is scikit-learn's `f1_score(true, answered, labels=numpy.unique(true),
average="macro", zero_division=0)`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

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


def room_f1(table: Counts) -> npt.NDArray[np.float64]:
    """F1 of each room [K]; 0 where it is neither true nor answered. 2 hits / (truly + answered)."""
    whole = table.sum(axis=1) + table.sum(axis=0)
    hits = np.diagonal(table).astype(np.float64)
    f1: npt.NDArray[np.float64] = 2.0 * hits / np.maximum(whole, 1)
    return f1


def macro_f1(true: Indices, answered: Indices) -> float:
    """Mean F1 over the rooms that occur in `true`, 0 to 1."""
    table = _whole_table(true, answered)
    return float(room_f1(table)[table.sum(axis=1) > 0].mean())


def accuracy(true: Indices, answered: Indices) -> float:
    """Share of windows answered with their true room, 0 to 1."""
    table = _whole_table(true, answered)
    return float(np.trace(table) / table.sum())


def _whole_table(true: Indices, answered: Indices) -> Counts:
    K = int(max(np.max(true, initial=0), np.max(answered, initial=0))) + 1
    return confusion(true, answered, K)
