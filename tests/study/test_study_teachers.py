"""Whoever teaches in a study is trained, or grown, once: for all seeds, compressions and students."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from study_grids import ONE, TRAIN, write

from tinyloc.data.windows import Windows, WindowSets
from tinyloc.learn import teachers
from tinyloc.learn import train as learn
from tinyloc.learn.options import TrainOptions
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.study import run_study

GRID = f"""{ONE.replace("seeds = 1", "seeds = 2")}
compressions = ["distilled", "integer+distilled"]
{TRAIN}

[[models]]
family = "statnet"
size = "H4"
teacher = ["forest", "boosting"]

[[models]]
family = "mamba"
size = "H2L1"
teacher = "forest"

[[models]]
family = "forest"
size = ["3x4", "5x8"]
teacher = ["forest", "statnet H6"]
teaching = "soft"
"""


def test_trees_are_grown_once_for_all_their_students(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grown: list[tuple[str, int]] = []
    grow = teachers._grown

    def counted(model: Any, train: Windows) -> teachers.Trees:
        grown.append((type(model).__name__, len(train)))
        return grow(model, train)

    trained: list[bool] = []
    train = learn.train

    def noted(sets: WindowSets, options: TrainOptions | None = None, **more: Any) -> Checkpoint:
        if options and (options.family, options.hidden) == ("statnet", 6):
            trained.append(options.distil is None)
        return train(sets, options, **more)

    monkeypatch.setattr(teachers, "_grown", counted)
    monkeypatch.setattr(learn, "train", noted)
    rows = run_study(write(tmp_path, GRID), tmp_path / "out", jobs=1)
    assert len(rows) == 8 + 8
    assert not [row.error for row in rows if row.error]
    assert all(row.identical_windows == row.windows for row in rows if row.flash_bytes)
    assert trained == [True], "one network, whatever the forest, of which validation has chosen"
    assert len(grown) == len(set(grown)) == 4, "each before and after it learned from validation windows"
    for cell in (tmp_path / "out" / "cells").glob("*.json"):
        cell.unlink()
    again = run_study(write(tmp_path, GRID), tmp_path / "out", jobs=1)
    assert again == rows
    assert len(grown) == 4
