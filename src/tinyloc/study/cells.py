"""A task's cells, worked off: its models (`trained.py`) compressed, run and scored.

Cells that are finished are never begun again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tinyloc.data import load_windows_file
from tinyloc.data.drift import drifted
from tinyloc.data.order import hop_seconds
from tinyloc.data.windows import Windows, WindowSets, merged
from tinyloc.device.boards import find_board
from tinyloc.device.tiers import find_tier
from tinyloc.errors import (
    BudgetError,
    DeviceError,
    QuantisationError,
    ToolchainError,
    TrainingError,
)
from tinyloc.judge.metrics import accuracy, confusion, macro_f1, per_room, room_changes
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.models.config import is_network, parameters, parameters_paper
from tinyloc.quant import decision
from tinyloc.quant.follow import following
from tinyloc.quant.graph import Graph
from tinyloc.quant.replay import replay
from tinyloc.study import baselines
from tinyloc.study.compressions import COMPRESSIONS, Compression, optional, part
from tinyloc.study.entries import Model
from tinyloc.study.rows import Row
from tinyloc.study.table import StudyFolder
from tinyloc.study.tasks import Adds, Cell, Task
from tinyloc.study.trained import Pair, Trained

ROOMY: Final = "roomy (1 MB RAM, 4 MB flash)"
"""Where a model is measured that is too large for the board that was asked for."""

_NO_FIGURES: Final = (TrainingError, QuantisationError, BudgetError, DeviceError, ToolchainError)
"""What one cell may fail of without the others."""

_ADDED: Final[dict[Adds, str]] = {
    "folds": "cross-validation",
    "drift": "validation under drift",
    "selection": "selection",
}

Labels = npt.NDArray[Any]


@lru_cache(maxsize=8)
def _sets(path: Path) -> WindowSets:
    return load_windows_file(path)


def work(task: Task) -> list[Row]:
    """The rows of a task's cells, each written as soon as it is known."""
    folder, done, shared = StudyFolder(task.out), [], Shared(task)
    if not task.cells:
        with contextlib.suppress(*_NO_FIGURES):  # then its students say so, each in its own row
            shared.models.teacher()
            for path in task.folds:
                shared.models.teacher_on(_sets(path))
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


def _figures(cell: Cell, folder: StudyFolder, shared: Shared) -> Row:
    """The row of a cell. What a study measured that did not ask for all of it is taken from there."""
    if cell.before is None:
        return shared.row(cell.row)
    row = folder.take(cell.before.digest)
    if row is None:
        row = _figures(cell.before, folder, shared)
        folder.leave(cell.before.digest, row)
    if row.error:
        return row
    try:
        add = {"folds": shared.crossed, "drift": shared.drifted, "selection": shared.selected}[cell.adds]
        return add(row)
    except _NO_FIGURES as error:
        return dataclasses.replace(row, error=f"{_ADDED[cell.adds]}: {error}")


def _f1(graph: Graph, windows: Windows) -> float:
    """Macro-F1 of the graph's answers."""
    return macro_f1(windows.room, decision.answers_of(graph, replay(windows, graph.state, graph.motion))[1])


def _in_torch(form: str, checkpoint: Checkpoint, windows: Windows) -> Labels:
    """The rooms [W] that a network answers in floating point or compressed as the paper does."""
    from tinyloc.learn.predict import predict

    if form == "float":
        return np.asarray(predict(checkpoint, windows).argmax(axis=1))
    return np.asarray(part(form)(form, checkpoint, windows).argmax(axis=1))


class Shared:
    """What the cells of a task have in common."""

    def __init__(self, task: Task) -> None:
        self.task, self.sets = task, _sets(task.windows)

    @property
    def model(self) -> Model:
        """The entry of the grid; a baseline has none."""
        assert self.task.model is not None
        return self.task.model

    @property
    def models(self) -> Trained:
        """Its trained models."""
        return Trained(self.task, self.model, self.sets)

    def row(self, row: Row) -> Row:
        """The cell's row with its figures."""
        if self.task.model is None:
            return self.baseline(row)
        compression = COMPRESSIONS[row.compression]
        pair = self.models.pair(compression.source)
        row = dataclasses.replace(
            row,
            parameters=parameters(pair.final.config),
            parameters_paper=parameters_paper(pair.final.config),
        )
        if not compression.on_device:
            return self.in_torch(row, pair, compression.form)
        judged = self.judged(compression)
        return self.on_device(row, judged, self.final(compression, judged))

    def judged(self, compression: Compression) -> Graph:
        """The integer model that validation judges."""
        return self.graph(self.models.pair(compression.source).judged, self.sets, compression)

    def final(self, compression: Compression, judged: Graph) -> Graph:
        """The integer model that test judges: `judged`, unless the model is refitted."""
        pair = self.models.pair(compression.source)
        if pair.final is pair.judged:
            return judged
        return self.graph(pair.final, merged(self.sets), compression)

    def shipped(self, compression: Compression) -> Graph:
        """The same behind the decision layer that validation chose: what the device runs."""
        judged = self.judged(compression)
        choice, _, _ = self.settled(judged)
        final = self.final(compression, judged)
        return final if choice is None else choice.behind(final)

    def answers(self, row: Row) -> Labels:
        """The rooms [W] that a row's model answers to the test windows: PyTorch's, or the reference's, which
        the device repeats byte for byte. For rows of models, not of baselines.
        """
        compression = COMPRESSIONS[row.compression]
        if not compression.on_device:
            pair = self.models.pair(compression.source)
            return _in_torch(compression.form, pair.final, self.sets.test)
        graph = self.shipped(compression)
        windows = self.sets.only(graph.access_points).test
        return decision.answers_of(graph, replay(windows, graph.state, graph.motion))[1]

    def crossed(self, row: Row) -> Row:
        """The row with its cross-validation: macro-F1 over the windows that validate in the folds, all folds
        together, each answered by the integer model that the others' windows trained.

        How to train, and which decision layer, validation has decided before, once for all folds: had each
        fold picked by the windows that judge it, what picks most would look best.
        """
        compression, sets, choice = COMPRESSIONS[row.compression], self.sets, None
        if self.model.decision != "none":
            choice, _, _ = self.settled(self.judged(compression))
        rooms, answers = [], []
        for path in self.task.folds:
            fold = _sets(path)
            graph = self.graph(self.models.again_on(fold, compression.source), fold, compression, pick=False)
            if choice is not None:
                graph = choice.learned_from(fold.train, hop_seconds(sets.validation)).behind(graph)
            windows = fold.only(graph.access_points).validation
            answers.append(decision.answers_of(graph, replay(windows, graph.state, graph.motion))[1])
            rooms.append(windows.room)
        crossed = macro_f1(np.concatenate(rooms), np.concatenate(answers))
        return dataclasses.replace(row, cross_validation_f1=crossed)

    def drifted(self, row: Row) -> Row:
        """The row with macro-F1 on validation windows under drift, of the model that validation judges."""
        chosen = self.judged(COMPRESSIONS[row.compression])
        choice, _, _ = self.settled(chosen)
        graph = chosen if choice is None else choice.behind(chosen)
        windows = drifted(self.sets.only(graph.access_points).validation, self.task.drift)
        return dataclasses.replace(row, drift_f1=_f1(graph, windows))

    def selected(self, row: Row) -> Row:
        """The row with macro-F1 on the recordings that select, of the model that test judges too, behind the
        decision layer that validation chose.
        """
        graph = self.shipped(COMPRESSIONS[row.compression])
        assert self.task.selection is not None
        windows = _sets(self.task.selection).only(graph.access_points).validation
        return dataclasses.replace(row, selection_f1=_f1(graph, windows))

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

    def in_torch(self, row: Row, pair: Pair, form: str) -> Row:
        """Floating-point and the paper's compressions: answers of this computer, sizes of a file."""
        size = optional("tinyloc.models.compress", "state_dict_kb")
        judged = _in_torch(form, pair.judged, self.sets.validation)
        final = _in_torch(form, pair.final, self.sets.test)
        network = is_network(pair.final.family)
        kilobytes = float(size(form, pair.final)) if size is not None and network else None
        return dataclasses.replace(self.scored(row, judged, final), state_dict_kb=kilobytes)

    def graph(self, checkpoint: Checkpoint, sets: WindowSets, how: Compression, pick: bool = True) -> Graph:
        """The integer graph, of the model as it is or trained on as integers: on `sets`, its own. `pick`:
        whether that training may pick an evaluation by validation.
        """
        from tinyloc.pipeline.integers import integers

        task = self.task
        _, graph = integers(
            checkpoint,
            sets,
            task.precision,
            how.weight_bits,
            qat_steps=self.model.qat_steps if how.form == "qat" else 0,
            seed=task.seed,
            pick=pick and not self.model.train.refit,  # a model is judged as the final one is made
        )
        if self.model.follow:
            graph = following(graph, sets.train, decision.hop_steps(self.sets.validation))
        return graph

    def settled(self, chosen: Graph) -> tuple[decision.Choice | None, Labels, Labels]:
        """The decision layer that validation puts behind `chosen`, and its answers to validation windows [W]
        without it and with it.
        """
        sets = self.sets.only(chosen.access_points)
        choice = decision.choose(chosen, sets, self.model.decision)
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
