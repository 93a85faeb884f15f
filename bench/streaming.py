"""What streaming and fuller answers cost on the emulated chip, beside the model that its caller restarts.

Models of `bench/device.py` (random weights: size and work depend on a shape alone). `plain`: windows begun
by the caller. `streaming`: without end, a hop at a time. `full`: with a probability for each room and
"unknown". `guarded`: as a package has it, refusing to answer from damaged tables. Each answer equals
Python's, byte for byte, or it is an error. `python bench/streaming.py` prints the table of
docs/PACKAGES.md.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from device import MODELS, STEPS, checkpoint, windows

from tinyloc.device.boards import find_board
from tinyloc.device.tiers import available_tiers
from tinyloc.emit import emit
from tinyloc.quant.answer_operators import Novelty
from tinyloc.quant.graph import Graph
from tinyloc.quant.lower import factor, lower
from tinyloc.quant.stream import Stream, streaming

SAMPLES = 10 * STEPS


def forms(graph: Graph, hop: int) -> dict[str, Graph]:
    """The graph in every form."""
    rng = np.random.default_rng(0)
    centre = rng.integers(-95, -45, (len(graph.rooms), len(graph.access_points))).astype(np.int8)
    novelty = Novelty("novelty", "sample", "unknown", centre, -100, 3, 200)
    chance = factor(graph.tensor(graph.output).scale * 65536, "chance")
    full = streaming(graph, hop, chance, novelty)
    return {"plain": graph, "streaming": streaming(graph, hop), "full": full, "guarded": full}


def main() -> None:
    """Build, run, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default="mamba-h8l1,statnet,tfm1", help="names with commas")
    parser.add_argument("--board", default="cortex-m4")
    given = parser.parse_args()
    tier, board = available_tiers()[-1], find_board(given.board)
    print("| model | form | hop | flash | RAM with stack | instructions a sample |")
    print("|---|---|---|---|---|---|")
    for name in given.models.split(","):
        config = MODELS[name].config
        graph = lower(checkpoint(config), windows(200, config.access_points, seed=2)[:100])
        samples = windows(SAMPLES // STEPS, config.access_points).reshape(SAMPLES, -1)
        for hop in (STEPS, 5, 1) if graph.slides else (STEPS,):
            for form, model in forms(graph, hop).items():
                if form == "plain" and hop != STEPS:
                    continue
                flags = np.zeros((SAMPLES, 1), np.int8)
                flags[0] = 1
                if form == "plain":
                    flags[STEPS::STEPS] = 2
                records = np.concatenate([flags, samples], axis=1).tobytes()
                with tempfile.TemporaryDirectory(prefix="tinyloc-bench-") as folder:
                    emit(model, Path(folder) / "c", guarded=form == "guarded")
                    firmware = tier.build(Path(folder) / "c", board, Path(folder) / "b", ram_bytes=32 * 1024)
                    run = tier.run(firmware, records, count_records=SAMPLES)
                if form != "plain":
                    twin = Stream(model)
                    if run.answers != b"".join(twin.step(sample).to_bytes() for sample in samples):
                        raise SystemExit(f"{name}: the chip's answers are not Python's")
                ram = firmware.static_ram_bytes + run.stack_bytes
                row = (name, form, hop, f"{firmware.flash_bytes:,} B", f"{ram:,} B")
                print("|", " | ".join(map(str, row)), f"| {run.instructions_per_step:,.0f} |", flush=True)
    print(", ".join(f"{tool} {version}" for tool, version in tier.versions.items()))


if __name__ == "__main__":
    main()
