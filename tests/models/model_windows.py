"""Small made-up windows: rooms differ by which access points are near."""

from __future__ import annotations

import numpy as np

from tinyloc.data.windows import Windows


def make_windows(
    count: int = 60, steps: int = 8, points: int = 5, rooms: int = 3, seed: int = 0, heard: float = 0.9
) -> Windows:
    random = np.random.default_rng(seed)
    near = np.random.default_rng(99).uniform(-95, -45, (rooms, points))
    room = np.arange(count) % rooms
    dbm = near[room][:, None, :] + random.normal(0, 4, (count, steps, points))
    rssi = np.clip(np.rint(dbm), -120, -20).astype(np.int8)
    rssi[random.random(rssi.shape) > heard] = -128
    return Windows(
        rssi=rssi,
        rooms_at=np.repeat(room[:, None], steps, axis=1).astype(np.int16),
        room=room.astype(np.int16),
        session=np.zeros(count, np.int32),
        end_time=np.arange(count) * 1000.0,
        rooms=tuple(f"room {i}" for i in range(rooms)),
        access_points=tuple(f"ap{i}" for i in range(points)),
        sessions=("walk",),
        seconds_per_step=0.2,
    )
