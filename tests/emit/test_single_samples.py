"""Models of single samples: the MLP and the embedding that reads them, in C against the reference."""

from pathlib import Path

import numpy as np
import pytest
import torch
from builders import ROOMS, any_bytes, mamba, records, scaling, signal

from tinyloc.device.boards import find_board
from tinyloc.device.host import build_host
from tinyloc.device.tiers import find_tier
from tinyloc.emit import emit
from tinyloc.emit.plan import plan
from tinyloc.errors import QuantisationError
from tinyloc.models import families
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.models.config import MlpConfig
from tinyloc.quant.graph import Embed, Graph, LayerNorm, Linear, Relu, Tensor
from tinyloc.quant.lower import factors, float_graph_of, lower
from tinyloc.quant.reference import Reference, answers
from tinyloc.quant.storage import from_bytes, to_bytes


def mlp(points: int, rooms: int, hidden: int, layers: int = 1, kind: str = "power") -> Checkpoint:
    """An MLP with random weights for windows of one sample."""
    torch.manual_seed(hidden)
    config = MlpConfig(points, rooms, hidden, layers)
    model = families.build(config)
    names = tuple(f"{ROOMS[i % 9]} {i}" for i in range(rooms)), tuple(f"ap{i}" for i in range(points))
    return Checkpoint(config, scaling(kind, points), model.weights(), *names, 1, 0.0, "reset", {})


def sparse(windows: int, points: int, seed: int) -> np.ndarray:
    """Single samples [W, 1, P] of which one value in ten is heard."""
    rssi = signal(windows, 1, points, seed)
    rssi[np.random.default_rng(seed).random(rssi.shape) < 0.9] = -128
    return rssi


@pytest.mark.parametrize("kind", ["power", "zscore"])
def test_one_sample_is_one_step(kind: str, tmp_path: Path) -> None:
    checkpoint = mlp(40, 7, 12, 2, kind)
    rssi = sparse(200, 40, 0)
    graph = lower(checkpoint, rssi)
    assert not graph.windowed
    assert not list(graph.states())
    fresh = np.concatenate([sparse(100, 40, 1), any_bytes(100, 1, 40)])
    scores = Reference(graph, check=True).run(fresh)
    truth = float_graph_of(checkpoint).run(fresh[:100])[:, -1]
    error = scores[:100, -1] * graph.tensor(graph.output).scale - truth
    assert 10 * np.log10(np.square(truth).sum() / np.square(error).sum()) > 30
    emit(graph, tmp_path / "c")
    assert build_host(tmp_path / "c", tmp_path / "host", sanitize=True).run(records(fresh)) == answers(scores)
    assert to_bytes(from_bytes(to_bytes(graph))) == to_bytes(graph)


def test_a_model_of_many_access_points_keeps_no_copy_of_the_signal() -> None:
    graph = lower(mlp(520, 60, 16), sparse(100, 520, 0))
    assert [type(operator) for operator in graph.operators] == [Embed, LayerNorm, Relu, Linear]
    layout = plan(graph)
    assert (layout.bytes, layout.scratch) == (2 * 16, 4 * 16)
    _, checkpoint = mamba(8, 1, 520, 60, kind="power")
    assert plan(lower(checkpoint, sparse(100, 520, 0))).bytes < 520


def embedding(seed: int) -> Graph:
    """Nothing but an embedding and a ReLU: a random table, weights of every size."""
    rng = np.random.default_rng(seed)
    points, rooms = int(rng.integers(1, 30)), int(rng.integers(2, 20))
    table = rng.integers(-32767, 32768, 256).astype(np.int16)
    table[rng.random(256) < 0.4] = 0
    tensors = (
        Tensor("sample", points, 8, 127, 1.0),
        *(Tensor(name, rooms, 16, 32767, 1.0) for name in ("wide", "scores")),
    )
    embed = Embed(
        "embed", "sample", "wide", table,
        rng.integers(-127, 128, (rooms, points), dtype=np.int8),
        rng.integers(-(2**20), 2**20, rooms).astype(np.int32),
        *factors(2.0 ** rng.uniform(-9, -6, rooms) / points**0.5, "any"),
    )  # fmt: skip
    names = tuple(f"ap{i}" for i in range(points)), tuple(f"room{i}" for i in range(rooms))
    operators = (embed, Relu("relu", "wide", "scores"))
    return Graph("test", "H1L1", *names, 1, 0.0, "reset", tensors, operators, "scores").check()


@pytest.mark.parametrize("seed", range(4))
def test_any_embedding_on_any_bytes(seed: int, tmp_path: Path) -> None:
    graph = embedding(seed)
    rssi = any_bytes(100, 1, len(graph.access_points), seed)
    scores = Reference(graph, check=True).run(rssi)
    assert len(np.unique(scores)) > 50
    emit(graph, tmp_path / "c")
    assert build_host(tmp_path / "c", tmp_path / "host", sanitize=True).run(records(rssi)) == answers(scores)


def test_on_a_cortex_m4(tmp_path: Path) -> None:
    graph = lower(mlp(60, 9, 16), sparse(100, 60, 0))
    rssi = np.concatenate([sparse(50, 60, 2), any_bytes(30, 1, 60)])
    emit(graph, tmp_path / "c")
    tier = find_tier("pip")
    firmware = tier.build(tmp_path / "c", find_board("cortex-m4"), tmp_path / "build", ram_bytes=32 * 1024)
    run = tier.run(firmware, records(rssi), count_records=80)
    assert run.answers == answers(Reference(graph).run(rssi))


def test_an_embedding_that_could_overflow_is_refused() -> None:
    import dataclasses

    graph = embedding(0)
    embed = graph.operators[0]
    loud = dataclasses.replace(embed, bias=np.full(len(graph.rooms), 2**31 - 1, np.int32))  # type: ignore[call-arg]
    with pytest.raises(QuantisationError, match="32-bit accumulator"):
        dataclasses.replace(graph, operators=(loud, *graph.operators[1:])).check()
