"""A plain transformer encoder with the norm before each part, and the mean over time.

Vaswani et al., "Attention is all you need", arXiv 1706.03762; norm first: Xiong et al., arXiv 2002.04745.

    B  batch     T  steps     P  access points     K  rooms
    H  width     A  heads     D  width of a head, H / A     F  inner width of the feed-forward part

    x = embed(signal) + position
    L times:  x = x + out(attention(norm1(x)));  x = x + ff2(relu(ff1(norm2(x))))
    logits = head(mean over T of norm(x))

Attention sees the whole window, so there is no form that runs sample by sample.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from tinyloc.models.base import RoomModel
from tinyloc.models.config import TransformerConfig
from tinyloc.models.running import columns


class EncoderLayer(nn.Module):
    """Attention, then two linear layers, each behind a norm and beside the identity. Epsilon 1e-5."""

    def __init__(self, config: TransformerConfig, dropout: float) -> None:
        super().__init__()
        H, F = config.hidden, config.feedforward
        self.heads, self.dropout = config.heads, dropout
        self.norm1 = nn.LayerNorm(H)
        self.q = nn.Linear(H, H)
        self.k = nn.Linear(H, H)
        self.v = nn.Linear(H, H)
        self.out = nn.Linear(H, H)
        self.norm2 = nn.LayerNorm(H)
        self.ff1 = nn.Linear(H, F)
        self.ff2 = nn.Linear(F, H)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, H] -> [B, T, H]."""
        x = x + self._drop(self.out(self.attend(self.norm1(x))))
        return x + self._drop(self.ff2(functional.relu(self.ff1(self.norm2(x)))))

    def attend(self, x: Tensor) -> Tensor:
        """softmax(q k' / sqrt(D)) v for each head, the heads side by side: [B, T, H] -> [B, T, H]."""
        q, k, v = (self._split(part(x)) for part in (self.q, self.k, self.v))  # [B, A, T, D] each
        scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])  # [B, A, T, T]
        attended: Tensor = scores.softmax(-1) @ v  # [B, A, T, D]
        return attended.transpose(1, 2).flatten(2)

    def _split(self, x: Tensor) -> Tensor:
        """[B, T, H] -> [B, A, T, D]: head a has the columns a D .. (a + 1) D."""
        batch, steps, width = x.shape
        return x.view(batch, steps, self.heads, width // self.heads).transpose(1, 2)

    def _drop(self, x: Tensor) -> Tensor:
        return functional.dropout(x, self.dropout, self.training)


class Transformer(RoomModel):
    """The whole model. Inputs are scaled signals (`InputScaling.apply`), outputs are logits."""

    def __init__(self, config: TransformerConfig, dropout: float = 0.0) -> None:
        super().__init__()
        self.config: TransformerConfig = config
        self.embed = nn.Linear(columns(config.access_points, config.statistics), config.hidden)
        self.position = nn.Parameter(0.02 * torch.randn(config.steps, config.hidden))
        self.layers = nn.ModuleList(EncoderLayer(config, dropout) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.hidden)
        self.head = nn.Linear(config.hidden, config.rooms)

    def forward(self, x: Tensor) -> Tensor:
        """`x` [B, T, P], T as in the config -> logits [B, 1, K], one answer for the window."""
        x = self.embed(x) + self.position  # [B, T, H]
        for layer in self.layers:
            x = layer(x)
        logits: Tensor = self.head(self.norm(x).mean(1, keepdim=True))  # [B, 1, K]
        return logits
