"""Streaming: every family through the same two calls, in C as in Python, to the bit; what answers hold."""

import ctypes
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from builders import any_bytes, mamba, signal
from following_graphs import follows
from hypothesis import given, settings
from hypothesis import strategies as st
from test_decision_operators import POINTS, ROOMS, STEPS, steps_graph, windows_graph

from tinyloc.device.boards import find_board
from tinyloc.device.host import build_host
from tinyloc.device.tiers import find_tier
from tinyloc.emit import emit
from tinyloc.errors import QuantisationError
from tinyloc.quant.answer_operators import Novelty, Probability
from tinyloc.quant.answer_reference import AnswerOperators
from tinyloc.quant.graph import Graph
from tinyloc.quant.lower import factor, lower
from tinyloc.quant.reference import Reference
from tinyloc.quant.storage import from_bytes, to_bytes
from tinyloc.quant.stream import Stream, answer_bytes, gap_steps, streaming

VOID = ctypes.c_void_p


def novelty(seed: int, smoothing: int, points: int = POINTS) -> Novelty:
    """Random centres among the dBm of the tests' signals."""
    centre = np.random.default_rng(seed).integers(-100, -50, (ROOMS, points)).astype(np.int8)
    return Novelty("novelty", "sample", "unknown", centre, -100, smoothing, 16 * points)


def full(graph: Graph, hop: int, seed: int = 0, smoothing: int = 3) -> Graph:
    """`graph` streaming, with all that an answer may hold."""
    chance = factor(2.0**-9 * 65536, "chance")
    return streaming(graph, hop, chance, novelty(seed, smoothing, len(graph.access_points)))


def undecided(graph: Graph) -> Graph:
    """The same without its decision layer."""
    return replace(graph, tensors=graph.tensors[:-1], operators=graph.operators[:-1])


def made(kind: str, hop: int, seed: int) -> Graph:
    """A streaming graph of each way to keep time."""
    if kind == "carried":
        return full(steps_graph(seed, 0, "carried", STEPS, 2), 1, seed)
    if kind == "steps":
        return full(steps_graph(seed, 0), hop, seed)
    if kind == "undecided steps":
        return full(undecided(steps_graph(seed, 0)), hop, seed, 0)
    if kind == "undecided windows":
        return full(undecided(windows_graph(seed, 0)), hop, seed)
    if kind == "follows":
        return full(follows(undecided(steps_graph(seed, 0)), seed, rate=64), hop, seed)
    if kind == "crf":
        _, checkpoint = mamba(4, 1, POINTS, ROOMS, seed=seed, wild=3.0)
        config = replace(checkpoint.config, crf=True)
        crf = {
            f"crf.{part}": np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)
            for part, shape in (("transitions", (ROOMS, ROOMS)), ("start", (ROOMS,)), ("end", (ROOMS,)))
        }
        weights = {**checkpoint.weights, **crf}
        checkpoint = replace(checkpoint, config=config, weights=weights, window_steps=STEPS)
        return full(lower(checkpoint, signal(30, STEPS, POINTS, seed)), hop, seed)
    return full(windows_graph(seed, 1), hop, seed)


def heard(seed: int, samples: int = 160) -> np.ndarray:
    """[S, P] int8: half walks, half any bytes."""
    half = samples // 2
    return np.concatenate([signal(1, half, POINTS, seed)[0], any_bytes(1, half, POINTS, seed)[0]])


def spoken(graph: Graph, samples: np.ndarray, flags: np.ndarray) -> bytes:
    """The twin's answers."""
    twin, said = Stream(graph, check=True), b""
    for sample, flag in zip(samples, flags, strict=True):
        if flag == 1:
            twin.init()
        elif flag == 2:
            twin.restart()
        said += twin.step(sample).to_bytes()
    return said


CASES = [
    ("windows", 1), ("windows", 2), ("windows", STEPS), ("undecided windows", 3), ("steps", STEPS),
    ("undecided steps", STEPS), ("carried", 1), ("crf", STEPS),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "hop"), CASES)
def test_c_says_what_the_twin_says(kind: str, hop: int, tmp_path: Path) -> None:
    graph = made(kind, hop, 1)
    samples, flags = heard(1), np.zeros(160, np.int8)
    flags[[0, 71]] = 1  # else no call but the step: that is the point
    flags[[33, 120]] = 2
    wanted = spoken(graph, samples, flags)
    table = np.frombuffer(wanted, np.uint8).reshape(160, -1)
    assert table.shape[1] == answer_bytes(graph)
    fresh, unknown = table[:, 2 * ROOMS + 2], table[:, 2 * ROOMS + 3]
    assert 0 < unknown.sum() < 160, "a test on constants would prove nothing"
    assert fresh.all() if kind == "carried" else 0 < fresh.sum() < 160
    emit(graph, tmp_path / "c")
    program = build_host(tmp_path / "c", tmp_path / "host", sanitize=True)
    assert program.run(np.concatenate([flags[:, None], samples], axis=1).tobytes()) == wanted
    assert to_bytes(from_bytes(to_bytes(graph))) == to_bytes(graph)


def test_on_a_cortex_m4(tmp_path: Path) -> None:
    graph = made("windows", 2, 3)
    samples, flags = heard(3), np.zeros(160, np.int8)
    emit(graph, tmp_path / "c")
    firmware = find_tier("pip").build(
        tmp_path / "c", find_board("cortex-m4"), tmp_path / "build", ram_bytes=32 * 1024
    )
    run = find_tier("pip").run(firmware, np.concatenate([flags[:, None], samples], axis=1).tobytes())
    assert run.answers == spoken(graph, samples, flags)


@pytest.mark.parametrize("hop", [1, 2, 4, STEPS])
def test_overlapping_windows_are_the_windows(hop: int) -> None:
    """A hop at a time, the stream says of every window what the window alone says."""
    plain = undecided(windows_graph(5, 0))
    samples = heard(5, 60)
    twin = Stream(streaming(plain, hop))
    answers = [twin.step(sample) for sample in samples]
    ends = [at for at, answer in enumerate(answers) if answer.fresh]
    assert ends == list(range(STEPS - 1, 60, hop))
    windows = np.stack([samples[end - STEPS + 1 : end + 1] for end in ends])
    alone = Reference(plain).run(windows)[:, -1]
    assert np.array_equal(np.stack([answers[end].scores for end in ends]), alone)


@pytest.mark.parametrize("kind", ["undecided steps", "crf"])
def test_a_model_of_reset_windows_begins_each_by_itself(kind: str) -> None:
    graph = made(kind, STEPS, 2)
    samples = heard(2, 40)
    twin = Stream(graph)
    scores = np.stack([twin.step(sample).scores for sample in samples])[STEPS - 1 :: STEPS]
    alone = Reference(graph).run(samples.reshape(-1, STEPS, POINTS))[:, -1]
    assert np.array_equal(scores, alone)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(-32767, 32767), min_size=ROOMS, max_size=ROOMS),
    st.floats(2.0**-20, 2.0**8),
)
def test_probabilities_are_a_softmax_in_bytes(scores: list[int], unit: float) -> None:
    graph = streaming(undecided(windows_graph(0, 0)), 1, factor(unit * np.log2(np.e) * 65536, "chance"))
    x = np.array([scores], np.int64)
    found = Reference(graph, check=True).apply(graph.extras[0], {"scores": x}, {})[0]
    nats = unit * (x[0] - x.max())
    wanted = 255 * np.exp(nats) / np.exp(nats).sum()
    assert np.abs(found - wanted).max() <= 0.56  # half a byte for rounding, the table's 3e-5, Q15's 2^-16
    assert abs(found.sum() - 255) <= ROOMS / 2
    assert found[x[0].argmax()] == found.max() <= 255
    assert found.min() >= 0


class Factor(ctypes.Structure):
    """tinyloc_probability, as a C compiler lays it out."""

    _fields_ = (("multiplier", ctypes.c_int32), ("rooms", ctypes.c_uint16), ("shift", ctypes.c_uint8))


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The C of a model as a library of this computer."""
    folder = tmp_path_factory.mktemp("kernels")
    emit(made("undecided windows", 1, 0), folder)
    sources = [path.name for path in folder.glob("*.c")]
    subprocess.run(
        ["cc", "-std=c99", "-O1", "-shared", "-fPIC", *sources, "-o", "k.so"], cwd=folder, check=True
    )
    return ctypes.CDLL(str(folder / "k.so"))


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 255), st.integers(0, 2**31 - 1), st.integers(0, 62), st.integers(0, 10_000))
def test_the_kernel_of_probabilities_is_the_reference(
    kernels: ctypes.CDLL, rooms: int, multiplier: int, shift: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    wide = int(2 ** rng.uniform(0, 15))
    x = np.clip(rng.integers(-wide, wide + 1, rooms) + rng.integers(-9, 10), -32767, 32767).astype(np.int16)
    found = np.zeros(rooms, np.uint8)
    factor = Factor(multiplier, rooms, shift)
    kernels.tinyloc_probability_16(ctypes.byref(factor), x.ctypes.data_as(VOID), found.ctypes.data_as(VOID))
    op = Probability("chance", "x", "y", multiplier, shift)
    wanted = AnswerOperators()._probability(op, {"x": x.astype(np.int64)[None]}, {})[0]
    assert found.tolist() == wanted.tolist()


def test_a_silent_radio_is_unknown_and_a_familiar_one_is_not() -> None:
    near = np.full(POINTS, -60, np.int8)
    centre = near + np.arange(0, 4 * ROOMS, 4, dtype=np.int8)[:, None]
    judge = replace(novelty(0, 3), centre=centre.astype(np.int8))
    twin = Stream(streaming(undecided(windows_graph(0, 0)), 1, novelty=judge))
    assert not any(twin.step(near).unknown for _ in range(10))
    silent = [twin.step(np.full(POINTS, -128, np.int8)).unknown for _ in range(40)]
    assert silent[-1]
    assert not silent[0], "one lost sample is not enough"


def test_after_a_long_gap_all_is_forgotten_and_after_a_short_one_nothing(tmp_path: Path) -> None:
    graph = made("carried", 1, 4)
    assert gap_steps(graph) == 15  # 3 s of 0.2 s
    samples = heard(4, 40)
    one, two, three = Stream(graph), Stream(graph), Stream(graph)
    for sample in samples[:20]:
        one.step(sample)
        two.step(sample)
    one.missed(14)
    two.missed(15)
    later = [[twin.step(sample).to_bytes() for sample in samples[20:]] for twin in (one, two, three)]
    assert later[1] == later[2] != later[0]
    text = {path.name: path.read_text() for path in emit(graph, tmp_path)}
    assert "#define TINYLOC_GAP_STEPS 15 " in text["tinyloc_model.h"]


def test_what_is_not_asked_for_costs_nothing(tmp_path: Path) -> None:
    plain = steps_graph(0, 0)
    names = {path.name for path in emit(plain, tmp_path)}
    assert "tinyloc_answer.c" not in names
    text = (tmp_path / "tinyloc_model.h").read_text()
    assert not any(word in text for word in ("fresh", "probability", "unknown", "missed"))


@pytest.mark.parametrize(
    ("kind", "hop", "message"),
    [
        ("steps", 2, "begins every window"),
        ("windows", STEPS + 1, "leaves a gap"),
        ("windows", 0, "impossible"),
        ("carried", 2, "answers at every sample"),
    ],
)
def test_impossible_hops_are_refused(kind: str, hop: int, message: str) -> None:
    state = "carried" if kind == "carried" else "reset"
    plain = windows_graph(0, 0) if kind == "windows" else steps_graph(0, 0, state)
    with pytest.raises(QuantisationError, match=message):
        streaming(plain, hop)


def test_a_graph_whose_caller_begins_windows_is_no_stream() -> None:
    with pytest.raises(QuantisationError, match="begun by its caller"):
        Stream(windows_graph(0, 0))
