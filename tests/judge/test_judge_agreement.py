"""Agreement, to the byte."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyloc.errors import DeviceError
from tinyloc.judge.agreement import answer_bytes, compare, decode, encode

ROOMS = ("hall", "kitchen", "bath")
T = 4


def _reference(windows: int = 3) -> tuple[np.ndarray, np.ndarray]:
    scores = np.random.default_rng(5).integers(-32768, 32767, (windows * T, len(ROOMS))).astype(np.int16)
    return scores, scores.argmax(axis=1).astype(np.uint8)


def test_bytes_are_those_of_the_harness() -> None:
    assert encode([[258, -1, 0]], [2], [1]) == bytes([2, 1, 255, 255, 0, 0, 2, 1])
    assert encode([[258, -1, 0]], [2]) == encode([[258, -1, 0]], [2], [2])
    assert answer_bytes(3) == 8


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.integers(1, 60), st.integers(0, 9), st.integers(0, 2**32 - 1))
def test_decode_undoes_encode(K: int, n: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    scores = generator.integers(-32768, 32768, (n, K)).astype(np.int16)
    rooms = generator.integers(0, K, n).astype(np.uint8)
    settled = generator.integers(0, K, n).astype(np.uint8)
    back, room, held = decode(encode(scores, rooms, settled), K)
    np.testing.assert_array_equal(back, scores)
    np.testing.assert_array_equal(room, rooms)
    np.testing.assert_array_equal(held, settled)


def test_equal_bytes_agree_everywhere() -> None:
    answers = encode(*_reference())
    agreement = compare(answers, answers, rooms=ROOMS, window_steps=T)
    assert agreement.identical
    assert (agreement.windows, agreement.identical_windows) == (3, 3)
    assert (agreement.steps, agreement.identical_steps) == (12, 12)
    assert str(agreement) == "identical in all 3 windows (12 steps)"
    agreement.require()


def test_the_first_difference_is_named() -> None:
    scores, rooms = _reference()
    truth = encode(scores, rooms)
    scores[6, 1] = scores[6, 1] ^ 1
    rooms[6] = (rooms[6] + 1) % 3
    scores[9, 0] = scores[9, 0] ^ 1
    agreement = compare(encode(scores, rooms), truth, rooms=ROOMS, window_steps=T)
    assert (agreement.identical_windows, agreement.identical_steps) == (1, 10)
    difference = agreement.difference
    assert difference is not None
    assert (difference.window, difference.step) == (1, 2)
    with pytest.raises(
        DeviceError, match=r"window 1, step 2: the device says \w+, the reference \w+; .*kitchen"
    ):
        agreement.require()


def test_one_flipped_byte_is_always_found() -> None:
    truth = encode(*_reference())
    for place in range(len(truth)):
        altered = bytearray(truth)
        altered[place] ^= 0x40
        agreement = compare(bytes(altered), truth, rooms=ROOMS, window_steps=T)
        assert (agreement.identical_windows, agreement.identical_steps) == (2, 11)
        assert agreement.difference is not None
        assert agreement.difference.window * T + agreement.difference.step == place // answer_bytes(3)
        assert str(agreement)


def test_equal_rooms_with_other_scores_still_differ() -> None:
    scores, rooms = _reference(1)
    truth = encode(scores, rooms)
    scores[0] ^= 1
    text = str(compare(encode(scores, rooms), truth, rooms=ROOMS, window_steps=T))
    assert "window 0, step 0: both say" in text


def test_another_settled_room_is_a_difference() -> None:
    scores, rooms = _reference(1)
    text = str(
        compare(
            encode(scores, rooms, rooms), encode(scores, rooms, (rooms + 1) % 3), rooms=ROOMS, window_steps=T
        )
    )
    assert "window 0, step 0: both say" in text
    assert "settled rooms differ" in text


@pytest.mark.parametrize("kept", [0, 7, 8, 30, 95])
def test_a_chip_that_stopped(kept: int) -> None:
    truth = encode(*_reference())
    agreement = compare(truth[:kept], truth, rooms=ROOMS, window_steps=T)
    assert agreement.identical_steps == kept // 8
    assert agreement.identical_windows == kept // 32
    assert "gave no answer" in str(agreement)


def test_bytes_too_many_are_no_agreement() -> None:
    truth = encode(*_reference())
    agreement = compare(truth + b"x", truth, rooms=ROOMS, window_steps=T)
    assert not agreement.identical
    assert "1 bytes too many" in str(agreement)


def test_half_answers_are_refused() -> None:
    with pytest.raises(DeviceError, match="not whole answers"):
        decode(b"12345", 3)
    with pytest.raises(ValueError, match="not windows"):
        compare(b"", b"x" * 8, rooms=ROOMS, window_steps=T)
