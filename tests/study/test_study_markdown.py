"""A study as Markdown: every line's figures, the winners, and a clear word where there is no study."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from tinyloc.study import markdown
from tinyloc.study.rows import Row
from tinyloc.study.table import StudyFolder, save_rows

ABOUT = {
    "sets": [
        {
            "label": "flat", "name": "flat", "description": "A flat.", "licence": "none", "simulated": True,
            "rooms": 5, "access_points": 4, "windows": [10, 20, 30],
        }
    ],
    "budgets_kb": [8, 16], "seeds": [0, 1],
}  # fmt: skip


def _rows() -> list[Row]:
    figures: dict[str, Any] = {
        "validation_f1": 0.9, "f1_macro": 0.8, "accuracy": 0.85, "parameters": 1234, "flash_bytes": 9_000,
        "ram_bytes": 1_240, "board": "stm32l4", "tier": "pip", "identical_windows": 30, "windows": 30,
        "instructions_answer": 98_765.4, "room_changes": 12, "room_changes_true": 4,
    }  # fmt: skip
    first = dataclasses.replace(Row("flat", "mamba", "H8L1", "", "integer", 0), **figures)
    forest = Row("flat", "baseline", "forest300", "", "float", 0, f1_macro=0.9, windows=30)
    return [
        first,
        dataclasses.replace(first, seed=1, f1_macro=0.82),
        dataclasses.replace(forest, validation_f1=0.8, accuracy=0.9, flash_estimate_bytes=2_000_000),
    ]


def test_every_figure_stands_in_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = StudyFolder(tmp_path)
    folder.cells.mkdir(parents=True)
    save_rows(folder, _rows(), ABOUT)
    assert markdown.main([str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert (
        "| mamba H8L1 | integer | 90.0 | 81.0 (80.0-82.0) | 85.0 | 1,234 |  | 9,000 | 1,240 | 10.0 |"
        " 98,765 | 3.0 | 60 of 60 |\n" in text
    )
    assert "| forest of 300 |" in text
    assert "about 2,000,000" in text
    assert "**Simulated**" in text
    assert "- Under 8 KB nothing of this grid fits" in text
    assert "- Under 16 KB: mamba H8L1, integer, identical byte for byte in all 60 windows" in text
    assert "forest of 300 (90.0) is more accurate than the winner" in text


def test_no_study_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert markdown.main([str(tmp_path / "nothing")]) == 1
    assert "rows.json" in capsys.readouterr().err
