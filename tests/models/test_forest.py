"""The small forest as arrays: packed from scikit-learn's, counted, refused where it would go astray."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from model_windows import make_windows
from sklearn.ensemble import ExtraTreesClassifier

from tinyloc.errors import ModelFileError, UsageError
from tinyloc.models import families, forest
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.models.config import ForestConfig, describe, is_network, parameters
from tinyloc.models.scaling import InputScaling

WINDOWS = make_windows(count=120, steps=8, points=5, rooms=3)
SCALING = InputScaling.fit("minmax", WINDOWS)


def checkpoint(steps: int = 8) -> Checkpoint:
    config = ForestConfig(5, 3, 4, 8)
    weights = forest.full(config, steps)
    names = WINDOWS.rooms, WINDOWS.access_points
    return Checkpoint(config, SCALING, weights, *names, steps, 0.2 * (steps > 1), "reset")


@pytest.mark.parametrize("rooms", [[0, 1, 2], [2, 0]])
def test_packed_trees_vote_as_scikit_learns(rooms: list[int]) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(-12000, -4000, (200, 6)).astype(np.int16)
    room = np.array(rooms)[(x[:, 0] + x[:, 1] > -16000).astype(int) + (x[:, 2] > -5000) * (len(rooms) > 2)]
    model = ExtraTreesClassifier(7, max_leaf_nodes=20, min_samples_leaf=3, random_state=0).fit(x, room)
    trees = [
        (
            tree.feature,
            tree.threshold,
            tree.children_left,
            tree.children_right,
            model.classes_[tree.value[:, 0].argmax(axis=1)],
        )
        for tree in (estimator.tree_ for estimator in model.estimators_)
    ]
    parts = forest.pack(trees)
    fresh = rng.integers(-12000, -4000, (500, 6)).astype(np.int16)
    wanted = np.zeros((500, 3), np.int64)
    for estimator in model.estimators_:
        wanted[np.arange(500), model.classes_[estimator.predict(fresh).astype(int)]] += 1
    assert np.array_equal(forest.votes(parts, fresh, 3), wanted)
    assert forest.fault(parts, 6, 3) == ""
    inner = sum(int((tree[2] >= 0).sum()) for tree in trees)
    assert 0 < len(parts["feature"]) < inner, "no node is kept whose two leaves agree"


def test_a_single_sample_is_read_as_it_is() -> None:
    rssi = np.array([[[-128, -70]], [[-127, 20]]], np.int8)
    assert forest.features(rssi).tolist() == [[-128, -70], [-127, 20]]
    assert (forest.feature_count(520, 1), forest.feature_count(6, 20)) == (520, 36)


def test_what_counts_as_a_parameter() -> None:
    full = ForestConfig(6, 4, 10, 64)
    assert (full.name, full.nodes, parameters(full)) == ("10x64", 630, 3 * 630 + 10)
    assert parameters(ForestConfig(6, 4, 10, 64, 200)) == 610
    about = describe(full)
    assert (about["size"], about["trees"], about["parameters_paper"]) == ("10x64", 10, None)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((0, 8), "whole number of at least 1"),
        ((1001, 8), "at most 1,000 trees"),
        ((3, 1), "2 to 256 leaves, not 1"),
        ((3, 257), "2 to 256 leaves"),
        ((3, 8, 22), "cannot have 22 nodes"),
        ((3, 8, -1), "whole number"),
        ((3.5, 8), "whole number"),
        ((3, "8"), "whole number"),
    ],
)
def test_shapes_that_cannot_be(shape: tuple[int, ...], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        ForestConfig(5, 3, *shape)


def test_it_is_saved_and_read_back() -> None:
    made = checkpoint()
    loaded = Checkpoint.from_bytes(made.to_bytes())
    assert loaded.config == made.config
    assert loaded.to_bytes() == made.to_bytes()
    assert all(np.array_equal(loaded.weights[name], made.weights[name]) for name in made.weights)


@pytest.mark.parametrize(
    ("name", "at", "value", "said"),
    [
        ("left", 0, 7, "does not lead down"),
        ("left", 6, 1, "does not lead down"),
        ("left", 0, -1, "does not lead down"),
        ("feature", 2, 30, "feature that is not there"),
        ("feature", 2, 1.5, "not whole"),
        ("room", 5, 3, "leaf of no room"),
        ("threshold", 1, 40000, "beyond 16 bits"),
        ("inner", 0, 6, "other sizes"),
    ],
)
def test_a_file_with_a_bad_forest_is_refused(name: str, at: int, value: float, said: str) -> None:
    made = checkpoint()
    made.weights[name][at] = value
    with pytest.raises(ModelFileError, match=said):
        Checkpoint.from_bytes(made.to_bytes())


def test_a_tree_keeps_to_its_leaves_and_a_sample_to_its_byte() -> None:
    made = checkpoint()
    with pytest.raises(UsageError, match="too many leaves"):
        dataclasses.replace(made, config=ForestConfig(5, 3, 7, 5, 28), weights=made.weights | {
            "inner": np.array([7, 7, 7, 7, 0, 0, 0], np.float32), "room": np.zeros(35, np.float32),
        })  # fmt: skip
    single = checkpoint(steps=1)
    single.weights["threshold"][0] = 300
    with pytest.raises(UsageError, match="no sample reaches"):
        dataclasses.replace(single)
    with pytest.raises(UsageError, match="keeps no state"):
        dataclasses.replace(made, state="carried")


def test_it_is_no_network() -> None:
    assert not is_network("forest")
    with pytest.raises(UsageError, match="no network in floating point"):
        families.build(ForestConfig(5, 3))
