"""Weights of 4 bits: where a row is clipped, which operators have them, what that leaves of the scores."""

from __future__ import annotations

import numpy as np
import pytest
from builders import mamba, signal

from tinyloc.models.checkpoint import Checkpoint
from tinyloc.quant.float_graph import FloatEmbed, FloatLinear
from tinyloc.quant.graph import Embed, Graph, Linear
from tinyloc.quant.lower import float_graph_of, lower
from tinyloc.quant.packing import CLIPS, LEAST_PACKED, clipped_scale, packed_operators
from tinyloc.quant.reference import Reference


def error(weight: np.ndarray, scale: np.ndarray, importance: np.ndarray) -> np.ndarray:
    """What rounding to -7..7 costs each row."""
    rounded = np.clip(np.rint(weight / scale[:, None]), -7, 7) * scale[:, None]
    return np.asarray(np.square(weight - rounded) @ importance)


@pytest.mark.parametrize("importance", [np.ones(64), np.linspace(0, 3, 64), np.zeros(64)])
def test_the_clip_is_the_best_of_those_tried(importance: np.ndarray) -> None:
    weight = np.random.default_rng(0).standard_t(3, (20, 64))
    weight[3] = 0
    found = clipped_scale(weight, importance, 7)
    reach = np.maximum(np.abs(weight).max(axis=1), 1e-9)
    tried = np.array([error(weight, clip * reach / 7, importance) for clip in CLIPS])
    assert np.array_equal(error(weight, found, importance), tried.min(axis=0))
    if importance.any():
        assert (found[np.arange(20) != 3] < reach[np.arange(20) != 3] / 7).any()
    else:
        assert np.array_equal(found, reach / 7)


def score_noise(checkpoint: Checkpoint, graph: Graph) -> float:
    """Signal to quantisation noise ratio in dB on windows that calibrated nothing."""
    fresh = signal(100, 20, len(checkpoint.access_points), 1)
    truth = float_graph_of(checkpoint).run(fresh)[:, -1]
    scores = Reference(graph, check=True).run(fresh)[:, -1] * graph.tensor(graph.output).scale
    return float(10 * np.log10(np.square(truth).sum() / np.square(truth - scores).sum()))


def bits_of(graph: Graph) -> dict[str, int]:
    """The bits of the weights of each Linear and Embed."""
    return {op.name: op.weight_bits for op in graph.operators if isinstance(op, (Linear, Embed))}


@pytest.mark.parametrize("kind", ["minmax", "power"])
def test_the_larger_matrices_are_packed_and_never_the_last(kind: str) -> None:
    _, checkpoint = mamba(32, points=40, rooms=40, kind=kind)
    floats, rssi = float_graph_of(checkpoint), signal(100, 20, 40)
    narrow, wide = lower(checkpoint, rssi, weight_bits=4), lower(checkpoint, rssi)
    assert set(bits_of(wide).values()) == {8}
    assert bits_of(narrow)["embed"] == 4
    assert bits_of(narrow)["head"] == 8
    for op in floats.operators:
        if isinstance(op, (FloatLinear, FloatEmbed)) and op.name != "head":
            assert bits_of(narrow)[op.name] == (4 if op.weight.size >= LEAST_PACKED else 8)
    assert packed_operators(floats) == {name for name, bits in bits_of(narrow).items() if bits == 4}
    assert 8 < score_noise(checkpoint, narrow) < score_noise(checkpoint, wide)


def test_what_is_small_stays_as_it_was() -> None:
    _, checkpoint = mamba(4)
    rssi = signal(50, 20, 6)
    one, two = lower(checkpoint, rssi), lower(checkpoint, rssi, weight_bits=4)
    assert not two.packed
    assert all(repr(a) == repr(b) for a, b in zip(one.operators, two.operators, strict=True))
