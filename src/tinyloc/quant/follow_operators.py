"""The operator that follows receivers as they drift: it takes from every sample what an access point has come
to be off by, and learns that from the model's own answers.

A receiver that is moved, or turned, or ages is heard louder or weaker everywhere by about as many dB. While
the model is still mostly right, the difference between a signal and its usual mean in the room that the model
answers is, over many answers, that offset. So it is followed slowly: a person sits where the signal is not
the room's mean either, and that must not be learned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from tinyloc.quant.operator import SAMPLE, Operator, State, array_is, require

if TYPE_CHECKING:
    from tinyloc.quant.graph import Graph

FOLLOWED: Final = "followed"
"""The tensor of a sample without what its access points are off by."""
UNITS: Final = 256
"""Units of an offset in a dB."""
MOST_OFF: Final = 30 * UNITS
"""The most that an access point counts as off: beyond 30 dB it is another receiver."""
MOST_RATE: Final = 64


@dataclass(frozen=True)
class Follow(Operator):
    """y_p = clamp(x_p + ((o_p + 128) >> 8), -127, 127), and -128 ("not heard") stays.

    Behind every full window, k the room with the highest score and x its newest sample: for each access point
    p that x hears and of which room k has a mean, o_p = clamp(o_p + rate * (means_kp - y_p), -7,680, 7,680).
    Where a graph says what is unknown, nothing is learned from an answer that is: elsewhere signals differ
    from the rooms' by something else. With a carried state that is done behind the first T samples and then
    every `hop`. The offsets o [P], in 1/256 dB, begin at 0 with a session and last from window to window,
    over gaps too.

    `means` [K, P] int8 dBm, -128 where an access point is hardly heard in a room; `rate` 1..64: an error of
    1 dB moves the offset by rate / 256 dB an answer. `hop` >= 1: the steps from one answer to the next that
    the rate is meant for.
    """

    x: str
    y: str
    means: npt.NDArray[np.int8]
    rate: int
    hop: int

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.x,)

    @property
    def output(self) -> str:
        return self.y

    def state(self, graph: Graph) -> State:
        """What each access point is off by."""
        return State(f"{self.name}_offset", graph.tensor(self.x).size, 16)

    def check(self, graph: Graph) -> None:
        x, y = graph.tensor(self.x), graph.tensor(self.y)
        shape = (y.size, y.rows, y.bits, y.limit)
        require(self, self.x == SAMPLE and shape == (x.size, 1, 8, 127), "makes a sample of a sample")
        array_is(self, "means", self.means, np.int8, (len(graph.rooms), x.size))
        require(self, 1 <= self.hop <= 32767, f"has a hop of {self.hop}")
        require(self, 1 <= self.rate <= MOST_RATE, f"has a rate of {self.rate}, expected 1 to {MOST_RATE}")
