"""Mamba H8L1 on an ATmega328P in simavr: memory, cycles a step, time asleep, battery life, same bytes or not.

Ends with an error unless the bar is met: 256 bytes of the 2 KB of RAM left over, 32 KB of flash, every window
byte for byte as Python, and 90 % of the time asleep at 5 samples a second and 16 MHz.
`python bench/avr.py --json` prints one line.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
from device import MODELS, STEPS, checkpoint, windows

from tinyloc.device.boards import find_board
from tinyloc.device.cost import estimate
from tinyloc.device.energy import CELLS, life
from tinyloc.device.tiers import find_tier
from tinyloc.emit import emit
from tinyloc.quant.lower import lower
from tinyloc.quant.reference import Reference, answers

RATE = 5.0
SPARE_RAM_BYTES, ASLEEP = 256, 0.90


def main() -> None:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="mamba-h8l1", choices=list(MODELS))
    parser.add_argument("--windows", type=int, default=1000)
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    given = parser.parse_args()
    config = MODELS[given.model].config
    graph = lower(checkpoint(config), windows(400, config.access_points, seed=2)[:200])
    rssi = windows(given.windows, config.access_points)
    flags = np.zeros((given.windows, STEPS, 1), np.int8)
    flags[:, 0] = 1
    board = find_board("atmega328p")
    tier = find_tier("reference", board.cpu)
    with tempfile.TemporaryDirectory(prefix="tinyloc-bench-") as folder:
        emit(graph, Path(folder) / "c")
        firmware = tier.build(Path(folder) / "c", board, Path(folder) / "build")
        run = tier.run(firmware, np.concatenate([flags, rssi], axis=2).tobytes(), timeout_s=3600)
        cost = estimate(firmware, run)
        flash, static = firmware.flash_bytes, firmware.static_ram_bytes
    busy = cost.busy_share(RATE).high
    row = {
        "model": given.model,
        "board": board.name,
        "toolchain": " ".join(f"{name} {version}" for name, version in tier.versions.items()),
        "flash_bytes": flash,
        "static_ram_bytes": static,
        "stack_bytes": run.stack_bytes,
        "ram_left_bytes": board.ram_bytes - static - run.stack_bytes,
        "instructions_step": run.instructions_per_step,
        "cycles_step": cost.cycles_per_step.mid,
        "steps_per_second": RATE,
        "asleep": 1 - busy,
        "windows": given.windows,
        "identical": run.answers == answers(Reference(graph).run(rssi)),
    }
    lives = {cell.name: life(cost, RATE, cell) for cell in CELLS}
    row |= {f"days_{name}": days.mid for name, days in lives.items()}
    if given.json:
        print(json.dumps(row))
    else:
        print(f"{given.model} on {board.title}; {row['toolchain']}")
        print(f"flash {flash:,} of {board.flash_bytes:,} bytes, start-up and test harness included")
        print(
            f"RAM {static:,} bytes and {run.stack_bytes:,} of stack: {row['ram_left_bytes']:,} left of 2,048"
        )
        print(f"{row['cycles_step']:,.0f} cycles a step ({run.instructions_per_step:,.0f} instructions)")
        print(f"{1000 * cost.seconds_per_step.mid:.1f} ms of every 200: asleep {100 * row['asleep']:.1f} %")
        print(f"{given.windows:,} windows, every step {'as Python' if row['identical'] else 'NOT AS PYTHON'}")
        for name, days in lives.items():
            print(f"{name}: {days.mid:,.0f} days ({days.low:,.0f} to {days.high:,.0f}), the model alone")
        print("largest functions, cycles a step:")
        for name, cycles in list(cost.function_cycles.items())[:12]:
            print(f"  {name:28s}{cycles:10,.0f}")
    fits = flash <= board.flash_bytes and row["ram_left_bytes"] >= SPARE_RAM_BYTES
    if not (row["identical"] and fits and row["asleep"] >= ASLEEP):
        raise SystemExit(4)


if __name__ == "__main__":
    main()
