"""What a study works off: its cells, put together into tasks.

A `Task` is what shares one training: a model of one seed on one data set with all its compressions, or one
baseline.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from tinyloc.device.boards import find_board
from tinyloc.device.tiers import available_tiers, find_tier
from tinyloc.learn.options import facts as train_facts
from tinyloc.learn.options import trees_learn
from tinyloc.quant.lower import Precision
from tinyloc.study.entries import Model
from tinyloc.study.rows import BASELINE, Row

Adds = Literal["folds", "drift", "selection"]


@dataclass(frozen=True)
class Cell:
    """One row to be: its digest names its file. `before`: the same row without what this cell adds to it,
    "folds", a cross-validation, "drift", validation under drift, or "selection", the recordings that select;
    None where it adds nothing.
    """

    digest: str
    row: Row
    before: Cell | None = None
    adds: Adds = "folds"


@dataclass(frozen=True)
class Task:
    """Cells that share one training; none at all: the model's teacher alone. `model` is None for the baseline
    called `baseline`. `folds`: the windows of a cross-validation's folds, for cells that want one;
    `drift` the dB for cells that want validation under drift; `selection` the windows of the recordings that
    select, for cells that want those.
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
    drift: float = 0.0
    selection: Path | None = None

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


TAUGHT: Final = ("teaching", "tau", "alpha", "qat_steps")


def model_facts(model: Model) -> dict[str, Any]:
    """What decides a model, but for which sets and compressions it is asked for.

    One teacher stands as it did before there were ensembles, so that no name of a finished cell changes; an
    ensemble whose trees are taught is another one than it was when they were not.
    """
    facts = {**dataclasses.asdict(model), "train": train_facts(model.train)}
    teachers = [dataclasses.astuple(teacher) for teacher in model.teachers]
    teacher = teachers if len(teachers) > 1 else next(iter(teachers), None)
    about = {name: facts[name] for name in ("family", "hidden", "layers", "train", *TAUGHT)}
    if model.teachers and trees_learn(model.train.members, model.teaching):
        about["trees"] = "taught"
    return {"teacher": teacher} | about
