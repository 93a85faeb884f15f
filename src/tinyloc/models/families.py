"""Every family of networks behind one door: build one, put weights in, give it what it reads.

The weights by name, as they stand in a checkpoint. P access points (3 P numbers a step with running
statistics: `running.py`), K rooms, H width, T steps; float32;
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

mdcsa (for each kernel of k taps a block j; a convolution's weight is [out, in, k], its last tap the newest)
    embed.weight [H, P], embed.bias [H]; then times sqrt(H), plus `sinusoid.positions(T, H)`
    for block j, under `blocks.j.`:
        query, key: .weight [H, H, k], .bias [H]; causal, then tanh; the scores are divided by sqrt(H)
        norm1.{weight, bias}
        grn.expand.weight [4 H, H], .bias [4 H]; ELU; grn.mix.weight [4 H, 4 H], .bias [4 H];
        grn.gate.weight [2 H, 4 H], .bias [2 H]: first half times sigmoid of the second half;
        grn.norm.{weight, bias}
        with the accelerometer also motion_query, motion_key, motion_norm, grn.context.weight [4 H, H]
    join.weight [H, H, 3], join.bias [H]: stride L (L3: three tokens a step; L1: causal); norm.{weight, bias}
    head.weight [K, H], head.bias [K]; with the accelerometer also embed_motion.weight [H, 3], .bias [H]
        (of g in steps of 1/32: `motion.py`)

statnet
    offset [6 P], gain [6 P]: (statistics - offset) * gain, measured, not learned
    hidden.weight [H, 6 P], hidden.bias [H], ReLU, head.weight [K, H], head.bias [K]

mlp (L layers)
    embed.weight [H, P], embed.bias [H], norm.{weight, bias}, ReLU
    for layer i of the L - 1 others, under `layers.i.`:
        linear.weight [H, H], linear.bias [H], norm.{weight, bias}, ReLU
    the mean over T, then head.weight [K, H], head.bias [K]

forest (no network: `forest.py` runs it; whole numbers, kept as float32)
    feature, threshold, left [N], inner [trees], room [N + trees]

ensemble (no network of its own: `ensemble.py` adds its members' scores)
    shares [members]; for member i, under `members.i.`: its own weights, scaling.{table, offset, gain}

with a CRF (mamba, mdcsa)
    crf.transitions [K, K] from, to; crf.start [K]; crf.end [K]
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch

from tinyloc.errors import UsageError
from tinyloc.models.base import RoomModel
from tinyloc.models.config import (
    Config,
    EnsembleConfig,
    ForestConfig,
    MdcsaConfig,
    MlpConfig,
    StatnetConfig,
    TransformerConfig,
    no_network,
    reads_motion,
    reads_statistics,
)
from tinyloc.models.mamba import Mamba
from tinyloc.models.mdcsa import Mdcsa
from tinyloc.models.mlp import Mlp
from tinyloc.models.motion import as_heard
from tinyloc.models.running import running_statistics
from tinyloc.models.scaling import InputScaling
from tinyloc.models.statistics import window_statistics
from tinyloc.models.statnet import Statnet
from tinyloc.models.transformer import Transformer


def build(config: Config, dropout: float = 0.0) -> RoomModel:
    """A new model with weights drawn from torch's generator, and `dropout` 0 .. 1 while it trains.

    Raises UsageError where dropout is asked of a family that has none, and for a forest.
    """
    if isinstance(config, ForestConfig | EnsembleConfig):
        raise no_network(config.family, "it has no gradient, no compressed form and nothing to teach with")
    if isinstance(config, MdcsaConfig):
        return Mdcsa(config, dropout)
    if isinstance(config, TransformerConfig):
        return Transformer(config, dropout)
    if isinstance(config, StatnetConfig):
        return Statnet(config, dropout)
    if isinstance(config, MlpConfig):
        return Mlp(config, dropout)
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
    config: Config,
    scaling: InputScaling,
    rssi: npt.NDArray[np.int8],
    acceleration: npt.NDArray[np.float32] | None = None,
) -> tuple[npt.NDArray[np.float32], ...]:
    """What a model of that shape is called on, for `rssi` [B, T, P] int8 dBm: the scaled signals [B, T, P],
    [B, T, 3 P] with running statistics, or the statistics [B, 6 P] for a family that reads a whole window's;
    for a model with an accelerometer also the `acceleration` [B, T, 3] in g, rounded as the device reads it.
    Raises UsageError where that is missing, or T is not the model's.
    """
    if reads_statistics(config):
        rssi = running_statistics(rssi)
    if reads_motion(config):
        if acceleration is None:
            raise UsageError("this model reads an accelerometer, and the recording has none")
        return (scaling.apply(rssi), as_heard(acceleration))
    if isinstance(config, StatnetConfig):
        return (window_statistics(rssi).astype(np.float32),)
    if isinstance(config, TransformerConfig) and rssi.shape[1] != config.steps:
        raise UsageError(
            f"a transformer of {config.steps} steps cannot answer windows of {rssi.shape[1]} steps"
        )
    return (scaling.apply(rssi),)
