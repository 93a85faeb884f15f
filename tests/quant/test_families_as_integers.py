"""Every family to integers and C: the float twin is the model, the integers are close, the C the same."""

from pathlib import Path

import numpy as np
import pytest
import torch
from builders import any_bytes, records, scaling, signal

from tinyloc.device.boards import find_board
from tinyloc.device.host import build_host
from tinyloc.device.tiers import find_tier
from tinyloc.emit import emit
from tinyloc.models import families
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.models.config import (
    Config,
    MambaConfig,
    MdcsaConfig,
    MlpConfig,
    StatnetConfig,
    TransformerConfig,
)
from tinyloc.quant.attribution import attribution
from tinyloc.quant.lower import float_graph_of, lower
from tinyloc.quant.reference import Reference, answers

P, K, T = 5, 4, 12
CONFIGS: dict[str, Config] = {
    "transformer": TransformerConfig(P, K, steps=T, hidden=16, layers=2, heads=2),
    "mdcsa-L1": MdcsaConfig(P, K, hidden=8, layers=1),
    "mdcsa-L3": MdcsaConfig(P, K, hidden=6, layers=3),
    "mdcsa-crf": MdcsaConfig(P, K, hidden=8, layers=1, crf=True),
    "mamba-crf": MambaConfig(P, K, hidden=8, crf=True),
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
        config, scaling("zscore", P), model.weights(), *names, T, 0.2, "reset", {}
    )


@pytest.mark.parametrize("name", CONFIGS)
def test_the_float_twin_is_the_model(name: str) -> None:
    model, checkpoint = made(CONFIGS[name])
    rssi = signal(30, T, P, 1)
    with torch.no_grad():
        inputs = families.inputs(checkpoint.config, checkpoint.scaling, rssi)
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
    graph = lower(checkpoint, signal(200, T, P), precision)  # type: ignore[arg-type]
    fresh = np.concatenate([signal(100, T, P, 1), any_bytes(30, T, P)])
    scores = Reference(graph, check=True).run(fresh)
    truth = float_graph_of(checkpoint).run(fresh[:100])[:, -1]
    error = scores[:100, -1] * graph.tensor(graph.output).scale - truth
    assert 10 * np.log10(np.square(truth).sum() / np.square(error).sum()) > (
        30 if precision == "int16" else 20
    )
    emit(graph, tmp_path / "c")
    assert build_host(tmp_path / "c", tmp_path / "host", sanitize=True).run(records(fresh)) == answers(scores)
    assert len(attribution(float_graph_of(checkpoint), graph, fresh[:20])) == len(graph.operators)


@pytest.mark.parametrize("name", ["transformer", "mdcsa-L3", "statnet", "mamba-crf"])
def test_on_a_cortex_m4(name: str, tmp_path: Path) -> None:
    _, checkpoint = made(CONFIGS[name])
    graph = lower(checkpoint, signal(100, T, P))
    rssi = np.concatenate([signal(10, T, P, 2), any_bytes(10, T, P)])
    emit(graph, tmp_path / "c")
    tier = find_tier("pip")
    firmware = tier.build(tmp_path / "c", find_board("cortex-m4"), tmp_path / "build", ram_bytes=32 * 1024)
    assert tier.run(firmware, records(rssi), count_records=T).answers == answers(Reference(graph).run(rssi))
