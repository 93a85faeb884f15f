from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from model_windows import make_windows

from tinyloc.models.classic import BYTES_PER_NODE, forest, nearest_neighbours, small_forest, statistics

TRAIN, VALIDATION, TEST = (make_windows(seed=seed) for seed in (1, 2, 3))


def test_statistics_by_hand():
    windows = make_windows(count=1, steps=4, points=2)
    rssi = np.array([[[-50, -128], [-60, -128], [-70, -128], [-80, -40]]], np.int8)
    mean, high, low, deviation, heard, last, slope = (
        statistics(dataclasses.replace(windows, rssi=rssi)).reshape(7, 2).tolist()
    )
    assert (mean, high, low) == ([-65, -100], [-50, -40], [-80, -120])
    assert deviation == pytest.approx([np.sqrt(125), np.sqrt(1200)])
    assert (heard, last, slope) == ([1, 0.25], [-80, -40], [-20, 40])


def test_a_single_sample_is_its_own_statistics():
    windows = make_windows(steps=1)
    values = statistics(windows)
    assert values.shape == (60, 5)
    assert np.array_equal(values, np.where(windows.rssi == -128, -120, windows.rssi)[:, 0])


@pytest.mark.parametrize("steps", [1, 8])
def test_each_tells_rooms_apart_and_gives_the_same_answers_again(steps):
    train, validation, test = (make_windows(seed=seed, steps=steps, heard=1) for seed in (1, 2, 3))
    for make in (
        lambda: forest(train, trees=20),
        lambda: small_forest(train, validation, 2048),
        lambda: nearest_neighbours(train, validation),
    ):
        one, two = make(), make()
        assert (one.predict(test) == test.room).mean() > 0.9
        assert np.array_equal(one.predict(test), two.predict(test))
        assert one.choices == two.choices


@pytest.mark.parametrize("flash", [100, 1000, 5000])
def test_the_small_forest_fits_its_flash(flash):
    model = small_forest(TRAIN, VALIDATION, flash)
    assert 0 < model.flash_bytes <= flash
    assert model.flash_bytes == model.nodes * BYTES_PER_NODE


def test_validation_windows_are_not_fitted_on():
    other = dataclasses.replace(VALIDATION, rssi=VALIDATION.rssi[::-1].copy())
    one = nearest_neighbours(TRAIN, VALIDATION, k=(3,), kinds=("minmax",))
    two = nearest_neighbours(TRAIN, other, k=(3,), kinds=("minmax",))
    assert np.array_equal(one.predict(TEST), two.predict(TEST))
    assert nearest_neighbours(make_windows(count=3), VALIDATION, k=(5,)).choices["k"] == 3
