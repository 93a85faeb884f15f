"""Ranges: how large each tensor of a float graph gets on calibration windows, and where its mean lies.

Calibration windows come from the training set alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tinyloc.errors import QuantisationError
from tinyloc.quant.float_graph import Float, FloatGraph, Values

MOST_WINDOWS = 512


@dataclass
class Ranges:
    """`largest`: name -> largest magnitude seen. `mean`: name -> mean vector [size], for bias correction.

    `variance`: name -> variance of each element [size], for clipping weights of 4 bits.
    `magnitudes`: name -> a sorted sample of magnitudes, for clipping int8 tensors at the best point.
    """

    largest: dict[str, float] = field(default_factory=dict)
    mean: dict[str, Float] = field(default_factory=dict)
    variance: dict[str, Float] = field(default_factory=dict)
    magnitudes: dict[str, Float] = field(default_factory=dict)


def calibrate(graph: FloatGraph, rssi: npt.NDArray[np.int8]) -> Ranges:
    """Run windows of samples (`replay.samples_of`) through the float graph and note each tensor's range.

    At most 512 windows are used, spread evenly. Raises QuantisationError for no windows, or values that are
    not finite.
    """
    if len(rssi) == 0:
        raise QuantisationError("there are no calibration windows")
    rssi = rssi[np.unique(np.linspace(0, len(rssi) - 1, MOST_WINDOWS).astype(np.int64))]
    ranges, sums, times, steps = Ranges(), dict[str, Float](), dict[str, int](), rssi.shape[1]
    squares: dict[str, Float] = {}
    seen: dict[str, list[Float]] = {}
    states: Values = {}
    for t in range(steps):
        for name, value in graph.step(rssi[:, t].astype(np.float64), states).items():
            largest = float(np.abs(value).max())
            if not np.isfinite(largest):
                raise QuantisationError(
                    f"tensor {name!r} of the float model is not finite", hint="Train again."
                )
            ranges.largest[name] = max(ranges.largest.get(name, 0.0), largest)
            if not name.endswith(".h"):
                flat = value.reshape(-1, value.shape[-1])
                sums[name] = sums.get(name, np.zeros(flat.shape[1])) + flat.mean(axis=0)
                squares[name] = squares.get(name, 0.0) + np.square(flat).mean(axis=0)
                times[name] = times.get(name, 0) + 1
                seen.setdefault(name, []).append(np.abs(value).ravel()[:: max(1, value.size // 2000)])
    ranges.mean = {name: total / times[name] for name, total in sums.items()}
    ranges.variance = {
        name: np.maximum(total / times[name] - np.square(ranges.mean[name]), 0.0)
        for name, total in squares.items()
    }
    ranges.magnitudes = {name: np.sort(np.concatenate(parts)) for name, parts in seen.items()}
    return ranges


def best_clip(magnitudes: Float, limit: int) -> float:
    """The range that loses least when rounded to ±limit steps: trades clipping the tail against coarse steps.

    `magnitudes` are sorted absolute values. Tries 24 ranges between a quarter of the largest and the largest.
    """
    largest = float(magnitudes[-1])
    if largest == 0.0:
        return 0.0
    candidates = largest * np.linspace(0.25, 1.0, 24)
    errors = []
    for candidate in candidates:
        scale = candidate / limit
        rounded = np.clip(np.rint(magnitudes / scale), 0, limit) * scale
        errors.append(float(np.square(rounded - magnitudes).sum()))
    return float(candidates[int(np.argmin(errors))])
