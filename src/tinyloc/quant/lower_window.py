"""Lowering of the operators of a whole window; importing this module registers them with `lower`."""

from __future__ import annotations

import math

import numpy as np

from tinyloc.errors import QuantisationError
from tinyloc.quant.float_window import (
    FloatAttention,
    FloatCollect,
    FloatConv,
    FloatForest,
    FloatInterleave,
    FloatLastRow,
    FloatLayerNorm,
    FloatMeanRows,
    FloatPosition,
    FloatStandardise,
    FloatStatistics,
    FloatViterbi,
)
from tinyloc.quant.graph import (
    Attention,
    Collect,
    Conv,
    Forest,
    Interleave,
    LastRow,
    LayerNorm,
    MeanRows,
    Operator,
    Position,
    Standardise,
    Statistics,
    Tensor,
    Viterbi,
)
from tinyloc.quant.lower import LOG2_E, MARGIN, Lowering, factor, factors, lower_operator


@lower_operator.register
def _(operator: FloatCollect, to: Lowering) -> Operator:
    x = to.tensors[operator.x]
    y = Tensor(operator.y, x.size, x.bits, x.limit, x.scale, to.floats.steps)
    to.tensors[operator.y] = y
    return Collect(operator.name, x.name, y.name)


@lower_operator.register
def _(operator: FloatPosition, to: Lowering) -> Operator:
    x = to.tensors[operator.x]
    y = to.tensor(operator.y, x.size, x.scale, x.rows)
    table = np.clip(np.rint(operator.table / x.scale), -y.limit, y.limit)
    return Position(operator.name, x.name, y.name, table.astype(np.int16))


@lower_operator.register
def _(operator: FloatLayerNorm, to: Lowering) -> Operator:
    x = to.tensors[operator.x]
    y = to.tensor(operator.y, x.size, rows=x.rows)
    wanted = to.ranges.largest[f"{operator.name}.normal"] * MARGIN / 32767
    shift = math.ceil(math.log2(max(wanted, 1e-9) / math.sqrt(x.size)) + 15)
    shift = min(max(shift, -2), 10)
    normal = math.sqrt(x.size) * 2.0 ** (shift - 15)
    gain, bias = operator.gain * normal / y.scale, operator.bias / y.scale
    largest = max(float(np.abs(gain).max()) / 16383, float(np.abs(bias).max()) / 2**29, 1e-12)
    gain_shift = min(29, math.floor(-math.log2(largest)))
    epsilon = max(16, round(operator.epsilon * x.size / x.scale**2))
    if gain_shift < 1 or epsilon >= 2**40:
        raise QuantisationError(f"operator {operator.name!r}: its input or gain is out of range")
    return LayerNorm(
        operator.name,
        x.name,
        y.name,
        epsilon,
        shift,
        *factor(1 / x.size, operator.name),
        gain=np.rint(gain * 2.0**gain_shift).astype(np.int16),
        bias=np.rint(bias * 2.0**gain_shift).astype(np.int32),
        gain_shift=gain_shift,
    )


@lower_operator.register
def _(operator: FloatAttention, to: Lowering) -> Operator:
    q, k, v = (to.tensors[name] for name in (operator.q, operator.k, operator.v))
    y = to.tensor(operator.y, q.size, rows=q.rows)
    width = q.size // operator.heads
    score = q.scale * k.scale / math.sqrt(width) * LOG2_E * 65536
    return Attention(
        operator.name,
        q.name,
        k.name,
        v.name,
        y.name,
        operator.heads,
        *factor(score, operator.name),
        *factor(v.scale / y.scale / 32768, operator.name),
    )


@lower_operator.register
def _(operator: FloatMeanRows, to: Lowering) -> Operator:
    x = to.tensors[operator.x]
    y = to.tensor(operator.y, x.size)
    return MeanRows(operator.name, x.name, y.name, *factor(x.scale / y.scale / x.rows, operator.name))


@lower_operator.register
def _(operator: FloatLastRow, to: Lowering) -> Operator:
    x = to.tensors[operator.x]
    y = to.tensor(operator.y, x.size, x.scale)
    return LastRow(operator.name, x.name, y.name)


@lower_operator.register
def _(operator: FloatConv, to: Lowering) -> Operator:
    x = to.tensors[operator.x]
    outputs, taps, _ = operator.weight.shape
    rows = (x.rows + operator.past - taps) // operator.stride + 1
    y = to.tensor(operator.y, outputs, rows=rows)
    weight = operator.weight.reshape(outputs, -1)
    mean = np.tile(to.ranges.mean[x.name], taps)
    parts = to.weights(operator.name, weight, operator.bias, x, y, mean)
    return Conv(operator.name, x.name, y.name, *parts, taps=taps, stride=operator.stride, past=operator.past)


@lower_operator.register
def _(operator: FloatInterleave, to: Lowering) -> Operator:
    a = to.tensors[operator.a]
    y = to.tensor(operator.y, a.size, a.scale, 3 * a.rows)
    return Interleave(operator.name, operator.a, operator.b, operator.c, y.name)


@lower_operator.register
def _(operator: FloatViterbi, to: Lowering) -> Operator:
    x = to.tensors[operator.x]
    y = to.tensor(operator.y, x.size, x.scale)

    def whole(
        values: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
        return np.clip(np.rint(values / x.scale), -32767, 32767).astype(np.int16)

    parts = (whole(operator.transitions), whole(operator.start), whole(operator.end))
    return Viterbi(operator.name, x.name, y.name, *parts)


@lower_operator.register
def _(operator: FloatStatistics, to: Lowering) -> Operator:
    x = to.tensors[operator.x]
    y = Tensor(operator.y, 6 * x.size, 16, 32767, 1.0)
    to.tensors[operator.y] = y
    return Statistics(operator.name, x.name, y.name)


@lower_operator.register
def _(operator: FloatStandardise, to: Lowering) -> Operator:
    x = to.tensors[operator.x]
    y = to.tensor(operator.y, x.size)
    multiplier, shift = factors(operator.gain * x.scale / y.scale, operator.name)
    return Standardise(
        operator.name,
        x.name,
        y.name,
        np.rint(operator.offset / x.scale).astype(np.int16),
        multiplier,
        shift,
    )


@lower_operator.register
def _(operator: FloatForest, to: Lowering) -> Operator:
    x = to.tensors[operator.x]
    y = Tensor(operator.y, operator.rooms, 16, len(operator.inner), 1.0)  # a vote a tree
    to.tensors[operator.y] = y
    feature = operator.feature
    return Forest(
        operator.name,
        x.name,
        y.name,
        feature.astype(np.uint8) if x.size <= 256 else feature.astype(np.uint16),
        operator.threshold.astype(f"int{x.bits}"),
        operator.left.astype(np.uint8),
        operator.inner.astype(np.uint8),
        operator.room.astype(np.uint8),
    )
