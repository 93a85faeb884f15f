"""Features as what is taught: any network teaches any other, through a layer that is gone afterwards."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from learn_windows import make_sets

from tinyloc.data.windows import merged
from tinyloc.errors import UsageError
from tinyloc.learn import distil, teachers
from tinyloc.learn.options import Augmentation, Distil, TrainOptions
from tinyloc.learn.refit import refit
from tinyloc.learn.train import train
from tinyloc.models import families
from tinyloc.models.config import carries_no_state

SETS = make_sets()
SHORT = TrainOptions(
    hidden=6, state_size=4, steps=20, evaluations=2, batch=16, scaling="zscore", augmentation=Augmentation()
)
FAMILIES = {
    "mamba": SHORT,
    "mamba-crf": dataclasses.replace(SHORT, crf=True),
    "mdcsa": dataclasses.replace(SHORT, family="mdcsa", dropout=0.0),
    "transformer": dataclasses.replace(SHORT, family="transformer", hidden=8),
    "statnet": dataclasses.replace(SHORT, family="statnet", hidden=10),
    "mlp": dataclasses.replace(SHORT, family="mlp", hidden=7, layers=2),
}
PER_STEP = ("mamba", "mamba-crf", "mdcsa")
TASK = torch.tensor(2.0)


@pytest.fixture(scope="module")
def taught():
    return {name: train(SETS, options) for name, options in FAMILIES.items()}


@pytest.mark.parametrize("name", FAMILIES)
def test_features_are_what_the_last_layer_reads(taught, name):
    teacher = taught[name]
    said = teachers.targets(teacher, SETS.train, "features")
    steps = (8,) if name in PER_STEP else ()
    assert said.shape == (len(SETS.train), *steps, teacher.config.hidden)
    flat = said.reshape(-1, said.shape[-1])
    np.testing.assert_allclose(flat.mean(axis=0), 0, atol=1e-4)
    moving = flat.std(axis=0) > 0
    assert moving.any()
    np.testing.assert_allclose(flat.std(axis=0)[moving], 1, atol=1e-4)
    model = families.from_weights(teacher.config, teacher.weights)
    given = families.inputs(teacher.config, teacher.scaling, SETS.train.rssi)
    with torch.no_grad():
        logits, hidden = distil.with_hidden(model, [torch.from_numpy(part) for part in given])
        torch.testing.assert_close(model.head(hidden), logits)  # nothing stands between them
    raw = hidden.numpy().reshape(flat.shape)
    spread = np.where(moving, raw.std(axis=0), np.inf)
    np.testing.assert_allclose(flat, (raw - raw.mean(axis=0)) / spread, atol=1e-2)


@pytest.mark.parametrize("student", FAMILIES)
@pytest.mark.parametrize("teacher", ["mamba", "transformer"])
def test_any_network_teaches_any_other(taught, teacher, student):
    made = teachers.distilled(SETS, FAMILIES[student], taught[teacher], "features", alpha=0.5)
    assert made.weights.keys() == made.config.weight_shapes().keys(), "the projection is thrown away"
    assert made.training["options"]["distil"]["kind"] == "features"
    plain = taught[student]
    assert any(not np.array_equal(made.weights[name], plain.weights[name]) for name in made.weights)


@pytest.mark.parametrize("name", ["mamba", "mlp"])
@pytest.mark.parametrize("kind", ["features", "soft"])
def test_a_refitted_student_has_its_familys_weights_alone(taught, name, kind):
    """Taught once more by an ensemble that has learned from validation windows too."""
    options = FAMILIES[name]
    again = [refit(SETS, FAMILIES[one], taught[one]) for one in ("mdcsa", "statnet")]
    how = {"tau": 2.0 if kind == "soft" else 1.0, "alpha": 0.5}
    chosen = teachers.distilled(SETS, options, [taught["mdcsa"], taught["statnet"]], kind, **how)
    made = teachers.distilled(merged(SETS), options, again, kind, chosen=chosen, **how)
    assert made.weights.keys() == chosen.weights.keys() == made.config.weight_shapes().keys()
    assert made.training["refit"]
    assert made.training["options"]["distil"]["teacher"] == teachers.digest(again)


def test_a_teacher_and_its_student_need_not_read_the_same_access_points(taught):
    """The teacher hears what it was trained on, whichever columns the student reads."""
    first = SETS.train.access_points[:2]
    few = train(SETS.only(first), dataclasses.replace(SHORT, hidden=5))
    said = teachers.targets(few, SETS.train, "features")
    assert np.array_equal(said, teachers.targets(few, SETS.train.only(first), "features"))
    trees = teachers.boosting(SETS.train.only(first), rounds=2)
    said = teachers.targets([few, trees], SETS.train, "soft", 2.0)
    assert np.array_equal(said, teachers.targets([few, trees], SETS.train.only(first), "soft", 2.0))
    made = teachers.distilled(SETS, SHORT, few, "features")
    assert len(made.access_points) > len(first) == len(few.access_points)
    own = train(SETS.only(first[:1]), dataclasses.replace(SHORT, distil=Distil("features", "t")),
                targets=teachers.targets(taught["mamba"], SETS.train, "features"))  # fmt: skip
    assert own.access_points == first[:1]


def test_features_alone_draw_the_student_to_the_teacher(taught):
    """With nothing else to learn from, a linear map of its features comes to explain the teacher's."""
    said = teachers.targets(taught["mdcsa"], SETS.train, "features")

    def explained(alpha, steps):
        how = dataclasses.replace(SHORT, steps=steps, distil=Distil("features", "t", alpha=alpha))
        made = train(SETS, how, targets=said)
        hidden = teachers.targets(made, SETS.train, "features").reshape(-1, 6)
        wanted = said.reshape(-1, 6)
        fitted = hidden @ np.linalg.lstsq(hidden, wanted, rcond=None)[0]
        return 1 - np.square(wanted - fitted).sum() / np.square(wanted).sum()

    assert explained(1.0, 150) > explained(1.0, 1) + 0.1


def test_the_cost_is_the_mean_square_of_what_is_taught():
    how, projection = Distil("features", "t", alpha=0.75), torch.nn.Linear(2, 3)
    with torch.no_grad():
        projection.weight.zero_()
        projection.bias.copy_(torch.tensor([1.0, 2.0, 3.0]))
    taught = torch.zeros(1, 4, 4)
    taught[0, 3] = torch.tensor([1.0, 0.0, 0.0, 1.0])  # squares 0, 4, 9; the other steps are not taught
    hidden = torch.randn(1, 4, 2, generator=torch.Generator().manual_seed(0))
    for seen in (hidden, hidden[:, -1:]):
        cost = distil.blend_features(how, TASK, projection, seen, taught)
        assert cost.item() == pytest.approx(0.25 * 2.0 + 0.75 * 13 / 3)
    nothing = distil.blend_features(how, TASK, projection, hidden, torch.zeros(1, 4, 4))
    assert nothing.item() == pytest.approx(0.5)


def test_stopped_and_resumed_is_unstopped(tmp_path, taught):
    said = teachers.targets(taught["statnet"], SETS.train, "features")
    options = dataclasses.replace(SHORT, distil=Distil("features", "t", alpha=0.5))
    state, told = tmp_path / "training.state", []

    def press(progress):
        told.append(progress)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(SETS, options, targets=said, interrupt_to=state, progress=press)
    resumed = train(SETS, options, targets=said, resume_from=state)
    assert resumed.to_bytes() == train(SETS, options, targets=said).to_bytes()


def test_a_carried_student_and_a_carried_teacher():
    carried = dataclasses.replace(SHORT, state="carried", chunk_steps=40)
    teacher = train(SETS, carried)
    said = teachers.targets(teacher, SETS.train, "features")
    assert said.shape == (len(SETS.train), 8, 6)
    laid = distil.lay_out(dataclasses.replace(carried, distil=Distil("features", "t")), SETS.train, said)
    rooms_at = distil.chunks(SETS.train, 40)[1]
    assert laid.shape == (*rooms_at.shape, 7)
    assert np.array_equal(laid[..., -1] > 0, rooms_at >= 0)
    made = teachers.distilled(SETS, carried, teacher, "features")
    assert made.state == "carried"
    assert "reset" in carries_no_state("mdcsa").hint


def test_an_ensembles_features_stand_side_by_side(taught):
    pair = teachers.targets([taught["mamba"], taught["statnet"]], SETS.train, "features")
    assert pair.shape == (len(SETS.train), 16)
    alone = teachers.targets(taught["statnet"], SETS.train, "features")
    np.testing.assert_allclose(pair[:, 6:], alone, atol=1e-5)


def test_what_cannot_be_is_refused(taught):
    with pytest.raises(UsageError, match="trees have none"):
        teachers.targets(teachers.boosting(SETS.train, rounds=2), SETS.train, "features")
    forest = TrainOptions(family="forest", trees=2, leaves=4)
    with pytest.raises(UsageError, match="trees have none"):
        teachers.targets(train(SETS, forest), SETS.train, "features")
    with pytest.raises(UsageError, match="no network"):
        teachers.distilled(SETS, forest, taught["mamba"], "features")
    with pytest.raises(UsageError, match="temperature"):
        Distil("features", "t", tau=2.0)
    options = dataclasses.replace(SHORT, distil=Distil("features", "t"))
    good = teachers.targets(taught["mamba"], SETS.train, "features")
    with pytest.raises(UsageError, match="do not belong"):
        train(SETS, options, targets=good[:-1])
    with pytest.raises(UsageError, match="finite"):
        train(SETS, options, targets=good * np.float32(np.nan))
