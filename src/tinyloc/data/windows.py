"""Recordings -> windows: the only shape that models, quantisation and the device ever see.

A window is T samples on a regular grid from one session with no gap inside. RSSI is rounded here, once, to
the radio's own number: int8 dBm, -128 for "not heard". So the floating-point model, the forest, the integer
model and the device all read the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Windows:
    """W windows of T steps over P access points.

    `rssi` [W, T, P] int8 dBm, -128 = not heard. `rooms_at` [W, T] int16 index into `rooms`, -1 = not
    annotated. `room` [W] int16: the room at the last step, which is the one that is scored (never -1).
    `session` [W] int32 index into `sessions`. `end_time` [W] s: time of the last step.
    `acceleration` [W, T, 3] float32 in g, or None. `rooms`, `access_points`, `sessions`: names.
    `seconds_per_step`: the grid, 0 where a window is a single sample. Windows stand in order of session and
    time.
    """

    rssi: npt.NDArray[np.int8]
    rooms_at: npt.NDArray[np.int16]
    room: npt.NDArray[np.int16]
    session: npt.NDArray[np.int32]
    end_time: npt.NDArray[np.float64]
    rooms: tuple[str, ...]
    access_points: tuple[str, ...]
    sessions: tuple[str, ...]
    seconds_per_step: float
    acceleration: npt.NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.rssi)


@dataclass(frozen=True)
class WindowSets:
    """What a protocol hands on: three disjoint sets of windows of one data set, and how they were made.

    `description` is one plain sentence on who trains, validates and tests, for the page.
    `simulated` is True for the simulator, so that every page can say so.
    """

    name: str
    train: Windows
    validation: Windows
    test: Windows
    description: str
    licence: str
    citation: str
    simulated: bool = False
