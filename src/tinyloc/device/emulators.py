"""An emulated chip: what goes in, what comes out, and the words for its faults.

`unicorn_chip`, `qemu_chip` and `simavr_chip` each hold one emulator behind the interface below: it feeds the
harness, holds the RAM to the budget, and counts executed instructions by address.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tinyloc.device.boards import format_size
from tinyloc.device.cores import Core
from tinyloc.device.firmware import Firmware
from tinyloc.errors import DeviceError, UsageError

STACK_REACH_BYTES = 0x0100_0000
"""A fault this close below the RAM is a stack that ran off its end; further off it is a wild pointer."""

DEFAULT_TIMEOUT_S = 600.0

REPORT = re.compile(r"tinyloc: records 0x([0-9a-f]{8}) stack 0x([0-9a-f]{8})")


@dataclass(frozen=True)
class DeviceRun:
    """What the emulated chip did with a stream of records."""

    answers: bytes
    """One answer for each record: scores as little-endian int16, the room, the settled room."""
    records: int
    stack_bytes: int
    """High-water mark of the stack over all records; the harness's frames are in it, interrupts are not."""
    counts: Mapping[int, int] = field(repr=False)
    """How often each instruction of the model and its library functions ran; the harness's are left out."""
    harness_instructions: int
    """Instructions of harness and start-up in the counted records; in no figure about the model."""
    records_counted: int
    """The first so many records were counted; equal to `records` where all were."""
    resets_counted: int
    """Windows begun among the counted records: calls of `tinyloc_init` and `tinyloc_restart`."""
    window_steps: int
    emulator: str
    """Name and version, for the page."""
    cycles: Mapping[int, int] | None = field(default=None, repr=False)
    """Cycles spent at each address of `counts`, where the emulator keeps the chip's own time; else None."""

    @property
    def instructions_counted(self) -> int:
        """Instructions of the model over all counted records, `tinyloc_init` included."""
        return sum(self.counts.values())

    @property
    def instructions_per_step(self) -> float:
        """Mean of one step, with its share of `tinyloc_init`."""
        return self.instructions_counted / self.records_counted

    @property
    def instructions_per_window(self) -> float:
        """Mean of one window: `window_steps` steps."""
        return self.instructions_per_step * self.window_steps


class Emulator(ABC):
    """A machine that runs a `Firmware`."""

    name: str
    version: str

    @abstractmethod
    def check(self, core: Core) -> None:
        """Raise ToolchainError where this emulator has no such core."""

    @abstractmethod
    def run(
        self,
        firmware: Firmware,
        records: bytes,
        *,
        count_records: int | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> DeviceRun:
        """Feed `records` to the firmware; its answers, stack and instruction counts.

        `count_records` asks for counts over the first so many records only; QEMU counts all of them anyway.
        Raises DeviceError when the chip faults, hangs or breaks off.
        """

    def _result(
        self,
        firmware: Firmware,
        records: bytes,
        counted: int,
        answers: bytes,
        stack: int,
        counts: Mapping[int, int],
        cycles: Mapping[int, int] | None = None,
    ) -> DeviceRun:
        """What came of a run whose first `counted` records were counted; counts and cycles by address."""
        model, harness = split_counts(firmware, counts)
        return DeviceRun(
            answers=answers,
            records=len(records) // firmware.record_bytes,
            stack_bytes=stack,
            counts=model,
            harness_instructions=harness,
            records_counted=counted,
            resets_counted=count_resets(firmware, records, counted),
            window_steps=firmware.window_steps,
            emulator=f"{self.name} {self.version}",
            cycles=None if cycles is None else {address: cycles[address] for address in model},
        )


def check_records(firmware: Firmware, records: bytes) -> int:
    """The number of records. Raises UsageError when there are none or the last is cut."""
    count, rest = divmod(len(records), firmware.record_bytes)
    if rest or not count:
        raise UsageError(
            f"{len(records):,} bytes of samples are no whole number of {firmware.record_bytes}-byte records"
        )
    return count


def count_resets(firmware: Firmware, records: bytes, count: int) -> int:
    """How many of the first `count` records begin a window (the first always does)."""
    flags = records[: count * firmware.record_bytes : firmware.record_bytes]
    return flags.count(1) + flags.count(2) + (flags[:1] not in (b"\x01", b"\x02"))


def read_report(console: str, firmware: Firmware, expected: int, answers: bytes) -> int:
    """Stack high-water mark in bytes from the harness's last line; DeviceError when it broke off before."""
    found = REPORT.search(console)
    if found is None:
        raise DeviceError(f"the chip broke off without a report ({shorten(console) or 'no output'})")
    done, stack = int(found[1], 16), int(found[2], 16)
    if done != expected or len(answers) != expected * firmware.answer_bytes:
        raise DeviceError(
            f"the chip answered {done:,} of {expected:,} records with {len(answers):,} bytes, "
            f"not {expected * firmware.answer_bytes:,}"
        )
    return stack


def split_counts(firmware: Firmware, counts: Mapping[int, int]) -> tuple[dict[int, int], int]:
    """Counts of the model by address, ascending, and the sum of the harness's."""
    model = {address: counts[address] for address in sorted(counts) if not firmware.is_harness(address)}
    return model, sum(counts.values()) - sum(model.values())


def describe_fault(
    firmware: Firmware, kind: str, address: int | None, where: int | None = None
) -> DeviceError:
    """A fault in words: a stack that overflowed, a store behind the RAM, or what else it was."""
    start = firmware.board.cpu.ram_origin
    end = start + firmware.ram_bytes
    size = format_size(firmware.ram_bytes)
    place = "" if where is None else f", in {firmware.program.function_at(where)} at {where:#x}"
    hint = ""
    if address is not None and start - STACK_REACH_BYTES <= address < start:
        text = f"stack overflow: ran off the {size} RAM at {address:#010x}{place}"
        room = firmware.stack_room_bytes
        hint = f"Data and bss leave {room:,} bytes of stack: allow more RAM, or make the model smaller."
    elif address is not None and end <= address < end + STACK_REACH_BYTES:
        text = f"access beyond the end of the {size} RAM at {address:#010x} ({kind}){place}"
    elif address is not None:
        text = f"{kind} at address {address:#010x}{place}"
    else:
        text = f"{kind}{place}"
    return DeviceError(text, hint=hint)


def instruction_addresses(family: str, code: bytes, address: int) -> Iterator[int]:
    """Addresses of the instructions in `code`, 2 or 4 bytes each.

    In Thumb a halfword of 0xE800 or more begins a 32-bit one, in RISC-V one whose lowest two bits are set.
    """
    offset = 0
    while offset < len(code):
        yield address + offset
        wide = code[offset] & 3 == 3 if family == "riscv" else code[offset + 1] >= 0xE8
        offset += 4 if wide else 2


def shorten(text: str, limit: int = 200) -> str:
    """Text of a tool on one line, at most `limit` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 3] + "..."


def version_line(path: Path | str, text: str) -> str:
    """The version number in a tool's ``--version`` output."""
    found = re.search(r"\d+\.\d+(?:\.\d+)?", text)
    return found[0] if found else f"unknown version of {path}"
