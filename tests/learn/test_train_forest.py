"""Growing the small forest: what validation picks, the same bytes for the same seed, and what it refuses."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from learn_windows import make_sets

from tinyloc.errors import TrainingError, UsageError
from tinyloc.learn.forest import candidates
from tinyloc.learn.options import Distil, TrainOptions, model_config, record
from tinyloc.learn.predict import predict
from tinyloc.learn.refit import refit
from tinyloc.learn.score import macro_f1
from tinyloc.learn.state import fingerprint
from tinyloc.learn.teachers import targets
from tinyloc.learn.train import Progress, train
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.models.compress import compress
from tinyloc.models.config import ForestConfig
from tinyloc.quant.qat import fine_tune

SETS = make_sets()
OPTIONS = TrainOptions(family="forest", trees=5, leaves=8)


def test_it_learns_and_is_read_back() -> None:
    told: list[Progress] = []
    trained = train(SETS, OPTIONS, progress=told.append)
    loaded = Checkpoint.from_bytes(trained.to_bytes())
    scores = predict(loaded, SETS.test)
    assert scores.shape == (len(SETS.test), 3)
    assert (scores.sum(axis=1) == 5).all()
    assert macro_f1(SETS.test.room, scores.argmax(axis=1)) > 0.8
    found = macro_f1(SETS.validation.room, predict(loaded, SETS.validation).argmax(axis=1))
    trials = loaded.training["trials"]
    assert loaded.training["validation_macro_f1"] == found == max(trial["macro_f1"] for trial in trials)
    assert len(trials) == len(candidates(False)) == len(told)
    assert told[-1].best == found
    fewest = min(trial["nodes"] for trial in trials if trial["macro_f1"] == found)
    assert loaded.config == ForestConfig(4, 3, 5, 8, fewest)


def test_a_seed_gives_the_same_bytes_and_another_others() -> None:
    assert train(SETS, OPTIONS).to_bytes() == train(SETS, OPTIONS).to_bytes()
    other = train(SETS, dataclasses.replace(OPTIONS, seed=1))
    assert other.to_bytes() != train(SETS, OPTIONS).to_bytes()
    more = train(SETS, dataclasses.replace(OPTIONS, restarts=2))
    assert len(more.training["trials"]) == 2 * len(candidates(False))
    assert more.training["validation_macro_f1"] >= train(SETS, OPTIONS).training["validation_macro_f1"]


def test_it_is_grown_anew_with_validation_windows() -> None:
    chosen = train(SETS, OPTIONS)
    again = refit(SETS, OPTIONS, Checkpoint.from_bytes(chosen.to_bytes()))
    assert again.training["refit"] is True
    assert again.training["validation_macro_f1"] == chosen.training["validation_macro_f1"]
    assert again.training["trials"] == chosen.training["trials"]
    assert again.to_bytes() == refit(SETS, OPTIONS, chosen).to_bytes() != chosen.to_bytes()
    twice = dataclasses.replace(SETS, validation=SETS.train)
    only = train(twice, OPTIONS)
    assert macro_f1(SETS.test.room, predict(refit(twice, OPTIONS, only), SETS.test).argmax(axis=1)) > 0.8


def test_test_windows_are_never_looked_at() -> None:
    blind = dataclasses.replace(SETS, test=dataclasses.replace(SETS.test, rssi=np.zeros_like(SETS.test.rssi)))
    assert train(blind, OPTIONS).to_bytes() == train(SETS, OPTIONS).to_bytes()


def test_a_window_of_one_sample_and_a_room_that_training_does_not_have() -> None:
    single = make_sets(steps=1, hop=1)
    trained = train(single, OPTIONS)
    assert trained.weights["feature"].max() < 4
    assert macro_f1(single.test.room, predict(trained, single.test).argmax(axis=1)) > 0.8
    never = single.train.room != 1
    some = dataclasses.replace(
        single.train,
        **{
            name: getattr(single.train, name)[never]
            for name in ("rssi", "rooms_at", "room", "session", "end_time")
        },
    )
    assert 1 not in predict(train(dataclasses.replace(single, train=some), OPTIONS), single.test).argmax(
        axis=1
    )


def test_only_what_it_reads_decides_it() -> None:
    wide = dataclasses.replace(OPTIONS, hidden=64, steps=5, scaling="power")
    assert record(wide) == record(OPTIONS)
    assert fingerprint(SETS, wide) == fingerprint(SETS, OPTIONS)
    assert fingerprint(SETS, OPTIONS) != fingerprint(SETS, dataclasses.replace(OPTIONS, leaves=9))
    assert {"trees", "leaves"}.isdisjoint(record(TrainOptions()))
    assert model_config(OPTIONS, SETS.train).nodes == 5 * 7


def test_ctrl_c_leaves_nothing_behind(tmp_path) -> None:
    def press(progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(SETS, OPTIONS, interrupt_to=tmp_path / "training.state", progress=press)
    assert not list(tmp_path.iterdir())


def test_signals_that_say_nothing() -> None:
    deaf = dataclasses.replace(SETS.train, rssi=np.full_like(SETS.train.rssi, -128))
    with pytest.raises(TrainingError, match="tells one room from another"):
        train(dataclasses.replace(SETS, train=deaf), OPTIONS)


@pytest.mark.parametrize(
    "wrong",
    [
        {"crf": True},
        {"state": "carried"},
        {"accelerometer": True},
        {"trees": 0},
        {"leaves": 0},
        {"distil": Distil("features", "x", 1.0, 0.5)},
    ],
)
def test_options_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        dataclasses.replace(OPTIONS, **wrong)


def test_shapes_that_cannot_be_are_refused() -> None:
    with pytest.raises(UsageError, match="2 to 256 leaves"):
        train(SETS, dataclasses.replace(OPTIONS, leaves=300))


def test_what_only_networks_can() -> None:
    trained = train(SETS, OPTIONS)
    for ask in (
        lambda: compress("static", trained),
        lambda: compress("dynamic", trained),
        lambda: fine_tune(trained, SETS),
        lambda: targets(trained, SETS.train, "soft"),
    ):
        with pytest.raises(UsageError, match="no network in floating point"):
            ask()
