"""The float32 Mamba on the emulated chip beside the integer one, on the test windows of a real recording.

Trains Mamba H8L1, emits both forms, runs every test window on a Cortex-M4F and compares its rooms with those
of PyTorch's float model. `python bench/float32.py --data walks:library,flat --data-dir DIR`.
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

from tinyloc.data import load_windows
from tinyloc.device.boards import find_board
from tinyloc.device.cost import estimate
from tinyloc.device.tiers import available_tiers
from tinyloc.emit import emit
from tinyloc.emit.float32 import emit_float32
from tinyloc.learn.options import Augmentation, TrainOptions
from tinyloc.learn.predict import predict
from tinyloc.learn.train import train
from tinyloc.metrics import macro_f1
from tinyloc.quant.lower import lower
from tinyloc.quant.replay import replay

AUGMENTATION = Augmentation(offset=0.25, jitter=0.25)


@dataclass(frozen=True)
class Row:
    """One form on one tier. Sizes in bytes, RAM with stack; `same`: windows whose room is PyTorch's."""

    data: str
    form: str
    board: str
    tier: str
    flash_bytes: int
    ram_bytes: int
    instructions_step: float
    cycles_step: float
    windows: int
    same: int
    f1_macro: float


def measure(name: str, data_dir: Path | None, steps: int, seed: int, board_name: str) -> list[Row]:
    """Train once; both forms on each tier that is there."""
    sets = load_windows(name, data_dir=data_dir, console=Console(stderr=True, quiet=True))
    options = TrainOptions(steps=steps, seed=seed, scaling="zscore", augmentation=AUGMENTATION)
    checkpoint = train(sets, options)
    wanted = predict(checkpoint, sets.test).argmax(axis=1)
    read = sets.train.only(checkpoint.access_points)
    graph = lower(checkpoint, read.rssi)
    stream = replay(sets.test.only(checkpoint.access_points), checkpoint.state)
    board, records, rows = find_board(board_name), stream.records(), []
    forms: dict[str, Callable[[Path], object]] = {
        "float32": lambda folder: emit_float32(checkpoint, folder),
        "integer": lambda folder: emit(graph, folder),
    }
    with tempfile.TemporaryDirectory(prefix="tinyloc-bench-") as folder:
        for form, write in forms.items():
            sources = Path(folder) / form
            write(sources)
            for tier in available_tiers(board.cpu):
                firmware = tier.build(
                    sources, board, Path(folder) / f"{form}-{tier.name}", ram_bytes=16 * 1024
                )
                run = tier.run(firmware, records, count_records=5 * stream.steps)
                answers = np.frombuffer(run.answers, np.uint8).reshape(len(stream.samples), -1)
                rooms = answers[stream.ends, -2].astype(np.int64)  # both forms end with the room, settled
                rows.append(
                    Row(
                        name, form, board.name, tier.name, firmware.flash_bytes,
                        firmware.static_ram_bytes + run.stack_bytes, run.instructions_per_step,
                        estimate(firmware, run).cycles_per_step.mid, len(rooms), int((rooms == wanted).sum()),
                        macro_f1(sets.test.room, rooms),
                    )
                )  # fmt: skip
    return rows


def show(rows: list[Row]) -> None:
    """A table for a person."""
    table = Table(title="Mamba H8L1 in floating point and in integers, RAM with stack", title_justify="left")
    for column in ("data", "form", "board", "tier"):
        table.add_column(column)
    for column in ("flash", "RAM", "together", "instr./step", "cycles/step", "as PyTorch", "macro-F1"):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(
            row.data, row.form, row.board, row.tier, f"{row.flash_bytes:,}", f"{row.ram_bytes:,}",
            f"{row.flash_bytes + row.ram_bytes:,}",
            f"{row.instructions_step:,.0f}", f"{row.cycles_step:,.0f}",
            f"{row.same:,} of {row.windows:,}", f"{100 * row.f1_macro:.1f}",
        )  # fmt: skip
    Console(width=150, highlight=False).print(table)


def main() -> None:
    """Read the flags, measure, print; a room that is not PyTorch's is an error of the float form."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="walks:library,flat", help="data sets with commas")
    parser.add_argument("--data-dir", type=Path, default=None)
    parser.add_argument("--steps", type=int, default=400, help="training steps")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--board", default="cortex-m4")
    parser.add_argument("--json", action="store_true", help="print a JSON list of rows")
    given = parser.parse_args()
    rows = [
        row
        for name in given.data.split(",")
        for row in measure(name, given.data_dir, given.steps, given.seed, given.board)
    ]
    if given.json:
        print(json.dumps([asdict(row) for row in rows]))
    else:
        show(rows)
    if any(row.form == "float32" and row.same != row.windows for row in rows):
        raise SystemExit(4)


if __name__ == "__main__":
    main()
