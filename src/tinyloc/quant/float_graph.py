"""The same operators in floating point: what the integers stand for.

A family turns its checkpoint into a `FloatGraph` (for Mamba, `mamba.py`); `calibrate` runs it over windows to
learn each tensor's range; `lower` turns it, operator by operator, into a `Graph`. Tensor and operator names
are the same on both sides, so any tensor can be compared between the two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import singledispatch

import numpy as np
import numpy.typing as npt

from tinyloc.models.motion import MOTION_AXES, UNITS_PER_G
from tinyloc.models.running import running_statistics
from tinyloc.quant.operator import MOTION, SAMPLE
from tinyloc.quant.tables import curve

Float = npt.NDArray[np.float64]
Values = dict[str, Float]


@dataclass(frozen=True)
class FloatOperator:
    """Base: `name` and the name of the output `y`. Arrays are float64; x is [W, in]."""

    name: str
    y: str


@dataclass(frozen=True)
class FloatRunning(FloatOperator):
    """y [3 P] = x, the largest x of the window so far, its mean, in whole dBm (`models/running.py`)."""

    x: str


@dataclass(frozen=True)
class FloatLookup(FloatOperator):
    """y = table[x + 128] for an int8 x; table [256]."""

    x: str
    table: Float


@dataclass(frozen=True)
class FloatCurve(FloatOperator):
    """y = curve(x), by the curve's name in `tables.CURVES`."""

    x: str
    kind: str


@dataclass(frozen=True)
class FloatLinear(FloatOperator):
    """y = weight x + bias; weight [out, in], bias [out]."""

    x: str
    weight: Float
    bias: Float


@dataclass(frozen=True)
class FloatEmbed(FloatOperator):
    """y = weight table[x + 128] + bias for an int8 x: a lookup and a linear layer at once.

    table [256], weight [out, in], bias [out].
    """

    x: str
    table: Float
    weight: Float
    bias: Float


@dataclass(frozen=True)
class FloatRmsNorm(FloatOperator):
    """y = x / sqrt(mean(x^2) + epsilon)."""

    x: str
    epsilon: float


@dataclass(frozen=True)
class FloatDepthwiseConv(FloatOperator):
    """Causal convolution over time, one filter a channel: weight [E, taps], last tap newest; bias [E]."""

    x: str
    weight: Float
    bias: Float


@dataclass(frozen=True)
class FloatScan(FloatOperator):
    """h = exp(dt * A) h + dt * x * b; y = h c + D x. A [E, N] negative, D [E] (arXiv 2312.00752)."""

    dt: str
    b: str
    c: str
    x: str
    A: Float
    D: Float


@dataclass(frozen=True)
class FloatMultiply(FloatOperator):
    """y = a * b."""

    a: str
    b: str


@dataclass(frozen=True)
class FloatAdd(FloatOperator):
    """y = a + b."""

    a: str
    b: str


Apply = Callable[[int, FloatOperator, Values, Values], Float]
"""How a step runs one operator: its place in the list, itself, the tensors so far, the states."""


def inputs_of(operator: FloatOperator) -> dict[str, str]:
    """The tensors that an operator reads, by the field that names each."""
    return {
        key: value
        for key, value in vars(operator).items()
        if key not in ("name", "y", "kind") and isinstance(value, str)
    }


@dataclass(frozen=True)
class FloatGraph:
    """Operators in order, from `sample` (dBm, -128 = not heard) to `output` (scores [W, K]).

    `steps`: those of a window, where the graph collects one before it answers; 0 where it answers each step.
    `motion`: whether the last three numbers of a sample are an accelerometer's, in 1/32 g, which become the
    tensor `acceleration` in g.
    """

    operators: tuple[FloatOperator, ...]
    output: str
    steps: int = 0
    motion: bool = False

    def collected(self) -> frozenset[str]:
        """Names of the tensors that are there only when the window is full."""
        found: set[str] = set()
        for operator in self.operators:
            if type(operator).__name__ == "FloatCollect" or found.intersection(inputs_of(operator).values()):
                found.add(operator.y)
        return frozenset(found)

    def inputs(self, sample: Float) -> Values:
        """Samples [..., P] or, with an accelerometer, [..., P + 3] as the tensors that the graph reads."""
        if not self.motion:
            return {SAMPLE: sample}
        return {SAMPLE: sample[..., :-MOTION_AXES], MOTION: sample[..., -MOTION_AXES:] / UNITS_PER_G}

    def step(self, sample: Float, states: Values, run: Apply | None = None) -> Values:
        """One step of samples (`inputs`); returns every tensor by name and changes `states` in place.

        `run` may take the place of `apply`. A scan also leaves its internal products as ``<name>.u`` and
        ``<name>.h``, a layer norm what it multiplies by its gain as ``<name>.normal``, an embedding what it
        looks up as ``<name>.signal``, for calibration. Until a window is full there is no output.
        """
        values = self.inputs(sample)
        late = self.collected() if self.steps else frozenset()
        done = int(states.get("clock", np.zeros(1))[0]) + 1
        for place, operator in enumerate(self.operators):
            gate = type(operator).__name__ == "FloatCollect"
            if operator.y in late and not gate and done < self.steps:
                continue
            result = apply(operator, values, states) if run is None else run(place, operator, values, states)
            if not gate or done == self.steps:
                values[operator.y] = result
        states["clock"] = np.full(1, done)
        return values

    def run(self, rssi: npt.NDArray[np.int8]) -> Float:
        """Windows of samples [W, T, P or P + 3] int8 -> scores after every step [W, T, K], from a reset
        state.

        A graph that collects windows answers after the last step alone: [W, 1, K].
        """
        states: Values = {}
        steps = [self.step(rssi[:, t].astype(np.float64), states) for t in range(rssi.shape[1])]
        return np.stack([values[self.output] for values in steps if self.output in values], axis=1)


@singledispatch
def apply(operator: FloatOperator, values: Values, states: Values) -> Float:
    """One operator on the tensors in `values`."""
    raise TypeError(f"no floating-point form of {type(operator).__name__}")


@apply.register
def _(operator: FloatRunning, values: Values, states: Values) -> Float:
    x = values[operator.x][:, None]
    heard = np.concatenate([states.get(operator.name, x[:, :0]), x], axis=1)
    states[operator.name] = heard
    return running_statistics(heard.astype(np.int8))[:, -1].astype(np.float64)


@apply.register
def _(operator: FloatLookup, values: Values, states: Values) -> Float:
    return operator.table[values[operator.x].astype(np.int64) + 128]


@apply.register
def _(operator: FloatCurve, values: Values, states: Values) -> Float:
    return curve(operator.kind)(values[operator.x])


@apply.register
def _(operator: FloatLinear, values: Values, states: Values) -> Float:
    return np.asarray(values[operator.x] @ operator.weight.T + operator.bias)


@apply.register
def _(operator: FloatEmbed, values: Values, states: Values) -> Float:
    signal = operator.table[values[operator.x].astype(np.int64) + 128]
    values[f"{operator.name}.signal"] = signal
    return np.asarray(signal @ operator.weight.T + operator.bias)


@apply.register
def _(operator: FloatRmsNorm, values: Values, states: Values) -> Float:
    x = values[operator.x]
    return np.asarray(x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + operator.epsilon))


@apply.register
def _(operator: FloatDepthwiseConv, values: Values, states: Values) -> Float:
    x, taps = values[operator.x], operator.weight.shape[1]
    past = states.get(operator.name, np.zeros((*x.shape, taps - 1)))
    line = np.concatenate([past, x[:, :, None]], axis=2)
    states[operator.name] = line[:, :, 1:]
    return np.asarray((line * operator.weight).sum(axis=2) + operator.bias)


@apply.register
def _(operator: FloatScan, values: Values, states: Values) -> Float:
    dt, b, c, x = (values[name] for name in (operator.dt, operator.b, operator.c, operator.x))
    h = states.get(operator.name, np.zeros((len(x), *operator.A.shape)))
    u = dt * x
    h = np.exp(dt[:, :, None] * operator.A) * h + u[:, :, None] * b[:, None, :]
    states[operator.name] = h
    values[f"{operator.name}.u"], values[f"{operator.name}.h"] = u, h
    return np.asarray((h * c[:, None, :]).sum(axis=2) + operator.D * x)


@apply.register
def _(operator: FloatMultiply, values: Values, states: Values) -> Float:
    return np.asarray(values[operator.a] * values[operator.b])


@apply.register
def _(operator: FloatAdd, values: Values, states: Values) -> Float:
    return np.asarray(values[operator.a] + values[operator.b])
