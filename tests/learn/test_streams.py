from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from learn_windows import walk

from tinyloc.errors import UsageError
from tinyloc.learn.augment import augment
from tinyloc.learn.options import Augmentation, candidates, is_sparse, resolve, spread
from tinyloc.learn.options import TrainOptions as Options
from tinyloc.learn.score import cross_entropy, macro_f1
from tinyloc.learn.streams import chunks, pieces, streams


@given(
    steps=st.integers(1, 12),
    hop=st.integers(1, 12),
    seed=st.integers(0, 99),
    drop=st.sets(st.integers(0, 30)),
)
@settings(deadline=None, max_examples=40)
def test_streams_hold_every_window_in_its_place_and_every_sample_once(steps, hop, seed, drop):
    whole = walk(seed, length=60, steps=steps, hop=min(hop, steps))
    left = np.array([i for i in range(len(whole)) if i not in drop], int)
    arrays = ("rssi", "rooms_at", "room", "session", "end_time")
    windows = dataclasses.replace(whole, **{name: getattr(whole, name)[left] for name in arrays})
    seen = []
    for stream in streams(windows):
        for end, window in zip(stream.ends, stream.windows, strict=True):
            assert np.array_equal(stream.rssi[end - steps + 1 : end + 1], windows.rssi[window])
            assert np.array_equal(stream.rooms_at[end - steps + 1 : end + 1], windows.rooms_at[window])
            seen.append(int(window))
        first, last = windows.end_time[stream.windows[[0, -1]]]
        assert len(stream.rssi) == round((last - first) / 0.2) + steps
    assert seen == list(range(len(windows)))


def test_no_windows_are_no_streams():
    whole = walk(0)
    arrays = ("rssi", "rooms_at", "room", "session", "end_time")
    none = dataclasses.replace(whole, **{name: getattr(whole, name)[:0] for name in arrays})
    assert streams(none) == []


def test_another_session_starts_another_stream():
    windows = walk(0)
    session = (np.arange(len(windows)) >= 10).astype(np.int32)
    assert [len(s.windows) for s in streams(dataclasses.replace(windows, session=session))] == [10, 49]


def test_chunks_cover_everything_and_fill_what_is_short():
    windows = walk(0, length=110)
    rssi, rooms = chunks(windows, 40)
    assert rssi.shape == (5, 40, 4)
    stream = streams(windows)[0]
    assert np.array_equal(rssi[1], stream.rssi[20:60])
    filled = 80 + 40 - len(stream.rssi)
    assert (rssi[4, -filled:] == -128).all()
    assert (rooms[4, -filled:] == -1).all()
    assert (rooms[4, :-filled] >= 0).all()


@given(piece=st.integers(1, 70), steps=st.integers(1, 150), seed=st.integers(0, 99), cut=st.integers(1, 58))
@settings(deadline=None, max_examples=40)
def test_a_piece_lies_in_one_stretch_and_any_may_come(piece, steps, seed, cut):
    whole = walk(seed, length=60, steps=8, hop=1)
    session = (np.arange(len(whole)) >= cut).astype(np.int32)
    windows = dataclasses.replace(whole, session=session)
    found = pieces(windows, piece)
    at = found.draw(3, steps, piece, np.random.default_rng(seed))
    assert at.shape[0] == 3
    assert at.shape[2] == piece
    assert 0 <= at.shape[1] * piece - steps < piece
    parts = streams(windows)
    allowed = {}
    for stream in parts:
        short = max(piece - len(stream.rssi), 0)
        rssi = np.pad(stream.rssi, ((0, short), (0, 0)), constant_values=-128)
        rooms = np.pad(stream.rooms_at, (0, short), constant_values=-1)
        for start in range(len(rssi) - piece + 1):
            part = slice(start, start + piece)
            allowed.setdefault(rssi[part].tobytes() + rooms[part].tobytes(), 0)
    for one in at.reshape(-1, piece):
        assert found.rssi[one].tobytes() + found.rooms_at[one].tobytes() in allowed
    ways = found.starts[:, None] + np.arange(piece)
    assert {found.rssi[one].tobytes() + found.rooms_at[one].tobytes() for one in ways} == set(allowed)


def test_single_samples_have_no_stream():
    with pytest.raises(UsageError, match="no order in time"):
        streams(dataclasses.replace(walk(0, steps=1), seconds_per_step=0.0))


def test_no_augmentation_changes_nothing():
    windows = walk(0)
    assert np.array_equal(
        augment(windows.rssi, Augmentation(), spread(windows), np.random.default_rng(0)), windows.rssi
    )


def test_augmentation_keeps_to_what_a_radio_can_say():
    windows = walk(0)
    how = Augmentation(offset=5, jitter=5, packets=0.1, access_points=0.2)
    altered = augment(windows.rssi, how, spread(windows), np.random.default_rng(0))
    assert altered.dtype == np.int8
    assert altered.max() <= 0
    assert (altered[windows.rssi == -128] == -128).all()
    silent = (altered == -128).all(axis=1).mean()
    assert 0.1 < silent < 0.3


def test_offset_moves_a_window_as_one_by_each_access_points_own_spread():
    rssi = np.full((2000, 3, 2), -60, np.int8)
    moved = augment(rssi, Augmentation(offset=1), np.array([2, 8], np.float32), np.random.default_rng(0)) + 60
    assert (moved == moved[:, :1]).all()
    assert moved[:, 0].std(axis=0) == pytest.approx([2, 8], rel=0.1)


def test_shadowing_is_slow_and_of_each_access_point_by_itself():
    rssi, how = np.full((4000, 12, 2), -60, np.int8), Augmentation(shadowing=2)
    moved = augment(rssi, how, np.array([4, 8], np.float32), np.random.default_rng(0)) + 60.0
    for step in (0, 5, 11):  # of the same strength from the first step on
        assert moved[:, step].std(axis=0) == pytest.approx([8, 16], rel=0.05)
    together = np.corrcoef(moved.reshape(len(moved), -1).T).reshape(12, 2, 12, 2)
    for lag in (1, 3, 10):
        for point in range(2):
            assert together[0, point, lag, point] == pytest.approx(0.9**lag, abs=0.06)
            assert abs(together[0, point, lag, 1 - point]) < 0.06


def test_what_was_not_heard_has_no_shadow():
    windows = walk(0)
    moved = augment(windows.rssi, Augmentation(shadowing=1), spread(windows), np.random.default_rng(0))
    assert np.array_equal(moved == -128, windows.rssi == -128)


def test_spread_counts_only_what_was_heard():
    windows = walk(0)
    rssi = np.full_like(windows.rssi, -128)
    rssi[0, 0, 1], rssi[1, 0, 1] = -50, -60
    assert spread(dataclasses.replace(windows, rssi=rssi)).tolist() == [0, 5, 0, 0]


def test_the_training_windows_choose_what_is_left_open():
    dense = walk(0)
    sparse = dataclasses.replace(dense, rssi=np.where(np.arange(8)[:, None] < 7, np.int8(-128), dense.rssi))
    assert not is_sparse(dense)
    assert is_sparse(sparse)
    plain = [(0.0, 0.0), (0.25, 0.0), (0.5, 0.0)]
    for family, shares in {"mamba": [*plain, (0.25, 0.5)], "mdcsa": plain}.items():
        said = [(c.scaling, c.augmentation) for c in candidates(Options(family=family), dense)]
        assert all(how.offset == how.jitter for _, how in said)
        tried = [(kind, how.jitter, how.shadowing) for kind, how in said]
        assert tried == [(kind, *share) for kind in ("minmax", "zscore") for share in shares]
    assert [c.scaling for c in candidates(Options(), sparse)] == ["power"]
    assert [c.scaling for c in candidates(Options(scaling="zscore"), sparse)] == ["zscore"]
    own = Augmentation(jitter=0.1)
    assert resolve(Options(steps=5, augmentation=own), sparse).augmentation == own
    answered = resolve(Options(), sparse)
    assert answered.steps > 0
    assert candidates(answered, sparse)[0].augmentation.access_points > 0
    asked = (Options(), Options(crf=True), Options(class_weights=1.0))
    assert [resolve(how, sparse).class_weights for how in asked] == [0.5, 0.0, 1.0]
    assert [resolve(how, dense).class_weights for how in asked] == [0.0, 0.0, 1.0]


def test_scores_by_hand():
    truth, answers = np.array([0, 0, 1, 3]), np.array([0, 1, 1, 2])
    assert macro_f1(truth, answers) == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)
    logits = np.log(np.array([[0.5, 0.5], [0.2, 0.8]], np.float32)) + 300
    assert cross_entropy(logits, np.array([0, 1])) == pytest.approx(
        -(np.log(0.5) + np.log(0.8)) / 2, abs=1e-4
    )
