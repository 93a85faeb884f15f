"""Small grids, and a study as a program of its own that can be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

SETS = """
sets = [{name = "house", label = "tiny", minutes = 11, rooms = 4, access_points = 4}]
tier = "pip"
"""
TRAIN = """
[train]
steps = 12
evaluations = 2
scaling = "minmax"
augmentation = {}
refit = true
"""
ONE = f"""{SETS}
seeds = 1
baselines = []
"""
"""How a grid of one seed without baselines begins."""

HOUSE = {"minutes": 11, "rooms": 4, "access_points": 4}
"""The house of these grids, as options of its source."""

TINY = f"""{SETS}
seeds = 2
budgets = [2, 32]
compressions = ["float", "integer"]
baselines = ["forest300", "forest_small", "nearest_neighbours", "forest300_hmm"]
{TRAIN}
[[models]]
family = "mamba"
size = "H2L1"

[[models]]
family = "statnet"
size = "H4"
"""

PROGRAM = """
import sys
from pathlib import Path
from typing import Any
from tinyloc.study import run_study

if __name__ == "__main__":
    run_study(Path(sys.argv[1]), Path(sys.argv[2]), jobs=int(sys.argv[3]))
"""


def about(cross_validation: int = 0, **facts: object) -> dict[str, Any]:
    """What a study says beside the rows of one set, "tiny", with these facts of its own."""
    tiny = {
        "label": "tiny", "name": "house", "description": "A house.", "simulated": True, "licence": "none",
        "rooms": 4, "access_points": 4, "windows": [3, 2, 1], "folds": 0, **facts,
    }  # fmt: skip
    return {
        "sets": [tiny], "budgets_kb": [32], "seeds": [0], "cross_validation": cross_validation,
        "board": "stm32l4", "tier": "pip", "precision": "int16",
    }  # fmt: skip


def write(folder: Path, text: str = TINY) -> Path:
    path = folder / "grid.toml"
    path.write_text(text)
    return path


def start(folder: Path, grid: Path, out: Path, jobs: int) -> subprocess.Popen[str]:
    """A study as a program of its own, in a process group of its own, that hears Ctrl-C: what a shell starts
    in the background ignores it, and so would all that it starts.
    """
    script = folder / "study.py"
    script.write_text(PROGRAM)
    return subprocess.Popen(
        [sys.executable, str(script), str(grid), str(out), str(jobs)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def cells(out: Path) -> int:
    """Finished cells in the folder of a study."""
    return len(list((out / "cells").glob("*.json")))


def table(out: Path) -> dict[str, bytes]:
    """The bytes of what a study ends with."""
    return {name: (out / name).read_bytes() for name in ("rows.parquet", "rows.json", "index.html")}
