"""The small float networks among the baselines: their shapes, that they learn, the same bytes twice."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from tinyloc.data.windows import Windows, WindowSets
from tinyloc.judge.metrics import macro_f1
from tinyloc.study import baselines, networks

T, P, K = 6, 5, 3


def _windows(count: int, seed: int, steps: int = T) -> Windows:
    """Each room has one access point that is near; the room is that of the whole window."""
    rng = np.random.default_rng(seed)
    room = rng.integers(0, K, count)
    rssi = rng.normal(-85, 3, (count, steps, P))
    rssi[np.arange(count)[:, None], np.arange(steps), room[:, None]] += 25
    return Windows(
        rssi=np.rint(rssi).astype(np.int8),
        rooms_at=np.repeat(room[:, None], steps, axis=1).astype(np.int16),
        room=room.astype(np.int16),
        session=np.zeros(count, np.int32),
        end_time=np.arange(count, dtype=np.float64),
        rooms=("bed", "hall", "kitchen"),
        access_points=("a", "b", "c", "d", "e"),
        sessions=("one",),
        seconds_per_step=0.2 if steps > 1 else 0.0,
    )


def _sets(steps: int = T) -> WindowSets:
    parts: list[Any] = [_windows(count, seed, steps) for seed, count in enumerate((90, 30, 40))]
    return WindowSets("rooms", *parts, description="", licence="", citation="")


COUNTS = {
    baselines.MLP: T * P * 64 + 64 + 64 * 32 + 32 + 32 * K + K,
    baselines.CNN: 32 * P * 3 + 32 + 32 * 32 * 3 + 32 + 32 * K + K,
    baselines.LSTM: 4 * 32 * (P + 32 + 2) + 32 * K + K,
}


@pytest.mark.parametrize("name", COUNTS)
def test_a_network_learns_and_says_the_same_twice(name: str) -> None:
    sets = _sets()
    found = [networks.fit(name, sets, seed=3, steps=60) for _ in range(2)]
    assert found[0].parameters == COUNTS[name]
    assert macro_f1(sets.test.room, found[0].test) > 0.9
    assert np.array_equal(found[0].test, found[1].test)
    assert np.array_equal(found[0].validation, found[1].validation)


def test_refit_learns_from_validation_once_it_has_chosen() -> None:
    sets = _sets()
    shuffled = dataclasses.replace(sets, train=_windows(12, 0), validation=_windows(120, 5))
    found = [networks.fit(baselines.MLP, shuffled, seed=0, steps=40, refit=refit) for refit in (False, True)]
    assert np.array_equal(found[0].validation, found[1].validation), "what is judged has not seen them"
    truth = sets.test.room
    assert macro_f1(truth, found[1].test) >= macro_f1(truth, found[0].test)


def test_test_windows_decide_nothing() -> None:
    sets = _sets()
    other = dataclasses.replace(sets, test=_windows(40, 9))
    found = [networks.fit(baselines.MLP, one, seed=0, steps=20) for one in (sets, other)]
    assert np.array_equal(found[0].validation, found[1].validation)


def test_a_single_sample_has_no_steps_to_read() -> None:
    one = _sets(steps=1)
    assert [name for name in COUNTS if baselines.applies(name, one)] == [baselines.MLP]
    assert all(baselines.applies(name, _sets()) for name in COUNTS)
    assert networks.fit(baselines.MLP, one, seed=0, steps=20).parameters == P * 64 + 64 + 64 * 32 + 32 + 99
