"""Cross-validation: what trains and validates, divided into folds, each of which validates once.

A single validation set of a minute or two cannot tell models that are a point apart. Folds give every model
as many windows to be judged on as there were to learn from. What tests is in none of them.

Where whole sessions train and validate, each of them validates in turn while the others train; more than
`MOST_FOLDS` of them go together, neighbours with neighbours. Where parts of one session train and validate,
the source says how it is divided (`Division.folds`), as a rule by quarters of its time (`fold_time`).
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from tinyloc.data.recording import Recording
from tinyloc.data.splits import Fold, Material, cut, rooms_in_order, split_quarter, split_stays
from tinyloc.data.windows import Windows, WindowSets
from tinyloc.data.words import counted
from tinyloc.errors import SplitError

MOST_FOLDS: Final = 6
QUARTERS: Final = 4


def fold_sessions(recordings: Sequence[Recording]) -> tuple[Fold, ...]:
    """Each of the recordings validates in turn, the others train."""
    turns = np.array_split(np.arange(len(recordings)), min(MOST_FOLDS, len(recordings)))
    return tuple(
        Fold(
            tuple(one for i, one in enumerate(recordings) if i not in turn),
            tuple(recordings[i] for i in turn),
        )
        for turn in turns
    )


def fold_time(recordings: Sequence[Recording], gap_seconds: float) -> tuple[Fold, ...]:
    """Each quarter of the time of every recording validates in turn; `gap_seconds` are left out around it."""
    return tuple(
        together(split_quarter(one, quarter, gap_seconds) for one in recordings)
        for quarter in range(QUARTERS)
    )


def fold_stays(recording: Recording) -> tuple[Fold, ...]:
    """Each quarter of every stay in a room validates in turn."""
    share = 1 / QUARTERS
    return tuple(
        together([split_stays(recording, share, (quarter + 0.5) * share)]) for quarter in range(QUARTERS)
    )


def together(pairs: Iterable[tuple[list[Recording], list[Recording]]]) -> Fold:
    """One fold of recordings that were each divided into (what trains, what validates)."""
    train, held = zip(*pairs, strict=True)
    return Fold(tuple(itertools.chain(*train)), tuple(itertools.chain(*held)))


def build_folds(material: Material) -> tuple[WindowSets, ...]:
    """Windows of every fold, as `build_sets` cuts them; their test sets are empty.

    A validation window in a room that the fold's training windows do not know is left out: nothing could
    answer it. So is a fold that has nothing to validate by, or fewer than two rooms to train on. Raises
    SplitError where fewer than two folds remain.
    """
    division, rooms = material.division, rooms_in_order(material)
    folds = division.folds or fold_sessions((*division.train, *division.validation))
    found = [_sets(material, fold, rooms) for fold in folds if fold.train and fold.validation]
    kept = tuple(sets for sets in found if len(sets.validation) and len(np.unique(sets.train.room)) > 1)
    if len(kept) < 2:
        raise SplitError(
            f"{material.name}: {counted(len(kept), 'fold')} of {len(folds)} can train and validate; a "
            "cross-validation needs two",
            hint="Do without it, or record more sessions that visit all rooms.",
        )
    return kept


def build_selection(material: Material) -> WindowSets | None:
    """What trains, with the windows of the recordings that select in place of those that validate; its test
    set is empty. None where no recording selects. Raises SplitError where none of its windows is in a room
    that trains.
    """
    division = material.division
    if not division.selection:
        return None
    sets = _sets(material, Fold(division.train, division.selection), rooms_in_order(material))
    sets = dataclasses.replace(sets, description=f"Selected by {', '.join(sets.validation.sessions)}.")
    if not len(sets.validation):
        raise SplitError(
            f"{material.name}: what selects, {', '.join(one.session for one in division.selection)}, has no "
            "window in a room that trains",
            hint="Record for longer, annotate more of it, or let another session select.",
        )
    return sets


def _sets(material: Material, fold: Fold, rooms: tuple[str, ...]) -> WindowSets:
    train = cut(material.protocol, fold.train, rooms, train=True)
    validation = cut(material.protocol, fold.validation, rooms)
    validation = _some(validation, np.isin(validation.room, np.unique(train.room)))
    return WindowSets(
        name=material.name,
        train=train,
        validation=validation,
        test=_some(validation, np.zeros(len(validation), bool)),
        description=f"Cross-validation by {', '.join(one.session for one in fold.validation[:3])}.",
        licence=material.licence,
        citation=material.citation,
        simulated=material.simulated,
    )


def _some(windows: Windows, chosen: npt.NDArray[np.bool_]) -> Windows:
    """The chosen windows [W] alone."""
    return windows if chosen.all() else windows.rows(chosen)
