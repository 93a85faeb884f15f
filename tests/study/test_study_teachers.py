"""Whoever teaches in a study is trained, or grown, once: for all seeds, compressions and students."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from study_grids import ONE, TRAIN, write

from tinyloc.data.windows import Windows
from tinyloc.learn import teachers
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
"""


def test_trees_are_grown_once_for_all_their_students(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grown: list[tuple[str, int]] = []
    grow = teachers._grown

    def counted(model: Any, train: Windows) -> teachers.Trees:
        grown.append((type(model).__name__, len(train)))
        return grow(model, train)

    monkeypatch.setattr(teachers, "_grown", counted)
    rows = run_study(write(tmp_path, GRID), tmp_path / "out", jobs=1)
    assert len(rows) == 8
    assert not [row.error for row in rows if row.error]
    assert len(grown) == len(set(grown)) == 4, "each before and after it learned from validation windows"
    for cell in (tmp_path / "out" / "cells").glob("*.json"):
        cell.unlink()
    again = run_study(write(tmp_path, GRID), tmp_path / "out", jobs=1)
    assert again == rows
    assert len(grown) == 4
