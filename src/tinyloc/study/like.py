"""Like for like: a study's winners beside the paper's recipe and the forest of 300, on the same windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tinyloc.study.baselines import FOREST
from tinyloc.study.summary import Line, in_words, winners

RECIPE: Final = ("mamba", "H8L1", "paper")
"""What arXiv 2412.09289 names for `RECIPE_KB`, trained as it trains: the variant "paper"."""
RECIPE_KB: Final = 32


@dataclass(frozen=True)
class Match:
    """One data set, like for like: the winner under `RECIPE_KB` against the paper's recipe for that budget,
    re-implemented here, and against the forest of 300. Same windows, means of the seeds.

    `recipe`: the better of float and distilled, by their means on test: a choice against ourselves. Each is
    None where this study has none.
    """

    set: str
    winner: Line | None
    recipe: Line | None
    forest: Line | None

    @property
    def over_recipe(self) -> float | None:
        """Points of macro-F1 by which the winner is better; None where either is missing."""
        return points(self.winner, self.recipe)

    @property
    def over_forest(self) -> float | None:
        """As `over_recipe`, against the forest."""
        return points(self.winner, self.forest)

    @property
    def beats_recipe(self) -> bool:
        """Whether the winner is better than the recipe."""
        return self.over_recipe is not None and self.over_recipe > 0

    @property
    def holds_forest(self) -> bool:
        """Whether the winner is at least as good as the forest."""
        return self.over_forest is not None and self.over_forest >= 0


def points(ours: Line | None, theirs: Line | None) -> float | None:
    """By how many points of macro-F1 ours is better; None where either has none."""
    if ours is None or theirs is None or ours.f1 is None or theirs.f1 is None:
        return None
    return 100 * (ours.f1.mean - theirs.f1.mean)


def match(label: str, found: Sequence[Line]) -> Match:
    """The lines of the data set `label`, like for like."""
    recipes = [
        line
        for line in found
        if (line.family, line.size, line.variant) == RECIPE
        and line.compression in ("float", "distilled")
        and line.whole
    ]
    forest = next((line for line in found if line.baseline and line.size == FOREST and line.whole), None)
    recipe = max(recipes, key=lambda line: line.f1.mean if line.f1 else -1.0, default=None)
    return Match(label, winners(found, [RECIPE_KB])[0].line, recipe, forest)


def tally(matches: Sequence[Match]) -> list[str]:
    """On how many data sets the winner is better than the recipe, and at least level with the forest."""
    said = []
    for against, name, verb in (
        ([one for one in matches if one.recipe], "the paper's recipe", "beats"),
        ([one for one in matches if one.forest], "the forest of 300", "is at least as good as"),
    ):
        met = [one.beats_recipe if verb == "beats" else one.holds_forest for one in against]
        if not met:
            continue
        missed = [one.set for one, ok in zip(against, met, strict=True) if not ok]
        text = f"Under {RECIPE_KB} KB the winner {verb} {name} on {sum(met)} of {len(met)} data sets"
        said.append(f"{text}; not on {in_words(missed)}." if missed else f"{text}.")
    return said
