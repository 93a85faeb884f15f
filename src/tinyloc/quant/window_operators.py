"""The operators that need a whole window: they run once, when its last step has come.

`Collect` is the gate: it runs at every step and hands on all rows at the last. T rows of a window.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from tinyloc.models.forest import fault
from tinyloc.quant.operator import (
    INT32_MAX,
    Operator,
    State,
    accumulator_fits,
    array_is,
    factor_is,
    requantisation_is,
    require,
)
from tinyloc.quant.operators import Unary, alike

if TYPE_CHECKING:
    from tinyloc.quant.graph import Graph

MOST_ROWS = 1024
STATISTICS = 6
"""Statistics of each access point: mean, max, min, standard deviation, heard fraction, last."""


@dataclass(frozen=True)
class Collect(Unary):
    """Keeps x of every step of the window: row t of y is x at step t. y lies in the state itself."""

    overwrites: ClassVar[tuple[str, ...]] = ()

    def state(self, graph: Graph) -> State:
        y = graph.tensor(self.y)
        return State(f"{self.name}_rows", y.rows * y.size, y.bits)

    def check(self, graph: Graph) -> None:
        x, y = graph.tensor(self.x), graph.tensor(self.y)
        good = (x.rows, x.size, x.bits, x.scale) == (1, y.size, y.bits, y.scale)
        require(self, good and y.rows == graph.window_steps <= MOST_ROWS, "keeps each step of a window")


@dataclass(frozen=True)
class Position(Unary):
    """y = clamp(x + table): what is known of each row beforehand. `table` [T, n] int16 in x's units."""

    table: npt.NDArray[np.int16]

    def check(self, graph: Graph) -> None:
        x, y = graph.tensor(self.x), graph.tensor(self.y)
        require(self, x.bits == y.bits == 16 and alike(x, y) and x.scale == y.scale, "adds int16 to int16")
        array_is(self, "table", self.table, np.int16, (x.rows, x.size))


@dataclass(frozen=True)
class LayerNorm(Unary):
    """y = (x - mean) / sqrt(variance + epsilon) * gain + bias, row by row (arXiv 1607.06450).

    mean = requantise(sum x, mean_multiplier, mean_shift); d = x - mean; root as in RmsNorm from
    epsilon + sum d^2; v = clamp16(round(d * root * 2^-(e + shift))), whose scale is sqrt(size) *
    2^(shift - 15); y = clamp((v * gain + bias + 2^(gain_shift - 1)) >> gain_shift).
    `gain` [n] int16 within ±16,383, `bias` [n] int32 within ±2^29, `gain_shift` 1..29.
    """

    epsilon: int
    shift: int
    mean_multiplier: int
    mean_shift: int
    gain: npt.NDArray[np.int16]
    bias: npt.NDArray[np.int32]
    gain_shift: int

    def check(self, graph: Graph) -> None:
        x, y = graph.tensor(self.x), graph.tensor(self.y)
        require(self, x.bits == y.bits == 16 and alike(x, y), "works on int16 rows")
        require(self, x.size <= 4096, "sums at most 4,096 squares")
        require(self, 16 <= self.epsilon < 2**40, f"epsilon is {self.epsilon}, expected 16 to 2^40")
        require(self, -2 <= self.shift <= 10, f"shift is {self.shift}, expected -2..10")
        factor_is(self, self.mean_multiplier, self.mean_shift)
        array_is(self, "gain", self.gain, np.int16, (x.size,))
        array_is(self, "bias", self.bias, np.int32, (x.size,))
        require(self, int(np.abs(self.gain.astype(np.int64)).max()) <= 16383, "has a gain beyond ±16,383")
        require(self, int(np.abs(self.bias.astype(np.int64)).max()) <= 2**29, "has a bias beyond ±2^29")
        require(self, 1 <= self.gain_shift <= 29, "has a gain_shift outside 1..29")


@dataclass(frozen=True)
class Attention(Operator):
    """Scaled dot-product attention over the rows of a window, `heads` side by side (arXiv 1706.03762).

    s_j = q . k_j in 32 bits; E_j = min(((max s - s_j) * score_multiplier) >> score_shift, 2^20 - 1);
    e_j = 2^-(E_j * 2^-16) in Q15; p_j = e_j / sum e in Q15 by a reciprocal from a table;
    y = clamp(requantise(sum_j p_j * v_j, y_multiplier, y_shift)).
    """

    q: str
    k: str
    v: str
    y: str
    heads: int
    score_multiplier: int
    score_shift: int
    y_multiplier: int
    y_shift: int
    overwrites: ClassVar[tuple[str, ...]] = ("q",)

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.q, self.k, self.v)

    @property
    def output(self) -> str:
        return self.y

    def scratch(self, graph: Graph) -> int:
        rows = graph.tensor(self.k).rows
        return 8 * (rows + rows % 2)  # two rows of scores at a time, in pairs

    def check(self, graph: Graph) -> None:
        q, k, v, y = (graph.tensor(name) for name in (self.q, self.k, self.v, self.y))
        require(self, alike(q, y) and alike(k, v) and q.size == k.size, "has operands of other sizes")
        require(self, q.bits == k.bits == v.bits == y.bits == 16, "works on int16 rows")
        require(
            self, 1 <= self.heads <= q.size and q.size % self.heads == 0, "cannot divide its width by heads"
        )
        require(self, k.rows <= MOST_ROWS, f"looks at most at {MOST_ROWS} rows")
        require(
            self, 0 <= self.score_multiplier <= INT32_MAX and 0 <= self.score_shift <= 62, "has a bad factor"
        )
        factor_is(self, self.y_multiplier, self.y_shift)
        largest = q.size // self.heads * q.limit * k.limit
        require(self, largest <= INT32_MAX, f"could reach {largest} in a 32-bit accumulator")


@dataclass(frozen=True)
class MeanRows(Unary):
    """y = clamp(requantise(sum over rows of x, multiplier, shift))."""

    multiplier: int
    shift: int
    overwrites: ClassVar[tuple[str, ...]] = ()

    def check(self, graph: Graph) -> None:
        x, y = graph.tensor(self.x), graph.tensor(self.y)
        require(self, x.bits == y.bits == 16 and x.size == y.size and y.rows == 1, "turns rows into one")
        require(self, x.rows <= MOST_ROWS, f"sums at most {MOST_ROWS} rows")
        factor_is(self, self.multiplier, self.shift)


@dataclass(frozen=True)
class LastRow(Unary):
    """y = the last row of x."""

    overwrites: ClassVar[tuple[str, ...]] = ()

    def check(self, graph: Graph) -> None:
        x, y = graph.tensor(self.x), graph.tensor(self.y)
        good = (x.size, x.bits, x.scale, 1) == (y.size, y.bits, y.scale, y.rows)
        require(self, good and y.limit >= x.limit, "keeps one row as it is")


@dataclass(frozen=True)
class Conv(Unary):
    """Convolution over the rows: row t of y sees rows t * stride - past to t * stride - past + taps - 1 of x.

    Rows outside the window count as 0. `weight` [out, taps * in] int8, tap by tap, oldest first; bias,
    multiplier and shift as in Linear.
    """

    weight: npt.NDArray[np.int8]
    bias: npt.NDArray[np.int32]
    multiplier: npt.NDArray[np.int32]
    shift: int
    taps: int
    stride: int
    past: int
    overwrites: ClassVar[tuple[str, ...]] = ()

    def check(self, graph: Graph) -> None:
        x, y = graph.tensor(self.x), graph.tensor(self.y)
        require(self, x.bits == y.bits == 16, "works on int16 rows")
        require(
            self, self.taps >= 1 and self.stride >= 1 and 0 <= self.past < self.taps, "has bad taps or stride"
        )
        require(self, x.rows <= MOST_ROWS, f"takes at most {MOST_ROWS} rows")
        require(self, (y.rows - 1) * self.stride - self.past < x.rows, "reads behind its last row")
        array_is(self, "weight", self.weight, np.int8, (y.size, self.taps * x.size))
        requantisation_is(self, self.bias, self.multiplier, self.shift, y.size)
        accumulator_fits(
            self, np.abs(self.weight.astype(np.int64)).sum(axis=1) * x.magnitude, self.bias, self.shift
        )


@dataclass(frozen=True)
class Interleave(Operator):
    """Rows of a, b and c in turn: y has three rows for each of theirs."""

    a: str
    b: str
    c: str
    y: str
    overwrites: ClassVar[tuple[str, ...]] = ()

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.a, self.b, self.c)

    @property
    def output(self) -> str:
        return self.y

    def check(self, graph: Graph) -> None:
        a, b, c, y = (graph.tensor(name) for name in (*self.inputs, self.y))
        good = alike(a, b) and alike(a, c) and (y.rows, y.size) == (3 * a.rows, a.size)
        require(
            self, good and a.bits == b.bits == c.bits == y.bits == 16, "takes three int16 windows of one size"
        )
        require(self, a.scale == b.scale == c.scale == y.scale, "takes three windows of one scale")


@dataclass(frozen=True)
class Viterbi(Unary):
    """The best path's value for each last room: d_0 = start + x_0; d_t = max_j(d_j + transitions_jk) + x_t.

    After each row the largest value is taken off. y = max(d + end - largest, -limit): the highest is the room
    where the best path ends. `transitions` [K, K] (from, to), `start`, `end` [K]: int16 in x's units.
    """

    transitions: npt.NDArray[np.int16]
    start: npt.NDArray[np.int16]
    end: npt.NDArray[np.int16]
    overwrites: ClassVar[tuple[str, ...]] = ()

    def scratch(self, graph: Graph) -> int:
        return 8 * graph.tensor(self.x).size

    def check(self, graph: Graph) -> None:
        x, y = graph.tensor(self.x), graph.tensor(self.y)
        K = x.size
        require(
            self, x.bits == y.bits == 16 and y.size == K and y.rows == 1 and K <= 255, "needs int16 scores"
        )
        require(self, x.scale == y.scale, "keeps its scale")
        array_is(self, "transitions", self.transitions, np.int16, (K, K))
        array_is(self, "start", self.start, np.int16, (K,))
        array_is(self, "end", self.end, np.int16, (K,))


@dataclass(frozen=True)
class Statistics(Unary):
    """Six statistics of each access point over the window: [6 P] int16, statistic by statistic.

    mean, max, min, standard deviation and last in 1/128 dBm, heard fraction in 1/16,384; "not heard" reads as
    -120 dBm. The same integers as `models.statistics`, made without a division.
    """

    overwrites: ClassVar[tuple[str, ...]] = ()

    def check(self, graph: Graph) -> None:
        x, y = graph.tensor(self.x), graph.tensor(self.y)
        require(self, x.bits == 8 and y.bits == 16 and y.rows == 1, "turns int8 rows into one int16 vector")
        require(self, y.size == STATISTICS * x.size, "gives six statistics an access point")
        require(self, y.limit >= 16384 and x.rows <= 256, "takes at most 256 rows")


@dataclass(frozen=True)
class Standardise(Unary):
    """y = clamp(requantise(x - offset, multiplier, shift)), each element by its own offset and
    multiplier."""

    offset: npt.NDArray[np.int16]
    multiplier: npt.NDArray[np.int32]
    shift: int

    def check(self, graph: Graph) -> None:
        x, y = graph.tensor(self.x), graph.tensor(self.y)
        require(
            self, x.bits == y.bits == 16 and x.size == y.size and x.rows == y.rows == 1, "works on a vector"
        )
        array_is(self, "offset", self.offset, np.int16, (x.size,))
        nothing = np.zeros(x.size, np.int32)
        requantisation_is(self, nothing, self.multiplier, self.shift, x.size)
        accumulator_fits(self, x.magnitude + np.abs(self.offset.astype(np.int64)), nothing, self.shift)


@dataclass(frozen=True)
class Forest(Unary):
    """Trees that vote: y = how many of them vote for each room. x int8 or int16, `threshold` of x's type.

    The N inner nodes of a tree in preorder, its leaves from left to right, tree after tree
    (`models.forest` explains them): `feature` [N] uint8, or uint16 where x has more than 256 elements;
    x[feature] <= threshold goes left; `left` [N] uint8 inner nodes on the left side; `inner` [trees] uint8
    inner nodes of each tree; `room` [N + trees] uint8 of each leaf.
    """

    feature: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
    threshold: npt.NDArray[np.int8] | npt.NDArray[np.int16]
    left: npt.NDArray[np.uint8]
    inner: npt.NDArray[np.uint8]
    room: npt.NDArray[np.uint8]
    overwrites: ClassVar[tuple[str, ...]] = ()

    def check(self, graph: Graph) -> None:
        x, y = graph.tensor(self.x), graph.tensor(self.y)
        require(self, y.bits == 16 and x.rows == y.rows == 1, "turns a vector into int16 scores")
        nodes, trees = len(self.feature), len(self.inner)
        require(self, nodes >= 1 and 1 <= trees <= y.limit, "has no nodes, or more trees than a score holds")
        array_is(self, "feature", self.feature, np.uint8 if x.size <= 256 else np.uint16, (nodes,))
        array_is(self, "threshold", self.threshold, np.int8 if x.bits == 8 else np.int16, (nodes,))
        array_is(self, "left", self.left, np.uint8, (nodes,))
        array_is(self, "inner", self.inner, np.uint8, (trees,))
        array_is(self, "room", self.room, np.uint8, (nodes + trees,))
        found = fault(vars(self), x.size, y.size)
        require(self, not found, found)
