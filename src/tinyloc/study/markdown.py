"""A study as Markdown, for a document: `python -m tinyloc.study.markdown OUT ... > docs/STUDY.md`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tinyloc.errors import TinylocError
from tinyloc.study.criteria import Criterion, said
from tinyloc.study.like import match, tally
from tinyloc.study.rows import Row
from tinyloc.study.summary import KB, Line, Spread, beaten, criteria, lines, sets_of, winners
from tinyloc.study.table import load_rows

HEAD: Final = (
    "macro-F1", "accuracy", "parameters", "state dict, KB", "flash, B", "RAM, B", "together, KB",
    "instructions an answer", "changes per true", "identical windows",
)  # fmt: skip


def render(rows: Sequence[Row], about: dict[str, Any]) -> str:
    """The tables and the winners of every data set, and where the winners stand beside the paper's recipe and
    the forest of 300. The same rows give the same text.
    """
    labels = sets_of(rows)
    parts = [_set(label, rows, about) for label in labels]
    said = tally([match(label, lines([row for row in rows if row.set == label])) for label in labels])
    if said:
        parts.append("\n".join([*said, ""]))
    return "\n".join(parts)


def _set(label: str, rows: Sequence[Row], about: dict[str, Any]) -> str:
    found = lines([row for row in rows if row.set == label])
    there = criteria(found)
    facts = next((one for one in about["sets"] if one["label"] == label), None)
    text = [f"### {label}", ""]
    if facts is not None:
        train, validation, test = facts["windows"]
        text.append(
            f"{facts['description']} {facts['access_points']} access points, {facts['rooms']} rooms; "
            f"{train:,} windows train, {validation:,} validate, {test:,} test; {len(about['seeds'])} seeds."
            + said(there, facts, about)
            + (" **Simulated**: a test bed, no evidence about homes." if facts["simulated"] else "")
        )
        text.append("")
    head = ["model", "compression", "validation", *(one.name for one in there), *HEAD]
    text += [_row(row) for row in (head, ["---"] * len(head), *(_cells(line, there) for line in found))]
    text.append("")
    asked = winners(found, about["budgets_kb"])
    for winner in asked:
        line = winner.line
        figures = ""
        if line is not None:
            judged = [("validation", line.validation), *((one.name, line.by(one)) for one in there)]
            named = ", ".join(f"{name} {_spread(spread)}" for name, spread in judged if spread)
            figures = f" Macro-F1 {_spread(line.f1)}; {named}."
        text.append(f"- {winner.sentence()}{figures}")
    text += [f"- {sentence}" for sentence in beaten(asked)]
    text += [f"- No figures: {line.full_name}: {error}" for line in found for error in line.errors]
    return "\n".join([*text, ""])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(line: Line, there: Sequence[Criterion]) -> list[str]:
    together = line.memory_bytes
    proof = "" if line.identical_windows is None else f"{line.identical_windows:,} of {line.windows:,}"
    flash = _count(line.flash_bytes)
    if line.flash_bytes is None and line.flash_estimate_bytes:
        flash = f"about {line.flash_estimate_bytes:,}"
    return [
        line.name,
        "" if line.baseline else line.compression,
        _spread(line.validation),
        *(_spread(line.by(one)) for one in there),
        _spread(line.f1),
        _spread(line.accuracy),
        _count(line.parameters),
        "" if line.state_dict_kb is None else f"{line.state_dict_kb:.1f}",
        flash,
        _count(line.ram_bytes),
        "" if together is None else f"{together / KB:.1f}",
        "" if line.instructions_answer is None else f"{line.instructions_answer:,.0f}",
        "" if line.changes is None else f"{line.changes:.1f}",
        proof,
    ]


def _count(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _spread(spread: Spread | None) -> str:
    """Mean (smallest-largest), in per cent."""
    if spread is None:
        return ""
    return f"{spread} ({spread.range.replace('–', '-')})" if spread.range else str(spread)


def main(arguments: Sequence[str]) -> int:
    """Print the studies in these folders, one after the other."""
    try:
        print("\n".join(render(*load_rows(Path(folder))) for folder in arguments), end="")
    except TinylocError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
