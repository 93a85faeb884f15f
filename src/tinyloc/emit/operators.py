"""One operator of every step as C: its tables, its record, its call."""

from __future__ import annotations

from functools import singledispatch
from typing import TYPE_CHECKING

import numpy as np

from tinyloc.emit.literals import factor_of, packed, unpacking_order
from tinyloc.emit.schedule import Rectified, quick_linear
from tinyloc.quant.graph import (
    Add,
    Curve,
    DepthwiseConv,
    Embed,
    LayerNorm,
    Linear,
    Lookup,
    Multiply,
    Operator,
    Relu,
    RmsNorm,
    Running,
    Scan,
)
from tinyloc.quant.operator import INT16_MAX, lift_of

if TYPE_CHECKING:
    from tinyloc.emit.write import Writer


@singledispatch
def emit_operator(op: Operator, to: Writer) -> None:
    """Add one operator to the C of a graph."""
    raise TypeError(f"no C form of {type(op).__name__}")


@emit_operator.register(Running)
def _(op: Running, to: Writer) -> None:
    parts = [f"state->{op.name}_{part}" for part in ("max", "sum", "count")]
    points = str(to.graph.tensor(op.x).size)
    to.call("tinyloc_running", points, *parts, to.pointer(op.x), to.pointer(op.y))


@emit_operator.register(Lookup)
def _(op: Lookup, to: Writer) -> None:
    size, operands = to.elements(op.y), (to.pointer(op.x), to.pointer(op.y))
    if np.array_equal(op.table[1:], np.arange(-127, 128)):  # all but "not heard" stays: no table is needed
        to.call(f"tinyloc_fill_{to.bits(op.y)}", str(op.table[0]), size, *operands)
        return
    table = to.table(f"{op.name}_table", op.table)
    to.call(f"tinyloc_lookup_{to.bits(op.y)}", table, size, *operands)


@emit_operator.register(Curve)
def _(op: Curve, to: Writer) -> None:
    table = to.table(f"{op.name}_table", op.table)
    size = to.elements(op.y)
    to.call("tinyloc_curve", table, size, to.pointer(op.x), to.pointer(op.y))


@emit_operator.register(Linear)
def _(op: Linear, to: Writer) -> None:
    outputs, inputs = op.weight.shape
    if quick_linear(to.graph, op):
        limit = to.graph.tensor(op.y).limit
        low, limit = (0, op.most) if isinstance(op, Rectified) else (-limit, limit)
        rows = {**to.rows(op, unpacking_order(op.weight)), "factor": factor_of(0, op.shift, limit)}
        record = to.record(op, "tinyloc_rows_linear", **rows, outputs=outputs, inputs=inputs, low=low)
        to.call("tinyloc_rows_linear_16", record, to.count(op.y), to.pointer(op.x), to.pointer(op.y))
        return
    if op.weight_bits == 4:
        kind, rows = "tinyloc_packed_linear", to.rows(op, packed(op.weight))
    else:
        ordered = unpacking_order(op.weight) if to.bits(op.x) == 16 else op.weight
        kind, rows = "tinyloc_linear", to.rows(op, ordered)
    record = to.record(op, kind, **rows, outputs=outputs, inputs=inputs)
    to.row_by_row(f"{kind}_{to.bits(op.x)}_{to.bits(op.y)}", record, op.x, op.y)


@emit_operator.register(Embed)
def _(op: Embed, to: Writer) -> None:
    outputs, inputs = op.weight.shape
    kind, weight = "tinyloc_embed", op.weight.T  # input by input: those that are 0 are left out
    table = to.table(f"{op.name}_table", op.table)
    sizes = {"outputs": outputs, "inputs": inputs}
    if op.weight_bits == 4:
        kind, rows = "tinyloc_packed_embed", to.rows(op, packed(weight))
    else:
        rows = to.rows(op, weight)
    record = to.record(op, kind, table=table, **rows, **sizes)
    to.call(f"{kind}_16", record, "state->scratch", to.pointer(op.x), to.pointer(op.y))


@emit_operator.register(Relu)
def _(op: Relu, to: Writer) -> None:
    to.call("tinyloc_relu", to.elements(op.y), to.pointer(op.x), to.pointer(op.y))


@emit_operator.register(RmsNorm)
def _(op: RmsNorm, to: Writer) -> None:
    y = to.graph.tensor(op.y)
    record = to.record(op, "tinyloc_rms_norm", epsilon=op.epsilon, size=y.size, shift=op.shift, limit=y.limit)
    to.row_by_row(f"tinyloc_rms_norm_16_{y.bits}", record, op.x, op.y)


@emit_operator.register(LayerNorm)
def _(op: LayerNorm, to: Writer) -> None:
    y = to.graph.tensor(op.y)
    record = to.record(
        op,
        "tinyloc_layer_norm",
        gain=to.table(f"{op.name}_gain", op.gain),
        bias=to.table(f"{op.name}_bias", op.bias + np.int32(1 << (op.gain_shift - 1))),
        epsilon=op.epsilon,
        mean_multiplier=op.mean_multiplier,
        size=y.size,
        mean_shift=op.mean_shift,
        gain_shift=op.gain_shift,
        shift=op.shift,
        limit=y.limit,
    )
    function = "tinyloc_rows_norm_16" if y.size % 2 == 0 and op.mean_shift > 32 else "tinyloc_layer_norm_16"
    to.call(function, record, to.count(op.y), to.pointer(op.x), to.pointer(op.y))


@emit_operator.register(DepthwiseConv)
def _(op: DepthwiseConv, to: Writer) -> None:
    channels, taps = op.weight.shape
    record = to.record(op, "tinyloc_conv", **to.rows(op), channels=channels, taps=taps)
    function = f"tinyloc_conv_{to.bits(op.x)}_{to.bits(op.y)}"
    past = f"state->{op.state(to.graph).name}"
    to.call(function, record, past, to.pointer(op.x), to.pointer(op.y))


@emit_operator.register(Scan)
def _(op: Scan, to: Writer) -> None:
    channels, states = op.decay.shape
    lift = lift_of(op.y_shift)
    record = to.record(
        op,
        "tinyloc_scan",
        decay=to.table(f"{op.name}_decay", op.decay),
        skip=to.table(f"{op.name}_skip", op.skip),
        u_multiplier=op.u_multiplier,
        y_multiplier=op.y_multiplier << lift,
        channels=channels,
        states=states,
        u=factor_of(0, op.u_shift, INT16_MAX),
        y=factor_of(op.skip_shift + lift, op.y_shift, to.graph.tensor(op.y).limit),
        decay_shift=op.decay_shift,
    )
    operands = [to.pointer(name) for name in (op.dt, op.b, op.c, op.x, op.y)]
    function = f"tinyloc_scan_{'odd_' if states % 2 else ''}{to.bits(op.x)}"
    to.call(function, record, f"state->{op.state(to.graph).name}", *operands)


@emit_operator.register(Multiply)
def _(op: Multiply, to: Writer) -> None:
    record = to.record(op, "tinyloc_multiply", multiplier=op.multiplier, factor=to.factor(op))
    function = f"tinyloc_multiply_{to.bits(op.b)}_{to.bits(op.y)}"
    to.call(function, record, to.elements(op.y), *(to.pointer(name) for name in (op.a, op.b, op.y)))


@emit_operator.register(Add)
def _(op: Add, to: Writer) -> None:
    multipliers = {"a_multiplier": op.a_multiplier, "b_multiplier": op.b_multiplier}
    record = to.record(op, "tinyloc_add", **multipliers, factor=to.factor(op))
    y = to.graph.tensor(op.y)
    function = "tinyloc_rows_add_16" if y.rows > 1 and y.size % 2 == 0 else "tinyloc_add_16"
    to.call(function, record, to.elements(op.y), *(to.pointer(name) for name in (op.a, op.b, op.y)))
