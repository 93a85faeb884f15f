"""The baselines that every result stands beside: random forests and nearest neighbours (no torch).

They read the same bytes as the models: per-window statistics of each access point, or the values themselves
where a window is a single sample. Each is fitted on the training windows; what has to be chosen (k, the form
of the signal, the size of the forest) is chosen on the validation windows. With `refit` it is then fitted
again on both, as the models are: the same data for every model. Same seed, same answers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier

from tinyloc.data.windows import Windows, joined
from tinyloc.metrics import macro_f1
from tinyloc.models.scaling import NOT_HEARD, InputScaling, Kind

BYTES_PER_NODE: Final = 8
"""Flash of one node, inner or leaf, of a forest on a microcontroller: feature (1-2), threshold (2), two
children (2 x 2), rounded up: what emlearn's inline trees need, about."""

NOT_HEARD_DBM: Final = -120
"""What a forest reads for "not heard": below every signal, so that one split tells the two apart."""

STATISTICS: Final = ("mean", "max", "min", "standard deviation", "heard fraction", "last", "slope")

Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Baseline:
    """A fitted baseline: `name`, the `choices` made on validation, and `nodes` of a forest (else 0)."""

    name: str
    choices: dict[str, int | float | str]
    nodes: int
    answer: Callable[[Windows], Labels]

    @property
    def flash_bytes(self) -> int:
        """An estimate for a forest, at 8 bytes per node; 0 where it is not a forest."""
        return self.nodes * BYTES_PER_NODE

    def predict(self, windows: Windows) -> Labels:
        """The room [W] of each window, an index into `rooms`."""
        return self.answer(windows)


def statistics(windows: Windows) -> npt.NDArray[np.float32]:
    """[W, 7 P] per access point: mean, max, min, standard deviation (dB), heard fraction, last value (dBm,
    -120 where not heard) and slope (dB from the first half to the second); [W, P] values where T is 1.
    """
    heard = windows.rssi != NOT_HEARD  # [W, T, P]
    dbm = np.where(heard, windows.rssi, NOT_HEARD_DBM).astype(np.float32)
    steps = dbm.shape[1]
    if steps == 1:
        return dbm[:, 0]
    half = steps // 2
    slope = dbm[:, half:].mean(axis=1) - dbm[:, :half].mean(axis=1)
    parts = [
        dbm.mean(axis=1),
        dbm.max(axis=1),
        dbm.min(axis=1),
        dbm.std(axis=1),
        heard.mean(axis=1),
        dbm[:, -1],
    ]
    return np.concatenate([*parts, slope], axis=1, dtype=np.float32)


def forest(train: Windows, *, trees: int = 300, seed: int = 0) -> Baseline:
    """A random forest of `trees` full-grown trees (Breiman 2001) on `statistics`."""
    model = _grow(train, seed, n_estimators=trees)
    return _forest(f"forest{trees}", model, {"trees": trees})


def small_forest(
    train: Windows, validation: Windows, flash_bytes: int, *, seed: int = 0, refit: bool = False
) -> Baseline:
    """The forest that does best on validation among those whose nodes fit `flash_bytes` at 8 bytes each.

    Tried: 3 to 50 trees, each with as many leaves as fit; a tree of l leaves has 2 l - 1 nodes.
    """
    best: tuple[float, RandomForestClassifier, dict[str, int | float | str]] | None = None
    nodes = max(flash_bytes // BYTES_PER_NODE, 3)
    for trees in (3, 5, 10, 20, 50):
        leaves = (nodes // trees + 1) // 2
        if leaves < 2 and best:
            break
        fitting = trees if leaves >= 2 else 1
        leaves = max(leaves, 2)
        model = _grow(train, seed, n_estimators=fitting, max_leaf_nodes=leaves)
        score = macro_f1(validation.room, model.predict(statistics(validation)))
        if best is None or score > best[0]:
            best = (score, model, {"trees": fitting, "leaves": leaves})
    assert best is not None
    _, model, choices = best
    if refit:
        options = {"n_estimators": choices["trees"], "max_leaf_nodes": choices["leaves"]}
        model = _grow(joined(train, validation), seed, **options)
    return _forest("small forest", model, choices)


def nearest_neighbours(
    train: Windows,
    validation: Windows,
    *,
    k: Sequence[int] = (1, 3, 5, 9, 15),
    kinds: Sequence[Kind] = ("minmax", "zscore", "power"),
    refit: bool = False,
) -> Baseline:
    """Nearest neighbours (Euclid) on each access point's mean scaled signal; k and scaling by validation."""
    best: tuple[float, KNeighborsClassifier, InputScaling, int] | None = None
    for kind in kinds:
        scaling = InputScaling.fit(kind, train)
        points, questions = _means(scaling, train), _means(scaling, validation)
        for count in sorted({min(each, len(train)) for each in k}):
            model = KNeighborsClassifier(count, algorithm="brute").fit(points, train.room)
            score = macro_f1(validation.room, model.predict(questions))
            if best is None or score > best[0]:
                best = (score, model, scaling, count)
    if best is None:
        raise ValueError("no k or no scaling to choose from")
    _, model, chosen, count = best
    if refit:
        whole = joined(train, validation)
        chosen = InputScaling.fit(chosen.kind, whole)
        model = KNeighborsClassifier(count, algorithm="brute").fit(_means(chosen, whole), whole.room)

    def answer(windows: Windows) -> Labels:
        return np.asarray(model.predict(_means(chosen, windows)), dtype=np.int64)

    return Baseline("nearest neighbours", {"k": count, "scaling": chosen.kind}, 0, answer)


def _means(scaling: InputScaling, windows: Windows) -> npt.NDArray[np.float32]:
    """[W, P] the scaled signal, averaged over the window."""
    return np.asarray(scaling.apply(windows.rssi).mean(axis=1), dtype=np.float32)


def _grow(train: Windows, seed: int, **options: Any) -> RandomForestClassifier:
    model = RandomForestClassifier(random_state=seed, n_jobs=1, **options)
    return model.fit(statistics(train), train.room)


def _forest(name: str, model: RandomForestClassifier, choices: dict[str, int | float | str]) -> Baseline:
    def answer(windows: Windows) -> Labels:
        return np.asarray(model.predict(statistics(windows)), dtype=np.int64)

    nodes = sum(tree.tree_.node_count for tree in model.estimators_)
    return Baseline(name, choices, nodes, answer)
