"""The memory plan: every tensor's place in one arena, shared by those that do not live at the same time."""

from __future__ import annotations

from dataclasses import dataclass

from tinyloc.quant.graph import MOTION, SAMPLE, SETTLED, Collect, Extra, Graph

ALIGNMENT = 4


@dataclass(frozen=True)
class Plan:
    """`offset`: tensor name -> byte in the arena. `bytes`: the arena's size, a multiple of 4.
    `scratch`: bytes of 32-bit working memory, enough for each operator in its turn.

    The sample and the scores are the caller's and have no place here.
    """

    offset: dict[str, int]
    bytes: int
    scratch: int


def plan(graph: Graph) -> Plan:
    """Lay the tensors out: largest first, each at the lowest place that no overlapping life holds.

    A tensor lives from the operator that writes it to the last that reads it. An operator that works element
    by element may write over an input of the same stored size that ends there.
    """
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    merged: dict[str, str] = {}  # a tensor written over another -> that other's place
    for position, operator in enumerate(graph.operators):
        first[operator.output] = position
        for name in operator.inputs:
            last[name] = position
    for name in first:
        last.setdefault(name, len(graph.operators))

    def root(name: str) -> str:
        return root(merged[name]) if name in merged else name

    # rows that are collected lie in the state, the scores of a window and the settled room too; what is added
    # to the answer lies there
    skipped = {SAMPLE, MOTION, SETTLED, graph.output} | {
        op.output for op in graph.operators if isinstance(op, (Collect, Extra))
    }
    for position, operator in enumerate(graph.operators):
        if operator.output in skipped:
            continue
        size = graph.tensor(operator.output).bytes
        for name in (getattr(operator, field) for field in operator.overwrites):
            if name not in skipped and last[name] == position and graph.tensor(name).bytes == size:
                merged[operator.output] = name
                break
    life: dict[str, tuple[int, int]] = {}
    for name in first:
        if name in skipped:
            continue
        place = root(name)
        start, stop = life.get(place, (first[name], last[name]))
        life[place] = (min(start, first[name]), max(stop, last[name]))
    sizes = {name: _aligned(graph.tensor(name).bytes) for name in life}
    offset: dict[str, int] = {}
    for place in sorted(life, key=lambda name: (-sizes[name], life[name])):
        size, (start, stop) = sizes[place], life[place]
        taken = sorted(
            (offset[other], offset[other] + sizes[other])
            for other in offset
            if life[other][0] <= stop and start <= life[other][1]
        )
        at = 0
        for low, high in taken:
            if at + size <= low:
                break
            at = max(at, high)
        offset[place] = at
    places = {name: offset[root(name)] for name in first if name not in skipped}
    scratch = max(operator.scratch(graph) for operator in graph.operators)
    return Plan(places, max((at + sizes[name] for name, at in offset.items()), default=ALIGNMENT), scratch)


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
