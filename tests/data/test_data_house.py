"""The simulated house: deterministic, whole, and as hard as it is meant to be."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import f1_score

from tinyloc.data import Windows, load_windows
from tinyloc.data.floorplan import FLOOR_HEIGHT, build_house
from tinyloc.data.simulate import HousePlan, simulate
from tinyloc.errors import UsageError

SMALL = HousePlan(rooms=4, access_points=4, scripted_minutes=8, unscripted_minutes=8)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6), floors=st.integers(1, 2), rooms=st.integers(4, 16))
def test_a_house_holds_together(seed: int, floors: int, rooms: int) -> None:
    house = build_house(np.random.default_rng(seed), floors, rooms, 5)
    assert len(house.rooms) == rooms
    assert len({room.name for room in house.rooms}) == rooms
    assert {room.floor for room in house.rooms} == set(range(floors))
    for goal in range(rooms):
        way = house.way(0, goal)
        assert (way[0], way[-1]) == (0, goal)
        assert all(pair in house.doors for pair in itertools.pairwise(way))
    for floor in range(floors):
        level = [room for room in house.rooms if room.floor == floor]
        area = (max(r.x1 for r in level) - min(r.x0 for r in level)) * (
            max(r.y1 for r in level) - min(r.y0 for r in level)
        )
        assert sum(room.area for room in level) == pytest.approx(area)


def test_the_same_seed_gives_the_same_house() -> None:
    first, second = simulate(SMALL), simulate(SMALL)
    for one, other in zip(
        first.scripted + first.unscripted, second.scripted + second.unscripted, strict=True
    ):
        assert np.array_equal(one.rssi, other.rssi, equal_nan=True)
        assert np.array_equal(one.acceleration, other.acceleration)
        assert np.array_equal(one.room, other.room)
    other = simulate(HousePlan(rooms=4, access_points=4, scripted_minutes=8, unscripted_minutes=8, seed=1))
    assert not np.array_equal(first.scripted[0].rssi, other.scripted[0].rssi, equal_nan=True)


def test_people_stay_in_rooms_and_radios_report_whole_numbers() -> None:
    days = simulate(SMALL)
    rooms = {room.name: room for room in days.house.rooms}
    for recording in days.scripted + days.unscripted:
        assert recording.room is not None
        assert recording.position is not None
        assert recording.acceleration is not None
        heard = recording.rssi[~np.isnan(recording.rssi)]
        assert np.array_equal(heard, np.rint(heard))
        assert np.isnan(recording.rssi).mean() > 0.05
        inside = 0
        for name, (x, y) in zip(recording.room, recording.position, strict=True):
            room = rooms[str(name)]
            inside += room.x0 - 0.7 <= x <= room.x1 + 0.7 and room.y0 - 0.7 <= y <= room.y1 + 0.7
        assert inside / len(recording) > 0.97
        step = np.linalg.norm(np.diff(recording.position, axis=0), axis=1)
        assert step.max() < 0.5
    for walk in days.scripted:
        assert set(np.unique(walk.room)) == set(rooms)


def test_acceleration_tells_walking_from_sitting() -> None:
    day = simulate(SMALL).unscripted[0]
    assert day.acceleration is not None
    assert day.position is not None
    walks = np.linalg.norm(np.diff(day.position, axis=0), axis=1) > 1e-6
    shake = np.abs(np.diff(np.linalg.norm(day.acceleration, axis=1)))
    assert shake[walks].mean() > 5 * shake[~walks].mean()


def test_floors_and_drift_weaken_the_signal_as_they_should() -> None:
    still = simulate(HousePlan(drift=0.0, scripted_minutes=8, unscripted_minutes=8))
    moved = simulate(HousePlan(drift=6.0, scripted_minutes=8, unscripted_minutes=8))
    assert np.array_equal(still.scripted[0].rssi, moved.scripted[0].rssi, equal_nan=True)
    assert not np.array_equal(still.unscripted[0].rssi, moved.unscripted[0].rssi, equal_nan=True)
    floor = {room.name: room.floor for room in still.house.rooms}
    walk = still.scripted[0]
    assert walk.room is not None
    below = np.array([floor[str(name)] == 0 for name in walk.room])
    for point, place in enumerate(still.house.access_points):
        same = below == (place[2] < FLOOR_HEIGHT)
        levels = np.nan_to_num(walk.rssi[:, point], nan=-95.0)
        assert levels[same].mean() > levels[~same].mean() + 5


def features(windows: Windows) -> np.ndarray:
    heard = windows.rssi != -128
    rssi = np.where(heard, windows.rssi, -105).astype(np.float32)
    return np.concatenate([rssi.mean(1), rssi.max(1), rssi.min(1), rssi.std(1), heard.mean(1)], axis=1)


def test_the_default_house_is_neither_trivial_nor_hopeless() -> None:
    sets = load_windows("house")
    assert sets.simulated
    assert sets.description.startswith("Simulated")
    assert sets.train.rssi.shape[1:] == (20, 8)
    assert len(np.unique(sets.test.room)) == len(sets.train.rooms) == 8
    assert (len(sets.train), len(sets.validation), len(sets.test)) == (1347, 449, 2998)
    forest = RandomForestClassifier(60, random_state=0, n_jobs=1).fit(features(sets.train), sets.train.room)
    score = f1_score(sets.test.room, forest.predict(features(sets.test)), average="macro")
    assert 0.80 < score < 0.95


@pytest.mark.parametrize(
    "options", [{"floors": 3}, {"rooms": 3, "floors": 2}, {"drift": -1}, {"access_points": 0}]
)
def test_houses_that_cannot_be(options: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="house: "):
        HousePlan(**options)
