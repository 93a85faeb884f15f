"""The decision layer's operators: they hold a room until the evidence moves it.

Both follow the best path through the rooms as the answers come (Viterbi, "Error bounds for convolutional
codes", IEEE Transactions on Information Theory 13(2), 1967; in floating point: `models/decode.py`). What they
keep lasts from window to window, until a session ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from tinyloc.quant.operator import Operator, State, array_is, factor_is, require

if TYPE_CHECKING:
    from tinyloc.quant.graph import Graph

FLOOR = -32767
"""The least that a path may be worth beside the best one, which is worth 0."""
MOST_LAG = 255


@dataclass(frozen=True)
class Filter(Operator):
    """The best path's room, from the past alone: the max-plus forward filter, or Viterbi with lag 0.

    e_k = clamp16(requantise(x_k - offset_k, multiplier, shift)); at first d_k = start_k + e_k, later
    d_k = max_j(d_j + transitions_jk) + e_k; then d = max(d - its largest, -32,767). y = 1 + the room of the
    largest d, the first of equals; 0 stands for "none yet".

    `transitions` [K, K] (from, to), `start` [K] int16 in units of d; `offset` [K] int16 in x's. It decides
    for the first time after `first` steps, and then every `hop` (1 <= hop <= first).
    """

    x: str
    y: str
    transitions: npt.NDArray[np.int16]
    start: npt.NDArray[np.int16]
    offset: npt.NDArray[np.int16]
    multiplier: int
    shift: int
    first: int
    hop: int
    overwrites: ClassVar[tuple[str, ...]] = ()

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.x,)

    @property
    def output(self) -> str:
        return self.y

    @property
    def lag(self) -> int:
        """Decisions by which the answer is late."""
        return 0

    def state(self, graph: Graph) -> State:
        """d of every room; how many decisions are known, at most lag + 1; where the next one's rooms go."""
        return State(f"{self.name}_d", graph.tensor(self.x).size + 2, 16)

    def scratch(self, graph: Graph) -> int:
        return 4 * graph.tensor(self.x).size

    def check(self, graph: Graph) -> None:
        x, y = graph.tensor(self.x), graph.tensor(self.y)
        K = x.size
        require(self, x.bits == 16 and x.rows == 1 and K <= 255, "needs one int16 score a room")
        require(self, (y.size, y.rows, y.bits) == (1, 1, 16) and y.limit > K, "answers with one room")
        array_is(self, "transitions", self.transitions, np.int16, (K, K))
        array_is(self, "start", self.start, np.int16, (K,))
        array_is(self, "offset", self.offset, np.int16, (K,))
        factor_is(self, self.multiplier, self.shift)
        require(self, 1 <= self.hop <= self.first <= 32767, "decides at impossible times")


@dataclass(frozen=True)
class FixedLag(Filter):
    """As `Filter`, but it answers with the room `lag` decisions ago on the best path that is known now.

    Until there are so many, with the oldest on it. `lag` 1..255; it keeps a byte for each room and decision.
    """

    back: int = 1

    @property
    def lag(self) -> int:
        return self.back

    def states(self, graph: Graph) -> tuple[State, ...]:
        """d, and for each of the last decisions and each room the room before it."""
        return (
            self.state(graph),
            State(f"{self.name}_before", self.back * graph.tensor(self.x).size, 8),
        )

    def check(self, graph: Graph) -> None:
        super().check(graph)
        require(self, 1 <= self.back <= MOST_LAG, f"has a lag of {self.back}, expected 1 to {MOST_LAG}")
