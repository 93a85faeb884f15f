"""Rows of all seeds -> lines, Pareto fronts and winners: what the page and the console both say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tinyloc.report.words import percent
from tinyloc.study.baselines import SMALL
from tinyloc.study.criteria import CRITERIA, Criterion
from tinyloc.study.rows import BASELINE, Row

KB = 1024


@dataclass(frozen=True)
class Spread:
    """Mean and extremes over the seeds, 0 to 1."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return percent(self.mean)

    @property
    def range(self) -> str:
        """As "84.1–86.0"; empty where all are equal."""
        return "" if self.low == self.high else f"{percent(self.low)}–{percent(self.high)}"


@dataclass(frozen=True)
class Line:
    """One model, compressed one way, over its seeds. Sizes in bytes are those of the seed that needs most."""

    family: str
    size: str
    variant: str
    compression: str
    seeds: int
    f1: Spread | None
    accuracy: Spread | None
    validation: Spread | None
    crossed: Spread | None
    drifted: Spread | None
    selected: Spread | None
    parameters: int | None
    parameters_paper: int | None
    state_dict_kb: float | None
    flash_bytes: int | None
    ram_bytes: int | None
    flash_estimate_bytes: int | None
    boards: tuple[str, ...]
    tiers: tuple[str, ...]
    identical_windows: int | None
    windows: int
    changes: float | None
    decisions: tuple[str, ...]
    f1_room: Spread | None
    changes_room: float | None
    errors: tuple[str, ...]
    f1_rooms: tuple[float | None, ...] = ()
    instructions_answer: float | None = None

    @property
    def baseline(self) -> bool:
        """Whether it is one of the methods to beat."""
        return self.family == BASELINE

    @property
    def name(self) -> str:
        """The model, for a person: "mamba H8L1", "forest of 300"."""
        if self.baseline:
            return _baseline_name(self.size)
        return " ".join(word for word in (self.family, self.size, self.variant) if word)

    @property
    def full_name(self) -> str:
        """The model and its compression."""
        return self.name if self.baseline else f"{self.name}, {self.compression}"

    @property
    def memory_bytes(self) -> int | None:
        """Flash and RAM together, measured."""
        if self.flash_bytes is None or self.ram_bytes is None:
            return None
        return self.flash_bytes + self.ram_bytes

    @property
    def judged(self) -> Spread | None:
        """What it is chosen by: the first of `CRITERIA` that it has, else validation."""
        found = (self.by(criterion) for criterion in CRITERIA)
        return next((spread for spread in found if spread), self.validation)

    def by(self, criterion: Criterion) -> Spread | None:
        """Its figures by that criterion, None where it has none."""
        spread: Spread | None = getattr(self, criterion.field)
        return spread

    @property
    def settled(self) -> str:
        """What its decision layer changes, in words; empty where none was tried."""
        if not self.decisions:
            return ""
        if self.decisions == ("none",):
            return "no decision layer was better on validation"
        changes = "" if self.changes_room is None else f", {self.changes_room:.1f} changes for each true one"
        return f"decision layer: {' or '.join(self.decisions)}; without it {self.f1_room}{changes}"

    @property
    def proven(self) -> bool:
        """Whether the device gave the reference's answer in every window of every seed."""
        return self.identical_windows is not None and 0 < self.windows == self.identical_windows

    @property
    def whole(self) -> bool:
        """Whether every seed has its figures."""
        return not self.errors and self.f1 is not None


def _baseline_name(size: str) -> str:
    names = {
        "forest300": "forest of 300",
        "nearest_neighbours": "nearest neighbours",
        "gradient_boosting": "gradient boosting",
        "forest300_hmm": "forest of 300 + HMM",
        "mlp_baseline": "MLP 64-32",
        "cnn": "CNN of 32",
        "lstm": "LSTM of 32",
    }
    if size.startswith("forest_small_"):
        return f"small forest, {size.removeprefix('forest_small_').replace('KB', ' KB')}"
    return names.get(size, size)


def _spread(values: Sequence[float | None]) -> Spread | None:
    known = [value for value in values if value is not None]
    return Spread(sum(known) / len(known), min(known), max(known)) if known else None


def _most(values: Iterable[int | None]) -> int | None:
    return max((value for value in values if value is not None), default=None)


def _line(rows: Sequence[Row]) -> Line:
    first = rows[0]
    identical = [row.identical_windows for row in rows if row.identical_windows is not None]
    kilobytes = [row.state_dict_kb for row in rows if row.state_dict_kb is not None]
    pairs = [
        row.room_changes / row.room_changes_true
        for row in rows
        if row.room_changes is not None and row.room_changes_true
    ]
    alone = [
        row.room_changes_room / row.room_changes_true
        for row in rows
        if row.room_changes_room is not None and row.room_changes_true
    ]
    return Line(
        first.family,
        first.size,
        first.variant,
        first.compression,
        len(rows),
        _spread([row.f1_macro for row in rows]),
        _spread([row.accuracy for row in rows]),
        _spread([row.validation_f1 for row in rows]),
        _spread([row.cross_validation_f1 for row in rows]),
        _spread([row.drift_f1 for row in rows]),
        _spread([row.selection_f1 for row in rows]),
        _most(row.parameters for row in rows),
        _most(row.parameters_paper for row in rows),
        max(kilobytes, default=None),
        _most(row.flash_bytes for row in rows),
        _most(row.ram_bytes for row in rows),
        _most(row.flash_estimate_bytes for row in rows),
        tuple(sorted({row.board for row in rows if row.board})),
        tuple(sorted({row.tier for row in rows if row.tier})),
        sum(identical) if identical else None,
        sum(row.windows for row in rows),
        sum(pairs) / len(pairs) if pairs else None,
        tuple(sorted({row.decision for row in rows if row.decision})),
        _spread([row.f1_macro_room for row in rows]),
        sum(alone) / len(alone) if alone else None,
        tuple(sorted({row.error for row in rows if row.error})),
        _rooms([row.f1_rooms for row in rows if row.f1_rooms]),
        max((row.instructions_answer for row in rows if row.instructions_answer is not None), default=None),
    )


def _rooms(seeds: Sequence[tuple[float | None, ...]]) -> tuple[float | None, ...]:
    """F1 of each room, the mean of the seeds; None for a room that test never enters."""
    means = (_spread(values) for values in zip(*seeds, strict=True))
    return tuple(None if mean is None else mean.mean for mean in means)


def lines(rows: Iterable[Row]) -> list[Line]:
    """One line for each model and compression of one data set: models first, then baselines."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in sorted(rows, key=lambda row: row.key):
        groups.setdefault(row.key[1:-1], []).append(row)
    return [_line(group) for group in groups.values()]


def front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Indices of the (need, worth) that no other beats at the same or a smaller need, by rising need."""
    best: list[int] = []
    for i in sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1], i)):
        if not best or points[i][1] > points[best[-1]][1]:
            best.append(i)
    return best


@dataclass(frozen=True)
class Winner:
    """The model that validation, or the strongest of `CRITERIA`, chooses among those whose flash and RAM
    together fit `budget_kb`.

    `line` is None where nothing fits. `beaten_by`: every baseline with a higher mean on test.
    """

    budget_kb: int
    line: Line | None
    beaten_by: tuple[Line, ...]
    candidates: int

    def sentence(self) -> str:
        """The verdict in plain words."""
        if self.line is None:
            return f"Under {self.budget_kb} KB nothing of this grid fits and is proven on the device."
        proof = (
            f"identical byte for byte in all {self.line.windows:,} windows of {self.line.seeds} "
            f"seed{'s' * (self.line.seeds != 1)} on the emulated device"
        )
        return f"Under {self.budget_kb} KB: {self.line.full_name}, {proof}."


def _too_large(line: Line, budget_kb: int) -> bool:
    """Whether it is a small forest made for a larger budget."""
    found = re.fullmatch(r"forest_small_(\d+)KB", line.size)
    return found is not None and int(found[1]) > budget_kb


def beaten(found: Sequence[Winner]) -> list[str]:
    """Where a baseline is better than the winner, in plain words: one sentence for budgets that agree. Of the
    small forests, each of which fits the larger budgets too, the best is named.
    """
    groups: dict[tuple[Any, ...], list[Winner]] = {}
    for winner in found:
        if winner.line is not None and winner.beaten_by:
            names = tuple(dict.fromkeys(_kind(line) for line in winner.beaten_by))
            groups.setdefault((winner.line.full_name, names), []).append(winner)
    said = []
    for group in groups.values():
        line, better = group[0].line, _one_small(group[0].beaten_by)
        assert line is not None
        budgets = in_words([str(winner.budget_kb) for winner in group])
        named = in_words([f"{one.full_name} ({one.f1})" for one in better])
        verb = "is" if len(better) == 1 else "are"
        said.append(
            f"Under {budgets} KB, {named} {verb} more accurate than the winner, {line.full_name} ({line.f1})."
        )
    return said


def _kind(line: Line) -> str:
    """A baseline's name, the same for small forests of every budget."""
    return SMALL if line.size.startswith(f"{SMALL}_") else line.size


def _one_small(better: Sequence[Line]) -> list[Line]:
    """The baselines, of the small forests only the best."""
    small = [line for line in better if _kind(line) == SMALL]
    best = max(small, key=lambda line: line.f1.mean if line.f1 else -1.0, default=None)
    return [line for line in better if line is best or _kind(line) != SMALL]


def in_words(words: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _rank(line: Line) -> tuple[float, int, str]:
    """The order of choice: by what judges; then by size."""
    judged = line.judged
    assert judged is not None
    assert line.memory_bytes is not None
    return (-judged.mean, line.memory_bytes, line.full_name)


def criteria(found: Sequence[Line]) -> tuple[Criterion, ...]:
    """Those that any of the lines has, the strongest first: that chooses the winners."""
    return tuple(one for one in CRITERIA if any(line.by(one) for line in found))


def winners(found: Sequence[Line], budgets_kb: Iterable[int]) -> list[Winner]:
    """For each budget who wins: proven on the device, measured, and chosen by the first of `criteria`, else
    on validation.
    """
    result = []
    deciding = next(iter(criteria(found)), None)
    for budget in sorted(budgets_kb):
        fitting = [
            line
            for line in found
            if line.whole
            and line.proven
            and line.validation is not None
            and line.memory_bytes is not None
            and line.memory_bytes <= budget * KB
            and (deciding is None or line.by(deciding) is not None)
        ]
        best = min(fitting, key=_rank, default=None)
        better = [
            line
            for line in found
            if best is not None
            and line.baseline
            and not _too_large(line, budget)
            and line.f1 is not None
            and best.f1 is not None
            and line.f1.mean > best.f1.mean
        ]
        result.append(Winner(budget, best, tuple(better), len(fitting)))
    return result


def sets_of(rows: Iterable[Row]) -> list[str]:
    """The data sets' labels in table order."""
    return sorted({row.set for row in rows})
