"""A cell of the grid, worked off: train or take what is trained, compress, run, score.

A `Task` is what shares one training: a model of one seed on one data set with all its compressions, or one
baseline. Cells that are finished are never begun again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from tinyloc.data import load_windows_file
from tinyloc.data.order import hop_seconds
from tinyloc.data.windows import Windows, WindowSets, merged
from tinyloc.device.boards import find_board
from tinyloc.device.tiers import available_tiers, find_tier
from tinyloc.errors import (
    BudgetError,
    DeviceError,
    ModelFileError,
    QuantisationError,
    ToolchainError,
    TrainingError,
)
from tinyloc.judge.metrics import accuracy, confusion, macro_f1, per_room, room_changes
from tinyloc.learn.lessons import Teacher
from tinyloc.learn.options import facts as train_facts
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.models.config import is_network, parameters, parameters_paper
from tinyloc.quant import decision
from tinyloc.quant.graph import Graph
from tinyloc.quant.lower import Precision
from tinyloc.quant.replay import replay
from tinyloc.study import baselines
from tinyloc.study.compressions import COMPRESSIONS, Compression, optional, part
from tinyloc.study.entries import Model
from tinyloc.study.rows import BASELINE, Row
from tinyloc.study.table import StudyFolder, digest

ROOMY: Final = "roomy (1 MB RAM, 4 MB flash)"
"""Where a model is measured that is too large for the board that was asked for."""

_NO_FIGURES: Final = (TrainingError, QuantisationError, BudgetError, DeviceError, ToolchainError)
"""What one cell may fail of without the others."""

Labels = npt.NDArray[Any]


@dataclass(frozen=True)
class Cell:
    """One row to be: its digest names its file. `plain`: the digest of the same row without cross-validation;
    empty where there is none.
    """

    digest: str
    row: Row
    plain: str = ""


@dataclass(frozen=True)
class Task:
    """Cells that share one training; none at all: the model's teacher alone. `model` is None for the baseline
    called `baseline`. `folds`: the windows of a cross-validation's folds, for cells that want one.
    """

    out: Path
    windows: Path
    cells: tuple[Cell, ...]
    model: Model | None
    baseline: str = ""
    flash_bytes: int = 0
    board: str = ""
    tier: str = ""
    precision: Precision = "int16"
    refit: bool = False
    folds: tuple[Path, ...] = ()

    @property
    def seed(self) -> int:
        """The seed of all its cells."""
        return self.cells[0].row.seed

    @property
    def name(self) -> str:
        """What it works on, for a person."""
        if not self.cells:
            assert self.model is not None
            return f"teacher of {self.model.family} {self.model.size}"
        row = self.cells[0].row
        words = (row.set, "" if row.family == BASELINE else row.family, row.size, row.variant)
        return " ".join(word for word in words if word) + f", seed {row.seed}"


def tier_name(wanted: str, board: str) -> str:
    """The tier whose figures count: the reference where it is there. Raises ToolchainError."""
    core = find_board(board).cpu
    return available_tiers(core)[-1].name if wanted == "auto" else find_tier(wanted, core).name


@lru_cache(maxsize=8)
def _sets(path: Path) -> WindowSets:
    return load_windows_file(path)


def work(task: Task) -> list[Row]:
    """The rows of a task's cells, each written as soon as it is known."""
    folder, done, shared = StudyFolder(task.out), [], _Shared(task)
    if not task.cells:
        with contextlib.suppress(*_NO_FIGURES):  # then its students say so, each in its own row
            shared.teacher()
            for path in task.folds:
                shared.teacher_on(_sets(path))
    for cell in task.cells:
        row = folder.take(cell.digest)
        if row is None:
            try:
                row = _figures(cell, folder, shared)
            except _NO_FIGURES as error:
                row = dataclasses.replace(cell.row, error=str(error))
            folder.leave(cell.digest, row)
        done.append(row)
    return done


def _figures(cell: Cell, folder: StudyFolder, shared: _Shared) -> Row:
    """The row of a cell. With a cross-validation, what a study without one measured is taken from there."""
    if not cell.plain:
        return shared.row(cell.row)
    row = folder.take(cell.plain)
    if row is None:
        row = shared.row(cell.row)
        folder.leave(cell.plain, row)
    try:
        return shared.crossed(row)
    except _NO_FIGURES as error:
        return dataclasses.replace(row, error=f"cross-validation: {error}")


class Pair(NamedTuple):
    """A trained model twice: `judged` by validation, and `final`, which has learned from validation windows
    too (the same where there is no refit). Trees, as teachers, come in pairs as well.
    """

    judged: Any
    final: Any


class _Shared:
    """What the cells of a task have in common."""

    def __init__(self, task: Task) -> None:
        self.task, self.sets = task, _sets(task.windows)

    def row(self, row: Row) -> Row:
        """The cell's row with its figures."""
        if self.task.model is None:
            return self.baseline(row)
        compression = COMPRESSIONS[row.compression]
        pair = self.pair(compression.source)
        row = dataclasses.replace(
            row,
            parameters=parameters(pair.final.config),
            parameters_paper=parameters_paper(pair.final.config),
        )
        if not compression.on_device:
            return self.in_torch(row, pair, compression.form)
        judged = self.graph(pair.judged, self.sets, compression)
        if pair.final is pair.judged:
            return self.on_device(row, judged, judged)
        return self.on_device(row, judged, self.graph(pair.final, merged(self.sets), compression))

    def crossed(self, row: Row) -> Row:
        """The row with its cross-validation: macro-F1 over the windows that validate in the folds, all folds
        together, each answered by the integer model that the others' windows trained.

        How to train, and which decision layer, validation has decided before, once for all folds: had each
        fold picked by the windows that judge it, what picks most would look best.
        """
        compression, sets, choice = COMPRESSIONS[row.compression], self.sets, None
        assert self.task.model is not None
        if self.task.model.decision != "none":
            choice = self.settled(self.graph(self.pair(compression.source).judged, sets, compression))[0]
        rooms, answers = [], []
        for path in self.task.folds:
            fold = _sets(path)
            graph = self.graph(self.again_on(fold, compression.source), fold, compression, pick=False)
            if choice is not None:
                graph = choice.learned_from(fold.train, hop_seconds(sets.validation)).behind(graph)
            windows = fold.only(graph.access_points).validation
            answers.append(decision.answers_of(graph, replay(windows, graph.state, graph.motion))[1])
            rooms.append(windows.room)
        crossed = macro_f1(np.concatenate(rooms), np.concatenate(answers))
        return dataclasses.replace(row, cross_validation_f1=crossed)

    def baseline(self, row: Row) -> Row:
        """A baseline's figures."""
        found = baselines.fit(
            self.task.baseline,
            self.sets,
            seed=row.seed,
            flash_bytes=self.task.flash_bytes,
            refit=self.task.refit,
        )
        row = self.scored(row, found.validation, found.test)
        return dataclasses.replace(row, flash_estimate_bytes=found.flash_bytes, parameters=found.parameters)

    def pair(self, source: str) -> Pair:
        """The trained model, float or distilled, before and after it learned from validation windows."""
        model = self.task.model
        assert model is not None
        options = model.options(self.task.seed)
        if source == "float":
            return self.trained(options)
        distilled, teacher, facts = part(source), self.teacher(), model_facts(model)
        about = {"source": source, "seed": self.task.seed, "model": facts}
        how = {"tau": model.tau, "alpha": model.alpha}

        def judged() -> Checkpoint:
            taught: Checkpoint = distilled(
                self.sets, options, teacher.judged, model.teaching, keep=self.keeper(), **how
            )
            return taught

        first = self.kept(about, judged)
        if not options.refit:
            return Pair(first, first)

        def final() -> Checkpoint:
            more = {"chosen": first, "keep": self.keeper({"refit": True}), **how}
            again: Checkpoint = distilled(merged(self.sets), options, teacher.final, model.teaching, **more)
            return again

        return Pair(first, self.kept({**about, "refit": True}, final))

    def teacher(self) -> Pair:
        """Who teaches, or all of an ensemble, as a pair of lists."""
        model = self.task.model
        assert model is not None
        assert model.teachers, "the grid refuses a student without a teacher"
        found = [self.member(model, one) for one in model.teachers]
        if len(found) == 1:
            return found[0]
        return Pair([one.judged for one in found], [one.final for one in found])

    def member(self, model: Model, teacher: Teacher) -> Pair:
        """One teacher of a model's: trees are grown where they are needed, a network is trained once."""
        if teacher.trees:
            judged = teacher.grow(self.sets.train)
            return Pair(judged, teacher.grow(merged(self.sets).train) if model.train.refit else judged)
        return self.trained(model.teacher_options(teacher))

    def trained(self, options: Any) -> Pair:
        """A float model with these options, or what an earlier run trained with them."""
        from tinyloc.learn.refit import refit
        from tinyloc.learn.train import train

        if options.members:
            return self.ensemble(options)
        facts = train_facts(dataclasses.replace(options, refit=False))
        about = {"source": "float", "options": facts}
        judged = self.kept(about, lambda: train(self.sets, options))
        if not options.refit:
            return Pair(judged, judged)
        return Pair(judged, self.kept({**about, "refit": True}, lambda: refit(self.sets, options, judged)))

    def ensemble(self, options: Any) -> Pair:
        """An ensemble's members, each trained or taken as a model of its own, put together."""
        from tinyloc.learn import ensemble

        judged = ensemble.train(self.sets, options, lambda _, own: self.trained(own).judged)
        if not options.refit:
            return Pair(judged, judged)
        return Pair(
            judged, ensemble.refit(self.sets, options, judged, lambda _, own, __: self.trained(own).final)
        )

    def again_on(self, fold: WindowSets, source: str) -> Checkpoint:
        """The trained model as validation chose it, trained anew on a fold, where nothing is picked."""
        model = self.task.model
        assert model is not None
        options = dataclasses.replace(model.options(self.task.seed), refit=False)
        if source == "float":
            return self.retrained(fold, options)
        distilled, facts = part(source), model_facts(model)
        about = {"source": source, "seed": self.task.seed, "model": facts, "as": self.sets.digest}
        how = {"chosen": self.pair(source).judged, "tau": model.tau, "alpha": model.alpha}
        how["keep"] = self.keeper({"as": self.sets.digest}, fold)

        def again() -> Checkpoint:
            taught: Checkpoint = distilled(fold, options, self.teacher_on(fold), model.teaching, **how)
            return taught

        return self.kept(about, again, fold)

    def teacher_on(self, fold: WindowSets) -> Any:
        """Who teaches on a fold, or a list of them: as validation chose each, trained anew."""
        model = self.task.model
        assert model is not None
        found = []
        for one in model.teachers:
            if one.trees:
                found.append(one.grow(fold.train))
            else:
                options = dataclasses.replace(model.teacher_options(one), refit=False)
                found.append(self.retrained(fold, options))
        return found[0] if len(found) == 1 else found

    def retrained(self, fold: WindowSets, options: Any) -> Checkpoint:
        """The float model with these options as validation chose it, trained anew on a fold; so is each
        member of an ensemble.
        """
        from tinyloc.learn import ensemble
        from tinyloc.learn.refit import retrain

        chosen = self.trained(options).judged
        if options.members:
            return ensemble.refit(fold, options, chosen, lambda _, own, __: self.retrained(fold, own))
        about = {"source": "float", "options": train_facts(options), "as": self.sets.digest}
        return self.kept(about, lambda: retrain(fold, options, chosen), fold)

    def keeper(
        self, mark: dict[str, Any] | None = None, sets: WindowSets | None = None
    ) -> Callable[[Any, Callable[[], Checkpoint]], Checkpoint]:
        """What keeps each member of an ensemble that is taught, as a model of its own; `mark` tells how else
        it was trained.
        """

        def keep(own: Any, make: Callable[[], Checkpoint]) -> Checkpoint:
            facts = train_facts(dataclasses.replace(own, refit=False))
            return self.kept({"source": "float", "options": facts, **(mark or {})}, make, sets)

        return keep

    def kept(
        self, facts: dict[str, Any], make: Callable[[], Checkpoint], sets: WindowSets | None = None
    ) -> Checkpoint:
        """The model that these facts decide on `sets` (the task's own, if not given), from this study's
        folder where it was made before.
        """
        path = self.path(facts, sets or self.sets)
        taken = _load(path)
        if taken is None:
            taken = make()
            taken.save(path)
        return taken

    def path(self, facts: dict[str, Any], sets: WindowSets) -> Path:
        """Where a model trained so on these windows is kept."""
        mark = digest([sets.digest, facts])
        return StudyFolder(self.task.out).cells / f"{mark}.safetensors"

    def in_torch(self, row: Row, pair: Pair, form: str) -> Row:
        """Floating-point and the paper's compressions: answers of this computer, sizes of a file."""
        from tinyloc.learn.predict import predict

        def answers(checkpoint: Checkpoint, windows: Windows) -> Labels:
            if form == "float":
                return np.asarray(predict(checkpoint, windows).argmax(axis=1))
            return np.asarray(part(form)(form, checkpoint, windows).argmax(axis=1))

        size = optional("tinyloc.models.compress", "state_dict_kb")
        judged, final = answers(pair.judged, self.sets.validation), answers(pair.final, self.sets.test)
        network = is_network(pair.final.family)
        kilobytes = float(size(form, pair.final)) if size is not None and network else None
        return dataclasses.replace(self.scored(row, judged, final), state_dict_kb=kilobytes)

    def graph(self, checkpoint: Checkpoint, sets: WindowSets, how: Compression, pick: bool = True) -> Graph:
        """The integer graph, of the model as it is or trained on as integers: on `sets`, its own. `pick`:
        whether that training may pick an evaluation by validation.
        """
        from tinyloc.pipeline.integers import integers

        task = self.task
        assert task.model is not None
        _, graph = integers(
            checkpoint,
            sets,
            task.precision,
            how.weight_bits,
            qat_steps=task.model.qat_steps if how.form == "qat" else 0,
            seed=task.seed,
            pick=pick and not task.model.train.refit,  # a model is judged as the final one is made
        )
        return graph

    def settled(self, chosen: Graph) -> tuple[decision.Choice | None, Labels, Labels]:
        """The decision layer that validation puts behind `chosen`, and its answers to validation windows [W]
        without it and with it.
        """
        assert self.task.model is not None
        sets = self.sets.only(chosen.access_points)
        choice = decision.choose(chosen, sets, self.task.model.decision)
        judged = chosen if choice is None else choice.behind(chosen)
        return choice, *decision.answers_of(judged, replay(sets.validation, judged.state, judged.motion))

    def on_device(self, row: Row, chosen: Graph, graph: Graph) -> Row:
        """The integer graph: validation by the reference (of `chosen`, which has not learned from it), test
        by the emulated device, memory measured.
        """
        from tinyloc import emit
        from tinyloc.pipeline.fits import Limits
        from tinyloc.pipeline.folder import RunFolder
        from tinyloc.pipeline.verify import run_tier

        task, test = self.task, self.sets.only(graph.access_points).test
        choice, plain, judged = self.settled(chosen)
        if choice is not None:
            graph = choice.behind(graph)
        board = find_board(task.board)
        roomy = dataclasses.replace(board.roomy, name=ROOMY)
        with tempfile.TemporaryDirectory(prefix="tinyloc-study-") as scratch:
            folder = RunFolder(Path(scratch))
            emit.emit(graph, folder.c)
            tier, stream = find_tier(task.tier, board.cpu), replay(test, graph.state, graph.motion)
            try:
                run = run_tier(tier, folder, Limits(board, board.ram_bytes, board.flash_bytes), stream, graph)
            except BudgetError:
                board = roomy
                run = run_tier(tier, folder, Limits(board, board.ram_bytes, board.flash_bytes), stream, graph)
        row = self.scored(row, judged, run.settled)
        if choice is not None:
            row = self.without(row, choice.chosen.name, plain, run.rooms)
        return dataclasses.replace(
            row,
            flash_bytes=run.firmware.flash_bytes,
            ram_bytes=run.ram_bytes,
            board=board.name,
            tier=tier.name,
            instructions_answer=(
                run.run.instructions_per_step if graph.state == "carried" else run.run.instructions_per_window
            ),
            identical_windows=run.identical_windows,
        )

    def without(self, row: Row, chosen: str, validation: Labels, test: Labels) -> Row:
        """The row with what the same answers are worth without their decision layer."""
        alone = self.scored(row, validation, test)
        return dataclasses.replace(
            row,
            decision=chosen,
            validation_f1_room=alone.validation_f1,
            f1_macro_room=alone.f1_macro,
            accuracy_room=alone.accuracy,
            room_changes_room=alone.room_changes,
        )

    def scored(self, row: Row, validation: Labels, test: Labels) -> Row:
        """The row with what these answers are worth."""
        windows = self.sets.test
        table = confusion(windows.room, test, len(windows.rooms))
        row = dataclasses.replace(
            row,
            validation_f1=macro_f1(self.sets.validation.room, validation),
            f1_macro=macro_f1(windows.room, test),
            accuracy=accuracy(windows.room, test),
            windows=len(windows),
            f1_rooms=tuple(one.f1 for one in per_room(table, windows.rooms)),
        )
        if windows.seconds_per_step <= 0:
            return row
        changes = room_changes(windows.room, test, windows.session)
        return dataclasses.replace(row, room_changes=changes.predicted, room_changes_true=changes.true)


TAUGHT: Final = ("teaching", "tau", "alpha", "qat_steps")


def model_facts(model: Model) -> dict[str, Any]:
    """What decides a model, but for which sets and compressions it is asked for.

    One teacher stands as it did before there were ensembles, so that no name of a finished cell changes.
    """
    facts = {**dataclasses.asdict(model), "train": train_facts(model.train)}
    teachers = [dataclasses.astuple(teacher) for teacher in model.teachers]
    teacher = teachers if len(teachers) > 1 else next(iter(teachers), None)
    return {"teacher": teacher} | {
        name: facts[name] for name in ("family", "hidden", "layers", "train", *TAUGHT)
    }


def _load(path: Path) -> Checkpoint | None:
    """The model in the file, or None where it is not there or not whole."""
    if not path.exists():
        return None
    try:
        return Checkpoint.load(path)
    except ModelFileError:
        return None
