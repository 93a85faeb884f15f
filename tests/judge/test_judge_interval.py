"""The interval around a difference: its middle, its width, its blocks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyloc.judge.interval import _rows, _sessions, difference
from tinyloc.metrics import macro_f1


def answers(random, true, seeds, wrong):
    """Answers of which about that share is wrong, each seed by itself."""
    found = np.tile(true, (seeds, 1))
    off = random.random(found.shape) < wrong
    found[off] = random.integers(0, true.max() + 1, off.sum())
    return found


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(1, 4), st.integers(1, 60))
def test_what_is_measured_is_the_difference_of_the_means(seed, ours, theirs, block):
    random = np.random.default_rng(seed)
    true = random.integers(0, 4, 120)
    session = np.sort(random.integers(0, 3, 120))
    first, second = answers(random, true, ours, 0.2), answers(random, true, theirs, 0.4)
    found = difference(true, session, first, second, block=block, draws=50)
    means = [np.mean([macro_f1(true, one) for one in some]) for some in (first, second)]
    assert found.measured == pytest.approx(means[0] - means[1])
    assert -1 <= found.low <= found.high <= 1
    again = difference(true, session, first, second, block=block, draws=50)
    assert again == found
    back = difference(true, session, second, first, block=block, draws=50)
    assert back.measured == pytest.approx(-found.measured)


def test_a_model_beside_itself_differs_by_nothing():
    true = np.arange(200) // 20 % 3
    same = answers(np.random.default_rng(0), true, 1, 0.3)
    found = difference(true, np.zeros(200, int), same, same)
    assert (found.measured, found.low, found.high, found.above) == (0, 0, 0, 0)


@pytest.mark.parametrize("run", [1, 20])
def test_it_holds_the_true_difference_about_as_often_as_it_says(run):
    """Errors in runs of `run` windows, of which two models make 10 and 20 %: of a hundred test sets the 90 %
    interval holds the difference that endless windows would show in 80 to 98; with blocks of one window it
    would be far too sure of itself where errors come in runs.
    """
    random = np.random.default_rng(5)

    def made(windows):
        true = np.repeat(random.integers(0, 2, windows // 20), 20)

        def said(wrong):
            off = np.repeat(random.random(windows // run) < wrong, run)
            return np.where(off, 1 - true, true)[None]

        return true, said(0.1), said(0.2)

    def gap(true, one, other):
        return macro_f1(true, one[0]) - macro_f1(true, other[0])

    expected = gap(*made(400_000))
    held = {1: 0, 40: 0}
    for _ in range(100):
        sets = made(600)
        for block in held:
            found = difference(sets[0], np.zeros(600, int), *sets[1:], block=block, draws=150, share=0.9)
            held[block] += found.low <= expected <= found.high
    assert 80 <= held[40] <= 98
    if run == 20:
        assert held[1] < 60


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=5), st.integers(1, 30), st.integers(0, 99))
def test_blocks_stay_in_their_session(lengths, block, seed):
    session = np.repeat(np.arange(len(lengths)), lengths)
    rows = _rows(np.random.default_rng(seed), _sessions(session), block)
    assert len(rows) == len(session)
    at = 0
    while at < len(rows):  # each block: neighbours of one session, at its end on from its beginning
        one = int(session[rows[at]])
        begin, count = sum(lengths[:one]), lengths[one]
        some = rows[at : at + min(block, count)]
        expected = begin + (rows[at] - begin + np.arange(min(block, count))) % count
        assert np.array_equal(some, expected[: len(some)])
        at += len(some)


@pytest.mark.parametrize("lengths", [[100], [100, 21], [200, 5, 40, 1]])
def test_every_window_is_drawn_as_often_as_any_other(lengths):
    """At the ends of sessions and in short ones too, but for the block that is cut off at the end."""
    session = np.repeat(np.arange(len(lengths)), lengths)
    within, random, many = _sessions(session), np.random.default_rng(3), 6000
    counts = sum(np.bincount(_rows(random, within, 20), minlength=len(session)) for _ in range(many)) / many
    assert counts == pytest.approx(np.ones(len(session)), abs=0.12)
    means = [counts[session == i].mean() for i in range(len(lengths))]
    assert means == pytest.approx([1] * len(lengths), abs=0.08)


def test_what_cannot_be_compared_is_refused():
    true, answered = np.zeros(5, int), np.zeros((1, 5), int)
    with pytest.raises(ValueError, match="not two lists"):
        difference(true, np.zeros(4, int), answered, answered)
    with pytest.raises(ValueError, match="second answers"):
        difference(true, true, answered, answered[0])
    with pytest.raises(ValueError, match="at least 1"):
        difference(true, true, answered, answered, block=0)
