"""What every operator leaves on golden samples, as checksums: what a board's self-test compares."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinyloc.errors import QuantisationError
from tinyloc.quant.arithmetic import Ints, States
from tinyloc.quant.graph import Collect, Extra, Graph
from tinyloc.quant.operator import Operator
from tinyloc.quant.reference import Reference
from tinyloc.quant.stream import Stream


@dataclass(frozen=True)
class Segment:
    """Samples [n, P] int8 that begin with a fresh state, and the CRC-32 of all that each operator left on
    them, step after step, in the order of the graph; the last one is of the answers.
    """

    samples: npt.NDArray[np.int8]
    hashes: tuple[int, ...]


def golden(graph: Graph, samples: npt.NDArray[np.int8]) -> Segment:
    """Replay samples [n, P] or [n, P + 3] through a streaming graph. Raises QuantisationError for none."""
    if not len(samples):
        raise QuantisationError("a self-test needs samples")
    watch = _Watched(graph)
    twin = Stream(graph)
    twin.reference = watch
    answers = 0
    for sample in samples:
        watch.rows.clear()
        answer = twin.step(sample)
        if answer.fresh:
            for at, rows in watch.rows.items():
                watch.hashes[at] = zlib.crc32(rows, watch.hashes[at])
        answers = zlib.crc32(answer.to_bytes(), answers)
    return Segment(samples, (*watch.hashes, answers))


class _Watched(Reference):
    """The reference, keeping the checksum of what every operator leaves, as the C stores it."""

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph)
        self.hashes = [0] * len(graph.operators)
        self.rows: dict[int, bytes] = {}
        self.place = {id(operator): at for at, operator in enumerate(graph.operators)}

    def apply(self, operator: Operator, values: dict[str, Ints], states: States) -> Ints:
        left = super().apply(operator, values, states)
        bits = self.graph.tensor(operator.output).bits
        kind = np.uint8 if isinstance(operator, Extra) else {8: "<i1", 16: "<i2"}[bits]
        stored, at = left.astype(kind).tobytes(), self.place[id(operator)]
        if isinstance(operator, Collect):
            self.rows[at] = stored  # counts when the window is full
        else:
            self.hashes[at] = zlib.crc32(stored, self.hashes[at])
        return left


def samples_for(graph: Graph, real: npt.NDArray[np.int8], seed: int = 0) -> list[npt.NDArray[np.int8]]:
    """Samples of the two segments: two windows and a half of a real stretch [n, P], as far as it goes; one
    window and a half of any bytes.
    """
    steps = graph.window_steps
    rng = np.random.default_rng(seed)
    wild = rng.integers(-128, 128, (steps + (steps + 1) // 2, graph.sample_bytes), dtype=np.int8)
    return [np.ascontiguousarray(real[: 2 * steps + (steps + 1) // 2]), wild]
