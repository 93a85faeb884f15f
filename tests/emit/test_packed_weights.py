"""Weights of 4 bits: two in a byte of flash, and in C the bits of the reference."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import any_bytes, mamba, records, signal

from tinyloc.device.boards import find_board
from tinyloc.device.host import build_host
from tinyloc.device.tiers import find_tier
from tinyloc.emit import emit
from tinyloc.emit.literals import packed
from tinyloc.errors import QuantisationError
from tinyloc.quant.graph import Collect, Embed, Graph, Linear, Lookup, MeanRows, Operator, RmsNorm, Tensor
from tinyloc.quant.lower import Precision, factor, factors, lower
from tinyloc.quant.reference import Reference, answers
from tinyloc.quant.storage import from_bytes, to_bytes

STEPS, ROOMS = 3, 4
FILES = {"tinyloc_packed.c", "tinyloc_packed.h"}


def parts(rng: np.random.Generator, y: Tensor, inputs: int, wide: int) -> tuple[Any, ...]:
    """Weights -7..7 with what a row is requantised by, so that y neither stands still nor saturates."""
    reach = wide * 4 * inputs**0.5
    return (
        rng.integers(-7, 8, (y.size, inputs), dtype=np.int8),
        rng.integers(-int(reach), int(reach) + 1, y.size).astype(np.int32),
        *factors(y.limit / reach * 2.0 ** rng.uniform(-3, 1, y.size), "any"),
    )


def named(points: int, steps: int, tensors: list[Tensor], operators: list[Operator]) -> Graph:
    names = tuple(f"ap{i}" for i in range(points)), tuple(f"room{i}" for i in range(ROOMS))
    seconds = 0.2 if steps > 1 else 0.0
    return Graph(
        "test", "H1L1", *names, steps, seconds, "reset", tuple(tensors), tuple(operators), "scores"
    ).check()


def linears(seed: int) -> Graph:
    """Linear in all four widths, odd and even sizes, on single rows and on the rows of a window."""
    rng = np.random.default_rng(seed)
    points, first, second, third = (int(n) for n in rng.integers(1, 12, 4))
    tensors = [
        Tensor("sample", points, 8, 127, 1.0), Tensor("signal", points, 8, 127, 1.0),
        Tensor("narrow", first, 8, 127, 1.0), Tensor("wide", second, 16, 32767, 1.0),
        Tensor("rows", second, 16, 32767, 1.0, STEPS), Tensor("thin", third, 8, 127, 1.0, STEPS),
        Tensor("tall", third, 16, 32767, 1.0, STEPS), Tensor("last", ROOMS, 16, 32767, 1.0, STEPS),
        Tensor("scores", ROOMS, 16, 32767, 1.0),
    ]  # fmt: skip
    by = {tensor.name: tensor for tensor in tensors}

    def linear(name: str, x: str, y: str) -> Linear:
        return Linear(name, x, y, *parts(rng, by[y], by[x].size, by[x].limit), weight_bits=4)

    table = np.where(np.arange(-128, 128) == -128, -120, np.arange(-128, 128)).astype(np.int8)
    operators: list[Operator] = [
        Lookup("lookup", "sample", "signal", table),
        linear("eight_eight", "signal", "narrow"),
        linear("eight_sixteen", "narrow", "wide"),
        Collect("gate", "wide", "rows"),
        linear("sixteen_eight", "rows", "thin"),
        linear("again", "thin", "tall"),
        linear("sixteen_sixteen", "tall", "last"),
        MeanRows("mean", "last", "scores", *factor(1 / STEPS, "mean")),
    ]
    return named(points, STEPS, tensors, operators)


def embedding(seed: int) -> Graph:
    """An embedding of an odd or even number of outputs, a norm, and a head of 8 bits."""
    rng = np.random.default_rng(seed)
    points, width = int(rng.integers(5, 30)), int(rng.integers(3, 12))
    table = rng.integers(-32767, 32768, 256).astype(np.int16)
    table[rng.random(256) < 0.4] = 0
    tensors = [
        Tensor("sample", points, 8, 127, 1.0), Tensor("wide", width, 16, 32767, 1.0),
        Tensor("even", width, 16, 32767, width**0.5 * 2.0**-13), Tensor("scores", ROOMS, 16, 32767, 1.0),
    ]  # fmt: skip
    operators: list[Operator] = [
        Embed("embed", "sample", "wide", table, *parts(rng, tensors[1], points, 32767), weight_bits=4),
        RmsNorm("norm", "wide", "even", 100, 2),
        Linear("head", "even", "scores", *parts(rng, tensors[3], width, 32767)),
    ]
    return named(points, 1, tensors, operators)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("make", [linears, embedding])
def test_any_packed_weights_on_any_bytes(make, seed: int, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    graph = make(seed)
    rssi = any_bytes(60, graph.window_steps, len(graph.access_points), seed)
    scores = Reference(graph, check=True).run(rssi)
    assert len(np.unique(scores)) > 30
    assert from_bytes(to_bytes(graph)).packed
    assert to_bytes(from_bytes(to_bytes(graph))) == to_bytes(graph)
    assert {path.name for path in emit(graph, tmp_path / "c")} >= FILES
    assert build_host(tmp_path / "c", tmp_path / "host", sanitize=True).run(records(rssi)) == answers(scores)


@pytest.mark.parametrize("precision", ["int16", "int8"])
def test_a_model_on_a_cortex_m4(precision: Precision, tmp_path: Path) -> None:
    _, checkpoint = mamba(32, points=40, rooms=9, kind="power")
    graph = lower(checkpoint, signal(100, 20, 40), precision, 4)
    wide = lower(checkpoint, signal(100, 20, 40), precision)
    assert not wide.packed
    assert {path.name for path in emit(wide, tmp_path / "wide")}.isdisjoint(FILES)
    emit(graph, tmp_path / "c")
    tier, board, flash = find_tier("pip"), find_board("cortex-m4"), []
    for folder in ("c", "wide"):
        firmware = tier.build(tmp_path / folder, board, tmp_path / f"build-{folder}", ram_bytes=32 * 1024)
        flash.append(firmware.flash_bytes)
        if folder == "c":
            rssi = signal(20, 20, 40, 1)
            run = tier.run(firmware, records(rssi), count_records=20)
            assert run.answers == answers(Reference(graph).run(rssi))
    saved = sum(op.weight.size / 2 for op in graph.operators if getattr(op, "weight_bits", 8) == 4)
    assert flash[1] - flash[0] > saved - 600  # the kernels that unpack take some of it back


def test_a_row_begins_with_a_byte_of_its_own() -> None:
    weight = np.array([[-7, 7, 3], [0, -1, -8 + 1]], np.int8)
    assert packed(weight).tolist() == [[1 | 15 << 4, 11 | 8 << 4], [8 | 7 << 4, 1 | 8 << 4]]
    assert packed(weight).dtype == np.uint8


@pytest.mark.parametrize(
    ("change", "said"), [({"weight_bits": 3}, "3 bits"), ({"weight": 8}, "beyond the 7")]
)
def test_what_four_bits_cannot_hold_is_refused(change: dict[str, int], said: str) -> None:
    graph = embedding(0)
    embed = graph.operators[0]
    assert isinstance(embed, Embed)
    if "weight" in change:
        weight = embed.weight.copy()
        weight[0, 0] = change["weight"]
        embed = dataclasses.replace(embed, weight=weight)
    else:
        embed = dataclasses.replace(embed, weight_bits=change["weight_bits"])
    with pytest.raises(QuantisationError, match=said):
        dataclasses.replace(graph, operators=(embed, *graph.operators[1:])).check()
