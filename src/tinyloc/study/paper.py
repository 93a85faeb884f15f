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

VARIANT: Final = "paper"
"""The variant of a model that is trained as the paper trains."""

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
    """A model with its count of parameters, the paper's (None: the paper does not have it there) and ours
    counted as the paper does, and each of its compressions.
    """

    name: str
    parameters: int | None
    ours_parameters: int | None
    pairs: tuple[Pair, ...]
    variant: str = ""


@lru_cache(maxsize=1)
def reported() -> tuple[dict[str, str], ...]:
    """The paper's table, row by row, as it stands in the file."""
    text = (importlib.resources.files("tinyloc.study") / FILE).read_text(encoding="utf-8")
    return tuple(csv.DictReader(text.splitlines()))


def beside(label: str, lines: Sequence[Line]) -> list[Beside]:
    """Models of the data set `label` in the columns of the paper's table.

    The paper's own models with its figures; then, of families that the paper has, whatever else this study
    has compressed in one of the paper's ways. Ours are those trained as the paper trains (variant "paper"),
    or, where there are none, those without a variant.
    """
    ours = {(line.family, line.size, line.compression): line for line in lines if not line.variant}
    ours |= {(line.family, line.size, line.compression): line for line in lines if line.variant == VARIANT}
    known = {(row["family"], row["size"]): row for row in reported() if row["set"] == label}
    families = {row["family"] for row in reported()}
    shapes = [*known, *dict.fromkeys(key[:2] for key in ours if key[:2] not in known and key[0] in families)]
    found = []
    for family, size in shapes:
        row = known.get((family, size))
        mine = [ours.get((family, size, name)) for name in COMPRESSIONS]
        if not any(mine) or (row is None and not any(mine[1:])):
            continue
        pairs = [
            Pair(name, None if row is None else _reported(row[name]), line)
            for name, line in zip(COMPRESSIONS, mine, strict=True)
        ]
        count = next((line.parameters_paper for line in mine if line is not None), None)
        variant = next((line.variant for line in mine if line is not None), "")
        theirs = None if row is None else int(row["parameters"])
        found.append(Beside(f"{family} {size}", theirs, count, tuple(pairs), variant))
    return found


def _reported(cell: str) -> Reported:
    f1, accuracy, kb = (float(part) for part in cell.split("/"))
    return Reported(f1, accuracy, kb)
