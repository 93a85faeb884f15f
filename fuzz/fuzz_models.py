"""The models that are fuzzed: every family, small, with weights from a seed; some listen without end."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch

from tinyloc.models import families
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.models.config import (
    Config,
    MambaConfig,
    MdcsaConfig,
    MlpConfig,
    StatnetConfig,
    TransformerConfig,
)
from tinyloc.models.scaling import InputScaling
from tinyloc.quant.graph import Graph
from tinyloc.quant.lower import Precision, lower
from tinyloc.quant.stream import streaming

POINTS, ROOMS, STEPS = 3, 3, 6
SHAPES: Final[dict[str, tuple[Config, Precision]]] = {
    "mamba": (MambaConfig(POINTS, ROOMS, hidden=4, state=4), "int16"),
    "mamba-int8": (MambaConfig(POINTS, ROOMS, hidden=4, state=4), "int8"),
    "mamba-crf": (MambaConfig(POINTS, ROOMS, hidden=4, state=4, crf=True), "int16"),
    "transformer": (TransformerConfig(POINTS, ROOMS, steps=STEPS, hidden=8, heads=2), "int16"),
    "mdcsa": (MdcsaConfig(POINTS, ROOMS, hidden=4, crf=True, accelerometer=True), "int16"),
    "statnet": (StatnetConfig(POINTS, ROOMS, hidden=8), "int16"),
    "mlp": (MlpConfig(POINTS, ROOMS, hidden=8), "int16"),
}


def checkpoint(config: Config, seed: int = 0) -> Checkpoint:
    """Weights as training starts from."""
    torch.manual_seed(seed)
    model = families.build(config)
    families.fit(model, calibration(config)[..., :POINTS])
    table = np.arange(-128, 128, dtype=np.float32)
    table[0] = -120
    scaling = InputScaling(
        "minmax", table, np.full(POINTS, -120, np.float32), np.full(POINTS, 1 / 90, np.float32)
    )
    rooms = tuple(f"room {i}" for i in range(ROOMS))
    points = tuple(f"ap {i}" for i in range(POINTS))
    return Checkpoint(config, scaling, model.weights(), rooms, points, STEPS, 0.2, "reset")


def calibration(config: Config) -> np.ndarray:
    """[W, T, S] int8: walks of dBm, and an accelerometer's three where the model reads one."""
    rng = np.random.default_rng(1)
    rssi = np.clip(np.rint(rng.normal(-70, 12, (100, STEPS, POINTS))), -110, -30).astype(np.int8)
    rssi[rng.random(rssi.shape) < 0.1] = -128
    if not getattr(config, "accelerometer", False):
        return rssi
    return np.concatenate([rssi, rng.integers(-40, 41, (100, STEPS, 3), dtype=np.int8)], axis=2)


def graphs() -> dict[str, Graph]:
    """Every model as integers, by name; some listen without end, with probabilities."""
    found = {
        name: lower(checkpoint(config), calibration(config), precision)
        for name, (config, precision) in SHAPES.items()
    }
    for name, hop in (("transformer", 1), ("mdcsa", 4), ("statnet", 2)):
        found[f"{name}-streams"] = streaming(found[name], hop, probability=(20_000, 14))
    return found
