from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from learn_windows import Interrupt, make_sets

from tinyloc.errors import UsageError
from tinyloc.learn.options import Augmentation, TrainOptions, model_config, record, resolve
from tinyloc.learn.predict import predict
from tinyloc.learn.score import macro_f1
from tinyloc.learn.state import fingerprint
from tinyloc.learn.streams import streams
from tinyloc.learn.train import train
from tinyloc.models import families
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.models.decode import Chain, max_plus

SETS = make_sets()
SHORT = TrainOptions(
    steps=60, evaluations=6, batch=16, scaling="zscore", augmentation=Augmentation(0.2, 0.2, 0.05, 0.05)
)
OPTIONS = [
    dataclasses.replace(SHORT, family="transformer", hidden=16),
    dataclasses.replace(SHORT, family="statnet", hidden=16),
    dataclasses.replace(SHORT, family="mdcsa", hidden=8),
    dataclasses.replace(SHORT, family="mdcsa", hidden=4, layers=3, crf=True),
    dataclasses.replace(SHORT, family="mlp", hidden=8, layers=2),
    dataclasses.replace(SHORT, hidden=4, state_size=4, crf=True),
]


def name(options: TrainOptions) -> str:
    return f"{options.family}-{options.layers}" + ("-crf" if options.crf else "")


@pytest.mark.parametrize("options", OPTIONS, ids=name)
def test_it_learns_is_read_back_and_goes_on_where_it_was_stopped(tmp_path, options):
    trained = train(SETS, options)
    assert trained.config == model_config(options, SETS.train)
    loaded = Checkpoint.from_bytes(trained.to_bytes())
    logits = predict(loaded, SETS.test)
    assert logits.shape == (len(SETS.test), 3)
    assert macro_f1(SETS.test.room, logits.argmax(axis=1)) > 0.8
    if options.crf:
        model = families.from_weights(trained.config, trained.weights)
        scaled = torch.from_numpy(trained.scaling.apply(SETS.test.rssi))
        with torch.no_grad():
            assert np.array_equal(logits.argmax(axis=1), model.crf.viterbi(model(scaled))[:, -1].numpy())
    state = tmp_path / "training.state"
    with pytest.raises(KeyboardInterrupt):
        train(SETS, options, interrupt_to=state, progress=Interrupt(3))
    assert train(SETS, options, resume_from=state).to_bytes() == trained.to_bytes()


def test_the_statistics_network_reads_the_radio_itself():
    one, two = (train(SETS, dataclasses.replace(OPTIONS[1], scaling=kind)) for kind in ("minmax", "power"))
    assert all(np.array_equal(one.weights[key], two.weights[key]) for key in one.weights)
    auto = train(SETS, dataclasses.replace(OPTIONS[1], scaling="auto"))
    assert len(auto.training["trials"]) == 1


def test_steps_that_nobody_annotated_do_not_count():
    rooms_at = SETS.train.rooms_at.copy()
    rooms_at[::3] = -1
    sets = dataclasses.replace(SETS, train=dataclasses.replace(SETS.train, rooms_at=rooms_at))
    for options in OPTIONS:
        assert train(sets, options).training["validation_macro_f1"] > 0.5


@pytest.mark.parametrize(
    "wrong",
    [
        {"family": "oracle"},
        {"family": "transformer", "state": "carried"},
        {"family": "statnet", "state": "carried"},
        {"family": "mdcsa", "state": "carried"},
        {"family": "statnet", "crf": True},
        {"family": "mlp", "crf": True},
        {"family": "mlp", "state": "carried"},
        {"family": "transformer", "crf": True},
        {"crf": True, "class_weights": 0.5},
        {"accelerometer": True},
        {"statistics": True, "state": "carried"},
        {"statistics": True, "family": "statnet"},
        {"statistics": True, "family": "forest"},
        {"dropout": 1.0},
        {"heads": 0},
        {"feedforward": -1},
    ],
)
def test_options_that_cannot_be_are_refused(wrong):
    with pytest.raises(UsageError):
        TrainOptions(**wrong)


def test_shapes_that_cannot_be_are_refused():
    with pytest.raises(UsageError, match="one hidden layer"):
        train(SETS, dataclasses.replace(OPTIONS[1], layers=2))
    with pytest.raises(UsageError, match="heads"):
        train(SETS, dataclasses.replace(OPTIONS[0], heads=3))


def test_the_record_of_mamba_has_no_word_of_other_families():
    assert {"family", "heads", "feedforward", "dropout", "accelerometer", "crf"}.isdisjoint(record(SHORT))
    assert record(OPTIONS[-1])["crf"] is True
    assert record(OPTIONS[0])["family"] == "transformer"
    assert resolve(SHORT, SETS.train).rate == 1e-2
    assert resolve(OPTIONS[0], SETS.train).dropout == 0.1


def test_a_chain_is_trained_and_run_with_its_state_carried():
    options = dataclasses.replace(OPTIONS[-1], state="carried", chunk_steps=40)
    trained = train(SETS, options)
    logits = predict(trained, SETS.test)
    assert macro_f1(SETS.test.room, logits.argmax(axis=1)) > 0.8
    stream = streams(SETS.test)[0]
    model = families.from_weights(trained.config, trained.weights)
    with torch.no_grad():
        scores = model(torch.from_numpy(trained.scaling.apply(stream.rssi))[None])[0].numpy()
    chain = Chain.of(trained.weights)
    np.testing.assert_allclose(logits, (max_plus(chain, scores) + chain.end)[stream.ends], atol=1e-4)


@pytest.mark.parametrize("crf", [False, True])
def test_the_last_step_alone_may_count(crf):
    options = dataclasses.replace(SHORT, hidden=4, state_size=4, loss="last", crf=crf)
    assert train(SETS, options).training["validation_macro_f1"] > 0.6


def test_an_accelerometer_is_read_where_there_is_one():
    def moving(windows):
        random = np.random.default_rng(len(windows))
        shape = (*windows.rssi.shape[:2], 3)
        rest = random.normal(0, 0.05, shape) + windows.rooms_at[..., None] * np.array([0.5, 0, -0.5])
        rssi = np.full_like(windows.rssi, -70)  # the signal says nothing
        return dataclasses.replace(windows, rssi=rssi, acceleration=rest.astype(np.float32))

    parts = {part: moving(getattr(SETS, part)) for part in ("train", "validation", "test")}
    options = dataclasses.replace(
        OPTIONS[2], accelerometer=True, augmentation=Augmentation(), scaling="minmax"
    )
    trained = train(dataclasses.replace(SETS, **parts), options)
    answers = predict(trained, parts["test"]).argmax(axis=1)
    assert macro_f1(SETS.test.room, answers) > 0.8
    with pytest.raises(UsageError, match="accelerometer"):
        predict(trained, SETS.test)
    still = dataclasses.replace(parts["train"], acceleration=np.zeros_like(parts["train"].acceleration))
    moved, unmoved = (dataclasses.replace(SETS, **(parts | {"train": w})) for w in (parts["train"], still))
    assert fingerprint(moved, options) != fingerprint(unmoved, options)
    assert fingerprint(moved, SHORT) == fingerprint(unmoved, SHORT)


def test_a_chain_over_single_samples_trains_though_its_transitions_have_no_slope():
    sets = make_sets(steps=1, hop=1)
    options = TrainOptions(hidden=4, state_size=4, steps=20, evaluations=2, batch=16, crf=True)
    trained = train(sets, dataclasses.replace(options, scaling="minmax", augmentation=Augmentation()))
    assert np.isfinite(trained.weights["crf.transitions"]).all()
