"""Training windows as they might also have been heard."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tinyloc.learn.options import Augmentation
from tinyloc.models.scaling import NOT_HEARD


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
    if how.offset or how.jitter:
        noise = np.zeros(rssi.shape, np.float32)
        if how.offset:
            noise += how.offset * random.standard_normal((batch, 1, 1), np.float32)
        if how.jitter:
            noise += how.jitter * random.standard_normal(rssi.shape, np.float32)
        rssi = np.clip(np.rint(rssi + noise * spread), NOT_HEARD + 1, 0).astype(np.int8)
    if how.packets:
        lost = lost | (random.random(rssi.shape, np.float32) < how.packets)
    if how.access_points:
        lost = lost | (random.random((batch, 1, points), np.float32) < how.access_points)
    return np.where(lost, np.int8(NOT_HEARD), rssi)
