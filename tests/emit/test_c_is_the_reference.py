"""The C against the reference: two implementations, one truth, to the bit, under both sanitizers."""

from pathlib import Path

import numpy as np
import pytest
from builders import any_bytes, lowered_or_refused, mamba, records, signal
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyloc.device.boards import find_board
from tinyloc.device.host import build_host
from tinyloc.device.tiers import find_tier
from tinyloc.emit import emit
from tinyloc.quant.graph import Graph
from tinyloc.quant.lower import lower
from tinyloc.quant.reference import Reference, answers


def both(graph: Graph, rssi: np.ndarray, folder: Path) -> tuple[bytes, bytes]:
    """Answers of the C on this computer, and of the reference."""
    emit(graph, folder / "c")
    program = build_host(folder / "c", folder / "host", sanitize=True)
    return program.run(records(rssi)), answers(Reference(graph).run(rssi))


@settings(max_examples=6, deadline=None)
@given(
    st.sampled_from([1, 2, 3, 8, 17, 24]), st.integers(1, 2), st.integers(1, 13), st.integers(2, 9),
    st.sampled_from(["minmax", "zscore", "power"]), st.sampled_from(["int16", "int8"]),
    st.floats(0.3, 6.0), st.integers(0, 10_000),
)  # fmt: skip
def test_any_model_on_any_bytes(
    tmp_path_factory: pytest.TempPathFactory,
    hidden: int, layers: int, points: int, rooms: int, kind: str, precision: str, wild: float, seed: int,
) -> None:  # fmt: skip
    _, checkpoint = mamba(hidden, layers, points, rooms, seed=seed, kind=kind, wild=wild)
    graph = lowered_or_refused(checkpoint, signal(40, 20, points, seed), precision)
    if graph is None:
        return
    rssi = np.concatenate([signal(20, 20, points, seed + 1), any_bytes(20, 20, points, seed)])
    found, wanted = both(graph, rssi, tmp_path_factory.mktemp("c"))
    assert found == wanted


def test_many_access_points_and_one_sample_a_window(tmp_path: Path) -> None:
    _, checkpoint = mamba(8, 1, 520, 60, kind="power")
    rssi = signal(60, 1, 520)
    found, wanted = both(lower(checkpoint, rssi), rssi, tmp_path)
    assert found == wanted


@pytest.mark.parametrize("precision", ["int16", "int8"])
def test_every_step_on_a_cortex_m4(tmp_path: Path, precision: str) -> None:
    _, checkpoint = mamba(8, 2, 7, 5, wild=2.0)
    graph = lower(checkpoint, signal(50, 20, 7), precision)  # type: ignore[arg-type]
    rssi = np.concatenate([signal(30, 20, 7, 1), any_bytes(30, 20, 7)])
    emit(graph, tmp_path / "c")
    tier = find_tier("pip")
    firmware = tier.build(tmp_path / "c", find_board("cortex-m4"), tmp_path / "build", ram_bytes=32 * 1024)
    assert tier.run(firmware, records(rssi), count_records=20).answers == answers(Reference(graph).run(rssi))


@pytest.mark.reference
def test_the_plain_loops_and_the_dsp_kernels_give_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tinyloc.device import toolchains
    from tinyloc.errors import ToolchainError

    try:
        tier = find_tier("reference")
    except ToolchainError as error:
        pytest.skip(str(error))
    _, checkpoint = mamba(8, 1, 7, 5, wild=3.0)
    graph = lower(checkpoint, signal(50, 20, 7))
    rssi = np.concatenate([signal(20, 20, 7, 1), any_bytes(20, 20, 7)])
    emit(graph, tmp_path / "c")
    runs = []
    for name in ("fast", "plain"):
        if name == "plain":
            monkeypatch.setattr(toolchains, "COMMON", (*toolchains.COMMON, "-DTINYLOC_PLAIN"))
        firmware = tier.build(tmp_path / "c", find_board("cortex-m4"), tmp_path / name, ram_bytes=32 * 1024)
        runs.append(tier.run(firmware, records(rssi)))
    assert runs[0].answers == runs[1].answers == answers(Reference(graph).run(rssi))
    assert runs[0].instructions_per_step < runs[1].instructions_per_step


def test_emission_is_deterministic_and_names_are_harmless(tmp_path: Path) -> None:
    from dataclasses import replace

    _, checkpoint = mamba()
    evil = replace(
        checkpoint, rooms=("*/ int x;", "a\\\nb", "ø", "d"), access_points=("/*", "b", "c", "d", "e", "f")
    )
    graph = lower(evil, signal(20, 20, 6))
    texts = [
        {path.name: path.read_text() for path in emit(graph, tmp_path / name)} for name in ("one", "two")
    ]
    assert texts[0] == texts[1]
    build_host(tmp_path / "one", tmp_path / "host")
