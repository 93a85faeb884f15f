"""One operator of a whole window as C; importing this module registers them with `emit_operator`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinyloc.emit.literals import integer
from tinyloc.emit.operators import emit_operator
from tinyloc.quant.graph import (
    Attention,
    Collect,
    Conv,
    Forest,
    Interleave,
    LastRow,
    MeanRows,
    Position,
    Standardise,
    Statistics,
    Viterbi,
)
from tinyloc.quant.operator import lift_of

if TYPE_CHECKING:
    from tinyloc.emit.write import Writer

WIDEST = (2**16 - 4) // 7
"""Numbers in a row of an attention: in the vector kernel the places of eight rows have 16 bits."""


@emit_operator.register(Collect)
def _(op: Collect, to: Writer) -> None:
    if op.x in to.layout.newest:
        return
    x, y = to.graph.tensor(op.x), to.graph.tensor(op.y)
    at = "(uint16_t)state->clock[0]"
    to.call(f"tinyloc_collect_{x.bits}", to.pointer(y.name), at, str(x.size), to.pointer(x.name))


@emit_operator.register(Position)
def _(op: Position, to: Writer) -> None:
    table = to.table(f"{op.name}_table", op.table)
    limit = str(to.graph.tensor(op.y).limit)
    at = f"{table} + row * {to.graph.tensor(op.y).size}" if to.looping else table
    even = to.graph.tensor(op.y).size % 2 == 0
    to.call(
        "tinyloc_rows_position" if even else "tinyloc_position",
        at,
        to.elements(op.y),
        limit,
        to.pointer(op.x),
        to.pointer(op.y),
    )


@emit_operator.register(Attention)
def _(op: Attention, to: Writer) -> None:
    y = to.graph.tensor(op.y)
    record = to.record(
        op,
        "tinyloc_attention",
        score_multiplier=op.score_multiplier,
        y_multiplier=op.y_multiplier,
        others=to.graph.tensor(op.k).rows,
        size=y.size,
        heads=op.heads,
        score_shift=op.score_shift,
        y_shift=op.y_shift,
        limit=y.limit,
    )
    quick = y.size // op.heads % 2 == 0 and op.score_shift >= 32 and op.y_shift > 32 and y.size <= WIDEST
    function = "tinyloc_rows_attention_16" if quick else "tinyloc_attention_16"
    operands = [to.pointer(op.q), to.whole(op.k), to.whole(op.v), to.pointer(op.y)]
    to.call(function, record, "state->scratch", to.count(op.y), *operands)


@emit_operator.register(MeanRows)
def _(op: MeanRows, to: Writer) -> None:
    x, y = to.graph.tensor(op.x), to.graph.tensor(op.y)
    numbers = [integer(n) for n in (x.rows, x.size, op.multiplier, op.shift, y.limit)]
    quick = x.size % 2 == 0 and op.shift > 32
    to.call(
        "tinyloc_rows_mean" if quick else "tinyloc_mean_rows", *numbers, to.pointer(op.x), to.pointer(op.y)
    )


@emit_operator.register(LastRow)
def _(op: LastRow, to: Writer) -> None:
    x = to.graph.tensor(op.x)
    to.call("tinyloc_last_row", str(x.rows), str(x.size), to.pointer(op.x), to.pointer(op.y))


@emit_operator.register(Conv)
def _(op: Conv, to: Writer) -> None:
    x, y = to.graph.tensor(op.x), to.graph.tensor(op.y)
    record = to.record(
        op,
        "tinyloc_rows_conv",
        **to.rows(op),
        x_rows=x.rows,
        inputs=x.size,
        outputs=y.size,
        taps=op.taps,
        stride=op.stride,
        past=op.past,
    )
    quick = x.size % 4 == 0 and y.size % 4 == 0 and lift_of(op.shift) == 0
    function = "tinyloc_rows_conv_16" if quick else "tinyloc_conv_rows_16"
    first = "row" if to.looping else "0"
    to.call(function, record, first, to.count(op.y), to.whole(op.x), to.pointer(op.y))


@emit_operator.register(Interleave)
def _(op: Interleave, to: Writer) -> None:
    a = to.graph.tensor(op.a)
    operands = [to.pointer(name) for name in (op.a, op.b, op.c, op.y)]
    to.call("tinyloc_interleave", str(a.rows), str(a.size), *operands)


@emit_operator.register(Viterbi)
def _(op: Viterbi, to: Writer) -> None:
    x, y = to.graph.tensor(op.x), to.graph.tensor(op.y)
    tables = {
        part: to.table(f"{op.name}_{part}", getattr(op, part)) for part in ("transitions", "start", "end")
    }
    record = to.record(op, "tinyloc_viterbi", **tables, rows=x.rows, rooms=x.size, limit=y.limit)
    to.call("tinyloc_viterbi_16", record, "state->scratch", to.pointer(op.x), to.pointer(op.y))


@emit_operator.register(Statistics)
def _(op: Statistics, to: Writer) -> None:
    x = to.graph.tensor(op.x)
    to.call("tinyloc_statistics", str(x.rows), str(x.size), to.pointer(op.x), to.pointer(op.y))


@emit_operator.register(Standardise)
def _(op: Standardise, to: Writer) -> None:
    y = to.graph.tensor(op.y)
    tables = {part: to.table(f"{op.name}_{part}", getattr(op, part)) for part in ("offset", "multiplier")}
    record = to.record(op, "tinyloc_standardise", **tables, size=y.size, factor=to.factor(op))
    to.call("tinyloc_standardise_16", record, to.pointer(op.x), to.pointer(op.y))


@emit_operator.register(Forest)
def _(op: Forest, to: Writer) -> None:
    tables = {
        part: to.table(f"{op.name}_{part}", getattr(op, part))
        for part in ("feature", "threshold", "left", "inner", "room")
    }
    widths = f"{to.bits(op.x)}_{8 * op.feature.itemsize}"
    trees, rooms = len(op.inner), to.graph.tensor(op.y).size
    record = to.record(op, f"tinyloc_trees_{widths}", **tables, trees=trees, rooms=rooms)
    to.call(f"tinyloc_forest_{widths}", record, to.pointer(op.x), to.pointer(op.y))
