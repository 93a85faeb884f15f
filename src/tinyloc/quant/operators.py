"""The operators that work at every step, and on every row of a window.

Every operator means exactly one thing in three places: a method in `reference.py`, a function in `csrc/`, a
section in `docs/NUMERICS.md`. Letters: P access points, H width, E inner width, N state size, K rooms; "in"
and "out" are an operator's own sizes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from tinyloc.models.running import FEATURES, MOST_HEARD
from tinyloc.quant.operator import (
    INT16_MAX,
    INT32_MAX,
    Operator,
    State,
    Tensor,
    accumulator_fits,
    array_is,
    factor_is,
    lift_of,
    requantisation_is,
    require,
    weights_fit,
)

if TYPE_CHECKING:
    from tinyloc.quant.graph import Graph


def alike(a: Tensor, b: Tensor) -> bool:
    """Whether both have the same rows and size."""
    return (a.rows, a.size) == (b.rows, b.size)


@dataclass(frozen=True)
class Unary(Operator):
    """An operator with one input."""

    x: str
    y: str
    overwrites: ClassVar[tuple[str, ...]] = ("x",)

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.x,)

    @property
    def output(self) -> str:
        return self.y


@dataclass(frozen=True)
class Running(Unary):
    """What a window has said so far of each of P signals: y [3 P] int8 = x, then the largest x heard, then
    the mean of what was heard, rounded to nearest, halves upward, of the first 256 (`models/running.py`).

    -128 is "not heard", in x and, while there was nothing, in y. State: the largest [P] int8, the sum [P] and
    the count [P] int16 of what the mean is of; the largest means nothing while the count is 0.
    """

    overwrites: ClassVar[tuple[str, ...]] = ()

    def states(self, graph: Graph) -> tuple[State, ...]:
        points = graph.tensor(self.x).size
        return (
            State(f"{self.name}_sum", points, 16),
            State(f"{self.name}_count", points, 16),
            State(f"{self.name}_max", points, 8),
        )

    def check(self, graph: Graph) -> None:
        x, y = graph.tensor(self.x), graph.tensor(self.y)
        good = (x.bits, y.bits, x.rows, y.rows, y.size) == (8, 8, 1, 1, FEATURES * x.size)
        require(self, good and x.scale == y.scale, "turns an int8 vector into one of three times its size")
        require(self, MOST_HEARD * 127 <= INT16_MAX, "sums more than 16 bits hold")
        require(self, graph.state == "reset", "needs windows that begin")


@dataclass(frozen=True)
class Lookup(Unary):
    """y[i] = table[x[i] + 128], int8 to int8 or int16. Table [256] of y's type."""

    table: npt.NDArray[np.int8] | npt.NDArray[np.int16]

    def check(self, graph: Graph) -> None:
        x, y = graph.tensor(self.x), graph.tensor(self.y)
        require(self, x.bits == 8 and alike(x, y), "works on an int8 vector")
        array_is(self, "table", self.table, np.int8 if y.bits == 8 else np.int16, (256,))
        largest = int(np.abs(self.table.astype(np.int64)).max())
        require(self, largest <= y.magnitude, "its table leaves y's limit")


@dataclass(frozen=True)
class Curve(Unary):
    """A nonlinear function of one int16 value by a table [257] int16 with linear interpolation.

    `kind` ("silu", "softplus") is for the reader; the table says all.
    """

    kind: str
    table: npt.NDArray[np.int16]

    def check(self, graph: Graph) -> None:
        x, y = graph.tensor(self.x), graph.tensor(self.y)
        require(self, x.bits == y.bits == 16 and alike(x, y), "works on int16 vectors of one size")
        array_is(self, "table", self.table, np.int16, (257,))
        largest = int(np.abs(self.table.astype(np.int64)).max())
        require(self, largest <= y.limit, "its table leaves y's limit")


@dataclass(frozen=True)
class Linear(Unary):
    """y[o] = clamp(requantise(bias[o] + sum_i weight[o, i] * x[i], multiplier[o], shift)).

    `weight` [out, in] int8, `bias` [out] int32, `multiplier` [out] int32 >= 0, `shift` in 1..62.
    `weight_bits` 8, or 4: then |weight| <= 7, and the device keeps two in a byte.
    """

    weight: npt.NDArray[np.int8]
    bias: npt.NDArray[np.int32]
    multiplier: npt.NDArray[np.int32]
    shift: int
    weight_bits: int = 8
    overwrites: ClassVar[tuple[str, ...]] = ()

    def check(self, graph: Graph) -> None:
        x, y = graph.tensor(self.x), graph.tensor(self.y)
        require(self, x.rows == y.rows, "keeps its rows")
        array_is(self, "weight", self.weight, np.int8, (y.size, x.size))
        weights_fit(self, self.weight, self.weight_bits)
        requantisation_is(self, self.bias, self.multiplier, self.shift, y.size)
        accumulator_fits(
            self, np.abs(self.weight.astype(np.int64)).sum(axis=1) * x.magnitude, self.bias, self.shift
        )


@dataclass(frozen=True)
class Embed(Unary):
    """Lookup and Linear at once, straight from the sample:

    y[o] = clamp(requantise(bias[o] + sum_i weight[o, i] * table[x[i] + 128], multiplier[o], shift)).
    `table` [256] int16; the others as in Linear. The device keeps no copy of the signal, and an access point
    whose entry is 0 ("not heard", under the power law) costs it no multiplication.
    """

    table: npt.NDArray[np.int16]
    weight: npt.NDArray[np.int8]
    bias: npt.NDArray[np.int32]
    multiplier: npt.NDArray[np.int32]
    shift: int
    weight_bits: int = 8
    overwrites: ClassVar[tuple[str, ...]] = ()

    def scratch(self, graph: Graph) -> int:
        return 4 * graph.tensor(self.y).size

    def check(self, graph: Graph) -> None:
        x, y = graph.tensor(self.x), graph.tensor(self.y)
        require(self, (x.bits, y.bits, x.rows, y.rows) == (8, 16, 1, 1), "turns an int8 vector into an int16")
        array_is(self, "table", self.table, np.int16, (256,))
        array_is(self, "weight", self.weight, np.int8, (y.size, x.size))
        weights_fit(self, self.weight, self.weight_bits)
        requantisation_is(self, self.bias, self.multiplier, self.shift, y.size)
        largest = int(np.abs(self.table.astype(np.int64)).max())
        accumulator_fits(
            self, np.abs(self.weight.astype(np.int64)).sum(axis=1) * largest, self.bias, self.shift
        )


@dataclass(frozen=True)
class Relu(Unary):
    """y = max(x, 0), in x's units."""

    def check(self, graph: Graph) -> None:
        x, y = graph.tensor(self.x), graph.tensor(self.y)
        good = x.bits == y.bits == 16 and alike(x, y) and x.scale == y.scale and y.limit >= x.limit
        require(self, good, "keeps int16 numbers as they are")


@dataclass(frozen=True)
class RmsNorm(Unary):
    """y = x / sqrt(mean(x^2) + epsilon), without gain (the gain is folded into the next weights).

    With s = epsilon + sum x^2 in 64 bits and r = 2^15 / sqrt(s) by table, y = clamp(round(x * r * 2^-shift'))
    (docs/NUMERICS.md). `epsilon` >= 16 in units of x's integer squared times its size. `shift` in -2..10: the
    output's scale is sqrt(size) * 2^(shift - 15).
    """

    epsilon: int
    shift: int

    def check(self, graph: Graph) -> None:
        x, y = graph.tensor(self.x), graph.tensor(self.y)
        require(self, x.bits == 16 and alike(x, y), "works on an int16 vector")
        require(self, 16 <= self.epsilon < 2**40, f"epsilon is {self.epsilon}, expected 16 to 2^40")
        require(self, -2 <= self.shift <= 10, f"shift is {self.shift}, expected -2..10")
        require(self, x.size <= 4096, "sums at most 4,096 squares")


@dataclass(frozen=True)
class DepthwiseConv(Unary):
    """Causal convolution over time, one filter a channel: weight [E, taps] int8, last tap is the newest.

    Keeps the last taps - 1 samples of each channel, oldest first, as x is stored.
    """

    weight: npt.NDArray[np.int8]
    bias: npt.NDArray[np.int32]
    multiplier: npt.NDArray[np.int32]
    shift: int

    def state(self, graph: Graph) -> State:
        x = graph.tensor(self.x)
        return State(f"{self.name}_past", x.size * (self.weight.shape[1] - 1), x.bits)

    def check(self, graph: Graph) -> None:
        x, y = graph.tensor(self.x), graph.tensor(self.y)
        require(self, x.size == y.size and x.rows == y.rows == 1, "keeps its width, step by step")
        require(self, x.bits == y.bits, "stores its output as its input")
        require(self, self.weight.ndim == 2 and 2 <= self.weight.shape[1] <= 16, "has 2..16 taps")
        array_is(self, "weight", self.weight, np.int8, (x.size, self.weight.shape[1]))
        requantisation_is(self, self.bias, self.multiplier, self.shift, y.size)
        accumulator_fits(
            self, np.abs(self.weight.astype(np.int64)).sum(axis=1) * x.magnitude, self.bias, self.shift
        )


@dataclass(frozen=True)
class Scan(Operator):
    """The selective scan of Mamba (arXiv 2312.00752, algorithm 2), one step.

    `dt` [E] (step size, never negative), `b` [N], `c` [N], `x` [E] -> `y` [E]; state h [E, N] int16.
    u = clamp(requantise(dt * x)); a = 2^-(dt * decay >> decay_shift) in Q15 by table;
    h = clamp16((h * a + u * b + 2^14) >> 15);
    y = clamp((sum_n h * c * y_multiplier + x * skip * 2^skip_shift + half) >> y_shift).
    `decay` [E, N] int16, never negative, is -A * log2(e), `skip` [E] int32 is D.
    """

    dt: str
    b: str
    c: str
    x: str
    y: str
    decay: npt.NDArray[np.int16]
    decay_shift: int
    u_multiplier: int
    u_shift: int
    skip: npt.NDArray[np.int32]
    skip_shift: int
    y_multiplier: int
    y_shift: int
    overwrites: ClassVar[tuple[str, ...]] = ("x", "dt")

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.x, self.dt, self.b, self.c)

    @property
    def output(self) -> str:
        return self.y

    def state(self, graph: Graph) -> State:
        return State(f"{self.name}_h", self.decay.size, 16)

    def check(self, graph: Graph) -> None:
        dt, b, c = graph.tensor(self.dt), graph.tensor(self.b), graph.tensor(self.c)
        x, y = graph.tensor(self.x), graph.tensor(self.y)
        require(self, dt.size == x.size == y.size and b.size == c.size, "has operands of other sizes")
        require(self, x.rows == y.rows == 1, "works step by step")
        require(self, dt.bits == b.bits == c.bits == y.bits == 16, "takes int16 dt, b, c and gives int16 y")
        maker = next((op for op in graph.operators if op.output == self.dt), None)
        require(
            self,
            isinstance(maker, Curve) and int(maker.table.min()) >= 0,
            "needs a step size that a never negative curve makes",
        )
        array_is(self, "decay", self.decay, np.int16, (x.size, b.size))
        require(self, int(self.decay.min()) >= 0, "has a state that grows by itself")
        array_is(self, "skip", self.skip, np.int32, (x.size,))
        require(self, 0 <= self.decay_shift <= 16, f"decay_shift is {self.decay_shift}, expected 0..16")
        factor_is(self, self.u_multiplier, self.u_shift)
        require(self, self.u_shift >= 33, f"u_shift is {self.u_shift}, expected 33 or more")
        factor_is(self, self.y_multiplier, self.y_shift)
        lift = lift_of(self.y_shift)
        shifted = x.magnitude << max(0, self.skip_shift) + lift
        require(self, self.skip_shift >= 0 and shifted <= INT32_MAX, "shifts x out of 32 bits")
        require(self, self.y_multiplier << lift <= INT32_MAX, "reads with a factor beyond 31 bits")
        largest = b.size * c.limit * 32768
        require(self, largest <= INT32_MAX, f"sums {b.size} products that may leave 32 bits")
        through = x.magnitude * int(np.abs(self.skip.astype(np.int64)).max()) << self.skip_shift
        worst = (largest * self.y_multiplier + through) >> self.y_shift
        require(self, worst < INT32_MAX, "reads more than 32 bits hold")


@dataclass(frozen=True)
class Multiply(Operator):
    """y = clamp(requantise(a * b, multiplier, shift)), element by element."""

    a: str
    b: str
    y: str
    multiplier: int
    shift: int
    overwrites: ClassVar[tuple[str, ...]] = ("a", "b")

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.a, self.b)

    @property
    def output(self) -> str:
        return self.y

    def check(self, graph: Graph) -> None:
        a, b, y = graph.tensor(self.a), graph.tensor(self.b), graph.tensor(self.y)
        require(self, alike(a, y) and alike(b, y), "has operands of other sizes")
        require(self, a.bits == 16 and b.bits == y.bits, "takes an int16 vector first and stores y as b")
        factor_is(self, self.multiplier, self.shift)
        require(self, self.shift >= 33, f"has a shift of {self.shift}, expected 33 or more")


@dataclass(frozen=True)
class Add(Operator):
    """y = clamp((a * a_multiplier + b * b_multiplier + half) >> shift), element by element, in 64 bits."""

    a: str
    b: str
    y: str
    a_multiplier: int
    b_multiplier: int
    shift: int
    overwrites: ClassVar[tuple[str, ...]] = ("a", "b")

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.a, self.b)

    @property
    def output(self) -> str:
        return self.y

    def check(self, graph: Graph) -> None:
        a, b, y = graph.tensor(self.a), graph.tensor(self.b), graph.tensor(self.y)
        require(self, alike(a, y) and alike(b, y), "has operands of other sizes")
        require(self, a.bits == b.bits == y.bits == 16, "works on int16 vectors")
        factor_is(self, self.a_multiplier, self.shift)
        factor_is(self, self.b_multiplier, self.shift)
        require(self, self.shift >= 17, "sums to more than 32 bits hold")
