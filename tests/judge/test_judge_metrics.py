"""Metrics against scikit-learn, degenerate cases included."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from tinyloc.judge import metrics


@st.composite
def answers(draw: st.DrawFn) -> tuple[list[int], list[int], int]:
    K = draw(st.integers(1, 7))
    W = draw(st.integers(1, 40))
    room = st.integers(0, K - 1)
    pick = st.lists(room, min_size=W, max_size=W)
    return draw(pick), draw(pick), K


@settings(max_examples=200, deadline=None, derandomize=True)
@given(answers())
def test_figures_equal_those_of_scikit_learn(case: tuple[list[int], list[int], int]) -> None:
    true, said, K = case
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = sk.f1_score(true, said, labels=np.unique(true), average="macro", zero_division=0)
        precision, recall, f1, support = sk.precision_recall_fscore_support(
            true, said, labels=range(K), zero_division=0
        )
        matrix = sk.confusion_matrix(true, said, labels=range(K))
    assert metrics.macro_f1(true, said) == pytest.approx(expected, abs=1e-12)
    assert metrics.accuracy(true, said) == pytest.approx(sk.accuracy_score(true, said), abs=1e-12)
    table = metrics.confusion(true, said, K)
    np.testing.assert_array_equal(table, matrix)
    for k, room in enumerate(metrics.per_room(table, [f"room {k}" for k in range(K)])):
        assert room.windows == support[k]
        assert (room.f1 is None) == (room.recall is None) == (support[k] == 0)
        assert (room.precision is None) == (k not in said)
        assert (room.f1 or 0.0) == pytest.approx(f1[k] if support[k] else 0.0, abs=1e-12)
        assert (room.precision or 0.0) == pytest.approx(precision[k], abs=1e-12)
        assert (room.recall or 0.0) == pytest.approx(recall[k], abs=1e-12)


def test_a_room_absent_from_the_truth_is_not_in_the_mean() -> None:
    # 2 is answered once and never true: room 0 has F1 2*2/(3+2) = 0.8, room 1 has 1.
    assert metrics.macro_f1([0, 0, 0, 1], [0, 0, 2, 1]) == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("true", "said"), [([], []), ([0, 1], [0]), ([0, 3], [0, 0]), ([0, -1], [0, 0]), ([0.5], [0.5])]
)
def test_what_cannot_be_scored_is_refused(true: list[int], said: list[int]) -> None:
    with pytest.raises(ValueError, match=r"no window|one length|outside"):
        metrics.confusion(np.array(true), np.array(said), 3)


def test_int8_and_int16_labels_do_not_wrap() -> None:
    true = np.full(300, 59, dtype=np.int8)
    assert metrics.confusion(true, true.astype(np.int16), 60)[59, 59] == 300


def test_room_changes_do_not_cross_sessions() -> None:
    changes = metrics.room_changes([0, 0, 1, 1, 0], [0, 1, 0, 0, 1], [0, 0, 0, 1, 1])
    assert (changes.true, changes.predicted) == (2, 3)
    alone = metrics.room_changes([0], [1], [0])
    assert (alone.true, alone.predicted) == (0, 0)


def test_timeline_merges_what_stays_and_keeps_gaps() -> None:
    segments = metrics.timeline(
        true=[0, 0, 1, 1, 1, 0],
        answered=[0, 0, 0, 1, 1, 0],
        session=[0, 0, 0, 0, 0, 1],
        end_time=[110.0, 120.0, 130.0, 140.0, 200.0, 5.0],
        sessions=("first", "second"),
    )
    assert [(s.session, s.start, s.end, s.true, s.device) for s in segments] == [
        ("first", 0.0, 20.0, 0, 0),
        ("first", 20.0, 30.0, 1, 0),
        ("first", 30.0, 40.0, 1, 1),
        ("first", 90.0, 100.0, 1, 1),
        ("second", 0.0, 1.0, 0, 0),
    ]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 5)), min_size=1, max_size=30))
def test_timeline_covers_each_window_once(case: list[tuple[int, int, int]]) -> None:
    true = [a for a, _, _ in case]
    said = [b for _, b, _ in case]
    ends = np.cumsum([float(c) for _, _, c in case])
    segments = metrics.timeline(true, said, [0] * len(case), ends, ("walk",))
    zero = ends[0] - (np.median(np.diff(ends)) if len(ends) > 1 else 1.0)
    for t, d, end in zip(true, said, ends - zero, strict=True):
        inside = [s for s in segments if s.start < end - 1e-6 and end <= s.end + 1e-6]
        assert [(s.true, s.device) for s in inside] == [(t, d)]
