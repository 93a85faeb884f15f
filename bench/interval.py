"""How far the difference of two lines of a study is the test recording's own: an interval around it.

    python bench/interval.py --grid studies/seeds-flat.toml --out runs/seeds-flat-study --data-dir DIR \
        --first "ensemble 3 mamba H8L1 carried, taught by three, places" integer+distilled \
        --second "mamba H8L1 paper" distilled

Names as in the study's table. Models that the study has trained are taken from its folder, others are
trained into it; integers are answered by the reference, which the device repeats byte for byte. Test windows
are drawn anew in blocks of `--block` neighbours, and seeds too (`tinyloc/judge/interval.py`).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

import numpy as np

from tinyloc.data import load_windows_file
from tinyloc.judge.interval import BLOCK, Answers, difference
from tinyloc.metrics import macro_f1
from tinyloc.study.cells import Shared
from tinyloc.study.engine import plan
from tinyloc.study.grid import load_grid
from tinyloc.study.table import StudyFolder
from tinyloc.study.tasks import Task


def answered(tasks: list[Task], label: str, line: str, compression: str) -> Answers:
    """The answers [S, W] of a line's seeds. Exits where the grid has no such line."""
    found, known = [], set()
    for task in tasks:
        for cell in task.cells:
            row = cell.row
            name = " ".join(word for word in (row.family, row.size, row.variant) if word)
            if task.model is None or row.set != label:
                continue
            known.add(f"{name!r} {row.compression}")
            if (name, row.compression) == (line, compression):
                found.append(Shared(task).answers(row))
    if not found:
        raise SystemExit(f"the grid has no line {line!r} {compression}; it has {', '.join(sorted(known))}")
    return np.stack(found)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--grid", type=Path, required=True, help="the study's grid, TOML")
    parser.add_argument("--out", type=Path, required=True, help="the study's folder")
    parser.add_argument("--data-dir", type=Path, help="folder with the data sets")
    parser.add_argument("--set", help="which data set of the grid (default: its first)")
    for which in ("first", "second"):
        parser.add_argument(f"--{which}", nargs=2, metavar=("LINE", "COMPRESSION"), required=True)
    parser.add_argument("--block", type=int, default=BLOCK, help=f"windows drawn together ({BLOCK})")
    parser.add_argument("--draws", type=int, default=2000, help="test sets drawn (2000)")
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    given = parser.parse_args()
    grid, folder = load_grid(given.grid), StudyFolder(given.out)
    with folder.alone():
        tasks, about = plan(grid, folder, given.data_dir)
        label = given.set or about["sets"][0]["label"]
        first, second = (answered(tasks, label, *words) for words in (given.first, given.second))
        path = next(task.windows for task in tasks if task.cells[0].row.set == label)
    test = load_windows_file(path).test
    found = difference(test.room, test.session, first, second, block=given.block, draws=given.draws)
    means = [float(np.mean([macro_f1(test.room, one) for one in some])) for some in (first, second)]
    if given.json:
        print(json.dumps({"set": label, "windows": len(test), "means": means, **dataclasses.asdict(found)}))
        return
    for words, mean, some in zip((given.first, given.second), means, (first, second), strict=True):
        print(f"{100 * mean:5.1f}  {' '.join(words)}, {len(some)} seeds")
    low, high = 100 * found.low, 100 * found.high
    print(f"{100 * found.measured:+5.1f}  the difference on {label}, {len(test)} windows")
    print(f"       95 % of drawn test sets: {low:+.1f} to {high:+.1f}; above 0 in {100 * found.above:.0f} %")


if __name__ == "__main__":
    main()
