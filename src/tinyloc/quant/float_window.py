"""The operators of a whole window in floating point; tensors are float64 arrays [W, rows, size]."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinyloc.models.forest import votes
from tinyloc.models.statistics import window_statistics
from tinyloc.quant.float_graph import Float, FloatOperator, Values, apply


@dataclass(frozen=True)
class FloatCollect(FloatOperator):
    """y is x of every step of the window, one row a step."""

    x: str


@dataclass(frozen=True)
class FloatPosition(FloatOperator):
    """y = x + table; table [T, n]."""

    x: str
    table: Float


@dataclass(frozen=True)
class FloatLayerNorm(FloatOperator):
    """y = (x - mean) / sqrt(variance + epsilon) * gain + bias, row by row."""

    x: str
    epsilon: float
    gain: Float
    bias: Float


@dataclass(frozen=True)
class FloatAttention(FloatOperator):
    """y = softmax(q k' / sqrt(size / heads)) v, `heads` side by side."""

    q: str
    k: str
    v: str
    heads: int


@dataclass(frozen=True)
class FloatMeanRows(FloatOperator):
    """y = the mean of x's rows."""

    x: str


@dataclass(frozen=True)
class FloatLastRow(FloatOperator):
    """y = the last of x's rows."""

    x: str


@dataclass(frozen=True)
class FloatConv(FloatOperator):
    """Convolution over rows: weight [out, taps, in], oldest first; row t sees t * stride - past and on."""

    x: str
    weight: Float
    bias: Float
    stride: int
    past: int


@dataclass(frozen=True)
class FloatInterleave(FloatOperator):
    """Rows of a, b and c in turn."""

    a: str
    b: str
    c: str


@dataclass(frozen=True)
class FloatViterbi(FloatOperator):
    """The best path's value for each last room, the largest taken off; transitions [K, K] from, to."""

    x: str
    transitions: Float
    start: Float
    end: Float


@dataclass(frozen=True)
class FloatStatistics(FloatOperator):
    """`models.statistics.window_statistics` of collected samples, [W, 6 P]."""

    x: str


@dataclass(frozen=True)
class FloatStandardise(FloatOperator):
    """y = (x - offset) * gain."""

    x: str
    offset: Float
    gain: Float


@dataclass(frozen=True)
class FloatForest(FloatOperator):
    """How many trees vote for each of `rooms` rooms; the arrays of `models.forest`, whole numbers."""

    x: str
    feature: Float
    threshold: Float
    left: Float
    inner: Float
    room: Float
    rooms: int


@apply.register
def _(operator: FloatCollect, values: Values, states: Values) -> Float:
    x = values[operator.x][:, None]
    kept = np.concatenate([states[operator.name], x], axis=1) if operator.name in states else x
    states[operator.name] = kept
    return kept


@apply.register
def _(operator: FloatPosition, values: Values, states: Values) -> Float:
    return np.asarray(values[operator.x] + operator.table)


@apply.register
def _(operator: FloatLayerNorm, values: Values, states: Values) -> Float:
    x = values[operator.x]
    d = x - x.mean(axis=-1, keepdims=True)
    normal = d / np.sqrt((d * d).mean(axis=-1, keepdims=True) + operator.epsilon)
    values[f"{operator.name}.normal"] = normal
    return np.asarray(normal * operator.gain + operator.bias)


@apply.register
def _(operator: FloatAttention, values: Values, states: Values) -> Float:
    def heads(name: str) -> Float:
        x = values[name]
        return x.reshape(*x.shape[:2], operator.heads, -1).transpose(0, 2, 1, 3)

    q, k, v = heads(operator.q), heads(operator.k), heads(operator.v)
    scores = q @ k.transpose(0, 1, 3, 2) / np.sqrt(q.shape[-1])
    p = np.exp(scores - scores.max(axis=-1, keepdims=True))
    y = (p / p.sum(axis=-1, keepdims=True)) @ v
    return np.asarray(y.transpose(0, 2, 1, 3).reshape(values[operator.q].shape))


@apply.register
def _(operator: FloatMeanRows, values: Values, states: Values) -> Float:
    return np.asarray(values[operator.x].mean(axis=1))


@apply.register
def _(operator: FloatLastRow, values: Values, states: Values) -> Float:
    return values[operator.x][:, -1]


@apply.register
def _(operator: FloatConv, values: Values, states: Values) -> Float:
    x, taps = values[operator.x], operator.weight.shape[1]
    padded = np.pad(x, ((0, 0), (operator.past, 0), (0, 0)))
    starts = range(0, padded.shape[1] - taps + 1, operator.stride)
    seen = np.stack([padded[:, at : at + taps].reshape(len(x), -1) for at in starts], axis=1)
    return np.asarray(seen @ operator.weight.reshape(len(operator.weight), -1).T + operator.bias)


@apply.register
def _(operator: FloatInterleave, values: Values, states: Values) -> Float:
    parts = np.stack([values[name] for name in (operator.a, operator.b, operator.c)], axis=2)
    return np.asarray(parts.reshape(len(parts), -1, parts.shape[-1]))


@apply.register
def _(operator: FloatViterbi, values: Values, states: Values) -> Float:
    x = values[operator.x]
    d = operator.start + x[:, 0]
    for t in range(1, x.shape[1]):
        d = (d[:, :, None] + operator.transitions).max(axis=1) + x[:, t]
    d = d + operator.end
    return np.asarray(d - d.max(axis=1, keepdims=True))


@apply.register
def _(operator: FloatStatistics, values: Values, states: Values) -> Float:
    return window_statistics(values[operator.x].astype(np.int8)).astype(np.float64)


@apply.register
def _(operator: FloatStandardise, values: Values, states: Values) -> Float:
    return np.asarray((values[operator.x] - operator.offset) * operator.gain)


@apply.register
def _(operator: FloatForest, values: Values, states: Values) -> Float:
    return votes(vars(operator), values[operator.x], operator.rooms).astype(np.float64)
