"""A small network on single samples: what Wi-Fi fingerprints want, and the least that a device can run.

    P  access points     K  rooms     H  width     L  layers

    each step:      x = relu(norm(embed(signal)))          P -> H
    L - 1 times:    x = relu(norm(linear(x)))              H -> H
    then            logits = head(mean over T of x)        H -> K

The norm is LayerNorm (arXiv 1607.06450), epsilon 1e-5: how loud a place is heard altogether says little of
where it is. A window of one step has no mean.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from tinyloc.models.base import RoomModel
from tinyloc.models.config import MlpConfig
from tinyloc.models.running import columns


class Layer(nn.Module):
    """H -> H with a norm, as the embedding."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, H] -> [B, T, H]."""
        return functional.relu(self.norm(self.linear(x)))


class Mlp(RoomModel):
    """The whole model. Inputs are scaled signals (`InputScaling.apply`), outputs are logits."""

    def __init__(self, config: MlpConfig, dropout: float = 0.0) -> None:
        super().__init__()
        self.config: MlpConfig = config
        self.dropout = dropout
        self.embed = nn.Linear(columns(config.access_points, config.statistics), config.hidden)
        self.norm = nn.LayerNorm(config.hidden)
        self.layers = nn.ModuleList(Layer(config.hidden) for _ in range(config.layers - 1))
        self.head = nn.Linear(config.hidden, config.rooms)

    def forward(self, x: Tensor) -> Tensor:
        """`x` [B, T, P] -> logits [B, 1, K], one answer for the window."""
        x = self._drop(functional.relu(self.norm(self.embed(x))))  # [B, T, H]
        for layer in self.layers:
            x = self._drop(layer(x))
        logits: Tensor = self.head(x.mean(1, keepdim=True))  # [B, 1, K]
        return logits

    def _drop(self, x: Tensor) -> Tensor:
        return functional.dropout(x, self.dropout, self.training)
