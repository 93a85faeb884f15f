"""What winners are chosen by, the strongest first: what page, Markdown and console call it, and say of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tinyloc.data.words import counted

About = dict[str, Any]


@dataclass(frozen=True)
class Criterion:
    """`field` of a line that has it. `name`: the column's; `short`: on a console. `by`: how winners were
    chosen. `meaning`: a sentence for a legend. `said`: what the facts of a data set and of the study add.
    """

    field: str
    name: str
    short: str
    by: str
    meaning: str
    said: Callable[[About, About], str]


def _selection(facts: About, _: About) -> str:
    return f"{counted(facts['selection'], 'window')} of other recordings select"


def _drift(facts: About, _: About) -> str:
    return f"validation is also heard with receivers that are off by {facts['validation_drift']:g} dB"


def _folds(facts: About, about: About) -> str:
    return f"{facts['folds']} folds cross-validate ({counted(about['cross_validation'], 'seed')})"


CRITERIA: Final = (
    Criterion(
        "selected",
        "selection",
        "select %",
        "by recordings that select",
        "macro-F1 on recordings that nothing but the choice of winners reads",
        _selection,
    ),
    Criterion(
        "drifted",
        "under drift",
        "drift %",
        "by validation under drift",
        "macro-F1 on validation as heard by receivers that have drifted, each off by a draw of so many dB",
        _drift,
    ),
    Criterion(
        "crossed",
        "cross-validation",
        "cross %",
        "by cross-validation",
        "macro-F1 over all folds of what trains and validates, each answered by the integer model that the "
        "others trained",
        _folds,
    ),
)
"""The first of them that any line of a data set has chooses its winners; without any, validation does."""


def said(there: Sequence[Criterion], facts: About, about: About) -> str:
    """What judges the models of a data set beside validation, and that the first of it decides: a sentence
    with a space before it, or nothing.
    """
    if not there:
        return ""
    parts = [one.said(facts, about) for one in there]
    text = "; ".join([f"{parts[0]}, and that decides", *parts[1:]])
    return f" {text[0].upper()}{text[1:]}."
