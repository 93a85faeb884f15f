from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from tinyloc.models.mamba import Mamba, MambaConfig, parameters
from tinyloc.models.scan import plain_scan, scan_step, selective_scan

torch.set_num_threads(1)


def by_step(model, x, state):
    outputs = []
    for t in range(x.shape[1]):
        logits, state = model.step(x[:, t], state)
        outputs.append(logits)
    return torch.stack(outputs, 1), state


@given(
    seed=st.integers(0, 2**31),
    batch=st.integers(1, 4),
    steps=st.integers(1, 24),
    points=st.integers(1, 7),
    hidden=st.integers(1, 20),
    layers=st.integers(1, 2),
    state=st.integers(1, 16),
    taps=st.integers(1, 5),
)
@settings(deadline=None, max_examples=40)
def test_window_and_steps_agree(seed, batch, steps, points, hidden, layers, state, taps):
    torch.manual_seed(seed)
    model = Mamba(MambaConfig(points, 4, hidden, layers, state, conv=taps))
    x = torch.randn(batch, steps, points)
    whole, after = model.run(x, model.initial_state(batch))
    streamed, last = by_step(model, x, model.initial_state(batch))
    torch.testing.assert_close(streamed, whole, atol=1e-5, rtol=1e-5)
    for ours, theirs in zip(after, last, strict=True):
        torch.testing.assert_close(ours.conv, theirs.conv, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(ours.h, theirs.h, atol=1e-5, rtol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(model(x), whole, atol=1e-5, rtol=1e-5)


@given(seed=st.integers(0, 2**31), first=st.integers(1, 11))
@settings(deadline=None, max_examples=15)
def test_a_window_in_two_parts_with_its_state_carried_is_the_window(seed, first):
    torch.manual_seed(seed)
    model = Mamba(MambaConfig(3, 4, 5))
    x = torch.randn(2, 12, 3)
    whole = model(x)
    one, state = model.run(x[:, :first], model.initial_state(2))
    two, _ = model.run(x[:, first:], state)
    torch.testing.assert_close(torch.cat([one, two], 1), whole, atol=1e-5, rtol=1e-5)


def test_the_future_does_not_reach_the_past():
    torch.manual_seed(0)
    model = Mamba(MambaConfig(3, 4, 8, 2))
    x = torch.randn(1, 10, 3)
    changed = x.clone()
    changed[:, 6:] += 1
    assert torch.equal(model(x)[:, :6], model(changed)[:, :6])
    assert not torch.allclose(model(x)[:, 6:], model(changed)[:, 6:])


def test_names_and_shapes_are_those_of_the_contract():
    config = MambaConfig(11, 9, 32, 2)
    model = Mamba(config)
    assert {name: tuple(v.shape) for name, v in model.state_dict().items()} == config.weight_shapes()
    assert sum(p.numel() for p in model.parameters()) == parameters(config)
    again = Mamba.from_weights(config, model.weights())
    x = torch.randn(1, 4, 11)
    assert torch.equal(again(x), model(x))


def test_it_starts_as_the_authors_do():
    torch.manual_seed(1)
    model = Mamba(MambaConfig(3, 4, 16))
    layer = model.layers[0]
    torch.testing.assert_close(-torch.exp(layer.A_log)[5], -torch.arange(1.0, 17.0))
    step = functional.softplus(layer.dt_proj.bias)
    assert step.min() > 0.0009
    assert step.max() < 0.11
    assert (layer.D == 1).all()


def test_against_the_equations_in_plain_python():
    """One layer written out as in arXiv 2312.00752, with nothing shared with the model."""
    torch.manual_seed(3)
    model = Mamba(MambaConfig(2, 3, 2, 1, state=2))
    w = {name: value.astype(np.float64) for name, value in model.weights().items()}
    layer = {name.removeprefix("layers.0."): value for name, value in w.items()}
    samples = np.random.default_rng(0).normal(size=(6, 2))
    past, h, answers = np.zeros((4, 4)), np.zeros((4, 2)), []
    for sample in samples:
        x = w["embed.weight"] @ sample + w["embed.bias"]
        normed = x / np.sqrt((x**2).mean() + 1e-5) * layer["norm.weight"]
        u, z = np.split(layer["in_proj.weight"] @ normed, 2)
        past = np.concatenate([past[:, 1:], u[:, None]], axis=1)
        u = (past * layer["conv.weight"]).sum(axis=1) + layer["conv.bias"]
        u = u / (1 + np.exp(-u))
        rank, B, C = np.split(layer["x_proj.weight"] @ u, [1, 3])
        dt = np.log1p(np.exp(layer["dt_proj.weight"] @ rank + layer["dt_proj.bias"]))
        for e in range(4):
            for n in range(2):
                decay = math.exp(-dt[e] * math.exp(layer["A_log"][e, n]))
                h[e, n] = decay * h[e, n] + dt[e] * B[n] * u[e]
        y = h @ C + layer["D"] * u
        x = x + layer["out_proj.weight"] @ (y * z / (1 + np.exp(-z)))
        answers.append(w["head.weight"] @ x)
    ours = model(torch.tensor(samples[None], dtype=torch.float32)).detach().numpy()[0]
    np.testing.assert_allclose(ours, np.array(answers), atol=1e-5)


def indexing_scan(x, dt, A, B, C, D, h):
    """The reference of bench/scan.py: everything made first, then indexed step by step."""
    decay = torch.exp(dt.unsqueeze(-1) * A)
    drive = (dt * x).unsqueeze(-1) * B.unsqueeze(2)
    outputs = []
    for t in range(x.shape[1]):
        h = decay[:, t] * h + drive[:, t]
        outputs.append((h * C[:, t].unsqueeze(1)).sum(-1))
    return torch.stack(outputs, 1) + D * x, h


def scan_inputs(seed, batch, steps, inner, state, dtype=torch.float32, dt_scale=0.2):
    random = torch.Generator().manual_seed(seed)
    x, dt = (torch.randn(batch, steps, inner, generator=random, dtype=dtype) for _ in range(2))
    B, C = (torch.randn(batch, steps, state, generator=random, dtype=dtype) for _ in range(2))
    A = -torch.rand(inner, state, generator=random, dtype=dtype) * state
    D = torch.randn(inner, generator=random, dtype=dtype)
    h = torch.randn(batch, inner, state, generator=random, dtype=dtype)
    return [value.requires_grad_() for value in (x, dt.abs() * dt_scale, A, B, C, D, h)]


@pytest.mark.parametrize("scan", [selective_scan, plain_scan])
@given(
    seed=st.integers(0, 2**31),
    batch=st.integers(1, 5),
    steps=st.integers(1, 40),
    inner=st.integers(1, 9),
    state=st.integers(1, 16),
)
@settings(deadline=None, max_examples=25)
def test_outputs_and_gradients_are_those_of_the_reference(scan, seed, batch, steps, inner, state):
    results = []
    for each in (scan, indexing_scan):
        values = [v.detach().requires_grad_() for v in scan_inputs(seed, batch, steps, inner, state)]
        y, h = each(*values)
        (torch.cos(torch.arange(y.numel()).view_as(y)) * y).sum().backward(retain_graph=True)
        (h.square().sum()).backward()
        results.append([y.detach(), h.detach(), *(v.grad for v in values)])
    for ours, theirs in zip(*results, strict=True):
        assert (ours - theirs).abs().max() <= 1e-4 * theirs.abs().max() + 1e-6


def test_the_hand_written_reverse_pass_passes_gradcheck():
    values = [v.detach().requires_grad_() for v in scan_inputs(5, 2, 4, 3, 2, torch.float64)]
    assert torch.autograd.gradcheck(selective_scan, values)


def test_gradients_stay_finite_at_large_steps():
    values = [v.detach().requires_grad_() for v in scan_inputs(6, 2, 60, 4, 16, dt_scale=60.0)]
    selective_scan(*values)[0].sum().backward()
    assert all(torch.isfinite(v.grad).all() for v in values if v.grad is not None)


def test_one_step_is_a_scan_of_length_one():
    x, dt, A, B, C, D, h = scan_inputs(8, 2, 1, 3, 4)
    y, after = selective_scan(x, dt, A, B, C, D, h)
    y_1, after_1 = scan_step(x[:, 0], dt[:, 0], A, B[:, 0], C[:, 0], D, h)
    torch.testing.assert_close(y[:, 0], y_1)
    torch.testing.assert_close(after, after_1)
