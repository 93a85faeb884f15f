"""What an answer may hold beside the scores: a probability for each room, and whether anything was ever
learned of such a signal.

Both are optional: a graph without them emits no C for them. They run after every step, behind everything else
but the decision layer, and read what the answer holds: the scores of the last window, or the sample itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from tinyloc.quant.operator import INT32_MAX, Operator, State, array_is, require

if TYPE_CHECKING:
    from tinyloc.quant.graph import Graph

PROBABILITY = "probability"
"""The tensor of a probability for each room, 0..255: in the answer one byte each."""
UNKNOWN = "unknown"
"""The tensor that is 1 where the signal is far from all that was learned, else 0."""
NOVELTY_LEVEL = 32766
"""The most that a distance counts: one more, for "there was a sample", still fits 16 bits."""


@dataclass(frozen=True)
class Extra(Operator):
    """An operator that adds to the answer and changes nothing else."""

    x: str
    y: str
    overwrites: ClassVar[tuple[str, ...]] = ()

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.x,)

    @property
    def output(self) -> str:
        return self.y


@dataclass(frozen=True)
class Probability(Extra):
    """Softmax of the scores in bytes.

    E_k = min(((max x - x_k) * multiplier) >> shift, 2^20 - 1), e_k = 2^-(E_k * 2^-16) in Q15 as in Scan, and
    y_k = floor((510 e_k + sum e) / (2 sum e)): 255 e_k / sum e, rounded to nearest, halves upward. So the
    sum of all y is within K / 2 of 255, and the highest score has the highest probability.
    """

    multiplier: int
    shift: int

    def check(self, graph: Graph) -> None:
        x, y = graph.tensor(self.x), graph.tensor(self.y)
        require(self, self.x == graph.output and self.y == PROBABILITY, "turns the scores into probabilities")
        require(self, (x.size, y.rows, y.bits, y.limit) == (y.size, 1, 16, 255), "gives each room a byte")
        good = 0 <= self.multiplier <= INT32_MAX and 0 <= self.shift <= 62
        require(self, good, "has a factor out of range")


@dataclass(frozen=True)
class Novelty(Extra):
    """Whether the signal is far from every room's: the nearest room's distance, smoothed, above a threshold.

    D = min(min_k sum_p |max(x_p, floor) - centre_kp|, 32,766) dB; level = D at first, then
    level + ((D - level + half) >> smoothing) with half = floor(2^smoothing / 2); y = 1 where
    level > threshold. `centre` [K, P] int8 dBm; `floor` dBm: all that is weaker, "not heard" too, counts as
    so weak. State: 1 + level, 0 before the first sample; it outlives a window.
    """

    centre: npt.NDArray[np.int8]
    floor: int
    smoothing: int
    threshold: int

    def state(self, graph: Graph) -> State:
        """1 + the level; 0 before the first sample."""
        return State(f"{self.name}_level", 1, 16)

    def check(self, graph: Graph) -> None:
        x, y = graph.tensor(self.x), graph.tensor(self.y)
        require(self, (x.bits, x.rows) == (8, 1) and self.y == UNKNOWN, "reads an int8 vector")
        require(self, (y.size, y.rows, y.bits) == (1, 1, 16), "answers with one number")
        array_is(self, "centre", self.centre, np.int8, (len(graph.rooms), x.size))
        require(self, -128 <= self.floor <= 127, "has a floor that is no int8")
        require(self, 0 <= self.smoothing <= 8, "smooths over 1 to 256 samples")
        require(self, 0 <= self.threshold <= NOVELTY_LEVEL, "has a threshold out of range")
