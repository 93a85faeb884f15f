"""Data, train, quantise, emit: from a name to C. Each reads what the one before left."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinyloc import emit as emission
from tinyloc.data import load_windows, load_windows_file, save_windows
from tinyloc.data.windows import WindowSets, merged
from tinyloc.emit import float32
from tinyloc.errors import ModelFileError, StoppedError, TinylocError, UsageError
from tinyloc.learn import ensemble
from tinyloc.learn.lessons import Lesson, Taught, teach
from tinyloc.learn.options import TrainOptions, resolve
from tinyloc.learn.state import fingerprint
from tinyloc.metrics import macro_f1
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.models.config import EnsembleConfig, ForestConfig
from tinyloc.pipeline.folder import RunFolder
from tinyloc.pipeline.integers import integers
from tinyloc.quant import decision, storage
from tinyloc.quant.attribution import attribution
from tinyloc.quant.follow import following, impossible
from tinyloc.quant.graph import Graph
from tinyloc.quant.lower import Precision
from tinyloc.quant.packing import WeightBits
from tinyloc.quant.replay import replay, samples_of

LOUD_POINTS = 1.0
"""Points of macro-F1 on validation from which a loss by quantisation is reported loudly."""


def prepare(
    folder: RunFolder, data: str, *, data_dir: Path | None, options: dict[str, Any], quiet: bool = False
) -> WindowSets:
    """Load the data set or file `data` and leave its windows. Raises DataError, SplitError, OutputError, and
    UsageError where the folder holds a model of other data.
    """
    from rich.console import Console

    console = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
    sets = load_windows(data, data_dir=data_dir, console=console, **options)
    folder.create()
    removed, stay = _forget_stale(folder, sets, data)
    if removed:
        console.print(f"removed, for it was made of other windows: {', '.join(removed)}", markup=False)
    if stay:
        console.print(f"of other windows, and still there: {', '.join(stay)}", markup=False)
    save_windows(folder.windows, sets)
    folder.note("data", {"name": data, "options": {key: str(value) for key, value in options.items()}})
    return sets


def _forget_stale(folder: RunFolder, sets: WindowSets, data: str) -> tuple[list[str], list[str]]:
    """Remove from the folder what was made of other windows than `sets`; gives the names of models that went,
    and of packages that stay. Raises UsageError rather than remove a model of other data than `data`.
    """
    before = None
    with contextlib.suppress(TinylocError):
        before = load_windows_file(folder.windows) if folder.windows.exists() else None
    if before is not None and before.digest == sets.digest:
        return [], []
    plain = TrainOptions()
    if before is not None and fingerprint(before, plain) == fingerprint(sets, plain):
        folder.forget(folder.result, folder.page)
        return [], []
    models = [folder.checkpoint, folder.integer_model, folder.training_state]
    there = [path.name for path in models if path.exists()]
    name = folder.read().get("data", {}).get("name", data)
    if there and not _same(name, data):
        raise UsageError(
            f"{folder.path}: holds a model of {name}, and {data} would take its place",
            hint="Name another folder with --out, or remove that one.",
        )
    folder.forget(folder.result, folder.page)
    if before is None:  # whether the model is of these windows, whoever reads it finds out
        return [], []
    folder.forget(folder.c_model, folder.integer_model, folder.checkpoint, folder.chosen)
    folder.forget(folder.training_state, folder.training_chosen)
    return there, sorted(path.name for path in folder.path.glob("package-*"))


def _same(name: str, data: str) -> bool:
    """Whether two names are of one data set, or of one file: `home.csv` and `./home.csv`."""
    return name == data or (Path(data).is_file() and Path(name).resolve() == Path(data).resolve())


def windows_of(folder: RunFolder) -> WindowSets:
    """The windows that `prepare` left."""
    return load_windows_file(folder.need(folder.windows, "data"))


def checkpoint_of(folder: RunFolder) -> Checkpoint:
    """The float model that `train` left."""
    return Checkpoint.load(folder.need(folder.checkpoint, "train"))


def graph_of(folder: RunFolder) -> Graph:
    """The integer model that `quantise` left."""
    return storage.load(folder.need(folder.integer_model, "quantise"))


def train(
    folder: RunFolder,
    sets: WindowSets,
    options: TrainOptions,
    progress: Callable[[Any], None] | None = None,
    lesson: Lesson | None = None,
) -> tuple[Checkpoint, bool]:
    """Train, or take what an earlier run with the same windows and options left; True where taken.

    With a `lesson` its teachers are trained first, or taken from the folder's `teachers/`, and the model
    learns from them too. An ensemble's members are kept in `members/`, each as soon as it is trained. With
    `options.refit` the model is trained as validation chose, then once more on validation windows too; the
    first is kept beside it, for all that is still to be chosen. An interrupted training leaves
    `training.state` and goes on from there. Raises StoppedError on Ctrl-C.
    """
    from tinyloc.learn.refit import refit

    try:
        taught = _taught(folder, sets, options, progress, lesson)
    except KeyboardInterrupt:
        raise StoppedError(
            "stopped while a teacher was trained; where that stood is kept",
            hint="The same command goes on from there.",
        ) from None
    options = taught.options
    mark = fingerprint(sets, resolve(options, sets.train), taught.targets)
    mark += " refit" if options.refit else ""
    if folder.read().get("train", {}).get("fingerprint") == mark and folder.checkpoint.exists():
        try:
            if options.refit:
                Checkpoint.load(folder.chosen)
            return Checkpoint.load(folder.checkpoint), True
        except ModelFileError:
            folder.note("train", None)  # cut or altered since: made anew
    if folder.read().get("interrupted", {}).get("fingerprint") != mark:
        folder.forget(folder.training_state, folder.training_chosen)
        folder.note("interrupted", {"fingerprint": mark})
    try:
        chosen = _chosen(folder, sets, taught, progress)
        checkpoint = chosen
        if options.refit and options.family == EnsembleConfig.family:
            checkpoint = ensemble.refit(
                sets, taught.refit_options, chosen, _member_again(folder, taught, progress)
            )
        elif options.refit:
            resume = folder.training_state if folder.training_state.exists() else None
            checkpoint = refit(
                sets,
                taught.refit_options,
                chosen,
                targets=taught.refit_targets,
                resume_from=resume,
                interrupt_to=folder.training_state,
                progress=progress,
            )
    except KeyboardInterrupt:
        raise _stopped(folder, options.family) from None
    except ModelFileError as error:
        raise ModelFileError(error.message, hint="Remove it, and training starts anew.") from None
    folder.note("train", None)  # until the new model is there, the folder holds none of known origin
    folder.forget(folder.integer_model, folder.c_model, folder.result, folder.page)
    folder.forget(folder.chosen)
    checkpoint.save(folder.checkpoint)
    if options.refit:
        chosen.save(folder.chosen)
    folder.note("train", {"fingerprint": mark, "options": dataclasses.asdict(options)})
    folder.note("interrupted", None)
    folder.forget(folder.training_state, folder.training_chosen)
    return checkpoint, False


def _taught(
    folder: RunFolder,
    sets: WindowSets,
    options: TrainOptions,
    progress: Callable[[Any], None] | None,
    lesson: Lesson | None,
) -> Taught:
    """What the teachers say, where there are any."""
    if lesson is None:
        return Taught(options, None, options, None)
    lesson.asked_of(options)  # refused before a teacher is trained
    return teach(lesson, sets, options, folder.teachers, progress)


def _chosen(
    folder: RunFolder, sets: WindowSets, taught: Taught, progress: Callable[[Any], None] | None
) -> Checkpoint:
    """What validation chooses: trained, or taken from where a refit was interrupted."""
    from tinyloc.learn.train import train as learn

    options = taught.options
    if options.family == EnsembleConfig.family:
        return ensemble.train(sets, options, _member(folder, taught, progress))
    if options.refit and folder.training_chosen.exists():
        try:
            return Checkpoint.load(folder.training_chosen)
        except ModelFileError:
            folder.forget(folder.training_chosen, folder.training_state)
    resume = folder.training_state if folder.training_state.exists() else None
    chosen = learn(
        sets,
        options,
        targets=taught.targets,
        resume_from=resume,
        interrupt_to=folder.training_state,
        progress=progress,
    )
    if options.refit:
        folder.forget(folder.training_state)  # before the model: a state beside it is that of the refit
        chosen.save(folder.training_chosen)
    return chosen


def _member(folder: RunFolder, taught: Taught, progress: Callable[[Any], None] | None) -> ensemble.Fit:
    """Trains a member of an ensemble, or takes it from the folder."""
    from tinyloc.learn import teachers

    def fit(sets: WindowSets, own: TrainOptions) -> Checkpoint:
        said = ensemble.said_to(own, taught.targets)
        return teachers.fit_or_load(folder.members, sets, own, targets=said, progress=progress)

    return fit


def _member_again(
    folder: RunFolder, taught: Taught, progress: Callable[[Any], None] | None
) -> ensemble.Refit:
    """Its refit, likewise."""
    from tinyloc.learn import teachers

    def again(sets: WindowSets, own: TrainOptions, chosen: Checkpoint) -> Checkpoint:
        said = ensemble.said_to(own, taught.refit_targets)
        return teachers.refit_or_load(folder.members, sets, own, chosen, targets=said, progress=progress)

    return again


def _stopped(folder: RunFolder, family: str) -> StoppedError:
    together = family == EnsembleConfig.family
    if together and folder.members.is_dir() and any(folder.members.iterdir()):
        return StoppedError(
            f"stopped; the members that were trained are kept in {folder.members}",
            hint="The same command goes on from there.",
        )
    for kept in (folder.training_state, folder.training_chosen):
        if kept.exists():
            return StoppedError(
                f"stopped; where training stood is kept in {kept}",
                hint="The same command goes on from there.",
            )
    return StoppedError("stopped before training began", hint="The same command starts anew.")


@dataclass(frozen=True)
class Quantised:
    """What quantisation cost on validation: macro-F1 (0..1) of both forms; `costliest`: the operators whose
    integer form alone moves the scores most, with the error as a part of the scores' spread; `weight_bits`: 4
    where any operator has such weights; `qat_steps` of quantisation-aware training before it.
    """

    precision: Precision
    f1_float: float
    f1_integer: float
    costliest: tuple[tuple[str, float], ...]
    decision: dict[str, Any] | None = None
    """What validation said of decision layers (`Choice.to_json`); None where none was tried."""
    weight_bits: WeightBits = 8
    qat_steps: int = 0
    follow: bool = False
    """Whether it follows receivers as they drift."""
    f1_followed: float | None = None
    """Macro-F1 of the integer form that does, where it does."""

    @property
    def decided(self) -> str:
        """The decision layer that was chosen, by name; empty where none was tried."""
        return "" if self.decision is None else decision.Candidate(**self.decision["chosen"]).name

    @property
    def drop_points(self) -> float:
        """Points of 100 that were lost."""
        return 100 * (self.f1_float - self.f1_integer)

    @property
    def loud(self) -> bool:
        """Whether more was lost than a user should have to look for."""
        return self.drop_points > LOUD_POINTS


def precision_words(found: Quantised, family: str) -> str:
    """How the integer model is stored, in words."""
    followed = ", receivers followed" if found.follow else ""
    if family == ForestConfig.family:
        return f"trees on whole numbers{followed}"
    weights = "int4 and int8" if found.weight_bits == 4 else "int8"
    return f"{weights} weights, {found.precision} activations{followed}"


def same_names(graph: Graph, sets: WindowSets, path: Path) -> None:
    """Raise ModelFileError unless the windows have the model's rooms, and all access points that it reads."""
    points = set(graph.access_points) <= set(sets.train.access_points)
    for what, right in (("rooms", graph.rooms == sets.train.rooms), ("access points", points)):
        if not right:
            raise ModelFileError(
                f"{path}: the model was made for other {what} than the windows beside it",
                hint="Train again in this folder.",
            )


def check_follow(state: str, sets: WindowSets) -> None:
    """Raise UsageError where a model of that state cannot follow receivers on these windows."""
    reason = impossible(state, sets.validation)
    if reason:
        raise UsageError(f"--follow: {reason}", hint="Leave --follow out.")


def quantise(
    folder: RunFolder,
    sets: WindowSets,
    checkpoint: Checkpoint,
    precision: Precision,
    asked: decision.Decision = "auto",
    weight_bits: WeightBits = 8,
    qat_steps: int = 0,
    follow: bool = False,
    progress: Callable[[Any], None] | None = None,
) -> Quantised:
    """Lower the checkpoint to integers on training windows and measure on validation what that costs: on the
    model that validation chose, where the checkpoint itself has learned from validation.

    `asked`: whether a decision layer is put behind it. `qat_steps`: updates of quantisation-aware training
    before that; `progress` is told of them. `follow`: it follows receivers as they drift. Raises UsageError
    where it cannot be done.
    """
    from tinyloc.learn.predict import predict

    known = set(checkpoint.access_points) <= set(sets.train.access_points)
    if checkpoint.rooms != sets.train.rooms or not known:
        raise ModelFileError(
            f"{folder.checkpoint}: trained on other rooms or access points than the windows beside it",
            hint="Train again in this folder.",
        )
    sets = sets.only(checkpoint.access_points)
    if follow:
        check_follow(checkpoint.state, sets)
    chosen = checkpoint
    if checkpoint.training.get("refit"):
        chosen = Checkpoint.load(folder.need(folder.chosen, "train"))
    seed, pick = int(checkpoint.training["options"].get("seed", 0)), chosen is checkpoint
    how: dict[str, Any] = {"qat_steps": qat_steps, "seed": seed, "pick": pick}
    floating, judged = integers(chosen, sets, precision, weight_bits, **how, progress=progress)
    graph = judged
    if chosen is not checkpoint:
        _, graph = integers(checkpoint, merged(sets), precision, weight_bits, **how, progress=progress)
    answered, _ = decision.answers_of(judged, replay(sets.validation, graph.state, graph.motion))
    floats = predict(chosen, sets.validation).argmax(axis=1)
    costs = attribution(floating, judged, samples_of(sets.validation, graph.motion))
    if follow:
        learned = sets.train if chosen is checkpoint else merged(sets).train
        hop = decision.hop_steps(sets.validation)
        judged, graph = following(judged, sets.train, hop), following(graph, learned, hop)
    choice = decision.choose(judged, sets, asked)
    followed = None
    if follow and choice is not None:
        followed = choice.none.f1_macro
    elif follow:
        again, _ = decision.answers_of(judged, replay(sets.validation, graph.state, graph.motion))
        followed = macro_f1(sets.validation.room, again)
    found = Quantised(
        precision,
        macro_f1(sets.validation.room, floats),
        macro_f1(sets.validation.room, answered),
        tuple((cost.operator, cost.error) for cost in costs[:3]),
        None if choice is None else choice.to_json(),
        4 if judged.packed else 8,
        qat_steps,
        follow,
        followed,
    )
    folder.note("quantise", None)
    folder.forget(folder.c_model, folder.result, folder.page)
    storage.save(graph if choice is None else choice.behind(graph), folder.integer_model)
    folder.note("quantise", dataclasses.asdict(found))
    return found


def quantised_of(folder: RunFolder) -> Quantised:
    """What `quantise` noted. Raises UsageError where it did not run."""
    about = folder.read().get("quantise")
    if about is None:
        raise UsageError(
            f"{folder.about}: nothing is noted of the quantisation", hint="`tinyloc quantise` does it."
        )
    return Quantised(**{**about, "costliest": tuple((name, error) for name, error in about["costliest"])})


def emit(folder: RunFolder, to: Path | None = None) -> list[Path]:
    """Write the C of the integer model into the run's `c/`, or into `to`: all of it, or no model."""
    graph, target = graph_of(folder), folder.c if to is None else to
    model = target / folder.c_model.name
    if to is None:
        folder.forget(folder.result, folder.page)
    folder.forget(model)
    try:
        return emission.emit(graph, target)
    except BaseException:
        folder.forget(model)
        raise


def emit_float32(folder: RunFolder, to: Path | None = None) -> list[Path]:
    """Write the C of the float model, uncompressed, into the run's `c-float32/`, or into `to`.

    Raises QuantisationError for what has no such form (`emit/float32.py`).
    """
    checkpoint, target = checkpoint_of(folder), folder.c_float32 if to is None else to
    model = target / folder.c_model.name
    folder.forget(model)
    try:
        return float32.emit_float32(checkpoint, target)
    except BaseException:
        folder.forget(model)
        raise
