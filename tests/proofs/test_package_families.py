"""Every family as a package that listens without end: it builds, and each operator is Python's."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from builders import any_bytes, scaling, signal
from ensemble_models import together

from tinyloc.emit.package import write_package
from tinyloc.models import families, forest
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.models.config import (
    Config,
    ForestConfig,
    MambaConfig,
    MdcsaConfig,
    MlpConfig,
    StatnetConfig,
    TransformerConfig,
    reads_motion,
    reads_statistics,
)
from tinyloc.models.running import columns
from tinyloc.quant.answer_operators import Novelty
from tinyloc.quant.graph import Graph
from tinyloc.quant.lower import factor, lower
from tinyloc.quant.stream import streaming

P, K, T = 5, 4, 10
CONFIGS: dict[str, Config] = {
    "mamba": MambaConfig(P, K, hidden=8),
    "mamba-crf": MambaConfig(P, K, hidden=4, crf=True),
    "mamba-statistics": MambaConfig(P, K, hidden=4, statistics=True),
    "transformer": TransformerConfig(P, K, steps=T, hidden=8, heads=2),
    "mdcsa": MdcsaConfig(P, K, hidden=8, crf=True),
    "mdcsa-motion": MdcsaConfig(P, K, hidden=8, accelerometer=True),
    "statnet": StatnetConfig(P, K, hidden=8),
    "mlp": MlpConfig(P, K, hidden=8),
    "forest": ForestConfig(P, K, 5, 8),
}
TOGETHER: dict[str, list[Config]] = {
    "ensemble": [MambaConfig(P, K, hidden=4), StatnetConfig(P, K, hidden=8), ForestConfig(P, K, 5, 8)],
    "ensemble-mambas": [MambaConfig(P, K, hidden=4), MambaConfig(P, K, hidden=4)],
    "ensemble-windows": [
        TransformerConfig(P, K, steps=T, hidden=8, heads=2),
        MdcsaConfig(P, K, hidden=4),
        MlpConfig(P, K, hidden=8),
        ForestConfig(P, K, 5, 8),
    ],
}


def weights_of(config: Config) -> dict[str, np.ndarray]:
    """Random weights, or a forest split at random."""
    if isinstance(config, ForestConfig):
        return forest.full(config, T)
    torch.manual_seed(0)
    model = families.build(config)
    families.fit(model, signal(50, T, P))
    return model.weights()


def full(graph: Graph, hop: int | None) -> Graph:
    """The graph streaming, with all that an answer may hold."""
    centre = np.random.default_rng(0).integers(-95, -50, (K, P)).astype(np.int8)
    novelty = Novelty("novelty", "sample", "unknown", centre, -100, 3, 20 * P)
    return streaming(graph, hop, factor(graph.tensor(graph.output).scale * 65536, "chance"), novelty)


def model(name: str) -> Checkpoint:
    """A model with random weights, or several together."""
    if name in TOGETHER:
        return together(TOGETHER[name], T)
    config = CONFIGS[name]
    names = tuple(f"room{i}" for i in range(K)), tuple(f"ap{i}" for i in range(P))
    scaled = scaling("minmax", columns(P, reads_statistics(config)))
    return Checkpoint(config, scaled, weights_of(config), *names, T, 0.2, "reset", {})


@pytest.mark.slow
@pytest.mark.parametrize("name", [*CONFIGS, *TOGETHER])
def test_the_package_passes_its_own_test(name: str, tmp_path: Path) -> None:
    checkpoint = model(name)
    rssi = np.concatenate([signal(30, T, P), any_bytes(2, T, P)])
    if reads_motion(checkpoint.config):
        moved = np.random.default_rng(1).integers(-60, 61, (*rssi.shape[:2], 3)).astype(np.int8)
        rssi = np.concatenate([rssi, moved], axis=2)
    graph = lower(checkpoint, rssi[:30])
    for hop in (None, 1, 3) if graph.slides else (None,):
        folder = tmp_path / f"hop{hop}"
        write_package(full(graph, hop), "c", folder, rssi.reshape(-1, rssi.shape[2])[-3 * T :])
        flags = "CFLAGS=-O1 -Wall -Wextra -Wconversion -Wshadow -Werror"
        made = ["make", "-s", "test", flags]
        done = subprocess.run(made, cwd=folder, capture_output=True, text=True, check=False)
        assert done.stdout == "tinyloc: pass\n", done.stderr
