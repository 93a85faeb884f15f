"""Training several models to answer together (`models/ensemble.py`).

Each member is trained as it would be alone, with a seed of its own where there are several of its shape, and
chosen on validation alone; where there is a teacher, each learns from it. How loud each is, is
measured on the validation windows that it has not learned from, without their rooms; a refit keeps these
shares.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyloc.data.windows import WindowSets
from tinyloc.learn.options import TrainOptions, read, record
from tinyloc.learn.score import cross_entropy
from tinyloc.metrics import macro_f1
from tinyloc.models import ensemble
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.models.scaling import InputScaling

Fit = Callable[[WindowSets, TrainOptions], Checkpoint]
"""Trains a member, or takes it from where it is kept."""
Refit = Callable[[WindowSets, TrainOptions, Checkpoint], Checkpoint]
"""Trains it once more, on validation windows too."""


def train(sets: WindowSets, options: TrainOptions, fit: Fit) -> Checkpoint:
    """Train the members of `options` one by one with `fit`; raises what that raises."""
    from tinyloc.learn.predict import predict

    sets = sets.only(read(options, sets.train))
    found = [fit(sets, own) for own in options.member_options()]
    said = [predict(member, sets.validation) for member in found]
    shares = np.array([ensemble.share(scores) for scores in said], np.float32)
    scores, room = ensemble.together(said, shares), sets.validation.room
    facts = {
        "validation_macro_f1": macro_f1(room, scores.argmax(axis=1)),
        "validation_cross_entropy": cross_entropy(scores, room),
    }
    return ensemble.joined(found, shares, _no_scaling(sets), _about(sets, options, facts))


def refit(sets: WindowSets, options: TrainOptions, chosen: Checkpoint, again: Refit) -> Checkpoint:
    """Train the members of `chosen` (what `train(sets, options)` gave) once more, each with `again`."""
    sets = sets.only(chosen.access_points)
    pairs = zip(options.member_options(), ensemble.members(chosen), strict=True)
    found = [again(sets, own, member) for own, member in pairs]
    facts = {name: chosen.training[name] for name in ("validation_macro_f1", "validation_cross_entropy")}
    training = {**_about(sets, options, facts), "refit": True}
    return ensemble.joined(found, chosen.weights["shares"], chosen.scaling, training)


def said_to(own: TrainOptions, targets: npt.NDArray[np.float32] | None) -> npt.NDArray[np.float32] | None:
    """What a teacher says to the member that is trained with these options: to one of which it teaches
    nothing (`TrainOptions.member_options`), nothing.
    """
    return None if own.distil is None else targets


def _no_scaling(sets: WindowSets) -> InputScaling:
    return InputScaling.fit("minmax", sets.train)


def _about(sets: WindowSets, options: TrainOptions, facts: dict[str, Any]) -> dict[str, Any]:
    return {
        "seed": options.seed,
        "data": sets.name,
        "simulated": sets.simulated,
        **facts,
        "trials": [],
        "options": record(options),
    }
