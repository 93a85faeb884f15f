"""The paper's compressions against cases worked out by hand, PyTorch's own, and the paper's sizes."""

from __future__ import annotations

import dataclasses
import io
import warnings

import numpy as np
import pytest
import torch
from model_windows import make_windows
from torch import nn

from tinyloc.errors import UsageError
from tinyloc.models import compress, families
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.models.config import Config, MambaConfig, MdcsaConfig, StatnetConfig, TransformerConfig
from tinyloc.models.scaling import InputScaling

WINDOWS = make_windows()
CONFIGS = [
    MambaConfig(5, 3, 8, crf=True),
    MdcsaConfig(5, 3, 8),
    MdcsaConfig(5, 3, 4, layers=3, crf=True),
    TransformerConfig(5, 3, 8, hidden=8),
    StatnetConfig(5, 3, 16),
]


def checkpoint(config: Config, windows=WINDOWS, state="reset") -> Checkpoint:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        model = families.build(config)
        families.fit(model, windows.rssi)
    return Checkpoint(
        config=config,
        scaling=InputScaling.fit("minmax", windows),
        weights=model.weights(),
        rooms=windows.rooms,
        access_points=windows.access_points,
        window_steps=windows.steps,
        seconds_per_step=windows.seconds_per_step,
        state=state,
    )


def linear(weight, bias=None) -> nn.Linear:
    weight = torch.tensor(weight)
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    with torch.no_grad():
        layer.weight.copy_(weight)
        if bias is not None:
            layer.bias.copy_(torch.tensor(bias))
    return layer


def test_vector_wise_int8_by_hand():
    layer = compress.StaticLinear(linear([[1.27, 0.50, -0.25], [0.0, 2.54, 0.02]], [10.0, 20.0]))
    assert layer.int8_weight.tolist() == [[127, 50, -25], [0, 127, 1]]
    torch.testing.assert_close(layer.scale, torch.tensor([0.01, 0.02]))
    x = torch.tensor([[[1.27, -0.333, 0.0], [0.0, 0.0, 0.0]]])
    # row 0: scale 0.01, whole numbers 127, -33, 0; row 1 is 0 and divides by nothing
    expected = [[10 + 1e-4 * (127 * 127 - 33 * 50), 20 + 2e-4 * -33 * 127], [10.0, 20.0]]
    torch.testing.assert_close(layer(x), torch.tensor([expected]))


def test_outlier_columns_stay_in_floating_point():
    layer = compress.StaticLinear(linear([[1.27, 0.50, -0.25], [0.0, 2.54, 0.02]]))
    x = torch.tensor([[[1.27, 100.123, 0.0], [0.0, 0.456, 1.27]]])
    # column 1 is an outlier at step 0, so in this window it is one at every step
    expected = [[1.6129 + 100.123 * 0.5, 100.123 * 2.54], [0.456 * 0.5 - 0.3175, 0.456 * 2.54 + 0.0254]]
    torch.testing.assert_close(layer(x), torch.tensor([expected]))
    edge = torch.tensor([[6.0, 0.011, 0.0], [6.001, 0.011, 0.0]])  # two windows of one row each
    first, second = layer(edge)[:, 1].tolist()
    assert first == 0.0  # exactly 6 is no outlier: 0.011 is lost beside it
    assert second == pytest.approx(127 * 127 * 0.02 * 0.011 / 127)


def test_an_outlier_does_not_coarsen_the_other_columns():
    random = torch.Generator().manual_seed(5)
    layer = nn.Linear(24, 7, bias=False)
    with torch.no_grad():
        layer.weight.normal_(0, 0.3, generator=random)
    x = torch.randn(6, 20, 24, generator=random)
    with torch.no_grad():
        static = compress.StaticLinear(layer)
        plain = (static(x) - layer(x)).abs().max()
        x[:, 3, 11] = 90.0
        large = (static(x) - x @ static.weight.t()).abs().max()
    assert plain < 0.05
    assert large < 0.05


def test_dynamic_by_hand():
    layer = compress.DynamicLinear(linear([[1.275, -0.50], [0.0, 0.02]], [1.0, 2.0]), 255)
    assert layer.int8_weight.tolist() == [[127, -50], [0, 2]]  # 127.5 does not fit
    assert layer.scale.item() == pytest.approx(0.01)
    x = torch.tensor([[[2.0, -0.55]], [[0.0, 0.0]]])
    # window 0: scale 2.55 / 255 = 0.01, zero point 55, whole numbers 200 and -55; window 1: all 0
    expected = [[[1 + 1e-4 * (200 * 127 + 55 * 50), 2 + 1e-4 * -110]], [[1.0, 2.0]]]
    torch.testing.assert_close(layer(x), torch.tensor(expected))


@pytest.mark.parametrize(("engine", "levels"), [("fbgemm", 127), ("qnnpack", 255)])
def test_dynamic_is_what_pytorch_does(engine, levels):
    quantization = pytest.importorskip("torch.ao.quantization")
    if engine not in torch.backends.quantized.supported_engines:
        pytest.skip(f"this PyTorch has no {engine}")
    before = torch.backends.quantized.engine
    random = torch.Generator().manual_seed(6)
    layer = nn.Linear(37, 11)
    windows = [torch.randn(1, 20, 37, generator=random) * 10**power + 1 for power in (-7, -2, 0, 3)]
    windows += [windows[2].abs(), -windows[2].abs(), windows[2] * 1e-6, torch.zeros(1, 20, 37)]
    try:
        torch.backends.quantized.engine = engine
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = quantization.quantize_dynamic(nn.Sequential(layer), {nn.Linear}, dtype=torch.qint8)
            expected = torch.cat([theirs(window) for window in windows])
    finally:
        torch.backends.quantized.engine = before
    with torch.no_grad():
        ours = compress.DynamicLinear(layer, levels)(torch.cat(windows))
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: f"{config.family}-{config.name}")
def test_every_family_answers_about_as_in_floating_point(config):
    model = checkpoint(config)
    exact = compress.predict_compressed("float", model, WINDOWS)
    first = dataclasses.replace(WINDOWS, rssi=WINDOWS.rssi[:1])  # one window alone
    for kind in ("static", "dynamic"):
        logits = compress.predict_compressed(kind, model, WINDOWS)
        assert logits.shape == exact.shape
        assert logits.dtype == np.float32
        assert not np.array_equal(logits, exact)
        assert np.abs(logits - exact).max() < 0.1 * np.ptp(exact), kind
        alone = compress.predict_compressed(kind, model, first)
        np.testing.assert_allclose(alone[0], logits[0], atol=1e-5)


@pytest.mark.parametrize("kind", ["static", "dynamic"])
def test_only_linear_layers_change_and_none_is_left(kind):
    model = compress.compress(kind, checkpoint(CONFIGS[1])).model
    kinds = {type(module) for module in model.modules()}
    assert nn.Linear not in kinds
    assert {nn.Conv1d, nn.LayerNorm} <= kinds
    assert sum(isinstance(module, compress.Int8Linear) for module in model.modules()) == 5


def test_a_carried_state_is_carried():
    walk = make_windows(count=12)
    model = checkpoint(CONFIGS[0], walk, "carried")
    exact = compress.predict_compressed("float", model, walk)
    for kind in ("static", "dynamic"):
        logits = compress.predict_compressed(kind, model, walk)
        assert np.abs(logits - exact).max() < 0.1 * np.ptp(exact)


@pytest.mark.parametrize(
    ("config", "paper"),
    [  # house A: 8 access points, 4 rooms; the paper's KB for float, static, dynamic
        (MambaConfig(8, 4, 8, crf=True), (12, 12, 12)),
        (MambaConfig(8, 4, 32, crf=True), (47, 26, 25)),
    ],
    ids=["H8L1", "H32L1"],
)
def test_sizes_are_about_the_papers(config, paper):
    windows = make_windows(steps=20, points=8, rooms=4)
    model = checkpoint(config, windows)
    ours = [compress.state_dict_kb(kind, model) for kind in ("float", "static", "dynamic")]
    np.testing.assert_allclose(ours, paper, atol=1.7)


def test_the_size_is_that_of_the_file_and_counts_positions():
    model = checkpoint(CONFIGS[1])
    state = dict(compress.uncompressed(model).model.state_dict())
    sizes = []
    for extra in ({}, {"position": torch.zeros(WINDOWS.steps, 8)}):
        file = io.BytesIO()
        torch.save(state | extra, file)
        sizes.append(len(file.getvalue()) / 1000)
    assert compress.state_dict_kb("float", model) == sizes[1] > sizes[0]


def test_the_file_of_dynamic_is_as_large_as_pytorchs():
    quantization = pytest.importorskip("torch.ao.quantization")
    model = nn.Sequential(nn.Linear(40, 60), nn.ReLU(), nn.Linear(60, 9))
    ours = nn.Sequential(*(compress.DynamicLinear(m) if isinstance(m, nn.Linear) else m for m in model))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = quantization.quantize_dynamic(model, {nn.Linear}, dtype=torch.qint8)
    sizes = []
    for module in (ours, theirs):
        file = io.BytesIO()
        torch.save(module.state_dict(), file)
        sizes.append(len(file.getvalue()))
    assert sizes[0] == pytest.approx(sizes[1], rel=0.1)


def test_another_kind_is_refused():
    with pytest.raises(UsageError, match="none of float, static, dynamic"):
        compress.compress("int3", checkpoint(CONFIGS[0]))  # type: ignore[arg-type]
