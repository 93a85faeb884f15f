"""A tiny grid from end to end: rows, table, page; the same bytes whatever happened on the way."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import select
import signal
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from rich.console import Console
from study_grids import ONE, TINY, TRAIN, cells, start, table, write

from tinyloc.errors import ModelFileError, StoppedError, UsageError
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.study import Row, load_rows, run_study, show
from tinyloc.study import engine as the_engine
from tinyloc.study.grid import load_grid
from tinyloc.study.rows import BASELINE, FIELDS
from tinyloc.study.tasks import model_facts

ROWS = 2 * 4 + 2 * (1 + 2 + 1) + 1


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Row]]:
    """A study that nothing interrupted."""
    folder = tmp_path_factory.mktemp("study")
    return folder / "out", run_study(write(folder), folder / "out", jobs=1)


def test_every_cell_has_its_row(whole: tuple[Path, list[Row]]) -> None:
    out, rows = whole
    assert len(rows) == ROWS == cells(out)
    assert [row.key for row in rows] == sorted(row.key for row in rows)
    assert not [row.error for row in rows if row.error]
    assert all(row.simulated and 0 <= (row.f1_macro or 0) <= 1 and row.windows > 50 for row in rows)
    assert all(row.parameters for row in rows if row.family != BASELINE)


def test_only_what_was_measured_has_a_size(whole: tuple[Path, list[Row]]) -> None:
    for row in whole[1]:
        if row.compression == "integer":
            assert row.identical_windows == row.windows
            assert (row.board, row.tier, row.state_dict_kb) == ("stm32l4", "pip", None)
            assert 2_000 < (row.flash_bytes or 0) < 32_000
            assert 100 < (row.ram_bytes or 0) < 8_000
        else:
            assert (row.flash_bytes, row.ram_bytes, row.identical_windows, row.board) == (None,) * 3 + ("",)
        if row.size.startswith("forest_small"):
            assert (row.flash_estimate_bytes or 0) <= int(row.size.split("_")[2][:-2]) * 1024


def test_the_table_is_for_other_programs(whole: tuple[Path, list[Row]]) -> None:
    out, rows = whole
    frame = pl.read_parquet(out / "rows.parquet")
    assert tuple(frame.columns) == FIELDS
    assert frame.to_dicts() == [row.to_json() for row in rows]
    assert load_rows(out)[0] == rows
    assert json.loads((out / "rows.json").read_text())["about"]["sets"][0]["simulated"] is True


def test_the_console_says_the_same(whole: tuple[Path, list[Row]]) -> None:
    console = Console(width=80, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    show(*load_rows(whole[0]), console)
    text = console.export_text()
    assert "tiny (simulated: a test bed, no measurement)" in text
    assert "Under 2 KB nothing of this grid fits" in text
    assert "identical byte for byte in all" in text
    assert max(len(line) for line in text.splitlines()) <= 80


def test_what_is_finished_is_taken(whole: tuple[Path, list[Row]], tmp_path: Path) -> None:
    out, rows = whole
    before, told = table(out), []
    broken = sorted((out / "cells").glob("*.json"))[:2]
    broken[0].write_text(broken[0].read_text()[:40])
    value = json.loads(broken[1].read_text())
    value["row"]["f1_macro"] = 1.0
    broken[1].write_text(json.dumps(value))
    (out / "cells" / ".cut.json.abc.part").write_text("{")
    assert run_study(write(tmp_path), out, jobs=1, progress=lambda *now: told.append(now)) == rows
    assert told[0][0] >= ROWS - 4
    assert told[-1][:2] == (ROWS, ROWS)
    assert table(out) == before
    assert not list(out.rglob("*.part"))


def test_a_broken_table_is_said(whole: tuple[Path, list[Row]], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not there yet"):
        load_rows(tmp_path)
    (tmp_path / "rows.json").write_bytes((whole[0] / "rows.json").read_bytes()[:-20])
    with pytest.raises(ModelFileError, match="not a whole table"):
        load_rows(tmp_path)


TAUGHT = f"""{ONE}
compressions = ["distilled"]
{TRAIN}
class_weights = 0.5

[[models]]
family = "mamba"
size = "H2L1"
teacher = ["mamba H4L1", "statnet H6", "forest"]
teaching = "soft"
tau = 2.0

[[models]]
family = "statnet"
size = "H4"
teacher = ["statnet H6", "mamba H4L1"]
teaching = "features"
alpha = 0.5
"""


def test_ensembles_and_features_teach(tmp_path: Path) -> None:
    rows = run_study(write(tmp_path, TAUGHT), tmp_path / "out", jobs=1)
    assert len(rows) == 2
    assert not any(row.error for row in rows)
    kept = [Checkpoint.load(path) for path in (tmp_path / "out" / "cells").glob("*.safetensors")]
    names = {again: sorted(f"{model.family} {model.config.name}" for model in kept
                           if model.training.get("refit", False) is again)
             for again in (False, True)}  # fmt: skip
    once = ["mamba H2L1", "mamba H4L1", "statnet H4", "statnet H6"]
    assert names == {False: once, True: once}, "each teacher is trained once, and refitted once"
    taught = [model for model in kept if model.config.name in ("H2L1", "H4")]
    how = {"mamba": ("soft", 2.0), "statnet": ("features", 1.0)}
    for model in taught:
        said = model.training["options"]["distil"]
        assert (said["kind"], said["tau"]) == how[model.family]
        assert model.weights.keys() == model.config.weight_shapes().keys()
    assert len({model.training["options"]["distil"]["teacher"] for model in taught}) == 4


def test_a_cells_name_knows_of_statistics_only_where_they_are(tmp_path: Path) -> None:
    """What was finished before there was such an option is found."""
    model = load_grid(write(tmp_path)).models[0]
    assert "statistics" not in model_facts(model)["train"]
    more = dataclasses.replace(model, train=dataclasses.replace(model.train, statistics=True))
    assert model_facts(more)["train"] == {**model_facts(model)["train"], "statistics": True}


def test_a_cells_name_does_not_depend_on_how_its_one_teacher_is_held(tmp_path: Path) -> None:
    """The facts that name a finished cell are those from before there were ensembles."""
    several, pair = (model_facts(model) for model in load_grid(write(tmp_path, TAUGHT)).models)
    assert several["teacher"] == [("mamba", 4, 1), ("statnet", 6, 1), ("forest", 0, 0)]
    assert pair["teacher"] == [("statnet", 6, 1), ("mamba", 4, 1)]
    one = TAUGHT.replace('["mamba H4L1", "statnet H6", "forest"]', '"forest"')
    assert model_facts(load_grid(write(tmp_path, one)).models[0])["teacher"] == ("forest", 0, 0)
    assert [model_facts(model)["teacher"] for model in load_grid(write(tmp_path)).models] == [None, None]


def test_one_study_at_a_time(tmp_path: Path) -> None:
    folder = the_engine.StudyFolder(tmp_path / "out")
    with folder.alone(), pytest.raises(UsageError, match="another study is at work"):
        run_study(write(tmp_path), tmp_path / "out", jobs=1)


def test_impossible_models_are_refused_before_anything_is_trained(tmp_path: Path) -> None:
    text = TINY.replace('"statnet"', '"transformer"').replace('"H4"', '"H5"')
    with pytest.raises(UsageError, match="transformer H5 on house"):
        run_study(write(tmp_path, text), tmp_path / "out", jobs=1)
    with pytest.raises(UsageError, match="needs a grid"):
        run_study(None, tmp_path / "out")


def test_a_forest_has_the_figures_of_any_model(tmp_path: Path) -> None:
    text = TINY.split("[[models]]")[0].replace("seeds = 2", "seeds = 1")
    text = text.replace('["forest300", "forest_small", "nearest_neighbours", "forest300_hmm"]', "[]")
    grid = write(tmp_path, text + '[[models]]\nfamily = "forest"\nsize = "5x8"\n')
    floating, integer = run_study(grid, tmp_path / "out", jobs=1)
    assert (floating.error, integer.error, floating.state_dict_kb) == ("", "", None)
    assert floating.f1_macro == integer.f1_macro
    assert floating.validation_f1 == integer.validation_f1
    assert integer.identical_windows == integer.windows > 50
    assert 1_500 < (integer.flash_bytes or 0) < 3_500
    assert 0 < (integer.parameters or 0) <= 3 * 5 * 7 + 5


def test_ctrl_c_keeps_what_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(task: Any) -> list[Row]:
        raise KeyboardInterrupt

    monkeypatch.setattr(the_engine, "work", stop)
    with pytest.raises(StoppedError, match="The same command goes on"):
        run_study(write(tmp_path), tmp_path / "out", jobs=1)


def _wait(process: Any, out: Path, wanted: int) -> None:
    """Until the folder holds so many cells, or the program has ended."""
    deadline = time.monotonic() + 60
    while process.poll() is None and cells(out) < wanted and time.monotonic() < deadline:
        select.select([process.stderr], [], [], 0.02)


def test_ctrl_c_ends_every_process(tmp_path: Path) -> None:
    process = start(tmp_path, write(tmp_path), tmp_path / "out", jobs=2)
    _wait(process, tmp_path / "out", 1)
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate(timeout=30)[1]  # ends when the last process that can write there has
    assert "StoppedError: stopped; what is finished is kept in" in said
    assert 1 <= cells(tmp_path / "out") < ROWS


def _killed(tmp_path: Path, kills: int, seed: int) -> Path:
    """A study killed so many times, each time in the middle: after a random number of new cells (none: still
    starting) and a random moment more, its first process alone or all of them at once.
    """
    grid, out, rng = write(tmp_path), tmp_path / "killed", random.Random(seed)
    ended = []
    for kill in range(kills):
        before = cells(out)
        new = rng.randint(0, 2) if before + 4 < ROWS else 0
        process = start(tmp_path, grid, out, jobs=rng.choice((1, 2)))
        assert process.stderr is not None
        _wait(process, out, before + (new or int(kill == 0)))
        select.select([process.stderr], [], [], rng.uniform(0, 0.4))
        if rng.random() < 0.5:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.send_signal(signal.SIGKILL)
        said = process.communicate(timeout=60)[1]
        assert process.returncode == -signal.SIGKILL, said
        ended.append(cells(out))
    assert 0 < ended[0] <= ended[-1] < ROWS, "no kill came before the first cell, none after the last"
    assert not (out / "rows.parquet").exists()
    return out


def _ends_the_same(tmp_path: Path, whole: Path, kills: int, seed: int) -> None:
    out = _killed(tmp_path, kills, seed)
    last = start(tmp_path, write(tmp_path), out, jobs=2)
    said = last.communicate(timeout=300)[1]
    assert last.returncode == 0, said
    assert table(out) == table(whole)


def test_a_killed_study_ends_with_the_same_table(whole: tuple[Path, list[Row]], tmp_path: Path) -> None:
    _ends_the_same(tmp_path, whole[0], kills=2, seed=1)


@pytest.mark.slow
def test_ten_kills(whole: tuple[Path, list[Row]], tmp_path: Path) -> None:
    _ends_the_same(tmp_path, whole[0], kills=10, seed=2)
