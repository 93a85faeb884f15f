"""The integer graph: a list of typed operators over named integer tensors.

Every operator means exactly one thing in three places: a method in `reference.py`, a function in
`csrc/tinyloc_kernels.c`, a section in `docs/NUMERICS.md`. Letters: P access points, H width, E inner width,
N state size, K rooms; "in" and "out" are an operator's own sizes.

All tensors are symmetric (zero point 0): value = scale * integer, |integer| <= limit. Only the radio's own
sample, int8 dBm with -128 for "not heard", uses -128.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from tinyloc.errors import QuantisationError

INT32_MAX = 2**31 - 1
SAMPLE = "sample"
"""Name of the tensor that holds the radio's sample."""


@dataclass(frozen=True)
class Tensor:
    """A vector of integers that lives during one step.

    `bits` 8 or 16: how it is stored. `limit`: the largest magnitude it may hold (127, 32767, or less where an
    accumulator behind it needs headroom). `scale`: what one unit is worth. The zero point is 0.
    """

    name: str
    size: int
    bits: int
    limit: int
    scale: float
    zero_point: ClassVar[int] = 0

    @property
    def bytes(self) -> int:
        """Bytes of RAM."""
        return self.size * self.bits // 8

    @property
    def magnitude(self) -> int:
        """Largest magnitude for overflow proofs: the sample and what a table makes of it may reach 128."""
        return 128 if self.bits == 8 else self.limit


@dataclass(frozen=True)
class State:
    """What an operator keeps from step to step: `size` integers of `bits`, zero after a reset."""

    name: str
    size: int
    bits: int

    @property
    def bytes(self) -> int:
        """Bytes of RAM."""
        return self.size * self.bits // 8


@dataclass(frozen=True)
class Operator:
    """Base of all operators. `name` is unique and a valid C identifier."""

    name: str
    in_place: ClassVar[bool] = True
    """Whether the output may lie where an input of the same stored size lay that ends here."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the tensors that are read."""
        raise TypeError(f"{type(self).__name__} does not name its inputs")

    @property
    def output(self) -> str:
        """Name of the tensor that is written."""
        raise TypeError(f"{type(self).__name__} does not name its output")

    def state(self, graph: Graph) -> State | None:
        """The state it keeps, if any."""
        return None

    def check(self, graph: Graph) -> None:
        """Raise QuantisationError unless shapes fit and no accumulator can overflow."""
        raise TypeError(f"{type(self).__name__} does not check itself")


@dataclass(frozen=True)
class _Unary(Operator):
    x: str
    y: str

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.x,)

    @property
    def output(self) -> str:
        return self.y


@dataclass(frozen=True)
class Lookup(_Unary):
    """y[i] = table[x[i] + 128], int8 to int8 or int16. Table [256] of y's type."""

    table: npt.NDArray[np.int8] | npt.NDArray[np.int16]

    def check(self, graph: Graph) -> None:
        x, y = graph.tensor(self.x), graph.tensor(self.y)
        _require(self, x.bits == 8 and x.size == y.size, "works on an int8 vector")
        _array(self, "table", self.table, np.int8 if y.bits == 8 else np.int16, (256,))
        largest = int(np.abs(self.table.astype(np.int64)).max())
        _require(self, largest <= y.magnitude, "its table leaves y's limit")


@dataclass(frozen=True)
class Curve(_Unary):
    """A nonlinear function of one int16 value by a table [257] int16 with linear interpolation.

    `kind` ("silu", "softplus") is for the reader; the table says all.
    """

    kind: str
    table: npt.NDArray[np.int16]

    def check(self, graph: Graph) -> None:
        x, y = graph.tensor(self.x), graph.tensor(self.y)
        _require(self, x.bits == y.bits == 16 and x.size == y.size, "works on int16 vectors of one size")
        _array(self, "table", self.table, np.int16, (257,))
        largest = int(np.abs(self.table.astype(np.int64)).max())
        _require(self, largest <= y.limit, "its table leaves y's limit")


@dataclass(frozen=True)
class Linear(_Unary):
    """y[o] = clamp(requantise(bias[o] + sum_i weight[o, i] * x[i], multiplier[o], shift[o])).

    `weight` [out, in] int8, `bias` [out] int32, `multiplier` [out] int32 >= 0, `shift` [out] uint8 in 1..62.
    """

    weight: npt.NDArray[np.int8]
    bias: npt.NDArray[np.int32]
    multiplier: npt.NDArray[np.int32]
    shift: npt.NDArray[np.uint8]
    in_place: ClassVar[bool] = False

    def check(self, graph: Graph) -> None:
        x, y = graph.tensor(self.x), graph.tensor(self.y)
        _array(self, "weight", self.weight, np.int8, (y.size, x.size))
        _requantisation(self, self.bias, self.multiplier, self.shift, y.size)
        _accumulator(self, np.abs(self.weight.astype(np.int64)).sum(axis=1) * x.magnitude, self.bias)


@dataclass(frozen=True)
class RmsNorm(_Unary):
    """y = x / sqrt(mean(x^2) + epsilon), without gain (the gain is folded into the next weights).

    With s = epsilon + sum x^2 in 64 bits and r = 2^15 / sqrt(s) by table, y = clamp(round(x * r * 2^-shift'))
    (docs/NUMERICS.md). `epsilon` >= 16 in units of x's integer squared times its size. `shift` in -2..10: the
    output's scale is sqrt(size) * 2^(shift - 15).
    """

    epsilon: int
    shift: int

    def check(self, graph: Graph) -> None:
        x, y = graph.tensor(self.x), graph.tensor(self.y)
        _require(self, x.bits == 16 and x.size == y.size, "works on an int16 vector")
        _require(self, 16 <= self.epsilon < 2**40, f"epsilon is {self.epsilon}, expected 16 to 2^40")
        _require(self, -2 <= self.shift <= 10, f"shift is {self.shift}, expected -2..10")
        _require(self, x.size <= 4096, "sums at most 4,096 squares")


@dataclass(frozen=True)
class DepthwiseConv(_Unary):
    """Causal convolution over time, one filter a channel: weight [E, taps] int8, last tap is the newest.

    Keeps the last taps - 1 samples of each channel, oldest first, as x is stored.
    """

    weight: npt.NDArray[np.int8]
    bias: npt.NDArray[np.int32]
    multiplier: npt.NDArray[np.int32]
    shift: npt.NDArray[np.uint8]

    def state(self, graph: Graph) -> State:
        x = graph.tensor(self.x)
        return State(f"{self.name}_past", x.size * (self.weight.shape[1] - 1), x.bits)

    def check(self, graph: Graph) -> None:
        x, y = graph.tensor(self.x), graph.tensor(self.y)
        _require(self, x.size == y.size, "keeps its width")
        _require(self, x.bits == y.bits, "stores its output as its input")
        _require(self, self.weight.ndim == 2 and 2 <= self.weight.shape[1] <= 16, "has 2..16 taps")
        _array(self, "weight", self.weight, np.int8, (x.size, self.weight.shape[1]))
        _requantisation(self, self.bias, self.multiplier, self.shift, y.size)
        _accumulator(self, np.abs(self.weight.astype(np.int64)).sum(axis=1) * x.magnitude, self.bias)


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
        _require(self, dt.size == x.size == y.size and b.size == c.size, "has operands of other sizes")
        _require(self, dt.bits == b.bits == c.bits == y.bits == 16, "takes int16 dt, b, c and gives int16 y")
        maker = next((op for op in graph.operators if op.output == self.dt), None)
        _require(
            self,
            isinstance(maker, Curve) and int(maker.table.min()) >= 0,
            "needs a step size that a never negative curve makes",
        )
        _array(self, "decay", self.decay, np.int16, (x.size, b.size))
        _require(self, int(self.decay.min()) >= 0, "has a state that grows by itself")
        _array(self, "skip", self.skip, np.int32, (x.size,))
        _require(self, 0 <= self.decay_shift <= 31, f"decay_shift is {self.decay_shift}, expected 0..31")
        _factor(self, self.u_multiplier, self.u_shift)
        _factor(self, self.y_multiplier, self.y_shift)
        _require(
            self,
            self.skip_shift >= 0 and x.magnitude.bit_length() + 31 + self.skip_shift <= 60,
            "shifts x * skip out of 64 bits",
        )
        fits = b.size * c.limit * 32768 <= INT32_MAX
        _require(self, fits, f"sums {b.size} products that may leave 32 bits")


@dataclass(frozen=True)
class Multiply(Operator):
    """y = clamp(requantise(a * b, multiplier, shift)), element by element."""

    a: str
    b: str
    y: str
    multiplier: int
    shift: int

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.a, self.b)

    @property
    def output(self) -> str:
        return self.y

    def check(self, graph: Graph) -> None:
        a, b, y = graph.tensor(self.a), graph.tensor(self.b), graph.tensor(self.y)
        _require(self, a.size == b.size == y.size, "has operands of other sizes")
        _require(self, a.bits == 16 and b.bits == y.bits, "takes an int16 vector first and stores y as b")
        _factor(self, self.multiplier, self.shift)


@dataclass(frozen=True)
class Add(Operator):
    """y = clamp((a * a_multiplier + b * b_multiplier + half) >> shift), element by element, in 64 bits."""

    a: str
    b: str
    y: str
    a_multiplier: int
    b_multiplier: int
    shift: int

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.a, self.b)

    @property
    def output(self) -> str:
        return self.y

    def check(self, graph: Graph) -> None:
        a, b, y = graph.tensor(self.a), graph.tensor(self.b), graph.tensor(self.y)
        _require(self, a.size == b.size == y.size, "has operands of other sizes")
        _require(self, a.bits == b.bits == y.bits == 16, "works on int16 vectors")
        _factor(self, self.a_multiplier, self.shift)
        _factor(self, self.b_multiplier, self.shift)


OPERATORS: dict[str, type[Operator]] = {
    kind.__name__: kind for kind in (Lookup, Curve, Linear, RmsNorm, DepthwiseConv, Scan, Multiply, Add)
}


@dataclass(frozen=True)
class Graph:
    """An integer model: operators in order of execution, from the sample to the scores.

    `output` names the int16 tensor of K scores. `window_steps` T; `seconds_per_step` 0 where a window is one
    sample; `state` "reset" (a window starts from zeros) or "carried" (state runs on through a session).
    """

    family: str
    size: str
    access_points: tuple[str, ...]
    rooms: tuple[str, ...]
    window_steps: int
    seconds_per_step: float
    state: str
    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    output: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {tensor.name: tensor for tensor in self.tensors})

    def tensor(self, name: str) -> Tensor:
        """The tensor of that name. Raises QuantisationError when there is none."""
        by_name: dict[str, Tensor] = self.__dict__["_by_name"]
        if name not in by_name:
            raise QuantisationError(f"the integer graph has no tensor named {name!r}")
        return by_name[name]

    def states(self) -> Iterator[tuple[Operator, State]]:
        """Operators that keep something, with what they keep, in order."""
        for operator in self.operators:
            kept = operator.state(self)
            if kept is not None:
                yield operator, kept

    def check(self) -> Graph:
        """Prove shapes, order and the absence of overflow; return self. Raises QuantisationError."""
        if len(self.tensors) != len(self.__dict__["_by_name"]):
            raise QuantisationError("the integer graph has two tensors of one name")
        names = [op.name for op in self.operators] + [tensor.name for tensor in self.tensors]
        if len(set(names)) != len(names):
            raise QuantisationError("the integer graph uses one name twice")
        for tensor in self.tensors:
            largest = {8: 127, 16: 32767}.get(tensor.bits, 0)
            if tensor.size < 1 or not 1 <= tensor.limit <= largest or not 0 < tensor.scale < np.inf:
                raise QuantisationError(f"tensor {tensor.name!r} has an impossible size, limit or scale")
        sample, scores = self.tensor(SAMPLE), self.tensor(self.output)
        if sample.size != len(self.access_points) or sample.bits != 8:
            raise QuantisationError("the sample is not one int8 per access point")
        if scores.size != len(self.rooms) or scores.bits != 16 or not 1 <= len(self.rooms) <= 255:
            raise QuantisationError("the scores are not one int16 per room, 255 rooms at most")
        if self.state not in ("reset", "carried") or self.window_steps < 1:
            raise QuantisationError(f"no window has {self.window_steps} steps and state {self.state!r}")
        written = {SAMPLE}
        for operator in self.operators:
            missing = [name for name in operator.inputs if name not in written]
            if missing or operator.output in written:
                raise QuantisationError(f"operator {operator.name!r} reads or writes a tensor out of turn")
            operator.check(self)
            written.add(operator.output)
        if self.output not in written:
            raise QuantisationError("nothing writes the scores")
        return self

    @property
    def parameter_bytes(self) -> int:
        """Bytes of all constant arrays."""
        return sum(
            value.nbytes
            for operator in self.operators
            for value in vars(operator).values()
            if isinstance(value, np.ndarray)
        )


def _require(operator: Operator, condition: bool, message: str) -> None:
    if not condition:
        raise QuantisationError(f"operator {operator.name!r} ({type(operator).__name__}) {message}")


def _array(operator: Operator, label: str, value: object, dtype: type, shape: tuple[int, ...]) -> None:
    good = isinstance(value, np.ndarray) and value.dtype == dtype and value.shape == shape
    _require(operator, good, f"needs {label} of shape {shape} and type {np.dtype(dtype).name}")


def _factor(operator: Operator, multiplier: int, shift: int) -> None:
    _require(operator, 0 <= multiplier <= INT32_MAX and 1 <= shift <= 62, "has a factor out of range")


def _requantisation(
    operator: Operator,
    bias: npt.NDArray[np.int32],
    multiplier: npt.NDArray[np.int32],
    shift: npt.NDArray[np.uint8],
    size: int,
) -> None:
    _array(operator, "bias", bias, np.int32, (size,))
    _array(operator, "multiplier", multiplier, np.int32, (size,))
    _array(operator, "shift", shift, np.uint8, (size,))
    _require(operator, bool(np.all(multiplier >= 0)), "has a negative multiplier")
    _require(operator, bool(np.all((shift >= 1) & (shift <= 62))), "has a shift outside 1..62")


def _accumulator(operator: Operator, worst: npt.NDArray[np.int64], bias: npt.NDArray[np.int32]) -> None:
    """The proof: the largest sum that these very weights can reach, for any input, stays within int32."""
    largest = int((worst + np.abs(bias.astype(np.int64))).max())
    _require(operator, largest <= INT32_MAX, f"could reach {largest} in a 32-bit accumulator")
