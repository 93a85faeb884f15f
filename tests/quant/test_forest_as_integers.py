"""The forest from checkpoint to C: float, integers and the chip give the same votes, without a difference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from builders import any_bytes, records, scaling, signal

from tinyloc.device.boards import find_board
from tinyloc.device.host import build_host
from tinyloc.device.tiers import available_tiers, find_tier
from tinyloc.emit import emit
from tinyloc.models import forest
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.models.config import ForestConfig
from tinyloc.quant.attribution import attribution
from tinyloc.quant.lower import float_graph_of, lower
from tinyloc.quant.reference import Reference, answers
from tinyloc.quant.storage import from_bytes, to_bytes

K, LONG = 4, 12


def made(points: int, steps: int, trees: int = 10, leaves: int = 16) -> Checkpoint:
    """A forest with all its leaves, split at random."""
    config = ForestConfig(points, K, trees, leaves)
    names = tuple(f"room{i}" for i in range(K)), tuple(f"ap{i}" for i in range(points))
    weights = forest.full(config, steps)
    return Checkpoint(config, scaling("minmax", points), weights, *names, steps, 0.2, "reset")


@pytest.mark.parametrize(("points", "steps"), [(5, LONG), (50, LONG), (5, 1), (300, 1)])
def test_float_integers_and_c_are_one(points: int, steps: int, tmp_path: Path) -> None:
    checkpoint = made(points, steps)
    graph = lower(checkpoint, signal(50, steps, points))
    assert to_bytes(lower(checkpoint, signal(50, steps, points), "int8")) == to_bytes(graph)
    assert to_bytes(from_bytes(to_bytes(graph))) == to_bytes(graph)
    fresh = np.concatenate([signal(60, steps, points, 1), any_bytes(30, steps, points)])
    scores = Reference(graph, check=True).run(fresh)
    assert np.array_equal(float_graph_of(checkpoint).run(fresh)[:, -1], scores[:, -1])
    assert np.array_equal(forest.votes(checkpoint.weights, forest.features(fresh), K), scores[:, -1])
    assert len(np.unique(scores[:, -1], axis=0)) > 20, "a test on constants would prove nothing"
    emit(graph, tmp_path / "c")
    assert build_host(tmp_path / "c", tmp_path / "host", sanitize=True).run(records(fresh)) == answers(scores)
    costs = attribution(float_graph_of(checkpoint), graph, fresh[:20])
    assert [cost.error for cost in costs] == [0.0] * len(graph.operators)
    assert bool(graph.windowed) == (steps > 1)


@pytest.mark.parametrize("steps", [LONG, 1])
@pytest.mark.parametrize("name", ["pip", "reference"])
def test_on_a_cortex_m4(name: str, steps: int, tmp_path: Path) -> None:
    if name not in [tier.name for tier in available_tiers()]:
        pytest.skip(f"the tier {name} is not complete on this computer")
    checkpoint = made(6, steps, 10, 64)
    graph = lower(checkpoint, signal(50, steps, 6))
    rssi = np.concatenate([signal(10, steps, 6, 2), any_bytes(10, steps, 6)])
    emit(graph, tmp_path / "c")
    tier = find_tier(name)
    firmware = tier.build(tmp_path / "c", find_board("cortex-m4"), tmp_path / "build", ram_bytes=8 * 1024)
    done = tier.run(firmware, records(rssi), count_records=steps)
    assert done.answers == answers(Reference(graph).run(rssi))
    # emlearn's ten trees take 11 KB: all 640 leaves, with start-up and harness, take less than 6
    assert firmware.flash_bytes < 6 * 1024
    assert firmware.static_ram_bytes + done.stack_bytes < 512
