"""What options of training bring, one at a time, by validation windows alone: no test window is answered.

`python bench/ablate.py --data flat --base "scaling=zscore offset=0.25" --try steps=400 --try least_heard=0.3
--data-dir DIR` prints macro-F1 on validation, in floating point, of the base and of the base with each
change: the mean and the range of the seeds. The words are those of `tinyloc train --tune` and its flags.
With `--folds` each seed is judged by the folds of a cross-validation: by their mean.

With `--teacher "mamba H32L1"`, trained as the base says and as `--teacher-too class_weights=1` says besides,
every model is taught, the way `--teaching` says, but for a first row without a teacher and a second one whose
teacher says no more than the labels. docs/LOG.md has the tables.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tinyloc.cli.options import FLAGS, members_of, train_options
from tinyloc.data import load_folds, load_windows
from tinyloc.data.windows import WindowSets
from tinyloc.learn.lessons import Lesson, read_lesson, teach
from tinyloc.learn.options import Distil, TrainOptions, read
from tinyloc.learn.predict import predict
from tinyloc.learn.train import train
from tinyloc.metrics import macro_f1

LABELS = "the labels"
"""A teacher that says what is known."""


def asked(words: str, lesson: Lesson | None, **shape: Any) -> TrainOptions:
    """The options of words such as "scaling=zscore rate=0.01"; a later word counts, not an earlier one."""
    found = dict(word.split("=", 1) for word in words.split())
    flags: dict[str, Any] = {name: value for name, value in found.items() if name in FLAGS}
    flags |= {name: int(value) for name, value in flags.items() if name not in ("scaling", "state")}
    tuned = [f"{name}={value}" for name, value in found.items() if name not in FLAGS]
    return train_options({**shape, **flags}, tuned, lesson)


def judged(
    sets: WindowSets, options: TrainOptions, lesson: Lesson | str | None, teacher: TrainOptions, cache: Path
) -> float:
    """Macro-F1 in per cent on validation of one model, taught by one that was trained as `teacher` says or by
    the labels.
    """
    targets = None
    if lesson == LABELS:
        options = dataclasses.replace(options, distil=Distil("paper", LABELS))
        targets = np.eye(len(sets.train.rooms), dtype=np.float32)[sets.train.room]
    elif isinstance(lesson, Lesson):
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
    parser.add_argument("--hidden", type=int, default=TrainOptions.hidden)
    parser.add_argument("--trees", type=int, default=TrainOptions.trees)
    parser.add_argument("--leaves", type=int, default=TrainOptions.leaves)
    parser.add_argument("--members")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folds", action="store_true")
    parser.add_argument("--base", default="")
    parser.add_argument("--try", dest="tries", action="append", default=[])
    parser.add_argument("--teacher", action="append")
    parser.add_argument("--teacher-too", default="")
    parser.add_argument("--teaching", default="paper")
    parser.add_argument("--tau", type=float, default=1.0)
    parser.add_argument("--alpha", type=float, default=Distil.alpha)
    given = parser.parse_args()
    load = load_folds if given.folds else load_windows
    loaded = load(given.data, data_dir=given.data_dir)
    folds: Sequence[WindowSets] = loaded if isinstance(loaded, tuple) else (loaded,)
    lesson = None
    if given.teacher:
        lesson = read_lesson(given.teacher, given.teaching, given.tau, given.alpha)
    shape = {name: getattr(given, name) for name in ("family", "hidden", "trees", "leaves")}
    shape["members"] = members_of(given.members)
    teacher = asked(f"{given.base} {given.teacher_too}", lesson, **shape)
    rows: list[tuple[str, str, Lesson | str | None]]
    rows = [(change or "nothing", change, lesson) for change in ("", *given.tries)]
    if lesson:
        rows[:0] = [("no teacher", "", None), (f"taught by {LABELS}", "", LABELS)]
    where = "the folds'" if given.folds else "validation"
    print(f"| changed | access points read | {where} macro-F1 |\n|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="tinyloc-ablate-") as cache:
        for name, change, who in rows:
            options = asked(f"{given.base} {change}", lesson, **shape)
            found = []
            for seed in range(given.seeds):
                own = dataclasses.replace(options, seed=seed)
                found.append(np.mean([judged(fold, own, who, teacher, Path(cache)) for fold in folds]))
            points = "-".join(str(n) for n in sorted({len(read(options, fold.train)) for fold in folds}))
            span = f"{np.mean(found):.1f} ({min(found):.1f}-{max(found):.1f})"
            print(f"| {name} | {points} | {span} |", flush=True)


if __name__ == "__main__":
    main()
