"""The study: every model, compressed every way, on every data set, and who wins under which budget."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tinyloc.cli.app import app
from tinyloc.cli.options import DataDir, Tests, Validates, With, data_options, say
from tinyloc.errors import TrainingError, UsageError


@app.command(epilog="Example: tinyloc study --data my_home.csv --out runs/study")
def study(
    data: Annotated[
        list[str] | None,
        typer.Option("--data", help="A data set's name or a file; several: once more. With a grid for any."),
    ] = None,
    grid: Annotated[Path | None, typer.Option(help="A grid of your own instead: a TOML file.")] = None,
    paper: Annotated[bool, typer.Option("--paper", help="The grid of arXiv 2412.09289 instead.")] = False,
    out: Annotated[Path, typer.Option(help="Folder of the study.")] = Path("runs/study"),
    data_dir: DataDir = None,
    seeds: Annotated[int | None, typer.Option(help="With --data: how many seeds [3].")] = None,
    test_sessions: Tests = None,
    val_sessions: Validates = None,
    options: With = None,
    jobs: Annotated[int, typer.Option(help="Processes side by side [one a core].")] = 0,
    json: Annotated[
        bool, typer.Option("--json", help="End with one line of JSON: the list of rows.")
    ] = False,
    time: Annotated[str | None, typer.Option("--time", hidden=True)] = None,
    room: Annotated[str | None, typer.Option("--room", hidden=True)] = None,
    session: Annotated[str | None, typer.Option("--session", hidden=True)] = None,
    access_points: Annotated[str | None, typer.Option("--access-points", hidden=True)] = None,
    acceleration: Annotated[str | None, typer.Option("--acceleration", hidden=True)] = None,
    time_unit: Annotated[str | None, typer.Option(hidden=True)] = None,
    not_heard: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Data sets x models x compressions x seeds: one table, one page, the winner under each budget.

    With --data, every family, and the paper's models as the paper trains them, on recordings of yours (for
    columns that have other names see `tinyloc data --help`). A grid of your own names sets, seeds, budgets in
    KB, compressions (float, static, dynamic, distilled, distilled+static, integer, integer+distilled, qat,
    qat+distilled, integer4, qat4) and models. Stop it at any time: the same command goes on.
    """
    from json import dumps

    from tinyloc.data.words import flag
    from tinyloc.study import load_rows, run_study, show
    from tinyloc.study.grid import own_grid

    if (data is not None) + (grid is not None) + paper != 1:
        raise UsageError(
            "expected one of --data (any recordings), --grid (a grid of your own) and --paper",
            hint="For example: tinyloc study --data my_home.csv --out runs/study.",
        )
    given = data_options(
        {
            "test_sessions": test_sessions, "val_sessions": val_sessions, "time": time, "room": room,
            "session": session, "access_points": access_points, "acceleration": acceleration,
            "time_unit": time_unit, "not_heard": not_heard,
        },
        options,
    )  # fmt: skip
    if data is None and (given or seeds is not None):
        named = flag(next(iter(given))) if given else "--seeds"
        where = (
            "In a grid it stands beside the data set." if given else 'A grid says "seeds = 3" at its head.'
        )
        raise UsageError(f"{named} goes with --data alone", hint=where)
    if seeds is not None and seeds < 1:
        raise UsageError(f"--seeds {seeds}: expected at least 1")
    wanted = grid if data is None else own_grid(data, given, seeds or 0)
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn())
    with Progress(
        *columns, TimeElapsedColumn(), console=Console(stderr=True, quiet=json), transient=True
    ) as bar:
        task = bar.add_task("study", total=None)

        def progress(done: int, total: int, what: str) -> None:
            bar.update(task, total=total, completed=done, description=what)

        rows = run_study(wanted, out, data_dir=data_dir, jobs=jobs, progress=progress, paper=paper)
    if json:
        print(dumps([row.to_json() for row in rows]))
    else:
        show(*load_rows(out))
        say(f"{out / 'index.html'}")
    failed = [row for row in rows if row.error]
    if failed and len(failed) == len(rows):
        raise TrainingError(f"not one line has figures; the first: {failed[0].error}")
