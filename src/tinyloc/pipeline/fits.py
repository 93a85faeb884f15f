"""Does it fit, asked before training: a model of the same shape with random weights is built and linked.

Flash, static RAM and instructions depend on a model's shape alone, so nothing has to be trained to know.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinyloc import emit as emission
from tinyloc.data.windows import WindowSets
from tinyloc.device.boards import Board, find_board
from tinyloc.device.tiers import Tier
from tinyloc.errors import BudgetError, UsageError
from tinyloc.judge.budget import Candidate, Fit, kilobytes, over_budget, what_fits
from tinyloc.learn.options import TrainOptions, is_sparse, model_config, read
from tinyloc.models import ensemble, forest
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.models.config import Config, EnsembleConfig, ForestConfig, reads_motion, reads_statistics
from tinyloc.models.scaling import InputScaling
from tinyloc.quant.decision import hop_steps
from tinyloc.quant.follow import following
from tinyloc.quant.graph import Graph
from tinyloc.quant.lower import Precision, lower
from tinyloc.quant.packing import WeightBits
from tinyloc.quant.replay import replay, samples_of

SMALLER = (32, 24, 16, 12, 8, 6, 4, 3, 2, 1)
"""Widths H that are proposed instead, with one layer."""
SMALLER_FORESTS = ((50, 64), (20, 128), (20, 64), (10, 64), (10, 32), (10, 16), (5, 16), (5, 8), (3, 4))
"""Forests, trees by leaves, that are proposed instead."""
DEFAULT_BOARD = find_board("cortex-m4")
WINDOWS = 2
"""Windows that are run to measure the stack."""


@dataclass(frozen=True)
class Limits:
    """A board, and the flash and RAM in bytes that the model may use of it."""

    board: Board
    ram_bytes: int
    flash_bytes: int


def random_model(config: Config, sets: WindowSets, seed: int = 0) -> Checkpoint:
    """A checkpoint of that shape for those windows, with small random weights, or random trees."""
    train, rng = sets.train, np.random.default_rng(seed)
    if isinstance(config, EnsembleConfig):
        members = [random_model(one, sets, seed + i) for i, one in enumerate(config.members)]
        shares = np.ones(len(members), np.float32)
        return ensemble.joined(members, shares, InputScaling.fit("minmax", train), {})
    if isinstance(config, ForestConfig):
        weights = forest.full(config, train.steps, seed)
    else:
        weights = {
            name: rng.normal(0, shape[-1] ** -0.5, shape).astype(np.float32)
            if name != "gain"
            else np.ones(shape, np.float32)
            for name, shape in config.weight_shapes().items()
        }
    return Checkpoint(
        config,
        InputScaling.fit(
            "power" if is_sparse(train) else "minmax", train, statistics=reads_statistics(config)
        ),
        weights,
        train.rooms,
        train.access_points,
        train.rssi.shape[1],
        train.seconds_per_step,
        "reset",
    )


def measure(
    config: Config,
    sets: WindowSets,
    precision: Precision,
    tiers: Sequence[Tier],
    weight_bits: WeightBits = 8,
    board: Board = DEFAULT_BOARD,
    *,
    follow: bool = False,
) -> Candidate:
    """Flash and RAM with stack of a model of that shape, built and run on `board` with all room there is;
    `follow`: of one that follows its receivers.

    Compilers differ, and the stack most: of all `tiers` the largest counts, as every one has to fit. Raises
    BudgetError where it is more than is emulated for the board's core (AVR: the chip itself).
    """
    heard = samples_of(sets.train.rows(slice(16)), reads_motion(config))
    graph = lower(random_model(config, sets), heard, precision, weight_bits)
    if follow:
        graph = following(graph, sets.train, hop_steps(sets.validation))
    flash, ram = [], []
    with tempfile.TemporaryDirectory(prefix="tinyloc-") as name:
        folder = Path(name)
        emission.emit(graph, folder / "c")
        for tier in tiers:
            firmware = tier.build(folder / "c", board.roomy, folder / tier.name)
            done = tier.run(firmware, _some(graph, sets), count_records=1)
            flash.append(firmware.flash_bytes)
            ram.append(firmware.static_ram_bytes + done.stack_bytes)
    return Candidate(_name(config), max(flash), max(ram))


def preflight(
    sets: WindowSets,
    options: TrainOptions,
    precision: Precision,
    limits: Limits,
    tiers: Sequence[Tier],
    weight_bits: WeightBits = 8,
    *,
    follow: bool = False,
) -> None:
    """Raise BudgetError, with what would fit instead, before a minute is spent on training.

    Raises UsageError for what could be trained but has no integer form.
    """
    if options.crf and options.state == "carried":
        raise UsageError(
            "a CRF decides over a whole window, so a device cannot carry the state past its end",
            hint="Train with --state reset, or without crf=true.",
        )
    sets = sets.only(read(options, sets.train))
    config = model_config(options, sets.train)

    def proposed() -> list[Candidate]:
        return smaller(config, sets, precision, tiers, limits, weight_bits, follow=follow)

    shapes = config.members if isinstance(config, EnsembleConfig) else (config,)
    weights = sum(math.prod(size) for one in shapes for size in one.weight_shapes().values())
    least = weights * weight_bits // 8
    if least > limits.flash_bytes:  # nothing has to be built to know
        over, each = kilobytes(least - limits.flash_bytes), "half a byte" if weight_bits == 4 else "a byte"
        raise BudgetError(
            f"{config.family} {config.name} does not fit: its {weights:,} weights, {each} each, are "
            f"{over} more than the {kilobytes(limits.flash_bytes)} of flash allowed",
            hint=hint(proposed(), limits),
        )
    try:
        needs = measure(config, sets, precision, tiers, weight_bits, limits.board, follow=follow)
    except BudgetError as error:
        raise BudgetError(error.message, hint=hint(proposed(), limits)) from None
    fit = Fit(needs.flash_bytes, needs.ram_bytes, limits.flash_bytes, limits.ram_bytes)
    if not fit.fits:
        raise over_budget(fit, proposed(), what=f"{config.family} {config.name}")


def smaller(
    config: Config,
    sets: WindowSets,
    precision: Precision,
    tiers: Sequence[Tier],
    limits: Limits,
    weight_bits: WeightBits = 8,
    *,
    follow: bool = False,
) -> list[Candidate]:
    """Smaller shapes of the same family and what they need, largest first, until two of them fit."""
    found: list[Candidate] = []
    for one in _smaller_shapes(config):
        with contextlib.suppress(BudgetError):  # more than the core's largest chip has
            found.append(measure(one, sets, precision, tiers, weight_bits, limits.board, follow=follow))
        if len(what_fits(found, **_budgets(limits))) == 2:
            break
    return found


def _smaller_shapes(config: Config) -> Iterator[Config]:
    if isinstance(config, EnsembleConfig):
        for many in range(len(config.members) - 1, 1, -1):
            yield dataclasses.replace(config, members=config.members[:many], scalings=config.scalings[:many])
        return
    if isinstance(config, ForestConfig):
        for trees, leaves in SMALLER_FORESTS:
            if trees * leaves < config.trees * config.leaves:
                yield ForestConfig(config.access_points, config.rooms, trees, leaves)
        return
    # what follows from the width is left to follow from the new one
    fields = {"layers": 1, "rank": 0, "feedforward": 0}
    known = {field.name for field in dataclasses.fields(config)}
    reset = {name: value for name, value in fields.items() if name in known}
    for hidden in SMALLER:
        if hidden >= config.hidden and config.layers == 1:
            continue
        with contextlib.suppress(UsageError):  # a width that this family cannot have
            yield dataclasses.replace(config, hidden=hidden, **reset)  # type: ignore[arg-type]


def hint(candidates: Sequence[Candidate], limits: Limits) -> str:
    """What an error of the budget says would fit."""
    return over_budget(Fit(0, 0, limits.flash_bytes, limits.ram_bytes), candidates).hint


def _budgets(limits: Limits) -> dict[str, int]:
    return {"flash_budget_bytes": limits.flash_bytes, "ram_budget_bytes": limits.ram_bytes}


def _name(config: Config) -> str:
    if isinstance(config, ForestConfig):
        return f"{config.name} (--trees {config.trees} --leaves {config.leaves})"
    if isinstance(config, EnsembleConfig):
        return f'{config.name} (--members "{config.name}")'
    return f"{config.name} (--hidden {config.hidden} --layers {config.layers})"


def _some(graph: Graph, sets: WindowSets) -> bytes:
    return replay(sets.train.rows(slice(WINDOWS)), "reset", graph.motion).records()
