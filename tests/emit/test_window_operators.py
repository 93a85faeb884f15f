"""The operators of a whole window: random graphs of them in C against the reference, to the bit."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from builders import any_bytes, records, signal

from tinyloc.device.boards import find_board
from tinyloc.device.host import build_host
from tinyloc.device.tiers import find_tier
from tinyloc.emit import emit
from tinyloc.errors import QuantisationError
from tinyloc.models.statistics import window_statistics
from tinyloc.quant.graph import (
    Add,
    Attention,
    Collect,
    Conv,
    Curve,
    Forest,
    Graph,
    Interleave,
    LastRow,
    LayerNorm,
    Linear,
    Lookup,
    MeanRows,
    Operator,
    Position,
    Relu,
    Standardise,
    Statistics,
    Tensor,
    Viterbi,
)
from tinyloc.quant.lower import factor, factors
from tinyloc.quant.reference import Reference, answers
from tinyloc.quant.storage import from_bytes, to_bytes
from tinyloc.quant.tables import curve_table

STEPS, ROOMS = 9, 4
FILL = np.where(np.arange(-128, 128) == -128, -120, np.arange(-128, 128)).astype(np.int8)


def rows_of(
    rng: np.random.Generator, out: int, wide: float, reach: float = 2**20
) -> tuple[np.ndarray, np.ndarray, int]:
    """Bias and multiplier for `out` rows and their shift, on either side of 32 as `wide` will have it."""
    bias = rng.integers(-int(reach), int(reach), out)
    return bias.astype(np.int32), *factors(wide * 2.0 ** rng.uniform(-3, 1, out), "any")


def linear(rng: np.random.Generator, name: str, x: Tensor, y: Tensor) -> Linear:
    """Random weights that neither overflow nor saturate all the time."""
    weight = rng.integers(-127, 128, (y.size, x.size), dtype=np.int8)
    reach = x.magnitude * 60 * x.size**0.5
    return Linear(name, x.name, y.name, weight, *rows_of(rng, y.size, y.limit / reach, reach))


def attention_graph(seed: int) -> Graph:
    """Sample, embedding, collected; position, norm, attention, convolution and Viterbi over the rows."""
    rng = np.random.default_rng(seed)
    P, H, heads = int(rng.integers(1, 7)), int(rng.choice([4, 8, 12])), int(rng.choice([1, 2, 4]))
    narrow = int((2**31 - 1) // (H // heads)) ** 0.5
    limit = min(32767, int(narrow))

    def window(name: str, size: int = H, limit: int = 32767, rows: int = STEPS) -> Tensor:
        return Tensor(name, size, 16, limit, 2**-12, rows)

    tensors = [
        Tensor("sample", P, 8, 127, 1.0), Tensor("signal", P, 8, 127, 1.0), Tensor("x", H, 16, 32767, 2**-12),
        window("rows"), window("placed"), window("normed"),
        window("q", limit=limit), window("k", limit=limit),
        window("v"), window("mixed"), window("bent"), window("three", rows=3 * STEPS), window("one"),
        window("emissions", ROOMS), Tensor("scores", ROOMS, 16, 32767, 2**-12),
    ]  # fmt: skip
    by = {tensor.name: tensor for tensor in tensors}
    gain_shift = int(rng.integers(12, 16))
    conv_weight = rng.integers(-127, 128, (H, 3 * H), dtype=np.int8)
    causal = rng.integers(-127, 128, (H, 4 * H), dtype=np.int8)
    score, y = factor(2.0 ** rng.uniform(-16, -6) * 65536 * 2**-8, "s"), factor(2.0**-15, "y")
    operators: list[Operator] = [
        Lookup("lookup", "sample", "signal", FILL),
        linear(rng, "embed", by["signal"], by["x"]),
        Collect("gate", "x", "rows"),
        Position("position", "rows", "placed", rng.integers(-9000, 9000, (STEPS, H)).astype(np.int16)),
        LayerNorm(
            "norm", "placed", "normed", int(rng.integers(16, 5000)), int(rng.integers(-2, 3)),
            *factor(1 / H, "m"),
            rng.integers(-16383, 16384, H).astype(np.int16),
            rng.integers(-(2 ** (gain_shift + 11)), 2 ** (gain_shift + 11), H).astype(np.int32), gain_shift,
        ),
        linear(rng, "query", by["normed"], by["q"]),
        Conv("key", "normed", "k", causal, *rows_of(rng, H, limit / (32767 * 60 * (4 * H) ** 0.5)), 4, 1, 3),
        linear(rng, "value", by["normed"], by["v"]),
        Attention("attention", "q", "k", "v", "mixed", heads, *score, *y),
        Curve("bend", "mixed", "bent", "elu", curve_table("elu", 2**-12, 2**-12, 32767)),
        Interleave("braid", "bent", "normed", "mixed", "three"),
        Conv("back", "three", "one", conv_weight, *rows_of(rng, H, 1 / (60 * (3 * H) ** 0.5)), 3, 3, 0),
        linear(rng, "head", by["one"], by["emissions"]),
        Viterbi(
            "path", "emissions", "scores", rng.integers(-900, 900, (ROOMS, ROOMS)).astype(np.int16),
            rng.integers(-900, 900, ROOMS).astype(np.int16), rng.integers(-900, 900, ROOMS).astype(np.int16),
        ),
    ]  # fmt: skip
    return graph(P, tensors, operators, "scores")


def encoder_graph(seed: int) -> Graph:
    """An encoder layer as lowering makes it, on rows that are tiny (seed 0, 3, ...), even, or saturated.

    With seed 2, 3, 6, 7, ... an attention looks at one row alone: the share that 16 bits cannot hold.
    """
    rng = np.random.default_rng(seed)
    P, H, F = 5, int(rng.choice([8, 16])), 24
    reach = (2.0**-15, 1.0, 64.0)[seed % 3]

    def window(name: str, size: int = H, limit: int = 32767) -> Tensor:
        return Tensor(name, size, 16, limit, 2**-12, STEPS)

    limit = 11000 if H == 16 else 16000
    tensors = [
        Tensor("sample", P, 8, 127, 1.0), Tensor("x", H, 16, 32767, 2**-12),
        window("rows"), window("normed"), window("q", limit=limit), window("k", limit=limit), window("v"),
        window("attended"), window("mixed"), window("middle", limit=30000), window("wide", F),
        window("bent", F), window("update"), window("stream"), window("final"),
        Tensor("pooled", H, 16, 32767, 2**-12), Tensor("scores", ROOMS, 16, 32767, 2**-12),
    ]  # fmt: skip
    by = {tensor.name: tensor for tensor in tensors}

    def norm(name: str, x: str, y: str) -> LayerNorm:
        gain_shift = int(rng.integers(11, 15))
        return LayerNorm(
            name, x, y, 16 if reach < 1 else int(rng.integers(16, 200)),
            -2 if reach < 1 else int(rng.integers(-2, 3)), *factor(1 / H, "m"),
            rng.integers(-16383, 16384, H).astype(np.int16),
            rng.integers(-(2**24), 2**24, H).astype(np.int32), gain_shift,
        )  # fmt: skip

    def add(name: str, a: str, b: str, y: str) -> Add:
        return Add(name, a, b, y, *(int(m) for m in rng.integers(2**28, 2**31, 2)), int(rng.integers(29, 34)))

    embed = linear(rng, "embed", by["sample"], by["x"])
    embed = dataclasses.replace(embed, multiplier=(embed.multiplier * min(reach, 1.0)).astype(np.int32))
    score = factor((2.0**-20, 2.0**-2)[seed // 2 % 2], "s")
    operators: list[Operator] = [
        embed, Collect("gate", "x", "rows"), norm("norm_a", "rows", "normed"),
        *(linear(rng, name, by["normed"], by[name[0]]) for name in ("query", "key", "value")),
        Attention("attention", "q", "k", "v", "attended", 2, *score, *factor(2.0**-15, "y")),
        linear(rng, "out", by["attended"], by["mixed"]), add("sum_a", "rows", "mixed", "middle"),
        norm("norm_b", "middle", "normed_b"), linear(rng, "expand", by["normed"], by["wide"]),
        Relu("relu", "wide", "bent"), linear(rng, "shrink", by["bent"], by["update"]),
        add("sum_b", "middle", "update", "stream"), norm("norm", "stream", "final"),
        MeanRows("mean", "final", "pooled", *factor(1 / STEPS, "m")),
        linear(rng, "head", by["pooled"], by["scores"]),
    ]  # fmt: skip
    operators[10] = dataclasses.replace(operators[10], x="normed_b")  # type: ignore[call-arg]
    return graph(P, [*tensors, window("normed_b")], operators, "scores")


def statistics_graph(seed: int) -> Graph:
    """Samples collected; their statistics, standardised; a row of weights for each room."""
    rng = np.random.default_rng(seed)
    P = int(rng.integers(1, 6))
    F = 6 * P
    tensors = [*facts(P), Tensor("even", F, 16, 32767, 2**-12), Tensor("scores", ROOMS, 16, 32767, 1.0)]
    by = {tensor.name: tensor for tensor in tensors}
    offset = np.concatenate([rng.integers(-12000, -6000, 3 * P), rng.integers(0, 9000, 3 * P)])
    operators: list[Operator] = [
        Collect("gate", "sample", "rows"),
        Statistics("statistics", "rows", "facts"),
        Standardise(
            "standard",
            "facts",
            "even",
            offset.astype(np.int16),
            *factors(2.0 ** rng.uniform(-3, 1, F), "s"),
        ),
        linear(rng, "head", by["even"], by["scores"]),
    ]
    return graph(P, tensors, operators, "scores")


def forest_graph(seed: int) -> Graph:
    """Samples collected; their statistics; trees that split where dBm lie."""
    rng = np.random.default_rng(seed)
    P = 3 if seed % 2 else 50  # 300 statistics need two bytes for a feature's number
    tensors = [*facts(P), Tensor("scores", ROOMS, 16, 32767, 1.0)]
    rows = rng.integers(-95 * 128, -55 * 128, 2000).astype(np.int16)
    forest = trees(rng, "facts", 3 * P, rows, np.uint8 if P == 3 else np.uint16)
    operators = [Collect("gate", "sample", "rows"), Statistics("statistics", "rows", "facts"), forest]
    return graph(P, tensors, operators, "scores")


def sample_forest_graph(seed: int) -> Graph:
    """Trees on the sample's own bytes: a graph of steps."""
    rng = np.random.default_rng(seed)
    P = 4 if seed % 2 else 300
    tensors = [Tensor("sample", P, 8, 127, 1.0), Tensor("scores", ROOMS, 16, 32767, 1.0)]
    values = rng.integers(-128, 128, 2000).astype(np.int8)
    return graph(P, tensors, [trees(rng, "sample", P, values, np.uint8 if P == 4 else np.uint16)], "scores")


def trees(rng: np.random.Generator, x: str, features: int, thresholds: np.ndarray, kind: type) -> Forest:
    """160 trees of any shape, a lone leaf and the largest tree among them."""
    inner = np.concatenate([[0, 255], rng.integers(0, 12, 158)]).astype(np.uint8)
    left: list[int] = []
    for inside in inner:
        below = [int(inside)]
        for _ in range(int(inside)):
            size = below.pop()
            left.append(int(rng.integers(0, size)))
            below += [part for part in (size - 1 - left[-1], left[-1]) if part]
    return Forest(
        "forest",
        x,
        "scores",
        rng.integers(0, features, len(left)).astype(kind),
        thresholds[: len(left)],
        np.array(left, np.uint8),
        inner,
        rng.integers(0, ROOMS, len(left) + len(inner)).astype(np.uint8),
    )


def facts(points: int) -> list[Tensor]:
    """The tensors from the sample to its statistics."""
    return [
        Tensor("sample", points, 8, 127, 1.0),
        Tensor("rows", points, 8, 127, 1.0, STEPS),
        Tensor("facts", 6 * points, 16, 32767, 1.0),
    ]


def rows_graph(seed: int) -> Graph:
    """Mean over rows and the last row."""
    rng = np.random.default_rng(seed)
    P, H = 3, 5
    tensors = [
        Tensor("sample", P, 8, 127, 1.0), Tensor("x", H, 16, 32767, 2**-12),
        Tensor("rows", H, 16, 32767, 2**-12, STEPS),
        Tensor("wide", ROOMS, 16, 32767, 2**-12, STEPS), Tensor("scores", ROOMS, 16, 32767, 2**-12),
    ]  # fmt: skip
    by = {tensor.name: tensor for tensor in tensors}
    last: Operator = LastRow("last", "wide", "scores")
    if seed % 2:
        last = MeanRows("mean", "wide", "scores", *factor(1 / STEPS, "m"))
    operators = [
        linear(rng, "embed", by["sample"], by["x"]), Collect("gate", "x", "rows"),
        linear(rng, "widen", by["rows"], by["wide"]), last,
    ]  # fmt: skip
    return graph(P, tensors, operators, "scores")


def graph(points: int, tensors: list[Tensor], operators: list[Operator], output: str) -> Graph:
    """A checked graph with made-up names."""
    names = tuple(f"ap{i}" for i in range(points)), tuple(f"room{i}" for i in range(ROOMS))
    return Graph(
        "test", "H1L1", *names, STEPS, 0.2, "reset", tuple(tensors), tuple(operators), output
    ).check()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "make", [attention_graph, encoder_graph, statistics_graph, forest_graph, sample_forest_graph, rows_graph]
)
def test_c_equals_the_reference(make: object, seed: int, tmp_path: Path) -> None:
    made: Graph = make(seed)  # type: ignore[operator]
    points = len(made.access_points)
    rssi = np.concatenate([signal(30, STEPS, points, seed), any_bytes(30, STEPS, points, seed)])
    scores = Reference(made, check=True).run(rssi)
    assert len(np.unique(scores[:, -1])) > 12, "a test on constants would prove nothing"
    emit(made, tmp_path / "c")
    assert build_host(tmp_path / "c", tmp_path / "host", sanitize=True).run(records(rssi)) == answers(scores)
    assert to_bytes(from_bytes(to_bytes(made))) == to_bytes(made)


@pytest.mark.parametrize("make", [attention_graph, statistics_graph, forest_graph, sample_forest_graph])
def test_on_a_cortex_m4(make: object, tmp_path: Path) -> None:
    made: Graph = make(7)  # type: ignore[operator]
    rssi = any_bytes(25, STEPS, len(made.access_points), 7)
    emit(made, tmp_path / "c")
    tier = find_tier("pip")
    firmware = tier.build(tmp_path / "c", find_board("cortex-m4"), tmp_path / "build", ram_bytes=32 * 1024)
    assert tier.run(firmware, records(rssi), count_records=18).answers == answers(Reference(made).run(rssi))


@pytest.mark.parametrize("seed", [2, 3, 4])
def test_an_encoder_on_a_cortex_m4(seed: int, tmp_path: Path) -> None:
    """Two rows at a time by the DSP extension, and the last row, which has no other beside it."""
    made = encoder_graph(seed)
    rssi = np.concatenate([signal(10, STEPS, 5, seed), any_bytes(20, STEPS, 5, seed)])
    emit(made, tmp_path / "c")
    calls = (tmp_path / "c" / "tinyloc_model.c").read_text()
    for kernel in ("linear", "attention", "norm", "add"):
        assert f"tinyloc_rows_{kernel}_16(" in calls
    tier = find_tier("pip")
    firmware = tier.build(tmp_path / "c", find_board("cortex-m4"), tmp_path / "build", ram_bytes=32 * 1024)
    assert tier.run(firmware, records(rssi), count_records=18).answers == answers(Reference(made).run(rssi))


def test_votes_are_counted_tree_by_tree() -> None:
    """The walk without pointers against one that follows each tree by hand."""
    made = forest_graph(3)
    forest = made.operators[-1]
    assert isinstance(forest, Forest)
    rssi = signal(40, STEPS, 3, 5)
    x = window_statistics(rssi)

    def walk(row: np.ndarray, node: int, leaf: int, inside: int) -> int:
        if not inside:
            return int(forest.room[leaf])
        left = int(forest.left[node])
        if row[forest.feature[node]] <= forest.threshold[node]:
            return walk(row, node + 1, leaf, left)
        return walk(row, node + 1 + left, leaf + left + 1, inside - 1 - left)

    wanted = np.zeros((40, ROOMS), np.int64)
    for w, row in enumerate(x):
        first = 0
        for tree, inside in enumerate(forest.inner.tolist()):
            wanted[w, walk(row, first, first + tree, inside)] += 1
            first += inside
    assert np.array_equal(Reference(made).run(rssi)[:, -1], wanted)


@pytest.mark.parametrize(
    ("part", "at", "value", "said"),
    [
        ("left", 0, 255, "does not lead down"),
        ("left", -1, 1, "does not lead down"),
        ("room", 3, ROOMS, "leaf of no room"),
        ("feature", 3, 18, "feature that is not there"),
        ("inner", 1, 254, "other sizes than its nodes"),
    ],
)
def test_a_forest_that_would_run_astray_is_refused(part: str, at: int, value: int, said: str) -> None:
    made = forest_graph(1)
    forest = made.operators[-1]
    array = getattr(forest, part).copy()
    array[at] = value
    bad = dataclasses.replace(
        made, operators=(*made.operators[:-1], dataclasses.replace(forest, **{part: array}))
    )
    with pytest.raises(QuantisationError, match=said):
        bad.check()


def test_the_answer_stands_until_the_next_window() -> None:
    made = rows_graph(0)
    scores = Reference(made).run(signal(5, 2 * STEPS, 3))
    assert not scores[:, : STEPS - 1].any()
    assert (scores[:, STEPS - 1 : 2 * STEPS - 1] == scores[:, STEPS - 1 : STEPS]).all()
    assert np.array_equal(scores[:, -1], Reference(made).run(signal(5, 2 * STEPS, 3)[:, STEPS:])[:, -1])
