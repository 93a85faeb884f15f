"""Ensembles with random weights for tests: made from a seed, quick, and the same on every machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from builders import any_bytes, records, scaling, signal

from tinyloc.device.boards import find_board
from tinyloc.device.host import build_host
from tinyloc.device.tiers import available_tiers, find_tier
from tinyloc.emit import emit
from tinyloc.models import ensemble, families, forest
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.models.config import (
    Config,
    ForestConfig,
    MambaConfig,
    MdcsaConfig,
    MlpConfig,
    StatnetConfig,
    TransformerConfig,
    reads_statistics,
)
from tinyloc.models.running import columns
from tinyloc.quant.lower import lower
from tinyloc.quant.reference import Reference, answers

KINDS = ("minmax", "zscore", "power")


def member(config: Config, steps: int, kind: str = "zscore", seed: int = 0) -> Checkpoint:
    """A model of any family but this one, for windows of so many steps."""
    P = config.access_points
    if isinstance(config, ForestConfig):
        weights = forest.full(config, steps, seed)
    else:
        torch.manual_seed(seed)
        model = families.build(config)
        families.fit(model, signal(50, steps, P, seed))
        weights = model.weights()
    names = tuple(f"room{i}" for i in range(config.rooms)), tuple(f"ap{i}" for i in range(P))
    scaled = scaling(kind, columns(P, reads_statistics(config)), seed)
    seconds = 0.2 * (steps > 1)
    return Checkpoint(config, scaled, weights, *names, steps, seconds, "reset", {"seed": seed})


def together(
    configs: Sequence[Config], steps: int, shares: Sequence[float] = (), kinds: Sequence[str] = KINDS
) -> Checkpoint:
    """An ensemble of such models, each of another seed and, in turn, of another scaling."""
    members = [member(one, steps, kinds[i % len(kinds)], i) for i, one in enumerate(configs)]
    weights = np.array(shares or [1 + i / 4 for i in range(len(members))], np.float32)
    return ensemble.joined(members, weights, scaling("minmax", members[0].config.access_points), {"seed": 9})


P, K, T = 5, 4, 12
FOREST = ForestConfig(P, K, 10, 16)
MIXES: dict[str, tuple[int, list[Config]]] = {
    "mixed": (T, [MambaConfig(P, K, 8), StatnetConfig(P, K, 16), FOREST]),
    "wide": (T, [StatnetConfig(P, K, 40), MambaConfig(P, K, 24), FOREST]),
    "forest-first": (T, [FOREST, MambaConfig(P, K, 4), FOREST]),
    "mambas": (T, [MambaConfig(P, K, 8), MambaConfig(P, K, 4, layers=2)]),
    "whole": (T, [TransformerConfig(P, K, T, 16, heads=2), MdcsaConfig(P, K, 8), MlpConfig(P, K, 16)]),
    "said": (
        T,
        [
            MambaConfig(P, K, 8, statistics=True),
            MlpConfig(P, K, 8, statistics=True),
            StatnetConfig(P, K, 8),
            MlpConfig(P, K, 8),
        ],
    ),
    "forests": (T, [FOREST, ForestConfig(P, K, 5, 8)]),
    "single": (1, [MlpConfig(P, K, 16), MambaConfig(P, K, 8), FOREST]),
    "mlps": (1, [MlpConfig(P, K, 16), MlpConfig(P, K, 16)]),
    "single-forests": (1, [FOREST, ForestConfig(P, K, 5, 8)]),
}


def made(name: str) -> tuple[int, Checkpoint]:
    """Steps of a window, and the ensemble."""
    steps, configs = MIXES[name]
    return steps, together(configs, steps)


def c_is_the_same(name: str, precision: str, folder: Path, weight_bits: int = 8) -> None:
    """The C of a mix on this computer, under both sanitizers, is the reference, to the byte."""
    steps, checkpoint = made(name)
    graph = lower(checkpoint, signal(200, steps, P), precision, weight_bits)  # type: ignore[arg-type]
    fresh = np.concatenate([signal(100, steps, P, 1), any_bytes(30, steps, P)])
    emit(graph, folder / "c")
    wanted = answers(Reference(graph).run(fresh))
    assert build_host(folder / "c", folder / "host", sanitize=True).run(records(fresh)) == wanted


def on_a_cortex_m4(tier: str, name: str, folder: Path) -> None:
    """The same on the chip."""
    if tier not in [one.name for one in available_tiers()]:
        pytest.skip(f"the tier {tier} is not complete on this computer")
    steps, checkpoint = made(name)
    graph = lower(checkpoint, signal(100, steps, P))
    rssi = np.concatenate([signal(10, steps, P, 2), any_bytes(10, steps, P)])
    emit(graph, folder / "c")
    chip, board = find_tier(tier), find_board("cortex-m4")
    firmware = chip.build(folder / "c", board, folder / "build", ram_bytes=32 * 1024)
    run = chip.run(firmware, records(rssi), count_records=steps)
    assert run.answers == answers(Reference(graph).run(rssi))
