"""Mamba in the form of the paper: which room, from a stretch of signal strength, in about 1,500 weights.

Gu and Dao, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces", arXiv 2312.00752, in the
arrangement of Suwannaphong et al., arXiv 2412.09289: Linear(P, H) with bias, L times x + block(RMSNorm(x)),
Linear(H, K) without bias, no final norm.

    B  batch                P  access points        K  rooms
    T  steps of a window    H  model width          E  inner width, expand * H
    N  state size           R  rank of the step size, ceil(H / 16)
    L  layers               W  taps of the causal convolution

The same weights run in two ways that agree to 1e-5: `forward` over a whole window, and `step`, one sample
after another with the state handed in and out, which is what the microcontroller does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from tinyloc.models.base import RoomModel
from tinyloc.models.config import MambaConfig, parameters, parameters_paper
from tinyloc.models.crf import Crf
from tinyloc.models.running import columns
from tinyloc.models.scan import scan_step, selective_scan

__all__ = ["LayerState", "Mamba", "MambaConfig", "RMSNorm", "State", "parameters", "parameters_paper"]

NORM_EPSILON = 1e-5


class LayerState(NamedTuple):
    """What one layer remembers: `conv` [B, E, W - 1] its last inputs, newest last; `h` [B, E, N]."""

    conv: Tensor
    h: Tensor


State = tuple[LayerState, ...]


class RMSNorm(nn.Module):
    """x / sqrt(mean(x^2) + 1e-5) * weight, over the last axis [..., H]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """[..., H] -> [..., H]."""
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + NORM_EPSILON) * self.weight


class CausalConv(nn.Module):
    """One filter of W taps per channel over the past; the last column weighs the newest sample."""

    def __init__(self, channels: int, taps: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(taps)
        self.weight = nn.Parameter(torch.empty(channels, taps).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(channels).uniform_(-bound, bound))


class Block(nn.Module):
    """One layer: x + block(RMSNorm(x)) (arXiv 2312.00752, figure 3 and algorithm 2)."""

    def __init__(self, config: MambaConfig) -> None:
        super().__init__()
        H, E, N, R = config.hidden, config.inner, config.state, config.rank
        self.split = [R, N, N]
        self.norm = RMSNorm(H)
        self.in_proj = nn.Linear(H, 2 * E, bias=False)
        self.conv = CausalConv(E, config.conv)
        self.x_proj = nn.Linear(E, R + 2 * N, bias=False)
        self.dt_proj = nn.Linear(R, E)
        self.A_log = nn.Parameter(torch.arange(1, N + 1, dtype=torch.float32).log().repeat(E, 1))
        self.D = nn.Parameter(torch.ones(E))
        self.out_proj = nn.Linear(E, H, bias=False)
        with torch.no_grad():  # softplus(bias) is log-uniform in 0.001..0.1, as in the authors' code
            self.dt_proj.weight.uniform_(-(R**-0.5), R**-0.5)
            dt = torch.exp(torch.empty(E).uniform_(math.log(1e-3), math.log(1e-1)))
            self.dt_proj.bias.copy_(dt + torch.log(-torch.expm1(-dt)))

    def forward(self, x: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
        """`x` [B, T, H] -> [B, T, H] and the state after the last step."""
        taps = self.conv.weight.shape[1]
        u, z = self.in_proj(self.norm(x)).chunk(2, -1)  # [B, T, E] each
        u = torch.cat([state.conv, u.transpose(1, 2)], -1)  # [B, E, W - 1 + T]
        past = u[..., u.shape[-1] - taps + 1 :]  # [B, E, W - 1]
        u = functional.conv1d(
            u, self.conv.weight.unsqueeze(1), self.conv.bias, groups=u.shape[1]
        )  # [B, E, T]
        u = functional.silu(u.transpose(1, 2))  # [B, T, E]
        rank, B, C = self.x_proj(u).split(self.split, -1)  # [B, T, R], [B, T, N], [B, T, N]
        dt = functional.softplus(self.dt_proj(rank))  # [B, T, E]
        y, h = selective_scan(u, dt, -torch.exp(self.A_log), B, C, self.D, state.h)
        return x + self.out_proj(y * functional.silu(z)), LayerState(past, h)

    def step(self, x: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
        """`x` [B, H] -> [B, H] and the state after it."""
        u, z = self.in_proj(self.norm(x)).chunk(2, -1)  # [B, E] each
        window = torch.cat([state.conv, u.unsqueeze(-1)], -1)  # [B, E, W]
        u = functional.silu((window * self.conv.weight).sum(-1) + self.conv.bias)  # [B, E]
        rank, B, C = self.x_proj(u).split(self.split, -1)  # [B, R], [B, N], [B, N]
        dt = functional.softplus(self.dt_proj(rank))  # [B, E]
        y, h = scan_step(u, dt, -torch.exp(self.A_log), B, C, self.D, state.h)
        return x + self.out_proj(y * functional.silu(z)), LayerState(window[..., 1:], h)


class Mamba(RoomModel):
    """The whole model. Inputs are scaled signals (`InputScaling.apply`), outputs are logits."""

    def __init__(self, config: MambaConfig) -> None:
        super().__init__()
        self.config: MambaConfig = config
        self.embed = nn.Linear(columns(config.access_points, config.statistics), config.hidden)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.head = nn.Linear(config.hidden, config.rooms, bias=False)
        self.crf = Crf(config.rooms) if config.crf else None

    def initial_state(self, batch: int) -> State:
        """All zeros: what a window that is reset, or a session, starts from."""
        E, W, N = self.config.inner, self.config.conv, self.config.state
        new = self.head.weight.new_zeros
        return tuple(LayerState(new(batch, E, W - 1), new(batch, E, N)) for _ in self.layers)

    def forward(self, x: Tensor) -> Tensor:
        """`x` [B, T, P] -> logits [B, T, K], each window from a zero state."""
        return self.run(x, self.initial_state(len(x)))[0]

    def run(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """`x` [B, T, P] from `state` -> logits [B, T, K] and the state after the last step."""
        x = self.embed(x)  # [B, T, H]
        after = []
        for layer, before in zip(self.layers, state, strict=True):
            x, left = layer(x, before)
            after.append(left)
        return self.head(x), tuple(after)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """One sample: `x` [B, P] -> logits [B, K] and the state after it."""
        x = self.embed(x)  # [B, H]
        after = []
        for layer, before in zip(self.layers, state, strict=True):
            assert isinstance(layer, Block)
            x, left = layer.step(x, before)
            after.append(left)
        return self.head(x), tuple(after)

    @classmethod
    def from_weights(cls, config: MambaConfig, weights: Mapping[str, npt.NDArray[np.float32]]) -> Mamba:
        """The model with these weights (a `Checkpoint` has checked names and shapes), ready for inference."""
        model = cls(config)
        model.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in weights.items()})
        return model.eval()
