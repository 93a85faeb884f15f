"""Decoding a chain of answers as they arrive: Viterbi, the filter and the fixed-lag decoder. No torch.

Viterbi, "Error bounds for convolutional codes", IEEE Transactions on Information Theory 13(2), 1967. K rooms,
T steps; the scores s [T, K] are a model's logits; `Chain` holds what the CRF (`crf.py`) learned. Where two
rooms are equally good, the lower index wins: always, so that a device can do the same.

    delta_1[j] = start[j] + s_1[j]
    delta_t[j] = max over i (delta_t-1[i] + transitions[i, j]) + s_t[j];   then minus its own maximum
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tinyloc.errors import UsageError

Array = npt.NDArray[np.floating]
Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


class Chain(NamedTuple):
    """`transitions` [K, K] from, to; `start` [K]; `end` [K]; in nats."""

    transitions: Floats
    start: Floats
    end: Floats

    @classmethod
    def of(cls, weights: Mapping[str, npt.NDArray[np.float32]]) -> Chain:
        """The chain among a checkpoint's weights. Raises UsageError where it has none."""
        names = ("crf.transitions", "crf.start", "crf.end")
        if not set(names) <= weights.keys():
            raise UsageError("this model has no CRF")
        transitions, start, end = (weights[name].astype(np.float64) for name in names)
        return cls(transitions, start, end)


class Filter:
    """delta, one step after another, in K numbers of memory."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.delta: Floats | None = None

    def step(self, scores: Array) -> tuple[Floats, Indices]:
        """`scores` [K] -> delta [K], its best at 0, and for each room the room before it on its best path
        (all 0 at the first step).
        """
        if self.delta is None:
            delta, before = self.chain.start + scores, np.zeros(len(scores), np.int64)
        else:
            ways = self.delta[:, None] + self.chain.transitions  # [from, to]
            before = ways.argmax(axis=0)
            delta = ways.max(axis=0) + scores
        self.delta = delta - delta.max()
        return self.delta, before


class FixedLag:
    """Answers `lag` steps late, each time from the best path over everything heard so far.

    Lag 0 is the filter's own best room; a lag of T - 1 or more, then `finish`, is Viterbi.
    """

    def __init__(self, chain: Chain, lag: int) -> None:
        if lag < 0:
            raise UsageError("a decoder's lag is at least 0 steps")
        self.filter, self.lag, self.steps = Filter(chain), lag, 0
        self.before: deque[Indices] = deque(maxlen=lag)

    def step(self, scores: Array) -> int | None:
        """`scores` [K] of this step -> the room `lag` steps ago, or None while there is none."""
        delta, before = self.filter.step(scores)
        if self.steps:
            self.before.append(before)
        self.steps += 1
        return self._trace(int(delta.argmax()))[0] if self.steps > self.lag else None

    def finish(self) -> list[int]:
        """The rooms of the steps not answered yet, knowing that the sequence ends here."""
        if self.filter.delta is None:
            return []
        path = self._trace(int((self.filter.delta + self.filter.chain.end).argmax()))
        late = min(self.lag, self.steps)
        return path[len(path) - late :]

    def _trace(self, room: int) -> list[int]:
        """The best path into `room` now, as far back as is remembered, oldest first."""
        path = [room]
        for before in reversed(self.before):
            path.append(int(before[path[-1]]))
        return path[::-1]


def viterbi(chain: Chain, scores: Array) -> Indices:
    """The best path through `scores` [T, K]: rooms [T]."""
    decoder = FixedLag(chain, len(scores))
    for step in scores:
        decoder.step(step)
    return np.array(decoder.finish(), dtype=np.int64)


def max_plus(chain: Chain, scores: Array) -> Floats:
    """delta of every step: `scores` [T, K] -> [T, K] nats, each step's best at 0."""
    decoder = Filter(chain)
    return np.stack([decoder.step(step)[0] for step in scores])
