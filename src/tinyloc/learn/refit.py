"""Training once more on all that is not test, when validation has made its choice.

Validation windows choose how to train (scaling, augmentation); that done, they are recordings of the home
like any other, and a model that never learns from them knows less of it: the last walk before the test is the
one that is most like it. So the choice is made without them, and the model that ships is trained with them,
for the full number of steps and without picking among evaluations: nothing is left to pick by. It is what
scikit-learn calls `refit`. The score on validation that a refitted model carries is that of the model that
was chosen, which had not seen them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tinyloc.data.windows import WindowSets, merged
from tinyloc.learn import distil, ensemble, forest
from tinyloc.learn.options import Augmentation, TrainOptions
from tinyloc.learn.train import Progress, train
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.models.config import EnsembleConfig, ForestConfig


def decided(options: TrainOptions, chosen: Checkpoint) -> TrainOptions:
    """The options without what `chosen` has decided: one scaling, one augmentation, one start, no picking;
    its access points are given with the windows.
    """
    best = max(chosen.training["trials"], key=lambda trial: (trial["macro_f1"], -trial["cross_entropy"]))
    return dataclasses.replace(
        options,
        scaling=best["scaling"],
        augmentation=Augmentation(**best["augmentation"]),
        restarts=1,
        evaluations=1,
        patience=0,
        least_heard=0.0,
    )


def refit(
    sets: WindowSets,
    options: TrainOptions,
    chosen: Checkpoint,
    *,
    targets: npt.NDArray[np.float32] | None = None,
    resume_from: Path | None = None,
    interrupt_to: Path | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Checkpoint:
    """Train as `chosen` (what `train(sets, options)` gave) was trained, on training and validation windows.

    `targets`: a teacher's, for `merged(sets).train`. The other arguments and errors are those of `train`.
    """
    return retrain(
        merged(sets),
        options,
        chosen,
        targets=targets,
        resume_from=resume_from,
        interrupt_to=interrupt_to,
        progress=progress,
    )


def retrain(
    sets: WindowSets,
    options: TrainOptions,
    chosen: Checkpoint,
    *,
    targets: npt.NDArray[np.float32] | None = None,
    resume_from: Path | None = None,
    interrupt_to: Path | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Checkpoint:
    """Train as `chosen` was trained, on `sets.train`, whatever it was that `chosen` learned from; nothing is
    picked by `sets.validation`.

    It reads the access points that `chosen` reads; a forest grows anew the way that was chosen. `targets`:
    a teacher's, for `sets.train`. The other arguments and errors are those of `train`.
    """
    if isinstance(chosen.config, EnsembleConfig):
        distil.check_given(options, targets)

        def again(some: WindowSets, own: TrainOptions, member: Checkpoint) -> Checkpoint:
            return retrain(some, own, member, targets=ensemble.said_to(own, targets), progress=progress)

        return ensemble.refit(sets, options, chosen, again)
    if isinstance(chosen.config, ForestConfig):
        return forest.regrow(sets.only(chosen.access_points), options, chosen, targets)
    model = train(
        sets.only(chosen.access_points),
        decided(options, chosen),
        targets=targets,
        resume_from=resume_from,
        interrupt_to=interrupt_to,
        progress=progress,
    )
    names = ("validation_macro_f1", "validation_cross_entropy", "trials")
    facts = {name: chosen.training[name] for name in names}
    return dataclasses.replace(model, training={**model.training, **facts, "refit": True})
