"""A study on the console: for each set the lines, and who wins under each budget. Reads without colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tinyloc.report import words
from tinyloc.study.criteria import CRITERIA, Criterion
from tinyloc.study.like import Match, match, tally
from tinyloc.study.rows import Row
from tinyloc.study.summary import (
    KB,
    Line,
    Spread,
    beaten,
    criteria,
    lines,
    sets_of,
    winners,
)

LEGEND = (
    "F1: macro-F1, mean of the seeds, on test. dict: a saved state dict, thousands of bytes. flash, RAM: "
    "measured on the emulated device, stack included, KB of 1,024 bytes. same: every window's answer equals "
    "the reference, byte for byte."
)


def _cells(line: Line, there: Sequence[Criterion]) -> tuple[str, ...]:
    return (
        escape(line.full_name),
        *(_mean(line.by(one)) for one in there),
        _mean(line.f1),
        line.f1.range if line.f1 else "",
        _mean(line.accuracy),
        "–" if line.state_dict_kb is None else f"{line.state_dict_kb:.1f}",
        _kb(line.flash_bytes),
        _kb(line.ram_bytes),
        "" if line.identical_windows is None else "yes" if line.proven else "NO",
    )


def _mean(spread: Spread | None) -> str:
    return words.percent(spread.mean if spread else None)


def _kb(size: int | None) -> str:
    return "–" if size is None else f"{size / KB:.1f}"


def _table(found: Sequence[Line]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    table.add_column("model", overflow="fold")
    there = criteria(found)[:1]
    for name in (*(one.short for one in there), "F1 %", "range", "acc %", "dict kB", "flash", "RAM", "same"):
        table.add_column(name, justify="right", no_wrap=True)
    last_model = sum(not line.baseline for line in found) - 1
    for i, line in enumerate(found):
        table.add_row(*_cells(line, there), end_section=i == last_model)
    return table


def render(rows: Sequence[Row], about: dict[str, Any]) -> RenderableType:
    """The study as something rich can print."""
    parts: list[RenderableType] = []
    matches: list[Match] = []
    used: set[Criterion] = set()
    for label in sets_of(rows):
        mine = [row for row in rows if row.set == label]
        found = lines(mine)
        mark = " (simulated: a test bed, no measurement)" if mine[0].simulated else ""
        parts.append(Text(f"{label}{mark}", style="bold"))
        for facts in about.get("sets", ()):
            if facts["label"] == label:
                parts += [Text(f"! {note}", style="yellow") for note in facts.get("notes", ())]
        parts.append(Padding(_table(found), (1, 0, 1, 0)))
        used.update(criteria(found)[:1])
        won = winners(found, about["budgets_kb"])
        parts += [Text(winner.sentence()) for winner in won]
        parts += [Text(text, style="yellow") for text in beaten(won)]
        parts += [Text(f"{line.full_name}: {line.settled}.") for line in found if line.settled]
        for line in found:
            parts += [Text(f"{line.full_name}: {error}", style="red") for error in line.errors]
        matches.append(match(label, found))
        parts.append(Text(""))
    parts += [Text(text) for text in tally(matches)]
    parts += [Text(f"Left out: {text}.", style="yellow") for text in about.get("left_out", ())]
    said = "".join(
        f" {one.short.removesuffix(' %')}: {one.meaning}; it chose the winners."
        for one in CRITERIA
        if one in used
    )
    parts.append(Text(LEGEND + said, style="dim"))
    return Group(*parts)


def show(rows: Sequence[Row], about: dict[str, Any], console: Console | None = None) -> None:
    """Print the study on `console` (standard output by default)."""
    (console or Console()).print(render(rows, about))
