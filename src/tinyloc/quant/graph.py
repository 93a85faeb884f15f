"""The integer graph: a list of typed operators over named integer tensors.

`operator` holds tensors and the base class, `operators` those of every step, `window_operators` those that
need a whole window. A graph without the latter answers at every step. One with them collects its steps and
answers when the window is full; until then the last answer stands.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tinyloc.errors import QuantisationError
from tinyloc.models.motion import LARGEST, MOTION_AXES, UNITS_PER_G
from tinyloc.quant.answer_operators import PROBABILITY, UNKNOWN, Extra, Novelty, Probability
from tinyloc.quant.decision_operators import Filter, FixedLag
from tinyloc.quant.follow_operators import Follow
from tinyloc.quant.operator import INT32_MAX, MOTION, SAMPLE, Operator, State, Tensor
from tinyloc.quant.operators import (
    Add,
    Curve,
    DepthwiseConv,
    Embed,
    Linear,
    Lookup,
    Multiply,
    Relu,
    RmsNorm,
    Running,
    Scan,
)
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

__all__ = [
    "CLOCK",
    "HELD",
    "INT32_MAX",
    "MOTION",
    "OPERATORS",
    "PROBABILITY",
    "SAMPLE",
    "SETTLED",
    "UNKNOWN",
    "Add",
    "Attention",
    "Collect",
    "Conv",
    "Curve",
    "DepthwiseConv",
    "Embed",
    "Extra",
    "Filter",
    "FixedLag",
    "Follow",
    "Forest",
    "Graph",
    "Interleave",
    "LastRow",
    "LayerNorm",
    "Linear",
    "Lookup",
    "MeanRows",
    "Multiply",
    "Novelty",
    "Operator",
    "Position",
    "Probability",
    "Relu",
    "RmsNorm",
    "Running",
    "Scan",
    "Standardise",
    "State",
    "Statistics",
    "Tensor",
    "Viterbi",
]

HELD = "held_scores"
"""The state in which a graph of windows keeps its last answer."""
CLOCK = "clock"
"""The state in which it counts the steps of the window."""
SETTLED = "settled_room"
"""The tensor, and the state, in which a decision layer keeps its answer: 1 + the room, 0 before the first."""

MOST_ELEMENTS = 65535
"""Elements of a tensor: the C counts them in 16 bits."""
MOST_STEPS = 32767
"""Steps of a window, where a clock counts them."""

OPERATORS: dict[str, type[Operator]] = {
    kind.__name__: kind
    for kind in (
        *(Running, Lookup, Curve, Linear, Embed, Relu, RmsNorm, DepthwiseConv, Scan, Multiply, Add),
        *(Collect, Position, LayerNorm, Attention, MeanRows, LastRow, Conv, Interleave),
        *(Viterbi, Statistics, Standardise, Forest),
        *(Filter, FixedLag),
        *(Probability, Novelty),
        Follow,
    )
}


@dataclass(frozen=True)
class Graph:
    """An integer model: operators in order of execution, from the sample to the scores.

    A decision layer, where there is one, is the last operator but for those that only add to the answer
    (`extras`): see `decision`.

    `output` names the int16 tensor of K scores. `window_steps` T; `seconds_per_step` 0 where a window is one
    sample; `state` "reset" (a window starts from zeros) or "carried" (state runs on through a session).
    `hop`: 0 where the caller begins each window; else the graph streams: its first answer after T samples,
    then one every `hop`, without a call between (`quant/stream.py`).
    """

    family: str
    size: str
    access_points: tuple[str, ...]
    rooms: tuple[str, ...]
    window_steps: int
    seconds_per_step: float
    state: str
    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    output: str
    hop: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {tensor.name: tensor for tensor in self.tensors})

    def tensor(self, name: str) -> Tensor:
        """The tensor of that name. Raises QuantisationError when there is none."""
        by_name: dict[str, Tensor] = self.__dict__["_by_name"]
        if name not in by_name:
            raise QuantisationError(f"the integer graph has no tensor named {name!r}")
        return by_name[name]

    @property
    def motion(self) -> bool:
        """Whether it reads an accelerometer: `acceleration`, 3 int8 behind the sample's signals."""
        return MOTION in self.__dict__["_by_name"]

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample: an int8 per access point, then three of the accelerometer where it is read."""
        return len(self.access_points) + MOTION_AXES * self.motion

    @property
    def packed(self) -> bool:
        """Whether any operator has weights of 4 bits."""
        return any(isinstance(op, (Linear, Embed)) and op.weight_bits == 4 for op in self.operators)

    @property
    def windowed(self) -> frozenset[str]:
        """Names of the tensors that are there only when the window is full; empty for a graph of steps."""
        found: set[str] = set()
        for operator in self.operators:
            late = isinstance(operator, Collect) or found.intersection(operator.inputs)
            if late and not isinstance(operator, Extra):
                found.add(operator.output)
        return frozenset(found)

    @property
    def extras(self) -> tuple[Extra, ...]:
        """What only adds to the answer, after every step."""
        return tuple(operator for operator in self.operators if isinstance(operator, Extra))

    @property
    def slides(self) -> bool:
        """Whether windows may overlap as the samples come: nothing but the collected rows begins with one."""
        return bool(self.windowed) and not any(
            operator.states(self)
            for operator in self.operators
            if not isinstance(operator, (Collect, Filter, Extra, Follow))
        )

    @property
    def period(self) -> int:
        """Steps from one full window to the next, where the caller does not begin one; with a carried state
        from one time to the next that a room is decided, or receivers are followed.
        """
        if self.decision is not None:
            return self.decision.hop
        if self.state == "carried" and self.follower is not None:
            return self.follower.hop
        return self.hop or self.window_steps

    @property
    def decision(self) -> Filter | None:
        """The decision layer: it reads the scores of each window and holds a room until they move it."""
        plain = [operator for operator in self.operators if not isinstance(operator, Extra)]
        return plain[-1] if plain and isinstance(plain[-1], Filter) else None

    @property
    def follower(self) -> Follow | None:
        """The operator that follows receivers as they drift: it alone reads the sample's signals."""
        first = self.operators[0] if self.operators else None
        return first if isinstance(first, Follow) else None

    @property
    def overlaps(self) -> bool:
        """Whether it streams windows that share rows."""
        return bool(self.windowed) and self.period < self.window_steps

    @property
    def begins_windows(self) -> bool:
        """Whether it streams windows that cannot slide: it begins each itself, from zeros but for what is
        held.
        """
        return bool(self.hop) and self.state == "reset" and not self.slides

    def states(self) -> Iterator[State]:
        """All that lasts from step to step, in order: first what a new window starts from zeros."""
        for operator in self.operators:
            if operator is not self.decision and not isinstance(operator, (Extra, Follow)):
                yield from operator.states(self)
        if self.windowed:
            yield State(HELD, len(self.rooms), 16)
        timed = self.decision is not None or self.follower is not None
        if self.windowed or timed or (self.hop and self.state == "reset"):
            yield State(CLOCK, 1, 16)
        yield from self.lasting()

    def lasting(self) -> Iterator[State]:
        """What outlives a window: the follower's, the decision layer's, and the extras'."""
        if self.follower is not None:
            yield from self.follower.states(self)
        if self.decision is not None:
            yield from self.decision.states(self)
            yield State(SETTLED, 1, 16)
        for extra in self.extras:
            yield from extra.states(self)

    def check(self) -> Graph:
        """Prove shapes, order and the absence of overflow; return self. Raises QuantisationError."""
        if len(self.tensors) != len(self.__dict__["_by_name"]):
            raise QuantisationError("the integer graph has two tensors of one name")
        names = [op.name for op in self.operators] + [tensor.name for tensor in self.tensors]
        if len(set(names)) != len(names):
            raise QuantisationError("the integer graph uses one name twice")
        for tensor in self.tensors:
            largest = {8: 127, 16: 32767}.get(tensor.bits, 0)
            sized = tensor.size >= 1 and tensor.rows >= 1 and tensor.rows * tensor.size <= MOST_ELEMENTS
            sized = sized and 1 <= tensor.limit <= largest
            if not sized or not 0 < tensor.scale < np.inf:
                raise QuantisationError(f"tensor {tensor.name!r} has an impossible size, limit or scale")
        sample, scores = self.tensor(SAMPLE), self.tensor(self.output)
        if (sample.size, sample.rows, sample.bits) != (len(self.access_points), 1, 8):
            raise QuantisationError("the sample is not one int8 per access point")
        if self.motion and self.tensor(MOTION) != motion_tensor():
            raise QuantisationError("the accelerometer's part of the sample is not three int8 of 1/32 g")
        rooms = len(self.rooms)
        if (scores.size, scores.rows, scores.bits) != (rooms, 1, 16) or not 1 <= rooms <= 255:
            raise QuantisationError("the scores are not one int16 per room, 255 rooms at most")
        if self.state not in ("reset", "carried") or self.window_steps < 1:
            raise QuantisationError(f"no window has {self.window_steps} steps and state {self.state!r}")
        if not 0 <= self.seconds_per_step < np.inf:
            raise QuantisationError(f"a step cannot last {self.seconds_per_step} s")
        if any(kept.name == CLOCK for kept in self.states()) and self.window_steps > MOST_STEPS:
            raise QuantisationError(f"windows of {self.window_steps} steps are too long to count in 16 bits")
        self._check_stream()
        written = {SAMPLE, MOTION} if self.motion else {SAMPLE}
        for operator in self.operators:
            missing = [name for name in operator.inputs if name not in written]
            if missing or operator.output in written:
                raise QuantisationError(f"operator {operator.name!r} reads or writes a tensor out of turn")
            operator.check(self)
            written.add(operator.output)
        if self.output not in written:
            raise QuantisationError("nothing writes the scores")
        windowed = self.windowed
        if windowed and (self.state == "carried" or self.output not in windowed):
            raise QuantisationError("a graph of windows starts each from zeros and answers when it is full")
        for operator in self.operators:
            late = windowed.intersection(operator.inputs)
            if isinstance(operator, Extra):
                continue  # it reads what the answer holds
            if late and late != set(operator.inputs):
                raise QuantisationError(f"operator {operator.name!r} mixes a window with a single step")
        self._check_decision()
        self._check_follower()
        return self

    def _check_stream(self) -> None:
        """Raise QuantisationError unless the graph can answer every `hop` samples, and extras come last."""
        first = next((at for at, op in enumerate(self.operators) if isinstance(op, Extra)), None)
        if first is not None and not all(isinstance(op, Extra) for op in self.operators[first:]):
            raise QuantisationError("what only adds to the answer comes behind all other operators")
        if self.hop == 0:
            return
        if self.state == "carried":
            if self.hop != 1:
                raise QuantisationError(
                    "a model whose state is carried answers at every sample: its hop is 1"
                )
        elif not 1 <= self.hop <= self.window_steps or (self.hop != self.window_steps and not self.slides):
            raise QuantisationError(
                f"a hop of {self.hop} is impossible: this model begins every window of "
                f"{self.window_steps} samples anew"
                if not self.slides
                else f"a hop of {self.hop} leaves a gap between windows of {self.window_steps} samples"
            )

    def _check_decision(self) -> None:
        """Raise QuantisationError unless there is at most one decision layer, in its place and its time."""
        found = self.decision
        if any(isinstance(operator, Filter) and operator is not found for operator in self.operators):
            raise QuantisationError("a decision layer is the last operator, and there is one at most")
        if found is None:
            return
        if (found.x, found.y) != (self.output, SETTLED):
            raise QuantisationError(f"a decision layer reads the scores and writes {SETTLED!r}")
        if self.seconds_per_step <= 0:
            raise QuantisationError("single samples have no order in time: no room can be held over them")
        times = self.window_steps, self.hop or self.window_steps
        if self.state == "reset" and (found.first, found.hop) != times:
            raise QuantisationError("a decision layer decides at the last step of each window")

    def _check_follower(self) -> None:
        """Raise QuantisationError unless what follows the receivers comes first, once, and hears for all."""
        follower, others = self.follower, self.operators[1:]
        if any(isinstance(operator, Follow) for operator in others):
            raise QuantisationError("what follows the receivers is the first operator, and there is one")
        if follower is None:
            return
        if any(SAMPLE in operator.inputs for operator in others):
            raise QuantisationError("where receivers are followed, nothing else reads the sample")
        if self.seconds_per_step <= 0:
            raise QuantisationError("single samples have no order in time: no drift to follow")
        if self.state == "carried" and (follower.hop != self.period or follower.hop > self.window_steps):
            raise QuantisationError(
                "with a carried state, receivers are followed when a room is decided, at least every window"
            )


def motion_tensor() -> Tensor:
    """The tensor of an accelerometer's part of the sample: three int8, one unit 1/32 g."""
    return Tensor(MOTION, MOTION_AXES, 8, LARGEST, 1 / UNITS_PER_G)
