"""The reference's decision layer: tensors are int64 arrays [W, size], one row a wearer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tinyloc.quant.arithmetic import Ints, States, requantise
from tinyloc.quant.decision_operators import FLOOR, Filter, FixedLag

if TYPE_CHECKING:
    from tinyloc.quant.graph import Graph

Values = dict[str, Ints]


class DecisionOperators:
    """One method for each operator, as in `Reference`, which inherits them."""

    graph: Graph

    def decide(self, scores: npt.NDArray[np.int16], begins: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
        """The decision layer alone: scores [N, K] of one decision after the other -> settled rooms [N].

        `begins` [N] is True where a session begins; sessions run side by side.
        """
        decision = self.graph.decision
        assert decision is not None, "the caller asks a graph that has a decision layer"
        method = self._fixedlag if isinstance(decision, FixedLag) else self._filter
        starts = np.flatnonzero(begins)
        lengths = np.diff([*starts, len(scores)])
        longest = np.argsort(-lengths, kind="stable")
        starts, lengths = starts[longest], lengths[longest]
        states = {
            kept.name: np.zeros((len(starts), kept.size), np.int64) for kept in decision.states(self.graph)
        }
        settled = np.zeros(len(scores), np.uint8)
        for step in range(int(lengths.max(initial=0))):
            rows = int(np.count_nonzero(lengths > step))  # the sessions that still go on
            states = {name: kept[:rows] for name, kept in states.items()}
            now = starts[:rows] + step
            settled[now] = method(decision, {decision.x: scores[now].astype(np.int64)}, states)[:, 0] - 1  # type: ignore[arg-type]
        return settled

    def _filter(self, op: Filter, values: Values, states: States) -> Ints:
        _, d = forward(op, values[op.x], states)
        return np.asarray(d.argmax(axis=1)[:, None] + 1)

    def _fixedlag(self, op: FixedLag, values: Values, states: States) -> Ints:
        before, d = forward(op, values[op.x], states)
        rows, K = np.arange(len(d)), d.shape[1]
        kept, rooms = states[f"{op.name}_d"], states[f"{op.name}_before"].reshape(len(d), op.lag, K)
        known, at = kept[:, K], kept[:, K + 1]  # decisions before this one, at most lag + 1
        more = known > 0
        rooms[rows[more], at[more]] = before[more]
        kept[:, K + 1] = np.where(more, (at + 1) % op.lag, at)
        kept[:, K] = np.minimum(known + 1, op.lag + 1)
        room = d.argmax(axis=1)
        at = kept[:, K + 1]
        for step in range(op.lag):
            at = (at - 1) % op.lag
            room = np.where(step < kept[:, K] - 1, rooms[rows, at, room], room)
        states[f"{op.name}_before"] = rooms.reshape(len(d), -1)
        return np.asarray(room[:, None] + 1)


def forward(op: Filter, x: Ints, states: States) -> tuple[Ints, Ints]:
    """Scores [W, K] -> for each room the best room before it, and d; both [W, K]. d's state moves on."""
    K = x.shape[1]
    kept = states[f"{op.name}_d"]
    evidence = np.clip(requantise(x - op.offset, op.multiplier, op.shift), FLOOR, -FLOOR)
    ways = kept[:, :K, None] + op.transitions.astype(np.int64)  # [W, from, to]
    later = kept[:, K : K + 1] > 0
    d = np.where(later, ways.max(axis=1), op.start.astype(np.int64)) + evidence
    d = np.maximum(d - d.max(axis=1, keepdims=True), FLOOR)
    kept[:, :K] = d
    if op.lag == 0:
        kept[:, K] = 1
    return np.asarray(ways.argmax(axis=1)), d
