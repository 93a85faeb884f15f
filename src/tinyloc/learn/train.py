"""One training loop for every network; a forest is grown (`forest.py`).

A run is a few trials: every candidate input scaling, each with `restarts` starts. Each trial is AdamW along a
warmed-up cosine; the best of its evaluations is kept; the best trial, by validation macro-F1 and, between
equals, by validation cross-entropy, becomes the checkpoint. The test set is never looked at.

Everything drawn is a function of (seed, trial, step): the same seed on the same machine gives the same bytes,
and a run that was stopped and resumed gives those bytes too.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from tinyloc.data.windows import WindowSets
from tinyloc.errors import OutputError, TrainingError
from tinyloc.learn import distil, ensemble, forest, place
from tinyloc.learn import state as saved
from tinyloc.learn.draw import Draws
from tinyloc.learn.options import (
    Candidate,
    TrainOptions,
    candidates,
    model_config,
    read,
    record,
    resolve,
)
from tinyloc.learn.predict import answers
from tinyloc.learn.score import cross_entropy, macro_f1
from tinyloc.learn.state import Arrays, Moment
from tinyloc.models import families
from tinyloc.models.base import RoomModel
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.models.config import EnsembleConfig, ForestConfig, reads_statistics
from tinyloc.models.scaling import InputScaling, Kind

SAVE_SECONDS = 30.0
"""How much of a training is lost at most, beside one step, where nobody can say that it stops."""


@dataclass(frozen=True)
class Progress:
    """Told after every evaluation. `trial` of `trials` and `step` of `steps` are done; `loss` in nats is the
    mean since the last evaluation; `macro_f1` (0..1) of this evaluation and `best` of this trial.
    """

    trial: int
    trials: int
    step: int
    steps: int
    scaling: Kind
    loss: float
    macro_f1: float
    best: float


def train(
    sets: WindowSets,
    options: TrainOptions | None = None,
    *,
    targets: npt.NDArray[np.float32] | None = None,
    resume_from: Path | None = None,
    interrupt_to: Path | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Checkpoint:
    """Train on `sets.train`, choose on `sets.validation`, and never look at `sets.test`.

    The checkpoint names the access points that the model reads: those that training hears (`options.read`).

    `targets`, where the options have `distil` and only there: what the teacher says of the training windows
    as they are, without augmentation: probabilities [W, T, K], or [W, K] of the last steps, or features
    [W, T, F], or [W, F] (`teachers.targets`).

    Ctrl-C writes where training stands to `interrupt_to` (if given) and is raised on; so is it written every
    `SAVE_SECONDS`, for a computer that stops without a word. `resume_from` that file goes on from there.
    Forests and ensembles neither write nor read one: the first are grown in seconds, of the second
    `pipeline/` keeps each member. Raises TrainingError when training diverges, cannot start, or is resumed
    with other data or options.
    """
    asked = options or TrainOptions()
    options = resolve(asked, sets.train)
    if not len(sets.train) or not len(sets.validation):
        raise TrainingError("training needs at least one window to train on and one to validate on")
    if len(np.unique(sets.train.room)) < 2:
        raise TrainingError("training needs at least two rooms", hint="Record a second room.")
    if options.family == EnsembleConfig.family:
        distil.check_given(options, targets)

        def fit(some: WindowSets, own: TrainOptions) -> Checkpoint:
            return train(some, own, targets=ensemble.said_to(own, targets), progress=progress)

        return ensemble.train(sets, asked, fit)
    if options.family == ForestConfig.family:
        return _forest(sets.only(read(options, sets.train)), options, progress, targets)
    mark = saved.fingerprint(sets, options, targets)
    moment = saved.load(resume_from, mark) if resume_from else Moment()

    def keep(moment: Moment) -> None:
        if interrupt_to:
            with contextlib.suppress(OutputError):  # a full disk ends no training that may yet end well
                saved.save(interrupt_to, moment, mark)

    run = _Run(sets.only(read(options, sets.train)), options, moment, progress, keep, targets)
    try:
        with _one_thread(), torch.random.fork_rng(devices=[]):
            return run.checkpoint()
    except KeyboardInterrupt:
        if interrupt_to:
            saved.save(interrupt_to, run.moment, mark)
        raise


def _forest(
    sets: WindowSets,
    options: TrainOptions,
    progress: Callable[[Progress], None] | None,
    targets: npt.NDArray[np.float32] | None,
) -> Checkpoint:
    """A forest is grown, not trained: in seconds, so that one that was stopped begins anew."""

    def told(done: int, trials: int, score: float, best: float) -> None:
        if progress:
            progress(Progress(done - 1, trials, 1, 1, "minmax", 0.0, score, best))

    return forest.grow(sets, options, told, targets)


class _Run:
    """All trials of one call of `train`. `moment` is always a state from which training can go on; `keep` is
    given it every `SAVE_SECONDS`.
    """

    def __init__(
        self,
        sets: WindowSets,
        options: TrainOptions,
        moment: Moment,
        progress: Callable[[Progress], None] | None,
        keep: Callable[[Moment], None],
        targets: npt.NDArray[np.float32] | None,
    ) -> None:
        self.sets, self.options, self.moment, self.progress = sets, options, moment, progress
        self.keep, self.kept = keep, time.monotonic()
        tried = candidates(options, sets.train)
        self.trials = [candidate for candidate in tried for _ in range(options.restarts)]
        if options.device == "cuda" and not torch.cuda.is_available():
            raise TrainingError("no CUDA device was found", hint="Train with --device cpu.")
        cuda = options.device != "cpu" and torch.cuda.is_available()
        self.device = torch.device("cuda" if cuda else "cpu")
        windows = sets.train
        said, placed = distil.lay_out(options, windows, targets), place.lay_out(options, windows)
        self.draws = Draws(windows, options, said, placed)
        self.by_features = options.distil is not None and options.distil.kind == "features"
        self.config = model_config(options, windows)
        self.rate, self.dropout = options.rate or 0.0, options.dropout or 0.0
        weights = _class_weights(self.draws.rooms_at, len(windows.rooms), options.class_weights or 0.0)
        self.class_weights = torch.from_numpy(weights).to(self.device)
        self.latest = 0.0  # validation macro-F1 of the last evaluation

    def checkpoint(self) -> Checkpoint:
        """Train what is left to train and hand out the best."""
        while self.moment.trial < len(self.trials):
            self.run_trial()
        moment, windows = self.moment, self.sets.train
        best = moment.trials[moment.best_trial]
        return Checkpoint(
            config=self.config,
            scaling=self.fitted(self.trials[moment.best_trial].scaling),
            weights=moment.best,
            rooms=windows.rooms,
            access_points=windows.access_points,
            window_steps=windows.rssi.shape[1],
            seconds_per_step=windows.seconds_per_step,
            state=self.options.state,
            training={
                "seed": self.options.seed,
                "data": self.sets.name,
                "simulated": self.sets.simulated,
                "validation_macro_f1": best["macro_f1"],
                "validation_cross_entropy": best["cross_entropy"],
                "trials": moment.trials,
                "options": record(self.options),
            },
        )

    def fitted(self, kind: Kind) -> InputScaling:
        """The input scaling of that kind, fitted on what the model reads of the training windows."""
        return InputScaling.fit(kind, self.sets.train, statistics=reads_statistics(self.config))

    def run_trial(self) -> None:
        """One candidate from one start, from wherever the moment stands to its end."""
        options, trial, start = self.options, self.moment.trial, self.moment.step
        candidate = self.trials[trial]
        scaling = self.fitted(candidate.scaling)
        torch.manual_seed(_seed(options.seed, trial))
        model = families.build(self.config, self.dropout)
        families.fit(model, self.sets.train.rssi)
        if self.draws.taught is not None and self.by_features:
            distil.add_projection(model, self.draws.taught.shape[-1] - 1)
        if self.draws.placed is not None:
            place.add_projection(model)
        model.to(self.device)
        optimiser = torch.optim.AdamW(_groups(model, options.weight_decay), lr=self.rate, betas=(0.9, 0.99))
        if start:
            _restore(model, optimiser, self.moment, start)
        every = max(1, options.steps // options.evaluations)
        losses: list[float] = []
        for step in range(start, options.steps):
            if options.patience and self.moment.stale >= options.patience:
                break
            losses.append(self.update(model, optimiser, scaling, step))
            due = (step + 1) % every == 0 or step + 1 == options.steps
            if due:
                self.evaluate(model, optimiser, scaling, step + 1)
            if time.monotonic() - self.kept >= SAVE_SECONDS:
                if not due:
                    self.moment = self.standing(model, optimiser, step + 1)
                self.keep(self.moment)
                self.kept = time.monotonic()
            if due and self.progress:
                best, loss = self.moment.score["macro_f1"], float(np.mean(losses))
                done = (trial, len(self.trials), step + 1, options.steps)
                self.progress(Progress(*done, candidate.scaling, loss, self.latest, best))
            if due:
                losses = []
        self.end_trial(candidate)

    def standing(self, model: RoomModel, optimiser: torch.optim.Optimizer, step: int) -> Moment:
        """The moment after `step` steps of the trial under way, with what was evaluated before."""
        moment = copy.copy(self.moment)
        moment.step = step
        moment.weights = model.weights()
        moment.first, moment.second = _moments(model, optimiser)
        return moment

    def update(
        self, model: RoomModel, optimiser: torch.optim.Optimizer, scaling: InputScaling, step: int
    ) -> float:
        """One step of AdamW. Returns the loss in nats. Raises TrainingError when it is not a number."""
        options, trial, windows = self.options, self.moment.trial, self.sets.train
        carried = options.state == "carried"
        drawn = self.draws.draw(trial, step, self.trials[trial].augmentation)
        rooms = torch.from_numpy(drawn.rooms_at.astype(np.int64)).to(self.device)
        for group in optimiser.param_groups:
            group["lr"] = self.rate * _schedule(step, options.steps, options.warmup)
        model.train()
        if self.dropout:
            torch.manual_seed(_seed(options.seed, trial, step))
        moved = None if windows.acceleration is None or carried else windows.acceleration[drawn.chosen]
        given = families.inputs(self.config, scaling, drawn.rssi, moved)
        logits, hidden = distil.with_hidden(model, [torch.from_numpy(part).to(self.device) for part in given])
        if (options.loss == "last" and not carried) or not self.config.per_step:
            rooms[:, :-1] = -1
        loss = self.loss(model, logits, rooms)
        if drawn.taught is not None and options.distil is not None:
            taught = torch.from_numpy(drawn.taught).to(self.device)  # [B, T, K]
            if options.loss == "last" and not carried:
                taught[:, :-1] = 0
            if self.by_features:
                projection = model.get_submodule(distil.PROJECTION)
                assert isinstance(projection, torch.nn.Linear)
                loss = distil.blend_features(options.distil, loss, projection, hidden, taught)
            else:
                weights = self.class_weights if options.class_weights else None
                loss = distil.blend(options.distil, loss, model, logits, taught, weights)
        if drawn.placed is not None:
            placed = torch.from_numpy(drawn.placed).to(self.device)  # [B, T, 3]
            if options.loss == "last" and not carried:
                placed[:, :-1] = 0
            loss = place.blend(options.positions, loss, model, hidden, placed)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise TrainingError(
                f"training diverged at step {step}", hint="Lower the rate, or try another seed."
            )
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), options.clip)
        optimiser.step()
        return value

    def loss(self, model: RoomModel, logits: Tensor, rooms: Tensor) -> Tensor:
        """Nats per annotated step: `logits` [B, T, K], or [B, 1, K] for the last step; `rooms` [B, T]."""
        rooms = rooms[:, -logits.shape[1] :]
        if model.crf is not None:
            total = model.crf.loss(logits, rooms).sum()
        else:
            total = functional.cross_entropy(
                logits.flatten(0, 1),
                rooms.flatten(),
                weight=self.class_weights,
                ignore_index=-1,
                reduction="sum",
            )
        return total / max(int((rooms >= 0).sum()), 1)

    def evaluate(
        self, model: RoomModel, optimiser: torch.optim.Optimizer, scaling: InputScaling, step: int
    ) -> None:
        """Validate, and make the moment anew: all of it at once, so that Ctrl-C never finds half of one."""
        windows = self.sets.validation
        logits = answers(model, scaling, self.options.state, windows)
        if not np.isfinite(logits).all():
            raise TrainingError(
                f"training diverged at step {step}", hint="Lower the rate, or try another seed."
            )
        self.latest = macro_f1(windows.room, logits.argmax(axis=1))
        score = {"macro_f1": self.latest, "cross_entropy": cross_entropy(logits, windows.room), "step": step}
        moment = self.standing(model, optimiser, step)
        moment.stale += 1
        if _better(score, moment.score):
            moment.score, moment.kept, moment.stale = score, _shipped(moment.weights), 0
        self.moment = moment

    def end_trial(self, candidate: Candidate) -> None:
        """Note how the trial went, and keep its weights if no trial before was better."""
        before = self.moment
        line: dict[str, Any] = {**dataclasses.asdict(candidate), **before.score}
        wins = before.best_trial < 0 or _better(before.score, before.trials[before.best_trial])
        self.moment = Moment(
            trial=before.trial + 1,
            best=before.kept if wins else before.best,
            best_trial=before.trial if wins else before.best_trial,
            trials=[*before.trials, line],
        )


def _shipped(weights: Arrays) -> Arrays:
    """The weights without the layers that only training needed."""
    extra = tuple(f"{name}." for name in (distil.PROJECTION, place.PLACE))
    return {name: value for name, value in weights.items() if not name.startswith(extra)}


def _class_weights(rooms_at: npt.NDArray[np.int16], rooms: int, share: float) -> npt.NDArray[np.float32]:
    """[K] frequency to the power of -`share`, 0 for a room that never comes; the mean step weighs 1."""
    counts = np.bincount(rooms_at[rooms_at >= 0].astype(np.int64), minlength=rooms)
    if not counts.sum():
        raise TrainingError("no training window has an annotated step")
    weights = np.where(counts > 0, (counts.sum() / np.maximum(counts, 1)) ** share, 0)
    return np.asarray(weights / ((weights * counts).sum() / counts.sum()), dtype=np.float32)


def _better(score: dict[str, Any], than: dict[str, Any]) -> bool:
    """Higher macro-F1; between equals, lower cross-entropy."""
    if not than:
        return True
    return (score["macro_f1"], -score["cross_entropy"]) > (than["macro_f1"], -than["cross_entropy"])


def _schedule(step: int, steps: int, warmup: float) -> float:
    """Share of the rate at `step`: a line up over the warm-up, then half a cosine down to 0."""
    rise = warmup * steps
    if step < rise:
        return (step + 1) / (rise + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(steps - rise, 1)))


def _groups(model: RoomModel, weight_decay: float) -> list[dict[str, Any]]:
    """Weight decay for matrices only: not for biases, norms, positions, A_log, D (as Mamba's authors do)."""
    free = ("A_log", "position", "crf.transitions")
    matrices = [p for n, p in model.named_parameters() if p.ndim > 1 and not n.endswith(free)]
    others = [p for n, p in model.named_parameters() if p.ndim < 2 or n.endswith(free)]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def _moments(model: RoomModel, optimiser: torch.optim.Optimizer) -> tuple[Arrays, Arrays]:
    """AdamW's running means of the gradient and of its square, by the weights' names: 0 where there is no
    gradient, as in a CRF's transitions where a window is a single sample.
    """
    both: tuple[Arrays, Arrays] = ({}, {})
    for name, parameter in model.named_parameters():
        for arrays, key in zip(both, ("exp_avg", "exp_avg_sq"), strict=True):
            kept = optimiser.state[parameter].get(key, torch.zeros_like(parameter))
            arrays[name] = kept.detach().cpu().numpy().copy()
    return both


def _restore(model: RoomModel, optimiser: torch.optim.Optimizer, moment: Moment, step: int) -> None:
    """Put weights and AdamW's state back as they were after `step` steps."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(moment.weights[name]))
            optimiser.state[parameter] = {
                "step": torch.tensor(float(step)),
                "exp_avg": torch.from_numpy(moment.first[name]).to(parameter.device),
                "exp_avg_sq": torch.from_numpy(moment.second[name]).to(parameter.device),
            }


def _seed(*numbers: int) -> int:
    """One number for torch from the seed, the trial and, for dropout, the step."""
    return int(np.random.SeedSequence(list(numbers)).generate_state(1)[0])


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Models this small run fastest on one thread, and sums then have one order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
