"""What arXiv 2412.09289 reports (journal: doi 10.1038/s41598-025-94205-9), beside what was found here.

Its houses are our `byrne:A` to `byrne:D`. Its areas of UJIIndoorLoc are 59 of an unknown definition; the
protocol of our `uji` is another, and the page says so.
"""

from __future__ import annotations

import csv
import importlib.resources
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from tinyloc.study.summary import Line

FILE: Final = "paper_results.csv"
COMPRESSIONS: Final = ("float", "static", "dynamic", "distilled", "distilled+static")


@dataclass(frozen=True)
class Reported:
    """What the paper says of a model: macro-F1 and accuracy in per cent, a state dict in 1,000 bytes."""

    f1: float
    accuracy: float
    kb: float


@dataclass(frozen=True)
class Pair:
    """A model compressed one way: the paper's figures and ours, either of which may be missing."""

    compression: str
    paper: Reported | None
    ours: Line | None


@dataclass(frozen=True)
class Beside:
    """A model of the paper with its count of parameters, and each of its compressions."""

    name: str
    parameters: int
    ours_parameters: int | None
    pairs: tuple[Pair, ...]


@lru_cache(maxsize=1)
def reported() -> tuple[dict[str, str], ...]:
    """The paper's table, row by row, as it stands in the file."""
    text = (importlib.resources.files("tinyloc.study") / FILE).read_text(encoding="utf-8")
    return tuple(csv.DictReader(text.splitlines()))


def beside(label: str, lines: Sequence[Line]) -> list[Beside]:
    """The paper's models on the set `label` of which this study has any, without a variant."""
    ours = {(line.family, line.size, line.compression): line for line in lines if not line.variant}
    found = []
    for row in reported():
        family, size = row["family"], row["size"]
        mine = [ours.get((family, size, name)) for name in COMPRESSIONS]
        if row["set"] != label or not any(mine):
            continue
        pairs = []
        for name, line in zip(COMPRESSIONS, mine, strict=True):
            f1, accuracy, kb = (float(part) for part in row[name].split("/"))
            pairs.append(Pair(name, Reported(f1, accuracy, kb), line))
        count = next((line.parameters_paper for line in mine if line is not None), None)
        found.append(Beside(f"{family} {size}", int(row["parameters"]), count, tuple(pairs)))
    return found
