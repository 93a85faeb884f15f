"""Ensembles with random weights for tests: made from a seed, quick, and the same on every machine."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from builders import scaling, signal

from tinyloc.models import ensemble, families, forest
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.models.config import Config, ForestConfig, reads_statistics
from tinyloc.models.running import columns

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
