"""Lowering: the float twin is the model, the integers are close to it, what cannot be proved is refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from builders import mamba, signal
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyloc.errors import QuantisationError
from tinyloc.quant.attribution import attribution
from tinyloc.quant.calibrate import best_clip, calibrate
from tinyloc.quant.graph import Curve, Linear, Scan
from tinyloc.quant.lower import factor, float_graph_of, lower
from tinyloc.quant.reference import Reference


def sqnr(truth: np.ndarray, found: np.ndarray) -> float:
    """Signal to quantisation noise ratio in dB."""
    return float(10 * np.log10(np.square(truth).sum() / np.square(truth - found).sum()))


@settings(max_examples=12, deadline=None)
@given(
    st.sampled_from([1, 4, 8, 17]),
    st.integers(1, 3),
    st.sampled_from(["minmax", "zscore", "power"]),
    st.integers(0, 10_000),
)
def test_float_graph_is_the_trained_model(hidden: int, layers: int, kind: str, seed: int) -> None:
    model, checkpoint = mamba(hidden, layers, seed=seed, kind=kind)
    rssi = signal(10, 20, 6, seed)
    with torch.no_grad():
        wanted = model(torch.from_numpy(checkpoint.scaling.apply(rssi))).numpy()
    found = float_graph_of(checkpoint).run(rssi)
    assert np.abs(found - wanted).max() <= 1e-5 * max(1.0, np.abs(wanted).max())


@pytest.mark.parametrize(("precision", "least"), [("int16", 40.0), ("int8", 28.0)])
@pytest.mark.parametrize("kind", ["minmax", "zscore"])
@pytest.mark.parametrize("hidden", [8, 32])
def test_integers_stay_close(precision: str, least: float, kind: str, hidden: int) -> None:
    _, checkpoint = mamba(hidden, kind=kind, points=11, rooms=9)
    graph = lower(checkpoint, signal(300, 20, 11), precision)  # type: ignore[arg-type]
    fresh = signal(200, 20, 11, seed=1)
    scores = Reference(graph).run(fresh)[:, -1] * graph.tensor("scores").scale
    assert sqnr(float_graph_of(checkpoint).run(fresh)[:, -1], scores) > least


def test_the_same_input_gives_the_same_graph() -> None:
    _, checkpoint = mamba()
    one, two = (lower(checkpoint, signal(50, 20, 6)) for _ in range(2))
    assert one.tensors == two.tensors
    assert all(repr(a) == repr(b) for a, b in zip(one.operators, two.operators, strict=True))


@given(st.floats(1e-18, 1e8))
def test_a_factor_is_kept_to_31_bits(value: float) -> None:
    multiplier, shift = factor(value, "any")
    assert 0 <= multiplier < 2**31
    assert 1 <= shift <= 62
    assert multiplier * 2.0**-shift == pytest.approx(value, rel=2**-30, abs=2.0**-62)


@pytest.mark.parametrize("value", [float("nan"), -1.0, float("inf"), 1e12])
def test_an_impossible_factor_is_refused(value: float) -> None:
    with pytest.raises(QuantisationError, match="'gating'"):
        factor(value, "gating")


def test_an_accumulator_that_could_overflow_is_refused() -> None:
    _, checkpoint = mamba()
    graph = lower(checkpoint, signal(50, 20, 6))
    for position, operator in enumerate(graph.operators):
        if isinstance(operator, Linear) and operator.name == "in_x0":
            loud = replace(operator, bias=np.full_like(operator.bias, 2**31 - 1))
            operators = (*graph.operators[:position], loud, *graph.operators[position + 1 :])
            with pytest.raises(QuantisationError, match=r"'in_x0'.*32-bit accumulator"):
                replace(graph, operators=operators).check()


def test_a_scan_needs_headroom_and_a_step_that_is_never_negative() -> None:
    _, checkpoint = mamba()
    graph = lower(checkpoint, signal(50, 20, 6))
    wide = tuple(replace(t, limit=32767) if t.name == "c0" else t for t in graph.tensors)
    with pytest.raises(QuantisationError, match=r"'scan0'.*leave 32 bits"):
        replace(graph, tensors=wide).check()
    operators = tuple(
        replace(op, table=op.table - op.table.min() - np.int16(1))
        if isinstance(op, Curve) and op.y == "dt0"
        else op
        for op in graph.operators
    )
    with pytest.raises(QuantisationError, match="never negative"):
        replace(graph, operators=operators).check()


def test_operators_out_of_turn_are_refused() -> None:
    _, checkpoint = mamba()
    graph = lower(checkpoint, signal(50, 20, 6))
    with pytest.raises(QuantisationError, match="out of turn"):
        replace(graph, operators=graph.operators[::-1]).check()
    with pytest.raises(QuantisationError, match="nothing writes the scores"):
        replace(graph, operators=graph.operators[:-1]).check()


def test_no_calibration_windows() -> None:
    _, checkpoint = mamba()
    with pytest.raises(QuantisationError, match="no calibration windows"):
        lower(checkpoint, signal(0, 20, 6))


def test_calibration_sees_every_tensor() -> None:
    _, checkpoint = mamba()
    floats = float_graph_of(checkpoint)
    ranges = calibrate(floats, signal(60, 20, 6))
    assert {operator.y for operator in floats.operators} <= ranges.largest.keys()
    assert ranges.largest["sample"] == 128


def test_best_clip_prefers_steps_to_a_single_outlier() -> None:
    rng = np.random.default_rng(0)
    body = np.abs(rng.normal(0, 1, 20_000))
    # least of (16 - c)^2 for the outlier plus 20,000 times c^2 / (12 * 127^2) for rounding lies at c = 14.5
    assert best_clip(np.sort(np.append(body, 16.0)), 127) == pytest.approx(14.5, rel=0.03)
    assert best_clip(np.sort(body), 127) > 0.7 * body.max()
    assert best_clip(np.zeros(5), 127) == 0.0


def test_attribution_names_the_operator_that_was_spoilt() -> None:
    _, checkpoint = mamba(points=6)
    rssi = signal(80, 20, 6)
    graph = lower(checkpoint, rssi)
    spoilt = tuple(
        replace(op, decay=np.zeros_like(op.decay)) if isinstance(op, Scan) else op for op in graph.operators
    )
    costs = attribution(float_graph_of(checkpoint), replace(graph, operators=spoilt), rssi)
    assert costs[0].operator == "scan0"
    assert costs[0].error > 3 * costs[1].error
    assert len(costs) == len(graph.operators)
