"""The memory plan: every tensor's place in one arena, shared by those that do not live at the same time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from tinyloc.emit.schedule import Schedule, cut, orders, whole
from tinyloc.quant.graph import MOTION, SAMPLE, SETTLED, Collect, Extra, Graph

ALIGNMENT = 4


@dataclass(frozen=True)
class Plan:
    """`offset`: tensor name -> byte in the arena. `bytes`: the arena's size, a multiple of 4.
    `scratch`: bytes of 32-bit working memory, enough for each operator in its turn. `in_state`: tensor
    name -> the collected rows in which it lies: written over them when they have been read, for the next
    window brings its own, or their newest row itself (`newest`), which then need not be copied there.
    `schedule`: the order of the operators, the loops over rows, and how many rows of a tensor are kept.

    The sample and the scores are the caller's and have no place here, collected rows lie in the state.
    """

    offset: dict[str, int]
    bytes: int
    scratch: int
    in_state: dict[str, str]
    newest: frozenset[str]
    schedule: Schedule


def plan(graph: Graph, *, traced: bool = False) -> Plan:
    """The order of the operators and the places of the tensors that need the least RAM; where it is `traced`,
    every operator's output is there for a moment.
    """
    plans = [place(cut(order)) for order in orders(graph, rectified=not traced)]
    return min(plans, key=lambda made: (made.bytes + made.scratch, len(made.schedule.graph.operators)))


def place(schedule: Schedule) -> Plan:
    """Lay the tensors out: largest first, each at the lowest place that no overlapping life holds.

    A tensor lives from the operator that writes it to the last that reads it, and one of which all rows are
    kept from the beginning of a loop that writes it to the end of one that reads it. An operator that works
    element by element may write over an input of the same stored size that ends there, unless its loop reads
    other rows of that input too.
    """
    graph = schedule.graph
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

    gates = {op.output for op in graph.operators if isinstance(op, Collect)}
    # rows that are collected lie in the state, the scores of a window and the settled room too; what is added
    # to the answer lies there
    reads = Counter(name for operator in graph.operators for name in operator.inputs)
    newest = {op.x: op.y for op in graph.operators if isinstance(op, Collect) and reads[op.x] == 1}
    newest = {name: gate for name, gate in newest.items() if name in first}
    skipped = {SAMPLE, MOTION, SETTLED, graph.output, *newest} | gates
    skipped |= {op.output for op in graph.operators if isinstance(op, Extra)}
    spent = set() if graph.overlaps else gates  # rows that no later window needs
    life: dict[str, tuple[int, int]] = {}
    position = 0
    for stage in schedule.stages:
        begin, end = position, position + len(stage.operators) - 1
        elsewhere = {name for operator in stage.operators for name in whole(operator)}
        read_elsewhere = {root(name) for name in elsewhere}
        for operator in stage.operators:
            for name in operator.inputs:  # all that is kept whole lasts to the end of this loop
                if stage.rows and name not in schedule.blocks and name in first:
                    last[name] = max(last[name], end if last[name] >= begin else last[name])
        for operator in stage.operators:
            y = operator.output
            if y not in skipped:
                size = schedule.bytes(y)
                for name in (getattr(operator, field) for field in operator.overwrites):
                    dies = max(at for at, op in enumerate(graph.operators) if name in op.inputs) == position
                    free = name not in skipped or (
                        name in spent and graph.tensor(name).bits == graph.tensor(y).bits
                    )
                    alike = (name in schedule.blocks) == (y in schedule.blocks) and (
                        name in first and schedule.bytes(name) == size
                    )
                    if dies and free and alike and root(name) not in read_elsewhere:
                        merged[y] = name
                        break
                if stage.rows and y not in schedule.blocks:
                    first[y] = begin
                    last[y] = max(last[y], end)
            position += 1
    for name in first:
        if name in skipped or root(name) in skipped:
            continue
        spot = root(name)
        start, stop = life.get(spot, (first[name], last[name]))
        life[spot] = (min(start, first[name]), max(stop, last[name]))
    sizes = {name: _aligned(schedule.bytes(name)) for name in life}
    offset: dict[str, int] = {}
    for spot in sorted(life, key=lambda name: (-sizes[name], life[name])):
        size, (start, stop) = sizes[spot], life[spot]
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
        offset[spot] = at
    places = {name: offset[root(name)] for name in first if root(name) in offset}
    in_state = {name: root(name) for name in first if name not in skipped and root(name) in gates}
    in_state.update(newest)
    scratch = max(operator.scratch(graph) for operator in graph.operators)
    total = max((at + sizes[name] for name, at in offset.items()), default=ALIGNMENT)
    return Plan(places, total, scratch, in_state, frozenset(newest), schedule)


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
