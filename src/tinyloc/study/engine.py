"""A grid, worked off over all cores, from wherever it was stopped, to one table and one page."""

from __future__ import annotations

import contextlib
import dataclasses
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor
from concurrent.futures import wait as wait_for
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import numpy as np

from tinyloc.data import load_material, save_windows
from tinyloc.data.folds import build_folds, build_selection
from tinyloc.data.splits import Material, build_sets
from tinyloc.data.windows import WindowSets
from tinyloc.errors import (
    AbsentError,
    DownloadError,
    SplitError,
    StoppedError,
    TinylocError,
    TrainingError,
    UsageError,
)
from tinyloc.learn.options import model_config
from tinyloc.learn.streams import streams
from tinyloc.quant.decision import impossible
from tinyloc.quant.follow import impossible as unfollowed
from tinyloc.study import baselines
from tinyloc.study.cells import work
from tinyloc.study.compressions import COMPRESSIONS, is_distilled, require
from tinyloc.study.entries import Grid, Model, Set
from tinyloc.study.grid import load_grid, paper_grid
from tinyloc.study.rows import BASELINE, Row
from tinyloc.study.table import StudyFolder, cores, digest, save_rows
from tinyloc.study.tasks import Cell, Task, model_facts, tier_name

WAKE_SECONDS = 0.5
"""How long the study waits for its processes at a time."""

Progress = Callable[[int, int, str], None]
"""Called with the cells that are done, all cells, and what was worked on last."""


def run_study(
    grid: Path | Grid | None,
    out: Path,
    *,
    data_dir: Path | None = None,
    jobs: int = 0,
    progress: Progress | None = None,
    paper: bool = False,
) -> list[Row]:
    """Work off `grid` (a TOML file, or what `load_grid` read) in the folder `out`; rows in table order.

    `paper`: the paper's own grid instead. `jobs` processes work side by side (0: one a core; 1: in this
    process). What an earlier call finished is taken as it is. Raises UsageError for a grid that cannot be,
    DataError for data that cannot be read, OutputError, and StoppedError on Ctrl-C.
    """
    if paper == (grid is not None):
        raise UsageError("a study needs a grid, or to be the paper's own, not both")
    if jobs < 0:
        raise UsageError(f"a study cannot work with {jobs} processes; expected 1 or more, or 0 for all cores")
    wanted = paper_grid() if grid is None else grid if isinstance(grid, Grid) else load_grid(grid)
    require(name for model in wanted.models for name in model.compressions)
    folder = StudyFolder(out)
    with folder.alone():
        folder.sweep()
        tasks, about = plan(wanted, folder, data_dir)
        rows = sorted(_done(tasks, folder, jobs or cores(), progress), key=lambda row: row.key)
        save_rows(folder, rows, about)
        from tinyloc.study import page

        page.write(rows, about, folder.page)
    return rows


def plan(grid: Grid, folder: StudyFolder, data_dir: Path | None) -> tuple[list[Task], dict[str, Any]]:
    """All tasks of a grid, and what the page says about it. Loads the data sets and leaves their windows."""
    tier = tier_name(grid.tier, grid.board) if any(map(_on_device, grid.models)) else ""
    tasks: list[Task] = []
    sets_about: list[dict[str, Any]] = []
    left_out: list[str] = []
    missing: TinylocError | None = None
    for entry in grid.sets:
        try:
            material = load_material(entry.name, data_dir=data_dir, **dict(entry.options))
        except (AbsentError, DownloadError) as error:
            if "sets" not in grid.leave_out:
                raise
            missing = missing or error
            left_out.append(f"{entry.label}: {error.message}")
            continue
        sets = build_sets(material)
        path = _left(folder, sets)
        asked = [model for model in grid.models if entry.label in model.sets]
        models, reasons = _those_possible(grid, asked, sets)
        left_out += [f"{entry.label}: {reason}" for reason in reasons]
        folds: tuple[Path, ...] = ()
        if grid.cross_validation and any(map(_on_device, models)):
            folds = tuple(_left(folder, fold) for fold in _folds(grid, material))
        selecting = build_selection(material)
        selection = None if selecting is None else _left(folder, selecting)
        for seed in grid.seeds:
            crossed = folds if seed in grid.seeds[: grid.cross_validation] else ()
            tasks += [
                _model_task(grid, entry, model, sets, seed, folder, path, tier, crossed, selection)
                for model in models
            ]
            tasks += _baseline_tasks(grid, entry, sets, seed, folder, path)
        selects = 0 if selecting is None else len(selecting.validation)
        sets_about.append({**_about(entry, sets), "folds": len(folds), "selection": selects})
    if missing is not None and not sets_about:
        raise missing
    about = {
        "sets": sets_about,
        "left_out": left_out,
        "budgets_kb": list(grid.budgets),
        "seeds": list(grid.seeds),
        "cross_validation": grid.cross_validation,
        "board": grid.board,
        "tier": tier,
        "precision": grid.precision,
    }
    return tasks, about


def _on_device(model: Model) -> bool:
    """Whether any of its compressions runs on the device."""
    return any(COMPRESSIONS[name].on_device for name in model.compressions)


def _folds(grid: Grid, material: Material) -> tuple[WindowSets, ...]:
    """The folds of a data set. Raises UsageError where it has none."""
    try:
        return build_folds(material)
    except SplitError as error:
        raise UsageError(f"{grid.where}, cross_validation: {error.message}", hint=error.hint) from None


def _left(folder: StudyFolder, sets: WindowSets) -> Path:
    """Leave the windows in the study's folder."""
    path = folder.windows / f"{sets.digest[:32]}.npz"
    save_windows(path, sets)
    return path


def _those_possible(grid: Grid, models: Sequence[Model], sets: WindowSets) -> tuple[list[Model], list[str]]:
    """The models that these windows can have, and why not the others: an error, unless the grid leaves them
    out.
    """
    kept, reasons = [], []
    for model in models:
        try:
            _possible(model, sets)
        except UsageError as error:
            name = " ".join(word for word in (model.family, model.size, model.variant) if word)
            if "models" not in grid.leave_out:
                where = f"{grid.where}, models: {name} on {sets.name}"
                raise UsageError(f"{where}: {error.message}", hint=error.hint) from None
            reasons.append(f"{name}: {error.message}")
        else:
            kept.append(model)
    return kept, reasons


def _possible(model: Model, sets: WindowSets) -> None:
    """Raise UsageError where a model cannot have that shape, state or decision layer on these windows."""
    model_config(model.train, sets.train)
    if model.train.state == "carried":
        streams(sets.validation)
    reason = impossible(model.train.state, sets.validation) if model.decision == "filter" else ""
    if reason:
        raise UsageError(f'decision = "filter": {reason}', hint='Choose "none" or "auto".')
    reason = unfollowed(model.train.state, sets.validation) if model.follow else ""
    if reason:
        raise UsageError(f"follow: {reason}", hint="Leave it out.")
    for teacher in model.teachers:
        if not teacher.trees:
            model_config(model.teacher_options(teacher), sets.train)


def _about(entry: Set, sets: WindowSets) -> dict[str, Any]:
    return {
        "label": entry.label,
        "name": sets.name,
        "description": sets.description,
        "licence": sets.licence,
        "simulated": sets.simulated,
        "notes": list(sets.notes),
        "validation_drift": entry.validation_drift,
        "rooms": len(sets.train.rooms),
        "room_names": list(sets.train.rooms),
        "room_windows": np.bincount(sets.test.room, minlength=len(sets.train.rooms)).tolist(),
        "access_points": len(sets.train.access_points),
        "windows": [len(sets.train), len(sets.validation), len(sets.test)],
    }


def _model_task(
    grid: Grid,
    entry: Set,
    model: Model,
    sets: WindowSets,
    seed: int,
    folder: StudyFolder,
    path: Path,
    tier: str,
    folds: tuple[Path, ...],
    selection: Path | None,
) -> Task:
    cells = []
    for name in model.compressions:
        row = Row(entry.label, model.family, model.size, model.variant, name, seed, sets.simulated)
        facts: list[Any] = [row.identity, sets.digest, model_facts(model)]
        if COMPRESSIONS[name].on_device:
            facts += [grid.board, tier, grid.precision, model.decision, *["follow"] * model.follow]
        cell = Cell(digest(facts), row)
        if folds and COMPRESSIONS[name].on_device:
            more = digest([cell.digest, "as validation chose", [fold.stem for fold in folds]])
            cell = Cell(more, row, cell, "folds")
        if entry.validation_drift and COMPRESSIONS[name].on_device:
            more = digest([cell.digest, "under drift", entry.validation_drift])
            cell = Cell(more, row, cell, "drift")
        if selection is not None and COMPRESSIONS[name].on_device:
            cell = Cell(digest([cell.digest, "selection", selection.stem]), row, cell, "selection")
        cells.append(cell)
    return Task(
        folder.path,
        path,
        tuple(cells),
        model,
        board=grid.board,
        tier=tier,
        precision=grid.precision,
        folds=folds,
        drift=entry.validation_drift,
        selection=selection,
    )


def _baseline_tasks(
    grid: Grid, entry: Set, sets: WindowSets, seed: int, folder: StudyFolder, path: Path
) -> Iterator[Task]:
    for name in grid.baselines:
        if not baselines.applies(name, sets) or (name in baselines.WITHOUT_CHANCE and seed != grid.seeds[0]):
            continue
        for budget in grid.budgets if name == baselines.SMALL else (0,):
            size = baselines.size_name(name, budget)
            row = Row(entry.label, BASELINE, size, "", "float", seed, sets.simulated)
            cell = Cell(digest([row.identity, sets.digest, grid.refit]), row)
            task = Task(folder.path, path, (cell,), None, baseline=name, flash_bytes=budget * 1024)
            yield dataclasses.replace(task, refit=grid.refit)


def _done(tasks: Sequence[Task], folder: StudyFolder, jobs: int, progress: Progress | None) -> list[Row]:
    """The rows of all tasks. Raises StoppedError on Ctrl-C."""
    rows: list[Row] = []
    total = sum(len(task.cells) for task in tasks)
    open_tasks = []
    for task in tasks:
        taken = [folder.take(cell.digest) for cell in task.cells]
        if None in taken:
            open_tasks.append(task)
        else:
            rows += [row for row in taken if row is not None]

    def tell(what: str) -> None:
        if progress is not None:
            progress(len(rows), total, what)

    tell("taken from this folder")
    try:
        teachers = _teachers(open_tasks)
        for task, _ in _worked(teachers, min(jobs, len(teachers))):
            tell(task.name)
        for task, found in _worked(open_tasks, min(jobs, len(open_tasks))):
            rows += found
            tell(task.name)
    except KeyboardInterrupt:
        raise StoppedError(
            f"stopped; what is finished is kept in {folder.cells}",
            hint="The same command goes on from there.",
        ) from None
    return rows


def _teachers(tasks: Sequence[Task]) -> list[Task]:
    """Who teaches in these tasks, each once: trained before their students need them."""
    found: dict[str, Task] = {}
    for task in tasks:
        model = task.model
        if model is None or not any(is_distilled(cell.row.compression) for cell in task.cells):
            continue
        for teacher in model.teachers:
            how: Any = [teacher.family, model.train.refit]
            if not teacher.trees:
                how = dataclasses.asdict(model.teacher_options(teacher))
            mark = digest([str(task.windows), how])
            alone = dataclasses.replace(model, teachers=(teacher,))
            found.setdefault(mark, dataclasses.replace(task, cells=(), model=alone))
    return list(found.values())


def _worked(tasks: Sequence[Task], jobs: int) -> Iterator[tuple[Task, list[Row]]]:
    """Each task with its rows, as they come: in this process, or in `jobs` others."""
    if jobs <= 1:
        for task in tasks:
            yield task, work(task)
        return
    with _one_thread_each():
        pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), initializer=_worker)
        try:
            waiting = {pool.submit(work, task): task for task in tasks}
            while waiting:
                # Not without end: Ctrl-C may reach another thread, and this one sees it when it wakes.
                for future in wait_for(waiting, WAKE_SECONDS, FIRST_COMPLETED).done:
                    task = waiting.pop(future)
                    try:
                        rows = future.result()
                    except BrokenProcessPool:
                        raise TrainingError(
                            "a process of the study was killed, perhaps for want of memory",
                            hint="The same command goes on from there; with fewer jobs it needs less memory.",
                        ) from None
                    yield task, rows
        finally:
            _end(pool)


def _end(pool: ProcessPoolExecutor) -> None:
    """End the pool at once, with what it is at: every file is written whole or not at all."""
    processes = list(getattr(pool, "_processes", None) or {}).copy()
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGTERM)
    pool.shutdown(wait=True)


@contextlib.contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes that are started here use one thread each: the cores are shared by cells, not by matrices."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _worker() -> None:
    """What a process of the pool does first: leave Ctrl-C to its parent, and end when that is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
