"""The order in which the C runs a graph: which operators share a loop over the rows of a window.

The numbers are those of the graph, whatever the order. A chain of operators that treat each row on its own
(a norm, a matrix, a curve, a sum) needs no whole window between its links: the C takes it two rows at a time,
and keeps two rows of what only the chain itself reads. Only what is read as a whole (the keys and values of
an attention, the input of a convolution or of a mean over the rows) or by a later loop keeps all its rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise

from tinyloc.quant.graph import (
    Add,
    Attention,
    Conv,
    Curve,
    Graph,
    LayerNorm,
    Linear,
    Lookup,
    Multiply,
    Operator,
    Position,
    Relu,
    RmsNorm,
    Tensor,
)
from tinyloc.quant.operator import lift_of

BLOCK = 2
"""Rows that a loop takes at a time: the matrix kernels share what they load between two."""

BY_ROW = (Add, Attention, Conv, Curve, LayerNorm, Linear, Lookup, Multiply, Position, Relu, RmsNorm)
"""Operators that can make a few rows of their output without the others."""


@dataclass(frozen=True)
class Rectified(Linear):
    """Linear, then Relu: y = max(., 0) of what is held within `most`, the limit of the matrix alone."""

    most: int = 0


@dataclass(frozen=True)
class Stage:
    """Operators that run one after the other. `rows` 0: each on all it has, once. Else all of them for every
    block of rows in turn, `rows` in all.
    """

    operators: tuple[Operator, ...]
    rows: int = 0


@dataclass(frozen=True)
class Schedule:
    """`graph`: the operators in the order of their execution; a cheap one may stand there twice, under one
    name but with an output of its own, and a matrix whose output only a Relu reads takes the Relu along.
    `stages`: the same, cut into loops. `blocks`: the tensors of which a block of rows is kept at a time.
    """

    graph: Graph
    stages: tuple[Stage, ...]
    blocks: frozenset[str]

    def rows(self, name: str) -> int:
        """Rows of a tensor that are kept at a time."""
        rows = self.graph.tensor(name).rows
        return min(BLOCK, rows) if name in self.blocks else rows

    def bytes(self, name: str) -> int:
        """RAM that a tensor needs, in bytes."""
        tensor = self.graph.tensor(name)
        return self.rows(name) * tensor.size * tensor.bits // 8


def whole(operator: Operator) -> tuple[str, ...]:
    """The inputs of which it reads more rows than those that it makes."""
    if isinstance(operator, Attention):
        return operator.k, operator.v
    return (operator.x,) if isinstance(operator, Conv) else ()


def quick_linear(graph: Graph, op: Linear) -> bool:
    """Whether the kernel over rows takes it: behind a window, 16 bits, inputs by eights, nothing lifted."""
    wide = graph.tensor(op.x).bits == graph.tensor(op.y).bits == 16 and op.weight_bits == 8
    return op.y in graph.windowed and wide and op.weight.shape[1] % 8 == 0 and lift_of(op.shift) == 0


def with_relus(graph: Graph) -> Graph:
    """The graph with each Relu that alone reads what a matrix makes taken along by the matrix."""
    operators = list(graph.operators)
    for relu in [op for op in operators if isinstance(op, Relu)]:
        at = _maker(operators, relu.x)
        maker = None if at is None else operators[at]
        if (
            at is not None
            and isinstance(maker, Linear)
            and quick_linear(graph, maker)
            and len(_readers(operators, relu.x)) == 1
        ):
            parts = {part.name: getattr(maker, part.name) for part in fields(maker)}
            operators[at] = Rectified(**{**parts, "y": relu.y}, most=graph.tensor(relu.x).limit)
            operators = [op for op in operators if op is not relu]
    return replace(graph, operators=tuple(operators))


def orders(graph: Graph, *, rectified: bool = True) -> list[Graph]:
    """The graph, if `rectified` its Relus taken along by the matrices before them, and other orders that may
    need less RAM.

    What makes the queries of an attention moves to just before it, so that they need not wait for the keys of
    the last row. Where a layer norm feeds keys and queries, it is done a second time for these: its input is
    there until the residual sum, and its output need not be kept.
    """
    graph = with_relus(graph) if rectified else graph
    moved = _late_queries(graph)
    return (
        [graph, moved, _norms_again(moved)]
        if any(isinstance(op, Attention) for op in graph.operators)
        else [graph]
    )


def cut(graph: Graph) -> Schedule:
    """Cut the operators into the loops that need the least RAM, and of these into the fewest."""
    operators = graph.operators
    last = last_reads(graph)
    first = {operator.output: at for at, operator in enumerate(operators)}
    best: list[tuple[int, int, int]] = [(0, 0, 0)]  # up to here: bytes, stages, where the last stage begins
    for stop in range(1, len(operators) + 1):
        found = []
        for start in range(stop - 1, -1, -1):
            if stop - start > 1 and not _one_loop(graph, operators[start:stop]):
                break
            need = _need(graph, start, stop, first, last)
            found.append((max(best[start][0], need), best[start][1] + 1, start))
        best.append(min(found))
    bounds = [len(operators)]
    while bounds[-1] > 0:
        bounds.append(best[bounds[-1]][2])
    bounds.reverse()
    stages, blocks = [], set()
    for start, stop in pairwise(bounds):
        loop = operators[start:stop]
        rows = graph.tensor(loop[0].output).rows if len(loop) > 1 else 0
        stages.append(Stage(loop, rows))
        if rows:
            blocks |= {op.output for op in loop if last.get(op.output, stop) < stop}
    return Schedule(graph, tuple(stages), frozenset(blocks))


def last_reads(graph: Graph) -> dict[str, int]:
    """Tensor name -> position of the last operator that reads it."""
    return {name: at for at, operator in enumerate(graph.operators) for name in operator.inputs}


def _one_loop(graph: Graph, operators: Sequence[Operator]) -> bool:
    """Whether these can share a loop over rows: all can be made by row, none needs another's whole output."""
    rows = {graph.tensor(operator.output).rows for operator in operators}
    made = {operator.output for operator in operators}
    by_row = all(isinstance(operator, BY_ROW) for operator in operators)
    apart = all(made.isdisjoint(whole(operator)) for operator in operators)
    return by_row and apart and len(rows) == 1 and rows != {1}


def _need(graph: Graph, start: int, stop: int, first: dict[str, int], last: dict[str, int]) -> int:
    """About how many bytes live while operators[start:stop] share a loop; what is written in place counts
    once.
    """
    loop = graph.operators[start:stop]
    read_whole = {name for operator in loop for name in whole(operator)}
    kept, passing, most = 0, 0, 0
    for name, born in first.items():
        dies = last.get(name, len(graph.operators))
        if born < stop and dies >= start and not start <= born <= dies < stop:
            kept += graph.tensor(name).bytes
    for at, operator in enumerate(loop, start):
        y = graph.tensor(operator.output)
        inside = last.get(y.name, len(graph.operators)) < stop and y.rows > 1
        if inside or (start <= last.get(y.name, stop) < stop):
            passing += _block(y)
        most = max(most, passing + operator.scratch(graph))
        for name in (getattr(operator, field) for field in operator.overwrites):
            old = graph.tensor(name)
            dead = last[name] == at and name not in read_whole and old.bytes == y.bytes
            if dead and name in first and first[name] < start and not inside:
                kept -= old.bytes
                break
        passing -= sum(
            _block(graph.tensor(n))
            for n in set(operator.inputs)
            if last[n] == at and first.get(n, -1) >= start
        )
    return kept + most


def _block(tensor: Tensor) -> int:
    return min(BLOCK, tensor.rows) * tensor.size * tensor.bits // 8


def _readers(operators: Sequence[Operator], name: str) -> list[int]:
    return [at for at, operator in enumerate(operators) if name in operator.inputs]


def _maker(operators: Sequence[Operator], name: str) -> int | None:
    return next((at for at, op in enumerate(operators) if op.output == name), None)


def _late_queries(graph: Graph) -> Graph:
    """The same graph with all that only makes an attention's queries just before it."""
    operators = list(graph.operators)
    for attention in [op for op in operators if isinstance(op, Attention)]:
        chain: list[Operator] = []
        name = attention.q
        while len(_readers(operators, name)) == (0 if chain else 1):
            at = _maker(operators, name)
            if at is None or not isinstance(operators[at], BY_ROW) or len(set(operators[at].inputs)) != 1:
                break
            chain.insert(0, operators.pop(at))
            name = chain[0].inputs[0]
        at = next(at for at, op in enumerate(operators) if op is attention)
        operators[at:at] = chain
    return replace(graph, operators=tuple(operators))


def _norms_again(graph: Graph) -> Graph:
    """The same graph with layer norms done twice: once for keys and values, once for the queries."""
    operators, tensors = list(graph.operators), list(graph.tensors)
    for attention in [op for op in operators if isinstance(op, Attention)]:
        at = next(at for at, op in enumerate(operators) if op is attention)
        query, made = operators[at - 1], _maker(operators, operators[at - 1].inputs[0])
        norm = None if made is None else operators[made]
        if query.output != attention.q or not isinstance(norm, LayerNorm) or not isinstance(query, Linear):
            continue
        if max(_readers(operators, norm.x)) > at:
            again = replace(graph.tensor(norm.y), name=f"{norm.y}_again")
            tensors.append(again)
            operators[at - 1 : at] = [replace(norm, y=again.name), replace(query, x=again.name)]
    return replace(graph, operators=tuple(operators), tensors=tuple(tensors))
