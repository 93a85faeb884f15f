"""The operators of Mamba's step: random graphs of them in C against the reference, on the chip too."""

from pathlib import Path

import numpy as np
import pytest
from builders import any_bytes, records, signal

from tinyloc.device.boards import find_board
from tinyloc.device.host import build_host
from tinyloc.device.tiers import find_tier
from tinyloc.emit import emit
from tinyloc.errors import QuantisationError, ToolchainError
from tinyloc.quant.graph import (
    Add,
    Curve,
    DepthwiseConv,
    Graph,
    Linear,
    Lookup,
    Multiply,
    Scan,
    Tensor,
)
from tinyloc.quant.lower import factor, factors
from tinyloc.quant.operator import lift_of
from tinyloc.quant.reference import Reference, answers
from tinyloc.quant.storage import from_bytes, to_bytes
from tinyloc.quant.tables import curve_table

STEPS = 12
STATES, TAPS = (1, 2, 3, 6, 16, 7), (4, 2, 4, 5, 4, 3)


def step_graph(seed: int) -> Graph:
    """Sample, embedding, convolution, curve, scan, gate, residual and head; odd sizes among them."""
    rng = np.random.default_rng(seed)
    points, rooms = int(rng.integers(1, 9)), int(rng.integers(2, 8))
    wide, states, taps = int(rng.integers(1, 30)), STATES[seed % 6], TAPS[seed % 6]
    c_limit = min(32767, (2**31 - 1) // (32768 * states))

    def tensor(name: str, size: int = wide, limit: int = 32767) -> Tensor:
        return Tensor(name, size, 16, limit, 2**-12)

    tensors = [
        Tensor("sample", points, 8, 127, 1.0), Tensor("signal", points, 16, 128, 1.0),
        *(tensor(name) for name in ("x", "filtered", "bent", "slow", "dt", "read", "gate", "gated", "sum")),
        tensor("b", states), tensor("c", states, c_limit), tensor("scores", rooms),
    ]  # fmt: skip
    by = {tensor.name: tensor for tensor in tensors}

    def linear(name: str, x: str, y: str) -> Linear:
        weight = rng.integers(-127, 128, (by[y].size, by[x].size), dtype=np.int8)
        reach = by[x].limit * 60 * by[x].size ** 0.5
        bias = rng.integers(-int(reach), int(reach), by[y].size).astype(np.int32)
        scales = by[y].limit / reach * 2.0 ** rng.uniform(-3, 1, by[y].size)
        return Linear(name, x, y, weight, bias, *factors(scales, "any"))

    fill = np.arange(-128, 128).astype(np.int16)
    fill[0] = rng.integers(-128, 0)
    if seed % 2:
        fill = rng.integers(-128, 129, 256).astype(np.int16)
    taps_weight = rng.integers(-127, 128, (wide, taps), dtype=np.int8)
    taps_factor = factors(2.0 ** rng.uniform(-9, -6, wide), "any")
    softplus = curve_table("softplus", 2**-12, 2 ** -float(rng.uniform(11, 13)), 32767)
    y_shift = int(rng.integers(20, 40))
    reach = 2 ** min(29, y_shift - 9)
    scan = Scan(
        "scan", "dt", "b", "c", "bent", "read",
        decay=(rng.integers(0, 32768, (wide, states)) >> rng.integers(0, 9, (wide, states))).astype(np.int16),
        decay_shift=int(rng.integers(0, 17)),
        **dict(zip(("u_multiplier", "u_shift"), factor(2.0 ** rng.uniform(-16, -14), "u"), strict=True)),
        skip=rng.integers(-reach, reach, wide).astype(np.int32),
        skip_shift=0,
        y_multiplier=int(rng.integers(1, 2 ** (y_shift - 12))),
        y_shift=y_shift,
    )  # fmt: skip
    a, b = (int(rng.integers(2**28, 2**31)) for _ in range(2))
    operators = (
        Lookup("lookup", "sample", "signal", fill), linear("embed", "signal", "x"),
        DepthwiseConv(
            "conv", "x", "filtered", taps_weight,
            rng.integers(-(2**20), 2**20, wide).astype(np.int32), *taps_factor,
        ),
        Curve("silu", "filtered", "bent", "silu", curve_table("silu", 2**-12, 2**-12, 32767)),
        linear("dt_proj", "bent", "slow"), Curve("softplus", "slow", "dt", "softplus", softplus),
        linear("b_proj", "bent", "b"), linear("c_proj", "bent", "c"), scan, linear("gating", "x", "gate"),
        Multiply("multiply", "read", "gate", "gated", *factor(2.0 ** rng.uniform(-15, -12), "m")),
        Add("add", "x", "gated", "sum", a, b, int(rng.integers(29, 36))), linear("head", "sum", "scores"),
    )  # fmt: skip
    names = tuple(f"ap{i}" for i in range(points)), tuple(f"room{i}" for i in range(rooms))
    return Graph("test", "H1L1", *names, STEPS, 0.2, "reset", tuple(tensors), operators, "scores").check()


@pytest.mark.parametrize("seed", range(6))
def test_c_equals_the_reference_on_this_computer(seed: int, tmp_path: Path) -> None:
    graph = step_graph(seed)
    points = len(graph.access_points)
    rssi = np.concatenate([signal(30, STEPS, points, seed), any_bytes(30, STEPS, points, seed)])
    scores = Reference(graph, check=True).run(rssi)
    assert len(np.unique(scores)) > 50, "a test on constants would prove nothing"
    emit(graph, tmp_path / "c")
    assert build_host(tmp_path / "c", tmp_path / "host", sanitize=True).run(records(rssi)) == answers(scores)
    assert to_bytes(from_bytes(to_bytes(graph))) == to_bytes(graph)


@pytest.mark.parametrize("seed", range(6))
def test_the_dsp_kernels_equal_the_reference_on_a_cortex_m4(seed: int, tmp_path: Path) -> None:
    graph = step_graph(seed)
    rssi = any_bytes(20, STEPS, len(graph.access_points), seed)
    emit(graph, tmp_path / "c")
    tier = find_tier("pip")
    firmware = tier.build(tmp_path / "c", find_board("cortex-m4"), tmp_path / "build", ram_bytes=32 * 1024)
    run = tier.run(firmware, records(rssi), count_records=STEPS)
    assert run.answers == answers(Reference(graph, check=True).run(rssi))


@pytest.mark.reference
@pytest.mark.parametrize("seed", range(6))
def test_the_vector_kernels_equal_the_reference_on_a_cortex_m55(seed: int, tmp_path: Path) -> None:
    board = find_board("cortex-m55")
    try:
        tier = find_tier("reference", board.cpu)
    except ToolchainError as error:
        pytest.skip(str(error))
    graph = step_graph(seed)
    rssi = any_bytes(20, STEPS, len(graph.access_points), seed)
    emit(graph, tmp_path / "c")
    firmware = tier.build(tmp_path / "c", board, tmp_path / "build", ram_bytes=32 * 1024)
    run = tier.run(firmware, records(rssi), count_records=STEPS)
    assert run.answers == answers(Reference(graph, check=True).run(rssi))


def test_a_sum_that_cannot_be_shifted_up_is_refused() -> None:
    """A factor above a quarter is taken from the upper word too, so the sum must leave room for that."""
    tensors = (Tensor("sample", 1, 8, 127, 1.0), Tensor("scores", 2, 16, 32767, 1.0))
    multiplier, shift = factors(np.full(2, 1000.0), "any")
    assert lift_of(shift) == 12
    for bias, fits in ((2**18, True), (2**20, False)):
        linear = Linear(
            "head",
            "sample",
            "scores",
            np.ones((2, 1), np.int8),
            np.full(2, bias, np.int32),
            multiplier,
            shift,
        )
        graph = Graph("test", "H1L1", ("a",), ("b", "c"), 1, 0.0, "reset", tensors, (linear,), "scores")
        if fits:
            assert graph.check() is graph
        else:
            with pytest.raises(QuantisationError, match="once shifted up"):
                graph.check()
