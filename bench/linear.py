"""Instructions for each product of a fully connected layer, 64 x 64, int8 weights and int16 activations.

One row a core that the reference tier emulates; every answer is compared with the reference in Python.
`python bench/linear.py --boards cortex-m4,cortex-m55`.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from tinyloc.device.boards import find_board
from tinyloc.device.tiers import available_tiers
from tinyloc.emit import emit
from tinyloc.quant.graph import Graph, Linear, Lookup, Tensor
from tinyloc.quant.lower import factors
from tinyloc.quant.reference import Reference, answers

SIZE, STEPS = 64, 5
KERNEL = "tinyloc_linear_16_16"
PEER = "CMSIS-NN, int8 weights and activations, same shape, measured once: M4 2.69, M55 (MVE) 0.71"


def layer() -> Graph:
    """A sample of 64 signals, straight into one layer of 64 rooms."""
    rng = np.random.default_rng(0)
    tensors = (
        Tensor("sample", SIZE, 8, 127, 1.0),
        Tensor("signal", SIZE, 16, 128, 1.0),
        Tensor("scores", SIZE, 16, 32767, 1.0),
    )
    weight = rng.integers(-127, 128, (SIZE, SIZE), dtype=np.int8)
    bias = rng.integers(-99999, 99999, SIZE).astype(np.int32)
    operators = (
        Lookup("lookup", "sample", "signal", np.arange(-128, 128).astype(np.int16)),
        Linear("layer", "signal", "scores", weight, bias, *factors(rng.uniform(0.05, 0.2, SIZE), "layer")),
    )
    names = tuple(f"ap {i}" for i in range(SIZE)), tuple(f"room {i}" for i in range(SIZE))
    return Graph("test", "64x64", *names, STEPS, 0.2, "reset", tensors, operators, "scores").check()


def main() -> None:
    """Build, run, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--boards", default="cortex-m4,cortex-m55")
    given = parser.parse_args()
    graph = layer()
    rssi = np.random.default_rng(1).integers(-128, 128, (20, STEPS, SIZE), dtype=np.int8)
    flags = np.zeros((20, STEPS, 1), np.int8)
    flags[:, 0] = 1
    records = np.concatenate([flags, rssi], axis=2).tobytes()
    wanted = answers(Reference(graph).run(rssi))
    for name in given.boards.split(","):
        board = find_board(name)
        with tempfile.TemporaryDirectory(prefix="tinyloc-bench-") as folder:
            emit(graph, Path(folder) / "c")
            for tier in available_tiers(board.cpu):
                firmware = tier.build(
                    Path(folder) / "c", board, Path(folder) / tier.name, ram_bytes=16 * 1024
                )
                run = tier.run(firmware, records)
                symbols = sorted({value & ~1 for value in firmware.program.symbols.values()})
                start = firmware.program.symbols[KERNEL] & ~1
                end = min(value for value in symbols if value > start)
                inside = sum(count for at, count in run.counts.items() if start <= at < end)
                each = inside / run.records_counted / SIZE**2
                same = "identical" if run.answers == wanted else "DIFFERENT"
                print(f"{board.name:12} {tier.name:10} {each:.2f} instructions a product, answers {same}")
                if run.answers != wanted:
                    raise SystemExit(4)
    print(PEER)


if __name__ == "__main__":
    main()
