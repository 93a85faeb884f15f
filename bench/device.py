"""What a model needs and does on the emulated chip: flash, RAM with stack, instructions, same bytes or not.

The weights are random: all of these depend on a model's shape alone. Half of the windows look like a radio's,
half are any bytes. `python bench/device.py --models mamba --json` prints a list of rows.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from tinyloc.device.boards import find_board
from tinyloc.device.cost import estimate
from tinyloc.device.tiers import available_tiers
from tinyloc.emit import emit
from tinyloc.emit.float32 import emit_float32
from tinyloc.models import ensemble, forest
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.models.config import (
    Config,
    EnsembleConfig,
    ForestConfig,
    MambaConfig,
    MdcsaConfig,
    StatnetConfig,
    TransformerConfig,
)
from tinyloc.models.scaling import InputScaling
from tinyloc.quant.lower import lower
from tinyloc.quant.reference import Reference, answers

STEPS = 20


@dataclass(frozen=True)
class Shape:
    """A model to measure, and what the best peer needs for the same work (flash, RAM in KB, instructions)."""

    config: Config
    peer: str = ""
    float32: bool = False
    """In floating point instead of integers, and the same means: PyTorch's room at the end of each window."""


MODELS = {
    "mamba": Shape(
        MambaConfig(access_points=11, rooms=9, hidden=32),
        "TFLite Micro int8: 210 KB, 66.0 KB, 16.0 M a window; float: 221 KB, 65.2 KB, 7.98 M",
    ),
    "mamba-h8l1": Shape(MambaConfig(access_points=11, rooms=9, hidden=8), "none runs it"),
    "mamba-h8l1-float32": Shape(MambaConfig(access_points=11, rooms=9, hidden=8), "none runs it", True),
    "tfm1": Shape(
        TransformerConfig(access_points=11, rooms=9, steps=STEPS, hidden=32, layers=1),
        "Deeploy int8: 28.4 KB, 17.2 KB, 1.04 M; TFLite Micro int8: 131 KB, 17.9 KB, 2.53 M",
    ),
    "tfm2": Shape(
        TransformerConfig(access_points=11, rooms=9, steps=STEPS, hidden=32, layers=2),
        "onnx2c float: 87 KB, 19.6 KB, 3.28 M; TFLite Micro int8: 158 KB, 33 KB, 4.46 M",
    ),
    "mdcsa-h16l1": Shape(MdcsaConfig(access_points=11, rooms=9, hidden=16, crf=True), "none runs it"),
    "statnet": Shape(StatnetConfig(access_points=11, rooms=9), "none runs it"),
    "ensemble": Shape(
        EnsembleConfig(
            access_points=11,
            rooms=9,
            members=(
                MambaConfig(access_points=11, rooms=9, hidden=8),
                StatnetConfig(access_points=11, rooms=9),
                ForestConfig(access_points=11, rooms=9, trees=10, leaves=64),
            ),
            scalings=("minmax",) * 3,
        ),
        "none runs it",
    ),
}


@dataclass(frozen=True)
class Row:
    """One model on one tier. Flash is all that is linked; RAM is static plus the deepest stack (bytes)."""

    model: str
    precision: str
    board: str
    tier: str
    toolchain: str
    emulator: str
    flash_bytes: int
    model_flash_bytes: int
    ram_bytes: int
    stack_bytes: int
    instructions_step: float
    instructions_window: float
    cycles_step: float
    windows: int
    identical: bool


def checkpoint(config: Config, seed: int = 0) -> Checkpoint:
    """Weights spread as training would leave them, from a seed; trees with every leaf they may have."""
    if isinstance(config, EnsembleConfig):
        members = [checkpoint(one, seed + i) for i, one in enumerate(config.members)]
        return ensemble.joined(members, np.ones(len(members), np.float32), members[0].scaling, {})
    rng = np.random.default_rng(seed)
    weights = {}
    for name, shape in config.weight_shapes().items():
        spread = 1 / np.sqrt(shape[-1]) if len(shape) > 1 else 0.1
        weights[name] = rng.normal(0, spread, shape).astype(np.float32)
        if name.endswith("A_log"):
            weights[name] = np.log(np.tile(np.arange(1, shape[1] + 1, dtype=np.float32), (shape[0], 1)))
        elif name.endswith(("norm.weight", "norm1.weight", "norm2.weight", ".D", "gain")):
            weights[name] = np.ones(shape, np.float32)
        elif name.endswith("dt_proj.bias"):
            weights[name] = np.log(np.expm1(rng.uniform(1e-3, 0.1, shape))).astype(np.float32)
    if isinstance(config, ForestConfig):
        weights = forest.full(config, STEPS, seed)
    P = config.access_points
    table = np.arange(-128, 128, dtype=np.float32)
    table[0] = -120
    scaling = InputScaling("minmax", table, np.full(P, -120, np.float32), np.full(P, 1 / 90, np.float32))
    rooms = tuple(f"room {i}" for i in range(config.rooms))
    return Checkpoint(
        config, scaling, weights, rooms, tuple(f"ap {i}" for i in range(P)), STEPS, 0.2, "reset"
    )


def windows(count: int, points: int, seed: int = 1) -> np.ndarray:
    """[W, T, P] int8: half walks of dBm, half any bytes at all."""
    rng = np.random.default_rng(seed)
    half = count // 2
    walk = rng.normal(-75, 8, (half, 1, points)) + np.cumsum(rng.normal(0, 2, (half, STEPS, points)), axis=1)
    radio = np.rint(np.clip(walk, -110, -30)).astype(np.int8)
    radio[rng.random(radio.shape) < 0.1] = -128
    return np.concatenate([radio, rng.integers(-128, 128, (count - half, STEPS, points), dtype=np.int8)])


def pytorch_rooms(model: Checkpoint, rssi: np.ndarray) -> np.ndarray:
    """PyTorch's room at the end of every window [W]."""
    import torch

    from tinyloc.models import families

    with torch.no_grad():
        given = families.inputs(model.config, model.scaling, rssi)
        network = families.from_weights(model.config, model.weights)
        return np.asarray(network(*(torch.from_numpy(part) for part in given)).argmax(dim=-1)[:, -1])


def rooms_are(wanted: np.ndarray) -> Callable[[bytes], bool]:
    """Whether a float model's answers end their windows with these rooms."""

    def same(found: bytes) -> bool:
        rooms = np.frombuffer(found, np.uint8).reshape(len(wanted), STEPS, -1)[:, -1, -1]
        return np.array_equal(rooms, wanted)

    return same


def measure(name: str, precision: str, board_name: str, count: int) -> list[Row]:
    """A row for each tier that is there."""
    config, model = MODELS[name].config, checkpoint(MODELS[name].config)
    rssi = windows(count, config.access_points)
    flags = np.zeros((count, STEPS, 1), np.int8)
    flags[:, 0] = 1
    records = np.concatenate([flags, rssi], axis=2).tobytes()
    board = find_board(board_name)
    rows = []
    with tempfile.TemporaryDirectory(prefix="tinyloc-bench-") as folder:
        if MODELS[name].float32:
            precision = "float32"
            emit_float32(model, Path(folder) / "c")
            same = rooms_are(pytorch_rooms(model, rssi))
        else:
            graph = lower(model, windows(400, config.access_points, seed=2)[:200], precision)
            emit(graph, Path(folder) / "c")
            same = answers(Reference(graph).run(rssi)).__eq__
        for tier in available_tiers(board.cpu):
            firmware = tier.build(Path(folder) / "c", board, Path(folder) / tier.name, ram_bytes=32 * 1024)
            run = tier.run(firmware, records, count_records=5 * STEPS)
            toolchain, emulator = (" ".join(pair) for pair in tier.versions.items())
            rows.append(
                Row(
                    name, precision, board.name, tier.name, toolchain, emulator,
                    flash_bytes=firmware.flash_bytes,
                    model_flash_bytes=firmware.model_flash_bytes,
                    ram_bytes=firmware.static_ram_bytes + run.stack_bytes,
                    stack_bytes=run.stack_bytes,
                    instructions_step=run.instructions_per_step,
                    instructions_window=run.instructions_per_window,
                    cycles_step=estimate(firmware, run).cycles_per_step.mid,
                    windows=count,
                    identical=bool(same(run.answers)),
                )
            )  # fmt: skip
    return rows


def show(rows: list[Row]) -> None:
    """A table for a person, and the peers below it."""
    table = Table(title="Integer models on the emulated chip; RAM with stack", title_justify="left")
    for column in ("model", "activations", "board", "tier"):
        table.add_column(column)
    for column in ("flash", "RAM", "stack", "instr./step", "instr./window", "cycles/step", "identical"):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(
            row.model, row.precision, row.board, row.tier, f"{row.flash_bytes:,}", f"{row.ram_bytes:,}",
            f"{row.stack_bytes:,}", f"{row.instructions_step:,.0f}", f"{row.instructions_window:,.0f}",
            f"{row.cycles_step:,.0f}", f"{row.windows:,} windows" if row.identical else "NO",
        )  # fmt: skip
    console = Console(width=150, highlight=False)
    console.print(table)
    for tool in sorted({f"{row.tier}: {row.toolchain}, {row.emulator}" for row in rows}):
        console.print(tool)
    for name in dict.fromkeys(row.model for row in rows):
        console.print(f"Best peer for {name}: {MODELS[name].peer}")


def main() -> None:
    """Read the flags, measure, print; a difference from Python is an error."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default=",".join(MODELS), help="names with commas (default: all)")
    parser.add_argument("--precision", default="int16", help="int16, int8 or both with a comma")
    parser.add_argument("--board", default="cortex-m4")
    parser.add_argument("--windows", type=int, default=200)
    parser.add_argument("--json", action="store_true", help="print a JSON list of rows")
    given = parser.parse_args()
    names = given.models.split(",")
    unknown = [name for name in names if name not in MODELS]
    if unknown:
        parser.error(f"no model is called {unknown[0]!r}; there are {', '.join(MODELS)}")
    rows = [
        row
        for name in names
        for precision in given.precision.split(",")
        for row in measure(name, precision, given.board, given.windows)
    ]
    if given.json:
        print(json.dumps([asdict(row) for row in rows]))
    else:
        show(rows)
    if not all(row.identical for row in rows):
        raise SystemExit(4)


if __name__ == "__main__":
    main()
