"""A model that listens without end: a sample in, an answer out, the same two calls for every family.

`streaming` makes a graph that needs no call between windows, and adds to its answers what is asked for.
`Stream` is its twin on this computer: the C's answers, byte for byte.

- A graph of steps with a carried state answers at every sample; its hop is 1.
- A graph of windows keeps the rows of the last T samples and computes every `hop` of them, 1 to T.
- A graph of steps that was trained from a reset state, and a graph of windows whose steps keep a state too
  (a CRF behind Mamba, running statistics), begin a new window by themselves every T samples: their hop is
  T.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinyloc.data.windows import gap_for
from tinyloc.errors import QuantisationError
from tinyloc.quant.answer_operators import PROBABILITY, UNKNOWN, Novelty, Probability
from tinyloc.quant.follow_operators import FOLLOWED, MOST_RATE
from tinyloc.quant.graph import Graph, Tensor
from tinyloc.quant.reference import FRESH, Reference, rooms_of, settled_of

MOST_GAP = 65535


@dataclass(frozen=True)
class Answer:
    """What one sample brings. `scores` [K] int16; `room`, `settled`: indices of rooms; `fresh`: whether the
    answer is new; `unknown`: whether the signal is far from all that was learned, None where the graph does
    not say; `probability` [K] 0..255 for each room, None likewise.
    """

    scores: npt.NDArray[np.int16]
    room: int
    settled: int
    fresh: bool
    unknown: bool | None = None
    probability: npt.NDArray[np.uint8] | None = None

    def to_bytes(self) -> bytes:
        """As the device writes it (`answer_bytes`)."""
        tail = [self.room, self.settled, int(self.fresh)]
        tail += [] if self.unknown is None else [int(self.unknown)]
        chances = b"" if self.probability is None else self.probability.tobytes()
        return self.scores.astype("<i2").tobytes() + bytes(tail) + chances


class Stream:
    """One wearer's state and the calls of the C interface. Takes a graph with a `hop`.

    Raises QuantisationError for a graph whose windows the caller has to begin.
    """

    def __init__(self, graph: Graph, *, check: bool = False) -> None:
        if not graph.hop:
            raise QuantisationError("this graph's windows are begun by its caller: make it with `streaming`")
        self.graph, self.reference = graph, Reference(graph, check=check)
        self.init()

    def init(self) -> None:
        """Forget everything, as `tinyloc_init`."""
        self.states = self.reference.initial_state(1)

    def restart(self) -> None:
        """Forget the window at hand but not the room that is held, as `tinyloc_restart`."""
        self.reference.restart(self.states)

    def missed(self, samples: int) -> None:
        """`samples` samples did not come, as `tinyloc_missed`: from `gap_steps` on all is forgotten but what
        receivers are off by.
        """
        if samples >= gap_steps(self.graph):
            before = self.states
            self.init()
            follower = self.graph.follower
            if follower is not None:
                name = follower.state(self.graph).name
                self.states[name] = before[name]

    def step(self, sample: npt.NDArray[np.int8]) -> Answer:
        """One sample [P] or [P + 3] int8 in, the answer out."""
        values = self.reference.answer(np.asarray(sample, np.int8)[None], self.states)
        scores = values[self.graph.output].astype(np.int16)
        return Answer(
            scores[0],
            int(rooms_of(scores)[0]),
            int(settled_of(self.states, scores)[0]),
            bool(values[FRESH][0, 0]),
            bool(values[UNKNOWN][0, 0]) if UNKNOWN in values else None,
            values[PROBABILITY][0].astype(np.uint8) if PROBABILITY in values else None,
        )


def answer_bytes(graph: Graph) -> int:
    """Bytes of an answer: K scores of two, the room, the settled room; in a streaming graph whether it is
    fresh; whether it is unknown and K probabilities, where the graph has them.
    """
    names = {extra.output for extra in graph.extras}
    rooms = len(graph.rooms)
    return 2 * rooms + 2 + bool(graph.hop) + (UNKNOWN in names) + rooms * (PROBABILITY in names)


def gap_steps(graph: Graph) -> int:
    """Samples that may fail to come before all is forgotten: the silence that ends a stretch of recording."""
    if graph.seconds_per_step <= 0:
        return 1
    return min(MOST_GAP, math.ceil(gap_for(graph.seconds_per_step) / graph.seconds_per_step))


def streaming(
    graph: Graph,
    hop: int | None = None,
    probability: tuple[int, int] | None = None,
    novelty: Novelty | None = None,
) -> Graph:
    """`graph` as one that listens without end and answers every `hop` samples (None: 1 where the state is
    carried, else T), with probabilities by that factor (`answer_fit.py` makes both) and a word on what is
    unknown.

    Raises QuantisationError where the graph cannot answer so often.
    """
    hop = (1 if graph.state == "carried" else graph.window_steps) if hop is None else hop
    if hop < 1:
        raise QuantisationError(f"a hop of {hop} samples is impossible")
    decision, tensors = graph.decision, list(graph.tensors)
    operators = [operator for operator in graph.operators if operator is not decision]
    follower = graph.follower
    if follower is not None and graph.state == "reset":  # as quick in time, however often it answers
        rate = int(np.clip(round(follower.rate * hop / follower.hop), 1, MOST_RATE))
        operators[0] = dataclasses.replace(follower, rate=rate, hop=hop)
    if follower is not None and novelty is not None:  # what is off by as much as was learned is not unknown
        novelty = dataclasses.replace(novelty, x=FOLLOWED)
    if decision is not None:
        operators.append(dataclasses.replace(decision, hop=hop) if graph.state == "reset" else decision)
    if probability is not None:
        tensors.append(Tensor(PROBABILITY, len(graph.rooms), 16, 255, 1 / 255))
        operators.append(Probability("chance", graph.output, PROBABILITY, *probability))
    if novelty is not None:
        tensors.append(Tensor(UNKNOWN, 1, 16, 1, 1.0))
        operators.append(novelty)
    return dataclasses.replace(graph, hop=hop, tensors=tuple(tensors), operators=tuple(operators)).check()
