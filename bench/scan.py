"""How fast the selective scan is against the loop that indexes: forward and backward, one thread.

    python bench/scan.py                 a table
    python bench/scan.py --json          a list of rows for scripts

The reference is the loop as usually written: dA and dB x of every step are made first, [B, T, E, N], and each
step takes `[:, t]` of them. Every such index writes a zero tensor of the full length on the way back. Between
the two, for comparison, stands the loop over `unbind(1)` with its reverse pass left to autograd.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from tinyloc.models.scan import plain_scan, selective_scan

Scan = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


def indexing_scan(
    x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, h: Tensor
) -> tuple[Tensor, Tensor]:
    """The reference: shapes as `tinyloc.models.scan.selective_scan`."""
    decay = torch.exp(dt.unsqueeze(-1) * A)  # [B, T, E, N]
    drive = (dt * x).unsqueeze(-1) * B.unsqueeze(2)  # [B, T, E, N]
    outputs = []
    for t in range(x.shape[1]):
        h = decay[:, t] * h + drive[:, t]  # [B, E, N]
        outputs.append((h * C[:, t].unsqueeze(1)).sum(-1))  # [B, E]
    return torch.stack(outputs, 1) + D * x, h


def inputs(batch: int, steps: int, inner: int, state: int, seed: int = 0) -> list[Tensor]:
    """x, dt, A, B, C, D of ordinary sizes, each with a gradient."""
    random = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, steps, inner, generator=random)
    dt = torch.rand(batch, steps, inner, generator=random) * 0.1
    A = -torch.arange(1, state + 1, dtype=torch.float32).repeat(inner, 1)
    B = torch.randn(batch, steps, state, generator=random)
    C = torch.randn(batch, steps, state, generator=random)
    return [value.requires_grad_() for value in (x, dt, A, B, C, torch.ones(inner))]


def forward_backward(scan: Scan, values: list[Tensor]) -> tuple[float, list[Tensor]]:
    """Seconds, and the gradients of a fixed weighted sum of the outputs."""
    for value in values:
        value.grad = None
    x, dt, A, B, C, D = values
    h = x.new_zeros(len(x), *A.shape)
    weight = torch.cos(torch.arange(x.numel(), dtype=torch.float32)).view_as(x)
    start = time.perf_counter()
    (scan(x, dt, A, B, C, D, h)[0] * weight).sum().backward()
    seconds = time.perf_counter() - start
    return seconds, [value.grad for value in values if value.grad is not None]


def gradient_error(scan: Scan, reference: Scan, values: list[Tensor]) -> float:
    """The largest difference of any gradient, relative to the largest entry of that gradient."""
    ours = forward_backward(scan, values)[1]
    theirs = forward_backward(reference, values)[1]
    errors = [(a - b).abs().max() / b.abs().max() for a, b in zip(ours, theirs, strict=True)]
    return float(torch.stack(errors).max())


def measure(steps: int, batch: int, hidden: int, state: int, repeats: int) -> dict[str, float]:
    values = inputs(batch, steps, 2 * hidden, state)
    error = gradient_error(selective_scan, indexing_scan, values)  # also warms both up
    times: dict[Scan, list[float]] = {selective_scan: [], plain_scan: [], indexing_scan: []}
    for _ in range(repeats * max(1, 200 // steps)):  # in turn, so that a busy machine slows all alike
        for scan, seconds in times.items():
            seconds.append(forward_backward(scan, values)[0])
    ours, plain, reference = (statistics.median(seconds) for seconds in times.values())
    return {
        "T": steps,
        "speedup": round(reference / ours, 2),
        "max_gradient_error": error,
        "seconds": ours,
        "seconds_unbind_autograd": plain,
        "seconds_indexing": reference,
        "batch": batch,
        "hidden": hidden,
        "inner": 2 * hidden,
        "state": state,
        "threads": torch.get_num_threads(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--steps", type=int, nargs="+", default=[20, 200], metavar="T")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--hidden", type=int, default=16, help="model width H; the scan runs at E = 2 H")
    parser.add_argument("--state", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print a list of rows")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = [measure(steps, args.batch, args.hidden, args.state, args.repeats) for steps in args.steps]
    if args.json:
        print(json.dumps(rows))
        return
    heads = f"{'T':>5} {'scan, ms':>9} {'unbind, autograd':>17} {'indexing':>9}"
    print(f"{heads} {'speedup':>8} {'gradient error':>15}")
    for row in rows:
        times = f"{1e3 * row['seconds']:9.1f} {1e3 * row['seconds_unbind_autograd']:17.1f}"
        times += f" {1e3 * row['seconds_indexing']:9.1f}"
        print(f"{row['T']:5.0f} {times} {row['speedup']:7.1f}x {row['max_gradient_error']:15.1e}")


if __name__ == "__main__":
    main()
