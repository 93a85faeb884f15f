"""Rooms of a walk by its route: beside all ways to divide it, another density, and walks with their truth."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.neighbors import KernelDensity

from tinyloc.data import load_material, load_windows
from tinyloc.data.folds import build_selection
from tinyloc.data.recording import Recording
from tinyloc.data.route import SPREAD_DB, align, log_density, walked
from tinyloc.data.sources.flat import LAPS, route
from tinyloc.errors import DataError


def divisions(samples: int, stages: int, least: int) -> list[list[int]]:
    """Every way to give samples to stages in order, `least` or more to each."""
    return [
        [stage for stage, stay in enumerate(stays) for _ in range(stay)]
        for stays in itertools.product(range(least, samples + 1), repeat=stages)
        if sum(stays) == samples
    ]


@given(st.integers(0, 10_000), st.integers(1, 9), st.integers(1, 4), st.integers(1, 3))
def test_no_other_way_to_divide_a_walk_suits_better(seed: int, samples: int, stages: int, least: int) -> None:
    rng = np.random.default_rng(seed)
    scores, route = rng.normal(size=(samples, 3)), rng.integers(0, 3, stages).tolist()
    ways = divisions(samples, stages, least)
    if not ways:
        with pytest.raises(ValueError, match="too few"):
            align(scores, route, least)
        return
    worth = [sum(scores[t, route[stage]] for t, stage in enumerate(way)) for way in ways]
    found = align(scores, route, least).tolist()
    assert found in ways
    assert sum(scores[t, route[stage]] for t, stage in enumerate(found)) == pytest.approx(max(worth))


@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(1, 30))
def test_the_density_is_a_gaussian_kernels(seed: int, points: int, known: int) -> None:
    rng = np.random.default_rng(seed)
    at, heard = rng.uniform(-90, -40, (7, points)), rng.uniform(-90, -40, (known, points))
    other = KernelDensity(bandwidth=SPREAD_DB).fit(heard).score_samples(at)
    constant = points * np.log(SPREAD_DB * np.sqrt(2 * np.pi))
    assert log_density(at, heard) == pytest.approx(other + constant, rel=1e-6)


def test_an_access_point_that_is_not_heard_says_nothing() -> None:
    heard = np.array([[-50.0, -70.0], [-60.0, np.nan]])
    alone = log_density(np.array([[-55.0]]), heard[:, :1])
    assert log_density(np.array([[-55.0, np.nan]]), heard) == pytest.approx(alone)
    near, far = log_density(np.array([[-55.0, -99.0], [-55.0, -40.0]]), heard[1:])
    assert near > far, "what known recordings do not hear is weak"


def test_a_walk_through_the_simulated_house_is_found() -> None:
    division = load_material("house", minutes=60, rooms=5, access_points=6).division
    known = (*division.train, *division.validation)
    for walk in division.test:
        assert walk.room is not None
        stays = [name for name, _ in itertools.groupby(walk.room.tolist())]
        blind = dataclasses.replace(walk, room=None, position=None)
        found = walked(blind, stays, known)
        assert found.room is not None
        assert [name for name, _ in itertools.groupby(found.room.tolist())] == stays
        assert (found.room == walk.room).mean() > 0.9


def test_a_route_that_cannot_be() -> None:
    known = Recording(np.arange(4.0), np.full((4, 1), -50.0), ("ap",), "known", np.array(list("aabb")))
    walk = dataclasses.replace(known, session="walk", room=None)
    with pytest.raises(DataError, match="'walk' walks through 'c', which no known recording enters"):
        walked(walk, ["a", "c"], [known])
    with pytest.raises(DataError, match="'walk': 4 samples are too few for 3 stays of 2"):
        walked(walk, ["a", "b", "a"], [known], 2)
    with pytest.raises(DataError, match="'walk': a route needs a room"):
        walked(walk, [], [known])
    with pytest.raises(DataError, match="'walk': a stay needs a sample"):
        walked(walk, ["a", "b"], [known], 0)
    with pytest.raises(DataError, match="'walk' has other access points than 'known'"):
        walked(walk, ["a", "b"], [dataclasses.replace(known, access_points=("other",))])
    for nothing in ([], [dataclasses.replace(known, room=None)]):
        with pytest.raises(DataError, match="'walk' walks through 'a', which no known recording enters"):
            walked(walk, ["a", "b"], nothing)


def test_the_route_of_the_flat_leads_through_its_doors(data_dir: Path) -> None:
    there = route(data_dir / "flat" / "path_reference.csv")
    assert there == ("bedroom", "hall", "bath_kitchen", "hall", "living")
    (walk,) = load_material("flat", data_dir=data_dir).division.selection
    assert walk.room is not None
    stays = [name for name, _ in itertools.groupby(walk.room.tolist())]
    assert stays == ["bedroom", *[*there[1:], *there[::-1][1:]] * LAPS]


def test_a_drive_whose_truth_is_known_is_found_by_its_route(data_dir: Path) -> None:
    division = load_material("flat", data_dir=data_dir).division
    (drive,) = division.test
    assert drive.room is not None
    stays = [name for name, _ in itertools.groupby(drive.room.tolist())]
    blind = dataclasses.replace(drive, room=None, position=None)
    found = walked(blind, stays, (*division.train, *division.validation))
    assert (found.room == drive.room).mean() > 0.95


def test_without_the_walk_the_flat_is_as_before(data_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "flat").mkdir()
    for name in ("calibration.csv", "test_robot.csv", "test_walk.csv"):
        (tmp_path / "flat" / name).symlink_to(data_dir / "flat" / name)
    material = load_material("flat", data_dir=tmp_path)
    assert not material.division.selection
    assert material.notes[-1].startswith("path_reference.csv not here (https://")
    assert "no recording selects a study's winners" in material.notes[-1]
    assert load_windows("flat", data_dir=tmp_path).digest == load_windows("flat", data_dir=data_dir).digest


def test_the_walk_of_the_flat_selects_and_does_nothing_else(data_dir: Path) -> None:
    material = load_material("flat", data_dir=data_dir)
    sets, selection = load_windows("flat", data_dir=data_dir), build_selection(material)
    assert selection is not None
    assert not len(selection.test)
    assert selection.validation.sessions == ("test_walk",)
    assert selection.train.rooms == sets.train.rooms
    for part in (sets.train, sets.validation, sets.test):
        assert part.sessions != selection.validation.sessions
        assert not {row.tobytes() for row in part.rssi} & {row.tobytes() for row in selection.validation.rssi}
    assert build_selection(load_material("house", minutes=11, rooms=4, access_points=4)) is None
