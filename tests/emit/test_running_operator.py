"""What a window has said so far, in C against the reference and the window's own function, to the bit."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from builders import any_bytes, records, signal

from tinyloc.device.boards import find_board
from tinyloc.device.host import build_host
from tinyloc.device.tiers import find_tier
from tinyloc.emit import emit
from tinyloc.errors import QuantisationError
from tinyloc.models.running import running_statistics
from tinyloc.quant.graph import Graph, Linear, Running, Tensor
from tinyloc.quant.lower import factor
from tinyloc.quant.reference import Reference, answers
from tinyloc.quant.storage import from_bytes, to_bytes


def laid_open(points: int, steps: int) -> Graph:
    """A graph whose scores are the statistics themselves: a matrix of ones on the diagonal behind them."""
    wide = 3 * points
    tensors = (
        Tensor("sample", points, 8, 127, 1.0),
        Tensor("said", wide, 8, 127, 1.0),
        Tensor("scores", wide, 16, 32767, 1.0),
    )
    multiplier, shift = factor(1.0, "any")
    ones = Linear(
        "ones", "said", "scores", np.eye(wide, dtype=np.int8), np.zeros(wide, np.int32),
        np.full(wide, multiplier, np.int32), shift,
    )  # fmt: skip
    names = tuple(f"ap{i}" for i in range(points)), tuple(f"room{i}" for i in range(wide))
    operators = (Running("running", "sample", "said"), ones)
    return Graph("test", "H1L1", *names, steps, 0.2, "reset", tensors, operators, "scores").check()


def heard(steps: int, points: int, seed: int) -> np.ndarray:
    """Walks, any bytes, a long silence, the loudest and the weakest throughout."""
    rng = np.random.default_rng(seed)
    rare = any_bytes(4, steps, points, seed)
    rare[rng.random(rare.shape) < 0.95] = -128
    ends = np.full((2, steps, points), 127, np.int8)
    ends[1] = -127
    walks = [signal(4, steps, points, seed), any_bytes(4, steps, points, seed + 1)]
    return np.concatenate([*walks, rare, ends])


@pytest.mark.parametrize(("points", "steps"), [(1, 1), (6, 20), (3, 300), (80, 3)])
def test_c_equals_the_reference_and_the_windows_function(points: int, steps: int, tmp_path: Path) -> None:
    made = laid_open(points, steps)
    rssi = heard(steps, points, steps)
    scores = Reference(made, check=True).run(rssi)
    assert np.array_equal(scores, running_statistics(rssi))
    emit(made, tmp_path / "c")
    assert build_host(tmp_path / "c", tmp_path / "host", sanitize=True).run(records(rssi)) == answers(scores)
    assert to_bytes(from_bytes(to_bytes(made))) == to_bytes(made)


def test_on_a_cortex_m4(tmp_path: Path) -> None:
    made, rssi = laid_open(5, 270), heard(270, 5, 3)
    emit(made, tmp_path / "c")
    tier = find_tier("pip")
    firmware = tier.build(tmp_path / "c", find_board("cortex-m4"), tmp_path / "build", ram_bytes=32 * 1024)
    assert tier.run(firmware, records(rssi), count_records=18).answers == answers(Reference(made).run(rssi))


def test_only_a_model_that_has_them_carries_their_kernel(tmp_path: Path) -> None:
    from builders import mamba

    from tinyloc.quant.lower import lower

    emit(lower(mamba()[1], signal(50, 20, 6)), tmp_path / "plain")
    assert not (tmp_path / "plain" / "tinyloc_running.c").exists()


def test_what_could_not_run_is_refused() -> None:
    made = laid_open(2, 20)
    with pytest.raises(QuantisationError, match="windows that begin"):
        dataclasses.replace(made, state="carried").check()
    sample, said, scores = made.tensors
    with pytest.raises(QuantisationError, match="three times its size"):
        dataclasses.replace(made, tensors=(sample, dataclasses.replace(said, size=5), scores)).check()
