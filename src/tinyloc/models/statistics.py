"""A window's statistics as whole numbers: the device computes the very same ones without a float. No torch.

P access points, T steps, x the dBm of one access point over the window, with "not heard" (-128) read as
-120. Six numbers for each access point, each in 16 bits:

    mean   floor(128 sum(x) / T + 1/2)                           1/128 dB, -16,256 .. 16,256
    max    128 max(x)                                            1/128 dB, -16,256 .. 16,256
    min    128 min(x)                                            1/128 dB, -16,256 .. 16,256
    std    floor(isqrt(128^2 (T sum(x^2) - sum(x)^2)) / T)       1/128 dB, 0 .. 16,256
    heard  floor(16384 count / T + 1/2)                          1/16384, 0 .. 16,384
    last   128 x[T - 1]                                          1/128 dB, -16,256 .. 16,256

`isqrt` is the floor of the square root. All divisions round down, towards minus infinity.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from tinyloc.errors import UsageError
from tinyloc.models.scaling import NOT_HEARD, PAPER_FILL_DBM

STATISTICS: Final = ("mean", "max", "min", "std", "heard", "last")
"""In the order of the features: all access points' means, then all their maxima, and so on."""

ONE_DB: Final = 128
"""What 1 dB is in the features."""

ALWAYS_HEARD: Final = 16384
"""What "heard" is where every step was heard."""

LONGEST_WINDOW: Final = 4096
"""T is at most this: then 128^2 T^2 127^2, the largest number under the root, is below 2^53."""


def window_statistics(rssi: npt.NDArray[np.int8]) -> npt.NDArray[np.int16]:
    """`rssi` [..., T, P] int8 dBm, -128 = not heard -> [..., 6 P] int16, grouped by statistic, then by access
    point, as in the table at the head of this file. Raises UsageError for other types and lengths.
    """
    if rssi.dtype != np.int8 or rssi.ndim < 2 or not 1 <= rssi.shape[-2] <= LONGEST_WINDOW:
        raise UsageError(
            f"statistics are of int8 windows of 1 to {LONGEST_WINDOW} steps, "
            f"not of {rssi.dtype} of shape {rssi.shape}"
        )
    steps = rssi.shape[-2]
    heard = rssi != NOT_HEARD  # [..., T, P]
    x = np.where(heard, rssi, PAPER_FILL_DBM).astype(np.int64)
    total, squares = x.sum(axis=-2), (x * x).sum(axis=-2)  # [..., P]
    parts = (
        (2 * ONE_DB * total + steps) // (2 * steps),
        ONE_DB * x.max(axis=-2),
        ONE_DB * x.min(axis=-2),
        _isqrt((steps * squares - total * total) * ONE_DB**2) // steps,
        (2 * ALWAYS_HEARD * heard.sum(axis=-2) + steps) // (2 * steps),
        ONE_DB * x[..., -1, :],
    )
    return np.concatenate(parts, axis=-1).astype(np.int16)


def _isqrt(value: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The floor of the square root of 0 .. 2^53, exactly: the float root is at most one off."""
    root = np.sqrt(value.astype(np.float64)).astype(np.int64)
    root -= root * root > value
    return np.asarray(root + ((root + 1) * (root + 1) <= value), dtype=np.int64)
