"""A decision layer for an integer model: a few simple forms, and validation says which, or none. No torch.

Evidence is the integer model's own scores, in units of `margin`: how far, on the validation windows, the best
room's score usually (in the median) stands above the second's. So one scale serves logits and votes alike.

- `penalty` c: every change of room costs c typical margins, staying costs nothing.
- `walks` p: a change costs what training says, -ln of the share of hops that go from one room to the other
  (with one pseudo count for each pair), and a typical margin counts p nats.

Each candidate runs as the operator that the device will run, on the integer model's answers to the validation
windows. The best macro-F1 is taken; among equals the fewest room changes, then the earlier: none comes first.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from tinyloc.data.order import hop_seconds, transitions
from tinyloc.data.windows import Windows, WindowSets
from tinyloc.errors import UsageError
from tinyloc.metrics import macro_f1
from tinyloc.quant.decision_operators import Filter
from tinyloc.quant.graph import SETTLED, Graph, Tensor
from tinyloc.quant.lower import factor
from tinyloc.quant.reference import Reference
from tinyloc.quant.replay import Replay, replay

Decision = Literal["none", "auto", "filter"]
"""What is asked for: no decision layer; validation decides; the best one in any case."""

PENALTIES: Final = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
POWERS: Final = (0.25, 0.5, 1.0, 2.0, 4.0)
UNITS: Final = 256
"""Units of d in a nat."""
MOST_NATS: Final = 127.0

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[Any]


@dataclass(frozen=True)
class Candidate:
    """A form of the layer and its `strength` (0 for none); what it is worth on validation: macro-F1, 0 to 1,
    and changes of the room along the sessions.
    """

    form: str
    strength: float
    f1_macro: float
    room_changes: int

    @property
    def name(self) -> str:
        """As a table shows it."""
        return "none" if self.form == "none" else f"{self.form} {self.strength:g}"


@dataclass(frozen=True)
class Layer:
    """A filter of `chain` [K, K] nats, from a room to a room; one nat of the model's scores counts `power`
    nats; it decides every `hop` steps where the state is carried.
    """

    chain: Floats
    power: float
    hop: int

    def behind(self, graph: Graph) -> Graph:
        """`graph` with this layer as its last operator."""
        K, steps = len(graph.rooms), graph.window_steps
        multiplier, shift = factor(self.power * graph.tensor(graph.output).scale * UNITS, "settle")
        nothing = np.zeros(K, np.int16)
        decision = Filter(
            "settle",
            graph.output,
            SETTLED,
            np.rint(np.clip(self.chain, -MOST_NATS, 0.0) * UNITS).astype(np.int16),
            nothing,
            nothing,
            multiplier,
            shift,
            first=steps,
            hop=steps if graph.state == "reset" else self.hop,
        )
        return dataclasses.replace(
            graph,
            tensors=(*graph.tensors, Tensor(SETTLED, 1, 16, 32767, 1.0)),
            operators=(*graph.operators, decision),
        ).check()


@dataclass(frozen=True)
class Choice:
    """The layer that validation chose, or None; all candidates, `none` first."""

    layer: Layer | None
    chosen: Candidate
    candidates: tuple[Candidate, ...]
    room_changes_true: int

    def behind(self, graph: Graph) -> Graph:
        """`graph` with the chosen layer, where there is one: the model judged, or one that was trained on."""
        return graph if self.layer is None else self.layer.behind(graph)

    def learned_from(self, train: Windows, seconds: float) -> Choice:
        """The same choice, with what its layer takes from training windows taken from these; `seconds` from
        one answer to the next.
        """
        if self.layer is None or self.chosen.form != "walks":
            return self
        chain = walks_chain(transitions(train, seconds))
        return dataclasses.replace(self, layer=dataclasses.replace(self.layer, chain=chain))

    @property
    def none(self) -> Candidate:
        """How the model does without."""
        return self.candidates[0]

    def to_json(self) -> dict[str, Any]:
        """All but the graph, as plain JSON values."""
        return {
            "chosen": dataclasses.asdict(self.chosen),
            "candidates": [dataclasses.asdict(candidate) for candidate in self.candidates],
            "room_changes_true": self.room_changes_true,
        }


def impossible(state: str, windows: Windows) -> str:
    """Why a model of these windows, its `state` "reset" or "carried", cannot have a decision layer, in a
    sentence; empty where it can.
    """
    if windows.seconds_per_step <= 0:
        return "single samples have no order in time: no room can be held over them"
    if state == "carried" and hop_steps(windows) > windows.steps:
        return "windows that stand apart are no stream: no room can be held over them"
    return ""


def hop_steps(windows: Windows) -> int:
    """Steps from one window to the next."""
    return max(1, round(hop_seconds(windows) / windows.seconds_per_step))


def choose(graph: Graph, sets: WindowSets, asked: Decision = "auto") -> Choice | None:
    """The decision layer of `graph` by validation; None where none is asked for or none can be.

    `graph` is judged on validation, so it must not have learned from it; the layer may then be put behind
    another that has. With "filter" the best layer is taken though none were better. Raises UsageError where
    that is asked for and cannot be.
    """
    windows = sets.validation
    if asked == "none":
        return None
    reason = impossible(graph.state, windows)
    if reason:
        if asked == "filter":
            raise UsageError(f"--decision filter: {reason}", hint="Choose --decision none or auto.")
        return None
    stream = replay(windows, graph.state, graph.motion)
    scores = stream.scores(Reference(graph))
    margin = typical_margin(scores[stream.ends]) * graph.tensor(graph.output).scale
    hop = hop_steps(windows)
    walks = walks_chain(transitions(sets.train, hop_seconds(windows)))
    layers: list[tuple[str, float, Layer | None]] = [("none", 0.0, None)]
    layers += [
        ("penalty", cost, Layer(penalty_chain(len(graph.rooms), cost), 1 / margin, hop)) for cost in PENALTIES
    ]
    layers += [("walks", power, Layer(walks, power / margin, hop)) for power in POWERS]
    judged: list[tuple[Candidate, Layer | None]] = []
    for form, strength, layer in layers:
        reference = Reference(graph if layer is None else layer.behind(graph))
        answered = stream.settled(reference, scores)[stream.ends]
        found = Candidate(form, strength, macro_f1(windows.room, answered), _changes(answered, windows))
        judged.append((found, layer))
    allowed = judged if asked == "auto" else judged[1:]
    chosen, best = min(allowed, key=lambda pair: (-pair[0].f1_macro, pair[0].room_changes))
    return Choice(best, chosen, tuple(found for found, _ in judged), _changes(windows.room, windows))


def typical_margin(scores: npt.NDArray[np.int16]) -> float:
    """The median of how far the best room's score stands above the second's, [W, K] -> at least 1."""
    if scores.shape[1] < 2:
        return 1.0
    two = np.partition(scores.astype(np.int64), -2, axis=1)[:, -2:]
    return max(float(np.median(two[:, 1] - two[:, 0])), 1.0)


def penalty_chain(rooms: int, penalty: float) -> Floats:
    """[K, K] nats: 0 for staying, -penalty for every change."""
    return -penalty * (1.0 - np.eye(rooms))


def walks_chain(counts: Floats) -> Floats:
    """[K, K] nats: ln of how often a room follows a room, one pseudo count each."""
    return np.asarray(np.log((counts + 1.0) / (counts + 1.0).sum(axis=1, keepdims=True)))


def answers_of(graph: Graph, stream: Replay) -> tuple[Labels, Labels]:
    """The room and the settled room [W] where windows end, by the reference."""
    reference = Reference(graph)
    scores = stream.scores(reference)
    rooms, settled = scores.argmax(axis=1), stream.settled(reference, scores)
    return rooms[stream.ends], settled[stream.ends].astype(np.int64)


def _changes(answered: Labels, windows: Windows) -> int:
    moved = np.diff(answered.astype(np.int64)) != 0
    return int(np.count_nonzero(moved & (np.diff(windows.session) == 0)))
