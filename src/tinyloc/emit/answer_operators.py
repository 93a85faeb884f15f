"""What is added to the answer, as C; importing this module registers it with `emit_operator`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinyloc.emit.operators import emit_operator
from tinyloc.quant.answer_operators import Novelty, Probability

if TYPE_CHECKING:
    from tinyloc.emit.write import Writer


@emit_operator.register(Probability)
def _(op: Probability, to: Writer) -> None:
    rooms = to.graph.tensor(op.x).size
    record = to.record(op, "tinyloc_probability", multiplier=op.multiplier, rooms=rooms, shift=op.shift)
    to.call("tinyloc_probability_16", record, "result->scores", to.pointer(op.y))


@emit_operator.register(Novelty)
def _(op: Novelty, to: Writer) -> None:
    rooms, points = op.centre.shape
    record = to.record(
        op,
        "tinyloc_novelty",
        centre=to.table(f"{op.name}_centre", op.centre),
        rooms=rooms,
        points=points,
        threshold=op.threshold,
        floor=op.floor,
        smoothing=op.smoothing,
    )
    (level,) = (f"state->{kept.name}" for kept in op.states(to.graph))
    to.call("tinyloc_novelty_8", record, level, to.pointer(op.x), to.pointer(op.y))
