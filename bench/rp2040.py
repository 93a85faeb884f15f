"""The model of cycles against an independent emulator that counts them: a Cortex-M0+ in rp2040js.

Needs node and rp2040js (`npm install --prefix FOLDER rp2040js`, then `NODE_PATH=FOLDER/node_modules`), and
says so where they are missing. The same ELF runs in both; what is compared is the model's code alone. Neither
is silicon.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from device import MODELS, STEPS, checkpoint, windows

from tinyloc.device.boards import find_board
from tinyloc.device.cost import estimate
from tinyloc.device.tiers import find_tier
from tinyloc.emit import emit
from tinyloc.quant.lower import lower
from tinyloc.quant.reference import Reference, answers


def missing() -> str:
    """Why rp2040js cannot run here, or nothing."""
    if shutil.which("node") is None:
        return "node is not on the PATH"
    asked = subprocess.run(["node", "-e", "require('rp2040js')"], capture_output=True, check=False)
    return "" if asked.returncode == 0 else "node does not find rp2040js"


def main() -> None:
    """Both, side by side; different answers are an error."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default="mamba-h8l1,statnet")
    parser.add_argument("--windows", type=int, default=5)
    given = parser.parse_args()
    reason = missing()
    if reason:
        print(f"rp2040js: not compared, {reason} (see the head of {Path(__file__).name})")
        return
    board = find_board("cortex-m0+")
    tier = find_tier("reference", board.cpu)
    for name in given.models.split(","):
        config = MODELS[name].config
        graph = lower(checkpoint(config), windows(400, config.access_points, seed=2)[:200])
        rssi = windows(given.windows, config.access_points)
        flags = np.zeros((given.windows, STEPS, 1), np.int8)
        flags[:, 0] = 1
        records = np.concatenate([flags, rssi], axis=2).tobytes()
        with tempfile.TemporaryDirectory(prefix="tinyloc-bench-") as scratch:
            folder = Path(scratch)
            emit(graph, folder / "c")
            firmware = tier.build(folder / "c", board, folder / "build")
            run = tier.run(firmware, records, count_records=given.windows * STEPS)
            cost = estimate(firmware, run)
            image = bytearray(firmware.flash_bytes)
            for start, data in firmware.program.segments:
                image[start : start + len(data)] = data
            (folder / "image").write_bytes(bytes(image) + bytes(-len(image) % 4))
            (folder / "records").write_bytes(records)
            script = Path(__file__).with_name("rp2040_runner.cjs")
            command = ["node", str(script), "image", "records", "answers", "cycles"]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise SystemExit(f"rp2040js did not run: {(done.stderr or done.stdout).strip()[-300:]}")
            found = (folder / "answers").read_bytes()
            spent = dict(json.loads((folder / "cycles").read_text()))
            counted = sum(c for at, c in spent.items() if not firmware.is_harness(at)) / run.records
        same = found == run.answers == answers(Reference(graph).run(rssi))
        step = cost.cycles_per_step
        print(
            f"{name}: {run.instructions_per_step:,.0f} instructions a step; rp2040js {counted:,.0f} cycles, "
            f"the model {step.mid:,.0f} ({step.low:,.0f} to {step.high:,.0f}), "
            f"{step.mid / counted - 1:+.2%}; {'same answers' if same else 'ANSWERS DIFFER'}"
        )
        if not same:
            raise SystemExit(4)


if __name__ == "__main__":
    main()
