from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import toy_twin

from tinyloc.device.boards import Board
from tinyloc.device.emulators import instruction_addresses
from tinyloc.device.firmware import Firmware
from tinyloc.device.tiers import Tier, find_tier
from tinyloc.device.unicorn_chip import Unicorn, _Chip
from tinyloc.errors import DeviceError, UsageError

TOY = Path(__file__).parent / "toy"
STEP = "state->steps += 1u;"
STORE = "volatile uintptr_t at = {}; *(volatile uint32_t *)at = 1;"
RECORDS = toy_twin.make_records(8)
Variant = Callable[[str, str], Path]
# Volatile, and reached by an index that runs: no compiler takes it apart or away.
BIG_ARRAY = (
    STEP
    + """
    volatile uint8_t big[{size}];
    for (uint32_t i = 0; i < {size}; ++i) {{ big[i * state->steps % {size}] = (uint8_t)i; }}
    result->room = big[state->steps % {size}];"""
)


def test_answers_are_the_twins(tier: Tier, toy: Firmware) -> None:
    for seed in range(3):
        records = toy_twin.make_records(400, seed, reset_every=3 * seed + 1)
        run = tier.run(toy, records)
        assert run.answers == toy_twin.expected(records)
        assert run.records == 400


def test_counts_are_the_models_alone(tier: Tier, toy: Firmware) -> None:
    run = tier.run(toy, toy_twin.make_records(40), count_records=8)
    assert (run.records_counted, run.resets_counted, run.window_steps) == (8, 2, 4)
    assert not any(toy.is_harness(address) for address in run.counts)
    assert run.counts[toy.program.symbols["tinyloc_step"]] == 8
    assert run.counts[toy.program.symbols["tinyloc_restart"]] == 1
    assert run.counts[toy.program.symbols["tinyloc_init"]] in (1, 2), "the restart may call it or hold it"
    # The 64-bit remainder is a library's: it is the model's cost all the same.
    names = {toy.program.function_at(address) for address in run.counts}
    assert "__aeabi_ldivmod" in names
    assert 100 < run.instructions_per_step < 1000
    assert run.instructions_per_window == pytest.approx(4 * run.instructions_per_step)
    assert run.harness_instructions > 8 * 20
    assert run.instructions_counted == sum(run.counts.values())


def test_counting_repeats_exactly(tier: Tier, toy: Firmware) -> None:
    records = toy_twin.make_records(20)
    assert tier.run(toy, records).counts == tier.run(toy, records).counts


def test_stack_is_measured(tier: Tier, board: Board, toy: Firmware, tmp_path: Path, variant: Variant) -> None:
    small = tier.run(toy, RECORDS).stack_bytes
    assert 64 < small < 512
    big = tier.build(variant(STEP, BIG_ARRAY.format(size=2000)), board, tmp_path / "out", ram_bytes=4096)
    run = tier.run(big, RECORDS)
    assert run.answers == toy_twin.expected(RECORDS)
    assert 2000 <= run.stack_bytes <= small + 2400


def test_a_stack_too_big_faults(tier: Tier, board: Board, tmp_path: Path, variant: Variant) -> None:
    c_dir = variant(STEP, BIG_ARRAY.format(size=6000))
    tight = tier.build(c_dir, board, tmp_path / "tight", ram_bytes=4096)
    with pytest.raises(DeviceError, match="stack overflow: ran off the 4 KB RAM at 0x1fff") as caught:
        tier.run(tight, RECORDS)
    assert "bytes of stack" in str(caught.value)
    assert caught.value.exit_code == 4
    loose = tier.build(c_dir, board, tmp_path / "loose", ram_bytes=8192)
    assert tier.run(loose, RECORDS).answers == toy_twin.expected(RECORDS)


@pytest.mark.parametrize("ram", [1024, 6 * 1024, 20_000, 33_333])
def test_the_stacks_end_is_exact(
    tier: Tier, board: Board, tmp_path: Path, variant: Variant, ram: int
) -> None:
    """The RAM's first byte may be written, those below and behind it not, at sizes that are no page."""
    poke = STEP + " *(volatile uint8_t *)(uintptr_t)({address}u) = 1;"
    inside = variant(STEP, poke.format(address="0x20000000"))
    firmware = tier.build(inside, board, tmp_path / "inside", ram_bytes=ram)
    assert tier.run(firmware, RECORDS).answers == toy_twin.expected(RECORDS)
    source = inside / "tinyloc_model.c"
    source.write_text(source.read_text().replace("0x20000000u", "0x1FFFFFFFu"))
    firmware = tier.build(inside, board, tmp_path / "below", ram_bytes=ram)
    with pytest.raises(DeviceError, match=r"stack overflow: .* at 0x1fffffff"):
        tier.run(firmware, RECORDS)
    end = 0x20000000 + firmware.ram_bytes
    source.write_text(source.read_text().replace("0x1FFFFFFFu", f"{end:#x}u"))
    firmware = tier.build(inside, board, tmp_path / "above", ram_bytes=ram)
    with pytest.raises(DeviceError, match=f"beyond the end of the .* RAM at {end:#010x}"):
        tier.run(firmware, RECORDS)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (
            STORE.format("0x100u"),
            "(flash|outside the memory).* in tinyloc_step",
        ),
        (
            STORE.format("0x30000000u"),
            "at address 0x30000000, in tinyloc_step",
        ),
        ('__asm__ volatile("udf #1");', "undefined instruction, in tinyloc_step"),
        ("((void (*)(void))(uintptr_t)0x10000001u)();", "jump"),
    ],
)
def test_faults_are_named(
    tier: Tier, board: Board, tmp_path: Path, variant: Variant, wrong: str, words: str
) -> None:
    firmware = tier.build(variant(STEP, f"{STEP} {wrong}"), board, tmp_path / "out")
    with pytest.raises(DeviceError, match=words) as caught:
        tier.run(firmware, RECORDS)
    assert "\n" not in str(caught.value)


def test_unaligned_words_fault(tier: Tier, board: Board, tmp_path: Path, variant: Variant) -> None:
    """Unicorn lets an LDRD from an odd address pass; the chip and QEMU do not, and so neither do we."""
    odd = (
        'uint32_t low, high; __asm__ volatile("ldrd %0, %1, [%2, #4]" : "=r"(low), "=r"(high) '
        ': "r"((const uint8_t *)state + 1)); result->room = (uint8_t)(low ^ high);'
    )
    firmware = tier.build(variant(STEP, f"{STEP} {odd}"), board, tmp_path / "out")
    with pytest.raises(DeviceError, match="unaligned"):
        tier.run(firmware, RECORDS)


def test_floating_point_runs(tier: Tier, board: Board, tmp_path: Path, variant: Variant) -> None:
    c_dir = variant(
        "int32_t sum = state->sums[k] / 2; /* decays, rounding towards zero */",
        "volatile float half = 0.5f; int32_t sum = (int32_t)((float)state->sums[k] * half);",
    )
    records = toy_twin.make_records(100)
    firmware = tier.build(c_dir, board, tmp_path / "out")
    assert tier.run(firmware, records).answers == toy_twin.expected(records)


def test_a_step_that_never_ends(tier: Tier, board: Board, tmp_path: Path, variant: Variant) -> None:
    firmware = tier.build(
        variant(STEP, f"{STEP} while (*(volatile uint32_t *)&state->steps) {{ }}"), board, tmp_path / "o"
    )
    with pytest.raises(DeviceError, match=r"did not finish within 0\.5 s"):
        tier.run(firmware, RECORDS, timeout_s=0.5)


@pytest.mark.parametrize("records", [b"", RECORDS[:-1], b"\x01"])
def test_cut_records_are_refused(tier: Tier, toy: Firmware, records: bytes) -> None:
    with pytest.raises(UsageError, match="no whole number of 6-byte records"):
        tier.run(toy, records)


def test_ctrl_c_stops_the_chip(board: Board, tmp_path: Path) -> None:
    """Pressed while the chip asks for its next record: within one of Unicorn's callbacks."""
    firmware = find_tier("pip").build(TOY, board, tmp_path)

    class Pressing(bytes):
        def __getitem__(self, key: object) -> bytes:  # type: ignore[override]
            signal.raise_signal(signal.SIGINT)
            return super().__getitem__(key)  # type: ignore[index]

    with pytest.raises(KeyboardInterrupt):
        _Chip(firmware, Pressing(RECORDS)).run(8, 60)


@pytest.mark.reference
def test_both_emulators_count_the_same(reference: Tier, board: Board, tmp_path: Path) -> None:
    """One ELF, two emulators: the same answers, the same stack, every address counted the same."""
    firmware = reference.build(TOY, board, tmp_path)
    records = toy_twin.make_records(120, seed=5)
    theirs = reference.run(firmware, records)
    ours = Unicorn().run(firmware, records, count_records=120)
    assert ours.answers == theirs.answers
    assert ours.stack_bytes == theirs.stack_bytes
    assert dict(ours.counts) == dict(theirs.counts)


def test_thumb_lengths() -> None:
    # movs r0, #1; ldrd r0, r1, [r2]; bx lr
    code = bytes.fromhex("0120 d2e90001 7047")
    assert list(instruction_addresses("arm", code, 0x100)) == [0x100, 0x102, 0x106]
