"""What a family is said not to read has no effect on what is trained; what it reads is let through."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any

import numpy as np
import pytest
from learn_windows import make_sets

from tinyloc.errors import UsageError
from tinyloc.learn.members import Member
from tinyloc.learn.options import Augmentation, TrainOptions
from tinyloc.learn.train import train
from tinyloc.learn.unread import READ_BY, unread
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.models.config import CONFIGS, EnsembleConfig

SETS = make_sets()
OTHER: dict[str, Any] = {
    "hidden": 6, "layers": 2, "state_size": 4, "expand": 3, "heads": 4, "feedforward": 5, "dropout": 0.25,
    "trees": 7, "leaves": 5, "loss": "last", "chunk_steps": 9, "past_steps": 3, "piece_steps": 4, "steps": 9,
    "batch": 7, "rate": 0.02, "warmup": 0.3, "weight_decay": 0.5, "clip": 0.1, "class_weights": 0.7,
    "scaling": "power", "evaluations": 3, "patience": 1, "augmentation": Augmentation(jitter=0.5),
    "device": "auto", "positions": 0.5,
}  # fmt: skip
FAMILIES = tuple(name for name in CONFIGS if name != EnsembleConfig.family)


def short(family: str) -> TrainOptions:
    """Few updates of few candidates, so that nothing but what is asked takes time."""
    if family == "forest":
        return TrainOptions(family=family)
    return TrainOptions(family=family, hidden=4, steps=6, scaling="minmax", augmentation=Augmentation())


@cache
def weights(options: TrainOptions) -> dict[str, bytes]:
    checkpoint: Checkpoint = train(SETS, options)
    return {name: np.asarray(one).tobytes() for name, one in checkpoint.weights.items()}


def test_each_option_that_some_do_not_read_is_tried() -> None:
    assert set(OTHER) == set(READ_BY)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", OTHER)
def test_what_is_not_read_changes_nothing(family: str, name: str) -> None:
    usual = short(family)
    try:
        asked = dataclasses.replace(usual, **{name: OTHER[name]})
    except UsageError:
        return  # refused at once
    said = unread(asked)
    of_carried = name in ("chunk_steps", "past_steps")  # and this one is reset
    assert (name in said) == (family not in READ_BY[name] or of_carried)
    if name in said:
        try:
            found = weights(asked)
        except UsageError:
            return  # refused where it is built
        assert found == weights(usual)


def test_the_usual_options_are_read() -> None:
    for family in FAMILIES:
        assert unread(TrainOptions(family=family)) == {}
    assert unread(TrainOptions(state="carried", chunk_steps=90, past_steps=20, piece_steps=40)) == {}
    assert unread(TrainOptions(family="forest", seed=3, restarts=2, least_heard=0.1, refit=True)) == {}


def test_a_carried_state_learns_at_every_step() -> None:
    usual = dataclasses.replace(short("mamba"), state="carried", chunk_steps=40, past_steps=8)
    asked = dataclasses.replace(usual, loss="last")
    assert unread(usual) == {}
    assert list(unread(asked)) == ["loss"]
    assert weights(asked) == weights(usual)


def test_of_an_ensemble_what_any_member_reads_is_read() -> None:
    members = (Member("mamba", 4), Member("forest", trees=3, leaves=4))
    asked = TrainOptions(family="ensemble", members=members, state_size=4, rate=0.1, hidden=16, heads=4)
    assert unread(asked) == {
        "hidden": "each member of an ensemble has its own",
        "heads": "no member of this ensemble reads it",
    }
