"""An ensemble's checkpoint as one float graph: its members' graphs side by side, their scores added.

Member i's operators and tensors are called `m<i>_...`. What several members need alike (the samples of the
window, its statistics, running or at its end, one table for the signals) is there once. A member that answers
at every step beside one that waits for the whole window is asked at the window's last step. Shares cost
nothing: they are folded into the members' last layers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from tinyloc.models.checkpoint import Checkpoint
from tinyloc.models.ensemble import members
from tinyloc.quant.float_graph import (
    FloatAdd,
    FloatGraph,
    FloatLinear,
    FloatLookup,
    FloatOperator,
    FloatRunning,
    inputs_of,
)
from tinyloc.quant.float_window import (
    FloatCollect,
    FloatForest,
    FloatLastRow,
    FloatStandardise,
    FloatStatistics,
)
from tinyloc.quant.graph import SAMPLE

_SHARED = (FloatCollect, FloatRunning, FloatStatistics, FloatLookup)
"""What is there once where members agree on it."""


def float_graph(checkpoint: Checkpoint, of: Callable[[Checkpoint], FloatGraph]) -> FloatGraph:
    """The float graph of an ensemble; `of` makes a member's."""
    graphs = [of(member) for member in members(checkpoint)]
    steps = max(graph.steps for graph in graphs)
    operators: list[FloatOperator] = []
    answers: list[str] = []
    for i, (graph, part) in enumerate(zip(graphs, checkpoint.weights["shares"], strict=True)):
        own = _weighed(graph, float(part))
        renamed = _taken_in(operators, own, f"m{i}_")
        if steps and not graph.steps:  # a row at every step, of which the last one counts
            operators += [
                FloatCollect(f"m{i}_collect", f"m{i}_answers", renamed),
                FloatLastRow(f"m{i}_last", f"m{i}_answer", f"m{i}_answers"),
            ]
            renamed = f"m{i}_answer"
        answers.append(renamed)
    total = answers[0]
    for i, answer in enumerate(answers[1:], start=1):
        y = "scores" if i == len(answers) - 1 else f"sum{i}"
        operators.append(FloatAdd(f"add{i}", y, total, answer))
        total = y
    return FloatGraph(_steps_first(operators, steps), "scores", steps)


def _weighed(graph: FloatGraph, share: float) -> FloatGraph:
    """The graph with its scores times `share`: in its last layer, or in one more for trees, whose votes are
    whole numbers.
    """
    *before, last = graph.operators
    if isinstance(last, FloatForest):
        votes = dataclasses.replace(last, y="votes")
        rooms = last.rooms
        after = FloatStandardise("share", graph.output, "votes", np.zeros(rooms), np.full(rooms, share))
        return dataclasses.replace(graph, operators=(*before, votes, after))
    assert isinstance(last, FloatLinear)
    weighed = dataclasses.replace(last, weight=last.weight * share, bias=last.bias * share)
    return dataclasses.replace(graph, operators=(*before, weighed))


def _taken_in(operators: list[FloatOperator], graph: FloatGraph, prefix: str) -> str:
    """Append the graph's operators under names of their own, but for those that are there already; the name
    of its output.
    """
    names = {SAMPLE: SAMPLE}
    for operator in graph.operators:
        fields = inputs_of(operator)
        found = dataclasses.replace(operator, **{key: names[value] for key, value in fields.items()})
        twin = next((one for one in operators if _alike(one, found)), None)
        if twin is None:
            names[operator.y] = f"{prefix}{operator.y}"
            operators.append(dataclasses.replace(found, name=f"{prefix}{operator.name}", y=names[operator.y]))
        else:
            names[operator.y] = twin.y
    return names[graph.output]


def _alike(a: FloatOperator, b: FloatOperator) -> bool:
    """Whether two operators of the kinds that can be shared make the same of the same."""
    if type(a) is not type(b) or not isinstance(a, _SHARED):
        return False
    parts: list[tuple[Any, Any]] = [
        (getattr(a, field.name), getattr(b, field.name))
        for field in dataclasses.fields(a)
        if field.name not in ("name", "y")
    ]
    return all(np.array_equal(x, y) for x, y in parts)


def _steps_first(operators: list[FloatOperator], steps: int) -> tuple[FloatOperator, ...]:
    """The same operators, those of every step before those of the whole window."""
    late = FloatGraph(tuple(operators), "scores", steps).collected()
    return (
        *(one for one in operators if one.y not in late),
        *(one for one in operators if one.y in late),
    )
