"""The decision layer: the reference against the floating-point decoders, and the C against the reference."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from builders import any_bytes, mamba, signal
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyloc.device.boards import find_board
from tinyloc.device.host import build_host
from tinyloc.device.tiers import find_tier
from tinyloc.emit import emit
from tinyloc.errors import QuantisationError
from tinyloc.models import decode
from tinyloc.quant.graph import SETTLED, Collect, Filter, FixedLag, Graph, Linear, MeanRows, Tensor
from tinyloc.quant.lower import factor, factors, lower
from tinyloc.quant.reference import Reference, answers, rooms_of, settled_of
from tinyloc.quant.replay import Replay
from tinyloc.quant.storage import from_bytes, to_bytes

STEPS, ROOMS, POINTS = 5, 4, 3


def settle(graph: Graph, decision: Filter) -> Graph:
    """The graph with that decision layer."""
    settled = Tensor(SETTLED, 1, 16, 32767, 1.0)
    tensors, operators = (*graph.tensors, settled), (*graph.operators, decision)
    return replace(graph, tensors=tensors, operators=operators).check()


def layer(
    seed: int, lag: int, rooms: int = ROOMS, first: int = STEPS, hop: int = STEPS, wide: int = 900
) -> Filter:
    """A decision layer of random numbers."""
    rng = np.random.default_rng(seed)
    parts = (
        rng.integers(-wide, 1, (rooms, rooms)).astype(np.int16),
        rng.integers(-wide, wide, rooms).astype(np.int16),
        rng.integers(-wide, wide, rooms).astype(np.int16),
        *factor(2.0 ** rng.uniform(-4, 0), "power"),
        first,
        hop,
    )
    if lag == 0:
        return Filter("hold", "scores", SETTLED, *parts)
    return FixedLag("hold", "scores", SETTLED, *parts, lag)


def steps_graph(seed: int, lag: int, state: str = "reset", first: int = STEPS, hop: int = STEPS) -> Graph:
    """A Mamba that answers at every step, with a decision layer behind it."""
    _, checkpoint = mamba(4, 1, POINTS, ROOMS, seed=seed, wild=3.0, state=state)
    graph = lower(replace(checkpoint, window_steps=STEPS), signal(30, STEPS, POINTS, seed))
    wide = int(np.abs(Reference(graph).run(signal(30, STEPS, POINTS, seed))).mean())
    return settle(graph, layer(seed, lag, first=first, hop=hop, wide=wide))


def windows_graph(seed: int, lag: int) -> Graph:
    """The mean of a window's samples through a matrix, with a decision layer behind it."""
    rng = np.random.default_rng(seed)
    tensors = (
        Tensor("sample", POINTS, 8, 127, 1.0), Tensor("x", 4, 16, 32767, 1.0),
        Tensor("rows", 4, 16, 32767, 1.0, STEPS), Tensor("mean", 4, 16, 32767, 1.0),
        Tensor("scores", ROOMS, 16, 32767, 2**-8),
    )  # fmt: skip

    def linear(name: str, x: str, y: str, inputs: int) -> Linear:
        weight = rng.integers(-127, 128, (4, inputs), dtype=np.int8)
        numbers = factors(2.0 ** rng.uniform(-8, -6, 4), "any")
        return Linear(name, x, y, weight, np.zeros(4, np.int32), *numbers)

    operators = (
        linear("embed", "sample", "x", POINTS), Collect("gate", "x", "rows"),
        MeanRows("middle", "rows", "mean", *factor(1 / STEPS, "m")), linear("head", "mean", "scores", 4),
    )  # fmt: skip
    names = tuple(f"ap{i}" for i in range(POINTS)), tuple(f"room{i}" for i in range(ROOMS))
    graph = Graph("test", "H1L1", *names, STEPS, 0.2, "reset", tensors, operators, "scores").check()
    return settle(graph, layer(seed, lag, wide=200))


def live(graph: Graph, samples: np.ndarray, flags: np.ndarray) -> tuple[bytes, np.ndarray]:
    """Answers of one wearer's stream [S, P] step by step, as the harness asks for them; the settled rooms."""
    reference = Reference(graph, check=True)
    states = reference.initial_state(1)
    scores, settled = [], []
    for sample, flag in zip(samples, flags, strict=True):
        if flag == 1:
            states = reference.initial_state(1)
        elif flag == 2:
            reference.restart(states)
        scores.append(reference.step(sample[None], states)[0])
        settled.append(settled_of(states, scores[-1][None])[0])
    held = np.array(settled, np.uint8)
    return answers(np.stack(scores), held), held


def stream(seed: int, windows: int, state: str) -> tuple[np.ndarray, np.ndarray]:
    """Samples [S, P] of windows, half of them any bytes, and the harness's flags [S]."""
    half = signal(windows, STEPS, POINTS, seed), any_bytes(windows, STEPS, POINTS, seed)
    flags = np.zeros((2 * windows, STEPS), np.int8)
    if state == "reset":
        flags[:, 0] = 2
    flags[::13, 0] = 1
    return np.concatenate(half).reshape(-1, POINTS), flags.ravel()


CASES = [
    ("steps", "reset", 0, STEPS), ("steps", "reset", 3, STEPS), ("windows", "reset", 0, STEPS),
    ("windows", "reset", 1, STEPS), ("steps", "carried", 0, 2), ("steps", "carried", 40, 1),
]  # fmt: skip


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(("kind", "state", "lag", "hop"), CASES)
def test_c_equals_the_reference(kind: str, state: str, lag: int, hop: int, seed: int, tmp_path: Path) -> None:
    made = windows_graph(seed, lag) if kind == "windows" else steps_graph(seed, lag, state, STEPS, hop)
    samples, flags = stream(seed, 40, state)
    wanted, settled = live(made, samples, flags)
    assert len(np.unique(settled)) > 1, "a test on constants would prove nothing"
    emit(made, tmp_path / "c")
    program = build_host(tmp_path / "c", tmp_path / "host", sanitize=True)
    assert program.run(np.concatenate([flags[:, None], samples], axis=1).tobytes()) == wanted
    assert to_bytes(from_bytes(to_bytes(made))) == to_bytes(made)


@pytest.mark.parametrize("lag", [0, 2])
def test_on_a_cortex_m4(lag: int, tmp_path: Path) -> None:
    made = steps_graph(7, lag)
    samples, flags = stream(7, 12, "reset")
    emit(made, tmp_path / "c")
    tier = find_tier("pip")
    firmware = tier.build(tmp_path / "c", find_board("cortex-m4"), tmp_path / "build", ram_bytes=32 * 1024)
    run = tier.run(firmware, np.concatenate([flags[:, None], samples], axis=1).tobytes(), count_records=18)
    assert run.answers == live(made, samples, flags)[0]
    assert run.resets_counted == 4


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 6), st.integers(1, 9), st.integers(1, 30))
def test_the_operators_are_the_decoders(seed: int, lag: int, rooms: int, steps: int) -> None:
    """On small whole numbers both are exact: the same rooms at every step, ties included."""
    rng = np.random.default_rng(seed)
    whole = rng.integers(-6, 7, (rooms, rooms)), rng.integers(-6, 7, rooms), np.zeros(rooms)
    chain = decode.Chain(*(part.astype(np.float64) for part in whole))
    scores = rng.integers(-20, 21, (steps, rooms))
    numbers = (chain.transitions.astype(np.int16), chain.start.astype(np.int16), np.zeros(rooms, np.int16))
    parts = (*numbers, *factor(1.0, "one"), STEPS, STEPS)
    op = FixedLag("hold", "x", "y", *parts, lag) if lag else Filter("hold", "x", "y", *parts)
    holder = Reference(steps_graph(0, lag))
    states = {
        "hold_d": np.zeros((1, rooms + 2), np.int64),
        "hold_before": np.zeros((1, lag * rooms), np.int64),
    }
    decoder, method = decode.FixedLag(chain, lag), holder._fixedlag if lag else holder._filter
    for t in range(steps):
        room = decoder.step(scores[t])
        answered = int(method(op, {"x": scores[t][None].astype(np.int64)}, states)[0, 0]) - 1  # type: ignore[arg-type]
        assert np.array_equal(states["hold_d"][0, :rooms], decoder.filter.delta)
        if room is None:  # too early for the decoder: the operator answers with the oldest that is known
            room = decoder._trace(int(decoder.filter.delta.argmax()))[0]
        assert answered == room


def test_a_room_is_held_through_windows_and_forgotten_with_the_session() -> None:
    made = steps_graph(1, 0)
    samples, flags = stream(1, 20, "reset")
    _, settled = live(made, samples, flags)
    moved = np.flatnonzero(np.diff(settled.astype(int)) != 0) + 1
    ends = np.arange(len(samples)) % STEPS == STEPS - 1
    fresh = np.zeros(len(samples), bool)
    for start in np.flatnonzero(flags == 1):
        fresh[start : start + STEPS] = True  # before its first decision a session says what the model says
    assert all(ends[at] or fresh[at] for at in moved), "a held room moves only when a window is full"
    reference = Reference(made)
    states = reference.initial_state(1)
    scores = reference.run(samples[None, :STEPS], states)[:, -1]
    assert states[SETTLED][0, 0] > 0
    reference.restart(states)
    assert states[SETTLED][0, 0] > 0
    assert not states["clock"].any()
    assert settled_of(reference.initial_state(1), scores) == rooms_of(scores)


def test_without_a_decision_layer_settled_is_the_room(tmp_path: Path) -> None:
    _, checkpoint = mamba(4, 1, POINTS, ROOMS, wild=3.0)
    graph = lower(replace(checkpoint, window_steps=STEPS), signal(30, STEPS, POINTS))
    samples, flags = stream(3, 10, "reset")
    wanted, settled = live(graph, samples, flags)
    emit(graph, tmp_path / "c")
    assert not (tmp_path / "c" / "tinyloc_settle.c").exists()
    program = build_host(tmp_path / "c", tmp_path / "host", sanitize=True)
    assert program.run(np.concatenate([flags[:, None], samples], axis=1).tobytes()) == wanted
    assert np.array_equal(settled, np.frombuffer(wanted, np.uint8).reshape(-1, 2 * ROOMS + 2)[:, -2])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"first": 7}, "last step of each window"),
        ({"hop": 0}, "impossible times"),
        ({"y": "scores"}, "out of turn"),
        ({"transitions": np.zeros((2, 2), np.int16)}, "needs transitions"),
        ({"multiplier": -1}, "factor out of range"),
    ],
)
def test_what_cannot_be_is_refused(change: dict[str, object], message: str) -> None:
    made = steps_graph(0, 0)
    with pytest.raises(QuantisationError, match=message):
        replace(made, operators=(*made.operators[:-1], replace(made.operators[-1], **change))).check()


def test_single_samples_and_two_layers_are_refused() -> None:
    made = steps_graph(0, 0)
    with pytest.raises(QuantisationError, match="no order in time"):
        replace(made, seconds_per_step=0.0).check()
    with pytest.raises(QuantisationError, match="one at most"):
        replace(
            made,
            tensors=(*made.tensors, Tensor("once_more", 1, 16, 32767, 1.0)),
            operators=(*made.operators, replace(made.operators[-1], name="again", y="once_more")),
        ).check()


@pytest.mark.parametrize(("kind", "state", "lag", "hop"), CASES)
def test_a_replay_answers_as_a_device_that_lives_through_it(
    kind: str, state: str, lag: int, hop: int
) -> None:
    """The replay runs windows, stretches and sessions side by side: the same bytes as step by step."""
    made = windows_graph(5, lag) if kind == "windows" else steps_graph(5, lag, state, STEPS, hop)
    samples, flags = stream(5, 30, state)
    ends = np.arange(STEPS - 1, len(samples), STEPS)
    assert Replay(samples, flags, ends, STEPS).answers(Reference(made)) == live(made, samples, flags)[0]
