"""One C source for every target: each core of the table answers as Python does, or says what is missing."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from builders import any_bytes, mamba, records, signal

from tinyloc.device.boards import BOARDS, find_board
from tinyloc.device.cores import CORES
from tinyloc.device.cost import TIMINGS, estimate
from tinyloc.device.instructions import KINDS, decode
from tinyloc.device.tiers import NAMES, Tier, available_tiers, find_tier
from tinyloc.device.toolchains import AvrGcc
from tinyloc.emit import emit
from tinyloc.errors import BudgetError, DeviceError, ToolchainError
from tinyloc.quant.graph import Follow
from tinyloc.quant.lower import lower
from tinyloc.quant.reference import Reference, answers
from tinyloc.quant.replay import INIT, RESTART, Replay

ELSEWHERE = ("cortex-m0", "cortex-m3", "cortex-m7", "cortex-m33", "cortex-m55", "rv32imc", "atmega328p")
"""A board of each core but the Cortex-M4, which every other test runs on."""

STEPS, POINTS, ROOMS = 4, 5, 4


def tier_or_skip(name: str, board: str) -> Tier:
    try:
        return find_tier(name, find_board(board).cpu)
    except ToolchainError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def proof(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes, bytes]:
    """The C of a small Mamba with odd sizes, records and the reference's answers."""
    _, checkpoint = mamba(7, 1, POINTS, ROOMS, wild=2.0)
    graph = lower(checkpoint, signal(50, STEPS, POINTS))
    rssi = np.concatenate([signal(10, STEPS, POINTS, 1), any_bytes(10, STEPS, POINTS)])
    folder = tmp_path_factory.mktemp("proof") / "c"
    emit(graph, folder)
    return folder, records(rssi), answers(Reference(graph).run(rssi))


@pytest.mark.parametrize("board", ELSEWHERE)
def test_the_same_bytes_on_every_core(board: str, proof: tuple[Path, bytes, bytes], tmp_path: Path) -> None:
    folder, fed, wanted = proof
    tier = tier_or_skip("reference", board)
    firmware = tier.build(folder, find_board(board), tmp_path, ram_bytes=2048)
    run = tier.run(firmware, fed)
    assert run.answers == wanted
    assert 0 < run.stack_bytes <= firmware.stack_room_bytes
    assert firmware.static_ram_bytes + run.stack_bytes <= 2048
    kinds = decode(firmware.program, run.counts, firmware.board.cpu.family)
    assert {one.kind for one in kinds.values()} <= set(KINDS)
    cost = estimate(firmware, run)
    assert 0 < cost.cycles_per_step.low <= cost.cycles_per_step.mid <= cost.cycles_per_step.high
    assert sum(cost.functions.values()) == pytest.approx(run.instructions_per_step)
    assert "?" not in cost.functions


@pytest.mark.parametrize("board", ["cortex-m0", "rv32imc", "atmega328p"])
def test_receivers_are_followed_alike_on_every_core(board: str, tmp_path: Path) -> None:
    """Where `int` has 16 bits, and where it has 32; offsets last from window to window."""
    _, checkpoint = mamba(3, 1, POINTS, ROOMS, wild=2.0)
    rssi = np.concatenate([signal(25, STEPS, POINTS, 1), any_bytes(25, STEPS, POINTS)])
    graph = lower(replace(checkpoint, window_steps=STEPS), rssi[:25])
    rng = np.random.default_rng(0)
    sample = graph.tensor("sample")
    means = rng.integers(-128, 0, (ROOMS, POINTS)).astype(np.int8)
    operators = [
        replace(one, **{part: "followed" for part, name in vars(one).items() if str(name) == "sample"})
        for one in graph.operators
    ]
    graph = replace(
        graph,
        tensors=(*graph.tensors, replace(sample, name="followed")),
        operators=(Follow("follow", "sample", "followed", means, 64, STEPS), *operators),
    ).check()
    flags = np.zeros(rssi.shape[:2], np.int8)
    flags[:, 0] = RESTART
    flags[::20, 0] = INIT
    ends = np.arange(len(rssi)) * STEPS + STEPS - 1
    stream = Replay(rssi.reshape(-1, POINTS), flags.ravel(), ends, STEPS)
    emit(graph, tmp_path / "c")
    tier = tier_or_skip("reference", board)
    firmware = tier.build(tmp_path / "c", find_board(board), tmp_path / "build", ram_bytes=2048)
    assert tier.run(firmware, stream.records()).answers == stream.answers(Reference(graph))


def test_the_pip_tier_has_a_core_without_an_fpu(proof: tuple[Path, bytes, bytes], tmp_path: Path) -> None:
    folder, fed, wanted = proof
    tier = find_tier("pip", CORES["cortex-m0+"])
    firmware = tier.build(folder, find_board("stm32l0"), tmp_path, ram_bytes=2048)
    assert tier.run(firmware, fed, count_records=STEPS).answers == wanted


def test_every_core_has_its_tiers_or_says_why() -> None:
    for core in CORES.values():
        assert core.cycles in TIMINGS or core.cycles == "counted"
        assert any(board.core == core.name for board in BOARDS.values())
        for name in NAMES:
            found = ""
            try:
                found = find_tier(name, core).name
            except ToolchainError as error:
                said = str(error)
            assert found == name or (said and "\n" not in said)
    with pytest.raises(ToolchainError, match="nothing here builds and emulates a MSP430X"):
        available_tiers(CORES["msp430x"])
    with pytest.raises(ToolchainError, match=r"Unicorn does not emulate a Cortex-M55.*reference tier"):
        find_tier("pip", CORES["cortex-m55"])
    with pytest.raises(ToolchainError, match=r"pip tier builds and emulates a AVR.*--tier reference"):
        find_tier("pip", CORES["avr5"])


def test_a_missing_avr_compiler_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolchainError, match=r"avr-gcc .*apt-get install .*gcc-avr avr-libc"):
        AvrGcc()


def test_no_table_lies_in_the_ram_of_an_avr(proof: tuple[Path, bytes, bytes], tmp_path: Path) -> None:
    tier = tier_or_skip("reference", "atmega328p")
    firmware = tier.build(proof[0], find_board("atmega328p"), tmp_path)
    assert firmware.data_bytes == 0
    assert firmware.constant_bytes > 2048
    assert firmware.program.word("tinyloc_harness_window_steps") == 20


def test_an_avr_has_limits_too(proof: tuple[Path, bytes, bytes], tmp_path: Path) -> None:
    folder, fed, _ = proof
    tier, board = tier_or_skip("reference", "atmega328p"), find_board("atmega328p")
    roomy = tier.build(folder, board, tmp_path / "roomy")
    run = tier.run(roomy, fed)
    needed = roomy.static_ram_bytes + run.stack_bytes
    exact = tier.build(folder, board, tmp_path / "exact", ram_bytes=-(-needed // 32) * 32)
    assert tier.run(exact, fed).answers == run.answers
    tight = tier.build(folder, board, tmp_path / "tight", ram_bytes=(needed - 1) // 32 * 32)
    if tight.stack_room_bytes < run.stack_bytes:
        with pytest.raises(DeviceError, match="stack overflow"):
            tier.run(tight, fed)
    with pytest.raises(BudgetError, match="flash: "):
        tier.build(folder, board, tmp_path / "flash", flash_bytes=4096)


def test_plain_c_gives_the_same_bits_on_an_avr(
    proof: tuple[Path, bytes, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernels in AVR's instructions against the loops that every target has."""
    folder, fed, wanted = proof
    tier = tier_or_skip("reference", "atmega328p")
    fast = tier.run(tier.build(folder, find_board("atmega328p"), tmp_path / "fast"), fed)
    monkeypatch.setattr(tier.toolchain, "model_flags", ("-DTINYLOC_PLAIN",))
    plain = tier.run(tier.build(folder, find_board("atmega328p"), tmp_path / "plain"), fed)
    assert fast.answers == plain.answers == wanted
    assert fast.cycles is not None
    assert plain.cycles is not None
    assert sum(fast.cycles.values()) < 0.7 * sum(plain.cycles.values())


def test_msp430_compiles_without_a_warning(proof: tuple[Path, bytes, bytes], tmp_path: Path) -> None:
    from tinyloc.device.compile import STRICT, run_compiler

    found = shutil.which("msp430-elf-gcc")
    if found is None:
        pytest.skip("msp430-elf-gcc is not on the PATH (Debian has no package of it)")
    for source in sorted(proof[0].glob("*.c")):
        flags = (*CORES["msp430x"].gcc_flags, *STRICT, "-O2", "-I", str(proof[0]))
        run_compiler([found, *flags, "-c", str(source), "-o", "x.o"], folder=tmp_path)
