"""Folds of a cross-validation: what trains and validates is judged once, by what the rest of it trained."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
from byrne_trees import ONCE, ROUND, house, unpack
from hypothesis import given
from hypothesis import strategies as st
from recording_samples import rows, write

from tinyloc.data import load_folds, load_material, load_windows
from tinyloc.data.folds import MOST_FOLDS, QUARTERS, build_folds, fold_sessions, fold_stays, fold_time
from tinyloc.data.recording import Recording
from tinyloc.data.sources.uji import visit_quarters
from tinyloc.data.splits import Fold, Material, rooms_of
from tinyloc.errors import SplitError


def recording(time: list[float], room: list[str], session: str = "s") -> Recording:
    count = len(time)
    return Recording(
        np.array(time, float), np.full((count, 1), -50.0), ("ap",), session, np.array(room, np.str_)
    )


def moments(parts: tuple[Recording, ...]) -> list[float]:
    return sorted(time for part in parts for time in part.time.tolist())


steps = st.lists(st.floats(0.05, 3.0), min_size=8, max_size=60)


@given(st.integers(2, 20))
def test_each_session_validates_once(count: int) -> None:
    sessions = [recording([0, 1], ["a", "b"], f"s{i}") for i in range(count)]
    folds = fold_sessions(sessions)
    assert len(folds) == min(count, MOST_FOLDS)
    assert [one.session for fold in folds for one in fold.validation] == [one.session for one in sessions]
    for fold in folds:
        names = {one.session for one in fold.train}
        assert names | {one.session for one in fold.validation} == {one.session for one in sessions}
        assert len(fold.train) + len(fold.validation) == count
        assert fold.train


@given(steps, st.floats(0, 2.0))
def test_quarters_of_the_time_stand_apart(steps: list[float], gap: float) -> None:
    time = np.cumsum(steps)
    whole = recording(time.tolist(), ["a"] * len(time))
    folds = fold_time([whole], gap)
    assert len(folds) == QUARTERS
    held = [moment for fold in folds for moment in moments(fold.validation)]
    assert len(set(held)) == len(held), "no sample validates twice"
    borders = time[0] + whole.duration * np.array([1, 2, 3]) / 4
    far = [moment for moment in time.tolist() if (abs(moment - borders) > gap / 2 + 1e-9).all()]
    assert set(far) <= set(held), "all but what is near a border validates"
    for fold in folds:
        train, judged = moments(fold.train), moments(fold.validation)
        assert not set(train) & set(judged)
        for one in judged:
            assert all(abs(one - other) >= gap - 1e-9 for other in train)
        names = [part.session for part in (*fold.train, *fold.validation)]
        assert len(set(names)) == len(names)


@given(steps, st.lists(st.sampled_from("ab"), min_size=8, max_size=60))
def test_quarters_of_each_stay_cover_it(steps: list[float], names: list[str]) -> None:
    count = min(len(steps), len(names))
    whole = recording(np.cumsum(steps[:count]).tolist(), names[:count])
    folds = fold_stays(whole)
    held = sorted(moment for fold in folds for moment in moments(fold.validation))
    assert len(set(held)) == len(held)
    for fold in folds:
        assert moments((*fold.train, *fold.validation)) == whole.time.tolist()
    last = [time for time, here, there in zip(whole.time, names, [*names[1:count], ""], strict=False)
            if here != there]  # fmt: skip
    assert set(whole.time.tolist()) - set(held) <= set(last), "but a stay's last sample may only train"


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 9)), min_size=1, max_size=80))
def test_a_visit_stays_whole(places: list[tuple[str, int]]) -> None:
    areas = np.array([area for area, _ in places], np.str_)
    visits = np.array([visit for _, visit in places], np.int64)
    quarters = visit_quarters(areas, visits)
    assert ((quarters >= 0) & (quarters < 4)).all()
    for visit in np.unique(visits):
        assert len(np.unique(quarters[visits == visit])) == 1


def test_the_folds_of_a_house(tmp_path: Path) -> None:
    options = {"minutes": 20, "rooms": 4, "access_points": 5}
    sets, folds = load_windows("house", **options), load_folds("house", **options)
    sessions = [*sets.train.sessions, *sets.validation.sessions]
    assert [fold.validation.sessions for fold in folds] == [(name,) for name in sessions]
    assert len({fold.digest for fold in folds} | {sets.digest}) == len(folds) + 1
    together = sorted(map(bytes, np.concatenate([fold.validation.rssi for fold in folds])))
    assert together == sorted(map(bytes, np.concatenate([sets.train.rssi, sets.validation.rssi])))
    for fold in folds:
        assert fold.train.rooms == sets.train.rooms
        assert not set(fold.train.sessions) & set(fold.validation.sessions)
        assert not set(sets.test.sessions) & {*fold.train.sessions, *fold.validation.sessions}
        assert len(fold.test) == 0, "nothing of the test is there to be looked at"
        assert fold.simulated


def of_folds(*folds: Fold) -> Material:
    material = load_material("house", minutes=20, rooms=4, access_points=5)
    return dataclasses.replace(material, division=dataclasses.replace(material.division, folds=folds))


def only(one: Recording, *rooms: str) -> Recording:
    assert one.room is not None
    return dataclasses.replace(one, room=np.where(np.isin(one.room, rooms), one.room, ""))


def test_a_room_that_a_fold_cannot_know_is_not_asked_for() -> None:
    material = load_material("house", minutes=20, rooms=4, access_points=5)
    first, second, *_ = material.division.train
    hidden, *others = rooms_of([first])
    poor, whole = build_folds(of_folds(Fold((only(first, *others),), (second,)), Fold((first,), (second,))))
    asked = poor.train.rooms.index(hidden)
    assert asked not in poor.train.room
    assert asked not in poor.validation.room
    kept = whole.validation.room != asked
    assert np.array_equal(poor.validation.room, whole.validation.room[kept])
    assert np.array_equal(poor.validation.rssi, whole.validation.rssi[kept])


def test_folds_that_cannot_be_are_left_out() -> None:
    first, second, third, *_ = load_material("house", minutes=20, rooms=4, access_points=5).division.train
    room = rooms_of([first])[0]
    good = Fold((first, second), (third,)), Fold((second, third), (first,))
    bad = (
        Fold((only(first, room),), (second,)),  # one room to train on
        Fold((first,), (second.part(0, 3, "short"),)),  # too short to validate
        Fold((first,), (only(second),)),  # not annotated
        Fold((), (second,)),
        Fold((first,), ()),
    )
    found = build_folds(of_folds(good[0], *bad, good[1]))
    assert [fold.validation.sessions for fold in found] == [(third.session,), (first.session,)]
    with pytest.raises(SplitError, match="house: 1 fold of 6 can train and validate"):
        build_folds(of_folds(good[0], *bad))


def test_one_session_has_no_other_to_be_judged_by() -> None:
    material = load_material("house", minutes=20, rooms=4, access_points=5)
    division = dataclasses.replace(material.division, train=material.division.train[:1], validation=())
    with pytest.raises(SplitError, match="house: 0 folds of 1"):
        build_folds(dataclasses.replace(material, division=division))


def test_a_session_with_a_pause(tmp_path: Path) -> None:
    """A quarter in which nothing was recorded is no fold."""
    table = rows(1200, sessions=1)
    late = [[f"{float(row[0]) + 100:.1f}", *row[1:]] if i > 200 else row for i, row in enumerate(table[1:])]
    folds = load_folds(str(write(tmp_path / "pause.csv", [table[0], *late])), steps=10, hop=5)
    assert len(folds) == QUARTERS - 1


def test_one_session_of_ones_own_is_divided_by_its_time(tmp_path: Path) -> None:
    path = write(tmp_path / "one.csv", rows(1200, sessions=1))
    folds = load_folds(str(path), steps=10, hop=5)
    assert len(folds) == QUARTERS
    assert all(len(fold.validation) > 5 for fold in folds)
    ends = [fold.validation.end_time for fold in folds]
    assert all(before.max() < after.min() for before, after in itertools.pairwise(ends))


def test_several_sessions_of_ones_own_take_turns(tmp_path: Path) -> None:
    path = write(tmp_path / "several.csv", rows(1800, sessions=6))
    material = load_material(str(path), steps=10, hop=5)
    sessions = [one.session for one in (*material.division.train, *material.division.validation)]
    assert [fold.validation.sessions for fold in build_folds(material)] == [(name,) for name in sessions]


@pytest.mark.parametrize("walk", [ROUND, ONCE, (1, 2, 3, 2, 3, 2, 3, 2)])
def test_a_fingerprint_walk_is_divided_by_its_time_or_that_in_each_room(
    walk: tuple[int, ...], tmp_path: Path
) -> None:
    unpack(tmp_path / "byrne", house(walk))
    folds = load_folds("byrne:A", data_dir=tmp_path)
    assert len(folds) == QUARTERS
    judged = np.concatenate([fold.validation.room for fold in folds])
    assert set(judged) == set(range(len(folds[0].train.rooms))), "every room is judged"
    for fold in folds:
        assert not set(fold.train.end_time.tolist()) & set(fold.validation.end_time.tolist())
        assert len(np.unique(fold.train.room)) > 1


COUNTS = {"flat": 4, "walks:library": 3, "walks:canteen": 5, "walks:carpark": 4, "tracks": 6, "uji": 4}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name == "uji" else ()) for name in COUNTS]
)
def test_folds_of_the_real_recordings(name: str, data_dir: Path) -> None:
    sets, folds = load_windows(name, data_dir=data_dir), load_folds(name, data_dir=data_dir)
    assert len(folds) == COUNTS[name]
    judged = sum(len(fold.validation) for fold in folds)
    assert 0.9 * (len(sets.train) + len(sets.validation)) <= judged <= len(sets.train) + len(sets.validation)
    for fold in folds:
        assert set(np.unique(fold.validation.room)) <= set(np.unique(fold.train.room))
        assert len(fold.test) == 0
