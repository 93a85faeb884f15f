"""Which operator costs most: the float graph with one operator at a time replaced by its integer form.

The operator's inputs are rounded to its tensors' grids, it runs as the device runs it, its output becomes
real again, and everything around it stays in floating point. What the scores lose is that operator's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinyloc.quant.arithmetic import Ints
from tinyloc.quant.float_graph import Float, FloatGraph, FloatOperator, Values, apply
from tinyloc.quant.graph import CLOCK, Graph
from tinyloc.quant.reference import Reference

MOST_WINDOWS = 200


@dataclass(frozen=True)
class OperatorCost:
    """`operator` name and kind; `error`: root mean square error of the scores at the last step, as a part of
    the scores' own spread (0 = nothing lost, 1 = nothing left); `changed`: part of windows whose room
    changes.
    """

    operator: str
    kind: str
    error: float
    changed: float


def attribution(floats: FloatGraph, graph: Graph, rssi: npt.NDArray[np.int8]) -> list[OperatorCost]:
    """Cost of every operator on windows of samples (`replay.samples_of`; at most 200 are used), the costliest
    first.
    """
    rssi = rssi[np.unique(np.linspace(0, len(rssi) - 1, min(MOST_WINDOWS, len(rssi))).astype(np.int64))]
    truth = floats.run(rssi)[:, -1]
    spread = float(np.std(truth)) or 1.0
    costs = []
    for index, operator in enumerate(graph.operators):
        scores = _hybrid(floats, graph, index, rssi)
        error = float(np.sqrt(np.square(scores - truth).mean())) / spread
        changed = float((scores.argmax(axis=1) != truth.argmax(axis=1)).mean())
        costs.append(OperatorCost(operator.name, type(operator).__name__, error, changed))
    return sorted(costs, key=lambda cost: -cost.error)


def _hybrid(floats: FloatGraph, graph: Graph, index: int, rssi: npt.NDArray[np.int8]) -> Float:
    reference = Reference(graph)
    integer_states, float_states = reference.initial_state(len(rssi)), Values()
    integer = graph.operators[index]

    def run(place: int, operator: FloatOperator, values: Values, states: Values) -> Float:
        if place != index:
            return apply(operator, values, states)
        rounded = {}
        for name in integer.inputs:
            tensor = graph.tensor(name)
            low = -128 if tensor.bits == 8 else -tensor.limit
            rounded[name] = _to_grid(values[name], tensor.scale, low, tensor.limit)
        output = reference.apply(integer, rounded, integer_states)
        return np.asarray(output * graph.tensor(integer.output).scale, np.float64)

    values: Values = {}
    for t in range(rssi.shape[1]):
        integer_states[CLOCK] = np.full((len(rssi), 1), t, np.int64)
        values = floats.step(rssi[:, t].astype(np.float64), float_states, run)
    return values[floats.output]


def _to_grid(value: Float, scale: float, low: int, high: int) -> Ints:
    return np.clip(np.rint(value / scale), low, high).astype(np.int64)
