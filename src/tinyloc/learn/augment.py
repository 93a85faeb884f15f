"""Training windows as they might also have been heard."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from tinyloc.learn.options import Augmentation
from tinyloc.models.scaling import NOT_HEARD

SHADOWING_CORRELATION: Final = 0.9
"""Between the shadowing of a step and that of the next: an e-th of it is left after ten steps."""


def augment(
    rssi: npt.NDArray[np.int8],
    how: Augmentation,
    spread: npt.NDArray[np.float32],
    random: np.random.Generator,
) -> npt.NDArray[np.int8]:
    """`rssi` [B, T, P] int8 dBm, `spread` [P] dB -> altered copies, again int8, rounded as a radio would.

    What was not heard stays so; what is lost becomes so. Signals stay within -127..0 dBm.
    """
    batch, _, points = rssi.shape
    lost = rssi == NOT_HEARD
    if how.offset or how.jitter or how.shadowing:
        noise = np.zeros(rssi.shape, np.float32)
        if how.offset:
            noise += how.offset * random.standard_normal((batch, 1, 1), np.float32)
        if how.jitter:
            noise += how.jitter * random.standard_normal(rssi.shape, np.float32)
        if how.shadowing:
            noise += how.shadowing * shadows(rssi.shape, random)
        rssi = np.clip(np.rint(rssi + noise * spread), NOT_HEARD + 1, 0).astype(np.int8)
    if how.packets:
        lost = lost | (random.random(rssi.shape, np.float32) < how.packets)
    if how.access_points:
        lost = lost | (random.random((batch, 1, points), np.float32) < how.access_points)
    return np.where(lost, np.int8(NOT_HEARD), rssi)


def shadows(shape: tuple[int, ...], random: np.random.Generator) -> npt.NDArray[np.float32]:
    """[B, T, P] slow fading: for each access point of each window a process of its own, of unit variance from
    its first step on, whose correlation falls off exponentially with the steps between (Gudmundson 1991,
    "Correlation model for shadow fading in mobile radio systems": an autoregression of the first order).
    """
    drawn = random.standard_normal(shape, np.float32)
    fresh = np.float32(np.sqrt(1 - SHADOWING_CORRELATION**2))
    for step in range(1, shape[1]):
        drawn[:, step] = SHADOWING_CORRELATION * drawn[:, step - 1] + fresh * drawn[:, step]
    return drawn
