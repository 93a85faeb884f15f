"""Who teaches a student, and how: read from words, trained once, kept beside the student.

    lesson = read_lesson(["mamba H32L1", "forest"], "soft", tau=2.0)
    taught = teach(lesson, sets, options, Path("runs/flat/teachers"))
    chosen = train(sets, taught.options, targets=taught.targets)

A teacher is trained as its student is, but for the shape, and with the seed 0: one teacher for the students
of all seeds. `distil.py` has the equations.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from tinyloc.data.windows import Windows, WindowSets, merged
from tinyloc.errors import UsageError
from tinyloc.learn.members import read_size
from tinyloc.learn.options import Distil, Teaching, TrainOptions
from tinyloc.models.config import CONFIGS, ForestConfig, is_network

TREES: Final = ("forest", "boosting")
"""Teachers that are no networks."""

TEACHER_SEED: Final = 0
"""One teacher for the students of all seeds."""


@dataclass(frozen=True)
class Teacher:
    """A `family` at one size; trees (`TREES`) have none."""

    family: str
    hidden: int = 0
    layers: int = 0

    @property
    def trees(self) -> bool:
        """Whether it is no network."""
        return self.family in TREES

    def options(self, student: TrainOptions) -> TrainOptions:
        """How it is trained, where it is a network: as its student, but for the shape. Raises UsageError."""
        return dataclasses.replace(
            student,
            family=self.family,
            hidden=self.hidden,
            layers=self.layers,
            trees=ForestConfig.trees,
            leaves=ForestConfig.leaves,
            members=(),
            seed=TEACHER_SEED,
            distil=None,
        )

    def grow(self, windows: Windows, cache_dir: Path) -> Any:
        """The teacher that is trees, grown on these windows, or taken from `cache_dir` (`teachers.py`)."""
        from tinyloc.learn import teachers

        return teachers.grow_or_load(cache_dir, self.family, windows, seed=TEACHER_SEED)


def read_teacher(text: str) -> Teacher | None:
    """The teacher of words such as "mamba H64L1", "forest" or "boosting"; None where they name none."""
    family, _, size = text.partition(" ")
    if family in TREES and not size:
        return Teacher(family)
    shape = read_size(size)
    if family not in CONFIGS or not is_network(family) or shape is None:
        return None
    return Teacher(family, *shape)


def networks(teachers: Sequence[Teacher]) -> tuple[str, ...]:
    """The families of those that are trained as their student is: not of trees."""
    return tuple(one.family for one in teachers if not one.trees)


def teachers_known() -> str:
    """What `read_teacher` takes, for an error."""
    networks = ", ".join(name for name in CONFIGS if is_network(name))
    return f'a family and a size, such as "mamba H64L1" ({networks}), or forest, boosting'


@dataclass(frozen=True)
class Lesson:
    """`teachers`, one or an ensemble, and how they teach: `kind`, `tau` and `alpha` as in `Distil`."""

    teachers: tuple[Teacher, ...]
    kind: Teaching = "paper"
    tau: float = 1.0
    alpha: float = 0.9

    def __post_init__(self) -> None:
        Distil(self.kind, "", self.tau, self.alpha)  # refuses numbers out of range

    def __str__(self) -> str:
        names = (one.family + (f" H{one.hidden}L{one.layers}" if one.hidden else "") for one in self.teachers)
        return f"{', '.join(names)} ({self.kind})"

    def asked_of(self, options: TrainOptions) -> TrainOptions:
        """The options of a student, before anybody knows the teachers' digest. Raises UsageError for one that
        cannot be taught so.
        """
        asked = dataclasses.replace(options, distil=Distil(self.kind, "", self.tau, self.alpha))
        if self.kind == "marginals" and not options.crf:
            raise UsageError(
                "marginals are those of a CRF, and a network that teaches is trained as its student is: "
                "without one",
                hint="Let it be taught another way, paper or soft"
                + (", or give it a CRF (crf = true)." if CONFIGS[options.family].per_step else "."),
            )
        return asked


def read_lesson(names: Sequence[str], kind: str = "paper", tau: float = 1.0, alpha: float = 0.9) -> Lesson:
    """A lesson from words. Raises UsageError, which names the flag, for words that mean none."""
    found = []
    for name in names:
        teacher = read_teacher(name)
        if teacher is None:
            raise UsageError(f"--teacher {name}: expected {teachers_known()}")
        if teacher in found:
            raise UsageError(f"--teacher {name}: expected each teacher only once")
        found.append(teacher)
    known: tuple[Teaching, ...] = get_args(Teaching)
    ways = [way for way in known if way == kind]
    if not ways:
        raise UsageError(f"--teaching {kind}: expected one of {', '.join(known)}")
    if kind in ("marginals", "features") and any(one.trees for one in found):
        raise UsageError(f"--teaching {kind}: expected networks to teach so, not trees")
    return Lesson(tuple(found), ways[0], tau, alpha)


class Taught(NamedTuple):
    """A student's options with their `distil`, and what its teachers say of the windows it trains on: of the
    training windows, and for a refit of training and validation windows. None where nobody teaches, or
    there is no refit.
    """

    options: TrainOptions
    targets: npt.NDArray[np.float32] | None
    refit_options: TrainOptions
    refit_targets: npt.NDArray[np.float32] | None


def teach(
    lesson: Lesson,
    sets: WindowSets,
    options: TrainOptions,
    cache_dir: Path,
    progress: Callable[[Any], None] | None = None,
) -> Taught:
    """Train the teachers, or take them from `cache_dir`, and ask them. For a student that is refitted they
    are refitted too. Ctrl-C leaves where a teacher's training stood in `cache_dir`. Raises what `train` does.
    """
    from tinyloc.learn import teachers

    judged, final = list[Any](), list[Any]()
    for one in lesson.teachers:
        if one.trees:
            judged.append(one.grow(sets.train, cache_dir))
            if options.refit:
                final.append(one.grow(merged(sets).train, cache_dir))
            continue
        own = one.options(options)
        chosen = teachers.fit_or_load(cache_dir, sets, own, progress=progress)
        judged.append(chosen)
        if options.refit:
            final.append(teachers.refit_or_load(cache_dir, sets, own, chosen, progress=progress))

    def asked(members: list[Any], windows: Any) -> tuple[TrainOptions, npt.NDArray[np.float32]]:
        who = members[0] if len(members) == 1 else members
        distil = Distil(lesson.kind, teachers.digest(who), lesson.tau, lesson.alpha)
        said = teachers.targets(who, windows, lesson.kind, lesson.tau)
        return dataclasses.replace(options, distil=distil), said

    first = asked(judged, sets.train)
    if not options.refit:
        return Taught(*first, first[0], None)
    return Taught(*first, *asked(final, merged(sets).train))
