"""A made-up flat: a walk through rooms in order, cut into overlapping windows, as three sets."""

from __future__ import annotations

import numpy as np

from tinyloc.data.windows import Windows, WindowSets


def walk(
    seed: int, *, length: int = 240, steps: int = 8, hop: int = 4, points: int = 4, rooms: int = 3
) -> Windows:
    random = np.random.default_rng(seed)
    near = np.random.default_rng(99).uniform(-95, -45, (rooms, points))
    room = (np.arange(length) // 20) % rooms
    rssi = np.clip(np.rint(near[room] + random.normal(0, 3, (length, points))), -120, -20).astype(np.int8)
    rssi[random.random(rssi.shape) < 0.05] = -128
    starts = np.arange(0, length - steps + 1, hop)
    index = starts[:, None] + np.arange(steps)
    return Windows(
        rssi=rssi[index],
        rooms_at=room[index].astype(np.int16),
        room=room[index[:, -1]].astype(np.int16),
        session=np.zeros(len(starts), np.int32),
        end_time=index[:, -1] * 0.2,
        rooms=tuple(f"room {i}" for i in range(rooms)),
        access_points=tuple(f"ap{i}" for i in range(points)),
        sessions=("walk",),
        seconds_per_step=0.2,
    )


def make_sets(**shape: int) -> WindowSets:
    train, validation, test = (walk(seed, **shape) for seed in (1, 2, 3))
    return WindowSets("made up", train, validation, test, "One walk each.", "MIT", "nobody", simulated=True)


class Interrupt:
    """Presses Ctrl-C at the `after`-th report of progress."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self, progress: object) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
