"""Ensembles to integers and C: one graph of all members, what they share there once, the C the same."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from builders import any_bytes, records, signal
from ensemble_models import MIXES, K, P, T, c_is_the_same, made, on_a_cortex_m4, together

from tinyloc.data.windows import Windows
from tinyloc.device.boards import find_board
from tinyloc.device.host import build_host
from tinyloc.device.tiers import find_tier
from tinyloc.emit import emit
from tinyloc.errors import QuantisationError
from tinyloc.learn.predict import predict
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.models.config import (
    ForestConfig,
    MambaConfig,
    MlpConfig,
    StatnetConfig,
)
from tinyloc.quant.attribution import attribution
from tinyloc.quant.decision import Layer, penalty_chain
from tinyloc.quant.float_graph import FloatGraph
from tinyloc.quant.graph import Embed, Graph, Linear
from tinyloc.quant.lower import factor, float_graph_of, lower
from tinyloc.quant.packing import LEAST_PACKED
from tinyloc.quant.reference import Reference, answers
from tinyloc.quant.storage import from_bytes, to_bytes
from tinyloc.quant.stream import Stream, streaming


def windows(rssi: np.ndarray, checkpoint: Checkpoint) -> Windows:
    """These samples as windows."""
    W, steps = rssi.shape[:2]
    return Windows(
        rssi=rssi,
        rooms_at=np.zeros((W, steps), np.int16),
        room=np.zeros(W, np.int16),
        session=np.zeros(W, np.int32),
        end_time=np.arange(W, dtype=float),
        rooms=checkpoint.rooms,
        access_points=checkpoint.access_points,
        sessions=("s",),
        seconds_per_step=0.2,
    )


def kinds(graph: FloatGraph | Graph) -> Counter[str]:
    """How many operators there are of each kind."""
    return Counter(type(operator).__name__.removeprefix("Float") for operator in graph.operators)


@pytest.mark.parametrize("name", MIXES)
def test_the_float_twin_is_what_the_members_say_together(name: str) -> None:
    steps, checkpoint = made(name)
    rssi = np.concatenate([signal(30, steps, P, 1), any_bytes(10, steps, P)])
    wanted = predict(checkpoint, windows(rssi, checkpoint))
    found = float_graph_of(checkpoint).run(rssi)[:, -1]
    assert np.abs(found - wanted).max() <= 1e-4 * max(1.0, np.abs(wanted).max() / 10)
    assert len(np.unique(wanted.argmax(axis=1))) > 1, "a test on constants would prove nothing"


@pytest.mark.parametrize("precision", ["int16", "int8"])
def test_a_vote_of_few_trees_is_much(precision: str, tmp_path: Path) -> None:
    """Few votes on one scale of scores are a large factor: the proof of the accumulator knows how few."""
    checkpoint = together([ForestConfig(P, K, 3, 4), ForestConfig(P, K, 1, 2)], T, shares=[1, 1])
    rssi = np.concatenate([signal(100, T, P), any_bytes(30, T, P)])
    graph = lower(checkpoint, rssi, precision)  # type: ignore[arg-type]
    wanted = predict(checkpoint, windows(rssi, checkpoint))
    found = Reference(graph).run(rssi)
    assert (found[:, -1].argmax(axis=1) == wanted.argmax(axis=1)).all(), (
        "a vote is far from being rounded away"
    )
    emit(graph, tmp_path / "c")
    assert build_host(tmp_path / "c", tmp_path / "host", sanitize=True).run(records(rssi)) == answers(found)


@pytest.mark.parametrize("precision", ["int16", "int8"])
@pytest.mark.parametrize("name", MIXES)
def test_integers_stay_close(name: str, precision: str) -> None:
    steps, checkpoint = made(name)
    graph = lower(checkpoint, signal(400, steps, P), precision)  # type: ignore[arg-type]
    assert (graph.family, graph.size) == ("ensemble", checkpoint.config.name)
    assert to_bytes(from_bytes(to_bytes(graph))) == to_bytes(graph)
    known = signal(100, steps, P, 1)
    scores = Reference(graph, check=True).run(np.concatenate([known, any_bytes(30, steps, P)]))[:100, -1]
    twin = float_graph_of(checkpoint)
    truth = twin.run(known)[:, -1]
    assert (scores.argmax(axis=1) == truth.argmax(axis=1)).mean() >= 0.97
    error = scores * graph.tensor(graph.output).scale - truth
    least = 30 if precision == "int16" else 20
    assert 10 * np.log10(np.square(truth).sum() / np.square(error).sum()) > least
    assert len(attribution(twin, graph, known[:20])) == len(graph.operators)


@pytest.mark.parametrize(("name", "precision"), [("mixed", "int8"), ("single", "int16")])
def test_the_c_is_the_same(name: str, precision: str, tmp_path: Path) -> None:
    c_is_the_same(name, precision, tmp_path)


def test_a_state_that_is_carried_by_all_members(tmp_path: Path) -> None:
    """One long stretch without a restart: float, twin, integers, C and chip."""
    carried = replace(made("mambas")[1], state="carried")
    stretch = signal(1, 240, P, 3)
    listened = replace(
        windows(np.zeros((240 // T, T, P), np.int8), carried),
        rssi=stretch.reshape(-1, T, P),
        end_time=(np.arange(240 // T) * T + T - 1) * 0.2,
    )
    said = predict(carried, listened)
    twin = float_graph_of(carried).run(stretch)[0, T - 1 :: T]
    assert np.abs(twin - said).max() <= 1e-4 * max(1.0, np.abs(said).max() / 10)
    afresh = predict(replace(carried, state="reset"), listened)
    assert np.abs(afresh[1:] - said[1:]).max() > 1e-3, "a state that is forgotten is another model"
    graph = lower(carried, signal(4, 200, P))
    assert graph.state == "carried"
    assert not kinds(graph)["Collect"]
    assert to_bytes(from_bytes(to_bytes(graph))) == to_bytes(graph)
    emit(graph, tmp_path / "c")
    wanted = Reference(graph, check=True).run(stretch)
    assert (wanted[0, T - 1 :: T].argmax(axis=1) == said.argmax(axis=1)).mean() >= 0.9
    done = build_host(tmp_path / "c", tmp_path / "host", sanitize=True).run(records(stretch))
    assert done == answers(wanted)
    chip = find_tier("pip")
    firmware = chip.build(tmp_path / "c", find_board("cortex-m4"), tmp_path / "build", ram_bytes=8 * 1024)
    assert chip.run(firmware, records(stretch), count_records=1).answers == done


def test_on_a_cortex_m4(tmp_path: Path) -> None:
    """On the other tier and for all mixes: among the slow proofs."""
    on_a_cortex_m4("reference", "mixed", tmp_path)


def test_weights_of_four_bits_but_in_no_members_last_layer() -> None:
    """A head that is large enough to be packed keeps its bits whichever member's it is."""
    points, rooms = 8, 40
    configs = [StatnetConfig(points, rooms, 32), MambaConfig(points, rooms, 32), MlpConfig(points, rooms, 32)]
    checkpoint = together(configs, T)
    graph = lower(checkpoint, signal(100, T, points), "int16", 4)
    bits = {op.name: op.weight_bits for op in graph.operators if isinstance(op, (Linear, Embed))}
    heads = {f"m{i}_head" for i in range(3)}
    weights = {op.name: op.weight.size for op in float_graph_of(checkpoint).operators if op.name in bits}
    assert all(weights[name] >= LEAST_PACKED for name in heads)
    assert {name for name, many in bits.items() if many == 4} == {
        name for name, size in weights.items() if size >= LEAST_PACKED
    } - heads
    assert 4 in bits.values()
    assert to_bytes(from_bytes(to_bytes(graph))) == to_bytes(graph)
    fresh = signal(60, T, points, 1)
    scores = Reference(graph, check=True).run(fresh)[:, -1]
    truth = float_graph_of(checkpoint).run(fresh)[:, -1]
    assert (scores.argmax(axis=1) == truth.argmax(axis=1)).mean() > 0.7


def test_what_members_need_alike_is_there_once() -> None:
    count = {name: kinds(lower(made(name)[1], signal(50, MIXES[name][0], P))) for name in MIXES}
    assert count["mixed"]["Statistics"] == 1
    assert count["mixed"]["Collect"] == 2, "the samples, and Mamba's answers"
    assert count["forests"] == Counter(Collect=1, Statistics=1, Forest=2, Standardise=2, Add=1)
    assert count["said"]["Running"] == 1
    alike = together([StatnetConfig(P, K, 8)] * 3 + [ForestConfig(P, K, 4, 8)], T)
    assert kinds(float_graph_of(alike))["Statistics"] == kinds(float_graph_of(alike))["Collect"] == 1
    mambas = together([MambaConfig(P, K, 4)] * 3, T, kinds=("zscore", "minmax"))
    assert kinds(float_graph_of(mambas))["Lookup"] == 1, "both read the same dBm"
    table = mambas.weights["members.2.scaling.table"].copy()
    table[0] += 1
    other = replace(mambas, weights={**mambas.weights, "members.2.scaling.table": table})
    assert kinds(float_graph_of(other))["Lookup"] == 2


def test_names_say_whose_an_operator_is() -> None:
    graph = float_graph_of(made("mixed")[1])
    names = [operator.name for operator in graph.operators]
    assert len(set(names)) == len(names)
    assert len({operator.y for operator in graph.operators}) == len(names)
    assert {name.split("_")[0] for name in names} == {"m0", "m1", "m2", "add1", "add2"}
    assert graph.output == "scores"


def test_mambas_alone_answer_at_every_step() -> None:
    _, checkpoint = made("mambas")
    graph = lower(checkpoint, signal(50, T, P))
    assert not graph.windowed
    assert kinds(graph)["Collect"] == 0
    rssi = signal(20, T, P, 3)
    scores = Reference(graph).run(rssi)
    truth = float_graph_of(checkpoint).run(rssi)
    for step in range(T):
        cut = replace(checkpoint, window_steps=step + 1)
        wanted = predict(cut, windows(rssi[:, : step + 1], checkpoint))
        np.testing.assert_allclose(truth[:, step], wanted, atol=1e-4)
        close = scores[:, step] * graph.tensor("scores").scale - truth[:, step]
        assert np.abs(close).max() < 0.05 * np.abs(truth).max()
    assert (np.diff(scores, axis=1) != 0).any(axis=2).mean() > 0.9


def test_shares_are_folded_in_and_scale_what_is_said() -> None:
    configs = MIXES["mixed"][1]
    rssi = signal(30, T, P, 1)
    parts = []
    for at in range(3):
        shares = [1.0 if i == at else 1e-6 for i in range(3)]
        parts.append(float_graph_of(together(configs, T, shares)).run(rssi)[:, -1])
    whole = float_graph_of(together(configs, T, [3.0, 0.5, 2.0])).run(rssi)[:, -1]
    np.testing.assert_allclose(whole, 3 * parts[0] + 0.5 * parts[1] + 2 * parts[2], atol=1e-3)
    small = together(configs, T, [3.0, 0.5, 2.0])
    plain = together(configs, T, [1.0, 1.0, 1.0])
    assert kinds(float_graph_of(small)) == kinds(float_graph_of(plain))


HOPS = [("whole", 3), ("forests", 1), ("mixed", T), ("mambas", T), ("said", T)]


@pytest.mark.parametrize(("name", "hop"), HOPS)
def test_it_listens_without_end_behind_a_decision(name: str, hop: int, tmp_path: Path) -> None:
    _, checkpoint = made(name)
    plain = lower(checkpoint, signal(100, T, P))
    layer = Layer(penalty_chain(K, 2.0), 0.5, hop)
    chance = factor(plain.tensor("scores").scale * 65536, "chance")
    graph = streaming(layer.behind(plain), hop, chance)
    assert from_bytes(to_bytes(graph)).hop == hop
    samples = np.concatenate([signal(1, 70, P, 1)[0], any_bytes(1, 50, P)[0]])
    flags = np.zeros(len(samples), np.int8)
    flags[[0, 41]] = 1
    twin, said, fresh = Stream(graph, check=True), b"", []
    for at, (sample, flag) in enumerate(zip(samples, flags, strict=True)):
        if flag:
            twin.init()
        answer = twin.step(sample)
        said += answer.to_bytes()
        if answer.fresh:
            fresh.append((at, answer))
    assert [at for at, _ in fresh] == [*range(T - 1, 41, hop), *range(41 + T - 1, 120, hop)]
    ends = np.array([at for at, _ in fresh])
    alone = Reference(plain).run(samples[ends[:, None] + np.arange(1 - T, 1)])[:, -1]
    assert np.array_equal([answer.scores for _, answer in fresh], alone)
    if name == "whole":  # the others among the slow proofs of packages
        emit(graph, tmp_path / "c")
        program = build_host(tmp_path / "c", tmp_path / "host", sanitize=True)
        assert program.run(np.concatenate([flags[:, None], samples], axis=1).tobytes()) == said


@pytest.mark.parametrize("name", ["mixed", "mambas", "said"])
def test_windows_whose_steps_keep_a_state_do_not_slide(name: str) -> None:
    graph = lower(made(name)[1], signal(50, T, P))
    assert not graph.slides
    with pytest.raises(QuantisationError, match="hop"):
        streaming(graph, 3)
