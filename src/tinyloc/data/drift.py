"""Windows as they might be heard when receivers have drifted: what a model is judged by where they do."""

from __future__ import annotations

import dataclasses
from typing import Final

import numpy as np

from tinyloc.data.recording import NOT_HEARD
from tinyloc.data.windows import Windows

DRAWS: Final = 8


def drifted(windows: Windows, spread_db: float, draws: int = DRAWS, seed: int = 0) -> Windows:
    """`draws` copies of `windows`, one after the other; in each copy every access point is off by a draw of
    its own from a normal distribution with `spread_db` (dB), the same throughout.

    What was not heard stays so, and what is heard stays within -127..0 dBm. Each copy of a session counts as
    a session of its own.
    """
    rng = np.random.default_rng(seed)
    offsets = np.rint(rng.normal(0.0, spread_db, (draws, len(windows.access_points)))).astype(np.int16)
    copies = []
    for offset in offsets:
        moved = np.clip(windows.rssi + offset, NOT_HEARD + 1, 0).astype(np.int8)
        copies.append(np.where(windows.rssi == NOT_HEARD, np.int8(NOT_HEARD), moved))
    count = len(windows.sessions)
    return dataclasses.replace(
        windows.rows(np.tile(np.arange(len(windows)), draws)),
        rssi=np.concatenate(copies),
        session=np.concatenate([windows.session + copy * count for copy in range(draws)]).astype(np.int32),
        sessions=tuple(f"{name}, drift {copy}" for copy in range(draws) for name in windows.sessions),
    )
