"""A small network on a window's statistics: often the best that a few kilobytes can hold.

    x = (statistics - offset) * gain     [6 P], measured on the training windows
    logits = head(relu(hidden(x)))       6 P -> H -> K

The statistics are exact 16-bit numbers (`statistics.py`), so nothing is scaled before them: this family reads
the radio's own dBm, and an input scaling has no effect on it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from tinyloc.models.base import RoomModel
from tinyloc.models.config import StatnetConfig
from tinyloc.models.statistics import ALWAYS_HEARD, ONE_DB, window_statistics

SMALLEST_SPREAD_DB = 1.0
"""A statistic in dB that spreads less over the training windows is scaled as if it spread this much."""

SMALLEST_SPREAD_HEARD = 0.02
"""The same for the heard fraction, 0..1."""


class Statnet(RoomModel):
    """The whole model. Inputs are `window_statistics` as float32, outputs are logits."""

    offset: Tensor
    gain: Tensor

    def __init__(self, config: StatnetConfig, dropout: float = 0.0) -> None:
        super().__init__()
        self.config: StatnetConfig = config
        self.dropout = dropout
        self.register_buffer("offset", torch.zeros(config.features))
        self.register_buffer("gain", torch.ones(config.features))
        self.hidden = nn.Linear(config.features, config.hidden)
        self.head = nn.Linear(config.hidden, config.rooms)

    def forward(self, statistics: Tensor) -> Tensor:
        """`statistics` [B, 6 P] -> logits [B, 1, K], one answer for the window."""
        x = (statistics - self.offset) * self.gain  # [B, 6 P]
        x = functional.relu(self.hidden(x))  # [B, H]
        x = functional.dropout(x, self.dropout, self.training)
        logits: Tensor = self.head(x).unsqueeze(1)  # [B, 1, K]
        return logits

    def fit(self, rssi: npt.NDArray[np.int8]) -> None:
        """Measure `offset` and `gain` on training windows [W, T, P]: mean, and 1 / standard deviation.

        A statistic that never changes in training gets gain 0: no weight could be learned for it.
        """
        values = window_statistics(rssi).astype(np.float64)  # [W, 6 P]
        points = self.config.access_points
        least = np.full(len(values[0]), SMALLEST_SPREAD_DB * ONE_DB)
        least[4 * points : 5 * points] = SMALLEST_SPREAD_HEARD * ALWAYS_HEARD
        spread = values.std(axis=0)
        gain = np.where(spread > 0, 1 / np.maximum(spread, least), 0)
        self.offset.copy_(torch.from_numpy(values.mean(axis=0).astype(np.float32)))
        self.gain.copy_(torch.from_numpy(gain.astype(np.float32)))
