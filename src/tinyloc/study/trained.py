"""The models of a task: trained, taught, put together, trained anew on a fold.

Each is kept in the study's folder, and taken from there where it was made before.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tinyloc.data.windows import WindowSets, merged
from tinyloc.errors import ModelFileError
from tinyloc.learn.lessons import Teacher
from tinyloc.learn.options import facts as train_facts
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.study.compressions import part
from tinyloc.study.entries import Model
from tinyloc.study.table import StudyFolder, digest
from tinyloc.study.tasks import Task, model_facts


class Pair(NamedTuple):
    """A trained model twice: `judged` by validation, and `final`, which has learned from validation windows
    too (the same where there is no refit). Trees, as teachers, come in pairs as well.
    """

    judged: Any
    final: Any


class Trained:
    """All models that a task needs, of one entry of the grid and one seed, on `sets` and on folds of them."""

    def __init__(self, task: Task, model: Model, sets: WindowSets) -> None:
        self.task, self.model, self.sets = task, model, sets
        self.folder = StudyFolder(task.out)

    def pair(self, source: str) -> Pair:
        """The trained model, float or distilled, before and after it learned from validation windows."""
        model = self.model
        options = model.options(self.task.seed)
        if source == "float":
            return self.trained(options)
        distilled, facts = part(source), model_facts(model)
        about = {"source": source, "seed": self.task.seed, "model": facts}
        how = {"tau": model.tau, "alpha": model.alpha}

        def judged() -> Checkpoint:
            taught: Checkpoint = distilled(
                self.sets, options, self.teacher().judged, model.teaching, keep=self.keeper(), **how
            )
            return taught

        first = self.kept(about, judged)
        if not options.refit:
            return Pair(first, first)

        def final() -> Checkpoint:
            more = {"chosen": first, "keep": self.keeper({"refit": True}), **how}
            again: Checkpoint = distilled(
                merged(self.sets), options, self.teacher().final, model.teaching, **more
            )
            return again

        return Pair(first, self.kept({**about, "refit": True}, final))

    def teacher(self) -> Pair:
        """Who teaches, or all of an ensemble, as a pair of lists."""
        model = self.model
        assert model.teachers, "the grid refuses a student without a teacher"
        found = [self.member(one) for one in model.teachers]
        if len(found) == 1:
            return found[0]
        return Pair([one.judged for one in found], [one.final for one in found])

    def member(self, teacher: Teacher) -> Pair:
        """One teacher of a model's: trained, or grown, once for all that it teaches."""
        if teacher.trees:
            judged = teacher.grow(self.sets.train, self.folder.cells)
            if not self.model.train.refit:
                return Pair(judged, judged)
            return Pair(judged, teacher.grow(merged(self.sets).train, self.folder.cells))
        return self.trained(self.model.teacher_options(teacher))

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
        model = self.model
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
        model = self.model
        found = []
        for one in model.teachers:
            if one.trees:
                found.append(one.grow(fold.train, self.folder.cells))
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
        return self.folder.cells / f"{mark}.safetensors"


def _load(path: Path) -> Checkpoint | None:
    """The model in the file, or None where it is not there or not whole."""
    if not path.exists():
        return None
    try:
        return Checkpoint.load(path)
    except ModelFileError:
        return None
