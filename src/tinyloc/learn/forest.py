"""Growing the small forest with scikit-learn: a few kinds of trees, of which validation picks one.

The trees read whole numbers (`models/forest.py`), and their thresholds are brought down to whole numbers,
so that the checkpoint, the integer graph and the C answer alike to the last vote. Each tree has one vote, the
room that most training windows of its leaf have: per byte of flash that did better on validation than votes
with a weight and than a probability for each room (docs/LOG.md). The test set is never looked at.

A forest that a teacher taught grows on shares of rooms (`distil.room_shares`) in place of rooms, with the
squared error in place of Gini's impurity: of shares that are one room each they are the same up to a factor
1 / K (Breiman et al., "Classification and regression trees", 1984), so that the same trees grow. Only where
rooms count alike and windows are drawn with replacement do they differ: there each tree of rooms weighs its
own draw, and trees of shares weigh all windows at once.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)

from tinyloc.data.windows import Windows, WindowSets
from tinyloc.errors import TrainingError
from tinyloc.learn.distil import room_shares
from tinyloc.learn.options import TrainOptions, is_sparse, record
from tinyloc.metrics import macro_f1
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.models.config import ForestConfig
from tinyloc.models.forest import features, pack, votes
from tinyloc.models.scaling import InputScaling

Arrays = dict[str, npt.NDArray[np.float32]]
Shares = npt.NDArray[np.float64]

Told = Callable[[int, int, float, float], None]
"""Called after each forest: how many were grown, of how many, its validation macro-F1, the best so far."""


@dataclass(frozen=True)
class Growth:
    """One way to grow. `kind`: "random" (Breiman 2001: windows drawn with replacement, best split) or "extra"
    (Geurts et al. 2006: all windows, random splits). `smallest_leaf`: windows of training in a leaf at least.
    `shown`: share of the features that a split may choose from, or "sqrt" of them. `balanced`: rooms count
    alike, not windows.
    """

    kind: Literal["random", "extra"]
    smallest_leaf: int
    shown: float | Literal["sqrt"]
    balanced: bool

    def grow(self, x: npt.NDArray[np.int16], room: npt.NDArray[Any], config: ForestConfig, seed: int) -> Any:
        """The fitted scikit-learn forest."""
        make = RandomForestClassifier if self.kind == "random" else ExtraTreesClassifier
        weights = "balanced_subsample" if self.balanced else None
        return make(**self._how(config, seed), class_weight=weights).fit(x.astype(np.float32), room)

    def grow_taught(self, x: npt.NDArray[np.int16], shares: Shares, config: ForestConfig, seed: int) -> Any:
        """The fitted scikit-learn forest of regression trees on `shares` [W, K]. Where rooms count alike, a
        window counts as much as the rooms in it do among all windows.
        """
        make = RandomForestRegressor if self.kind == "random" else ExtraTreesRegressor
        heavy = alike(shares) if self.balanced else None
        return make(**self._how(config, seed)).fit(x.astype(np.float32), shares, sample_weight=heavy)

    def _how(self, config: ForestConfig, seed: int) -> dict[str, Any]:
        """What scikit-learn is told of trees of either kind."""
        return {
            "n_estimators": config.trees,
            "max_leaf_nodes": config.leaves,
            "min_samples_leaf": self.smallest_leaf,
            "max_features": self.shown,
            "random_state": seed,
            "n_jobs": 1,
        }


def alike(shares: Shares) -> Shares:
    """What each window of `shares` [W, K] weighs [W] where rooms count alike: as much as the rooms in it do.

    A room that is spoken of for less than one window in all counts as one, not as much as the others do.
    """
    each = np.maximum(shares.sum(axis=0), 1.0)
    return np.asarray(shares @ (len(shares) / (len(each) * each)))


_DENSE: Final = tuple(
    itertools.starmap(Growth, itertools.product(("random", "extra"), (1, 3), ("sqrt", 0.3), (False, True)))
)
_SPARSE: Final = tuple(
    itertools.starmap(Growth, itertools.product(("random", "extra"), (1,), ("sqrt", 0.1), (False, True)))
)


def candidates(sparse: bool) -> tuple[Growth, ...]:
    """What is tried, by the training windows alone: many access points that are seldom heard take longer."""
    return _SPARSE if sparse else _DENSE


def arrays(model: Any) -> Arrays:
    """A fitted scikit-learn forest as `models.forest.pack` makes it."""
    trees = []
    for estimator in model.estimators_:
        tree = estimator.tree_  # its values [nodes, 1, rooms seen] of one room, [nodes, K, 1] of shares
        if hasattr(model, "classes_"):
            room = model.classes_[tree.value[:, 0].argmax(axis=1)]
        else:
            room = tree.value[:, :, 0].argmax(axis=1)
        trees.append((tree.feature, tree.threshold, tree.children_left, tree.children_right, room))
    return pack(trees)


def grow(
    sets: WindowSets,
    options: TrainOptions,
    told: Told | None = None,
    targets: npt.NDArray[np.float32] | None = None,
) -> Checkpoint:
    """Grow every candidate on `sets.train`; the best on `sets.validation` becomes the checkpoint: by macro-F1
    and, between equals, by fewer nodes. Of the options `trees`, `leaves`, `seed`, `restarts` and `distil`
    matter; `targets`, with `distil` alone: what its teacher says of the training windows.

    Raises TrainingError where nothing tells the rooms apart, UsageError for a shape that cannot be.
    """
    validation, rooms = sets.validation, len(sets.train.rooms)
    shares = room_shares(options, sets.train, targets)
    asked = features(validation.rssi)
    ways = [way for way in candidates(is_sparse(sets.train)) for _ in range(options.restarts)]
    best: tuple[tuple[float, int], Arrays] | None = None
    trials: list[dict[str, Any]] = []
    for trial, way in enumerate(ways):
        start = trial % options.restarts
        found = _grown(sets.train, options, way, start, shares)
        score = macro_f1(validation.room, votes(found, asked, rooms).argmax(axis=1))
        nodes = len(found["feature"])
        trials.append({**vars(way), "start": start, "nodes": nodes, "macro_f1": score})
        if nodes and (best is None or (score, -nodes) > best[0]):
            best = (score, -nodes), found
        if told:
            told(trial + 1, len(ways), score, best[0][0] if best else score)
    if best is None:
        raise _nothing_to_tell_by(sets.train, options)
    return _checkpoint(sets, options, best[1], best[0][0], trials)


def regrow(
    sets: WindowSets,
    options: TrainOptions,
    chosen: Checkpoint,
    targets: npt.NDArray[np.float32] | None = None,
) -> Checkpoint:
    """A forest grown the way of `chosen` (what `grow` gave with these options) on `sets.train`; `targets`: of
    those windows.

    It keeps the validation score of `chosen`, which had not seen those windows. Raises what `grow` does.
    """
    trials = chosen.training["trials"]
    best = max((t for t in trials if t["nodes"]), key=lambda trial: (trial["macro_f1"], -trial["nodes"]))
    way = Growth(*(best[field.name] for field in dataclasses.fields(Growth)))
    weights = _grown(sets.train, options, way, best["start"], room_shares(options, sets.train, targets))
    if not len(weights["feature"]):
        raise _nothing_to_tell_by(sets.train, options)
    model = _checkpoint(sets, options, weights, chosen.training["validation_macro_f1"], trials)
    return dataclasses.replace(model, training={**model.training, "refit": True})


def _grown(windows: Windows, options: TrainOptions, way: Growth, start: int, shares: Shares | None) -> Arrays:
    seed = np.random.SeedSequence([options.seed, start]).generate_state(1)[0]
    shape = ForestConfig(len(windows.access_points), len(windows.rooms), options.trees, options.leaves)
    x = features(windows.rssi)
    if shares is None:
        return arrays(way.grow(x, windows.room, shape, int(seed)))
    return arrays(way.grow_taught(x, shares, shape, int(seed)))


def _checkpoint(
    sets: WindowSets, options: TrainOptions, weights: Arrays, score: float, trials: list[dict[str, Any]]
) -> Checkpoint:
    windows = sets.train
    shape = (len(windows.access_points), len(windows.rooms), options.trees, options.leaves)
    return Checkpoint(
        config=ForestConfig(*shape, nodes=len(weights["feature"])),
        scaling=InputScaling.fit("minmax", windows),
        weights=weights,
        rooms=windows.rooms,
        access_points=windows.access_points,
        window_steps=windows.steps,
        seconds_per_step=windows.seconds_per_step,
        state="reset",
        training={
            "seed": options.seed,
            "data": sets.name,
            "simulated": sets.simulated,
            "validation_macro_f1": score,
            "trials": trials,
            "options": record(options),
        },
    )


def _nothing_to_tell_by(windows: Windows, options: TrainOptions) -> TrainingError:
    x = features(windows.rssi)
    if options.distil is not None and (x != x[0]).any():
        return TrainingError(
            "every tree says one room for all windows: its teacher hardly tells one room from another",
            hint="Train the teacher longer, take another one, or lower its share, alpha.",
        )
    return TrainingError("no signal in the training windows tells one room from another")
