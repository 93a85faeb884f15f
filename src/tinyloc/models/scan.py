"""The selective scan, the heart of Mamba (arXiv 2312.00752, equations 2 and 4, discretised as in its code).

Letters as in `mamba.py`: B batch, T steps, E inner width, N state size.

    h_t = exp(dt_t A) h_{t-1} + dt_t B_t x_t
    y_t = C_t h_t + D x_t

A loop over time that indexes `x[:, t]` is quadratic in T: the backward pass of every index writes a tensor of
the full length. Here the inputs are unbound once and everything is computed inside the step. `selective_scan`
is that loop; when gradients are wanted it runs as `_Scan`, the same loop with the reverse pass written by
hand, which halves the time of the automatic one. `bench/scan.py` measures it.
"""

from __future__ import annotations

from typing import Any

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


def plain_scan(
    x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, h: Tensor
) -> tuple[Tensor, Tensor]:
    """All steps, gradients left to autograd: shapes as `selective_scan`."""
    outputs = []
    for x_t, dt_t, B_t, C_t in zip(x.unbind(1), dt.unbind(1), B.unbind(1), C.unbind(1), strict=True):
        y_t, h = scan_step(x_t, dt_t, A, B_t, C_t, D, h)
        outputs.append(y_t)
    return torch.stack(outputs, 1), h


def selective_scan(
    x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, h: Tensor
) -> tuple[Tensor, Tensor]:
    """All steps. `x`, `dt` [B, T, E]; `A` [E, N]; `B`, `C` [B, T, N]; `D` [E]; `h` [B, E, N] to start from.

    Returns y [B, T, E] and the last h [B, E, N]. Gradients flow to every argument, once.
    """
    if not torch.is_grad_enabled():
        return plain_scan(x, dt, A, B, C, D, h)
    y, last = _Scan.apply(dt * x, dt, A, B, C, h)  # type: ignore[no-untyped-call]
    return y + D * x, last


class _Scan(torch.autograd.Function):
    """h_t = exp(dt_t A) h_{t-1} + u_t B_t; y_t = C_t h_t, with its reverse pass.

    Inside, the batch is the last axis: u, dt, y [T, E, B]; B, C [T, N, 1, B]; A, h [N, E, B]. So
    every product runs over long rows and the sum over N adds whole rows.
    """

    @staticmethod
    def forward(
        ctx: Any, u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, h: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Keeps every h for the way back, T N E B numbers; the decays are cheaper to compute again."""
        u, dt = (value.permute(1, 2, 0).contiguous() for value in (u, dt))
        B, C = (value.permute(1, 2, 0).contiguous().unsqueeze(2) for value in (B, C))
        A = A.t().unsqueeze(-1).expand(-1, -1, len(h)).contiguous()
        (T, E, batch), N = u.shape, len(A)
        hs = u.new_empty(T + 1, N, E, batch)  # h before step t; the last one is what is left
        hs[0] = h.permute(2, 1, 0)
        ys = torch.empty_like(u)
        decay, product = torch.empty_like(hs[0]), torch.empty_like(hs[0])
        before, *after = hs.unbind(0)
        rows = [value.unbind(0) for value in (u, dt, B, C, ys)]
        for u_t, dt_t, B_t, C_t, y, h_t in zip(*rows, after, strict=True):
            torch.mul(A, dt_t, out=decay)
            decay.exp_()
            torch.mul(u_t, B_t, out=h_t)
            h_t.addcmul_(decay, before)
            torch.mul(h_t, C_t, out=product)
            torch.sum(product, 0, out=y)
            before = h_t
        ctx.save_for_backward(u, dt, A, B, C, hs)
        return ys.permute(2, 0, 1), hs[T].permute(2, 1, 0).contiguous()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        """The same recurrence backwards: g_t = C_t dy_t + decay_{t+1} g_{t+1} is the gradient of h_t."""
        u, dt, A, B, C, hs = ctx.saved_tensors
        dy = gradients[0].permute(1, 2, 0).contiguous()  # [T, E, B]
        g = gradients[1].permute(2, 1, 0).contiguous()  # [N, E, B]
        du, ddt = torch.empty_like(u), torch.empty_like(u)
        dB, dC = (value.new_empty(len(value), len(A), u.shape[-1]) for value in (B, C))
        dA, decay, product = torch.zeros_like(g), torch.empty_like(g), torch.empty_like(g)
        before, after = hs[:-1], hs[1:]
        tensors = (u, dt, B, C, before, after, dy, du, ddt, dB, dC)
        rows = [value.unbind(0)[::-1] for value in tensors]
        for u_t, dt_t, B_t, C_t, h_0, h_1, dy_t, du_t, ddt_t, dB_t, dC_t in zip(*rows, strict=True):
            g.addcmul_(C_t, dy_t)
            torch.mul(h_1, dy_t, out=product)
            torch.sum(product, 1, out=dC_t)
            torch.mul(g, u_t, out=product)
            torch.sum(product, 1, out=dB_t)
            torch.mul(g, B_t, out=product)
            torch.sum(product, 0, out=du_t)
            torch.mul(A, dt_t, out=decay)
            g.mul_(decay.exp_())  # now the gradient of h before the step
            torch.mul(g, h_0, out=product)  # the gradient of dt_t A
            dA.addcmul_(product, dt_t)
            product.mul_(A)
            torch.sum(product, 0, out=ddt_t)
        du, ddt, dB, dC = (value.permute(2, 0, 1) for value in (du, ddt, dB, dC))
        return du, ddt, dA.sum(-1).t(), dB, dC, g.permute(2, 1, 0)
