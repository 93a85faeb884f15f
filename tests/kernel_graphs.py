"""A graph around one kernel, shape and numbers drawn from a seed: odd sizes and the ends of int16 among them.

The scores are the sums over the rows of all that the kernel makes, so that one wrong number shows.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from builders import any_bytes, records

from tinyloc.device.boards import Board
from tinyloc.device.tiers import Tier
from tinyloc.emit import emit
from tinyloc.quant.graph import (
    Attention,
    Collect,
    Conv,
    DepthwiseConv,
    Graph,
    LayerNorm,
    Linear,
    Lookup,
    MeanRows,
    Operator,
    Position,
    RmsNorm,
    Tensor,
)
from tinyloc.quant.lower import factor, factors
from tinyloc.quant.reference import Reference, answers


def fed(graph: Graph, seed: int) -> tuple[bytes, bytes]:
    """Records of 20 windows (of single steps: of 5 together) of any bytes, and the reference's answers."""
    steps = graph.window_steps if graph.window_steps > 1 else 5
    rssi = any_bytes(20, steps, len(graph.access_points), seed)
    scores = Reference(graph, check=True).run(rssi)
    assert len(np.unique(scores)) > 3, "a test on constants would prove nothing"
    return records(rssi), answers(scores)


def differs(graph: Graph, seed: int, tier: Tier, board: Board, folder: Path) -> str:
    """Empty where the chip's answers are the reference's; else which kernel of which seed differs."""
    given, wanted = fed(graph, seed)
    emit(graph, folder / "c")
    firmware = tier.build(folder / "c", board, folder / board.name, ram_bytes=32 * 1024)
    found = tier.run(firmware, given, count_records=1).answers
    return "" if found == wanted else f"{graph.operators[-1].name} of seed {seed} differs on {board.name}"


class Maker:
    """Tensors and operators of a graph in the making. `x`: int16 numbers straight from a table of the
    sample's bytes; of a window's steps where `rows` is above 1.
    """

    def __init__(self, seed: int, size: int, limit: int = 32767, rows: int = 1) -> None:
        self.rng = np.random.default_rng(seed)
        self.rows, self.tensors = rows, [Tensor("sample", size, 8, 127, 1.0)]
        self.operators: list[Operator] = []
        table = self.rng.integers(-limit, limit + 1, 256)
        if seed % 3 == 0:  # all of them small
            table >>= 12
        ends = self.rng.random(256) < (0.5 if seed % 3 == 1 else 0.1)
        table[ends] = self.rng.choice([-limit, limit, 0, -1], int(ends.sum()))
        x = self.tensor("read" if rows > 1 else "x", size, limit, rows=1)
        self.operators.append(Lookup("table", "sample", x.name, table.astype(np.int16)))
        if rows > 1:
            self.tensor("x", size, limit)
            self.operators.append(Collect("gate", x.name, "x"))

    def tensor(self, name: str, size: int, limit: int = 32767, bits: int = 16, rows: int = 0) -> Tensor:
        """A further tensor; of as many rows as the graph collects, unless said."""
        made = Tensor(name, size, bits, limit, 2**-12, rows or self.rows)
        self.tensors.append(made)
        return made

    def by_row(self, size: int, terms: int, reach: float) -> tuple[np.ndarray, np.ndarray, int]:
        """Bias, multiplier and shift of `size` sums of so many products, which are about `reach`."""
        bias = self.rng.integers(-int(reach), int(reach) + 1, size).astype(np.int32)
        return bias, *factors(32767 / (reach * terms**0.5) * 2.0 ** self.rng.uniform(-3, 1, size), "any")

    def graph(self, y: str) -> Graph:
        """The graph whose scores are y, or the sums over its rows."""
        made = next(tensor for tensor in self.tensors if tensor.name == y)
        if made.rows > 1:
            self.tensors.append(Tensor("sums", made.size, 16, 32767, made.scale))
            self.operators.append(MeanRows("sum", y, "sums", *factor(1.0, "m")))
            y = "sums"
        sizes = (("ap", self.tensors[0].size), ("k", made.size))
        names = [tuple(f"{word}{i}" for i in range(n)) for word, n in sizes]
        parts = tuple(self.tensors), tuple(self.operators), y
        return Graph("test", "H1L1", names[0], names[1], self.rows, 0.2, "reset", *parts).check()


def linear_graph(seed: int) -> Graph:
    """One vector through a matrix; every third time into int8, and then as it is into int16."""
    rng = np.random.default_rng(seed)
    inputs, outputs = int(rng.integers(1, 41)), int(rng.integers(1, 20))
    to = Maker(seed, inputs)
    weight = to.rng.integers(-127, 128, (outputs, inputs), dtype=np.int8)
    narrow = seed % 3 == 2
    to.tensor("y", outputs, 127 if narrow else 32767, 8 if narrow else 16)
    bias, multiplier, shift = to.by_row(outputs, inputs, 2e6)
    to.operators.append(Linear("matrix", "x", "y", weight, bias, multiplier, shift + 8 * narrow))
    if narrow:
        to.tensor("wide", outputs)
        one = np.eye(outputs, dtype=np.int8), np.zeros(outputs, np.int32), *factors(np.ones(outputs), "one")
        to.operators.append(Linear("same", "y", "wide", *one))
    return to.graph("wide" if narrow else "y")


def rows_graph(seed: int) -> Graph:
    """Rows through a matrix: by eights of inputs, else by the kernel for one vector."""
    rng = np.random.default_rng(seed)
    inputs = int(rng.integers(1, 6)) * 8 if seed % 4 else int(rng.integers(1, 30))
    outputs = int(rng.integers(1, 20))
    to = Maker(seed, inputs, rows=int(rng.integers(2, 9)))
    weight = to.rng.integers(-127, 128, (outputs, inputs), dtype=np.int8)
    to.tensor("y", outputs, int(to.rng.choice([32767, 9000])))
    to.operators.append(Linear("matrix", "x", "y", weight, *to.by_row(outputs, inputs, 2e6)))
    return to.graph("y")


def attention_graph(seed: int) -> Graph:
    """Heads of 1 to 9 columns over 2 to 13 rows, from even shares to one that has all of the weight."""
    rng = np.random.default_rng(seed)
    width, heads = int(rng.integers(1, 10)), int(rng.integers(1, 4))
    limit = min(32767, int(((2**31 - 1) // width) ** 0.5))
    size = width * heads
    to = Maker(seed, size, limit, rows=int(rng.integers(2, 14)))
    for name in ("k", "v"):
        to.tensor(name, size, limit)
        table = to.rng.integers(-limit, limit + 1, (to.rows, size)).astype(np.int16)
        to.operators.append(Position(f"place_{name}", "x", name, table))
    to.tensor("q", size, limit)
    to.operators.append(Position("place_q", "x", "q", np.zeros((to.rows, size), np.int16)))
    to.tensor("y", size)
    score = factor(2.0 ** rng.choice([-20, -14, -12, -8, -2]), "s")
    y = factor(2.0 ** rng.uniform(-16, -14), "y")
    to.operators.append(Attention("attention", "q", "k", "v", "y", heads, *score, *y))
    return to.graph("y")


def layer_norm_graph(seed: int) -> Graph:
    """Rows of 2 to 40 numbers, every shift."""
    rng = np.random.default_rng(seed)
    size = int(rng.integers(2, 41))
    to = Maker(seed, size, rows=int(rng.integers(1, 8)))
    to.tensor("y", size)
    gain_shift = int(rng.integers(8, 16))
    most = 2 ** (gain_shift + 14)
    to.operators.append(
        LayerNorm(
            "norm", "x", "y", int(rng.choice([16, 500, 2**39])), int(rng.integers(-2, 11)),
            *factor(1 / size, "m"), rng.integers(-16383, 16384, size).astype(np.int16),
            rng.integers(-most, most, size).astype(np.int32), gain_shift,
        )
    )  # fmt: skip
    return to.graph("y")


def rms_norm_graph(seed: int) -> Graph:
    """1 to 40 numbers."""
    rng = np.random.default_rng(seed)
    size = int(rng.integers(1, 41))
    to = Maker(seed, size)
    to.tensor("y", size)
    norm = RmsNorm("norm", "x", "y", int(rng.choice([16, 500, 2**39])), int(rng.integers(-2, 3)))
    to.operators.append(norm)
    return to.graph("y")


def conv_graph(seed: int) -> Graph:
    """1 to 5 taps over rows, strides, a past: inputs and outputs by fours, every fourth time any."""
    rng = np.random.default_rng(seed)
    inputs, outputs = ((4 if seed % 4 else 1) * int(n) for n in rng.integers(1, 7, 2))
    to = Maker(seed, inputs, rows=int(rng.integers(3, 10)))
    taps, stride = int(rng.integers(1, 6)), int(rng.integers(1, 4))
    past = int(rng.integers(0, taps))
    to.tensor("y", outputs, rows=(to.rows + past - 1) // stride + 1)
    weight = to.rng.integers(-127, 128, (outputs, taps * inputs), dtype=np.int8)
    by = to.by_row(outputs, taps * inputs, 2e6)
    to.operators.append(Conv("conv", "x", "y", weight, *by, taps, stride, past))
    return to.graph("y")


def depthwise_graph(seed: int) -> Graph:
    """2 to 6 taps on 1 to 20 channels, step by step."""
    rng = np.random.default_rng(seed)
    size, taps = int(rng.integers(1, 21)), int(rng.choice([2, 3, 4, 4, 5, 6]))
    to = Maker(seed, size)
    to.tensor("y", size)
    weight = to.rng.integers(-127, 128, (size, taps), dtype=np.int8)
    to.operators.append(DepthwiseConv("conv", "x", "y", weight, *to.by_row(size, taps, 2e6)))
    return to.graph("y")


KERNELS: tuple[Callable[[int], Graph], ...] = (
    linear_graph,
    rows_graph,
    attention_graph,
    layer_norm_graph,
    rms_norm_graph,
    conv_graph,
    depthwise_graph,
)
