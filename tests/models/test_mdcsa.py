from __future__ import annotations

import numpy as np
import pytest
import torch

from tinyloc.models import families
from tinyloc.models.config import MdcsaConfig
from tinyloc.models.sinusoid import positions


def softmax(x):
    x = np.exp(x - x.max(1, keepdims=True))
    return x / x.sum(1, keepdims=True)


class Written:
    """The equations of arXiv 2308.02419 for one window in plain NumPy, with nothing shared with the model."""

    def __init__(self, config, weights):
        self.config = config
        self.w = {name: value.astype(np.float64) for name, value in weights.items()}

    def linear(self, name, x):
        return x @ self.w[f"{name}.weight"].T + self.w.get(f"{name}.bias", 0)

    def norm(self, name, x):
        x = x - x.mean(1, keepdims=True)
        x = x / np.sqrt((x**2).mean(1, keepdims=True) + 1e-5)
        return x * self.w[f"{name}.weight"] + self.w[f"{name}.bias"]

    def conv(self, name, x, stride=1, past=True):
        weight = self.w[f"{name}.weight"]
        taps = weight.shape[2]
        x = np.concatenate([np.zeros((taps - 1, x.shape[1])), x]) if past else x
        starts = range(0, len(x) - taps + 1, stride)
        rows = [sum(weight[:, :, i] @ x[s + i] for i in range(taps)) for s in starts]
        return np.array(rows) + self.w[f"{name}.bias"]

    def place(self, x):
        width, t = x.shape[1], np.arange(len(x))
        where = np.zeros_like(x)
        for h in range(width):
            angle = t / 10000 ** ((h - h % 2) / width)
            where[:, h] = np.cos(angle) if h % 2 else np.sin(angle)
        return np.sqrt(width) * x + where

    def first(self, block, kind, norm, x):
        q, k = (np.tanh(self.conv(f"{block}.{kind}{part}", x)) for part in ("query", "key"))
        return self.norm(f"{block}.{norm}", softmax(q @ k.T / np.sqrt(x.shape[1])) @ x + x)

    def __call__(self, signal, acceleration):
        x = self.place(self.linear("embed", signal))
        motion = self.place(self.linear("embed_motion", acceleration)) if self.config.accelerometer else None
        outs = []
        for j in range(self.config.layers):
            block = f"blocks.{j}"
            x1 = self.first(block, "", "norm1", x)
            eta = self.linear(f"{block}.grn.expand", x1)
            if motion is not None:
                eta += self.linear(
                    f"{block}.grn.context", self.first(block, "motion_", "motion_norm", motion)
                )
            eta = np.where(eta > 0, eta, np.exp(np.minimum(eta, 0)) - 1)
            value, gate = np.split(
                self.linear(f"{block}.grn.gate", self.linear(f"{block}.grn.mix", eta)), 2, 1
            )
            outs.append(self.norm(f"{block}.grn.norm", value / (1 + np.exp(-gate)) + x1))
        tokens = np.array([out[t] for t in range(len(x)) for out in outs])
        tokens = softmax(tokens @ tokens.T / np.sqrt(x.shape[1])) @ tokens
        joined = self.conv("join", tokens, self.config.layers, past=self.config.layers == 1)
        return self.linear("head", self.norm("norm", joined))


@pytest.mark.parametrize(("layers", "motion"), [(1, False), (1, True), (3, False), (3, True)])
@pytest.mark.parametrize("steps", [1, 5])
def test_against_the_equations_written_out(layers, motion, steps):
    torch.manual_seed(0)
    config = MdcsaConfig(3, 4, 6, layers, accelerometer=motion)
    model = families.build(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.3)
    random = np.random.default_rng(1)
    signal, acceleration = random.normal(size=(2, steps, 3)), random.normal(size=(2, steps, 3))
    given = [torch.tensor(part, dtype=torch.float32) for part in (signal, acceleration)]
    ours = model(*given[: 1 + motion]).detach().numpy()
    written = Written(config, model.weights())
    for window in range(2):
        np.testing.assert_allclose(ours[window], written(signal[window], acceleration[window]), atol=2e-5)


def test_positions():
    where = positions(3, 5)
    assert where.dtype == np.float32
    assert where[0].tolist() == [0, 1, 0, 1, 0]
    np.testing.assert_allclose(where[2, :3], [np.sin(2), np.cos(2), np.sin(2 / 10000**0.4)], atol=1e-6)


def test_the_widest_of_the_paper_runs():
    model = families.build(MdcsaConfig(520, 59, 256, 3)).eval()
    assert model(torch.zeros(1, 1, 520)).shape == (1, 1, 59)
