"""The reference's arithmetic against Python's own integers and against real numbers."""

import math

import numpy as np
import pytest
from builders import any_bytes, lowered_or_refused, mamba, signal
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyloc.quant.arithmetic import decay_factor, inverse_root, requantise
from tinyloc.quant.lower import lower
from tinyloc.quant.reference import Reference, answers, rooms_of

INT32 = st.integers(-(2**31) + 1, 2**31 - 1)


@given(INT32, st.integers(0, 2**31 - 1), st.integers(1, 62))
def test_requantise_is_multiply_add_half_shift(value: int, multiplier: int, shift: int) -> None:
    wanted = (value * multiplier + (1 << (shift - 1))) >> shift
    assert int(requantise(np.array(value, np.int64), multiplier, shift)) == wanted


@given(INT32, st.integers(0, 2**31 - 1), st.integers(33, 62))
def test_the_upper_word_alone_gives_the_same_bits(value: int, multiplier: int, shift: int) -> None:
    """What the C does from shift 33 on."""
    upper = (value * multiplier) >> 32
    assert (upper + (1 << (shift - 33))) >> (shift - 32) == (value * multiplier + (1 << (shift - 1))) >> shift


@given(st.integers(0, 32767), st.integers(0, 32767), st.integers(0, 31))
def test_decay_is_a_power_of_two_within_a_table_step(dt: int, decay: int, shift: int) -> None:
    a = int(decay_factor(np.array(dt, np.int64), decay, shift))
    exponent = ((dt * decay) >> shift) / 65536
    assert 0 <= a <= 32767
    assert abs(a - 32768 * 2.0**-exponent) <= 2.5


@given(st.integers(16, 2**43))
def test_inverse_root_is_one_over_the_root(total: int) -> None:
    root, exponent = inverse_root(np.array([total], np.int64))
    value = int(root[0]) * 2.0 ** (-15 - int(exponent[0]))
    assert 4 ** int(exponent[0]) <= total < 4 ** (int(exponent[0]) + 1)
    assert value == pytest.approx(1 / math.sqrt(total), rel=1e-4)


@settings(max_examples=15, deadline=None)
@given(
    st.sampled_from([1, 2, 3, 8, 17, 32]),
    st.integers(1, 2),
    st.integers(1, 9),
    st.integers(2, 9),
    st.sampled_from(["minmax", "zscore", "power"]),
    st.sampled_from(["int16", "int8"]),
    st.floats(0.3, 6.0),
    st.integers(0, 10_000),
)
def test_no_input_leaves_its_width(
    hidden: int, layers: int, points: int, rooms: int, kind: str, precision: str, wild: float, seed: int
) -> None:
    """Lowering proved it; here every intermediate result is looked at, on bytes that no radio sends."""
    _, checkpoint = mamba(hidden, layers, points, rooms, seed=seed, kind=kind, wild=wild)
    graph = lowered_or_refused(checkpoint, signal(40, 20, points, seed), precision)
    if graph is None:
        return
    Reference(graph, check=True).run(any_bytes(30, 20, points, seed))


def test_a_window_is_a_reset_and_its_steps() -> None:
    _, checkpoint = mamba()
    rssi = signal(12, 20, 6)
    reference = Reference(lower(checkpoint, rssi))
    whole = reference.run(rssi)
    states = reference.initial_state(12)
    first = reference.run(rssi[:, :7], states)
    assert np.array_equal(np.concatenate([first, reference.run(rssi[:, 7:], states)], axis=1), whole)
    assert np.array_equal(reference.run(rssi), whole), "a run must leave nothing behind"
    assert np.array_equal(reference.run(rssi[5:6])[0], whole[5]), "windows must not touch each other"


def test_answers_are_scores_then_rooms() -> None:
    scores = np.array([[[1, -2, 1], [300, -32767, 301]]], np.int16)
    assert rooms_of(scores).tolist() == [[0, 2]], "the first of equals wins"
    assert answers(scores) == bytes.fromhex("0100 feff 0100 0000 2c01 0180 2d01 0202")
    held = np.array([[1, 0]], np.uint8)
    assert answers(scores, held) == bytes.fromhex("0100 feff 0100 0001 2c01 0180 2d01 0200")
