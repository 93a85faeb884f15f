"""What --tune makes of training's options."""

from __future__ import annotations

import pytest

from tinyloc.cli.options import train_options
from tinyloc.errors import UsageError
from tinyloc.learn.options import Augmentation, TrainOptions


def test_an_augmentation_comes_by_the_names_of_its_shares() -> None:
    words = ["offset=0.25", "jitter=0.2", "shadowing=0.5", "packets=0.05", "lost=0.1"]
    asked = train_options(
        {"hidden": 4, "state": "carried"},
        [*words, "rate=0.003", "piece-steps=40", "refit=true", "positions=0.9"],
    )
    how = Augmentation(offset=0.25, jitter=0.2, packets=0.05, access_points=0.1, shadowing=0.5)
    assert asked.augmentation == how
    assert (asked.hidden, asked.rate, asked.piece_steps, asked.refit) == (4, 0.003, 40, True)
    assert asked.positions == 0.9
    assert train_options({}, None) == TrainOptions()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("shadowing", "expected NAME=VALUE"),
        ("shadowing=much", "expected a number"),
        ("batch=nan", "expected a whole number"),
        ("batch=inf", "expected a whole number"),
        ("shadowing=-1", "augmentation by shadowing is -1: expected a number of at least 0"),
        ("positions=1", "a share of positions from 0 to below 1"),
        ("shadow=0.5", "expected one of .*shadowing"),
    ],
)
def test_a_wrong_one_is_an_error(words: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        train_options({}, [words])
