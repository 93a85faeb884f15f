"""Teachers: what each kind says, and the folder that keeps them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from learn_windows import make_sets

from tinyloc.errors import UsageError
from tinyloc.learn import teachers
from tinyloc.learn.distil import lay_out
from tinyloc.learn.options import Augmentation, Distil, TrainOptions
from tinyloc.learn.predict import predict
from tinyloc.learn.score import macro_f1
from tinyloc.learn.train import train
from tinyloc.models import families

SETS = make_sets()
SHORT = TrainOptions(
    hidden=4, state_size=4, steps=20, evaluations=2, batch=16, scaling="zscore", augmentation=Augmentation()
)
CRF = dataclasses.replace(SHORT, family="mdcsa", crf=True)


@pytest.fixture(scope="module")
def taught():
    """One checkpoint of each family, and one with a chain."""
    kinds = {name: dataclasses.replace(SHORT, family=name) for name in ("mamba", "transformer", "statnet")}
    return {name: train(SETS, options) for name, options in (kinds | {"crf": CRF}).items()}


def softmax(logits: np.ndarray) -> np.ndarray:
    return torch.from_numpy(logits).softmax(-1).numpy()


def test_networks_speak_at_every_step_they_answer(taught):
    windows = SETS.train
    for name, shape in (("mamba", (59, 8, 3)), ("transformer", (59, 3)), ("statnet", (59, 3))):
        said = teachers.targets(taught[name], windows, "soft")
        assert said.shape == shape
        assert said.dtype == np.float32
        last = said if said.ndim == 2 else said[:, -1]
        np.testing.assert_allclose(last, softmax(predict(taught[name], windows)), atol=1e-5)


def test_a_chain_speaks_in_three_ways(taught):
    teacher, windows = taught["crf"], SETS.train
    model = families.from_weights(teacher.config, teacher.weights)
    with torch.no_grad():
        logits = model(torch.from_numpy(teacher.scaling.apply(windows.rssi)))
        marginals, path = model.crf.marginals(logits).numpy(), model.crf.viterbi(logits).numpy()
    said = {kind: teachers.targets(teacher, windows, kind) for kind in ("paper", "soft", "marginals")}
    np.testing.assert_allclose(said["marginals"], marginals, atol=1e-6)
    np.testing.assert_allclose(said["soft"], logits.softmax(-1).numpy(), atol=1e-6)
    assert np.array_equal(said["paper"], np.eye(3)[path])


def test_an_ensemble_speaks_with_the_mean_of_its_members(taught):
    members = [taught["mamba"], taught["crf"]]
    one, two = (teachers.targets(member, SETS.train, "soft") for member in members)
    np.testing.assert_allclose(teachers.targets(members, SETS.train, "soft"), (one + two) / 2, atol=1e-6)
    mixed = teachers.targets([*members, taught["statnet"]], SETS.train, "soft")
    third = teachers.targets(taught["statnet"], SETS.train, "soft")
    np.testing.assert_allclose(mixed, (one[:, -1] + two[:, -1] + third) / 3, atol=1e-6)


@pytest.mark.parametrize("tau", [1.0, 2.0, 4.0])
def test_an_ensembles_softened_answer_is_the_mean_of_its_members(taught, tau):
    members = [taught["mamba"], taught["crf"]]
    options = dataclasses.replace(SHORT, distil=Distil("soft", "t", tau=tau))

    def softened(teacher):
        return lay_out(options, SETS.train, teachers.targets(teacher, SETS.train, "soft", tau))

    one, two = (softened(member) for member in members)
    np.testing.assert_allclose(softened(members), (one + two) / 2, atol=1e-4)


def test_a_carried_teacher_speaks_as_it_runs():
    teacher = train(SETS, dataclasses.replace(SHORT, state="carried", chunk_steps=40))
    said = teachers.targets(teacher, SETS.train, "soft")
    np.testing.assert_allclose(said[:, -1], softmax(predict(teacher, SETS.train)), atol=1e-5)
    np.testing.assert_array_equal(said[1:, :4], said[:-1, 4:])  # windows overlap by half


def test_a_forest_speaks_out_of_bag_of_the_windows_it_knows():
    forest = teachers.forest(SETS.train, trees=40, seed=3)
    said = forest.probabilities(SETS.train)
    np.testing.assert_allclose(said.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(said, forest.model.oob_decision_function_, atol=1e-6)
    by_heart = forest.model.predict_proba(teachers.statistics(SETS.train))
    own = np.arange(len(said)), SETS.train.room
    assert said[own].mean() < by_heart[own].mean()
    other = forest.probabilities(SETS.validation)
    assert macro_f1(SETS.validation.room, other.argmax(axis=1)) > 0.9


def test_a_forest_so_small_that_no_tree_is_left_still_speaks():
    with pytest.warns(UserWarning, match="OOB"):
        forest = teachers.forest(SETS.train, trees=1)
    np.testing.assert_allclose(forest.probabilities(SETS.train).sum(axis=1), 1, atol=1e-6)


def test_trees_give_no_chance_to_a_room_they_never_saw():
    rooms = (*SETS.train.rooms, "attic")
    windows = dataclasses.replace(SETS.train, rooms=rooms)
    for trees in (teachers.forest(windows, trees=10), teachers.boosting(windows, rounds=3)):
        said = teachers.targets(trees, windows, "soft")
        assert said.shape == (len(windows), 4)
        assert not said[:, 3].any()


def test_a_student_learns_from_anyone(taught):
    forest, boosted = teachers.forest(SETS.train, trees=30), teachers.boosting(SETS.train, rounds=5)
    pairs = [("marginals", taught["crf"]), ("soft", taught["statnet"]), ("paper", boosted)]
    for kind, teacher in [*pairs, ("soft", [taught["mamba"], forest])]:
        options = dataclasses.replace(SHORT, family="statnet", hidden=16, steps=60)
        student = teachers.distilled(SETS, options, teacher, kind, alpha=1.0)
        how = student.training["options"]["distil"]
        assert how == {"kind": kind, "teacher": teachers.digest(teacher), "tau": 1.0, "alpha": 1.0}
        assert student.training["validation_macro_f1"] > 0.6


def test_digests_tell_teachers_apart(taught):
    one, two = taught["mamba"], taught["crf"]
    other = dataclasses.replace(SETS.train, room=SETS.train.room[::-1].copy())
    everyone = [one, two, [one, two], [two, one], [one], teachers.boosting(SETS.train, rounds=3)]
    everyone += [teachers.boosting(SETS.train, rounds=4), teachers.boosting(other, rounds=3)]
    everyone += [teachers.forest(SETS.train, trees=30)]
    digests = {teachers.digest(teacher) for teacher in everyone}
    assert len(digests) == len(everyone)
    assert teachers.digest(train(SETS, SHORT)) == teachers.digest(one)


def test_a_teacher_is_trained_once(tmp_path, monkeypatch):
    calls = []

    def counted(*args, **named):
        calls.append(1)
        return train(*args, **named)

    monkeypatch.setattr(teachers, "train", counted)
    folder = tmp_path / "new"
    first = teachers.fit_or_load(folder, SETS, SHORT)
    assert first.to_bytes() == train(SETS, SHORT).to_bytes()
    assert teachers.fit_or_load(folder, SETS, SHORT).to_bytes() == first.to_bytes()
    unseen = dataclasses.replace(SETS, test=SETS.validation)  # no test window has a say
    assert teachers.fit_or_load(folder, unseen, SHORT).to_bytes() == first.to_bytes()
    assert len(calls) == 1
    (kept,) = folder.iterdir()
    whole = kept.read_bytes()
    other = train(SETS, dataclasses.replace(SHORT, seed=1)).to_bytes()
    for damaged in (whole[:-9], whole[:100] + b"x" + whole[101:], other):
        kept.write_bytes(damaged)
        assert teachers.fit_or_load(folder, SETS, SHORT).to_bytes() == first.to_bytes()
        assert kept.read_bytes() == whole
    assert len(calls) == 4


@pytest.mark.parametrize("family", ["forest", "boosting"])
def test_trees_are_grown_once(family, tmp_path, monkeypatch):
    grown, grow = [], teachers._grown
    monkeypatch.setattr(teachers, "_grown", lambda *all: grown.append(1) or grow(*all))
    folder = tmp_path / "new"
    first = teachers.grow_or_load(folder, family, SETS.train)
    plain = getattr(teachers, family)(SETS.train)
    assert len(grown) == 2
    again = teachers.grow_or_load(folder, family, SETS.train)
    assert len(grown) == 2
    for one in (first, again):
        assert teachers.digest(one) == teachers.digest(plain)
        for windows in (SETS.train, SETS.validation):  # these the kept one has to be grown for
            np.testing.assert_array_equal(one.probabilities(windows), plain.probabilities(windows))
    (kept,) = folder.iterdir()
    whole = kept.read_bytes()
    for damaged in (whole[:-9], b"x" + whole[1:], b""):
        kept.write_bytes(damaged)
        said = teachers.grow_or_load(folder, family, SETS.train).probabilities(SETS.train)
        np.testing.assert_array_equal(said, plain.probabilities(SETS.train))
        assert kept.read_bytes() == whole
    teachers.grow_or_load(folder, family, SETS.validation)
    teachers.grow_or_load(folder, family, SETS.train, seed=1)
    assert len(list(folder.iterdir())) == 3


def test_the_key_covers_data_protocol_and_options():
    rooms_at = SETS.train.rooms_at.copy()
    rooms_at[0, 0] = -1
    windows = [
        dataclasses.replace(SETS.train, rooms_at=rooms_at),
        dataclasses.replace(SETS.train, seconds_per_step=0.4),
        dataclasses.replace(SETS.train, end_time=SETS.train.end_time + 1),
    ]
    sets = [SETS, *(dataclasses.replace(SETS, train=train) for train in windows)]
    sets += [dataclasses.replace(SETS, description="another protocol")]
    keys = {teachers.cache_key(each, SHORT) for each in sets}
    keys.add(teachers.cache_key(SETS, CRF))
    assert len(keys) == 6


def test_teachers_that_cannot_teach_are_refused(taught):
    with pytest.raises(UsageError, match="at least one"):
        teachers.targets([], SETS.train, "soft")
    with pytest.raises(UsageError, match="CRF"):
        teachers.targets(taught["mamba"], SETS.train, "marginals")
    with pytest.raises(UsageError, match="CRF"):
        teachers.targets([taught["crf"], teachers.boosting(SETS.train, rounds=2)], SETS.train, "marginals")
    strangers = make_sets(points=3).train, make_sets(rooms=4).train
    for teacher in (taught["mamba"], teachers.boosting(SETS.train, rounds=2)):
        for other in strangers:
            with pytest.raises(UsageError, match="other rooms or access points"):
                teachers.targets(teacher, other, "soft")


def test_access_points_beyond_a_teachers_own_are_not_heard_by_it(taught):
    wide = make_sets(points=5).train
    own = wide.only(SETS.train.access_points)
    for teacher in (taught["mamba"], teachers.boosting(SETS.train, rounds=2)):
        said = teachers.targets(teacher, wide, "soft")
        assert np.array_equal(said, teachers.targets(teacher, own, "soft"))
