"""From a trained model to integers: lowered as it is, or trained on as integers first (QAT)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tinyloc.data.windows import Windows, WindowSets
from tinyloc.learn.streams import chunks
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.models.config import reads_motion
from tinyloc.quant.float_graph import FloatGraph
from tinyloc.quant.graph import Graph
from tinyloc.quant.lower import Lowering, Precision, float_graph_of, lower
from tinyloc.quant.packing import WeightBits
from tinyloc.quant.replay import samples_of

CARRIED_CALIBRATION_STEPS: Final = 200


def calibration_windows(windows: Windows, checkpoint: Checkpoint) -> npt.NDArray[np.int8]:
    """Training windows of samples for the ranges: long stretches where the state is carried."""
    if checkpoint.state == "carried":
        return chunks(windows, CARRIED_CALIBRATION_STEPS)[0]
    return samples_of(windows, reads_motion(checkpoint.config))


def integers(
    checkpoint: Checkpoint,
    sets: WindowSets,
    precision: Precision,
    weight_bits: WeightBits = 8,
    *,
    qat_steps: int = 0,
    seed: int = 0,
    pick: bool = True,
    progress: Callable[[Any], None] | None = None,
) -> tuple[FloatGraph, Graph]:
    """The integer graph of a checkpoint, and the floating-point graph that it stands for.

    `qat_steps` above 0: quantisation-aware training of so many steps on `sets.train`. `pick`: keep the best
    of several evaluations on `sets.validation`; otherwise only start and end are compared, as for a model
    that learns from validation windows too and has nothing left to pick by: where there is such a model, the
    one that validation judges is made in the same way, or its figure would be better than its kind. Raises
    QuantisationError, TrainingError, UsageError.
    """
    own = sets.only(checkpoint.access_points)
    rssi = calibration_windows(own.train, checkpoint)
    if not qat_steps:
        return float_graph_of(checkpoint), lower(checkpoint, rssi, precision, weight_bits)
    from tinyloc.quant.calibrate import calibrate
    from tinyloc.quant.qat import QatOptions, fine_tune

    ranges = calibrate(float_graph_of(checkpoint), rssi)
    options = QatOptions(steps=qat_steps, seed=seed, precision=precision, weight_bits=weight_bits)
    options = options if pick else dataclasses.replace(options, evaluations=1)
    floats = fine_tune(checkpoint, sets, options, ranges=ranges, progress=progress)
    return floats, Lowering(floats, ranges, precision, weight_bits).graph(checkpoint)
