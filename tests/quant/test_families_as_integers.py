"""Every family to integers and C: the float twin is the model, the integers are close, the C the same."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from builders import any_bytes, records, scaling, signal

from tinyloc.data.windows import Windows
from tinyloc.device.boards import find_board
from tinyloc.device.host import build_host
from tinyloc.device.tiers import available_tiers
from tinyloc.emit import emit
from tinyloc.errors import QuantisationError, UsageError
from tinyloc.models import families
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.models.config import (
    Config,
    MambaConfig,
    MdcsaConfig,
    MlpConfig,
    StatnetConfig,
    TransformerConfig,
    reads_motion,
    reads_statistics,
)
from tinyloc.models.motion import to_int8
from tinyloc.models.running import columns
from tinyloc.quant.attribution import attribution
from tinyloc.quant.lower import float_graph_of, lower
from tinyloc.quant.reference import Reference, answers
from tinyloc.quant.replay import replay
from tinyloc.quant.storage import from_bytes, to_bytes

P, K, T = 5, 4, 12
CONFIGS: dict[str, Config] = {
    "transformer": TransformerConfig(P, K, steps=T, hidden=16, layers=2, heads=2),
    "mdcsa-L1": MdcsaConfig(P, K, hidden=8, layers=1),
    "mdcsa-L3": MdcsaConfig(P, K, hidden=6, layers=3),
    "mdcsa-crf": MdcsaConfig(P, K, hidden=8, layers=1, crf=True),
    "mdcsa-motion-L1": MdcsaConfig(P, K, hidden=8, layers=1, accelerometer=True, crf=True),
    "mdcsa-motion-L3": MdcsaConfig(P, K, hidden=4, layers=3, accelerometer=True),
    "mamba-crf": MambaConfig(P, K, hidden=8, crf=True),
    "mamba-said": MambaConfig(P, K, hidden=8, statistics=True),
    "mdcsa-said": MdcsaConfig(P, K, hidden=8, layers=1, accelerometer=True, statistics=True),
    "transformer-said": TransformerConfig(P, K, steps=T, hidden=16, heads=2, statistics=True),
    "mlp-said": MlpConfig(P, K, hidden=16, statistics=True),
    "statnet": StatnetConfig(P, K, hidden=16),
    "mlp-L2": MlpConfig(P, K, hidden=16, layers=2),
}


def made(config: Config, seed: int = 0) -> tuple[torch.nn.Module, Checkpoint]:
    """A model with random weights and its checkpoint."""
    torch.manual_seed(seed)
    model = families.build(config)
    families.fit(model, signal(50, T, P, seed))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.startswith("crf"):
                weight.normal_(0, 0.5)
    names = tuple(f"room{i}" for i in range(K)), tuple(f"ap{i}" for i in range(P))
    return model.eval(), Checkpoint(
        config,
        scaling("zscore", columns(P, reads_statistics(config))),
        model.weights(),
        *names,
        T,
        0.2,
        "reset",
        {},
    )


def heard(config: Config, rssi: np.ndarray, wild: bool = False) -> np.ndarray:
    """The samples of windows [W, T, P]; where the model reads an accelerometer, with walks of one behind."""
    if not reads_motion(config):
        return rssi
    rng = np.random.default_rng(len(rssi))
    if wild:
        moved = rng.integers(-128, 128, (*rssi.shape[:2], 3), dtype=np.int8)
    else:
        moved = to_int8(np.array([0, 0, 1]) + np.cumsum(rng.normal(0, 0.2, (*rssi.shape[:2], 3)), axis=1))
    return np.concatenate([rssi, moved], axis=2)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_float_twin_is_the_model(name: str) -> None:
    model, checkpoint = made(CONFIGS[name])
    rssi = heard(checkpoint.config, signal(30, T, P, 1))
    with torch.no_grad():
        moved = rssi[..., P:].astype(np.float32) / 32
        inputs = families.inputs(checkpoint.config, checkpoint.scaling, rssi[..., :P], moved)
        logits = model(*(torch.from_numpy(part) for part in inputs))
        if getattr(checkpoint.config, "crf", False):
            wanted = model.crf.viterbi(logits)[:, -1].numpy()
            found = float_graph_of(checkpoint).run(rssi)[:, -1].argmax(axis=1)
            assert np.array_equal(found, wanted)
            return
    wanted = logits[:, -1].numpy()
    found = float_graph_of(checkpoint).run(rssi)[:, -1]
    assert np.abs(found - wanted).max() <= 2e-5 * max(1.0, np.abs(wanted).max())


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("precision", ["int16", "int8"])
def test_integers_stay_close_and_the_c_is_the_same(name: str, precision: str, tmp_path: Path) -> None:
    _, checkpoint = made(CONFIGS[name])
    graph = lower(checkpoint, heard(checkpoint.config, signal(200, T, P)), precision)  # type: ignore[arg-type]
    config = checkpoint.config
    fresh = np.concatenate(
        [heard(config, signal(100, T, P, 1)), heard(config, any_bytes(30, T, P), wild=True)]
    )
    scores = Reference(graph, check=True).run(fresh)
    truth = float_graph_of(checkpoint).run(fresh[:100])[:, -1]
    error = scores[:100, -1] * graph.tensor(graph.output).scale - truth
    assert 10 * np.log10(np.square(truth).sum() / np.square(error).sum()) > (
        30 if precision == "int16" else 20
    )
    assert from_bytes(to_bytes(graph)).sample_bytes == graph.sample_bytes == fresh.shape[2]
    emit(graph, tmp_path / "c")
    assert build_host(tmp_path / "c", tmp_path / "host", sanitize=True).run(records(fresh)) == answers(scores)
    assert len(attribution(float_graph_of(checkpoint), graph, fresh[:20])) == len(graph.operators)


@pytest.mark.parametrize("name", ["transformer", "mdcsa-L3", "statnet", "mamba-crf", "mdcsa-motion-L1"])
def test_on_a_cortex_m4(name: str, tmp_path: Path) -> None:
    _, checkpoint = made(CONFIGS[name])
    config = checkpoint.config
    graph = lower(checkpoint, heard(config, signal(100, T, P)))
    rssi = np.concatenate([heard(config, signal(10, T, P, 2)), heard(config, any_bytes(10, T, P), wild=True)])
    emit(graph, tmp_path / "c")
    wanted = answers(Reference(graph).run(rssi))
    for tier in available_tiers():
        board, folder = find_board("cortex-m4"), tmp_path / tier.name
        firmware = tier.build(tmp_path / "c", board, folder, ram_bytes=32 * 1024)
        assert tier.run(firmware, records(rssi), count_records=T).answers == wanted


def test_the_device_is_fed_what_the_model_reads() -> None:
    """An accelerometer's bytes stand behind the signals: once rounded, and held to what an int8 holds."""
    W = 6
    acceleration = np.random.default_rng(0).normal(0, 1, (W, T, 3)).astype(np.float32)
    acceleration[0, 0] = [9.0, -9.0, 1 / 32 + 0.001]
    windows = Windows(
        rssi=signal(W, T, P),
        rooms_at=np.zeros((W, T), np.int16),
        room=np.zeros(W, np.int16),
        session=np.zeros(W, np.int32),
        end_time=np.arange(W, dtype=float),
        rooms=("a", "b", "c", "d"),
        access_points=tuple(f"ap{i}" for i in range(P)),
        sessions=("s",),
        seconds_per_step=0.2,
        acceleration=acceleration,
    )
    stream = replay(windows, "reset", motion=True)
    assert stream.samples[0, P:].tolist() == [127, -127, 1]
    assert len(stream.records()) == W * T * (1 + P + 3)
    model, checkpoint = made(CONFIGS["mdcsa-motion-L3"])
    given = families.inputs(checkpoint.config, checkpoint.scaling, windows.rssi, acceleration)
    assert np.array_equal(given[1].reshape(-1, 3) * 32, stream.samples[:, P:])
    with torch.no_grad():
        wanted = model(*(torch.from_numpy(part) for part in given))[:, -1].numpy()
    found = float_graph_of(checkpoint).run(stream.samples.reshape(W, T, -1))[:, -1]
    np.testing.assert_allclose(found, wanted, atol=2e-5)
    with pytest.raises(UsageError, match="has none"):
        replay(replace(windows, acceleration=None), "reset", motion=True)
    with pytest.raises(UsageError, match="anew"):
        replay(windows, "carried", motion=True)
    graph = lower(checkpoint, stream.samples.reshape(W, T, -1))
    with pytest.raises(QuantisationError, match="a sample of this model has 8 bytes, not 5"):
        Reference(graph).run(windows.rssi)
    tensors = tuple(replace(t, scale=1.0) if t.name == "acceleration" else t for t in graph.tensors)
    with pytest.raises(QuantisationError, match="three int8"):
        replace(graph, tensors=tensors).check()
