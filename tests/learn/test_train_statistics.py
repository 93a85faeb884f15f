"""Training on running statistics: made of the sample after its augmentation, named only where they are on."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from learn_windows import make_sets

from tinyloc.errors import UsageError
from tinyloc.learn.options import Augmentation, TrainOptions, facts, model_config, record
from tinyloc.learn.predict import predict
from tinyloc.learn.refit import refit
from tinyloc.learn.train import train
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.models.compress import compress
from tinyloc.models.scaling import InputScaling
from tinyloc.quant.lower import lower
from tinyloc.quant.reference import Reference

SETS = make_sets()
SHORT = TrainOptions(
    hidden=4, steps=30, evaluations=3, batch=16, scaling="zscore",
    augmentation=Augmentation(offset=0.2, jitter=0.2, packets=0.1, access_points=0.1),
    statistics=True,
)  # fmt: skip


def test_the_way_from_training_to_integers():
    trained = train(SETS, SHORT)
    assert trained.training["options"]["statistics"] is True
    assert trained.weights["embed.weight"].shape == (4, 12)
    wanted = InputScaling.fit("zscore", SETS.train, statistics=True)
    assert np.array_equal(trained.scaling.offset, wanted.offset)
    again = Checkpoint.from_bytes(trained.to_bytes())
    logits = predict(again, SETS.test)
    assert np.array_equal(logits, predict(trained, SETS.test))
    graph = lower(again, SETS.train.rssi)
    scores = Reference(graph, check=True).run(SETS.test.rssi)[:, -1]
    assert (scores.argmax(axis=1) == logits.argmax(axis=1)).mean() > 0.9
    for kind in ("static", "dynamic"):
        assert np.isfinite(compress(kind, trained).logits(SETS.test)).all()
    assert refit(SETS, SHORT, trained).config == trained.config


def test_an_access_point_that_is_not_read_has_no_statistics_either():
    rssi = SETS.train.rssi.copy()
    rssi[:, :, 1] = -128
    deaf = dataclasses.replace(SETS, train=dataclasses.replace(SETS.train, rssi=rssi))
    trained = train(deaf, dataclasses.replace(SHORT, least_heard=0.1))
    assert trained.access_points == ("ap0", "ap2", "ap3")
    assert trained.weights["embed.weight"].shape == (4, 9)
    assert len(predict(trained, deaf.test)) == len(deaf.test)


def test_plain_training_does_not_know_of_them():
    plain = dataclasses.replace(SHORT, statistics=False)
    assert "statistics" not in record(plain)
    assert "statistics" not in facts(plain)
    # a state that is reset has no past, and one model no members
    others = {"statistics": False, "past_steps": plain.past_steps, "piece_steps": 0, "positions": 0.0}
    others["members"] = ()
    assert {**facts(plain), **others} == dataclasses.asdict(plain)
    assert facts(SHORT)["statistics"] is record(SHORT)["statistics"] is True


def test_a_single_sample_has_none():
    single = dataclasses.replace(SETS.train, rssi=SETS.train.rssi[:, :1], rooms_at=SETS.train.rooms_at[:, :1])
    with pytest.raises(UsageError, match="one sample"):
        model_config(SHORT, single)


@pytest.mark.parametrize("family", ["mlp", "transformer", "mdcsa"])
def test_families_of_windows_read_them_too(family):
    config = model_config(dataclasses.replace(SHORT, family=family), SETS.train)
    assert config.weight_shapes()["embed.weight"] == (4, 12)
