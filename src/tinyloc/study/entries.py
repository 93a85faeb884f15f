"""What a study works off, as `grid.py` reads it: data sets, models, who teaches them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from tinyloc.learn.lessons import Lesson, Teacher
from tinyloc.learn.options import Teaching, TrainOptions
from tinyloc.quant.decision import Decision
from tinyloc.quant.lower import Precision
from tinyloc.study.baselines import BASELINES


@dataclass(frozen=True)
class Set:
    """A data set: its `name` or file, the source's `options`, and the `label` it goes by in the tables.

    `validation_drift` in dB: validation is also heard with receivers that have drifted by so much, and that
    decides; 0 for none.
    """

    name: str
    label: str
    options: tuple[tuple[str, Any], ...] = ()
    validation_drift: float = 0.0


@dataclass(frozen=True)
class Model:
    """A family at one size, how it is trained, and what is done to it. `sets` and `variant`: see above.

    `hidden` and `layers` are 0 for a forest: `train` has its trees and leaves. `teachers`: one, or the
    members of an ensemble. `follow`: what runs on the device follows receivers as they drift.
    """

    family: str
    size: str
    hidden: int
    layers: int
    compressions: tuple[str, ...]
    sets: tuple[str, ...]
    variant: str = ""
    train: TrainOptions = field(default_factory=TrainOptions)
    teachers: tuple[Teacher, ...] = ()
    teaching: Teaching = "paper"
    tau: float = 1.0
    alpha: float = 0.9
    qat_steps: int = 200
    decision: Decision = "none"
    follow: bool = False

    def options(self, seed: int) -> TrainOptions:
        """How it is trained with that seed."""
        return dataclasses.replace(self.train, seed=seed)

    @property
    def lesson(self) -> Lesson:
        """Who teaches it, and how."""
        return Lesson(self.teachers, self.teaching, self.tau, self.alpha)

    def teacher_options(self, teacher: Teacher) -> TrainOptions:
        """How one of its teachers is trained, where that is a network: as itself, but for the shape."""
        return teacher.options(self.train)


@dataclass(frozen=True)
class Grid:
    """All that a study works off. `budgets` in KB of flash and RAM together; `refit`: whether baselines learn
    from validation windows too, after they chose (as `[train]` says of the models); `cross_validation`: for
    how many of the seeds, the first ones, what runs on the device is cross-validated too; `leave_out`: what
    is left out and named where it cannot be, "sets" that are not at hand and "models" that a data set cannot
    have: else that is an error. `where` it was written.
    """

    sets: tuple[Set, ...]
    models: tuple[Model, ...]
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    budgets: tuple[int, ...] = (16, 32, 64)
    baselines: tuple[str, ...] = BASELINES
    board: str = "stm32l4"
    precision: Precision = "int16"
    tier: str = "auto"
    refit: bool = False
    cross_validation: int = 0
    leave_out: tuple[str, ...] = ()
    where: str = "the grid"
