"""Recording: the one shape that every source makes, checked once at the door.

Letters: T samples, P access points. Units: time in s, RSSI in dBm (NaN = not heard), acceleration in g,
position in m.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tinyloc.errors import DataError

RSSI_MIN = -127.0
"""Weakest RSSI that Bluetooth's host interface can report, dBm."""
RSSI_MAX = 20.0
"""Strongest RSSI that Bluetooth's host interface can report, dBm."""
NOT_HEARD = -128
"""How an access point that was not heard is written in int8."""

FloatArray = npt.NDArray[np.float64]
TextArray = npt.NDArray[np.str_]


@dataclass(frozen=True)
class Recording:
    """One uninterrupted session of one wearer.

    `time` [T] s, strictly ascending. `rssi` [T, P] dBm in -127..20, NaN where an access point was not heard.
    `acceleration` [T, 3] g or None. `room` [T] text or None; the empty string is "not annotated".
    `position` [T, 2] m or None. `access_points` P distinct names. `session` a name, unique in its data set.
    """

    time: FloatArray
    rssi: FloatArray
    access_points: tuple[str, ...]
    session: str
    room: TextArray | None = None
    acceleration: FloatArray | None = None
    position: FloatArray | None = None

    def __post_init__(self) -> None:
        self._check()

    def __len__(self) -> int:
        return len(self.time)

    @property
    def duration(self) -> float:
        """Seconds from the first sample to the last."""
        return float(self.time[-1] - self.time[0]) if len(self) else 0.0

    def part(self, start: int, stop: int, session: str) -> Recording:
        """Samples `start` up to, not including, `stop`, as a session of its own."""
        rows = slice(start, stop)
        return replace(
            self,
            session=session,
            time=self.time[rows],
            rssi=self.rssi[rows],
            room=None if self.room is None else self.room[rows],
            acceleration=None if self.acceleration is None else self.acceleration[rows],
            position=None if self.position is None else self.position[rows],
        )

    def _check(self) -> None:
        def refuse(message: str, hint: str = "") -> DataError:
            return DataError(f"session {self.session!r}: {message}", hint=hint)

        count, points = len(self.time), len(self.access_points)
        if count == 0:
            raise refuse("it holds no samples", "Leave the session out or record it again.")
        if self.rssi.shape != (count, points):
            raise refuse(f"rssi has shape {self.rssi.shape}, expected ({count}, {points})")
        if len(set(self.access_points)) != points:
            twice = sorted({name for name in self.access_points if self.access_points.count(name) > 1})
            raise refuse(f"two access points have the name {twice[0]!r}", "Rename one of them.")
        if not np.all(np.isfinite(self.time)):
            raise refuse("time is not a number somewhere")
        if np.any(np.diff(self.time) <= 0):
            where = int(np.argmax(np.diff(self.time) <= 0)) + 1
            raise refuse(f"time does not move forward at sample {where}")
        with np.errstate(invalid="ignore"):
            outside = (self.rssi < RSSI_MIN) | (self.rssi > RSSI_MAX)
        if np.any(outside):
            row, column = (int(index) for index in np.argwhere(outside)[0])
            raise refuse(
                f"RSSI of {self.rssi[row, column]:g} dBm at sample {row}, access point "
                f"{self.access_points[column]!r}; expected {RSSI_MIN:g}..{RSSI_MAX:g}"
            )
        if self.room is not None and self.room.shape != (count,):
            raise refuse(f"room has shape {self.room.shape}, expected ({count},)")
        if self.acceleration is not None and self.acceleration.shape != (count, 3):
            raise refuse(f"acceleration has shape {self.acceleration.shape}, expected ({count}, 3)")
        if self.position is not None and self.position.shape != (count, 2):
            raise refuse(f"position has shape {self.position.shape}, expected ({count}, 2)")
