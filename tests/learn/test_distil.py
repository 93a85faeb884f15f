"""The losses of distillation against numbers worked out by hand, and training with a teacher."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
import torch
from learn_windows import make_sets
from torch import nn

from tinyloc.errors import TrainingError, UsageError
from tinyloc.learn import distil
from tinyloc.learn.draw import Draws
from tinyloc.learn.options import Augmentation, Distil, TrainOptions, record
from tinyloc.learn.state import fingerprint
from tinyloc.learn.train import train
from tinyloc.models.crf import Crf

SETS = make_sets()
SHORT = TrainOptions(hidden=4, state_size=4, steps=20, evaluations=4, batch=16, scaling="zscore")
PLAIN = dataclasses.replace(SHORT, augmentation=Augmentation(0.2, 0.2, 0.05, 0.05))
TASK = torch.tensor(2.0)


class Student(nn.Module):
    """Of a student, the losses read its CRF alone."""

    def __init__(self, crf: Crf | None = None) -> None:
        super().__init__()
        self.crf = crf


def probabilities(seed: int = 0, last: bool = False) -> np.ndarray:
    random = np.random.default_rng(seed)
    shape = (len(SETS.train), 3) if last else (*SETS.train.rooms_at.shape, 3)
    return random.dirichlet([0.3, 0.3, 0.3], shape[:-1]).astype(np.float32)


def with_teacher(options: TrainOptions = PLAIN, **how) -> TrainOptions:
    return dataclasses.replace(options, distil=Distil(**{"kind": "soft", "teacher": "someone", **how}))


def test_the_papers_loss_by_hand():
    logits = torch.tensor([[[0.0, math.log(3.0)], [math.log(4.0), 0.0]]])
    taught = torch.tensor([[[0.0, 1.0], [0.0, 1.0]]])
    loss = distil.blend(Distil("paper", "t"), TASK, Student(), logits, taught)
    teaching = -(math.log(3 / 4) + math.log(1 / 5)) / 2
    assert loss.item() == pytest.approx(0.1 * 2.0 + 0.9 * teaching)


def test_the_soft_loss_by_hand():
    options = with_teacher(tau=2.0, alpha=0.5)
    said = np.tile(np.float32([0.9, 0.1, 0.0]), (len(SETS.train), 1))
    laid = distil.lay_out(options, SETS.train, said)
    assert laid.shape == (*SETS.train.rooms_at.shape, 3)
    np.testing.assert_allclose(laid[:, -1], [[0.75, 0.25, 0.0]] * len(said))  # roots of 9 : 1
    assert not laid[:, :-1].any()
    logits = torch.zeros(1, 8, 3)
    loss = distil.blend(options.distil, TASK, Student(), logits, torch.from_numpy(laid[:1]))
    divergence = 0.75 * math.log(0.75 * 3) + 0.25 * math.log(0.25 * 3)
    assert loss.item() == pytest.approx(0.5 * 2.0 + 0.5 * 4 * divergence)


def test_softened_probabilities_are_softened_logits():
    logits = 4 * torch.randn(len(SETS.train), 8, 3, generator=torch.Generator().manual_seed(1))
    laid = distil.lay_out(with_teacher(tau=3.0), SETS.train, logits.softmax(-1).numpy())
    np.testing.assert_allclose(laid, (logits / 3).softmax(-1).numpy(), atol=1e-5)
    sharp = distil.lay_out(with_teacher(tau=1e-3), SETS.train, logits.softmax(-1).numpy())
    assert np.isfinite(sharp).all()


def test_an_agreeing_student_costs_nothing_and_a_blank_step_neither():
    logits = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(2))
    crf = Crf(3)
    with torch.no_grad():
        crf.transitions.copy_(torch.eye(3))
        same = {"soft": logits.softmax(-1), "marginals": crf.marginals(logits)}
        for kind, taught in same.items():
            taught[0, 2] = 0
            loss = distil.blend(Distil(kind, "t"), TASK, Student(crf), logits, taught)
            assert loss.item() == pytest.approx(0.2, abs=1e-6)
        blank = distil.blend(Distil("soft", "t"), TASK, Student(), logits, torch.zeros(2, 5, 3))
    assert blank.item() == pytest.approx(0.2)


def test_marginals_teach_the_chain_and_plain_logits():
    logits = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(2), requires_grad=True)
    taught = torch.full((2, 5, 3), 1 / 3)
    crf = Crf(3)
    loss = distil.blend(Distil("marginals", "t", alpha=1.0), TASK, Student(crf), logits, taught)
    plain = distil.blend(Distil("marginals", "t", alpha=1.0), TASK, Student(), logits, taught)
    assert loss.item() == pytest.approx(plain.item(), rel=1e-5)  # a chain of no opinion
    loss.backward()
    assert crf.transitions.grad.abs().max() > 0
    assert torch.isfinite(logits.grad).all()


def test_hard_targets_are_hard_whatever_the_teacher_gave():
    laid = distil.lay_out(with_teacher(kind="paper"), SETS.train, probabilities())
    assert np.array_equal(laid.argmax(-1), probabilities().argmax(-1))
    assert set(np.unique(laid)) == {0.0, 1.0}


@pytest.mark.parametrize("last", [False, True])
def test_a_carried_student_is_taught_along_its_stretches(last):
    rooms = np.eye(3, dtype=np.float32)[SETS.train.room if last else SETS.train.rooms_at.astype(int)]
    options = with_teacher(dataclasses.replace(PLAIN, state="carried", chunk_steps=40))
    laid = distil.lay_out(options, SETS.train, rooms)
    rooms_at = distil.chunks(SETS.train, 40)[1]
    assert laid.shape == (*rooms_at.shape, 3)
    taught = laid.sum(-1) > 0.5
    assert np.array_equal(laid.argmax(-1)[taught], rooms_at[taught])
    assert np.array_equal(taught, rooms_at >= 0) is not last
    assert taught.any()
    assert train(SETS, options, targets=rooms).training["validation_macro_f1"] > 0.2


@pytest.mark.parametrize("last", [False, True])
def test_pieces_take_what_the_teacher_says_of_them_along(last, monkeypatch):
    rooms = np.eye(3, dtype=np.float32)[SETS.train.room if last else SETS.train.rooms_at.astype(int)]
    options = dataclasses.replace(PLAIN, state="carried", chunk_steps=40, piece_steps=15, past_steps=20)
    seen = []
    real = Draws.draw

    def watched(draws, *which):
        seen.append(real(draws, *which))
        return seen[-1]

    monkeypatch.setattr(Draws, "draw", watched)
    trained = train(SETS, with_teacher(options), targets=rooms)
    assert trained.training["options"]["piece_steps"] == 15
    for drawn in seen:
        assert drawn.rssi.shape[:2] == drawn.rooms_at.shape == drawn.taught.shape[:2]
        assert drawn.rooms_at.shape[1] == 60
        assert (drawn.rooms_at[:, :20] == -1).all()
        taught = drawn.taught.sum(-1) > 0.5
        assert not taught[:, :20].any()
        assert np.array_equal(drawn.taught.argmax(-1)[taught], drawn.rooms_at[taught])
        assert np.array_equal(taught, drawn.rooms_at >= 0) is not last
    assert not np.array_equal(seen[0].rooms_at, seen[1].rooms_at)


@pytest.mark.parametrize("kind", ["paper", "soft", "marginals"])
@pytest.mark.parametrize("student", ["mamba", "mamba crf", "statnet", "transformer", "mdcsa crf"])
def test_any_student_learns_from_the_teacher_alone(kind, student):
    wrong = (SETS.train.rooms_at.astype(int) + 1) % 3  # the teacher calls every room by another's name
    said = np.float32(0.05) + np.float32(0.85) * np.eye(3, dtype=np.float32)[wrong]
    family, _, crf = student.partition(" ")
    options = TrainOptions(
        family=family,
        hidden=8,
        steps=60,
        batch=16,
        evaluations=1,
        scaling="zscore",
        augmentation=Augmentation(),
        dropout=0.0,
        crf=bool(crf),
        distil=Distil(kind, "liar", alpha=1.0),
    )
    trained = train(SETS, options, targets=said)
    assert trained.training["validation_macro_f1"] < 0.2
    assert trained.training["options"]["distil"]["kind"] == kind


def test_class_weights_weigh_what_the_teacher_says():
    """A step counts as its room does: at equal logits, a teacher sure of room k costs w_k ln K."""
    logits, weights = torch.zeros(1, 3, 3), torch.tensor([0.5, 1.0, 3.0])
    for kind in ("paper", "soft"):
        how = Distil(kind, "t", alpha=1.0)
        for room, weight in enumerate(weights):
            taught = torch.zeros(1, 3, 3)
            taught[0, 1, room] = 1.0  # the other two steps are not taught
            cost = distil.blend(how, TASK, Student(), logits, taught, weights)
            assert cost.item() == pytest.approx(weight.item() * math.log(3))
        unsure = torch.full((1, 3, 3), 1 / 3)
        assert distil.blend(how, TASK, Student(), logits, unsure, weights).item() == pytest.approx(
            0, abs=1e-6
        )
    half = torch.tensor([[[0.5, 0.0, 0.5]]])
    cost = distil.blend(Distil("soft", "t", alpha=1.0), TASK, Student(), logits[:, :1], half, weights)
    assert cost.item() == pytest.approx(1.75 * math.log(1.5))


def test_class_weights_reach_the_teachers_part_of_training():
    """With the teacher alone to learn from, the weights still move the student; at 0 all is as without."""
    rare = np.flatnonzero(SETS.train.room != 2)[:5]
    few = np.concatenate([rare, np.flatnonzero(SETS.train.room == 2)])
    keep = np.sort(few)
    part = dataclasses.replace(
        SETS.train,
        **{
            name: getattr(SETS.train, name)[keep]
            for name in ("rssi", "rooms_at", "room", "session", "end_time")
        },
    )
    sets, said = dataclasses.replace(SETS, train=part), probabilities()[keep]
    options = with_teacher(alpha=1.0)
    models = [
        train(sets, dataclasses.replace(options, class_weights=share), targets=said).weights["head.weight"]
        for share in (0.0, 1.0)
    ]
    assert np.abs(models[0] - models[1]).max() > 1e-3


@pytest.mark.parametrize("loss", ["all", "last"])
def test_stopped_and_resumed_is_unstopped(tmp_path, loss):
    options, said = with_teacher(dataclasses.replace(PLAIN, loss=loss), tau=2.0), probabilities()
    state, told = tmp_path / "training.state", []

    def press(progress: object) -> None:
        told.append(progress)
        if len(told) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(SETS, options, targets=said, interrupt_to=state, progress=press)
    resumed = train(SETS, options, targets=said, resume_from=state)
    assert resumed.to_bytes() == train(SETS, options, targets=said).to_bytes()
    with pytest.raises(TrainingError, match="other data or options"):
        train(SETS, options, targets=probabilities(1), resume_from=state)


def test_without_a_teacher_nothing_is_other_than_before():
    assert "distil" not in record(PLAIN)
    assert "distil" not in record(dataclasses.replace(PLAIN, family="statnet"))
    assert "distil" not in json.dumps(train(SETS, PLAIN).training)
    assert fingerprint(SETS, PLAIN) == fingerprint(SETS, PLAIN, None)
    marks = {fingerprint(SETS, options) for options in (PLAIN, with_teacher(), with_teacher(tau=2.0))}
    assert len(marks) == 3
    assert fingerprint(SETS, PLAIN, probabilities()) != fingerprint(SETS, PLAIN)


def test_the_teachers_share_decides_how_much_it_moves_the_student():
    plain = train(SETS, PLAIN)
    near, far = (
        train(SETS, with_teacher(alpha=alpha), targets=probabilities()).weights["head.weight"]
        for alpha in (1e-4, 0.9)
    )
    moved = [np.abs(weights - plain.weights["head.weight"]).mean() for weights in (near, far)]
    assert moved[0] < moved[1]


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "hints"},
        {"tau": 0.0},
        {"tau": math.inf},
        {"alpha": 0.0},
        {"alpha": 1.1},
        {"kind": "paper", "tau": 2.0},
        {"kind": "marginals", "tau": 2.0},
    ],
)
def test_options_that_cannot_be_are_refused(wrong):
    with pytest.raises(UsageError):
        with_teacher(**wrong)


def test_targets_that_cannot_be_are_refused():
    good = probabilities()
    with pytest.raises(UsageError, match="go together"):
        train(SETS, PLAIN, targets=good)
    with pytest.raises(UsageError, match="go together"):
        train(SETS, with_teacher())
    with pytest.raises(UsageError, match="shape"):
        train(SETS, with_teacher(), targets=good[:-1])
    for bad in (2 * good, good * np.float32(np.nan), good - np.float32([1, -1, 0])):
        with pytest.raises(UsageError, match="probabilities"):
            train(SETS, with_teacher(), targets=bad)
