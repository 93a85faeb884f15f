"""Quantisation-aware training on the integer graph itself.

Forward, every operator is the very integer operator that the device will run: the current arrays are lowered
with fixed ranges, `Reference.apply` runs on integers, and what torch sees is those integers times their
tensor's scale. So the scores that train are the reference's, by construction (training for integer-arithmetic
inference: arXiv 1712.05877, there with rounding that only stands for the device's). Backward, rounding counts
as the identity (the straight-through estimator, arXiv 1308.3432): each operator passes on the gradient of its
floating-point form at the integers' own values, and none where the integers stand at their limit.

    ranges = calibrate(float_graph_of(checkpoint), sets.train.rssi)
    floats = fine_tune(checkpoint, sets, QatOptions(precision="int8"), ranges=ranges)
    graph = lower_floats(floats, ranges, "int8", checkpoint)
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from tinyloc.data.windows import Windows, WindowSets
from tinyloc.errors import QuantisationError, TrainingError, UsageError
from tinyloc.learn.augment import augment
from tinyloc.learn.options import Augmentation, spread
from tinyloc.learn.score import cross_entropy, macro_f1
from tinyloc.learn.streams import chunks
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.models.config import is_network, no_network, reads_motion
from tinyloc.models.running import running_statistics
from tinyloc.quant import lower_step, lower_window  # noqa: F401  (they register the operators)
from tinyloc.quant.arithmetic import Ints
from tinyloc.quant.calibrate import Ranges, calibrate
from tinyloc.quant.float_graph import Float, FloatGraph, FloatOperator, FloatScan
from tinyloc.quant.graph import Collect, DepthwiseConv, Graph, Operator, Running, Scan
from tinyloc.quant.graph import Tensor as Typed
from tinyloc.quant.lower import Lowering, Precision, float_graph_of
from tinyloc.quant.packing import WeightBits
from tinyloc.quant.reference import Reference
from tinyloc.quant.replay import replay, samples_of
from tinyloc.quant.torch_graph import Tensors, TorchGraph, scan, torch_apply


@dataclass(frozen=True)
class QatOptions:
    """How to fine-tune.

    `steps` updates of `batch` windows each by Adam, at `rate` times each array's own size, along a cosine to
    0. `evaluations`: how often the integer model is validated on the way. `precision` and `weight_bits` of
    the integer graph. `augmentation` of training windows (None: the one that the checkpoint was trained
    with). `chunk_steps` of a stretch that a model with its state "carried" trains on.
    """

    steps: int = 200
    rate: float = 3e-3
    batch: int = 32
    seed: int = 0
    evaluations: int = 10
    precision: Precision = "int16"
    weight_bits: WeightBits = 8
    augmentation: Augmentation | None = None
    chunk_steps: int = 200

    def __post_init__(self) -> None:
        least = {"steps": 1, "batch": 1, "evaluations": 1, "chunk_steps": 1, "seed": 0}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise UsageError(
                    f"quantisation-aware training needs {name.replace('_', ' ')} of at least {bound}"
                )
        if not 0 < self.rate < np.inf:
            raise UsageError("quantisation-aware training needs a rate above 0")
        if self.precision not in ("int16", "int8"):
            raise UsageError(f"precision {self.precision!r} is none of int16, int8")
        if self.weight_bits not in (8, 4):
            raise UsageError(f"weights of {self.weight_bits} bits: expected 8 or 4")


@dataclass(frozen=True)
class QatProgress:
    """Told after every evaluation, the first at step 0: plain post-training quantisation. `loss` in nats is
    the mean since the last one (0 at step 0); `macro_f1` (0..1) on validation, `best` so far.
    """

    step: int
    steps: int
    loss: float
    macro_f1: float
    best: float


def lower_floats(
    floats: FloatGraph,
    ranges: Ranges,
    precision: Precision,
    checkpoint: Checkpoint,
    weight_bits: WeightBits = 8,
) -> Graph:
    """A float graph and its ranges as the integer graph; the checkpoint gives names and window alone."""
    return Lowering(floats, ranges, precision, weight_bits).graph(checkpoint)


def fine_tune(
    checkpoint: Checkpoint,
    sets: WindowSets,
    options: QatOptions | None = None,
    *,
    ranges: Ranges | None = None,
    progress: Callable[[QatProgress], None] | None = None,
) -> FloatGraph:
    """The float graph whose integer form is best on `sets.validation`: trained on `sets.train`, never looks
    at `sets.test`.

    Best by macro-F1 and, between equals, by cross-entropy; the start counts too, so the result is never worse
    there than plain post-training quantisation. `ranges` (of the checkpoint's own float graph, from training
    windows, or from stretches where the state is carried, if not given) stay fixed, and are those to lower
    the result with. Raises TrainingError when
    training diverges, QuantisationError where the checkpoint has no integer form, UsageError for a forest.
    """
    options = options or QatOptions()
    if not is_network(checkpoint.family):
        raise no_network(checkpoint.family, "there is nothing in it that could be trained on")
    if not len(sets.train) or not len(sets.validation):
        raise TrainingError("training needs at least one window to train on and one to validate on")
    sets, floats = sets.only(checkpoint.access_points), float_graph_of(checkpoint)
    if ranges is None:
        carried = checkpoint.state == "carried"
        motion = reads_motion(checkpoint.config)
        heard = chunks(sets.train, options.chunk_steps)[0] if carried else samples_of(sets.train, motion)
        ranges = calibrate(floats, heard)
    with _one_thread():
        return _fine_tune(checkpoint, floats, sets, options, ranges, progress)


def _fine_tune(
    checkpoint: Checkpoint,
    floats: FloatGraph,
    sets: WindowSets,
    options: QatOptions,
    ranges: Ranges,
    progress: Callable[[QatProgress], None] | None,
) -> FloatGraph:
    relower = Relowering(checkpoint, ranges, options.precision, options.weight_bits)
    score = integer_score(relower(floats), sets.validation)
    best, best_score = floats, score
    if progress:
        progress(QatProgress(0, options.steps, 0.0, score[0], score[0]))
    windows, carried = sets.train, checkpoint.state == "carried"
    rssi, rooms = chunks(windows, options.chunk_steps) if carried else (windows.rssi, windows.rooms_at)
    if not carried:
        rooms = windows.room[:, None]
    moved = samples_of(windows, True)[..., rssi.shape[2] :] if floats.motion else None
    how, deviation = options.augmentation or augmentation_of(checkpoint), spread(windows)
    model = TorchGraph(floats, fixed=structural(checkpoint), centres=ranges.mean)
    units = {name: _unit(name, model, floats, ranges) for name in model.trained}
    groups = [{"params": [leaf], "unit": units[name]} for name, leaf in model.trained.items()]
    optimiser = torch.optim.Adam(groups, lr=options.rate, betas=(0.9, 0.99))
    every, losses = max(1, options.steps // options.evaluations), list[float]()
    for step in range(options.steps):
        for group in optimiser.param_groups:
            share = 0.5 * (1 + math.cos(math.pi * step / options.steps))
            group["lr"] = options.rate * share * group["unit"]
            group["eps"] = 1e-12
        chosen = _batch(len(rssi), options.batch, options.seed, step)
        heard = augment(rssi[chosen], how, deviation, np.random.default_rng([options.seed, step, 1]))
        if moved is not None:
            heard = np.concatenate([heard, moved[chosen]], axis=2)
        try:
            scores = integer_forward(model, Reference(relower(model.floats())), heard)
        except QuantisationError as error:
            raise _diverged(step) from error
        truth = torch.from_numpy(rooms[chosen].astype(np.int64))
        scores = scores if carried else scores.reshape(len(heard), -1, scores.shape[-1])[:, -1:]
        loss = functional.cross_entropy(scores.flatten(0, 1), truth.flatten(), ignore_index=-1)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(float(loss.detach()))
        if not all(bool(torch.isfinite(leaf).all()) for leaf in model.trained.values()):
            raise _diverged(step)
        if (step + 1) % every and step + 1 < options.steps:
            continue
        now = model.floats()
        try:
            score = integer_score(relower(now), sets.validation)
        except QuantisationError as error:
            raise _diverged(step) from error
        if score > best_score:
            best, best_score = now, score
        if progress:
            mean = float(np.mean(losses))
            progress(QatProgress(step + 1, options.steps, mean, score[0], best_score[0]))
        losses = []
    return best


class Relowering:
    """Lowers one float graph after another with the same ranges; gives what `Lowering` gives, only sooner:
    where an int8 tensor is best clipped is found once.
    """

    def __init__(
        self, checkpoint: Checkpoint, ranges: Ranges, precision: Precision, weight_bits: WeightBits = 8
    ) -> None:
        self.checkpoint, self.ranges, self.precision = checkpoint, ranges, precision
        self.weight_bits = weight_bits
        self.clipped: dict[str, float] = {}

    def __call__(self, floats: FloatGraph) -> Graph:
        """The integer graph of `floats`."""
        lowering = _Lowering(floats, self.ranges, self.precision, self.clipped, self.weight_bits)
        return lowering.graph(self.checkpoint)


class _Lowering(Lowering):
    def __init__(
        self,
        floats: FloatGraph,
        ranges: Ranges,
        precision: Precision,
        clipped: dict[str, float],
        weight_bits: WeightBits,
    ) -> None:
        super().__init__(floats, ranges, precision, weight_bits)
        self.clipped = clipped

    def tensor(self, name: str, size: int, scale: float | None = None, rows: int = 1) -> Typed:
        if scale is not None or name not in self.narrow:
            return super().tensor(name, size, scale, rows)
        made = super().tensor(name, size, self.clipped.get(name), rows)
        self.clipped[name] = made.scale
        return made


class _StraightThrough(torch.autograd.Function):
    """Forward `exact`; backward to `real`, but for where `exact` stands at ±limit and `real` beyond it."""

    @staticmethod
    def forward(ctx: Any, real: Tensor, exact: Tensor, limit: float) -> Tensor:
        ctx.save_for_backward((exact.abs() < limit) | (real.abs() <= limit))
        return exact.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor, None, None]:
        (inside,) = ctx.saved_tensors
        return gradients[0] * inside, None, None


def straight_through(real: Tensor, exact: Tensor, limit: float) -> Tensor:
    """`exact` with the gradient of `real`; 0 where `exact` was cut off at ±limit."""
    result: Tensor = _StraightThrough.apply(real, exact, limit)  # type: ignore[no-untyped-call]
    return result


def integer_forward(model: TorchGraph, reference: Reference, rssi: npt.NDArray[np.int8]) -> Tensor:
    """Windows of samples (`replay.samples_of`) -> the reference's scores in real units, float64, with
    gradients for `model`.

    [W, T, K], or [W, K] from a graph that answers once a window. `reference` runs the integer form of
    `model.floats()`. Each operator runs on all steps at once; those with a state of their own step by step.
    """
    graph = reference.graph
    integers = reference.inputs(rssi)
    values: Tensors = {name: torch.from_numpy(x * graph.tensor(name).scale) for name, x in integers.items()}
    for operator, integer in zip(model.source.operators, graph.operators, strict=True):
        y = graph.tensor(integer.output)
        exact, states = _integer_apply(reference, integer, integers)
        integers[y.name] = exact
        real = _real(operator, integer, graph, model.own(operator), values, states)
        dequantised = torch.from_numpy(exact * y.scale)
        values[y.name] = straight_through(real, dequantised, y.limit * y.scale)
    return values[graph.output]


def _integer_apply(
    reference: Reference, operator: Operator, values: dict[str, Ints]
) -> tuple[Ints, Ints | None]:
    """The operator's integers for all steps at once and, of a scan, its state after each [W, T, E, N]."""
    if isinstance(operator, Collect):
        return values[operator.x], None
    if isinstance(operator, Running):
        return running_statistics(values[operator.x].astype(np.int8)).astype(np.int64), None
    if not isinstance(operator, (DepthwiseConv, Scan)):
        return reference.apply(operator, values, {}), None
    inputs = {name: values[name] for name in operator.inputs}
    windows, steps = next(iter(inputs.values())).shape[:2]
    kept = operator.state(reference.graph)
    assert kept is not None
    states = {kept.name: np.zeros((windows, kept.size), np.int64)}
    outputs, after = [], []
    for t in range(steps):
        outputs.append(reference.apply(operator, {name: x[:, t] for name, x in inputs.items()}, states))
        after.append(states[kept.name])
    if isinstance(operator, DepthwiseConv):
        return np.stack(outputs, axis=1), None
    return np.stack(outputs, axis=1), np.stack(after, axis=1).reshape(windows, steps, *operator.decay.shape)


def _real(
    operator: FloatOperator,
    integer: Operator,
    graph: Graph,
    own: Tensors,
    values: Tensors,
    states: Ints | None,
) -> Tensor:
    """The operator's floating-point form at the integers' values; a scan also goes on from their states."""
    if not (isinstance(operator, FloatScan) and isinstance(integer, Scan) and states is not None):
        return torch_apply(operator, own, values)
    # the factor that reads h is h's scale * c's scale / y's scale
    factor = integer.y_multiplier * 2.0**-integer.y_shift
    scale = factor * graph.tensor(integer.y).scale / graph.tensor(integer.c).scale
    kept = torch.from_numpy(states * scale)
    return scan(operator, own, values, lambda t, h: straight_through(h, kept[:, t], 32767 * scale))


def integer_score(graph: Graph, windows: Windows) -> tuple[float, float]:
    """(macro-F1 0..1, minus the cross-entropy in nats) of an integer graph on windows: more is better."""
    stream = replay(windows, graph.state, graph.motion)
    scores = stream.scores(Reference(graph))[stream.ends]
    logits = (scores * graph.tensor(graph.output).scale).astype(np.float32)
    return macro_f1(windows.room, scores.argmax(axis=1)), -cross_entropy(logits, windows.room)


def structural(checkpoint: Checkpoint) -> frozenset[str]:
    """Arrays that belong to the family's form and do not train: MDCSA's sinusoid, in both its places."""
    if "position" in checkpoint.weights:
        return frozenset()
    return frozenset({"position.table", "motion_position.table"})


def augmentation_of(checkpoint: Checkpoint) -> Augmentation:
    """How windows were altered in the trial that the checkpoint is from; not at all where it does not say."""
    trials = checkpoint.training.get("trials", [])
    if not trials:
        return Augmentation()
    best = max(trials, key=lambda trial: (trial["macro_f1"], -trial["cross_entropy"]))
    return Augmentation(**best["augmentation"])


def _unit(name: str, model: TorchGraph, floats: FloatGraph, ranges: Ranges) -> float:
    """How large a number of this array counts as one: its own mean square's root; what a bias is added to."""
    place, field = name.rsplit(".", 1)
    if field == "A":
        return 1.0  # held as a logarithm
    values: Float = model.trained[name].detach().numpy()
    if field == "bias":
        output = next(operator.y for operator in floats.operators if operator.name == place)
        values = ranges.magnitudes[output]
    return float(np.sqrt(np.square(values).mean())) or 1.0


def _batch(size: int, batch: int, seed: int, step: int) -> npt.NDArray[np.int64]:
    """Which windows step `step` trains on: epoch after epoch, each in its own order."""
    per_epoch = max(1, size // batch)
    epoch, part = divmod(step, per_epoch)
    return np.random.default_rng([seed, epoch, 0]).permutation(size)[part::per_epoch]


def _diverged(step: int) -> TrainingError:
    return TrainingError(
        f"quantisation-aware training diverged at step {step}", hint="Lower the rate, or try another seed."
    )


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
