"""Recordings that select: they choose a study's winners, and nothing else reads them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from study_grids import HOUSE, ONE, TRAIN, about, write

from tinyloc.data import load_material, load_windows
from tinyloc.data.folds import build_selection
from tinyloc.data.splits import Material
from tinyloc.data.windows import merged
from tinyloc.learn.refit import refit
from tinyloc.learn.train import train
from tinyloc.metrics import macro_f1
from tinyloc.pipeline.integers import integers
from tinyloc.quant import decision
from tinyloc.quant.reference import Reference
from tinyloc.quant.replay import replay
from tinyloc.study import engine, markdown, page, run_study, show
from tinyloc.study.grid import read_grid
from tinyloc.study.rows import Row
from tinyloc.study.summary import lines, winners

MODELS = """
[[models]]
family = "mamba"
size = "H4L1"
compressions = ["float", "integer"]

[[models]]
family = "forest"
size = "3x4"
variant = "settled"
decision = "filter"
compressions = ["integer"]
"""
GRID = f"{ONE}{TRAIN}{MODELS}"


def selecting(name: str, **options: object) -> Material:
    """The house; what another house of the same rooms hears selects."""
    material = load_material(name, **options)
    other = load_material("house", **HOUSE, house_seed=7).division.test
    division = dataclasses.replace(material.division, selection=other)
    return dataclasses.replace(material, division=division)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    folder = tmp_path_factory.mktemp("selection")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "load_material", selecting)
        return run_study(write(folder, GRID), folder / "out", jobs=1)


@pytest.mark.parametrize(("number", "which"), [(0, "mamba  integer"), (1, "forest settled integer")])
def test_it_is_the_answers_of_the_model_that_test_judges(whole: list[Row], number: int, which: str) -> None:
    """Behind the decision layer that validation chose for the model that has not learned from it."""
    selection = build_selection(selecting("house", **HOUSE))
    assert selection is not None
    model, sets = read_grid(GRID, "").models[number], load_windows("house", **HOUSE)
    options = model.options(0)
    assert options.refit
    chosen = train(sets, dataclasses.replace(options, refit=False))
    _, judged = integers(chosen, sets, "int16", 8)
    _, final = integers(refit(sets, options, chosen), merged(sets), "int16", 8)
    windows, choice = selection.validation, decision.choose(judged, sets, model.decision)
    assert (choice is not None) == (model.decision == "filter")
    graph = final if choice is None else choice.behind(final)
    settled = decision.answers_of(graph, replay(windows, graph.state, graph.motion))[1]
    if choice is None:
        assert np.array_equal(settled, Reference(graph).run(windows.rssi)[:, -1].argmax(axis=1))
    row = next(one for one in whole if f"{one.family} {one.variant} {one.compression}" == which)
    assert row.selection_f1 == macro_f1(windows.room, settled)
    assert row.selection_f1 not in (row.validation_f1, row.f1_macro)


def test_what_runs_on_the_device_has_it_and_all_else_is_as_without(whole: list[Row], tmp_path: Path) -> None:
    for row in whole:
        assert not row.error
        assert (row.selection_f1 is not None) == (row.compression == "integer")
    without = [dataclasses.replace(row, selection_f1=None) for row in whole]
    assert run_study(write(tmp_path, GRID), tmp_path / "out", jobs=1) == without


def row_of(size: str, selection: float | None, drift: float | None = None) -> Row:
    return Row(
        "tiny", "mamba", size, "", "integer", 0, validation_f1=0.9, cross_validation_f1=0.9,
        drift_f1=drift, selection_f1=selection, f1_macro=0.5, accuracy=0.5, windows=9, identical_windows=9,
        flash_bytes=4_000, ram_bytes=500, board="stm32l4", tier="pip",
    )  # fmt: skip


def test_winners_are_chosen_by_it_before_all_else() -> None:
    def won(*rows: Row) -> str:
        (winner,) = winners(lines(rows), [64])
        return winner.line.size if winner.line else ""

    assert won(row_of("H2L1", 0.7), row_of("H4L1", 0.8)) == "H4L1"
    assert won(row_of("H2L1", 0.7, 0.9), row_of("H4L1", 0.8, 0.6)) == "H4L1"
    assert won(row_of("H2L1", 0.7), row_of("H4L1", None, 0.9)) == "H2L1", "what has none cannot be compared"
    assert won(row_of("H2L1", None, 0.7), row_of("H4L1", None, 0.8)) == "H4L1"


def test_page_document_and_console_say_how_it_was_chosen(
    whole: list[Row], capsys: pytest.CaptureFixture[str]
) -> None:
    told = about(selection=12)
    line = winners(lines(whole), [32])[0].line
    assert line is not None
    html, text = page.render(whole, told), markdown.render(whole, told)
    for said in (
        "chosen by recordings that select",
        f"<td>{line.selected}</td>",
        "12 windows of other recordings",
    ):
        assert said in html
    for said in ("| selection |", f"selection {line.selected}", "12 windows of other recordings select"):
        assert said in text
    show(whole, told)
    console = capsys.readouterr().out
    assert "select %" in console
    assert "choice of winners reads; it chose the winners." in " ".join(console.split())
    plain = [dataclasses.replace(row, selection_f1=None) for row in whole]
    told["sets"] = []
    assert "select" not in markdown.render(plain, told)
    assert "recordings that select" not in page.render(plain, told)


def test_sets_with_other_rooms_and_other_criteria_share_a_console(capsys: pytest.CaptureFixture[str]) -> None:
    one = dataclasses.replace(row_of("H2L1", 0.7), f1_rooms=(0.5,) * 4)
    other = dataclasses.replace(row_of("H2L1", None, 0.6), set="elsewhere", f1_rooms=(0.5,) * 5)
    show([one, other], {"sets": [], "budgets_kb": [32]})
    console = " ".join(capsys.readouterr().out.split())
    for said in ("select: macro-F1 on recordings", "drift: macro-F1 on validation"):
        assert said in console
    assert "cross" not in console, "what did not decide is on the page, which has the room"
    first, second = console.split("tiny", 1)
    assert "drift %" in first
    assert "select %" not in first
    assert "select %" in second
    assert "drift %" not in second
