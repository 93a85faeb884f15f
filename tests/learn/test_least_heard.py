"""Access points that training hardly hears: left out of the model, and picked by name from whatever comes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from learn_windows import make_sets

from tinyloc.data.windows import Windows, WindowSets
from tinyloc.errors import UsageError
from tinyloc.learn.options import Augmentation, TrainOptions, read, record
from tinyloc.learn.predict import predict
from tinyloc.learn.train import train
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.models.scaling import InputScaling
from tinyloc.quant.lower import lower
from tinyloc.quant.reference import Reference

SHORT = TrainOptions(
    family="mlp", hidden=8, steps=40, evaluations=4, batch=16, scaling="minmax", augmentation=Augmentation()
)


def with_strangers(windows: Windows, heard: float) -> Windows:
    """The windows with one access point that is never heard and one heard in that share of the samples."""
    W, T, _ = windows.rssi.shape
    never = np.full((W, T, 1), -128, np.int8)
    rare = np.where(np.random.default_rng(W).random((W, T, 1)) < heard, -80, -128).astype(np.int8)
    rssi = np.concatenate([never, windows.rssi, rare], axis=2)
    return dataclasses.replace(windows, rssi=rssi, access_points=("never", *windows.access_points, "rare"))


def sets(heard: float = 0.02) -> WindowSets:
    plain = make_sets()
    parts = {name: with_strangers(getattr(plain, name), heard) for name in ("train", "validation")}
    loud = with_strangers(plain.test, heard)
    loud.rssi[:, :, 0] = -40  # only the test hears it
    return dataclasses.replace(plain, **parts, test=loud)


def test_what_training_never_hears_is_not_read() -> None:
    heard = sets()
    trained = train(heard, SHORT)
    assert trained.access_points == ("ap0", "ap1", "ap2", "ap3", "rare")
    assert trained.config.access_points == 5
    deaf = dataclasses.replace(heard.test, rssi=heard.test.rssi.copy())
    deaf.rssi[:, :, 0] = -128
    assert np.array_equal(predict(trained, heard.test), predict(trained, deaf))
    plain = Checkpoint.from_bytes(trained.to_bytes())
    assert np.array_equal(
        predict(plain, heard.test.only(trained.access_points)), predict(trained, heard.test)
    )


def test_leaving_it_out_changes_no_answer() -> None:
    """The same weights with a column for the silent one, whose gain is 0, answer alike."""
    heard = sets()
    trained = train(heard, SHORT)
    assert trained.config.family == "mlp"
    weights = dict(trained.weights)
    weights["embed.weight"] = np.concatenate([np.ones((8, 1), np.float32), weights["embed.weight"]], axis=1)
    wide = dataclasses.replace(
        trained,
        config=dataclasses.replace(trained.config, access_points=6),
        scaling=InputScaling.fit("minmax", heard.train),
        weights=weights,
        access_points=heard.train.access_points,
    )
    assert np.allclose(predict(wide, heard.test), predict(trained, heard.test), atol=1e-5)


def test_least_heard_is_a_share_of_the_training_samples() -> None:
    heard = sets()
    assert read(SHORT, heard.train)[-1] == "rare"
    strict = dataclasses.replace(SHORT, least_heard=0.1)
    assert read(strict, heard.train) == ("ap0", "ap1", "ap2", "ap3")
    trained = train(heard, strict)
    assert trained.training["options"]["least_heard"] == 0.1
    assert "least_heard" not in record(SHORT)
    graph = lower(trained, heard.train.only(trained.access_points).rssi)
    assert graph.access_points == trained.access_points
    rssi = heard.test.only(graph.access_points).rssi
    same = Reference(graph).run(rssi)[:, -1].argmax(axis=1) == predict(trained, heard.test).argmax(axis=1)
    assert same.mean() > 0.95


def test_nobody_left_and_names_that_are_missing() -> None:
    heard = sets()
    with pytest.raises(UsageError, match=r"no access point is heard in 0\.99 of the training samples"):
        train(heard, dataclasses.replace(SHORT, least_heard=0.99))
    with pytest.raises(UsageError, match="least heard"):
        TrainOptions(least_heard=1.0)
    with pytest.raises(UsageError, match="do not have: rare"):
        predict(train(heard, SHORT), make_sets().test)
    silent = dataclasses.replace(heard.train, rssi=np.full_like(heard.train.rssi, -128))
    assert read(SHORT, silent) == silent.access_points
    order = ("ap3", "ap0")
    assert np.array_equal(heard.test.only(order).rssi, heard.test.rssi[:, :, [4, 1]])
    assert heard.only(order).validation.access_points == order
