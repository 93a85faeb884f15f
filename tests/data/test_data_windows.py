"""Windows: the grid, the filling, and the proof that nothing leaks from one set into another."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from tinyloc.data import Recording, Windows, load_material, load_windows, make_windows
from tinyloc.data.sources.csv import divide
from tinyloc.data.splits import Material, build_sets, rooms_of, split_stays, split_time
from tinyloc.data.windows import find_runs, gap_for, joined
from tinyloc.errors import SplitError

STEP = 0.25
BASE, DIGITS = 140, 3


def tagged(session: str, first: int, steps: list[float], rooms: list[str]) -> Recording:
    """A recording whose RSSI spells each sample's number, in base 140 over three access points."""
    numbers = first + np.arange(len(steps))
    digits = np.column_stack([numbers // BASE**place % BASE for place in range(DIGITS)])
    return Recording(
        time=1000.0 + np.cumsum(steps),
        rssi=digits - 125.0,
        access_points=("low", "middle", "high"),
        session=session,
        room=np.array([rooms[index % len(rooms)] for index in range(len(steps))]),
    )


def numbers_in(windows: Windows) -> set[int]:
    """The numbers of all samples that these windows hold; steps without a sample are skipped."""
    cells = windows.rssi.reshape(-1, DIGITS).astype(int)
    cells = cells[(cells != -128).all(axis=1)] + 125
    return set((cells * BASE ** np.arange(DIGITS)).sum(axis=1).tolist())


@st.composite
def sessions(draw: st.DrawFn) -> list[Recording]:
    made, first = [], 0
    for number in range(draw(st.integers(1, 6))):
        count = draw(st.integers(30, 120))
        jitter = draw(
            st.lists(st.sampled_from([0.05, 0.2, 0.25, 0.3, 0.9, 2.9, 3.1, 60.0]), min_size=4, max_size=9)
        )
        steps = [jitter[index % len(jitter)] if index % 7 == 0 else STEP for index in range(count)]
        made.append(tagged(f"s{number}", first, steps, ["a", "b", ""] if count % 2 else ["b", "a"]))
        first += count
    return made


@settings(max_examples=120, deadline=None, derandomize=True)
@given(recordings=sessions(), steps=st.integers(1, 9), hop=st.integers(1, 4))
def test_no_sample_in_two_sets(recordings: list[Recording], steps: int, hop: int) -> None:
    try:
        division = divide(Path("x.csv"), recordings, (), ())
    except SplitError:
        reject()  # a session of mostly gaps, whose end holds no sample
    rooms = rooms_of(recordings)
    found = []
    for part in (division.train, division.validation, division.test):
        windows = make_windows(part, rooms, steps, hop, STEP, fill_seconds=0.0)
        held = numbers_in(windows)
        allowed = {
            int(number)
            for recording in part
            for number in ((recording.rssi + 125) @ BASE ** np.arange(DIGITS)).astype(int)
        }
        assert held <= allowed
        found.append(held)
        check_spans(windows, part, gap_for(STEP))
    for one_set, other in itertools.combinations(found, 2):
        assert not one_set & other


def check_spans(windows: Windows, recordings: tuple[Recording, ...], gap: float) -> None:
    """No window reaches beyond one run of its session."""
    assert np.all(np.diff(windows.session) >= 0)
    assert np.all(windows.room >= 0)
    assert np.array_equal(windows.room, windows.rooms_at[:, -1])
    half = windows.seconds_per_step / 2
    for number, recording in enumerate(recordings):
        runs = [(recording.time[a], recording.time[b - 1]) for a, b in find_runs(recording.time, gap)]
        ends = windows.end_time[windows.session == number]
        assert np.all(np.diff(ends) > 0)
        starts = ends - (windows.steps - 1) * windows.seconds_per_step
        inside = np.zeros(len(ends), bool)
        for first, last in runs:
            inside |= (starts >= first - 1e-6) & (ends <= last + half + 1e-6)
        assert inside.all()


NAMES = (
    ("flat", {}),
    *(
        (f"walks:{site}", {"phone": phone})
        for site in ("library", "canteen", "carpark")
        for phone in (13, 24)
    ),
    *((f"walks:{site}", {"phone": 13, "test_phone": 24}) for site in ("library", "carpark")),
    ("tracks", {}),
    ("house", {"minutes": 16, "rooms": 4, "access_points": 3}),
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(recordings=sessions(), steps=st.integers(1, 9), noted=st.booleans())
def test_a_position_is_that_of_the_sample_that_is_heard(
    recordings: list[Recording], steps: int, noted: bool
) -> None:
    """RSSI spells each sample's number, and so does its position: they never part. Where no sample is heard
    there is no position, and none in a session that noted none."""
    placed = []
    for recording in recordings:
        numbers = ((recording.rssi + 125) * BASE ** np.arange(DIGITS)).sum(axis=1)
        place = np.column_stack([numbers, -numbers])
        placed.append(dataclasses.replace(recording, position=place))
    if not noted:
        placed[0] = dataclasses.replace(placed[0], position=None)
    windows = make_windows(placed, ("a", "b"), steps, 1, STEP)
    if not noted and len(recordings) == 1:
        assert windows.positions_at is None
        return
    cells = windows.rssi.astype(int)
    heard = (cells != -128).all(axis=2)
    heard &= noted | (windows.session > 0)[:, None]
    spelled = ((cells + 125) * BASE ** np.arange(DIGITS)).sum(axis=2).astype(np.float32)
    assert windows.positions_at is not None
    assert windows.positions_at.dtype == np.float32
    assert np.array_equal(windows.positions_at[heard], np.stack([spelled, -spelled], axis=2)[heard])
    assert np.isnan(windows.positions_at[~heard]).all()
    half = windows.rows(slice(len(windows) // 2))
    rest = windows.rows(np.arange(len(windows)) >= len(windows) // 2)
    both = joined(half, dataclasses.replace(rest, positions_at=None))
    assert both.positions_at is not None
    assert np.array_equal(both.positions_at[: len(half)], windows.positions_at[: len(half)], equal_nan=True)
    assert np.isnan(both.positions_at[len(half) :]).all()


@pytest.mark.parametrize(("name", "options"), NAMES)
def test_no_bundled_source_leaks(
    name: str, options: dict[str, object], request: pytest.FixtureRequest
) -> None:
    folder = None if name == "house" else request.getfixturevalue("data_dir")
    material = load_material(name, data_dir=folder, **options)
    division, protocol = material.division, material.protocol
    seen: dict[bytes, str] = {}
    for role, recordings in (
        ("train", division.train),
        ("validation", division.validation),
        ("test", division.test),
    ):
        for recording in recordings:
            assert recording.position is not None
            rows = np.column_stack(
                [recording.time, recording.position, np.nan_to_num(recording.rssi, nan=1.0)]
            )
            for row in rows:
                assert seen.setdefault(row.tobytes(), role) == role
    sets = build_sets(material)
    for windows, recordings in (
        (sets.train, division.train),
        (sets.validation, division.validation),
        (sets.test, division.test),
    ):
        check_spans(windows, recordings, gap_for(protocol.seconds_per_step, protocol.gap_seconds))
    assert set(np.unique(sets.test.room)) <= set(np.unique(sets.train.room))
    assert len(np.unique(sets.validation.room)) == len(sets.train.rooms)


def test_uji_visits_do_not_leak(data_dir: Path) -> None:
    material = load_material("uji", data_dir=data_dir)
    visits = []
    for part in (material.division.train, material.division.validation):
        keys: set[tuple[object, ...]] = set()
        for recording in part:
            assert recording.position is not None
            assert recording.room is not None
            person = recording.session.split(": ")[1]
            places = (tuple(place) for place in recording.position)
            keys |= {(person, place, room) for place, room in zip(places, recording.room, strict=True)}
        visits.append(keys)
    assert not visits[0] & visits[1]


# --- the grid ---------------------------------------------------------------------------------------------


def one(time: list[float], rssi: list[float], room: list[str] | None = None) -> Recording:
    return Recording(
        np.array(time),
        np.array(rssi)[:, None],
        ("ap",),
        "s",
        np.array(room if room else ["a"] * len(time)),
    )


def test_a_value_is_held_for_one_second_then_not_heard() -> None:
    windows = make_windows([one([0, 0.5, 1, 1.5, 2, 2.5], [-50, *[np.nan] * 5])], ["a"], 6, 1, 0.5)
    assert windows.rssi[0, :, 0].tolist() == [-50, -50, -50, -128, -128, -128]


def test_rounding_is_to_the_nearest_even_and_within_int8() -> None:
    windows = make_windows([one([0, 1, 2, 3], [-127, -60.5, -61.5, 20])], ["a"], 4, 1, 1.0)
    assert windows.rssi[0, :, 0].tolist() == [-127, -60, -62, 20]


def test_a_sample_belongs_to_its_nearest_step_and_the_later_wins() -> None:
    windows = make_windows([one([0, 0.9, 1.1, 2.4], [-1, -2, -3, -4])], ["a"], 3, 1, 1.0)
    assert windows.rssi[0, :, 0].tolist() == [-1, -3, -4]
    assert windows.end_time.tolist() == [2.0]


def test_a_gap_starts_a_new_grid() -> None:
    recording = one([0, 1, 2, 6.5, 7.5, 8.5], [-1, -2, -3, -4, -5, -6])
    whole = make_windows([recording], ["a"], 3, 1, 1.0)  # 4.5 s are no gap: five steps are longer
    assert whole.end_time.tolist() == [2, 3, 7, 8, 9]  # steps 4 to 6 have no room
    cut = make_windows([recording], ["a"], 3, 1, 1.0, gap_seconds=3.0)
    assert cut.rssi[:, :, 0].tolist() == [[-1, -2, -3], [-4, -5, -6]]


def test_a_window_without_a_room_at_its_end_is_left_out() -> None:
    windows = make_windows([one([0, 1, 2, 3], [-1] * 4, ["a", "", "b", ""])], ["a", "b"], 2, 1, 1.0)
    assert windows.rooms_at.tolist() == [[-1, 1]]


def test_each_sample_is_a_window_where_there_is_no_grid() -> None:
    windows = make_windows([one([0, 1e-4, 500], [-1, np.nan, -3])], ["a"], 1, 1, 0.0)
    assert windows.rssi[:, 0, 0].tolist() == [-1, -128, -3]


def test_refusals() -> None:
    with pytest.raises(SplitError, match="'b', which is never seen"):
        make_windows([one([0, 1], [-1, -2], ["a", "b"])], ["a"], 1, 1, 1.0)
    with pytest.raises(SplitError, match="cannot be made"):
        make_windows([one([0, 1], [-1, -2])], ["a"], 2, 1, 0.0)
    with pytest.raises(SplitError, match="a longer step"):
        make_windows([one([0, 1], [-1, -2])], ["a"], 1, 1, 1e-9)
    with pytest.raises(SplitError, match="too short to be divided"):
        split_time(one([0, 1], [-1, -2]), 0.25, 10.0)
    sound = one(list(range(40)), [-1] * 40, ["a"] * 40)
    with pytest.raises(SplitError, match="only 'a'"):
        build_sets(Material("x", divide(Path("x"), [sound], (), ()), load_material("house").protocol, "", ""))


def test_stays_are_divided_apart() -> None:
    around, middle = split_stays(one(list(range(16)), list(range(-16, 0)), ["a"] * 8 + ["b"] * 8), 0.25)
    assert [len(part) for part in middle] == [2, 2]
    assert sorted(time for part in (*around, *middle) for time in part.time.tolist()) == list(range(16))


# --- what the sources deliver -----------------------------------------------------------------------------

COUNTS = {
    "flat": (4, 6, 20),
    "walks:library": (3, 6, 10),
    "walks:canteen": (4, 6, 10),
    "walks:carpark": (3, 6, 10),
    "tracks": (6, 12, 10),
    "uji": (60, 520, 1),
}


@pytest.mark.parametrize("name", COUNTS)
def test_shapes_of_the_sources(name: str, data_dir: Path) -> None:
    sets = load_windows(name, data_dir=data_dir)
    rooms, points, steps = COUNTS[name]
    for windows in (sets.train, sets.validation, sets.test):
        assert windows.rssi.dtype == np.int8
        assert windows.rssi.shape[1:] == (steps, points)
        assert len(windows.rooms) == rooms
        assert len(windows) > 30
        assert (windows.acceleration is not None) == name.startswith("walks")
        assert windows.positions_at is not None
        assert windows.positions_at.shape == (*windows.rooms_at.shape, 2)
    assert len(np.unique(sets.train.room)) == rooms
    assert not sets.simulated
    if name == "uji":
        assert len(np.unique(sets.test.room)) == 58
        assert len(sets.train) + len(sets.validation) == 19937
        assert len(sets.test) == 1111
    if name == "tracks":
        assert sets.notes == (
            "2 packets of straight_05_all_sensors.mbd of +29, +42 dBm dropped: outside -127..20, what a "
            "radio can report.",
        )
    if sets.train.acceleration is not None:
        size = np.linalg.norm(sets.train.acceleration, axis=2)
        assert 0.9 < float(np.median(size)) < 1.1
