"""A forest that is taught: the teacher's rooms decide its trees, and a teacher that says no more than the
labels changes nothing.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from learn_windows import make_sets

from tinyloc.data.windows import merged
from tinyloc.errors import StoppedError, TrainingError, UsageError
from tinyloc.learn import teachers
from tinyloc.learn.distil import room_shares
from tinyloc.learn.forest import Growth, alike, arrays, candidates
from tinyloc.learn.lessons import read_lesson
from tinyloc.learn.options import Augmentation, Distil, TrainOptions, record
from tinyloc.learn.predict import predict
from tinyloc.learn.refit import refit, retrain
from tinyloc.learn.state import fingerprint
from tinyloc.learn.train import train
from tinyloc.learn.unread import unread
from tinyloc.models.config import ForestConfig
from tinyloc.models.forest import features
from tinyloc.pipeline import stages
from tinyloc.pipeline.folder import RunFolder

SETS = make_sets()
ROOMS = len(SETS.train.rooms)
OPTIONS = TrainOptions(family="forest", trees=6, leaves=8)
PAPER, SOFT = Distil("paper", "x", alpha=1.0), Distil("soft", "x", 2.0, 0.9)
RIGHT = np.eye(ROOMS, dtype=np.float32)[SETS.train.room]
LESSON = read_lesson(["statnet H6"], "soft", 2.0, 0.9)


def taught(how: Distil) -> TrainOptions:
    return dataclasses.replace(OPTIONS, distil=how)


def as_bytes(trees: dict[str, np.ndarray]) -> dict[str, bytes]:
    return {name: one.tobytes() for name, one in trees.items()}


@pytest.mark.parametrize("way", [way for way in candidates(False) if not way.balanced])
def test_shares_that_are_one_room_grow_the_trees_of_the_rooms(way: Growth) -> None:
    """Two implementations in scikit-learn: Gini's impurity of rooms, squared error of shares."""
    x, shape = features(SETS.train.rssi), ForestConfig(4, ROOMS, 1, 16)
    same = [
        as_bytes(arrays(way.grow(x, SETS.train.room, shape, seed)))
        == as_bytes(arrays(way.grow_taught(x, RIGHT.astype(np.float64), shape, seed)))
        for seed in range(20)
    ]
    assert sum(same) >= 18, "two splits may be equally good, and rounding choose"


def test_rooms_that_count_alike_do_so_among_shares_too() -> None:
    """16, 16, 32 and 64 windows: their weights 2, 2, 1 and 1/2 are exact in binary."""
    room = np.repeat([0, 1, 2, 3], [16, 16, 32, 64])
    x = (room[:, None] * 5 + np.random.default_rng(5).integers(-9, 9, (128, 12))).astype(np.int16)
    way, shape = Growth("extra", 1, "sqrt", balanced=True), ForestConfig(2, 4, 8, 16)
    shares = np.eye(4)[room]
    assert as_bytes(arrays(way.grow(x, room, shape, 3))) == as_bytes(
        arrays(way.grow_taught(x, shares, shape, 3))
    )
    evenly = dataclasses.replace(way, balanced=False)
    assert as_bytes(arrays(evenly.grow_taught(x, shares, shape, 3))) != as_bytes(
        arrays(way.grow_taught(x, shares, shape, 3))
    )
    drawn, evenly = dataclasses.replace(way, kind="random"), dataclasses.replace(evenly, kind="random")
    assert as_bytes(arrays(drawn.grow_taught(x, shares, shape, 3))) != as_bytes(
        arrays(evenly.grow_taught(x, shares, shape, 3))
    ), "with replacement too"


def test_rooms_weigh_alike_but_for_one_that_is_hardly_spoken_of() -> None:
    room = np.repeat([0, 1, 2], [10, 30, 80])
    never = np.eye(4)[room]
    weighs = alike(never)
    assert [weighs[room == k].sum() for k in range(3)] == pytest.approx([30, 30, 30])
    hardly = never.copy()
    hardly[::7] = 0.999999 * never[::7] + 0.000001 * np.eye(4)[3]
    np.testing.assert_allclose(alike(hardly), weighs, atol=1e-3)


def test_it_follows_its_teacher_and_not_the_labels() -> None:
    turned = RIGHT[:, [1, 2, 0]]
    model = train(SETS, taught(PAPER), targets=turned)
    said = predict(model, SETS.test).argmax(axis=1)
    assert (said == (SETS.test.room + 2) % 3).mean() > 0.8
    half = train(SETS, taught(Distil("paper", "x", alpha=0.2)), targets=turned)
    assert (predict(half, SETS.test).argmax(axis=1) == SETS.test.room).mean() > 0.8, "labels outweigh it"


def test_of_a_teacher_at_every_step_the_last_one_counts() -> None:
    random = np.random.default_rng(1)
    steps = random.dirichlet(np.ones(ROOMS), SETS.train.rooms_at.shape).astype(np.float32)
    whole = train(SETS, taught(SOFT), targets=steps)
    assert whole.to_bytes() == train(SETS, taught(SOFT), targets=steps[:, -1]).to_bytes()
    other = train(SETS, taught(SOFT), targets=steps[:, 0])
    assert as_bytes(other.weights) != as_bytes(whole.weights)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.25, 8), st.floats(0.01, 1))
def test_shares_are_shares(seed: int, tau: float, alpha: float) -> None:
    """At least 0, 1 in sum; what the module's equation says, told by logarithms."""
    p = np.random.default_rng(seed).dirichlet(np.ones(ROOMS), len(SETS.train)).astype(np.float32)
    found = room_shares(taught(Distil("soft", "x", tau, alpha)), SETS.train, p)
    assert found is not None
    with np.errstate(divide="ignore"):
        logits = np.log(p.astype(np.float64)) / tau
    soft = np.exp(logits - logits.max(axis=1, keepdims=True))
    soft /= soft.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found, (1 - alpha) * RIGHT + alpha * soft, atol=1e-6)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert (found >= 0).all()


def test_what_it_was_taught_is_in_its_file_and_decides_it() -> None:
    random = np.random.default_rng(2)
    said = random.dirichlet(np.ones(ROOMS), len(SETS.train)).astype(np.float32)
    model = train(SETS, taught(SOFT), targets=said)
    assert model.to_bytes() == train(SETS, taught(SOFT), targets=said).to_bytes()
    assert model.training["options"]["distil"] == {"kind": "soft", "teacher": "x", "tau": 2.0, "alpha": 0.9}
    assert "distil" not in record(OPTIONS)
    marks = {
        fingerprint(SETS, OPTIONS),
        fingerprint(SETS, taught(SOFT), said),
        fingerprint(SETS, taught(PAPER), said),
        fingerprint(SETS, taught(SOFT), said[::-1]),
    }
    assert len(marks) == 4


def test_a_refit_learns_from_a_teacher_of_both() -> None:
    chosen = train(SETS, taught(SOFT), targets=RIGHT)
    both = merged(SETS)
    said = np.eye(ROOMS, dtype=np.float32)[both.train.room]
    again = refit(SETS, taught(SOFT), chosen, targets=said)
    assert again.to_bytes() == retrain(both, taught(SOFT), chosen, targets=said).to_bytes()
    assert again.training["validation_macro_f1"] == chosen.training["validation_macro_f1"]
    assert as_bytes(again.weights) != as_bytes(chosen.weights)


def test_targets_that_do_not_fit_are_refused() -> None:
    for options, said, words in (
        (OPTIONS, RIGHT, "go together"),
        (taught(SOFT), None, "go together"),
        (taught(SOFT), RIGHT[1:], "do not belong"),
        (taught(SOFT), 2 * RIGHT, "must be probabilities"),
    ):
        with pytest.raises(UsageError, match=words):
            train(SETS, options, targets=said)
    chosen = train(SETS, OPTIONS)
    with pytest.raises(UsageError, match="go together"):
        refit(SETS, OPTIONS, chosen, targets=RIGHT)
    with pytest.raises(UsageError, match="no network in floating point: it has no features"):
        taught(Distil("features", "x"))


@pytest.mark.parametrize("names", [["statnet H6"], ["forest"], ["boosting"], ["mamba H4L1", "forest"]])
@pytest.mark.parametrize(("kind", "tau"), [("paper", 1.0), ("soft", 2.0)])
def test_any_teacher_teaches_it(names: list[str], kind: str, tau: float, tmp_path: Path) -> None:
    lesson = read_lesson(names, kind, tau)
    options = dataclasses.replace(OPTIONS, steps=20, scaling="minmax", augmentation=Augmentation())
    folder = RunFolder(tmp_path)
    model, taken = stages.train(folder, SETS, options, lesson=lesson)
    assert not taken
    assert model.training["options"]["distil"]["kind"] == kind
    assert as_bytes(model.weights) != as_bytes(train(SETS, options).weights)
    assert stages.train(folder, SETS, options, lesson=lesson)[1]
    plain, taken = stages.train(folder, SETS, options)
    assert not taken
    assert plain.to_bytes() == train(SETS, options).to_bytes()


def test_it_is_the_same_by_either_way() -> None:
    teacher = teachers.forest(SETS.train, trees=30)
    found = teachers.distilled(SETS, OPTIONS, teacher, "soft", tau=2.0, alpha=0.9)
    about = Distil("soft", teachers.digest(teacher), 2.0, 0.9)
    said = teachers.targets(teacher, SETS.train, "soft", 2.0)
    assert found.to_bytes() == train(SETS, taught(about), targets=said).to_bytes()


def test_its_teacher_is_trained_alike_whatever_the_forest() -> None:
    (teacher,) = LESSON.teachers
    asked = dataclasses.replace(OPTIONS, trees=9, leaves=33)
    assert teacher.options(asked) == teacher.options(OPTIONS)
    assert (teacher.options(asked).family, teacher.options(asked).hidden) == ("statnet", 6)


def test_what_its_teachers_read_may_be_asked() -> None:
    asked = dataclasses.replace(OPTIONS, rate=0.1, scaling="zscore", hidden=16, heads=4)
    assert set(unread(asked)) == {"hidden", "heads", "rate", "scaling"}
    assert set(unread(asked, ["mamba"])) == {"hidden", "heads"}, "a teacher has a shape of its own"


def test_marginals_need_a_chain_that_trees_do_not_have(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="marginals are those of a CRF"):
        stages.train(RunFolder(tmp_path), SETS, OPTIONS, lesson=read_lesson(["mamba H4L1"], "marginals"))
    assert not (tmp_path / "teachers").exists(), "before anybody is trained"
    about = read_lesson(["mamba H4L1"], "marginals")
    for options, able in ((OPTIONS, False), (TrainOptions(), True)):
        with pytest.raises(UsageError) as caught:
            about.asked_of(options)
        assert ("give it a CRF" in str(caught.value.hint)) is able


def test_a_fold_is_taught_by_teachers_of_the_fold() -> None:
    """Taught as validation chose it, by a teacher that was: what a study's cross-validation asks for."""
    (one,) = LESSON.teachers
    options = dataclasses.replace(OPTIONS, steps=20, scaling="minmax", augmentation=Augmentation())
    network = train(SETS, one.options(options))
    chosen = teachers.distilled(SETS, options, network, "soft", tau=2.0)
    fold = dataclasses.replace(SETS, train=SETS.validation, validation=SETS.train)
    again = retrain(fold, one.options(options), network)
    found = teachers.distilled(fold, options, again, "soft", tau=2.0, chosen=chosen)
    about = Distil("soft", teachers.digest(again), 2.0, 0.9)
    said = teachers.targets(again, fold.train, "soft", 2.0)
    by_hand = retrain(fold, dataclasses.replace(options, distil=about), chosen, targets=said)
    assert as_bytes(found.weights) == as_bytes(by_hand.weights)


def test_ctrl_c_in_a_refit_says_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = dataclasses.replace(OPTIONS, refit=True)
    whole, _ = stages.train(RunFolder(tmp_path / "whole"), SETS, options, lesson=read_lesson(["forest"]))
    folder = RunFolder(tmp_path / "stopped")
    with monkeypatch.context() as patched:
        patched.setattr("tinyloc.learn.forest.regrow", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(StoppedError, match=r"where training stood is kept in .*training\.chosen"):
            stages.train(folder, SETS, options, lesson=read_lesson(["forest"]))
    again, taken = stages.train(folder, SETS, options, lesson=read_lesson(["forest"]))
    assert not taken
    assert again.to_bytes() == whole.to_bytes()


def test_a_teacher_that_says_one_room_of_everything_is_named() -> None:
    one = np.eye(ROOMS, dtype=np.float32)[np.zeros(len(SETS.train), np.int64)]
    with pytest.raises(TrainingError, match="its teacher hardly tells one room from another") as caught:
        train(SETS, taught(PAPER), targets=one)
    assert "lower its share" in str(caught.value)
    deaf = dataclasses.replace(SETS.train, rssi=np.full_like(SETS.train.rssi, -128))
    with pytest.raises(TrainingError, match="no signal in the training windows"):
        train(dataclasses.replace(SETS, train=deaf), taught(PAPER), targets=RIGHT)
    followed = train(SETS, taught(Distil("paper", "x", alpha=0.1)), targets=one)
    assert len(followed.weights["feature"]), "where labels count for more, they grow trees"
