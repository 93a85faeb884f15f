from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from learn_windows import make_sets, walk

from tinyloc.data.windows import joined, merged
from tinyloc.errors import SplitError
from tinyloc.learn.members import Member
from tinyloc.learn.options import Augmentation, TrainOptions
from tinyloc.learn.refit import decided, refit, retrain
from tinyloc.learn.teachers import distilled, forest
from tinyloc.learn.train import train
from tinyloc.models import classic

SETS = make_sets()
SHORT = TrainOptions(
    hidden=4, state_size=4, steps=30, evaluations=3, batch=16, augmentation=Augmentation(0.2, 0.2)
)


def test_merged_windows_keep_their_sessions_apart():
    whole = merged(SETS).train
    assert len(whole) == len(SETS.train) + len(SETS.validation)
    assert whole.sessions == SETS.train.sessions + SETS.validation.sessions
    assert set(whole.session[: len(SETS.train)]).isdisjoint(whole.session[len(SETS.train) :])
    np.testing.assert_array_equal(whole.rssi[len(SETS.train) :], SETS.validation.rssi)
    assert merged(SETS).test is SETS.test


def test_windows_of_other_rooms_are_not_joined():
    with pytest.raises(SplitError):
        joined(SETS.train, walk(1, rooms=4))


def test_a_refit_trains_as_validation_chose_on_both_sets_and_keeps_the_score_of_the_choice():
    chosen = train(SETS, SHORT)
    again = refit(SETS, SHORT, chosen)
    options = decided(SHORT, chosen)
    assert options.scaling == chosen.scaling.kind
    assert again.scaling.kind == chosen.scaling.kind
    alone = train(merged(SETS), options)  # the same, said without `refit`
    assert all(np.array_equal(again.weights[name], alone.weights[name]) for name in alone.weights)
    assert again.training["refit"] is True
    for name in ("validation_macro_f1", "validation_cross_entropy", "trials"):
        assert again.training[name] == chosen.training[name]
    assert any(not np.array_equal(again.weights[name], chosen.weights[name]) for name in chosen.weights)


def test_what_was_chosen_before_there_was_shadowing_is_refitted_without():
    chosen = train(SETS, SHORT)
    for trial in chosen.training["trials"]:
        del trial["augmentation"]["shadowing"]
    assert decided(SHORT, chosen).augmentation == Augmentation(0.2, 0.2)


def test_a_refit_never_sees_the_test_windows():
    other = dataclasses.replace(SETS, test=walk(7))
    chosen = train(SETS, SHORT)
    first, second = refit(SETS, SHORT, chosen), refit(other, SHORT, chosen)
    assert all(np.array_equal(first.weights[name], second.weights[name]) for name in first.weights)


@pytest.mark.parametrize("family", ["mamba", "forest", "ensemble"])
def test_a_refit_is_a_retraining_on_both_sets_and_picks_nothing(family):
    members = (Member("statnet", 4), Member("forest", trees=3, leaves=4)) if family == "ensemble" else ()
    options = dataclasses.replace(SHORT, family=family, members=members, trees=3, leaves=4)
    chosen, both = train(SETS, options), merged(SETS)
    first = refit(SETS, options, chosen)
    second = retrain(dataclasses.replace(both, validation=walk(8)), options, chosen)
    for name, values in first.weights.items():
        np.testing.assert_array_equal(values, second.weights[name])
    alone = retrain(SETS, options, chosen)
    assert any(not np.array_equal(alone.weights[name], first.weights[name]) for name in first.weights)


def test_a_student_is_refitted_by_a_teacher_that_knows_both_sets():
    teacher, later = forest(SETS.train, trees=10), forest(merged(SETS).train, trees=10)
    chosen = distilled(SETS, SHORT, teacher, "soft", tau=2.0, alpha=0.5)
    again = distilled(merged(SETS), SHORT, later, "soft", tau=2.0, alpha=0.5, chosen=chosen)
    assert again.training["refit"] is True
    assert again.training["options"]["distil"]["kind"] == "soft"


def test_baselines_are_refitted_with_what_validation_chose():
    sets, whole = SETS, merged(SETS).train
    plain = classic.small_forest(sets.train, sets.validation, 2000)
    again = classic.small_forest(sets.train, sets.validation, 2000, refit=True)
    assert plain.choices == again.choices
    near = classic.nearest_neighbours(sets.train, sets.validation, refit=True)
    count = int(near.choices["k"])
    alone = classic.nearest_neighbours(whole, whole, k=(count,), kinds=(near.choices["scaling"],))
    np.testing.assert_array_equal(near.predict(sets.test), alone.predict(sets.test))
