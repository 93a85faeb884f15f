from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyloc.errors import UsageError
from tinyloc.models.statistics import LONGEST_WINDOW, STATISTICS, window_statistics


def test_by_hand():
    rssi = np.array([[-50, -128], [-60, -128], [-71, -128]], np.int8)
    values = window_statistics(rssi).reshape(6, 2)
    assert values.dtype == np.int16
    mean, high, low, std, heard, last = values.tolist()
    assert mean == [math.floor(-181 * 128 / 3 + 0.5), -120 * 128]
    assert (high, low) == ([-50 * 128, -120 * 128], [-71 * 128, -120 * 128])
    assert std == [math.isqrt((3 * (2500 + 3600 + 5041) - 181**2) * 16384) // 3, 0]
    assert (heard, last) == ([16384, 0], [-71 * 128, -120 * 128])


@given(
    seed=st.integers(0, 2**31),
    steps=st.integers(1, 60),
    points=st.integers(1, 6),
    heard=st.sampled_from([0.0, 0.3, 0.9, 1.0]),
    extreme=st.booleans(),
)
@settings(deadline=None, max_examples=80, derandomize=True)
def test_against_floats_and_against_pythons_own_whole_numbers(seed, steps, points, heard, extreme):
    random = np.random.default_rng(seed)
    choice = np.array([-128, -127, 127, 0], np.int8) if extreme else np.arange(-128, 128).astype(np.int8)
    rssi = random.choice(choice, (2, steps, points))
    rssi[random.random(rssi.shape) > heard] = -128
    ours = window_statistics(rssi).reshape(2, 6, points)
    x = np.where(rssi == -128, -120, rssi).astype(np.float64)
    floats = [x.mean(1), x.max(1), x.min(1), x.std(1), (rssi != -128).mean(1), x[:, -1]]
    units = (128, 128, 128, 128, 16384, 128)
    for values, wanted, unit, name in zip(ours.swapaxes(0, 1), floats, units, STATISTICS, strict=True):
        most = {"mean": 0.5, "heard": 0.5, "std": 1.0}.get(name, 0.0)  # rounded, rounded, cut, exact
        assert (np.abs(values - wanted * unit) <= most + 1e-6).all(), name
    for window, got in zip(x.astype(int).tolist(), ours.tolist(), strict=True):
        for p in range(points):
            column = [row[p] for row in window]
            variance = steps * sum(v * v for v in column) - sum(column) ** 2
            assert got[0][p] == (sum(column) * 256 + steps) // (2 * steps)
            assert got[3][p] == math.isqrt(variance * 128**2) // steps


def test_the_longest_window_is_exact_at_the_extremes():
    rssi = np.full((LONGEST_WINDOW, 1), 127, np.int8)
    rssi[::2] = -127
    assert window_statistics(rssi).tolist() == [0, 16256, -16256, 16256, 16384, 16256]
    rssi[1] = -127
    n, total, squares = LONGEST_WINDOW, -254, LONGEST_WINDOW * 127**2
    assert window_statistics(rssi)[3] == math.isqrt((n * squares - total**2) * 16384) // n


@pytest.mark.parametrize(
    "rssi", [np.zeros((2, 3)), np.zeros(3, np.int8), np.zeros((LONGEST_WINDOW + 1, 1), np.int8)]
)
def test_what_is_no_window_is_refused(rssi):
    with pytest.raises(UsageError, match="int8 windows"):
        window_statistics(rssi)
