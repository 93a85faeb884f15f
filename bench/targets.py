"""One model on every board of the table: flash, RAM, instructions, cycles, mean current; what BLE would draw.

Markdown, a row a board; a board whose compiler or emulator is not here is named with the reason. At 5 samples
a second, the chip asleep in between.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from device import MODELS, STEPS, checkpoint, windows

from tinyloc.device import energy
from tinyloc.device.boards import BOARDS
from tinyloc.device.cost import Bracket, estimate
from tinyloc.device.tiers import find_tier
from tinyloc.emit import emit
from tinyloc.errors import TinylocError
from tinyloc.quant.lower import lower
from tinyloc.quant.reference import Reference, answers

RATE = 5.0
WINDOWS = 6


def bracket(found: Bracket, digits: int = 0) -> str:
    """Mid, and low to high."""
    return f"{found.mid:,.{digits}f} ({found.low:,.{digits}f} to {found.high:,.{digits}f})"


def main() -> None:
    """Print the table; a difference from Python is an error."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="mamba-h8l1", choices=list(MODELS))
    parser.add_argument("--boards", default=",".join(BOARDS), help="names with commas (default: all)")
    given = parser.parse_args()
    config = MODELS[given.model].config
    graph = lower(checkpoint(config), windows(400, config.access_points, seed=2)[:200])
    rssi = windows(WINDOWS, config.access_points)
    flags = np.zeros((WINDOWS, STEPS, 1), np.int8)
    flags[:, 0] = 1
    records = np.concatenate([flags, rssi], axis=2).tobytes()
    wanted = answers(Reference(graph).run(rssi))
    head = ("board", "core", "emulator", "flash, B", "RAM, B", "instructions a step", "cycles a step", "µA")
    print(f"| {' | '.join(head)} |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="tinyloc-bench-") as name:
        folder = Path(name)
        emit(graph, folder / "c")
        for board in (BOARDS[one] for one in given.boards.split(",")):
            try:
                tier = find_tier("reference", board.cpu)
                firmware = tier.build(folder / "c", board, folder / board.name)
            except TinylocError as error:
                print(f"| `{board.name}` | {board.cpu.title} | {error} |")
                continue
            run = tier.run(firmware, records, count_records=WINDOWS * STEPS)
            if run.answers != wanted:
                raise SystemExit(f"{board.name} answers otherwise than Python")
            cost = estimate(firmware, run)
            ram = firmware.static_ram_bytes + run.stack_bytes
            cells = (
                f"`{board.name}`",
                board.cpu.title,
                tier.emulator.name,
                f"{firmware.flash_bytes:,}",
                f"{ram:,}",
                f"{run.instructions_per_step:,.0f}",
                bracket(cost.cycles_per_step),
                bracket(energy.average_microamps(cost, RATE), 1),
            )
            print(f"| {' | '.join(cells)} |", flush=True)
    each = energy.sending_microamps(graph.sample_bytes, RATE)
    together = energy.sending_microamps(graph.sample_bytes, RATE, seconds_together=1.0)
    print(f"\nBLE, every step's {graph.sample_bytes} bytes: {bracket(each, 1)} µA; ", end="")
    print(f"1 s of them at once: {bracket(together, 1)} µA; ", end="")
    print(f"one room every 10 s: {bracket(energy.answering_microamps(), 2)} µA")


if __name__ == "__main__":
    main()
