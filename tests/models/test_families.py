from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from model_windows import make_windows

from tinyloc.errors import UsageError
from tinyloc.models import families
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.models.config import (
    CONFIGS,
    MambaConfig,
    MdcsaConfig,
    MlpConfig,
    StatnetConfig,
    TransformerConfig,
    describe,
    parameters,
    parameters_paper,
    reads_statistics,
)
from tinyloc.models.scaling import InputScaling
from tinyloc.models.statistics import window_statistics

WINDOWS = make_windows(steps=8, points=5, rooms=3)
SCALING = InputScaling.fit("zscore", WINDOWS)
SHAPES = [
    MambaConfig(5, 3, 4),
    MambaConfig(5, 3, 4, crf=True),
    MdcsaConfig(5, 3, 4, crf=True),
    MdcsaConfig(5, 3, 6, 3),
    MdcsaConfig(5, 3, 4, 3, accelerometer=True),
    MlpConfig(5, 3, 6),
    MlpConfig(5, 3, 6, layers=3),
    TransformerConfig(5, 3, 8, 12, 2, heads=3, feedforward=7),
    StatnetConfig(5, 3, 6),
]
WITH_STATISTICS = [MambaConfig(5, 3, 4, statistics=True), MlpConfig(5, 3, 4, statistics=True)]


MOTION = np.random.default_rng(5).normal(size=(60, 8, 3)).astype(np.float32)


def scaling_of(config):
    return InputScaling.fit("zscore", WINDOWS, statistics=reads_statistics(config))


def run(model, rssi=WINDOWS.rssi):
    given = families.inputs(model.config, scaling_of(model.config), rssi, MOTION)
    return model(*(torch.from_numpy(part) for part in given))


def checkpoint(model):
    scaling = scaling_of(model.config)
    return Checkpoint(
        model.config, scaling, model.weights(), WINDOWS.rooms, WINDOWS.access_points, 8, 0.2, "reset"
    )


@pytest.mark.parametrize("config", [*SHAPES, *WITH_STATISTICS], ids=str)
def test_names_and_shapes_are_those_of_the_config(config):
    torch.manual_seed(0)
    model = families.build(config)
    assert {name: tuple(v.shape) for name, v in model.state_dict().items()} == config.weight_shapes()
    assert sum(p.numel() for p in model.parameters()) == parameters(config)


@pytest.mark.parametrize("config", [*SHAPES, *WITH_STATISTICS], ids=str)
def test_what_is_saved_answers_as_before(config):
    torch.manual_seed(1)
    model = families.build(config).eval()
    families.fit(model, WINDOWS.rssi)
    loaded = Checkpoint.from_bytes(checkpoint(model).to_bytes())
    assert loaded.config == config
    assert loaded.to_bytes() == checkpoint(model).to_bytes()
    again = families.from_weights(loaded.config, loaded.weights)
    assert not again.training
    assert torch.equal(run(again), run(model))
    steps = 8 if config.per_step else 1
    assert run(model).shape == (60, steps, 3)


@pytest.mark.parametrize("config", [*SHAPES, *WITH_STATISTICS], ids=str)
def test_every_weight_receives_a_gradient(config):
    torch.manual_seed(2)
    model = families.build(config)
    families.fit(model, WINDOWS.rssi)
    logits = run(model)
    truth = torch.from_numpy(WINDOWS.rooms_at[:, -logits.shape[1] :].astype(np.int64))
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), truth.flatten())
    (loss if model.crf is None else model.crf.loss(logits, truth).mean()).backward()
    for name, weight in model.named_parameters():
        if not name.endswith(".k.bias"):  # it moves all scores of a query alike: softmax cannot see it
            assert weight.grad is not None, name
            assert weight.grad.abs().max() > 1e-9, name


@pytest.mark.parametrize("config", SHAPES[2:], ids=str)
def test_whole_windows_cannot_carry_a_state(config):
    with pytest.raises(UsageError, match="keeps no state"):
        dataclasses.replace(checkpoint(families.build(config)), state="carried")


def test_every_family_is_known():
    assert set(CONFIGS) == {config.family for config in SHAPES} | {"forest", "ensemble"}


def test_describe():
    assert describe(MambaConfig(11, 9, 8))["parameters_paper"] == 1571
    about = describe(TransformerConfig(11, 9, 20))
    assert (about["family"], about["size"], about["heads"]) == ("transformer", "H32L1", 2)
    assert (about["parameters"], about["parameters_paper"]) == (9929, None)


@pytest.mark.parametrize(("layers", "count"), [(1, 9929), (2, 18473)])
def test_tfm1_and_tfm2_have_the_peers_counts(layers, count):
    config = TransformerConfig(access_points=11, rooms=9, steps=20, hidden=32, layers=layers)
    assert parameters(config) == count
    assert parameters_paper(config) is None


def test_the_transformer_against_its_equations():
    """One layer with two heads in plain NumPy, with nothing shared with the model."""
    torch.manual_seed(3)
    model = families.build(TransformerConfig(2, 3, 4, 4, 1, heads=2, feedforward=5)).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.3)
    w = {name.removeprefix("layers.0."): v.astype(np.float64) for name, v in model.weights().items()}
    signal = np.random.default_rng(0).normal(size=(4, 2))

    def linear(name, x):
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def norm(name, x):
        x = x - x.mean(1, keepdims=True)
        return x / np.sqrt((x**2).mean(1, keepdims=True) + 1e-5) * w[f"{name}.weight"] + w[f"{name}.bias"]

    x = linear("embed", signal) + w["position"]
    q, k, v = (linear(part, norm("norm1", x)) for part in "qkv")
    heads = []
    for part in (slice(0, 2), slice(2, 4)):
        scores = np.exp(q[:, part] @ k[:, part].T / np.sqrt(2))
        heads.append(scores / scores.sum(1, keepdims=True) @ v[:, part])
    x = x + linear("out", np.concatenate(heads, 1))
    x = x + linear("ff2", np.maximum(linear("ff1", norm("norm2", x)), 0))
    answer = linear("head", norm("norm", x).mean(0, keepdims=True))[0]
    ours = model(torch.tensor(signal[None], dtype=torch.float32)).detach().numpy()[0, 0]
    np.testing.assert_allclose(ours, answer, atol=1e-5)


def test_the_statistics_network_measures_its_training_windows():
    model = families.build(StatnetConfig(5, 3, 6)).eval()
    silent = WINDOWS.rssi.copy()
    silent[:, :, 2] = -128
    families.fit(model, silent)
    values = window_statistics(silent)
    x = (values - model.offset.numpy()) * model.gain.numpy()
    assert np.abs(x.mean(0)).max() < 1e-3
    assert x.std(0).max() < 1.001
    assert (model.gain.reshape(6, 5)[:, 2] == 0).all()
    assert (model.gain.reshape(6, 5)[:, :2] > 0).all()
    w = model.weights()
    hidden = np.maximum(x @ w["hidden.weight"].T + w["hidden.bias"], 0)
    wanted = hidden @ w["head.weight"].T + w["head.bias"]
    np.testing.assert_allclose(run(model, silent).detach().numpy()[:, 0], wanted, atol=1e-4)


def test_windows_of_another_length_are_refused():
    with pytest.raises(UsageError, match="8 steps cannot answer windows of 6"):
        families.inputs(SHAPES[-2], SCALING, WINDOWS.rssi[:, :6])
    model = families.build(SHAPES[-2])
    with pytest.raises(UsageError, match="positions"):
        dataclasses.replace(checkpoint(model), window_steps=6)


@pytest.mark.parametrize(
    ("family", "wrong"),
    [
        (TransformerConfig, {"hidden": 7, "heads": 2}),
        (TransformerConfig, {"steps": 0}),
        (TransformerConfig, {"feedforward": -1}),
        (StatnetConfig, {"hidden": 1.5}),
        (MambaConfig, {"crf": 1}),
        (MdcsaConfig, {"layers": 2}),
        (MdcsaConfig, {"accelerometer": 3}),
    ],
)
def test_a_shape_that_cannot_be_is_refused(family, wrong):
    shape = {"access_points": 2, "rooms": 2, "hidden": 2}
    shape |= {"steps": 3} if family is TransformerConfig else {}
    with pytest.raises(UsageError):
        family(**(shape | wrong))


def test_dropout_acts_in_training_only():
    torch.manual_seed(4)
    for config in SHAPES[2:]:
        model = families.build(config, dropout=0.5)
        assert not torch.equal(run(model.train()), run(model))
        assert torch.equal(run(model.eval()), run(model))
    with pytest.raises(UsageError, match="no dropout"):
        families.build(SHAPES[0], dropout=0.5)
