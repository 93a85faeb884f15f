"""The study: every model, compressed every way, on every data set, and who wins under which budget."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tinyloc.cli.app import app
from tinyloc.cli.options import DataDir, say
from tinyloc.errors import UsageError


@app.command(epilog="Example: tinyloc study --grid grid.toml --data-dir ~/recordings --out runs/study")
def study(
    grid: Annotated[Path | None, typer.Option(help="The grid: a TOML file.")] = None,
    paper: Annotated[bool, typer.Option("--paper", help="The grid of arXiv 2412.09289 instead.")] = False,
    out: Annotated[Path, typer.Option(help="Folder of the study.")] = Path("runs/study"),
    data_dir: DataDir = None,
    jobs: Annotated[int, typer.Option(help="Processes side by side [one a core].")] = 0,
    json: Annotated[
        bool, typer.Option("--json", help="End with one line of JSON: the list of rows.")
    ] = False,
) -> None:
    """Data sets x models x compressions x seeds: one table, one page, the winner under each budget.

    A grid names sets, seeds, budgets in KB, compressions (float, static, dynamic, distilled,
    distilled+static, integer, integer+distilled, qat, integer4, qat4) and models. Stop it at any time: the
    same command goes on.
    """
    from json import dumps

    from tinyloc.study import load_rows, run_study, show

    if (grid is None) == (not paper):
        raise UsageError("name a grid with --grid, or the paper's own with --paper, one of the two")
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn())
    with Progress(
        *columns, TimeElapsedColumn(), console=Console(stderr=True, quiet=json), transient=True
    ) as bar:
        task = bar.add_task("study", total=None)

        def progress(done: int, total: int, what: str) -> None:
            bar.update(task, total=total, completed=done, description=what)

        rows = run_study(grid, out, data_dir=data_dir, jobs=jobs, progress=progress, paper=paper)
    if json:
        print(dumps([row.to_json() for row in rows]))
        return
    show(*load_rows(out))
    say(f"{out / 'index.html'}")
