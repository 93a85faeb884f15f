"""Weights of 4 bits in a study: lowered so, trained on so, and on the device."""

from __future__ import annotations

from pathlib import Path

import pytest
from study_grids import write

from tinyloc.study import run_study
from tinyloc.study.compressions import COMPRESSIONS

GRID = """
sets = [{name = "house", label = "tiny", minutes = 11, rooms = 4, access_points = 4}]
seeds = 1
budgets = [32]
compressions = ["integer", "integer4", "qat4"]
baselines = []
tier = "pip"

[train]
steps = 12
evaluations = 2
scaling = "minmax"
augmentation = {}

[[models]]
family = "statnet"
size = "H8"
qat_steps = 4
"""


def test_the_same_training_with_fewer_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tinyloc.quant.packing.LEAST_PACKED", 100)  # 6 statistics x 4 points x 8 are 192
    rows = {row.compression: row for row in run_study(write(tmp_path, GRID), tmp_path / "out", jobs=1)}
    assert set(rows) == {"integer", "integer4", "qat4"}
    for row in rows.values():
        assert not row.error
        assert row.identical_windows == row.windows
    assert rows["integer4"].flash_bytes == rows["qat4"].flash_bytes != rows["integer"].flash_bytes
    assert all(COMPRESSIONS[name].on_device for name in rows)
