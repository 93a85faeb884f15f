"""Learning where a step was beside its room: what is asked for, what it costs, that nothing of it ships."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from learn_windows import Interrupt, make_sets

from tinyloc.data.windows import Windows
from tinyloc.errors import TrainingError, UsageError
from tinyloc.learn import place
from tinyloc.learn.draw import Draws
from tinyloc.learn.options import Augmentation, TrainOptions, facts, record
from tinyloc.learn.predict import predict
from tinyloc.learn.refit import refit
from tinyloc.learn.state import fingerprint
from tinyloc.learn.streams import chunks
from tinyloc.learn.train import train
from tinyloc.models import families


def placed(windows: Windows, unknown: float = 0.2) -> Windows:
    """The same windows with a position for each step, 5 m of rooms along x, y by the moment; some unknown."""
    steps = np.rint(windows.end_time / 0.2)[:, None] - np.arange(windows.steps - 1, -1, -1)
    where = np.stack([5.0 * windows.rooms_at + 1, np.sin(steps / 9)], axis=-1).astype(np.float32)
    where[np.random.default_rng(7).random(int(steps.max()) + 1)[steps.astype(int)] < unknown] = np.nan
    return dataclasses.replace(windows, positions_at=where)


PLAIN = make_sets()
SETS = dataclasses.replace(PLAIN, train=placed(PLAIN.train), validation=placed(PLAIN.validation, 0.0))
SHORT = TrainOptions(
    hidden=4, steps=30, evaluations=6, batch=16, scaling="zscore", positions=0.5,
    augmentation=Augmentation(offset=0.2, jitter=0.2),
)  # fmt: skip
CARRIED = dataclasses.replace(SHORT, state="carried", chunk_steps=40, past_steps=20)


def test_each_axis_has_its_own_mean_and_spread_and_unknown_steps_count_for_nothing():
    laid = place.lay_out(SHORT, SETS.train)
    known = ~np.isnan(SETS.train.positions_at[..., 0])
    assert 0.1 < (~known).mean() < 0.3
    assert np.array_equal(laid[..., 2], known)
    assert (laid[~known] == 0).all()
    assert laid[known][:, :2].mean(axis=0) == pytest.approx([0, 0], abs=1e-5)
    assert laid[known][:, :2].std(axis=0) == pytest.approx([1, 1], abs=1e-5)
    back = laid[known][:, :2] * SETS.train.positions_at[known].std(axis=0)
    assert back + SETS.train.positions_at[known].mean(axis=0) == pytest.approx(
        SETS.train.positions_at[known], abs=1e-4
    )
    assert place.lay_out(dataclasses.replace(SHORT, positions=0.0), SETS.train) is None


def test_an_axis_that_stands_still_says_nothing():
    where = SETS.train.positions_at.copy()
    where[..., 1] = np.where(np.isnan(where[..., 0]), np.nan, 3.0)
    laid = place.lay_out(SHORT, dataclasses.replace(SETS.train, positions_at=where))
    assert (laid[..., 1] == 0).all()
    assert laid[..., 0].std() > 0.5


def test_stretches_have_the_positions_of_their_steps():
    laid = place.lay_out(CARRIED, SETS.train)
    rooms_at = chunks(SETS.train, 40)[1]
    assert laid.shape == (*rooms_at.shape, 3)
    known = laid[..., 2] == 1
    assert (rooms_at[known] >= 0).all()
    per_room = [np.unique(laid[known & (rooms_at == room)][:, 0]) for room in range(3)]
    assert [len(found) for found in per_room] == [1, 1, 1]  # x is the room's
    assert per_room[0] < per_room[1] < per_room[2]


@pytest.mark.parametrize("piece_steps", [0, 15])
def test_what_is_drawn_agrees_step_by_step_and_a_past_is_not_asked_for(piece_steps):
    options = dataclasses.replace(CARRIED, piece_steps=piece_steps)
    draws = Draws(SETS.train, options, None, place.lay_out(options, SETS.train))
    for step in range(5):
        drawn = draws.draw(0, step, Augmentation())
        assert drawn.placed.shape == (*drawn.rooms_at.shape, 3)
        assert (drawn.placed[:, :20] == 0).all()
        known = drawn.placed[..., 2] == 1
        assert known.mean() > 0.3
        order = np.argsort(drawn.placed[known][:, 0], kind="stable")
        assert (np.diff(drawn.rooms_at[known][order]) >= 0).all()


@pytest.mark.parametrize("last", [False, True])
def test_the_cost_is_the_equation(last):
    config = train(SETS, dataclasses.replace(SHORT, steps=1, evaluations=1)).config
    torch.manual_seed(0)
    model = families.build(config, 0.0)
    place.add_projection(model)
    random = np.random.default_rng(1)
    hidden = random.normal(size=(3, 1 if last else 5, model.head.in_features)).astype(np.float32)
    wanted = random.normal(size=(3, 5, 3)).astype(np.float32)
    wanted[..., 2] = random.random((3, 5)) < 0.5
    wanted[0, -1, 2] = 1
    layer = model.get_submodule(place.PLACE)
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    off = [
        0.5 * sum((weight @ hidden[b, t] + bias - wanted[b, t - hidden.shape[1], :2]) ** 2)
        for b in range(3)
        for t in range(hidden.shape[1])
        if wanted[b, t - hidden.shape[1], 2]
    ]
    found = place.blend(0.7, torch.tensor(2.0), model, torch.from_numpy(hidden), torch.from_numpy(wanted))
    assert float(found.detach()) == pytest.approx(0.3 * 2.0 + 0.7 * np.mean(off), rel=1e-5)


def error_of_place(trained, sets):
    """How well a linear layer, fitted afterwards, tells x from what the last layer reads: 1 is not at all."""
    from tinyloc.learn.distil import with_hidden

    model = families.from_weights(trained.config, trained.weights).eval()
    given = families.inputs(trained.config, trained.scaling, sets.validation.rssi, None)
    with torch.no_grad():
        _, hidden = with_hidden(model, [torch.from_numpy(part) for part in given])
    read = hidden[:, -1].numpy().astype(np.float64)
    read = np.column_stack([read, np.ones(len(read))])
    wanted = sets.validation.positions_at[:, -1, 1]
    left = wanted - read @ np.linalg.lstsq(read, wanted, rcond=None)[0]
    return float((left**2).mean() / wanted.var())


def test_it_is_learned_and_nothing_of_it_ships():
    """Positions that the signals tell, and rooms do not: y follows the first access point."""
    rssi = SETS.train.rssi

    def told(windows):
        where = np.stack([np.zeros(windows.rssi.shape[:2]), windows.rssi[..., 0] / 20.0], axis=-1)
        return dataclasses.replace(windows, positions_at=where.astype(np.float32))

    sets = dataclasses.replace(SETS, train=told(SETS.train), validation=told(SETS.validation))
    options = dataclasses.replace(SHORT, steps=200, positions=0.9)
    taught, plain = (train(sets, dataclasses.replace(options, positions=p)) for p in (0.9, 0.0))
    assert error_of_place(taught, sets) < 0.5 * error_of_place(plain, sets)
    assert {name: a.shape for name, a in taught.weights.items()} == taught.config.weight_shapes()
    assert taught.config == plain.config
    assert taught.training["options"]["positions"] == 0.9
    assert np.array_equal(rssi, SETS.train.rssi)


@pytest.mark.parametrize("family", ["mdcsa", "transformer", "statnet", "mlp"])
def test_every_network_learns_it(family):
    options = dataclasses.replace(SHORT, family=family, hidden=8, steps=10, scaling="minmax")
    trained = train(SETS, options)
    assert set(trained.weights) == set(trained.config.weight_shapes())
    plain = train(SETS, dataclasses.replace(options, positions=0.0))
    assert any(not np.array_equal(trained.weights[n], plain.weights[n]) for n in plain.weights)


def test_with_a_teacher_and_once_more_on_all_windows():
    from tinyloc.learn import teachers

    teacher = train(SETS, dataclasses.replace(SHORT, hidden=6))
    for kind in ("soft", "features"):
        student = teachers.distilled(SETS, SHORT, teacher, kind)
        assert set(student.weights) == set(student.config.weight_shapes())
    last = dataclasses.replace(SHORT, loss="last")
    assert len(predict(train(SETS, last), SETS.test)) == len(SETS.test)
    half = dataclasses.replace(SETS, validation=PLAIN.validation)  # of which nobody knows the positions
    chosen = train(half, SHORT)
    again = refit(half, SHORT, chosen)
    assert set(again.weights) == set(chosen.weights)


def test_training_that_was_stopped_goes_on_to_the_same_bytes(tmp_path):
    whole = train(SETS, SHORT).to_bytes()
    state = tmp_path / "state"
    with pytest.raises(KeyboardInterrupt):
        train(SETS, SHORT, interrupt_to=state, progress=Interrupt(3))
    assert train(SETS, SHORT, resume_from=state).to_bytes() == whole
    moved = SETS.train.positions_at + np.float32(np.arange(len(SETS.train)))[:, None, None]
    others = dataclasses.replace(SETS, train=dataclasses.replace(SETS.train, positions_at=moved))
    with pytest.raises(TrainingError, match="other data or options"):
        train(others, SHORT, resume_from=state)
    later = dataclasses.replace(SETS, validation=placed(PLAIN.validation, 0.5))  # a refit learns from these
    assert fingerprint(later, SHORT) != fingerprint(SETS, SHORT)


def test_who_does_not_ask_does_not_know_of_it():
    plain = dataclasses.replace(SHORT, positions=0.0)
    assert train(SETS, plain).to_bytes() == train(PLAIN, plain).to_bytes()
    assert "positions" not in record(plain)
    assert "positions" not in facts(plain)
    assert fingerprint(SETS, plain) == fingerprint(PLAIN, plain)
    assert SETS.digest != PLAIN.digest


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_that_is_none(share):
    with pytest.raises(UsageError, match="a share of positions from 0 to below 1"):
        TrainOptions(positions=share)


def test_positions_that_are_not_there():
    with pytest.raises(UsageError, match="needs recordings that have them"):
        train(PLAIN, SHORT)
    for axis in (0, 1):  # one axis alone is no position
        half = SETS.train.positions_at.copy()
        half[..., axis] = np.nan
        nowhere = dataclasses.replace(SETS, train=dataclasses.replace(SETS.train, positions_at=half))
        with pytest.raises(UsageError, match="needs recordings that have them"):
            train(nowhere, SHORT)
    forest = dataclasses.replace(SHORT, family="forest")  # trees are grown as ever
    assert train(PLAIN, forest).config.family == "forest"
