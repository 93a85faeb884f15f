"""What follows drifting receivers as C; importing this module registers it with `emit_operator`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinyloc.emit.operators import emit_operator
from tinyloc.quant.graph import Follow

if TYPE_CHECKING:
    from tinyloc.emit.write import Writer


@emit_operator.register(Follow)
def _(op: Follow, to: Writer) -> None:
    means = to.table(f"{op.name}_means", op.means)
    record = to.record(op, "tinyloc_follow", means=means, points=op.means.shape[1], rate=op.rate)
    offset = f"state->{op.state(to.graph).name}"
    to.call("tinyloc_followed_8", record, offset, to.pointer(op.x), to.pointer(op.y))
    scores = to.whole(to.graph.output)
    room = f"tinyloc_highest({scores}, TINYLOC_ROOMS)"
    to.learn("tinyloc_follow_room", record, offset, to.pointer(op.x), room)
