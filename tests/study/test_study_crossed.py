"""Cross-validation in a study: every fold's answers pooled, and winners chosen by them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from study_grids import ONE, SETS, TRAIN, about, table, write

from tinyloc.data import load_folds, load_windows
from tinyloc.data.order import hop_seconds
from tinyloc.data.windows import WindowSets
from tinyloc.errors import TrainingError, UsageError
from tinyloc.learn import refit as refitting
from tinyloc.learn import teachers
from tinyloc.learn.refit import retrain
from tinyloc.learn.train import train
from tinyloc.metrics import macro_f1
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.pipeline import verify
from tinyloc.pipeline.integers import integers
from tinyloc.quant import decision
from tinyloc.quant.graph import Graph
from tinyloc.quant.replay import replay
from tinyloc.study import markdown, page, run_study, show
from tinyloc.study.compressions import COMPRESSIONS
from tinyloc.study.grid import read_grid
from tinyloc.study.rows import Row
from tinyloc.study.summary import lines, winners

MODELS = """
[[models]]
family = "mamba"
size = "H2L1"
compressions = ["float", "integer"]

[[models]]
family = "statnet"
size = "H4"
compressions = ["integer", "qat"]
qat_steps = 3

[[models]]
family = "statnet"
size = "H4"
variant = "settled"
decision = "filter"
compressions = ["integer"]

[[models]]
family = "mamba"
size = "H2L1"
variant = "taught"
compressions = ["integer+distilled"]
teacher = ["statnet H4", "forest"]
teaching = "soft"
tau = 2.0

[[models]]
family = "ensemble"
size = "2 statnet H4 + forest 3x4"
compressions = ["integer"]

[[models]]
family = "ensemble"
size = "mamba H2 + mlp H2 + forest 3x4"
variant = "taught"
compressions = ["distilled", "integer+distilled"]
teacher = "statnet H4"
teaching = "soft"
tau = 2.0
"""
PLAIN = f"""{ONE}
{TRAIN}
{MODELS}
"""
CROSSED = f"cross_validation = 1\n{PLAIN}"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Row]]:
    folder = tmp_path_factory.mktemp("crossed")
    return folder / "out", run_study(write(folder, CROSSED), folder / "out", jobs=1)


def by_name(rows: list[Row]) -> dict[str, Row]:
    return {f"{row.family} {row.variant} {row.compression}": row for row in rows}


@pytest.mark.parametrize(
    "which",
    [
        "mamba  integer", "statnet settled integer", "statnet  qat", "mamba taught integer+distilled",
        "ensemble  integer", "ensemble taught integer+distilled",
    ],
)  # fmt: skip
def test_it_is_the_answers_of_all_folds_together(which: str, whole: tuple[Path, list[Row]]) -> None:
    """Beside a second way to it: each fold trained as validation chose, lowered and asked, by hand."""
    row = by_name(whole[1])[which]
    model = next(one for one in read_grid(CROSSED, "").models
                 if (one.family, one.variant) == (row.family, row.variant))  # fmt: skip
    options = dataclasses.replace(model.options(row.seed), refit=False)
    sets = load_windows("house", minutes=11, rooms=4, access_points=4)
    network = dataclasses.replace(options, family="statnet", hidden=4, layers=1, members=())

    def fit(on: WindowSets, chosen: Checkpoint | None) -> Checkpoint:
        if not model.teachers:
            return train(on, options) if chosen is None else retrain(on, options, chosen)
        teacher = train(sets, network)
        if chosen is not None:
            teacher = retrain(on, network, teacher)
        who = [teacher, *(getattr(teachers, one.family)(on.train) for one in model.teachers if one.trees)]
        return teachers.distilled(on, options, who, "soft", tau=2.0, chosen=chosen)

    def lowered(on: WindowSets, checkpoint: Checkpoint) -> Graph:
        return integers(checkpoint, on, "int16", 8, qat_steps=steps, seed=0, pick=False)[1]

    steps = 3 if row.compression == "qat" else 0
    chosen, rooms, answers = fit(sets, None), [], []
    choice = decision.choose(lowered(sets, chosen), sets, model.decision)
    assert (choice is None) == (model.decision == "none")
    for fold in load_folds("house", minutes=11, rooms=4, access_points=4):
        graph = lowered(fold, fit(fold, chosen))
        if choice is not None:
            graph = choice.learned_from(fold.train, hop_seconds(sets.validation)).behind(graph)
        answers.append(decision.answers_of(graph, replay(fold.validation, "reset", graph.motion))[1])
        rooms.append(fold.validation.room)
    assert row.cross_validation_f1 == macro_f1(np.concatenate(rooms), np.concatenate(answers))
    assert row.cross_validation_f1 != row.validation_f1


def test_a_walks_layer_learns_a_folds_walks() -> None:
    sets = load_windows("house", minutes=11, rooms=4, access_points=4)
    fold = load_folds("house", minutes=11, rooms=4, access_points=4)[0]
    seconds = hop_seconds(sets.validation)
    chains = {
        name: decision.walks_chain(decision.transitions(one.train, seconds))
        for name, one in (("all", sets), ("fold", fold))
    }
    assert not np.array_equal(chains["all"], chains["fold"])
    for form, expected in (("walks", "fold"), ("penalty", "all")):
        layer = decision.Layer(chains["all"], 1.5, 3)
        choice = decision.Choice(layer, decision.Candidate(form, 1.5, 0.5, 1), (), 1)
        found = choice.learned_from(fold.train, seconds).layer
        assert found is not None
        assert np.array_equal(found.chain, chains[expected])
        assert (found.power, found.hop) == (1.5, 3)


def test_a_fold_that_fails_leaves_what_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = CROSSED[: CROSSED.index("[[models]]", CROSSED.index("qat_steps"))]

    def fails(*_: Any, **__: Any) -> Checkpoint:
        raise TrainingError("it diverged")

    monkeypatch.setattr(refitting, "retrain", fails)
    monkeypatch.setattr(refitting, "refit", lambda sets, options, chosen, **_: chosen)
    rows = by_name(run_study(write(tmp_path, text), tmp_path / "out", jobs=1))
    assert not rows["mamba  float"].error
    row = rows["mamba  integer"]
    assert row.error == "cross-validation: it diverged"
    assert row.identical_windows == row.windows > 0
    assert row.f1_macro is not None
    assert winners(lines(rows.values()), [32])[0].line is None
    monkeypatch.undo()
    again = by_name(run_study(write(tmp_path, text), tmp_path / "out", jobs=1))
    assert not again["mamba  integer"].error
    assert again["mamba  integer"].cross_validation_f1 is not None


def test_a_set_without_folds_is_said_before_anything_is_trained(tmp_path: Path) -> None:
    """The second session has one room, so that no fold can train on it alone."""
    path, random = tmp_path / "own.csv", np.random.default_rng(0)
    table = ["time,ap,room,session"]
    for session in ("one", "two", "three"):
        for step in range(200):
            far = session != "two" and (step // 50) % 2 == 1
            reading, room = random.integers(-90, -80) if far else random.integers(-60, -50), "hk"[far]
            table.append(f"{step / 5},{reading},{room},{session}")
    path.write_text("\n".join(table) + "\n")
    text = CROSSED.replace(SETS, f'\nsets = [{{name = "{path}", steps = 10, hop = 5}}]\ntier = "pip"\n')
    with pytest.raises(UsageError, match=r"cross_validation: .*own.csv: 1 fold of 2 can train and validate"):
        run_study(write(tmp_path, text), tmp_path / "out", jobs=1)
    assert not list((tmp_path / "out").glob("cells/*"))


@pytest.mark.slow
def test_two_at_a_time_give_the_same_table(whole: tuple[Path, list[Row]], tmp_path: Path) -> None:
    """Two models have a teacher in common, and two workers share what is kept."""
    assert run_study(write(tmp_path, CROSSED), tmp_path / "out", jobs=2) == whole[1]
    assert table(tmp_path / "out") == table(whole[0])
    made = {path.name for path in (tmp_path / "out" / "cells").glob("*.safetensors")}
    assert made == {path.name for path in (whole[0] / "cells").glob("*.safetensors")}


def test_only_what_runs_on_the_device_has_one(whole: tuple[Path, list[Row]]) -> None:
    for row in whole[1]:
        assert not row.error
        on_device = COMPRESSIONS[row.compression].on_device
        assert (row.cross_validation_f1 is not None) == on_device


@pytest.mark.slow
def test_asked_for_later_nothing_is_measured_twice(
    tmp_path: Path, whole: tuple[Path, list[Row]], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = run_study(write(tmp_path, PLAIN), tmp_path / "out", jobs=1)
    assert {row.cross_validation_f1 for row in before} == {None}

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("the emulated device has answered before")

    monkeypatch.setattr(verify, "run_tier", never)
    after = run_study(write(tmp_path, CROSSED), tmp_path / "out", jobs=1)
    assert [dataclasses.replace(row, cross_validation_f1=None) for row in after] == before
    assert table(tmp_path / "out") == table(whole[0])
    again = run_study(write(tmp_path, PLAIN), tmp_path / "out", jobs=1)
    assert again == before


def test_the_first_seeds_alone(tmp_path: Path) -> None:
    text = CROSSED.replace("seeds = 1", "seeds = [3, 5]").replace('["float", "integer"]', '["integer"]')
    rows = run_study(write(tmp_path, text[: text.index("[[models]]", text.index("H2L1"))]), tmp_path / "out")
    assert [(row.seed, row.cross_validation_f1 is None) for row in rows] == [(3, False), (5, True)]
    (line,) = lines(rows)
    assert line.crossed is not None
    assert line.crossed.mean == rows[0].cross_validation_f1


def row_of(size: str, validation: float, crossed: float | None, flash: int = 4_000) -> Row:
    return Row(
        "flat", "mamba", size, "", "integer", 0, validation_f1=validation, cross_validation_f1=crossed,
        f1_macro=0.5, accuracy=0.5, windows=9, identical_windows=9, flash_bytes=flash, ram_bytes=500,
        board="stm32l4", tier="pip",
    )  # fmt: skip


def test_winners_are_chosen_by_it_where_all_that_fits_has_it() -> None:
    def won(*rows: Row) -> list[str]:
        return [w.line.size if w.line else "" for w in winners(lines(rows), [8, 64])]

    good, better = row_of("H2L1", 0.9, 0.7), row_of("H4L1", 0.8, 0.75)
    assert won(good, better) == ["H4L1", "H4L1"]
    large = row_of("H8L1", 0.7, 0.9, flash=20_000)
    assert won(good, better, large) == ["H4L1", "H8L1"]
    without = row_of("H8L1", 0.7, None, flash=20_000)
    assert won(good, better, without) == ["H4L1", "H4L1"], "what has none cannot be compared"
    assert won(row_of("H2L1", 0.9, 0.75, flash=4_100), better) == ["H4L1", "H4L1"], "the smaller of equals"


def test_page_and_document_say_how_it_was_chosen(
    whole: tuple[Path, list[Row]], capsys: pytest.CaptureFixture[str]
) -> None:
    told = about(cross_validation=1, folds=4)
    rows = whole[1]
    html, text = page.render(rows, told), markdown.render(rows, told)
    line = winners(lines(rows), [32])[0].line
    assert line is not None
    for said in ("by cross-validation", "4 folds cross-validate (1 seed)", f"<td>{line.crossed}</td>"):
        assert said in html
    assert "4 folds cross-validate (1 seed)" in text
    show(rows, told)
    console = capsys.readouterr().out
    assert "cross %" in console
    assert "the others trained; it chose the winners." in " ".join(console.split())
    assert f"cross-validation {line.crossed}" in text
    assert "| cross-validation |" in text
    plain = [dataclasses.replace(row, cross_validation_f1=None) for row in rows]
    show(plain, told)
    assert "cross" not in capsys.readouterr().out
    for said in (page.render(plain, told), markdown.render(plain, {**told, "sets": []})):
        assert "cross-validat" not in said.lower()
        assert "None" not in said


@pytest.mark.parametrize("wrong", ["-1", "2", "true", '"all"', "0.5"])
def test_a_number_of_seeds(wrong: str) -> None:
    with pytest.raises(UsageError, match=r"cross_validation: .*expected a number of seeds, 0 to 1"):
        read_grid(CROSSED.replace("cross_validation = 1", f"cross_validation = {wrong}"), "grid")
