"""The methods that a model has to beat, each on the same windows, every choice made on validation.

Forests and nearest neighbours are those of `models/classic.py`, the small float networks those of
`networks.py`. Here: gradient boosting, and a hidden Markov model that smooths the forest's answers causally
(a forward filter along each session).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from tinyloc.data.order import begins, hop_seconds, transitions
from tinyloc.data.windows import Windows, WindowSets, joined
from tinyloc.judge.metrics import macro_f1

FOREST: Final = "forest300"
SMALL: Final = "forest_small"
NEIGHBOURS: Final = "nearest_neighbours"
BOOSTING: Final = "gradient_boosting"
SMOOTHED: Final = "forest300_hmm"
MLP: Final = "mlp_baseline"
CNN: Final = "cnn"
LSTM: Final = "lstm"
BASELINES: Final = (FOREST, SMALL, NEIGHBOURS, BOOSTING, SMOOTHED, MLP, CNN, LSTM)

WITHOUT_CHANCE: Final = (NEIGHBOURS, BOOSTING)
"""These give the same answers with every seed: one is enough."""

BOOSTING_ROUNDS: Final = 100
POWERS: Final = (0.1, 0.25, 0.5, 1.0)
"""How much one window's evidence counts; neighbouring windows overlap and are no independent witnesses."""
PSEUDO_COUNTS: Final = (0.1, 1.0)
"""Changes between any two rooms that are taken as seen beside those that were."""

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Fitted:
    """A fitted baseline's answers [W] on validation, which it had not seen then, and on test; `flash_bytes`
    is an estimate for a forest, `parameters` the trained numbers of a network.
    """

    validation: Labels
    test: Labels
    flash_bytes: int | None = None
    parameters: int | None = None


def applies(name: str, sets: WindowSets) -> bool:
    """Whether a baseline makes sense on these windows: smoothing needs an order in time, and what reads a
    window step by step needs steps.
    """
    if name == SMOOTHED:
        return sets.train.seconds_per_step > 0
    return name not in (CNN, LSTM) or sets.train.steps > 1


def size_name(name: str, budget_kb: int) -> str:
    """What a baseline is called in the table: the small forest once per budget."""
    return f"{name}_{budget_kb}KB" if name == SMALL else name


def fit(name: str, sets: WindowSets, *, seed: int, flash_bytes: int, refit: bool) -> Fitted:
    """Fit the baseline of that name; `flash_bytes` is what the small forest may take. `refit`: the one that
    answers the test has learned from validation windows too, after they chose, as the models do.
    """
    return _FITS[name](sets, seed, flash_bytes, refit)


def _windows(sets: WindowSets, refit: bool) -> Windows:
    """What the one that answers the test learns from."""
    return joined(sets.train, sets.validation) if refit else sets.train


def _forest(sets: WindowSets, seed: int, flash_bytes: int, refit: bool) -> Fitted:
    from tinyloc.models import classic

    judged = classic.forest(sets.train, seed=seed)
    found = classic.forest(_windows(sets, refit), seed=seed) if refit else judged
    return Fitted(judged.predict(sets.validation), found.predict(sets.test), found.flash_bytes)


def _small(sets: WindowSets, seed: int, flash_bytes: int, refit: bool) -> Fitted:
    from tinyloc.models import classic

    def grow(again: bool) -> classic.Baseline:
        return classic.small_forest(sets.train, sets.validation, flash_bytes, seed=seed, refit=again)

    judged = grow(False)
    found = grow(True) if refit else judged
    return Fitted(judged.predict(sets.validation), found.predict(sets.test), found.flash_bytes)


def _neighbours(sets: WindowSets, seed: int, flash_bytes: int, refit: bool) -> Fitted:
    from tinyloc.models import classic

    judged = classic.nearest_neighbours(sets.train, sets.validation)
    found = classic.nearest_neighbours(sets.train, sets.validation, refit=True) if refit else judged
    return Fitted(judged.predict(sets.validation), found.predict(sets.test), None)


def _boosting(sets: WindowSets, seed: int, flash_bytes: int, refit: bool) -> Fitted:
    """scikit-learn's histogram gradient boosting; validation says after how many rounds to stop."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    from tinyloc.models.classic import statistics

    def grow(windows: Windows) -> HistGradientBoostingClassifier:
        return HistGradientBoostingClassifier(
            max_iter=BOOSTING_ROUNDS, max_leaf_nodes=15, early_stopping=False, random_state=seed
        ).fit(statistics(windows), windows.room)

    model = grow(sets.train)
    stages = [
        np.asarray(answered, np.int64) for answered in model.staged_predict(statistics(sets.validation))
    ]
    scores = [macro_f1(sets.validation.room, answered) for answered in stages]
    best = int(np.argmax(scores))
    model = grow(_windows(sets, refit)) if refit else model
    for rounds, answered in enumerate(model.staged_predict(statistics(sets.test))):
        if rounds == best:
            return Fitted(stages[best], np.asarray(answered, np.int64))
    raise AssertionError("gradient boosting has no rounds")


def _smoothed(sets: WindowSets, seed: int, flash_bytes: int, refit: bool) -> Fitted:
    """The forest's shares of votes, filtered forward along each session by the walks' transitions."""
    from sklearn.ensemble import RandomForestClassifier

    from tinyloc.models.classic import statistics

    def votes(learned: Windows, asked: Windows) -> Floats:
        model = RandomForestClassifier(300, random_state=seed, n_jobs=1).fit(
            statistics(learned), learned.room
        )
        return _all_rooms(model.predict_proba(statistics(asked)), model.classes_, len(learned.rooms))

    train, judged = sets.train, votes(sets.train, sets.validation)
    prior = (np.bincount(train.room, minlength=len(train.rooms)) + 1.0) / (len(train) + len(train.rooms))
    counts = transitions(train, hop_seconds(sets.validation))
    best: tuple[float, Floats, float, Labels] | None = None
    for pseudo in PSEUDO_COUNTS:
        chances = (counts + pseudo) / (counts + pseudo).sum(axis=1, keepdims=True)
        for power in POWERS:
            answered = forward(judged, sets.validation, chances, prior, power)
            score = macro_f1(sets.validation.room, answered)
            if best is None or score > best[0]:
                best = (score, chances, power, answered)
    assert best is not None
    found = votes(_windows(sets, refit), sets.test)
    return Fitted(best[3], forward(found, sets.test, best[1], prior, best[2]))


def _all_rooms(votes: Floats, classes: npt.NDArray[np.integer], rooms: int) -> Floats:
    """[W, K] of all rooms, from the votes for those that training has."""
    found = np.zeros((len(votes), rooms))
    found[:, classes] = votes
    return found


def forward(votes: Floats, windows: Windows, chances: Floats, prior: Floats, power: float) -> Labels:
    """The likeliest room [W] given all windows of its session up to it: never one that comes later.

    `votes` [W, K], `chances` [K, K] of the next room, `prior` [K]. A session, and what follows a gap of more
    than one and a half hops, starts from `prior`.
    """
    evidence = (np.maximum(votes, 1e-3) / prior) ** power
    answered = np.zeros(len(votes), np.int64)
    belief = prior
    for w, new in enumerate(begins(windows)):
        belief = (prior if new else belief @ chances) * evidence[w]
        belief = belief / belief.sum()
        answered[w] = int(belief.argmax())
    return answered


def _network(name: str) -> Callable[[WindowSets, int, int, bool], Fitted]:
    def fitted(sets: WindowSets, seed: int, flash_bytes: int, refit: bool) -> Fitted:
        from tinyloc.study import networks  # torch: only where a network is asked for

        found = networks.fit(name, sets, seed=seed, refit=refit)
        return Fitted(found.validation, found.test, parameters=found.parameters)

    return fitted


_FITS: Final[dict[str, Callable[[WindowSets, int, int, bool], Fitted]]] = {
    FOREST: _forest,
    SMALL: _small,
    NEIGHBOURS: _neighbours,
    BOOSTING: _boosting,
    SMOOTHED: _smoothed,
    **{name: _network(name) for name in (MLP, CNN, LSTM)},
}
