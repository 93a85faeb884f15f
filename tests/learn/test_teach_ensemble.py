"""An ensemble that is taught: each member as it would be alone under that teacher."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from learn_windows import Interrupt, make_sets

from tinyloc.data.windows import merged
from tinyloc.errors import StoppedError, UsageError
from tinyloc.learn import teachers
from tinyloc.learn.lessons import TEACHER_SEED, Teacher, read_lesson
from tinyloc.learn.members import read_members
from tinyloc.learn.options import Augmentation, Distil, Teaching, TrainOptions
from tinyloc.learn.refit import retrain
from tinyloc.learn.teachers import digest, distilled, targets
from tinyloc.learn.train import train
from tinyloc.models import ensemble
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.pipeline import stages
from tinyloc.pipeline.folder import RunFolder
from tinyloc.study.entries import Model
from tinyloc.study.tasks import model_facts

SETS = make_sets()
SHORT = TrainOptions(
    state_size=4, steps=20, evaluations=2, batch=16, scaling="zscore", augmentation=Augmentation(0.2, 0.2)
)
MEMBERS = read_members("2 mamba H4L1 + statnet H6 + forest 4x6")
assert MEMBERS is not None
OPTIONS = dataclasses.replace(SHORT, family="ensemble", members=MEMBERS, seed=5)
LESSON = read_lesson(["mamba H6L1", "forest"], "soft", 2.0, 0.7)


def files(models: list[Checkpoint]) -> list[bytes]:
    """Several models, to the byte."""
    return [model.to_bytes() for model in models]


@pytest.fixture(scope="module")
def teacher() -> list[teachers.Teacher]:
    """A network and a forest."""
    network, _ = LESSON.teachers
    return [train(SETS, network.options(OPTIONS)), teachers.forest(SETS.train, seed=TEACHER_SEED)]


def taught_alone(teacher: list[teachers.Teacher], kind: Teaching, tau: float) -> list[Checkpoint]:
    """Each member trained by itself by that teacher."""
    said = targets(teacher, SETS.train, kind, tau)
    about = Distil(kind, digest(teacher), tau, 0.7)
    return [
        train(SETS, dataclasses.replace(own, distil=about), targets=said) for own in OPTIONS.member_options()
    ]


@pytest.mark.parametrize(("kind", "tau"), [("paper", 1.0), ("soft", 2.0)])
def test_every_member_is_what_it_would_be_alone(
    kind: Teaching, tau: float, teacher: list[teachers.Teacher]
) -> None:
    found = distilled(SETS, OPTIONS, teacher, kind, tau=tau, alpha=0.7)
    alone = taught_alone(teacher, kind, tau)
    assert files(ensemble.members(found)) == files(alone)
    plain = train(SETS, OPTIONS)
    differs = [a.to_bytes() != b.to_bytes() for a, b in zip(alone, ensemble.members(plain), strict=True)]
    assert differs == [True, True, True, True]
    assert found.training["options"]["distil"]["kind"] == kind


def test_features_teach_its_networks_alone(teacher: list[teachers.Teacher]) -> None:
    found = distilled(SETS, OPTIONS, teacher[0], "features")
    (*_, trees), (*_, own) = ensemble.members(found), OPTIONS.member_options()
    assert trees.to_bytes() == train(SETS, own).to_bytes(), "trees learn from labels alone"
    for one in ensemble.members(found)[:3]:
        assert not [name for name in one.weights if "projection" in name]
        assert one.training["options"]["distil"]["kind"] == "features"


def test_a_refit_teaches_each_anew(teacher: list[teachers.Teacher]) -> None:
    chosen = distilled(SETS, OPTIONS, teacher, "soft", tau=2.0, alpha=0.7)
    both = merged(SETS)
    final = [
        retrain(both, LESSON.teachers[0].options(OPTIONS), teacher[0]),
        teachers.forest(both.train, seed=TEACHER_SEED),
    ]  # type: ignore[arg-type]
    found = distilled(both, OPTIONS, final, "soft", tau=2.0, alpha=0.7, chosen=chosen)
    said = targets(final, both.train, "soft", 2.0)
    about = Distil("soft", digest(final), 2.0, 0.7)
    for own, member, again in zip(
        OPTIONS.member_options(), ensemble.members(chosen), ensemble.members(found), strict=True
    ):
        own = dataclasses.replace(own, distil=about)
        assert retrain(both, own, member, targets=said).to_bytes() == again.to_bytes()
    assert (found.weights["shares"] == chosen.weights["shares"]).all()


def test_each_has_a_teacher_that_it_can_learn_from() -> None:
    for about, trees_learn in ((Distil("soft", "x", 2.0, 0.5), True), (Distil("features", "x"), False)):
        own = dataclasses.replace(OPTIONS, distil=about).member_options()
        assert [one.distil for one in own] == [about, about, about, about if trees_learn else None]
    trees = read_members("2 forest 4x6")
    assert trees is not None
    with pytest.raises(UsageError, match="no member of this ensemble is a network in floating point"):
        dataclasses.replace(OPTIONS, members=trees, distil=about)


def test_targets_without_a_teacher_are_refused(teacher: list[teachers.Teacher]) -> None:
    with pytest.raises(UsageError, match="targets and the options' distil go together"):
        train(SETS, OPTIONS, targets=targets(teacher, SETS.train, "soft"))
    with pytest.raises(UsageError, match="targets and the options' distil go together"):
        train(SETS, dataclasses.replace(OPTIONS, distil=Distil("soft", "x", 2.0, 0.5)))


def test_its_teacher_is_no_ensemble_itself() -> None:
    own = Teacher("mamba", 6, 1).options(OPTIONS)
    assert own == dataclasses.replace(SHORT, family="mamba", hidden=6, layers=1, seed=0)


@pytest.mark.parametrize("again", [False, True])
def test_ctrl_c_keeps_what_was_taught(again: bool, tmp_path: Path) -> None:
    options = dataclasses.replace(OPTIONS, refit=again)
    whole, told = RunFolder(tmp_path / "whole"), list[object]()
    first, _ = stages.train(whole, SETS, options, told.append, LESSON)
    folder = RunFolder(tmp_path / "stopped")
    with pytest.raises(StoppedError, match="stopped while a teacher was trained"):
        stages.train(folder, SETS, options, Interrupt(1), LESSON)
    teaching = 2 if not again else 3  # evaluations of the teacher, one more of its refit
    with pytest.raises(StoppedError, match="members that were trained are kept in"):
        stages.train(folder, SETS, options, Interrupt(teaching + OPTIONS.evaluations), LESSON)
    left: list[object] = []
    found, taken = stages.train(folder, SETS, options, left.append, LESSON)
    assert not taken
    assert 0 < len(left) < len(told)
    assert found.to_bytes() == first.to_bytes()
    kept = {path.name for path in whole.members.glob("*.safetensors")}
    assert {path.name for path in folder.members.glob("*.safetensors")} == kept
    untaught, taken = stages.train(folder, SETS, options)
    assert not taken
    pairs = zip(files(ensemble.members(untaught)), files(ensemble.members(first)), strict=True)
    assert all(mine != theirs for mine, theirs in pairs)


def test_what_was_kept_when_trees_were_not_taught_is_not_taken() -> None:
    """Taught ensembles that hold trees were others once, by the same options: they have another mark."""
    about = Distil("soft", "x", 2.0, 0.5)
    taught = dataclasses.replace(OPTIONS, distil=about)
    assert taught.taught_trees
    assert not OPTIONS.taught_trees
    assert not dataclasses.replace(OPTIONS, distil=Distil("features", "x")).taught_trees
    assert not dataclasses.replace(taught, members=MEMBERS[:2]).taught_trees
    model = Model("ensemble", "", 0, 0, (), (), train=OPTIONS, teachers=LESSON.teachers)
    assert model_facts(model)["trees"] == "taught"
    for other in (
        {"teachers": ()},
        {"teaching": "features"},
        {"train": dataclasses.replace(OPTIONS, members=MEMBERS[:2])},
    ):
        assert "trees" not in model_facts(dataclasses.replace(model, **other))
