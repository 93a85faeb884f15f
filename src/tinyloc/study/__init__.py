"""Data sets x families x sizes x compressions x seeds: one grid in, one table and one page out.

`run_study` works a grid off, `load_rows` reads what it left, `show` prints it.
"""

from __future__ import annotations

from tinyloc.study.engine import Progress, run_study
from tinyloc.study.entries import Grid
from tinyloc.study.grid import load_grid, paper_grid
from tinyloc.study.rows import Row
from tinyloc.study.show import show
from tinyloc.study.table import load_rows

__all__ = ["Grid", "Progress", "Row", "load_grid", "load_rows", "paper_grid", "run_study", "show"]
