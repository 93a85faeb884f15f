from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from learn_windows import make_sets

from tinyloc.data.windows import merged
from tinyloc.errors import UsageError
from tinyloc.learn import teachers
from tinyloc.learn.lessons import TEACHER_SEED, Teacher, read_lesson, read_teacher, teach
from tinyloc.learn.options import Augmentation, TrainOptions
from tinyloc.learn.refit import refit
from tinyloc.learn.teachers import distilled
from tinyloc.learn.train import train

SETS = make_sets()
STUDENT = TrainOptions(
    hidden=4,
    state_size=4,
    steps=20,
    evaluations=2,
    batch=16,
    seed=3,
    scaling="minmax",
    augmentation=Augmentation(0.2, 0.2),
)
SOFT = read_lesson(["mamba H6L1", "forest"], "soft", tau=2.0, alpha=0.5)


@pytest.mark.parametrize("words", ["forest", "boosting", "mamba H64L1", "mdcsa H8L3"])
def test_teachers_are_read_from_words(words: str):
    found = read_teacher(words)
    assert found is not None
    assert str(dataclasses.replace(SOFT, teachers=(found,))) == f"{words} (soft)"


@pytest.mark.parametrize("words", ["", "owl", "forest 10x64", "mamba", "mamba H0L1", "mamba H8L1 ", "H8L1"])
def test_other_words_name_no_teacher(words: str):
    assert read_teacher(words) is None


@pytest.mark.parametrize(
    ("names", "how", "complaint"),
    [
        (["owl"], {}, "--teacher owl: expected a family and a size"),
        (["forest", "forest"], {}, "--teacher forest: expected each teacher only once"),
        (["forest"], {"kind": "loud"}, "--teaching loud: expected one of paper, soft"),
        (["forest"], {"kind": "features"}, "--teaching features: expected networks"),
        (["mamba H8", "boosting"], {"kind": "marginals"}, "--teaching marginals: expected networks"),
        (["forest"], {"tau": 2.0}, "has no temperature"),
        (["forest"], {"kind": "soft", "tau": 0.0}, "tau above 0"),
        (["forest"], {"alpha": 1.5}, "alpha above 0 and at most 1"),
    ],
)
def test_a_lesson_that_cannot_be_given_is_refused(names, how, complaint):
    with pytest.raises(UsageError, match=complaint):
        read_lesson(names, **how)


def test_a_teacher_is_trained_as_its_student_but_for_the_shape():
    found = Teacher("mdcsa", 16, 1).options(STUDENT)
    assert found == dataclasses.replace(STUDENT, family="mdcsa", hidden=16, seed=TEACHER_SEED)


def test_what_is_taught_equals_distillation_by_the_same_teachers(tmp_path: Path):
    taught = teach(SOFT, SETS, STUDENT, tmp_path)
    student = train(SETS, taught.options, targets=taught.targets)
    network = train(SETS, SOFT.teachers[0].options(STUDENT))
    members = [network, teachers.forest(SETS.train, seed=TEACHER_SEED)]
    alone = distilled(SETS, STUDENT, members, "soft", tau=2.0, alpha=0.5)
    assert student.to_bytes() == alone.to_bytes()
    assert taught.refit_targets is None


def test_refitted_students_have_refitted_teachers_and_both_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    lesson = read_lesson(["mamba H6L1"])
    options = dataclasses.replace(STUDENT, refit=True)
    taught = teach(lesson, SETS, options, tmp_path)
    own = lesson.teachers[0].options(options)
    network = refit(SETS, own, train(SETS, own))
    assert taught.refit_targets is not None
    np.testing.assert_array_equal(
        taught.refit_targets, teachers.targets(network, merged(SETS).train, "paper")
    )

    def never(*_: object, **__: object) -> None:
        raise AssertionError("a teacher that is kept was trained again")

    monkeypatch.setattr(teachers, "train", never)
    monkeypatch.setattr(teachers, "refit", never)
    again = teach(lesson, SETS, options, tmp_path)
    assert (again.options, again.refit_options) == (taught.options, taught.refit_options)
    np.testing.assert_array_equal(again.refit_targets, taught.refit_targets)


def test_a_teacher_that_was_stopped_goes_on(tmp_path: Path):
    """Ctrl-C in the middle: what is trained after it equals what is trained in one go."""
    lesson, told = read_lesson(["mamba H6L1"]), []

    def stop(progress: object) -> None:
        told.append(progress)
        if len(told) == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        teach(lesson, SETS, STUDENT, tmp_path, stop)
    assert [path.suffix for path in tmp_path.iterdir()] == [".state"]
    resumed = teach(lesson, SETS, STUDENT, tmp_path, told.append)
    assert len(told) == 2  # of two evaluations the first was done before
    whole = teach(lesson, SETS, STUDENT, tmp_path / "other")
    assert resumed.options == whole.options
    assert [path.suffix for path in tmp_path.iterdir() if path.is_file()] == [".safetensors"]


def test_a_damaged_state_of_a_teacher_starts_anew(tmp_path: Path):
    lesson = read_lesson(["mamba H6L1"])
    key = teachers.cache_key(SETS, lesson.teachers[0].options(STUDENT))
    (tmp_path / f"teacher-{key}.state").write_bytes(b"cut")
    assert teach(lesson, SETS, STUDENT, tmp_path).options == teach(lesson, SETS, STUDENT, tmp_path).options
