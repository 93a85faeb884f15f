from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from model_windows import make_windows

from tinyloc.errors import UsageError
from tinyloc.models.scaling import KINDS, InputScaling, heard_fraction

WINDOWS = make_windows()


@pytest.mark.parametrize("kind", KINDS)
@given(rssi=arrays.arrays(np.int8, (3, 5)))
@settings(deadline=None, max_examples=30)
def test_one_table_then_offset_and_gain(kind, rssi):
    scaling = InputScaling.fit(kind, WINDOWS)
    x = scaling.apply(rssi)
    assert x.dtype == np.float32
    for p in range(5):
        u = scaling.table[rssi[:, p].astype(int) + 128]
        assert np.array_equal(x[:, p], (u - scaling.offset[p]) * scaling.gain[p])


@pytest.mark.parametrize("kind", ["minmax", "zscore"])
def test_the_table_in_dbm_is_whole_numbers_the_device_can_hold(kind):
    table = InputScaling.fit(kind, WINDOWS).table
    assert np.array_equal(table, np.rint(table))
    assert -127 <= table[0] <= 0
    assert np.array_equal(table[1:], np.arange(-127, 128))


def test_minmax_is_0_for_not_heard_and_1_for_the_strongest():
    scaling = InputScaling.fit("minmax", WINDOWS)
    strongest = WINDOWS.rssi[WINDOWS.rssi != -128].max()
    assert np.allclose(scaling.apply(np.full((1, 5), -128, np.int8)), 0)
    assert np.allclose(scaling.apply(np.full((1, 5), strongest, np.int8)), 1)


def test_zscore_has_mean_0_and_spread_1_on_the_training_windows():
    x = InputScaling.fit("zscore", WINDOWS).apply(WINDOWS.rssi).reshape(-1, 5)
    assert np.allclose(x.mean(axis=0), 0, atol=1e-3)
    assert np.allclose(x.std(axis=0), 1, atol=1e-3)


def test_power_rises_from_0_for_not_heard():
    table = InputScaling.fit("power", WINDOWS).table
    assert table[0] == table[128 - 104] == 0
    assert table[128] == 1
    assert (np.diff(table[1:]) >= 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_an_access_point_never_heard_in_training_is_ignored(kind):
    rssi = WINDOWS.rssi.copy()
    rssi[:, :, 2] = -128
    scaling = InputScaling.fit(kind, dataclasses.replace(WINDOWS, rssi=rssi))
    assert scaling.ignored.tolist() == [False, False, True, False, False]
    heard_later = np.full((1, 5), -40, np.int8)
    assert scaling.apply(heard_later)[0, 2] == 0


@pytest.mark.parametrize("kind", KINDS)
def test_windows_in_which_nothing_is_heard_scale_to_zeros(kind):
    silent = dataclasses.replace(WINDOWS, rssi=np.full_like(WINDOWS.rssi, -128))
    assert not InputScaling.fit(kind, silent).apply(WINDOWS.rssi).any()
    assert heard_fraction(silent) == 1


def test_samples_of_another_shape_or_type_are_refused():
    scaling = InputScaling.fit("minmax", WINDOWS)
    with pytest.raises(UsageError, match="5 access points"):
        scaling.apply(np.zeros((2, 4), np.int8))
    with pytest.raises(UsageError, match="int8"):
        scaling.apply(np.zeros((2, 5), np.float32))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="none of"):
        InputScaling.fit("logarithm", WINDOWS)  # type: ignore[arg-type]


@given(st.floats(0.1, 1.0))
@settings(deadline=None, max_examples=10)
def test_heard_fraction_is_the_share_of_samples_heard(share):
    windows = make_windows(heard=share, count=300)
    assert abs(heard_fraction(windows) - share) < 0.03
