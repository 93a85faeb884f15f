"""The selective scan, the heart of Mamba (arXiv 2312.00752, equations 2 and 4, discretised as in its code).

Letters as in `mamba.py`: B batch, T steps, E inner width, N state size.

    h_t = exp(dt_t A) h_{t-1} + dt_t B_t x_t
    y_t = C_t h_t + D x_t

A loop over time that indexes `x[:, t]` is quadratic in T: the backward pass of every index writes a tensor of
the full length. Here the inputs are unbound once and everything is computed inside the step, so nothing of
size [B, T, E, N] is ever made. `bench/scan.py` measures both.
"""

from __future__ import annotations

import torch
from torch import Tensor


def scan_step(
    x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, h: Tensor
) -> tuple[Tensor, Tensor]:
    """One step. `x`, `dt` [B, E]; `A` [E, N] negative; `B`, `C` [B, N]; `D` [E]; `h` [B, E, N].

    Returns y [B, E] and the new h [B, E, N].
    """
    h = torch.exp(dt.unsqueeze(-1) * A) * h + (dt * x).unsqueeze(-1) * B.unsqueeze(1)  # [B, E, N]
    y = torch.matmul(h, C.unsqueeze(-1)).squeeze(-1) + D * x  # [B, E]
    return y, h


def selective_scan(
    x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, h: Tensor
) -> tuple[Tensor, Tensor]:
    """All steps. `x`, `dt` [B, T, E]; `A` [E, N]; `B`, `C` [B, T, N]; `D` [E]; `h` [B, E, N] to start from.

    Returns y [B, T, E] and the last h [B, E, N].
    """
    outputs = []
    for x_t, dt_t, B_t, C_t in zip(x.unbind(1), dt.unbind(1), B.unbind(1), C.unbind(1), strict=True):
        y_t, h = scan_step(x_t, dt_t, A, B_t, C_t, D, h)
        outputs.append(y_t)
    return torch.stack(outputs, 1), h
