"""What options of training bring, one at a time, by validation windows alone: no test window is answered.

`python bench/ablate.py --data flat --base "scaling=zscore offset=0.25" --try steps=400 --try least_heard=0.3
--data-dir DIR` prints macro-F1 on validation, in floating point, of the base and of the base with each
change: the mean and the range of the seeds. The words are those of `tinyloc train --tune` and its flags.

With `--teacher "mamba H32L1"`, trained as the base says and as `--teacher-too class_weights=1` says besides,
every model is taught, the way `--teaching` says. docs/LOG.md has the tables.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from tinyloc.cli.options import FLAGS, train_options
from tinyloc.data import load_windows
from tinyloc.data.windows import WindowSets
from tinyloc.learn.lessons import Lesson, read_lesson, teach
from tinyloc.learn.options import TrainOptions, read
from tinyloc.learn.predict import predict
from tinyloc.learn.train import train
from tinyloc.metrics import macro_f1


def asked(words: str, **shape: Any) -> TrainOptions:
    """The options of words such as "scaling=zscore rate=0.01"; a later word counts, not an earlier one."""
    found = dict(word.split("=", 1) for word in words.split())
    flags: dict[str, Any] = {name: value for name, value in found.items() if name in FLAGS}
    flags |= {name: int(value) for name, value in flags.items() if name not in ("scaling", "state")}
    tuned = [f"{name}={value}" for name, value in found.items() if name not in FLAGS]
    return train_options({**shape, **flags}, tuned)


def judged(
    sets: WindowSets, options: TrainOptions, lesson: Lesson | None, teacher: TrainOptions, cache: Path
) -> float:
    """Macro-F1 in per cent on validation of one model, taught by one that was trained as `teacher` says."""
    targets = None
    if lesson is not None:
        taught = teach(lesson, sets, teacher, cache)
        options, targets = dataclasses.replace(options, distil=taught.options.distil), taught.targets
    model = train(sets, options, targets=targets)
    return 100 * macro_f1(sets.validation.room, predict(model, sets.validation).argmax(axis=1))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--family", default="mamba")
    parser.add_argument("--hidden", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--base", default="")
    parser.add_argument("--try", dest="tries", action="append", default=[])
    parser.add_argument("--teacher", action="append")
    parser.add_argument("--teacher-too", default="")
    parser.add_argument("--teaching", default="paper")
    parser.add_argument("--tau", type=float, default=1.0)
    given = parser.parse_args()
    sets = load_windows(given.data, data_dir=given.data_dir)
    lesson = read_lesson(given.teacher, given.teaching, given.tau) if given.teacher else None
    shape = {"family": given.family, "hidden": given.hidden}
    teacher = asked(f"{given.base} {given.teacher_too}", **shape)
    print("| changed | access points read | validation macro-F1 |\n|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="tinyloc-ablate-") as cache:
        for change in ("", *given.tries):
            options = asked(f"{given.base} {change}", **shape)
            found = [
                judged(sets, dataclasses.replace(options, seed=seed), lesson, teacher, Path(cache))
                for seed in range(given.seeds)
            ]
            points = len(read(options, sets.train))
            span = f"{np.mean(found):.1f} ({min(found):.1f}-{max(found):.1f})"
            print(f"| {change or 'nothing'} | {points} | {span} |", flush=True)


if __name__ == "__main__":
    main()
