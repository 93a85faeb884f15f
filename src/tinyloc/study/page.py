"""The page of a study: one HTML file with everything inside, in the look of `report/`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from tinyloc import files
from tinyloc.judge.budget import kilobytes
from tinyloc.models.config import CONFIGS
from tinyloc.report import words
from tinyloc.study.baselines import FOREST
from tinyloc.study.criteria import CRITERIA, Criterion, said
from tinyloc.study.like import Match, match, points, tally
from tinyloc.study.paper import Beside, beside
from tinyloc.study.rows import Row
from tinyloc.study.summary import (
    KB,
    Line,
    Winner,
    beaten,
    criteria,
    front,
    lines,
    sets_of,
    winners,
)

WIDTH: Final = 560
HEIGHT: Final = 300
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 12, 40
FAMILIES: Final = tuple(CONFIGS)
"""A family has one colour in every figure; the style sheet has as many."""


@dataclass(frozen=True)
class Dot:
    """A model in a figure, placed in its box; `family` by its place in `FAMILIES`, which is its colour;
    `best` on the Pareto front.
    """

    x: float
    y: float
    title: str
    family: int
    best: bool


@dataclass(frozen=True)
class Figure:
    """Macro-F1 against one memory: dots, the front as points of a line, ticks as (place, label)."""

    name: str
    dots: tuple[Dot, ...]
    line: str
    ticks_x: tuple[tuple[float, str], ...]
    ticks_y: tuple[tuple[float, str], ...]
    families: tuple[tuple[int, str], ...]
    front: tuple[str, ...]


@dataclass(frozen=True)
class Column:
    """A line in the table of rooms: its `role` ("16 and 32 KB", "forest", "best other") and the line."""

    role: str
    line: Line


@dataclass(frozen=True)
class Room:
    """A room: its test windows (None: not known) and F1 in each column, None where test never enters it."""

    name: str
    windows: int | None
    f1: tuple[float | None, ...]


@dataclass(frozen=True)
class Rooms:
    """F1 per room of the winners, the forest of 300 and the best other line."""

    columns: tuple[Column, ...]
    rooms: tuple[Room, ...]


@dataclass(frozen=True)
class SetPart:
    """All that the page says about one data set."""

    label: str
    about: dict[str, Any]
    simulated: bool
    lines: tuple[Line, ...]
    winners: tuple[Winner, ...]
    figures: tuple[Figure, ...]
    best: float
    paper: tuple[Beside, ...]
    rooms: Rooms | None
    match: Match

    @property
    def criteria(self) -> tuple[Criterion, ...]:
        """What winners may be chosen by here; the first chose them."""
        return criteria(self.lines)

    @property
    def judged(self) -> str:
        """By what its winners were chosen."""
        return next((one.by for one in self.criteria), "on validation windows")

    @property
    def reported(self) -> bool:
        """Whether the paper has figures for this set."""
        return any(pair.paper is not None for one in self.paper for pair in one.pairs)

    def over_forest(self, winner: Winner) -> float | None:
        """Points of macro-F1 by which a winner is better than the forest of 300."""
        return points(winner.line, self.match.forest)

    @property
    def notices(self) -> list[str]:
        """Where a baseline wins."""
        return beaten(self.winners)

    @property
    def errors(self) -> list[str]:
        """Cells without figures."""
        return [f"{line.full_name}: {error}" for line in self.lines for error in line.errors]


def figure(name: str, found: Sequence[Line]) -> Figure | None:
    """Macro-F1 (mean on test) against measured "flash" or "RAM", of what is proven; None for nothing."""
    points = []
    for line in found:
        need = line.flash_bytes if name == "flash" else line.ram_bytes
        if need is not None and line.f1 is not None and line.proven:
            points.append((line, need / KB, 100 * line.f1.mean))
    if not points:
        return None
    low_x, high_x = (f(need for _, need, _ in points) for f in (min, max))
    low, high = math.log2(low_x) - 0.2, math.log2(high_x) + 0.2
    step = next(
        s for s in (1, 2, 5, 10, 20) if max(p[2] for p in points) - min(p[2] for p in points) <= 6 * s
    )
    bottom = step * math.floor(min(p[2] for p in points) / step)
    top = step * math.ceil(max(p[2] for p in points) / step + 1e-9)
    top = max(top, bottom + step)

    def x(need: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * (math.log2(need) - low) / (high - low), 1)

    def y(f1: float) -> float:
        return round(TOP + (HEIGHT - TOP - BOTTOM) * (top - f1) / (top - bottom), 1)

    best = front([(need, f1) for _, need, f1 in points])
    dots = tuple(
        Dot(
            x(need),
            y(f1),
            f"{line.full_name}: {f1:.1f} at {need:.1f} KB",
            FAMILIES.index(line.family),
            i in best,
        )
        for i, (line, need, f1) in enumerate(points)
    )
    marks = [n for e in range(-2, 12) for n in (2.0**e, 1.5 * 2.0**e) if low <= math.log2(n) <= high]
    if len(marks) > 7:
        marks = [n for n in marks if math.log2(n) == int(math.log2(n))]
    return Figure(
        name,
        dots,
        " ".join(f"{dots[i].x},{dots[i].y}" for i in best),
        tuple((x(n), f"{n:g}") for n in marks),
        tuple((y(f1), str(f1)) for f1 in range(bottom, top + 1, step)),
        tuple((FAMILIES.index(one), one) for one in sorted({line.family for line, _, _ in points})),
        tuple(points[i][0].full_name for i in best),
    )


def rooms(found: Sequence[Line], won: Sequence[Winner], about: dict[str, Any]) -> Rooms | None:
    """F1 per room of each winner (once), the forest of 300, and what validation ranks first of the others;
    None where there is no winner.
    """
    budgets: dict[str, list[int]] = {}
    named = {line.full_name: line for line in found}
    for winner in won:
        if winner.line is not None:
            budgets.setdefault(winner.line.full_name, []).append(winner.budget_kb)
    columns = [Column(f"winner, {_budgets(kb)}", named[name]) for name, kb in budgets.items()]
    forest = next((line for line in found if line.baseline and line.size == FOREST), None)
    columns += [Column("to beat", forest)] if forest is not None else []
    shown = [column.line for column in columns]
    others = [line for line in found if line not in shown and line.whole and line.f1_rooms and _counts(line)]
    best = max(others, key=lambda line: line.validation.mean if line.validation else -1.0, default=None)
    columns += [Column("first of the others", best)] if best is not None else []
    columns = [column for column in columns if column.line.f1_rooms]
    if not budgets or not columns:
        return None
    count = len(columns[0].line.f1_rooms)
    names = about.get("room_names") or [f"room {k + 1}" for k in range(count)]
    windows = about.get("room_windows") or [None] * count
    return Rooms(
        tuple(columns),
        tuple(
            Room(names[k], windows[k], tuple(column.line.f1_rooms[k] for column in columns))
            for k in range(count)
            if any(column.line.f1_rooms[k] is not None for column in columns)
        ),
    )


def _budgets(kb: Sequence[int]) -> str:
    return " and ".join([", ".join(map(str, kb[:-1])), str(kb[-1])] if len(kb) > 1 else [str(kb[0])]) + " KB"


def _counts(line: Line) -> bool:
    """Whether its figures may be called the best: a device that differs from Python has none to show."""
    return line.proven or line.identical_windows is None


def part(label: str, rows: Sequence[Row], about: dict[str, Any]) -> SetPart:
    """What the page says about the data set `label`."""
    mine = [row for row in rows if row.set == label]
    found = lines(mine)
    won = winners(found, about["budgets_kb"])
    told: dict[str, Any] = next((one for one in about["sets"] if one["label"] == label), {})
    drawn = [made for name in ("flash", "RAM") if (made := figure(name, found)) is not None]
    return SetPart(
        label,
        told,
        any(row.simulated for row in mine),
        tuple(found),
        tuple(won),
        tuple(drawn),
        max((line.f1.mean for line in found if line.f1 and _counts(line)), default=-1.0),
        tuple(beside(label, found)),
        rooms(found, won, told),
        match(label, found),
    )


def headline(parts: Sequence[SetPart]) -> str:
    """The study in one sentence."""
    asked = [winner for one in parts for winner in one.winners]
    won = sum(winner.line is not None and not winner.beaten_by for winner in asked)
    if not asked:
        return "No budget was asked for."
    budgets = f"{len(asked)} budget{'s' * (len(asked) != 1)}"
    if not any(line.baseline for one in parts for line in one.lines):
        return f"The best model under each of {budgets}; no baseline stands beside it."
    if not won:
        return f"Under none of {budgets} does the winner beat every baseline."
    return f"Under {won} of {budgets}, the winner also beats every baseline."


def _environment() -> Environment:
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("tinyloc.study"), PackageLoader("tinyloc.report")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(percent=words.percent, count=words.count, kilobytes=kilobytes, signed=_signed)
    return environment


def _signed(points: float) -> str:
    """2.14 -> "+2.1", with a true minus."""
    return f"{points:+.1f}".replace("-", "\u2212")


def render(rows: Sequence[Row], about: dict[str, Any]) -> str:
    """The whole page as HTML. The same rows give the same text."""
    parts = [part(label, rows, about) for label in sets_of(rows)]
    return (
        _environment()
        .get_template("study.html")
        .render(
            parts=parts,
            about=about,
            headline=headline(parts),
            said=said,
            criteria=[one for one in CRITERIA if any(one in part.criteria for part in parts)],
            judged=" or ".join(dict.fromkeys(one.judged for one in parts)),
            tally=tally([one.match for one in parts]),
            simulated=[one.label for one in parts if one.simulated],
            left_out=about.get("left_out", []),
            box={
                "width": WIDTH,
                "height": HEIGHT,
                "left": LEFT,
                "right": RIGHT,
                "top": TOP,
                "bottom": BOTTOM,
            },
        )
    )


def write(rows: Sequence[Row], about: dict[str, Any], path: Path) -> None:
    """Write the page to `path`, whole or not at all."""
    files.write_text(path, render(rows, about))
