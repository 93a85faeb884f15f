"""Small sound recordings, to be read, divided and spoilt."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def rows(count: int = 600, seed: int = 0, sessions: int = 3) -> list[list[str]]:
    """Header and rows of a sound recording: two rooms, two access points, 5 Hz."""
    rng = np.random.default_rng(seed)
    table = [["time", "ap1", "ap2", "room", "session"]]
    each = count // sessions
    for index in range(each * sessions):
        session, at = divmod(index, each)
        kitchen = (at // 50) % 2 == 0
        strong, weak = rng.integers(-60, -50), rng.integers(-90, -70)
        pair = (strong, weak) if kitchen else (weak, strong)
        room = "kitchen" if kitchen else "hall"
        table.append([f"{at * 0.2:.1f}", str(pair[0]), str(pair[1]), room, f"s{session + 1}"])
    return table


def write(path: Path, table: list[list[str]]) -> Path:
    path.write_text("\n".join(",".join(row) for row in table) + "\n", encoding="utf-8")
    return path
