"""The integer graph in NumPy: the truth that the C is held to, bit for bit.

Works on W windows at once: a tensor of n integers is an int64 array [W, n]. Integers are int64 here only so
that NumPy has room; `check=True` also proves at every step that each stays within the width that
docs/NUMERICS.md gives it. Matrix products go through float64, which is exact below 2^53.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyloc.errors import QuantisationError
from tinyloc.models.running import MOST_HEARD
from tinyloc.models.scaling import NOT_HEARD
from tinyloc.quant.answer_reference import AnswerOperators
from tinyloc.quant.arithmetic import Ints, States, clamp, decay_factor, inverse_root, requantise
from tinyloc.quant.decision_reference import DecisionOperators
from tinyloc.quant.follow_reference import FollowOperators
from tinyloc.quant.graph import (
    CLOCK,
    HELD,
    INT32_MAX,
    MOTION,
    SAMPLE,
    SETTLED,
    Add,
    Collect,
    Curve,
    DepthwiseConv,
    Embed,
    Extra,
    Follow,
    Graph,
    Linear,
    Lookup,
    Multiply,
    Operator,
    Relu,
    RmsNorm,
    Running,
    Scan,
)
from tinyloc.quant.operator import INT16_MAX
from tinyloc.quant.window_reference import WindowOperators

FRESH = "fresh"
"""Name under which `Reference.answer` says whether the answer is new."""


class Reference(WindowOperators, DecisionOperators, AnswerOperators, FollowOperators):
    """Runs a graph. `check=True` asserts the width of every intermediate result (slower; for tests)."""

    def __init__(self, graph: Graph, *, check: bool = False) -> None:
        self.graph = graph.check()
        self.windowed = self.graph.windowed
        self.checking = check
        self.matrices: dict[str, npt.NDArray[np.float64]] = {}
        # a streaming graph that cannot slide begins each window itself, from zeros but for what is held
        self.begins_windows = bool(graph.hop) and graph.state == "reset" and not graph.slides
        self.overlaps = self.graph.slides and self.graph.period < self.graph.window_steps
        outlives = {HELD, CLOCK, *(kept.name for kept in graph.lasting())}
        self.of_window = [kept.name for kept in graph.states() if kept.name not in outlives]

    def initial_state(self, windows: int) -> States:
        """Zeros for every operator that keeps something: name -> [windows, size]."""
        return {kept.name: np.zeros((windows, kept.size), np.int64) for kept in self.graph.states()}

    def restart(self, states: States) -> None:
        """Begin a new window: everything starts from zeros but what lasts."""
        lasting = {kept.name for kept in self.graph.lasting()}
        for name in states.keys() - lasting:
            states[name] = np.zeros_like(states[name])

    def step(self, sample: npt.NDArray[np.int8], states: States) -> npt.NDArray[np.int16]:
        """One step: sample [W, P] int8 -> scores [W, K] int16. `states` is changed in place.

        A graph that reads an accelerometer takes [W, P + 3]. Raises QuantisationError for another width.
        """
        return self.answer(sample, states)[self.graph.output].astype(np.int16)

    def answer(self, sample: npt.NDArray[np.int8], states: States) -> dict[str, Ints]:
        """As `step`, with every tensor of the answer: the scores [W, K], `probability` [W, K] and `unknown`
        [W, 1] where the graph has them, and `fresh` [W, 1], 1 where this sample completed a window or, with a
        carried state, at any sample.
        """
        graph = self.graph
        if self.begins_windows and not states[CLOCK].flat[0]:
            for name in self.of_window:
                states[name] = np.zeros_like(states[name])
        values = self.inputs(sample)
        decision = graph.decision
        steps = int(states[CLOCK].flat[0]) + 1 if CLOCK in states else 0
        due = steps == (decision.first if decision is not None else graph.window_steps)
        for operator in graph.operators:
            if operator is decision or isinstance(operator, Extra):
                continue
            if due or isinstance(operator, Collect) or operator.output not in self.windowed:
                values[operator.output] = self.apply(operator, values, states)
        if due:
            if decision is not None:
                states[SETTLED] = self.apply(decision, values, states)
            if self.overlaps:
                self.slide(states)
            steps -= graph.period
        if CLOCK in states:
            states[CLOCK] = np.full_like(states[CLOCK], steps)
        if self.windowed:
            if due:
                states[HELD] = values[graph.output]
            values[graph.output] = states[HELD]
        for extra in graph.extras:
            values[extra.output] = self.apply(extra, values, states)
        if due and graph.follower is not None:
            self.learn_offsets(graph.follower, values, values[graph.output].argmax(axis=1), states)
        values[FRESH] = np.full((len(sample), 1), int(due or graph.state == "carried"), np.int64)
        return values

    def inputs(self, sample: npt.NDArray[np.int8]) -> dict[str, Ints]:
        """A sample's bytes [..., P] or [..., P + 3] as the tensors that the graph reads."""
        if sample.shape[-1] != self.graph.sample_bytes:
            raise QuantisationError(
                f"a sample of this model has {self.graph.sample_bytes} bytes, not {sample.shape[-1]}"
            )
        points = len(self.graph.access_points)
        values: dict[str, Ints] = {SAMPLE: sample[..., :points].astype(np.int64)}
        if self.graph.motion:
            values[MOTION] = sample[..., points:].astype(np.int64)
        return values

    def run(self, rssi: npt.NDArray[np.int8], states: States | None = None) -> npt.NDArray[np.int16]:
        """Windows of samples [W, T, P or P + 3] int8 -> scores after every step [W, T, K] int16, each from a
        reset state.

        With `states` (changed in place) it goes on from there instead.
        """
        states = self.initial_state(len(rssi)) if states is None else states
        return np.stack([self.step(rssi[:, t], states) for t in range(rssi.shape[1])], axis=1)

    def apply(self, operator: Operator, values: dict[str, Ints], states: States) -> Ints:
        """One operator on the tensors that stand in `values`; returns its output, changes its state."""
        method: Callable[[Any, dict[str, Ints], States], Ints]
        method = getattr(self, f"_{type(operator).__name__.lower()}")
        result = method(operator, values, states)
        limit = self.graph.tensor(operator.output).limit
        if self.checking and isinstance(operator, (Lookup, Collect, Running, Follow)):
            limit = self.graph.tensor(operator.output).magnitude
        if self.checking and np.abs(result).max(initial=0) > limit:
            raise QuantisationError(f"operator {operator.name!r} left its output's limit of {limit}")
        return result

    def _clamp(self, value: Ints, operator: Operator) -> Ints:
        limit = self.graph.tensor(operator.output).limit
        return clamp(value, -limit, limit)

    def _int32(self, value: Ints, operator: Operator) -> Ints:
        if self.checking and np.abs(value).max(initial=0) > INT32_MAX:
            raise QuantisationError(f"operator {operator.name!r} overflowed a 32-bit accumulator")
        return value

    def _running(self, op: Running, values: dict[str, Ints], states: States) -> Ints:
        x = values[op.x]
        names = [f"{op.name}_{part}" for part in ("max", "sum", "count")]
        largest, total, count = (states[name] for name in names)
        heard = x != NOT_HEARD
        largest = np.where(heard & ((count == 0) | (x > largest)), x, largest)
        counted = heard & (count < MOST_HEARD)
        total, count = total + np.where(counted, x, 0), count + counted
        for name, value in zip(names, (largest, total, count), strict=True):
            states[name] = value
        if self.checking and np.abs(total).max(initial=0) > INT16_MAX:
            raise QuantisationError(f"operator {op.name!r} overflowed its 16-bit sum")
        mean = (2 * total + count) // np.maximum(2 * count, 1)
        facts = [np.where(count > 0, fact, NOT_HEARD) for fact in (largest, mean)]
        return np.concatenate([x, *facts], axis=-1)

    def _lookup(self, op: Lookup, values: dict[str, Ints], states: States) -> Ints:
        return op.table.astype(np.int64)[values[op.x] + 128]

    def _curve(self, op: Curve, values: dict[str, Ints], states: States) -> Ints:
        x, table = values[op.x], op.table.astype(np.int64)
        index, rest = (x >> 8) + 128, x & 255
        return np.asarray(table[index] + (((table[index + 1] - table[index]) * rest + 128) >> 8))

    def _matrix(self, op: Linear | Embed) -> npt.NDArray[np.float64]:
        """The weights [inputs, outputs] as floating-point numbers, made once."""
        found = self.matrices.get(op.name)
        if found is None:
            found = self.matrices[op.name] = op.weight.T.astype(np.float64)
        return found

    def _linear(self, op: Linear, values: dict[str, Ints], states: States) -> Ints:
        product = values[op.x].astype(np.float64) @ self._matrix(op)
        total = self._int32(product.astype(np.int64) + op.bias, op)
        return self._clamp(requantise(total, op.multiplier, op.shift), op)

    def _embed(self, op: Embed, values: dict[str, Ints], states: States) -> Ints:
        signal = op.table.astype(np.float64)[values[op.x] + 128]
        total = self._int32((signal @ self._matrix(op)).astype(np.int64) + op.bias, op)
        return self._clamp(requantise(total, op.multiplier, op.shift), op)

    def _relu(self, op: Relu, values: dict[str, Ints], states: States) -> Ints:
        return np.maximum(values[op.x], 0)

    def _rmsnorm(self, op: RmsNorm, values: dict[str, Ints], states: States) -> Ints:
        x = values[op.x]
        root, exponent = inverse_root((x * x).sum(axis=-1) + op.epsilon)
        shift = (exponent + op.shift)[..., None]
        half = (np.int64(1) << shift) >> 1
        return self._clamp((self._int32(x * root[..., None], op) + half) >> shift, op)

    def _depthwiseconv(self, op: DepthwiseConv, values: dict[str, Ints], states: States) -> Ints:
        x, taps = values[op.x], op.weight.shape[1]
        name = f"{op.name}_past"
        past = states[name].reshape(len(x), -1, taps - 1)
        line = np.concatenate([past, x[:, :, None]], axis=2)
        states[name] = line[:, :, 1:].reshape(len(x), -1).copy()
        total = self._int32((line * op.weight.astype(np.int64)).sum(axis=2) + op.bias, op)
        return self._clamp(requantise(total, op.multiplier, op.shift), op)

    def _scan(self, op: Scan, values: dict[str, Ints], states: States) -> Ints:
        dt, b, c, x = (values[name] for name in (op.dt, op.b, op.c, op.x))
        name = f"{op.name}_h"
        h = states[name].reshape(len(x), *op.decay.shape)
        u = clamp(requantise(dt * x, op.u_multiplier, op.u_shift), -32767, 32767)
        a = decay_factor(dt[:, :, None], op.decay, op.decay_shift)
        total = self._int32(h * a + u[:, :, None] * b[:, None, :] + (1 << 14), op)
        h = clamp(total >> 15, -32768, 32767)
        states[name] = h.reshape(len(x), -1)
        read = self._int32((h * c[:, None, :]).sum(axis=2), op)
        through = (x * op.skip.astype(np.int64)) << op.skip_shift
        half = np.int64(1) << (op.y_shift - 1)
        return self._clamp((read * op.y_multiplier + through + half) >> op.y_shift, op)

    def _multiply(self, op: Multiply, values: dict[str, Ints], states: States) -> Ints:
        return self._clamp(requantise(values[op.a] * values[op.b], op.multiplier, op.shift), op)

    def _add(self, op: Add, values: dict[str, Ints], states: States) -> Ints:
        total = values[op.a] * op.a_multiplier + values[op.b] * op.b_multiplier
        return self._clamp((total + (np.int64(1) << (op.shift - 1))) >> op.shift, op)


def rooms_of(scores: npt.NDArray[np.int16]) -> npt.NDArray[np.uint8]:
    """Scores [..., K] -> the room with the highest, the first of equals."""
    return np.asarray(scores.argmax(axis=-1), np.uint8)


def settled_of(states: States, scores: npt.NDArray[np.int16]) -> npt.NDArray[np.uint8]:
    """The settled room [W] after a step that gave `scores` [W, K]: the room itself where nothing was decided
    yet, or where there is no decision layer.
    """
    rooms = rooms_of(scores)
    if SETTLED not in states:
        return rooms
    kept = states[SETTLED][:, 0]
    return np.where(kept > 0, kept - 1, rooms).astype(np.uint8)


def answers(scores: npt.NDArray[np.int16], settled: npt.NDArray[np.uint8] | None = None) -> bytes:
    """Scores [..., K] as the device writes them, per step: K little-endian int16, the room, the settled room,
    one byte each. `settled` [...]: by default the room.
    """
    flat = np.ascontiguousarray(scores.reshape(-1, scores.shape[-1]), "<i2")
    rooms = rooms_of(flat)
    held = rooms if settled is None else settled.reshape(-1).astype(np.uint8)
    return np.concatenate([flat.view(np.uint8), rooms[:, None], held[:, None]], axis=1).tobytes()
