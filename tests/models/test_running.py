"""Running statistics: against whole numbers by hand, and where a model may read them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_windows import make_windows

from tinyloc.errors import UsageError
from tinyloc.models import families
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.models.config import (
    MambaConfig,
    MdcsaConfig,
    describe,
    facts,
    parameters,
    parameters_paper,
    reads_statistics,
)
from tinyloc.models.running import columns, running_statistics
from tinyloc.models.scaling import KINDS, InputScaling

WINDOWS = make_windows(steps=8, points=5, rooms=3)


def by_hand(column: list[int]) -> list[tuple[int, int, int]]:
    """Sample, maximum and mean after each step, in Python's own whole numbers."""
    heard: list[int] = []
    found = []
    for sample in column:
        heard += [sample] if sample != -128 else []
        first = heard[:256]
        mean = (2 * sum(first) + len(first)) // (2 * len(first)) if first else -128
        found.append((sample, max(heard, default=-128), mean))
    return found


def test_by_example():
    rssi = np.array([[-128, -50], [-70, -51], [-71, -128], [-128, -49]], np.int8)
    assert running_statistics(rssi).tolist() == [
        [-128, -50, -128, -50, -128, -50],
        [-70, -51, -70, -50, -70, -50],  # -50.5 becomes -50: halves upward
        [-71, -128, -70, -50, -70, -50],  # -70.5 becomes -70
        [-128, -49, -70, -49, -70, -50],
    ]


@given(
    seed=st.integers(0, 2**31),
    steps=st.sampled_from([1, 2, 20, 255, 256, 257, 600]),
    points=st.integers(1, 4),
    heard=st.sampled_from([0.0, 0.05, 0.9, 1.0]),
    extreme=st.booleans(),
)
@settings(deadline=None, max_examples=40, derandomize=True)
def test_against_pythons_own_whole_numbers(seed, steps, points, heard, extreme):
    random = np.random.default_rng(seed)
    choice = np.array([-128, -127, 127], np.int8) if extreme else np.arange(-128, 128).astype(np.int8)
    rssi = random.choice(choice, (2, steps, points))
    rssi[random.random(rssi.shape) > heard] = -128
    found = running_statistics(rssi)
    assert found.dtype == np.int8
    for window, got in zip(rssi, found.reshape(2, steps, 3, points), strict=True):
        for p in range(points):
            assert got[:, :, p].tolist() == [list(facts) for facts in by_hand(window[:, p].tolist())]


def test_what_is_no_window_is_refused():
    for bad in (np.zeros((3, 4)), np.zeros(4, np.int8)):
        with pytest.raises(UsageError, match="int8 windows"):
            running_statistics(bad)


@pytest.mark.parametrize("kind", KINDS)
def test_each_column_has_its_own_scaling(kind):
    scaling = InputScaling.fit(kind, WINDOWS, statistics=True)
    assert scaling.columns == columns(5, True) == 15
    x = scaling.apply(running_statistics(WINDOWS.rssi))
    assert np.array_equal(x[..., :5], InputScaling.fit(kind, WINDOWS).apply(WINDOWS.rssi))
    if kind == "zscore":
        flat = x.reshape(-1, 15)
        assert np.allclose(flat.mean(axis=0), 0, atol=1e-3)
        assert (flat.std(axis=0) <= 1.001).all()


def test_the_paper_counts_a_model_without_them():
    plain, more = (MambaConfig(11, 9, 8, statistics=on) for on in (False, True))
    assert parameters(more) - parameters(plain) == 2 * 11 * 8
    assert parameters_paper(more) == parameters_paper(plain) == 1571
    assert parameters_paper(MdcsaConfig(11, 9, 16, statistics=True)) == 10796
    assert "statistics" not in facts(plain)
    assert "statistics" not in describe(plain)
    assert facts(more)["statistics"] is describe(more)["statistics"] is True
    assert reads_statistics(more)
    assert not reads_statistics(plain)


def test_a_checkpoint_wants_its_columns_and_no_carried_state():
    config = MambaConfig(5, 3, 4, statistics=True)
    names = (WINDOWS.rooms, WINDOWS.access_points, 8, 0.2, "reset")
    scaling = InputScaling.fit("zscore", WINDOWS, statistics=True)
    made = Checkpoint(config, scaling, families.build(config).weights(), *names)
    assert Checkpoint.from_bytes(made.to_bytes()).config == config
    with pytest.raises(UsageError, match="another number of access points"):
        dataclasses.replace(made, scaling=InputScaling.fit("zscore", WINDOWS))
    with pytest.raises(UsageError, match="for ever"):
        dataclasses.replace(made, state="carried")
