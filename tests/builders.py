"""Small models and signals for tests: made from a seed, quick, and the same on every machine."""

from __future__ import annotations

import numpy as np
import torch

from tinyloc.errors import QuantisationError
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.models.config import MambaConfig
from tinyloc.models.mamba import Mamba
from tinyloc.models.scaling import InputScaling
from tinyloc.quant.graph import Graph
from tinyloc.quant.lower import lower

ROOMS = ("bath", "bed", "hall", "kitchen", "living", "office", "porch", "stairs", "study")


def signal(windows: int, steps: int, points: int, seed: int = 0) -> np.ndarray:
    """Walks of dBm [W, T, P] int8 with one sample in ten not heard."""
    rng = np.random.default_rng(seed)
    level = rng.normal(0, 8, (windows, 1, points))
    walk = -75 + level + np.cumsum(rng.normal(0, 2, (windows, steps, points)), axis=1)
    rssi = np.rint(np.clip(walk, -110, -30)).astype(np.int8)
    rssi[rng.random(rssi.shape) < 0.1] = -128
    return rssi


def any_bytes(windows: int, steps: int, points: int, seed: int = 0) -> np.ndarray:
    """Every int8 value, the extremes often: what no radio sends but a fault may."""
    rng = np.random.default_rng(seed)
    rssi = rng.integers(-128, 128, (windows, steps, points), dtype=np.int8)
    extreme = rng.random(rssi.shape) < 0.3
    rssi[extreme] = rng.choice(np.array([-128, -127, 127, 0], np.int8), int(extreme.sum()))
    return rssi


def scaling(kind: str, points: int, seed: int = 0) -> InputScaling:
    """An input scaling of each kind, not fitted to anything."""
    rng = np.random.default_rng(seed)
    table = np.arange(-128, 128).astype(np.float32)
    table[0] = -120
    if kind == "power":
        table = np.clip((table + 104) / 104, 0, None).astype(np.float32) ** np.float32(np.e)
        return InputScaling(kind, table, np.zeros(points, np.float32), np.ones(points, np.float32))
    offset = (
        np.full(points, -120, np.float32) if kind == "minmax" else rng.normal(-75, 5, points).astype("f4")
    )
    gain = (
        np.full(points, 1 / 90, np.float32)
        if kind == "minmax"
        else rng.uniform(0.08, 0.3, points).astype("f4")
    )
    return InputScaling(kind, table, offset, gain)


def mamba(
    hidden: int = 8,
    layers: int = 1,
    points: int = 6,
    rooms: int = 4,
    *,
    seed: int = 0,
    kind: str = "minmax",
    state: str = "reset",
    wild: float = 1.0,
) -> tuple[Mamba, Checkpoint]:
    """A Mamba with random weights and its checkpoint; `wild` > 1 spreads the weights wider than training."""
    torch.manual_seed(seed)
    config = MambaConfig(access_points=points, rooms=rooms, hidden=hidden, layers=layers)
    model = Mamba(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if not name.endswith(("A_log", "D", "dt_proj.bias")):
                weight.mul_(wild)
    names = tuple(ROOMS[i % 9] + (f"-{i // 9}" if i >= 9 else "") for i in range(rooms))
    checkpoint = Checkpoint(
        config,
        scaling(kind, points, seed),
        model.weights(),
        names,
        tuple(f"ap{i}" for i in range(points)),
        20,
        0.2,
        state,  # type: ignore[arg-type]
        {},
    )
    return model, checkpoint


def lowered_or_refused(checkpoint: Checkpoint, rssi: np.ndarray, precision: str) -> Graph | None:
    """The integer graph, or None where weights beyond all training make a step that no table holds."""
    try:
        return lower(checkpoint, rssi, precision)  # type: ignore[arg-type]
    except QuantisationError as error:
        if "step size times its decay is too large" not in str(error):
            raise
        return None


def records(rssi: np.ndarray) -> bytes:
    """Windows [W, T, P] as the harness reads them: before each sample a flag, 1 where a window starts."""
    flags = np.zeros((*rssi.shape[:2], 1), np.int8)
    flags[:, 0] = 1
    return np.concatenate([flags, rssi], axis=2).tobytes()
