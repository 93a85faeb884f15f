"""Receivers that are followed as they drift: C against the reference, the reference against plain words."""

import subprocess
from dataclasses import replace
from pathlib import Path

import ensemble_models
import numpy as np
import pytest
from builders import any_bytes, signal
from following_graphs import follows, learned
from hypothesis import given, settings
from hypothesis import strategies as st
from test_decision_operators import POINTS, ROOMS, STEPS, live, steps_graph, stream, windows_graph
from test_streaming import full, heard, spoken

from tinyloc.device.boards import find_board
from tinyloc.device.compile import STRICT
from tinyloc.device.host import build_host
from tinyloc.device.tiers import find_tier
from tinyloc.emit import emit
from tinyloc.errors import QuantisationError, UsageError
from tinyloc.quant.answer_operators import Novelty
from tinyloc.quant.follow import following, impossible, room_means
from tinyloc.quant.follow_operators import MOST_OFF, Follow
from tinyloc.quant.graph import Graph
from tinyloc.quant.lower import lower
from tinyloc.quant.reference import Reference
from tinyloc.quant.replay import INIT, Replay
from tinyloc.quant.storage import from_bytes, to_bytes
from tinyloc.quant.stream import Stream, gap_steps, streaming


def made(kind: str, seed: int) -> Graph:
    """A following graph: of steps, of windows or of a carried state, with a decision layer or without."""
    if kind.endswith("carried"):
        graph = steps_graph(seed, 0, "carried", STEPS, CARRIED_HOP)
    else:
        graph = windows_graph(seed, 1) if kind.endswith("windows") else steps_graph(seed, 0)
    if kind.startswith("undecided"):
        graph = replace(graph, tensors=graph.tensors[:-1], operators=graph.operators[:-1])
    return follows(graph, seed, rate=64, hop=CARRIED_HOP)


CARRIED_HOP = 2
KINDS = ("steps", "windows", "carried", "undecided steps", "undecided windows", "undecided carried")


def state_of(kind: str) -> str:
    return "carried" if kind.endswith("carried") else "reset"


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("kind", KINDS)
def test_c_equals_the_reference(kind: str, seed: int, tmp_path: Path) -> None:
    graph = made(kind, seed)
    samples, flags = stream(seed, 40, state_of(kind))
    wanted, _ = live(graph, samples, flags)
    emit(graph, tmp_path / "c")
    program = build_host(tmp_path / "c", tmp_path / "host", sanitize=True)
    assert program.run(np.concatenate([flags[:, None], samples], axis=1).tobytes()) == wanted
    assert to_bytes(from_bytes(to_bytes(graph))) == to_bytes(graph)
    slow = follows(graph_before(graph), seed, rate=1, hop=CARRIED_HOP)
    rate_matters = live(slow, samples, flags)[0] != wanted
    assert rate_matters, "a test in which nothing is learned would prove nothing"


def graph_before(graph: Graph) -> Graph:
    """The graph without its follower."""
    operators = [
        replace(operator, **{name: "sample" for name, value in vars(operator).items() if _is_followed(value)})
        for operator in graph.operators[1:]
    ]
    tensors = tuple(tensor for tensor in graph.tensors if tensor.name != "followed")
    return replace(graph, tensors=tensors, operators=tuple(operators)).check()


def _is_followed(value: object) -> bool:
    return isinstance(value, str) and value == "followed"


@pytest.mark.parametrize("name", ["mixed", "forests", "whole"])
def test_of_an_ensemble_too(name: str, tmp_path: Path) -> None:
    steps, checkpoint = ensemble_models.made(name)
    points = len(checkpoint.access_points)
    graph = follows(lower(checkpoint, signal(20, steps, points)), 0, rate=64)
    samples = np.concatenate([signal(12, steps, points, 1), any_bytes(12, steps, points, 1)])
    flags = np.zeros(samples.shape[:2], np.int8)
    flags[:, 0] = 2
    flags[::8, 0] = 1
    flat = samples.reshape(-1, points)
    emit(graph, tmp_path / "c")
    program = build_host(tmp_path / "c", tmp_path / "host", sanitize=True)
    records = np.concatenate([flags.reshape(-1, 1), flat], axis=1).tobytes()
    assert program.run(records) == live(graph, flat, flags.ravel())[0]


@pytest.mark.parametrize("kind", KINDS)
def test_sessions_side_by_side_are_sessions_one_by_one(kind: str) -> None:
    graph = made(kind, 3)
    samples, flags = stream(3, 20, state_of(kind))
    ends = np.arange(STEPS - 1, len(samples), STEPS)
    replayed = Replay(samples, flags, ends, STEPS)
    assert replayed.answers(Reference(graph)) == live(graph, samples, flags)[0]


@pytest.mark.parametrize(
    ("kind", "hop"), [("windows", 2), ("undecided steps", STEPS), ("carried", 1), ("undecided carried", 1)]
)
def test_a_stream_says_what_its_twin_says(kind: str, hop: int, tmp_path: Path) -> None:
    graph = full(made(kind, 1), hop, 1)
    samples = heard(1)
    flags = np.zeros(len(samples), np.int8)
    flags[[0, 60, 110]] = (1, 2, 1)
    emit(graph, tmp_path / "c")
    program = build_host(tmp_path / "c", tmp_path / "host", sanitize=True)
    said = program.run(np.concatenate([flags[:, None], samples], axis=1).tobytes())
    assert said == spoken(graph, samples, flags)


def test_what_was_learned_to_be_off_is_not_unknown() -> None:
    """The same loud signal is unknown before its offsets are learned, and known behind them."""
    graph = full(made("undecided steps", 0), STEPS, 0, 0)
    first, novelty = graph.operators[0], graph.operators[-1]
    assert isinstance(first, Follow)
    assert isinstance(novelty, Novelty)
    near = replace(novelty, centre=np.full_like(novelty.centre, -70), threshold=12)
    graph = replace(graph, operators=(first, *graph.operators[1:-1], near)).check()
    twin, sample = Stream(graph), np.full(POINTS, -60, np.int8)
    assert twin.step(sample).unknown
    twin.states["follow_offset"][:] = -10 * 256
    assert twin.step(sample).unknown is False


def test_nothing_is_learned_of_what_is_unknown() -> None:
    """Far from all that was learned, signals differ from the rooms' by something else than drift."""
    graph = full(made("undecided steps", 0), STEPS, 0, 0)
    novelty = graph.operators[-1]
    assert isinstance(novelty, Novelty)
    moved = []
    for threshold in (0, 30_000):  # all is unknown; nothing is
        last = replace(novelty, threshold=threshold, centre=np.full_like(novelty.centre, -128))
        twin = Stream(replace(graph, operators=(*graph.operators[:-1], last)).check())
        unknown = [twin.step(sample).unknown for sample in heard(0)[:40]]
        assert set(unknown) == {threshold == 0}
        moved.append(bool(twin.states["follow_offset"].any()))
    assert moved == [False, True]


@pytest.mark.parametrize("kind", ["windows", "undecided carried"])
def test_a_gap_forgets_all_but_the_offsets(kind: str, tmp_path: Path) -> None:
    graph = full(made(kind, 5), 1, 5)
    samples = heard(5, 60)
    twin, fresh = Stream(graph), Stream(graph)
    before = [twin.step(sample).to_bytes() for sample in samples[:40]]
    offsets = twin.states["follow_offset"].copy()
    twin.missed(gap_steps(graph) - 1)
    assert twin.states["clock"].any() or twin.states["novelty_level"].any()
    twin.missed(gap_steps(graph))
    assert offsets.any()
    assert np.array_equal(twin.states.pop("follow_offset"), offsets)
    assert not any(kept.any() for kept in twin.states.values())
    twin.states["follow_offset"] = offsets
    after = [twin.step(sample).to_bytes() for sample in samples[40:]]
    assert after != [fresh.step(sample).to_bytes() for sample in samples[40:]], "offsets count"
    for guarded in (False, True):
        emit(graph, tmp_path / "c", guarded=guarded)
        assert in_c(tmp_path / "c", samples, 40, gap_steps(graph)) == b"".join(before + after)


def in_c(folder: Path, samples: np.ndarray, gap_at: int, gap: int) -> bytes:
    """What the emitted C answers, with a short gap and then one of `gap` samples before one sample."""
    rows = ",".join("{" + ",".join(map(str, sample)) + "}" for sample in samples)
    (folder / "main.c").write_text(f"""#include <stdio.h>
#include "tinyloc_model.h"
static const int8_t samples[{len(samples)}][TINYLOC_SAMPLE_BYTES] = {{{rows}}};
int main(void)
{{
    static tinyloc_state state;
    tinyloc_result result;
    tinyloc_init(&state);
    for (int i = 0; i < {len(samples)}; i++) {{
        if (i == {gap_at}) {{
            tinyloc_missed(&state, {gap - 1});
            tinyloc_missed(&state, {gap});
        }}
        tinyloc_step(&state, samples[i], &result);
        fwrite(result.scores, 2, TINYLOC_ROOMS, stdout);
        putchar(result.room);
        putchar(result.settled);
        putchar(result.fresh);
        putchar(result.unknown);
        fwrite(result.probability, 1, TINYLOC_ROOMS, stdout);
    }}
    return 0;
}}
""")
    flags = [*STRICT, "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    command = ["cc", *flags, *map(str, sorted(folder.glob("*.c"))), "-o", str(folder / "gap")]
    built = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert built.returncode == 0, built.stderr
    return subprocess.run([folder / "gap"], capture_output=True, timeout=60, check=True).stdout


def test_however_often_it_answers_it_is_as_quick() -> None:
    graph = made("windows", 0)
    assert graph.follower is not None
    slower = replace(graph.follower, rate=8, hop=STEPS)
    graph = replace(graph, operators=(slower, *graph.operators[1:])).check()
    rates = {hop: streaming(graph, hop).follower.rate for hop in (1, 2, STEPS)}  # type: ignore[union-attr]
    assert rates == {1: 2, 2: 3, STEPS: 8}


@pytest.mark.parametrize("kind", ["carried", "undecided carried"])
def test_a_carried_state_learns_as_often_in_a_stream_as_in_windows(kind: str) -> None:
    """An answer at every sample, but offsets that move behind T samples and then every hop alone."""
    graph = made(kind, 0)
    assert streaming(graph).follower == graph.follower
    reference, samples = Reference(graph), signal(1, 20, POINTS, 4)
    states = reference.initial_state(1)
    moved, before = [], states["follow_offset"].copy()
    for step in range(20):
        reference.step(samples[:, step], states)
        moved += [step + 1] if (states["follow_offset"] != before).any() else []
        before = states["follow_offset"].copy()
    assert set(moved) <= set(range(STEPS, 21, CARRIED_HOP)), "a full offset, or nothing heard, moves none"
    assert len(moved) >= 4


@pytest.mark.parametrize("kind", ["steps", "undecided carried"])
def test_on_a_cortex_m4(kind: str, tmp_path: Path) -> None:
    graph = made(kind, 7)
    samples, flags = stream(7, 12, state_of(kind))
    emit(graph, tmp_path / "c")
    tier = find_tier("pip")
    firmware = tier.build(tmp_path / "c", find_board("cortex-m4"), tmp_path / "build", ram_bytes=32 * 1024)
    run = tier.run(firmware, np.concatenate([flags[:, None], samples], axis=1).tobytes(), count_records=18)
    assert run.answers == live(graph, samples, flags)[0]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 64))
def test_the_offsets_are_what_the_words_say(seed: int, rate: int) -> None:
    rng = np.random.default_rng(seed)
    op = replace(made("steps", 0).operators[0], rate=rate)
    holder = Reference(made("steps", 0))
    assert isinstance(op, Follow)
    offset = rng.integers(-MOST_OFF, MOST_OFF + 1, POINTS)
    sample = any_bytes(1, 1, POINTS, seed)[0].astype(np.int64)
    states = {"follow_offset": offset[None].copy()}
    values = {"sample": sample, "followed": holder._follow(op, {"sample": sample}, states)}
    room = int(rng.integers(ROOMS))
    holder.learn_offsets(op, values, np.array([room]), states)
    for p in range(POINTS):
        x, mean, o = int(sample[0, p]), int(op.means[room, p]), int(offset[p])
        y = x if x == -128 else max(-127, min(127, x + round_half_up(o)))
        assert values["followed"][0, p] == y
        moved = o + rate * (mean - y) if x != -128 and mean != -128 else o
        assert states["follow_offset"][0, p] == max(-MOST_OFF, min(MOST_OFF, moved))


def round_half_up(units: int) -> int:
    """1/256 dB -> dB, halves upward."""
    return int(np.floor(units / 256 + 0.5))


def test_what_a_receiver_is_off_by_is_found() -> None:
    """Two rooms, each heard at its own level, every receiver off by something: the model stays right."""
    graph = made("undecided steps", 0)
    means = np.array([[-50, -90, -70], [-90, -50, -70], [-128, -128, -128], [-128] * 3], np.int8)
    first = replace(graph.operators[0], means=means, rate=4)
    reference = Reference(replace(graph, operators=(first, *graph.operators[1:])).check())
    states, off = reference.initial_state(1), np.array([7, -5, 3])
    for answer in range(600):
        room = answer % 2
        sample = (means[room].astype(np.int64) + off)[None]
        values = {"sample": sample, "followed": reference._follow(first, {"sample": sample}, states)}  # type: ignore[arg-type]
        reference.learn_offsets(first, values, np.array([room]), states)  # type: ignore[arg-type]
    assert np.abs(states["follow_offset"][0] / 256 + off).max() <= 0.6


def test_means_are_those_of_the_rooms() -> None:
    graph = steps_graph(0, 0)
    windows = learned(graph, 0)
    means = room_means(windows)
    there = windows.rssi[windows.rooms_at == 1][:, 0].astype(float)
    assert means[1, 0] == round(there[there != -128].mean())
    assert (means[:, -1] == -128).all(), "never heard"
    assert (means[ROOMS - 1] == -128).all(), "never entered"


def test_it_outlives_a_window_and_ends_with_the_session() -> None:
    graph = made("steps", 2)
    reference = Reference(graph)
    states = reference.initial_state(1)
    reference.run(signal(1, STEPS, POINTS, 2), states)
    moved = states["follow_offset"].copy()
    assert moved.any()
    reference.restart(states)
    assert np.array_equal(states["follow_offset"], moved)
    samples = signal(2, STEPS, POINTS, 2).reshape(-1, POINTS)
    flags = np.zeros(len(samples), np.int8)
    flags[::STEPS] = INIT
    twice = Replay(samples, flags, np.array([STEPS - 1, 2 * STEPS - 1]), STEPS).scores(reference)
    assert np.array_equal(twice[STEPS:], reference.run(samples[None, STEPS:])[0])


def test_what_cannot_be_followed_is_refused() -> None:
    carried = steps_graph(0, 0, "carried", STEPS, 2)
    windows = learned(carried, 0)
    for hop, refused in ((STEPS, False), (STEPS + 1, True)):
        apart = replace(windows, end_time=np.arange(30) * hop * 0.1, seconds_per_step=0.1)
        assert ("windows that stand apart" in impossible("carried", apart)) is refused
        assert not impossible("reset", apart)
    with pytest.raises(QuantisationError, match="when a room is decided"):
        following(carried, learned(carried, 0), 3)
    graph = steps_graph(0, 0)
    with pytest.raises(UsageError, match="no order in time"):
        following(graph, replace(learned(graph, 0), seconds_per_step=0.0), 5)
    good = made("steps", 0)
    first, second, *others = good.operators
    for wrong, message in (
        ((second, first, *others), "out of turn|first operator"),
        ((replace(first, rate=0), second, *others), "rate of 0"),
        ((replace(first, means=np.zeros((1, 1), np.int8)), second, *others), "needs means"),
        ((first, replace(second, x="sample"), *others), "nothing else reads"),
    ):
        with pytest.raises(QuantisationError, match=message):
            replace(good, operators=wrong).check()
    seldom = made("undecided carried", 0)
    with pytest.raises(QuantisationError, match="at least every window"):
        replace(seldom, operators=(replace(first, hop=STEPS + 1), *seldom.operators[1:])).check()
    with pytest.raises(QuantisationError, match="too long to count"):
        replace(seldom, window_steps=40_000).check()


def test_without_it_the_c_has_no_word_of_it(tmp_path: Path) -> None:
    emit(steps_graph(0, 0), tmp_path / "c")
    assert not (tmp_path / "c" / "tinyloc_follow.c").exists()
    assert "tinyloc_follow" not in (tmp_path / "c" / "tinyloc_model.c").read_text()
