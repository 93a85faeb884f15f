"""The published figures agree with each other and with the grids: docs/STUDY.md has every line of every grid,
its winners are those its own tables say, and README.md says the same of them.

Nothing is measured here. What is held: no line of a grid is without figures, no figure without a line, and no
winner was written by hand that the tables do not have.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from tinyloc.study.criteria import CRITERIA
from tinyloc.study.grid import load_grid
from tinyloc.study.like import RECIPE

ROOT: Final = Path(__file__).parents[2]
GRIDS: Final = sorted((ROOT / "studies").glob("*.toml"))
CHOSEN: Final = ("flat", "rooms", "wifi", "paths", "homes")
"""The grids whose winners "In short" names: each data set is in one of them."""
BUDGETS: Final = (16, 32, 64)
ROUNDED: Final = 0.05
"""Tables have one decimal: means that look equal may differ by less than that, either way."""

THEIRS: Final = "the paper's recipe, Mamba H8L1: better of float and distilled"

Cells = dict[str, str]


@dataclass(frozen=True)
class Table:
    """One data set's rows in one study, as the document has them."""

    label: str
    rows: tuple[Cells, ...]

    @property
    def lines(self) -> set[tuple[str, str]]:
        """Model and compression of each row that is no baseline."""
        return {(row["model"], row["compression"]) for row in self.rows if row["compression"]}


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _tables(lines: list[str]) -> list[tuple[str, tuple[Cells, ...]]]:
    """Each table, with the heading that is nearest above it."""
    heading, head, found = "", list[str](), list[tuple[str, list[Cells]]]()
    for line in lines:
        if line.startswith("#"):
            heading = line.lstrip("# ")
        if not line.startswith("|"):
            head = []
        elif not head:
            head = _cells(line)
            found.append((heading, []))
        elif not set(line) <= set("|- "):
            found[-1][1].append(dict(zip(head, _cells(line), strict=True)))
    return [(name, tuple(rows)) for name, rows in found]


@cache
def _study() -> dict[str, tuple[Table, ...]]:
    """The tables of each grid, by the grid's name. Two grids that share a section share its tables."""
    text = (ROOT / "docs" / "STUDY.md").read_text(encoding="utf-8")
    found: dict[str, tuple[Table, ...]] = {}
    for section in text.split("\n## ")[1:]:
        first, *lines = section.split("\n")
        for grid in re.findall(r"`studies/([\w-]+)\.toml`", first):
            found[grid] = tuple(Table(name, rows) for name, rows in _tables(lines))
    return found


@cache
def _short() -> tuple[Cells, ...]:
    text = (ROOT / "docs" / "STUDY.md").read_text(encoding="utf-8")
    section = next(part for part in text.split("\n## ") if part.startswith("In short"))
    return _tables(["# In short", *section.split("\n")[1:]])[0][1]


def _mean(cell: str) -> float | None:
    """The mean of "**91.9** (89.0-95.1), float"; None of an empty cell."""
    found = re.match(r"\**(-?\d+\.\d)\b", cell)
    return float(found[1]) if found else None


def _plain(cell: str) -> str:
    return cell.replace("**", "")


def _written(label: str, budget: int) -> Cells:
    """What "In short" has for a data set under a budget, the winner by its name."""
    rows = [row for row in _short() if row["data"] == label]
    row = next(row for row in rows if str(budget) in re.findall(r"\d+", row["budget"]))
    return {**row, "winner": rows[0]["winner"] if row["winner"] == "the same" else row["winner"]}


def _deciding(table: Table) -> str:
    """The column that chooses the table's winners."""
    return next(name for name in (*(one.name for one in CRITERIA), "validation") if name in table.rows[0])


def _choice(table: Table, budget: int, deciding: str) -> list[Cells]:
    """The rows that the column `deciding` may prefer under the budget, in KB: several where the decimals that
    are printed cannot tell.
    """
    fitting = []
    for row in table.rows:
        together, judged = _mean(row["together, KB"]), _mean(row[deciding])
        if row["compression"] and together is not None and judged is not None and together <= budget:
            fitting.append((judged, row))
    best = max(judged for judged, _ in fitting)
    return [row for judged, row in fitting if judged >= best - 2 * ROUNDED + 1e-9]


@pytest.mark.parametrize("path", GRIDS, ids=lambda path: path.stem)
def test_every_line_of_a_grid_has_figures_and_every_figure_a_line(path: Path) -> None:
    grid = load_grid(path)
    tables = _study()[path.stem]
    shared = [one for one, theirs in _study().items() if theirs == tables and one != path.stem]
    for data in grid.sets:
        (table,) = (one for one in tables if one.label.split(", twenty")[0] == data.label)
        asked = {
            (" ".join(word for word in (model.family, model.size, model.variant) if word), compression)
            for model in grid.models
            if not model.sets or data.label in model.sets or data.name in model.sets
            for compression in model.compressions
        }
        assert asked <= table.lines, f"{data.label}: no figures for {sorted(asked - table.lines)}"
        if not shared:
            assert table.lines <= asked, f"{data.label}: no line for {sorted(table.lines - asked)}"


@pytest.mark.parametrize("grid", CHOSEN)
@pytest.mark.parametrize("budget", BUDGETS)
def test_the_winners_are_those_of_the_tables(grid: str, budget: int) -> None:
    for table in _study()[grid]:
        written = _written(table.label, budget)
        choice = _choice(table, budget, _deciding(table))
        found = [row for row in choice if row["model"] == written["winner"]]
        assert found, f"{table.label}, {budget} KB: {written['winner']}; its table prefers {choice}"
        figures = [(row["macro-F1"], row["together, KB"]) for row in found]
        assert (_plain(written["macro-F1 on the chip"]), written["together, KB"]) in figures, table.label


@pytest.mark.parametrize("grid", CHOSEN)
@pytest.mark.parametrize("budget", BUDGETS)
def test_what_validation_alone_would_choose_is_that_of_the_tables(grid: str, budget: int) -> None:
    for table in _study()[grid]:
        written = _written(table.label, budget)
        named = written["validation alone would choose"]
        choice = _choice(table, budget, "validation")
        if named == "the winner":
            assert written["winner"] in [row["model"] for row in choice], f"{table.label}, {budget} KB"
        else:
            told = [f"{row['model']}, {row['together, KB']} KB: {row['macro-F1']}" for row in choice]
            assert named in told, f"{table.label}, {budget} KB: {named}; its table prefers {told}"


def test_in_short_quotes_the_forest_and_the_recipe() -> None:
    """Beside each winner stand the forest of 300 and the recipe's better form, of the same windows."""
    recipe = " ".join(RECIPE)
    for grid in CHOSEN:
        for table in _study()[grid]:
            (forest,) = (row["macro-F1"] for row in table.rows if row["model"] == "forest of 300")
            forms = {
                row["compression"]: row["macro-F1"]
                for row in table.rows
                if row["model"] == recipe and row["compression"] in ("float", "distilled")
            }
            best = max(forms, key=lambda form: _mean(forms[form]) or 0.0)
            for row in (one for one in _short() if one["data"] == table.label):
                assert _plain(row["forest of 300"]) == forest
                assert _plain(row[THEIRS]) == f"{forms[best]}, {best}"


def test_the_readme_says_what_the_study_found() -> None:
    """Every macro-F1 of the README's first table is one of "In short", with its size."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (table,) = (rows for _, rows in _tables(text.split("\n")) if "macro-F1 on the emulated chip" in rows[0])
    short = {
        (_plain(row["macro-F1 on the chip"]).replace("-", " to "), row["together, KB"]) for row in _short()
    }
    forests = {_plain(row["forest of 300"]).split(" ")[0] for row in _short()}
    for row in table:
        f1 = _plain(row["macro-F1 on the emulated chip"])
        assert (f1, row["flash + RAM"].removesuffix(" KB")) in short, row
        assert _plain(row["forest of 300 trees"]).split(" ")[0] in forests, row


def test_the_papers_recipe_is_quoted_as_measured() -> None:
    """Each figure of docs/PAPER.md's table of Mamba H8L1, trained as the paper trains: macro-F1, accuracy,
    and the kB of a state dict or the KB of flash and RAM together.
    """
    text = (ROOT / "docs" / "PAPER.md").read_text(encoding="utf-8")
    (quoted,) = (rows for _, rows in _tables(text.split("\n")) if "distilled+static" in rows[0])
    tables = {table.label: table for grid in CHOSEN for table in _study()[grid]}
    assert len(quoted) == len(tables)
    for row in quoted:
        table = tables[row["data"].replace("simulated", "house")]
        measured = {one["compression"]: one for one in table.rows if one["model"] == " ".join(RECIPE)}
        for compression, cell in row.items():
            if compression == "data" or (not cell and compression not in measured):
                continue
            one = measured[compression]
            size = one["state dict, KB"] or one["together, KB"]
            told = f"{_mean(one['macro-F1'])} / {_mean(one['accuracy'])} / {size}"
            assert cell == told, f"{row['data']}, {compression}"


def test_the_paper_page_names_the_winners_of_the_study() -> None:
    text = (ROOT / "docs" / "PAPER.md").read_text(encoding="utf-8")
    (quoted,) = (rows for _, rows in _tables(text.split("\n")) if "difference" in rows[0])
    for row in quoted:
        written = _written(row["data"].replace("simulated", "house"), 32)
        ours, theirs = _mean(written["macro-F1 on the chip"]), _mean(written[THEIRS])
        assert ours is not None
        assert theirs is not None
        assert (row["macro-F1"], _mean(row["the paper's recipe"])) == (f"{ours}", theirs)
        assert float(_plain(row["difference"])) == pytest.approx(ours - theirs, abs=0.11)
        assert row["winner"].endswith(f"{written['together, KB']} KB")
