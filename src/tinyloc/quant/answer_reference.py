"""The reference's operators behind the scores: tensors are int64 arrays [W, size], one row a wearer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tinyloc.quant.answer_operators import NOVELTY_LEVEL, Novelty, Probability
from tinyloc.quant.arithmetic import Ints, States, power

if TYPE_CHECKING:
    from tinyloc.quant.graph import Graph

Values = dict[str, Ints]


class AnswerOperators:
    """One method for each operator, as in `Reference`, which inherits them."""

    graph: Graph

    def _probability(self, op: Probability, values: Values, states: States) -> Ints:
        x = values[op.x]
        behind = x.max(axis=-1, keepdims=True) - x  # below 2^16, times 2^31: fits 63 bits
        e = power(np.minimum((behind * op.multiplier) >> op.shift, 0xFFFFF))
        total = e.sum(axis=-1, keepdims=True)
        return np.asarray((510 * e + total) // (2 * total))

    def _novelty(self, op: Novelty, values: Values, states: States) -> Ints:
        distance = distances(op, values[op.x])[:, None]
        kept = states[f"{op.name}_level"]
        level = np.maximum(kept - 1, 0)
        half = (1 << op.smoothing) >> 1
        level = np.where(kept > 0, level + ((distance - level + half) >> op.smoothing), distance)
        states[f"{op.name}_level"] = level + 1
        return (level > op.threshold).astype(np.int64)


def distances(op: Novelty, x: Ints) -> Ints:
    """Samples [N, P] -> how far each is from the nearest room's centre [N], dB."""
    heard = np.maximum(x, op.floor)
    nearest = np.full(len(x), NOVELTY_LEVEL, np.int64)
    for centre in op.centre.astype(np.int64):
        nearest = np.minimum(nearest, np.abs(heard - centre).sum(axis=1))
    return nearest
