"""Every family of models behind one door: build one, put weights in, give it what it reads.

The weights by name, as they stand in a checkpoint. P access points, K rooms, H width, T steps; float32;
`weight` of a linear layer is [out, in]; norms have `weight` and `bias` [H] and epsilon 1e-5.

mamba
    `ARCHITECTURE.md` has the table.

transformer (T steps, F feed-forward)
    embed.weight [H, P], embed.bias [H], position [T, H]
    for layer i, under `layers.i.`:
        norm1.{weight, bias}
        q, k, v, out: .weight [H, H], .bias [H]; head a of A has the rows a H/A .. (a + 1) H/A of q, k, v
            (the scores are divided by sqrt(H/A); `k.bias` moves all scores of a row alike: no effect)
        norm2.{weight, bias}, ff1.weight [F, H], ff1.bias [F], ff2.weight [H, F], ff2.bias [H]
    norm.{weight, bias}, then the mean over T, then head.weight [K, H], head.bias [K]

statnet
    offset [6 P], gain [6 P]: (statistics - offset) * gain, measured, not learned
    hidden.weight [H, 6 P], hidden.bias [H], ReLU, head.weight [K, H], head.bias [K]
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch

from tinyloc.errors import UsageError
from tinyloc.models.base import RoomModel
from tinyloc.models.config import Config, StatnetConfig, TransformerConfig
from tinyloc.models.mamba import Mamba
from tinyloc.models.scaling import InputScaling
from tinyloc.models.statistics import window_statistics
from tinyloc.models.statnet import Statnet
from tinyloc.models.transformer import Transformer


def build(config: Config, dropout: float = 0.0) -> RoomModel:
    """A new model with weights drawn from torch's generator, and `dropout` 0 .. 1 while it trains.

    Raises UsageError where dropout is asked of a family that has none.
    """
    if isinstance(config, TransformerConfig):
        return Transformer(config, dropout)
    if isinstance(config, StatnetConfig):
        return Statnet(config, dropout)
    if dropout:
        raise UsageError("Mamba has no dropout")
    return Mamba(config)


def from_weights(config: Config, weights: Mapping[str, npt.NDArray[np.float32]]) -> RoomModel:
    """The model with these weights (a `Checkpoint` has checked names and shapes), ready for inference."""
    model = build(config)
    model.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in weights.items()})
    return model.eval()


def fit(model: RoomModel, rssi: npt.NDArray[np.int8]) -> None:
    """Measure on training windows [W, T, P] what a model measures instead of learning."""
    if isinstance(model, Statnet):
        model.fit(rssi)


def inputs(
    config: Config, scaling: InputScaling, rssi: npt.NDArray[np.int8]
) -> tuple[npt.NDArray[np.float32], ...]:
    """What a model of that shape is called on, for `rssi` [B, T, P] int8 dBm: the scaled signals [B, T, P],
    or the statistics [B, 6 P] for a family that reads those.
    """
    if isinstance(config, StatnetConfig):
        return (window_statistics(rssi).astype(np.float32),)
    if isinstance(config, TransformerConfig) and rssi.shape[1] != config.steps:
        raise UsageError(
            f"a transformer of {config.steps} steps cannot answer windows of {rssi.shape[1]} steps"
        )
    return (scaling.apply(rssi),)
