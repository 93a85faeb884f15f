"""The paper's grid, worked off from end to end on a small tree in the layout of its houses."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from byrne_trees import house, unpack

from tinyloc.study.engine import run_study
from tinyloc.study.grid import paper_grid


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
            sets=tuple(label for label in model.sets if label in ("byrne:A", "byrne:D")),
        )
        for model in grid.models
    )
    sets = tuple(one for one in grid.sets if one.label in ("byrne:A", "byrne:D"))
    grid = dataclasses.replace(
        grid, sets=sets, models=tuple(model for model in models if model.sets), seeds=(0,), baselines=()
    )
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
    assert "byrne:D" in (tmp_path / "out" / "index.html").read_text()
