"""The numbers behind a probability and behind "unknown": fitted on training and validation windows. No torch.

A network's own certainty says nothing of rooms it never saw, and rises where access points fall silent
(docs/LOG.md); how far the signal lies from every room's mean does tell. So that is what is measured, and
validation says from where on it is too far.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from tinyloc.data.windows import Windows, WindowSets
from tinyloc.errors import UsageError
from tinyloc.learn.streams import streams
from tinyloc.quant.answer_operators import NOVELTY_LEVEL, Novelty
from tinyloc.quant.answer_reference import distances
from tinyloc.quant.decision import typical_margin
from tinyloc.quant.graph import Graph
from tinyloc.quant.lower import factor
from tinyloc.quant.reference import Reference
from tinyloc.quant.replay import replay

FLOOR_DBM: Final = -100
"""A signal that is weaker, or not heard, counts as so weak."""
SMOOTHING: Final = 3
"""The distance is smoothed over about 2^3 samples where samples have an order in time."""
NEVER_DBM: Final = 127
"""The centre of a room without a training sample: nothing is near it."""
FALSE_UNKNOWN: Final = 0.05
"""Share of known validation windows that may be called unknown."""
SHARPNESS: Final = tuple(2.0 ** (half / 2) for half in range(-8, 9))
"""What a typical margin between the two best scores may be worth, nats."""


def fit_sharpness(graph: Graph, validation: Windows) -> float:
    """What one nat of the model's scores is worth, in nats, so that the true rooms of the validation
    windows are likeliest: one number, and the order of the rooms stays (temperature scaling, arXiv
    1706.04599). `graph` must not have learned from them.
    """
    stream = replay(validation, graph.state, graph.motion)
    integers = stream.scores(Reference(graph))[stream.ends]
    margin = typical_margin(integers)
    scores = integers.astype(np.float64)
    behind = scores - scores.max(axis=1, keepdims=True)
    true = behind[np.arange(len(scores)), validation.room]

    def loss(worth: float) -> float:
        unit = worth / margin
        return float((np.log(np.exp(unit * behind).sum(axis=1)) - unit * true).mean())

    return float(min(SHARPNESS, key=loss) / margin / graph.tensor(graph.output).scale)


def probability_factor(graph: Graph, sharpness: float) -> tuple[int, int]:
    """The factor of `Probability` where one nat of the scores is worth `sharpness` nats."""
    return factor(sharpness * graph.tensor(graph.output).scale * math.log2(math.e) * 65536, "chance")


def fit_novelty(sets: WindowSets, false_unknown: float = FALSE_UNKNOWN) -> Novelty:
    """Each room's centre from training samples, the threshold from validation windows: at their ends at most
    that share (0 to 1) of them is called unknown. `sets` with the model's access points alone. Raises
    UsageError for another share.
    """
    if not 0 <= false_unknown < 1:
        raise UsageError(f"a share of {false_unknown:g} of false alarms is not one of 0 to below 1")
    timed = sets.train.seconds_per_step > 0
    operator = Novelty(
        "novelty", "sample", "unknown", _centres(sets.train), FLOOR_DBM, SMOOTHING if timed else 0, NEVER_DBM
    )
    levels = np.sort(levels_of(operator, sets.validation))
    if not len(levels):
        raise UsageError("without validation windows nothing says what is unknown")
    at = min(len(levels) - 1, math.ceil((1 - false_unknown) * len(levels)) - 1)
    return Novelty(**{**vars(operator), "threshold": min(int(levels[max(at, 0)]), NOVELTY_LEVEL)})


def levels_of(operator: Novelty, windows: Windows) -> npt.NDArray[np.int64]:
    """The smoothed distance [W] at the end of every window, each stretch of a session heard once."""
    if windows.seconds_per_step <= 0:
        return distances(operator, windows.rssi[:, -1].astype(np.int64))
    levels = np.zeros(len(windows), np.int64)
    half = (1 << operator.smoothing) >> 1
    for stream in streams(windows):
        apart = distances(operator, stream.rssi.astype(np.int64))
        level = apart[0]
        smooth = np.empty_like(apart)
        for step, distance in enumerate(apart):
            level = level + ((distance - level + half) >> operator.smoothing)
            smooth[step] = level
        levels[stream.windows] = smooth[stream.ends]
    return levels


def _centres(train: Windows) -> npt.NDArray[np.int8]:
    """Each room's mean signal over its annotated training samples, [K, P] dBm."""
    heard = np.maximum(train.rssi.astype(np.int64), FLOOR_DBM)
    centres = np.full((len(train.rooms), heard.shape[2]), NEVER_DBM, np.int8)
    for room in range(len(train.rooms)):
        mine = heard[train.rooms_at == room]
        if len(mine):
            centres[room] = np.rint(mine.mean(axis=0)).astype(np.int8)
    return centres
