"""Instructions for each product, or element, of every kernel: the plain loop and DSP on an M4, MVE on an M55.

Reference tier; every answer of every run is compared with the reference in Python.
`python bench/kernels.py --kernels linear,attention`.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinyloc.device.boards import find_board
from tinyloc.device.cost import estimate
from tinyloc.device.tiers import find_tier
from tinyloc.emit import emit
from tinyloc.quant.graph import (
    Attention,
    Collect,
    Conv,
    Curve,
    DepthwiseConv,
    Graph,
    LastRow,
    LayerNorm,
    Linear,
    Lookup,
    Operator,
    RmsNorm,
    Scan,
    Tensor,
)
from tinyloc.quant.lower import factor, factors
from tinyloc.quant.reference import Reference, answers
from tinyloc.quant.tables import curve_table

ROWS = 20
COLUMNS = (
    ("plain, M4", "cortex-m4", "-DTINYLOC_PLAIN"),
    ("DSP, M4", "cortex-m4", ""),
    ("MVE, M55", "cortex-m55", ""),
)
PEER = "CMSIS-NN, fully connected 64 x 64, all int8, a product, measured once: M4 2.69, M55 (MVE) 0.71"


@dataclass(frozen=True)
class Kernel:
    """What is measured: a graph, the file of csrc/ it lies in, the shape in words, and how many products or
    elements (`unit`) a window takes.
    """

    graph: Graph
    source: str
    shape: str
    count: int
    unit: str


def graph(
    size: int, limit: int, rows: int, more: list[Tensor], operators: list[Operator], y: Tensor
) -> Graph:
    """Bytes of a sample as int16 `x` [size], of a window's steps where `rows` is above 1; then the operators.
    The scores are `y`, or its last row.
    """
    rng = np.random.default_rng(0)
    table = np.sort(rng.integers(-limit, limit + 1, 256)).astype(np.int16)
    first = "x" if rows == 1 else "read"
    tensors = [Tensor("sample", size, 8, 127, 1.0), Tensor(first, size, 16, limit, 2**-12)]
    front: list[Operator] = [Lookup("lookup", "sample", first, table)]
    last: list[Operator] = []
    output = y.name
    if rows > 1:
        tensors.append(Tensor("x", size, 16, limit, 2**-12, rows))
        front.append(Collect("gate", first, "x"))
        more = [*more, Tensor("final", y.size, 16, y.limit, y.scale)]
        last, output = [LastRow("last", y.name, "final")], "final"
    names = tuple(f"ap {i}" for i in range(size)), tuple(f"room {i}" for i in range(y.size))
    parts = (*tensors, *more, y), (*front, *operators, *last), output
    return Graph("test", "bench", *names, rows, 0.2, "reset", *parts).check()


def weights(outputs: int, inputs: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Weight, bias, multiplier and shift of a matrix whose sums neither vanish nor saturate."""
    rng = np.random.default_rng(1)
    weight = rng.integers(-127, 128, (outputs, inputs), dtype=np.int8)
    bias = rng.integers(-99999, 99999, outputs).astype(np.int32)
    return weight, bias, *factors(rng.uniform(0.5, 1, outputs) / (75 * inputs**0.5), "matrix")


def window(name: str, size: int, rows: int = ROWS, limit: int = 32767) -> Tensor:
    """int16, so many rows."""
    return Tensor(name, size, 16, limit, 2**-12, rows)


def linear() -> Kernel:
    """A vector through a matrix."""
    y = window("y", 64, 1)
    made = graph(64, 32767, 1, [], [Linear("matrix", "x", "y", *weights(64, 64))], y)
    return Kernel(made, "tinyloc_linear.c", "64 x 64", 64 * 64, "product")


def rows() -> Kernel:
    """Rows through a matrix."""
    y = window("y", 64)
    made = graph(64, 32767, ROWS, [], [Linear("matrix", "x", "y", *weights(64, 64))], y)
    return Kernel(made, "tinyloc_rows.c", f"{ROWS} rows, 64 x 64", ROWS * 64 * 64, "product")


def attention() -> Kernel:
    """Scores, softmax and weighted sums together."""
    size, heads, limit = 32, 2, 11000
    y = window("y", size)
    score, by = factor(2.0**-12, "s"), factor(2.0**-15, "y")
    made = graph(size, limit, ROWS, [], [Attention("attention", "x", "x", "x", "y", heads, *score, *by)], y)
    shape = f"{ROWS} rows, {heads} heads of {size // heads}, softmax in it"
    return Kernel(made, "tinyloc_attention.c", shape, 2 * ROWS * ROWS * size, "product")


def softmax() -> Kernel:
    """Attention whose heads have two columns: little but the softmax."""
    heads = 16
    y = window("y", 2 * heads)
    score, by = factor(2.0**-12, "s"), factor(2.0**-15, "y")
    op = Attention("attention", "x", "x", "x", "y", heads, *score, *by)
    made = graph(2 * heads, 32000, ROWS, [], [op], y)
    shape = f"{ROWS} rows, {heads} heads of 2: two products a share beside it"
    return Kernel(made, "tinyloc_attention.c", shape, heads * ROWS * ROWS, "share")


def layer_norm() -> Kernel:
    """Rows."""
    rng, size = np.random.default_rng(2), 64
    gain = rng.integers(-16383, 16384, size).astype(np.int16)
    bias = rng.integers(-(2**24), 2**24, size).astype(np.int32)
    norm = LayerNorm("norm", "x", "y", 500, 0, *factor(1 / size, "m"), gain, bias, 13)
    made = graph(size, 32767, ROWS, [], [norm], window("y", size))
    return Kernel(made, "tinyloc_layer_norm.c", f"{ROWS} rows of {size}", ROWS * size, "element")


def rms_norm() -> Kernel:
    """One vector."""
    made = graph(64, 32767, 1, [], [RmsNorm("norm", "x", "y", 500, 0)], window("y", 64, 1))
    return Kernel(made, "tinyloc_rms_norm.c", "64", 64, "element")


def conv() -> Kernel:
    """Rows of a window, three taps."""
    size, taps = 16, 3
    op = Conv("conv", "x", "y", *weights(size, taps * size), taps, 1, 2)
    made = graph(size, 32767, ROWS, [], [op], window("y", size))
    shape = f"{ROWS} rows, {taps} taps of {size} x {size}"
    return Kernel(made, "tinyloc_window.c", shape, (3 * ROWS - 3) * size * size, "product")


def depthwise() -> Kernel:
    """A step of one filter a channel."""
    size, taps = 64, 4
    op = DepthwiseConv("conv", "x", "y", *weights(size, taps))
    made = graph(size, 32767, 1, [], [op], window("y", size, 1))
    return Kernel(made, "tinyloc_conv.c", f"{size} channels, {taps} taps", size * taps, "product")


def scan() -> Kernel:
    """A step of the selective scan."""
    rng, size, states = np.random.default_rng(3), 64, 16
    rates = np.tile(np.arange(1, states + 1) * 1500, (size, 1)).astype(np.int16)
    skip, u = rng.integers(-(2**20), 2**20, size).astype(np.int32), factor(2.0**-15, "u")
    more = [window("dt", size, 1), window("b", states, 1), window("c", states, 1, 4095)]
    reads = [Linear(f"{name}_proj", "x", name, *weights(states, size)) for name in ("b", "c")]
    op = Scan("scan", "dt", "b", "c", "x", "y", rates, 12, *u, skip, 0, 2**18, 30)
    curve = Curve("softplus", "x", "dt", "softplus", curve_table("softplus", 2**-12, 2**-12, 32767))
    made = graph(size, 32767, 1, more, [curve, *reads, op], window("y", size, 1))
    return Kernel(made, "tinyloc_scan.c", f"{size} channels of {states} states", size * states, "state")


KERNELS: tuple[Callable[[], Kernel], ...] = (
    linear, rows, attention, softmax, layer_norm, rms_norm, conv, depthwise, scan,
)  # fmt: skip


def measure(kernel: Kernel, board_name: str, flag: str, folder: Path) -> float:
    """Instructions a unit, of every function that the kernel's file names. Exits where an answer differs."""
    board, model = find_board(board_name), kernel.graph
    tier = find_tier("reference", board.cpu)
    tier.toolchain.model_flags = (flag,) if flag else ()
    steps = model.window_steps
    rssi = np.random.default_rng(1).integers(-128, 128, (10, steps, len(model.access_points)), dtype=np.int8)
    flags = np.zeros((10, steps, 1), np.int8)
    flags[:, 0] = 1
    firmware = tier.build(folder / "c", board, folder / f"{board_name}{flag}", ram_bytes=64 * 1024)
    run = tier.run(firmware, np.concatenate([flags, rssi], axis=2).tobytes())
    if run.answers != answers(Reference(model).run(rssi)):
        print(f"{kernel.source} on {board_name} {flag} DIFFERS from the reference")
        raise SystemExit(4)
    words = set(re.findall(r"\w+", (folder / "c" / kernel.source).read_text()))
    functions = estimate(firmware, run).functions
    return steps * sum(each for name, each in functions.items() if name.split(".")[0] in words) / kernel.count


def main() -> None:
    """Build, run, compare, print."""
    names = [make.__name__ for make in KERNELS]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kernels", default=",".join(names), help=f"of {', '.join(names)}")
    chosen = parser.parse_args().kernels.split(",")
    unknown = [name for name in chosen if name not in names]
    if unknown:
        parser.error(f"no kernel is called {unknown[0]!r}; there are {', '.join(names)}")
    print("| kernel | shape | a | " + " | ".join(title for title, _, _ in COLUMNS) + " |")
    print("|---" * (3 + len(COLUMNS)) + "|")
    for make in KERNELS:
        if make.__name__ not in chosen:
            continue
        kernel = make()
        with tempfile.TemporaryDirectory(prefix="tinyloc-bench-") as name:
            emit(kernel.graph, Path(name) / "c")
            found = [measure(kernel, board, flag, Path(name)) for _, board, flag in COLUMNS]
        cells = " | ".join(f"{each:.2f}" for each in found)
        print(f"| {make.__name__} | {kernel.shape} | {kernel.unit} | {cells} |", flush=True)
    for board in ("cortex-m4", "cortex-m55"):
        tier = find_tier("reference", find_board(board).cpu)
        print(f"{board}:", *(" ".join(pair) for pair in tier.versions.items()))
    print(PEER)


if __name__ == "__main__":
    main()
