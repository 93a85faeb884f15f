"""Lowering of the operators of a single step; importing this module registers them with `lower`."""

from __future__ import annotations

import math

import numpy as np

from tinyloc.errors import QuantisationError
from tinyloc.models.running import FEATURES
from tinyloc.quant.float_graph import (
    Float,
    FloatAdd,
    FloatCurve,
    FloatDepthwiseConv,
    FloatEmbed,
    FloatLinear,
    FloatLookup,
    FloatMultiply,
    FloatRmsNorm,
    FloatRunning,
    FloatScan,
)
from tinyloc.quant.graph import (
    INT32_MAX,
    Add,
    Curve,
    DepthwiseConv,
    Embed,
    Linear,
    Lookup,
    Multiply,
    Operator,
    Relu,
    RmsNorm,
    Running,
    Scan,
    Tensor,
)
from tinyloc.quant.lower import LOG2_E, MARGIN, WIDEST, Lowering, factor, lower_operator
from tinyloc.quant.operator import lift_of
from tinyloc.quant.tables import curve_table, lookup_table


@lower_operator.register
def _(operator: FloatRunning, to: Lowering) -> Operator:
    x = to.tensors[operator.x]
    y = to.tensors[operator.y] = Tensor(operator.y, FEATURES * x.size, 8, 127, x.scale)
    return Running(operator.name, x.name, y.name)


@lower_operator.register
def _(operator: FloatLookup, to: Lowering) -> Operator:
    table, size = operator.table, to.tensors[operator.x].size
    whole = bool(np.all(table == np.rint(table)) and np.all(np.abs(table) <= 128) and table.max() <= 127)
    # the power law goes on to +127 dBm, which no radio sends: only what was heard sets the scale
    reach = min(float(np.abs(table).max()), to.ranges.largest[operator.y] * MARGIN)
    if whole:
        # 16 bits feed the device's fastest product; a wide sample keeps its bytes
        bits, limit = (16, 128) if to.precision == "int16" and size <= WIDEST else (8, 127)
        y = to.tensors[operator.y] = Tensor(operator.y, size, bits, limit, 1.0)
    else:
        bits, limit = (8, 127) if to.precision == "int8" else (16, 32767)
        y = to.tensors[operator.y] = Tensor(operator.y, size, bits, limit, max(reach, 1e-9) / limit)
    codes = np.clip(np.rint(table / y.scale), -y.magnitude, y.limit)
    return Lookup(operator.name, operator.x, operator.y, codes.astype(f"int{y.bits}"))


@lower_operator.register
def _(operator: FloatCurve, to: Lowering) -> Operator:
    x = to.tensors[operator.x]
    if to.is_plain_relu(operator):
        return Relu(operator.name, x.name, to.tensor(operator.y, x.size, x.scale, x.rows).name)
    y = to.tensor(operator.y, x.size, rows=x.rows)
    if x.bits == 8:
        return Lookup(operator.name, x.name, y.name, lookup_table(operator.kind, x.scale, y.scale, y.limit))
    table = curve_table(operator.kind, x.scale, y.scale, y.limit)
    return Curve(operator.name, x.name, y.name, operator.kind, table)


@lower_operator.register
def _(operator: FloatLinear, to: Lowering) -> Operator:
    x = to.tensors[operator.x]
    y = to.tensor(operator.y, len(operator.weight), rows=x.rows)
    parts, bits = to.matrix(operator, x, y)
    weight, bias, _, shift = parts
    worst = np.abs(weight.astype(np.int64)).sum(axis=1) * x.magnitude + np.abs(bias.astype(np.int64))
    if int(worst.max()) << lift_of(shift) > INT32_MAX and operator.y not in to.together:
        # an output this fine would need the sum shifted out of 32 bits: nobody trains such weights
        y = to.tensor(operator.y, y.size, scale=y.scale * 2.0 ** lift_of(shift), rows=x.rows)
        parts, bits = to.matrix(operator, x, y)
    return Linear(operator.name, x.name, y.name, *parts, weight_bits=bits)


@lower_operator.register
def _(operator: FloatEmbed, to: Lowering) -> Operator:
    x, signal = to.tensors[operator.x], f"{operator.name}.signal"
    y = to.tensor(operator.y, len(operator.weight))
    # the power law goes on to +127 dBm, which no radio sends: only what was heard sets the scale
    reach = min(float(np.abs(operator.table).max()), to.ranges.largest[signal] * MARGIN)
    heard = Tensor(signal, x.size, 16, 32767, max(reach, 1e-9) / 32767)
    table = np.clip(np.rint(operator.table / heard.scale), -heard.limit, heard.limit).astype(np.int16)
    parts, bits = to.matrix(operator, heard, y)
    return Embed(operator.name, x.name, y.name, table, *parts, weight_bits=bits)


@lower_operator.register
def _(operator: FloatDepthwiseConv, to: Lowering) -> Operator:
    x, y = to.tensors[operator.x], to.tensor(operator.y, len(operator.weight))
    # a channel's taps all see that channel's mean
    scale = to.weight_scale(operator.weight, operator.bias, x)[:, None]
    lost = operator.weight - np.clip(np.rint(operator.weight / scale), -127, 127) * scale
    bias = operator.bias + lost.sum(axis=1) * to.ranges.mean[x.name]
    nothing = np.zeros(operator.weight.shape[1])
    parts = to.weights(operator.name, operator.weight, bias, x, y, nothing)
    return DepthwiseConv(operator.name, x.name, y.name, *parts)


@lower_operator.register
def _(operator: FloatRmsNorm, to: Lowering) -> Operator:
    x = to.tensors[operator.x]
    bits = 8 if operator.y in to.narrow else 16
    # the output's scale is sqrt(size) * 2^(shift - 15): take the finest that holds the calibrated range
    reach = to.ranges.largest[operator.y] * MARGIN
    wanted = reach / (127 if bits == 8 else 32767)
    shift = math.ceil(math.log2(max(wanted, 1e-9) / math.sqrt(x.size)) + 15)
    shift = min(max(shift, -2), 10)
    y = to.tensor(operator.y, x.size, scale=math.sqrt(x.size) * 2.0 ** (shift - 15))
    epsilon = max(16, round(operator.epsilon * x.size / x.scale**2))
    if epsilon >= 2**40:
        raise QuantisationError(f"operator {operator.name!r}: its input is too small to normalise")
    return RmsNorm(operator.name, x.name, y.name, epsilon, shift)


def _read_of(operator: FloatScan, state: float, x: Tensor, y: Tensor) -> tuple[float, Float, int, int]:
    """How a scan reads its state into `y`, where a unit of state times c is worth `state`: the factors of it
    and of D * x, by how much D * x is shifted up on its own, and their shift.
    """
    read, through = state / y.scale, operator.D * x.scale / y.scale
    largest = max(float(np.abs(through).max()), 1e-12)
    # read and D * x share one shift; where that leaves read too few bits, D * x is shifted up on its own
    skip_shift, y_shift = 0, min(62, 30 - math.ceil(math.log2(max(largest, read))))
    while read * 2.0**y_shift < 2**14 and skip_shift < 59 - 31 - x.magnitude.bit_length() and y_shift < 62:
        skip_shift, y_shift = skip_shift + 1, y_shift + 1
    if y_shift < 1:
        raise QuantisationError(f"operator {operator.name!r}: its output is too small beside its input")
    return read, through, skip_shift, y_shift


@lower_operator.register
def _(operator: FloatScan, to: Lowering) -> Operator:
    dt, b, c, x = (to.tensors[name] for name in (operator.dt, operator.b, operator.c, operator.x))
    y = to.tensor(operator.y, x.size)
    reach_u, reach_h = (to.ranges.largest[f"{operator.name}.{part}"] for part in "uh")
    # h must hold its range, and one product u * b at once: then u * b needs no scaling of its own
    h_scale = max(reach_h * MARGIN, reach_u * MARGIN * b.scale * b.limit, 1e-9) / 32767
    # nor is u finer than a quarter of dt * x: the device takes its factor from the upper word (u_shift >= 33)
    h_scale = max(h_scale, 4.001 * dt.scale * x.scale * 32768 * b.scale)
    u_scale = h_scale / (32768 * b.scale)
    u_multiplier, u_shift = factor(dt.scale * x.scale / u_scale, operator.name)
    rate = -operator.A * LOG2_E * dt.scale * 2.0**16  # binary digits of exponent, in 2^-16, per unit of dt
    decay_shift = int(min(16, math.floor(math.log2(32767 / max(float(rate.max()), 1e-9)))))
    if decay_shift < 0:
        raise QuantisationError(f"operator {operator.name!r}: its step size times its decay is too large")
    decay = np.rint(rate * 2.0**decay_shift).astype(np.int16)
    read, through, skip_shift, y_shift = _read_of(operator, h_scale * c.scale, x, y)
    if round(read * 2.0**y_shift) << lift_of(y_shift) > INT32_MAX and operator.y not in to.together:
        y = to.tensor(operator.y, x.size, scale=y.scale * 2.0 ** lift_of(y_shift))  # as in Linear
        read, through, skip_shift, y_shift = _read_of(operator, h_scale * c.scale, x, y)
    skip = np.rint(through * 2.0 ** (y_shift - skip_shift))
    return Scan(
        operator.name, dt.name, b.name, c.name, x.name, y.name,
        decay=decay,
        decay_shift=decay_shift,
        u_multiplier=u_multiplier,
        u_shift=u_shift,
        skip=skip.astype(np.int32),
        skip_shift=skip_shift,
        y_multiplier=round(read * 2.0**y_shift),
        y_shift=y_shift,
    )  # fmt: skip


@lower_operator.register
def _(operator: FloatMultiply, to: Lowering) -> Operator:
    a, b = to.tensors[operator.a], to.tensors[operator.b]
    y = to.tensor(operator.y, a.size, rows=a.rows)
    # nor is the product finer than a quarter of a * b: the device takes its factor from the upper word
    coarsest = 4.001 * a.scale * b.scale
    if y.scale < coarsest and operator.y not in to.together:
        y = to.tensor(operator.y, a.size, scale=coarsest, rows=a.rows)
    multiplier, shift = factor(a.scale * b.scale / y.scale, operator.name)
    return Multiply(operator.name, a.name, b.name, y.name, multiplier, shift)


@lower_operator.register
def _(operator: FloatAdd, to: Lowering) -> Operator:
    a, b = to.tensors[operator.a], to.tensors[operator.b]
    y = to.tensor(operator.y, a.size, rows=a.rows)
    ratios = a.scale / y.scale, b.scale / y.scale
    _, shift = factor(max(ratios), operator.name)
    multipliers = [min(INT32_MAX, round(ratio * 2.0**shift)) for ratio in ratios]
    return Add(operator.name, a.name, b.name, y.name, multipliers[0], multipliers[1], shift)
