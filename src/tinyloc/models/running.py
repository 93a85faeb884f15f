"""What a window has said so far, step by step, as further inputs of a model, in whole numbers. No torch.

P access points, T steps. Three numbers for each access point and step, each an int8 in dBm, -128 = not heard:

    the sample  as it is
    max         the largest heard since the window began; -128 while there was none
    mean        floor(sum / count + 1/2) of what was heard since the window began: rounded to nearest, halves
                upward; -128 while there was none. Of the first 256 heard: then it stands

The device keeps the same numbers as a state and gives the very same bits (docs/NUMERICS.md, Running).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from tinyloc.data.recording import NOT_HEARD
from tinyloc.errors import UsageError

FEATURES: Final = 3
"""Numbers of each access point and step: the sample, the maximum, the mean."""

MOST_HEARD: Final = 256
"""How many heard samples the mean is of, at most: 256 x 127 still fits a sum of 16 bits."""


def columns(access_points: int, statistics: bool) -> int:
    """What the first layer reads of a step: P numbers, or 3 P with running statistics."""
    return access_points * FEATURES if statistics else access_points


def running_statistics(rssi: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """`rssi` [..., T, P] int8 dBm, -128 = not heard -> [..., T, 3 P] int8: all access points' samples, then
    their maxima, then their means, as at the head of this file. Raises UsageError for another type or shape.
    """
    if rssi.dtype != np.int8 or rssi.ndim < 2:
        raise UsageError(f"running statistics are of int8 windows, not of {rssi.dtype} of shape {rssi.shape}")
    heard = rssi != NOT_HEARD  # [..., T, P]
    largest = np.maximum.accumulate(rssi, axis=-2)  # "not heard" is the smallest int8
    count = heard.cumsum(axis=-2, dtype=np.int32)
    counted = heard & (count <= MOST_HEARD)
    total = np.where(counted, rssi, 0).cumsum(axis=-2, dtype=np.int32)
    among = np.clip(count, 1, MOST_HEARD)
    mean = np.where(count > 0, (2 * total + among) // (2 * among), NOT_HEARD)
    return np.concatenate([rssi, largest, mean.astype(np.int8)], axis=-1)
