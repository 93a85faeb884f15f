"""g -> what the device is fed: one int8 per axis, rounded once, so that all forms of a model read the same.

A wearable's accelerometer is a hint of what its wearer does: one unit is 1/32 g, and what lies beyond
±3.97 g stands at the end of the range. docs/NUMERICS.md says how the unit was chosen.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

MOTION_AXES: Final = 3
"""An accelerometer's numbers per sample: x, y, z."""

UNITS_PER_G: Final = 32
"""How many units of the int8 make one g."""

LARGEST: Final = 127
"""The largest magnitude of the int8."""


def to_int8(acceleration: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.int8]:
    """`acceleration` [..., 3] in g -> the same in units of 1/32 g, -127..127."""
    units = np.clip(np.rint(acceleration * np.float32(UNITS_PER_G)), -LARGEST, LARGEST)
    return np.asarray(units, dtype=np.int8)


def as_heard(acceleration: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float32]:
    """`acceleration` [..., 3] in g -> in g again, as the device reads it."""
    return to_int8(acceleration).astype(np.float32) / np.float32(UNITS_PER_G)
