"""The decision layer as C; importing this module registers it with `emit_operator`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinyloc.emit.operators import emit_operator
from tinyloc.quant.graph import Filter, FixedLag

if TYPE_CHECKING:
    from tinyloc.emit.write import Writer


def _record(op: Filter, to: Writer) -> str:
    tables = {
        part: to.table(f"{op.name}_{part}", getattr(op, part)) for part in ("transitions", "start", "offset")
    }
    rooms = to.graph.tensor(op.x).size
    numbers = {"multiplier": op.multiplier, "rooms": rooms, "shift": op.shift, "lag": op.lag}
    return to.record(op, "tinyloc_filter", **tables, **numbers)


@emit_operator.register(Filter)
def _(op: Filter, to: Writer) -> None:
    (d,) = (f"state->{kept.name}" for kept in op.states(to.graph))
    to.call("tinyloc_filter_16", _record(op, to), d, "state->scratch", to.pointer(op.x), to.pointer(op.y))


@emit_operator.register(FixedLag)
def _(op: FixedLag, to: Writer) -> None:
    kept = [f"state->{kept.name}" for kept in op.states(to.graph)]
    operands = [to.pointer(op.x), to.pointer(op.y)]
    to.call("tinyloc_fixed_lag_16", _record(op, to), *kept, "state->scratch", *operands)
