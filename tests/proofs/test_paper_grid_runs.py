"""The paper's grid, worked off from end to end on a small tree in the layout of its houses."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from byrne_trees import house, unpack

from tinyloc.study.engine import run_study
from tinyloc.study.grid import own_grid, paper_grid


@pytest.mark.slow
def test_every_model_and_compression_of_the_papers_houses_has_its_figures(tmp_path: Path) -> None:
    for letter in "AD":
        unpack(tmp_path / "byrne", house(), letter)
    grid = paper_grid()
    # as the paper has it, but for: two of its houses, two updates in place of hundreds, teachers as students
    short = {"steps": 2, "evaluations": 1, "batch": 4}
    models = tuple(
        dataclasses.replace(
            model,
            train=dataclasses.replace(model.train, **short),
            teachers=tuple(dataclasses.replace(one, hidden=8, layers=1) for one in model.teachers),
        )
        for model in grid.models
    )
    grid = dataclasses.replace(grid, models=models, seeds=(0,), baselines=())
    rows = run_study(grid, tmp_path / "out", data_dir=tmp_path, jobs=1)
    assert len(rows) == 2 * 4 * 7
    assert not [row.error for row in rows if row.error]
    for row in rows:
        assert row.f1_macro is not None
        assert row.parameters_paper is not None
        if row.compression.startswith("integer"):
            assert row.identical_windows == row.windows > 0
            assert row.flash_bytes
        else:
            assert row.state_dict_kb
    text = (tmp_path / "out" / "index.html").read_text()
    assert "byrne:D" in text
    assert "Left out" in text
    assert "not in this grid" in text, "the paper has no Mamba H8L1 in house D"
    assert text.count("not in this grid") == 1, "that of house A is the paper's recipe"


@pytest.mark.slow
def test_every_model_of_the_grid_for_any_recordings_has_its_figures(tmp_path: Path) -> None:
    grid = own_grid(["house"], {"minutes": 11, "rooms": 4, "access_points": 4}, seeds=1)
    short = {"steps": 4, "evaluations": 1}
    models = tuple(
        dataclasses.replace(
            model,
            train=dataclasses.replace(model.train, **short),
            teachers=tuple(dataclasses.replace(one, hidden=8, layers=1) for one in model.teachers),
        )
        for model in grid.models
    )
    rows = run_study(dataclasses.replace(grid, models=models), tmp_path / "out", jobs=1)
    assert not [row.error for row in rows if row.error]
    assert {row.family for row in rows} >= {
        "mamba", "mdcsa", "transformer", "statnet", "mlp", "forest", "ensemble", "baseline"
    }  # fmt: skip
    on_device = [row for row in rows if row.board]
    assert len(on_device) > 10
    assert all(row.identical_windows == row.windows > 0 for row in on_device)
