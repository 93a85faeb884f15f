"""The decision layer's choice: on validation, none where none is better, and never over single samples."""

from dataclasses import replace

import numpy as np
import pytest

from tinyloc.data.order import begins, hop_seconds, transitions
from tinyloc.data.windows import Windows, WindowSets
from tinyloc.errors import UsageError
from tinyloc.quant.decision import answers_of, choose, typical_margin
from tinyloc.quant.graph import Filter, Graph, Linear, Tensor
from tinyloc.quant.reference import Reference
from tinyloc.quant.replay import GOES_ON, INIT, RESTART, replay
from tinyloc.quant.storage import from_bytes, to_bytes

STEPS, HOP = 4, 2.0


def graph(state: str = "reset") -> Graph:
    """One access point, two rooms: loud is the first, quiet the second; the score is how loud."""
    head = Linear(
        "head", "sample", "scores", np.array([[1], [-1]], np.int8), np.array([70, -70], np.int32),
        np.full(2, 2**30, np.int32), 28,
    )  # fmt: skip
    tensors = Tensor("sample", 1, 8, 127, 1.0), Tensor("scores", 2, 16, 32767, 0.25)
    return Graph(
        "test", "H1L1", ("ap",), ("loud", "quiet"), STEPS, 0.5, state, tensors, (head,), "scores"
    ).check()


def windows(seed: int, noise: float, *, state: str = "reset") -> Windows:
    """Two sessions of 60 windows each, rooms in stretches of 15; a share of the windows hears the other."""
    rng = np.random.default_rng(seed)
    room = np.tile(np.repeat([0, 1, 0, 1], 15), 2)
    heard = np.where(rng.random(len(room)) < noise, 1 - room, room)
    level = np.where(heard == 0, -60, -80)[:, None] + rng.integers(-4, 5, (len(room), STEPS))
    W = len(room)
    return Windows(
        rssi=level[:, :, None].astype(np.int8),
        rooms_at=np.repeat(room[:, None], STEPS, axis=1).astype(np.int16),
        room=room.astype(np.int16),
        session=np.repeat([0, 1], W // 2).astype(np.int32),
        end_time=np.tile(np.arange(W // 2) * HOP, 2),
        rooms=("loud", "quiet"),
        access_points=("ap",),
        sessions=("monday", "tuesday"),
        seconds_per_step=0.5,
    )


def sets(noise: float) -> WindowSets:
    parts = [windows(seed, noise) for seed in range(3)]
    return WindowSets("made", *parts, "one line", "none", "")


@pytest.mark.parametrize("state", ["reset", "carried"])
def test_a_model_that_flaps_is_held(state: str) -> None:
    found = choose(graph(state), sets(0.15))
    assert found is not None
    assert found.chosen.name != "none"
    assert found.chosen.f1_macro > found.none.f1_macro + 0.02
    assert found.room_changes_true == 6
    assert found.chosen.room_changes < 12 < found.none.room_changes
    stream = replay(windows(2, 0.15), state)
    rooms, settled = answers_of(found.behind(graph(state)), stream)
    plain, same = answers_of(graph(state), stream)
    assert np.array_equal(rooms, plain), "the layer leaves the model's own room alone"
    assert np.array_equal(plain, same)
    assert np.mean(settled == windows(2, 0.15).room) > np.mean(rooms == windows(2, 0.15).room)
    assert to_bytes(from_bytes(to_bytes(found.behind(graph(state))))) == to_bytes(found.behind(graph(state)))
    assert len(found.candidates) <= 24


def test_a_model_that_is_right_is_left_alone() -> None:
    found = choose(graph(), sets(0.0))
    assert found is not None
    assert found.chosen.name == "none"
    assert found.behind(graph()).decision is None
    forced = choose(graph(), sets(0.0), "filter")
    assert forced is not None
    assert isinstance(forced.behind(graph()).decision, Filter)
    assert choose(graph(), sets(0.0), "none") is None


def test_single_samples_have_no_decision_layer() -> None:
    made = sets(0.1)
    single = replace(made, validation=replace(made.validation, seconds_per_step=0.0))
    assert choose(graph(), single) is None
    with pytest.raises(UsageError, match="no order in time"):
        choose(graph(), single, "filter")


def test_a_session_and_a_gap_begin_anew() -> None:
    made = windows(0, 0.0)
    assert hop_seconds(made) == HOP
    later = made.end_time.copy()
    later[10:60] += 1.5 * HOP
    gap = replace(made, end_time=later)
    assert np.flatnonzero(begins(gap)).tolist() == [0, 10, 60]
    flags = replay(gap, "reset").flags.reshape(-1, STEPS)
    assert np.flatnonzero(flags[:, 0] == INIT).tolist() == [0, 10, 60]
    assert np.count_nonzero(flags[:, 0] == RESTART) == 117
    assert np.all(flags[:, 1:] == GOES_ON)
    assert transitions(made, HOP).tolist() == [[56, 4], [2, 56]]


def test_nothing_is_held_over_a_session_or_a_gap() -> None:
    """A session's first settled room is the model's own, whatever was held before."""
    found = choose(graph(), sets(0.15), "filter")
    assert found is not None
    made = windows(3, 0.4)
    stream = replay(made, "reset")
    rooms, settled = answers_of(found.behind(graph()), stream)
    assert np.any(rooms != settled)
    assert np.array_equal(rooms[begins(made)], settled[begins(made)])
    alone = replay(
        replace(
            made, **{n: getattr(made, n)[60:] for n in ("rssi", "rooms_at", "room", "session", "end_time")}
        ),
        "reset",
    )
    assert np.array_equal(answers_of(found.behind(graph()), alone)[1], settled[60:])


def test_the_margin_is_that_of_the_median_window() -> None:
    assert typical_margin(np.array([[5, 1, 2], [9, 0, 1], [3, 3, 0]], np.int16)) == 3.0
    assert typical_margin(np.array([[5], [1]], np.int16)) == 1.0
    assert Reference(graph()).run(windows(0, 0.0).rssi).shape == (120, STEPS, 2)
