"""Graphs that follow their receivers, and the windows that they learned from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from builders import signal

from tinyloc.data.windows import Windows
from tinyloc.quant.follow import following
from tinyloc.quant.graph import Follow, Graph


def learned(graph: Graph, seed: int) -> Windows:
    """Windows [30, T, P] to take means from: one access point is never heard, one room never entered."""
    points, rooms, steps = len(graph.access_points), len(graph.rooms), graph.window_steps
    rssi = signal(30, steps, points, seed)
    rssi[:, :, -1] = -128
    rooms_at = np.random.default_rng(seed).integers(0, max(rooms - 1, 1), (30, steps)).astype(np.int16)
    zeros = np.zeros(30, np.int32)
    names = graph.rooms, graph.access_points, ("walk",)
    return Windows(rssi, rooms_at, rooms_at[:, -1], zeros, np.arange(30.0), *names, 0.2)


def follows(graph: Graph, seed: int, rate: int = 0, hop: int = 40) -> Graph:
    """`graph`, following quickly enough for a short test, with a carried state every `hop` steps."""
    made = following(graph, learned(graph, seed), hop)
    if not rate:
        return made
    first, *others = made.operators
    assert isinstance(first, Follow)
    return replace(made, operators=(replace(first, rate=rate), *others)).check()
