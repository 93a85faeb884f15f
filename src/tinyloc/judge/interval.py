"""How far a difference on a test set is the test set's own: an interval around it.

Seeds say how far training strays. They do not say how far another test recording would: a score of 300
windows in which the room changes six times hangs on those six moments. So windows are drawn anew, in
blocks of neighbours, because neighbours share samples and errors (the circular block bootstrap, Politis and
Romano 1992, "A circular block-resampling procedure for stationary data"). Both models are asked the same
blocks, and the seeds of each are drawn anew too.

    W windows     S seeds     K rooms
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from tinyloc.metrics import Indices, confusion, room_f1

Answers = npt.NDArray[np.integer]

BLOCK: Final = 20
"""Windows that are drawn together, unless told."""


@dataclass(frozen=True)
class Difference:
    """First less second, macro-F1, mean of the seeds, -1 to 1: as measured, and the bounds between which
    the stated share of the resampled test sets lies. `above`: the share of them in which the first is better.
    """

    measured: float
    low: float
    high: float
    above: float


def difference(
    true: Indices,
    session: Indices,
    first: Answers,
    second: Answers,
    *,
    block: int = BLOCK,
    draws: int = 2000,
    share: float = 0.95,
    seed: int = 0,
) -> Difference:
    """The difference of two models' macro-F1 with its interval.

    `true` and `session` [W], windows in order of session and time; `first` [S, W] and `second` [S', W] the
    answers of their seeds. `block` windows are drawn together, at least 1; none spans two sessions, and a
    session that is shorter is a block of its own. Raises ValueError for shapes that do not agree.
    """
    truth, sessions = np.asarray(true), np.asarray(session)
    if truth.ndim != 1 or sessions.shape != truth.shape or not len(truth):
        raise ValueError(f"true {truth.shape} and session {sessions.shape} are not two lists of one length")
    for name, answers in (("first", first), ("second", second)):
        if answers.ndim != 2 or answers.shape[1:] != truth.shape or not len(answers):
            raise ValueError(f"the {name} answers {answers.shape} are not those to {len(truth)} windows")
    if block < 1 or draws < 1 or not 0 < share < 1:
        raise ValueError("an interval needs a block and draws of at least 1, and a share between 0 and 1")
    random = np.random.default_rng(seed)
    within = _sessions(sessions)
    seen = _Seen(truth, first, second)
    measured = seen.mean(np.arange(len(truth)))
    found = np.empty(draws)
    for draw in range(draws):
        rows = _rows(random, within, block)
        seeds = [random.integers(0, len(answers), len(answers)) for answers in (first, second)]
        found[draw] = seen.mean(rows, *seeds)
    low, high = np.quantile(found, [(1 - share) / 2, (1 + share) / 2])
    return Difference(measured, float(low), float(high), float((found > 0).mean()))


class _Seen:
    """Truth and answers as one number a window, so that a resampled confusion table is one count."""

    def __init__(self, truth: npt.NDArray[np.integer], first: Answers, second: Answers) -> None:
        self.rooms = int(max(truth.max(), first.max(), second.max())) + 1
        self.truth, self.both = truth, (first, second)

    def mean(
        self,
        rows: npt.NDArray[np.int64],
        first: npt.NDArray[np.int64] | None = None,
        second: npt.NDArray[np.int64] | None = None,
    ) -> float:
        """First less second on these windows, by these seeds (None: all)."""
        mean = []
        for answers, seeds in zip(self.both, (first, second), strict=True):
            counts = np.arange(len(answers)) if seeds is None else seeds
            scores = {one: self._score(rows, answers[one]) for one in set(counts.tolist())}
            mean.append(np.mean([scores[one] for one in counts.tolist()]))
        return float(mean[0] - mean[1])

    def _score(self, rows: npt.NDArray[np.int64], answers: npt.NDArray[np.integer]) -> float:
        table = confusion(self.truth[rows], answers[rows], self.rooms)
        return float(room_f1(table)[table.sum(axis=1) > 0].mean())


def _sessions(session: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """Of each window [W, 2] where its session begins and how many windows it has."""
    begins = np.flatnonzero(np.diff(session, prepend=session[0] - 1))
    counts = np.diff(begins, append=len(session))
    return np.repeat(np.column_stack([begins, counts]), counts, axis=0)


def _rows(random: np.random.Generator, within: npt.NDArray[np.int64], block: int) -> npt.NDArray[np.int64]:
    """As many windows as there are, by blocks, each as likely as any other (`within` from `_sessions`).

    A block runs from any window on, at the end of its session on from the beginning: else the windows there
    would come less often. Where sessions are shorter than a block they begin one so much more often.
    """
    lengths = np.minimum(block, within[:, 1])
    chance = 1 / lengths
    chance /= chance.sum()
    many = -(-len(within) // int(lengths.min()))
    firsts = random.choice(len(within), many, p=chance)
    enough = int(np.searchsorted(np.cumsum(lengths[firsts]), len(within))) + 1
    rows = []
    for first in firsts[:enough].tolist():
        begin, count = within[first]
        rows.append(begin + (first - begin + np.arange(lengths[first])) % count)
    return np.concatenate(rows)[: len(within)]
