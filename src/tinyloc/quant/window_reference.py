"""The reference's operators of a whole window: tensors are int64 arrays [W, rows, size]."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tinyloc.models.forest import votes
from tinyloc.quant.arithmetic import Ints, States, clamp, inverse_root, power, reciprocal, requantise
from tinyloc.quant.operator import Operator
from tinyloc.quant.window_operators import (
    Attention,
    Collect,
    Conv,
    Forest,
    Interleave,
    LastRow,
    LayerNorm,
    MeanRows,
    Position,
    Standardise,
    Statistics,
    Viterbi,
)

if TYPE_CHECKING:
    from tinyloc.quant.graph import Graph

Values = dict[str, Ints]


class WindowOperators:
    """One method for each operator, as in `Reference`, which inherits them."""

    graph: Graph

    def _clamp(self, value: Ints, operator: Operator) -> Ints:
        limit = self.graph.tensor(operator.output).limit
        return clamp(value, -limit, limit)

    def _int32(self, value: Ints, operator: Operator) -> Ints:
        raise TypeError("the reference says what to check")

    def _collect(self, op: Collect, values: Values, states: States) -> Ints:
        y, x = self.graph.tensor(op.y), values[op.x]
        rows = states[f"{op.name}_rows"].reshape(len(x), y.rows, y.size)
        rows[:, int(states["clock"].flat[0])] = x
        return rows.copy()

    def slide(self, states: States) -> None:
        """Behind a full window: the rows that the next one shares with it become its first."""
        for op in self.graph.operators:
            if isinstance(op, Collect):
                y, name = self.graph.tensor(op.y), f"{op.name}_rows"
                rows = states[name].reshape(-1, y.rows, y.size).copy()
                rows[:, : y.rows - self.graph.period] = rows[:, self.graph.period :].copy()
                states[name] = rows.reshape(len(rows), -1)

    def _position(self, op: Position, values: Values, states: States) -> Ints:
        return self._clamp(values[op.x] + op.table.astype(np.int64), op)

    def _layernorm(self, op: LayerNorm, values: Values, states: States) -> Ints:
        x = values[op.x]
        total = self._int32(x.sum(axis=-1), op)
        d = x - requantise(total, op.mean_multiplier, op.mean_shift)[..., None]
        root, exponent = inverse_root((d * d).sum(axis=-1) + op.epsilon)
        shift = (exponent + op.shift)[..., None]
        half = (np.int64(1) << shift) >> 1
        normal = clamp((d * root[..., None] + half) >> shift, -32767, 32767)
        scaled = normal * op.gain.astype(np.int64) + op.bias + (np.int64(1) << (op.gain_shift - 1))
        return self._clamp(self._int32(scaled, op) >> op.gain_shift, op)

    def _attention(self, op: Attention, values: Values, states: States) -> Ints:
        def heads(name: str) -> Ints:
            x = values[name]
            return x.reshape(*x.shape[:2], op.heads, -1).transpose(0, 2, 1, 3)  # [W, heads, rows, n]

        q, k, v = heads(op.q), heads(op.k), heads(op.v)
        product = q.astype(np.float64) @ k.transpose(0, 1, 3, 2).astype(np.float64)
        scores = self._int32(product.astype(np.int64), op)
        behind = scores.max(axis=-1, keepdims=True) - scores  # below 2^32, times 2^31: fits 63 bits
        e = power(np.minimum((behind * op.score_multiplier) >> op.score_shift, 0xFFFFF))
        r, shift = reciprocal(e.sum(axis=-1, keepdims=True))
        p = (e * r + (np.int64(1) << (shift - 1))) >> shift
        total = self._int32((p.astype(np.float64) @ v.astype(np.float64)).astype(np.int64), op)
        y = self._clamp(requantise(total, op.y_multiplier, op.y_shift), op)
        return y.transpose(0, 2, 1, 3).reshape(values[op.q].shape)

    def _meanrows(self, op: MeanRows, values: Values, states: States) -> Ints:
        total = self._int32(values[op.x].sum(axis=1), op)
        return self._clamp(requantise(total, op.multiplier, op.shift), op)

    def _lastrow(self, op: LastRow, values: Values, states: States) -> Ints:
        return values[op.x][:, -1].copy()

    def _conv(self, op: Conv, values: Values, states: States) -> Ints:
        x, rows = values[op.x], self.graph.tensor(op.y).rows
        after = max(0, (rows - 1) * op.stride - op.past + op.taps - x.shape[1])
        padded = np.pad(x, ((0, 0), (op.past, after), (0, 0)))
        seen = np.stack(
            [padded[:, t * op.stride : t * op.stride + op.taps].reshape(len(x), -1) for t in range(rows)],
            axis=1,
        )
        product = seen.astype(np.float64) @ op.weight.T.astype(np.float64)
        total = self._int32(product.astype(np.int64) + op.bias, op)
        return self._clamp(requantise(total, op.multiplier, op.shift), op)

    def _interleave(self, op: Interleave, values: Values, states: States) -> Ints:
        parts = np.stack([values[name] for name in op.inputs], axis=2)  # [W, rows, 3, n]
        return parts.reshape(len(parts), -1, parts.shape[-1])

    def _viterbi(self, op: Viterbi, values: Values, states: States) -> Ints:
        x = values[op.x]
        d = op.start.astype(np.int64) + x[:, 0]
        d -= d.max(axis=1, keepdims=True)
        for t in range(1, x.shape[1]):
            d = (d[:, :, None] + op.transitions.astype(np.int64)).max(axis=1) + x[:, t]
            d -= d.max(axis=1, keepdims=True)
        d = self._int32(d + op.end, op)
        return self._clamp(d - d.max(axis=1, keepdims=True), op)

    def _statistics(self, op: Statistics, values: Values, states: States) -> Ints:
        from tinyloc.models.statistics import window_statistics

        return window_statistics(values[op.x].astype(np.int8)).astype(np.int64)

    def _standardise(self, op: Standardise, values: Values, states: States) -> Ints:
        return self._clamp(requantise(values[op.x] - op.offset, op.multiplier, op.shift), op)

    def _forest(self, op: Forest, values: Values, states: States) -> Ints:
        return votes(vars(op), values[op.x], self.graph.tensor(op.y).size)
