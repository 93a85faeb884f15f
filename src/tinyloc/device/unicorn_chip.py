"""The pip tier's chip: Unicorn, in this process.

The memory map is the limit: below the RAM nothing is mapped, so the stack's end faults to the byte; above it
the map ends on a 4 KB page, and what a budget leaves of the last page is filled with a pattern and looked at
afterwards. The harness's BKPT 0xAB arrives as an interrupt and is answered from memory here.

Two passes: one at full speed over all records without any hook on code, one over the first records that
counts. Counting takes a hook on blocks and the lengths of their instructions, because Unicorn's hook on
instructions misses those that an IT block skips. Unicorn lets pass what the chip would fault on, an LDRD or
LDM from an address that is no multiple of four; the counting pass checks those.
"""

from __future__ import annotations

import contextlib
import signal
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from types import FrameType
from typing import Any

from capstone import CS_ARCH_ARM, CS_MODE_MCLASS, CS_MODE_THUMB, CS_OP_MEM, CS_OP_REG, Cs
from unicorn import arm_const

from tinyloc.device.cores import Core
from tinyloc.device.emulators import (
    DEFAULT_TIMEOUT_S,
    DeviceRun,
    Emulator,
    check_records,
    describe_fault,
    instruction_addresses,
    read_report,
)
from tinyloc.device.firmware import Firmware
from tinyloc.device.unicorn_machines import MACHINES, unicorn
from tinyloc.errors import DeviceError, ToolchainError

PAGE_BYTES = 4096
FILL = 0xA5
SYSTEM_CONTROL = 0xE000_E000
"""The page of the core's own registers: plain memory here, so that no MPU and no pending fault is read."""

ACCESS = {
    unicorn.UC_MEM_READ_UNMAPPED: "read of no memory",
    unicorn.UC_MEM_WRITE_UNMAPPED: "write to no memory",
    unicorn.UC_MEM_FETCH_UNMAPPED: "jump to no memory",
    unicorn.UC_MEM_WRITE_PROT: "write to flash",
    unicorn.UC_MEM_READ_PROT: "read of protected memory",
    unicorn.UC_MEM_FETCH_PROT: "jump into data",
}
SYS_OPEN, SYS_WRITE0, SYS_WRITE, SYS_READ, SYS_EXIT_EXTENDED = 0x01, 0x04, 0x05, 0x06, 0x20
RECORDS, ANSWERS, FAILED = 1, 2, 0xFFFF_FFFF

DEFAULT_COUNTED_RECORDS = 100

ALIGNED = ("ldrd", "strd", "ldm", "stm", "vldr", "vstr", "vldm", "vstm")
"""Instructions that a Cortex-M faults on when their address is no multiple of four."""


class Unicorn(Emulator):
    """Runs firmware in-process, one core model of Unicorn's table."""

    name = "unicorn"

    def __init__(self) -> None:
        self.version = str(unicorn.__version__)

    def check(self, core: Core) -> None:
        """See `Emulator.check`."""
        if not core.unicorn_model:
            raise ToolchainError(f"Unicorn does not emulate a {core.title}", hint="Use the reference tier.")

    def run(
        self,
        firmware: Firmware,
        records: bytes,
        *,
        count_records: int | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> DeviceRun:
        """See `Emulator.run`. Counts whole windows up to about 100 records unless told otherwise."""
        total = check_records(firmware, records)
        steps = max(firmware.window_steps, 1)
        wanted = max(DEFAULT_COUNTED_RECORDS // steps, 1) * steps if count_records is None else count_records
        counted = min(max(wanted, 1), total)

        chip = _Chip(firmware, records)
        stack = chip.run(total, timeout_s)
        part = _Chip(firmware, records[: counted * firmware.record_bytes], counting=True)
        part.run(counted, timeout_s)
        if not chip.answers.startswith(part.answers):
            raise DeviceError("two runs over the same samples gave different answers")
        return self._result(firmware, records, counted, bytes(chip.answers), stack, part.counts())


class _Chip:
    """One power-up of the chip: memories, the semihosting files, the hooks."""

    def __init__(self, firmware: Firmware, records: bytes, *, counting: bool = False) -> None:
        self.firmware = firmware
        self.records = records
        self.position = 0
        self.answers = bytearray()
        self.console = ""
        self.exit_code: int | None = None
        self.fault: DeviceError | None = None
        self.blocks: Counter[tuple[int, int]] = Counter()
        cpu = firmware.board.cpu
        self.ram = cpu.ram_origin
        self.ram_end = self.ram + firmware.ram_bytes

        self.machine = MACHINES[cpu.family]
        self.uc = unicorn.Uc(self.machine.arch, self.machine.mode)
        model = getattr(self.machine.constants, self.machine.models + cpu.unicorn_model)
        self.uc.ctl_set_cpu_model(model)
        if self.uc.ctl_get_cpu_model() != model:
            raise ToolchainError(f"Unicorn does not emulate a {cpu.title}", hint="Install unicorn 2.1.4.")
        constant = unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC
        variable = unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE
        self.uc.mem_map(cpu.flash_origin, _pages(firmware.flash_bytes), constant)
        self.uc.mem_map(self.ram, _pages(firmware.ram_bytes), variable)
        if cpu.family == "arm":
            self.uc.mem_map(SYSTEM_CONTROL, PAGE_BYTES, variable)
        self.tail = _pages(firmware.ram_bytes) - firmware.ram_bytes
        self.uc.mem_write(self.ram_end, bytes([FILL]) * self.tail)
        for address, data in firmware.program.segments:
            self.uc.mem_write(address, data)

        self.uc.hook_add(unicorn.UC_HOOK_INTR, self._on_interrupt)
        self.uc.hook_add(unicorn.UC_HOOK_MEM_INVALID, self._on_bad_access)
        if counting:
            self.uc.hook_add(unicorn.UC_HOOK_BLOCK, self._on_block)
            if cpu.family == "arm":
                self._watch_alignment()

    def run(self, expected: int, timeout_s: float) -> int:
        """Power up and run until the harness exits; the stack's high-water mark in bytes."""
        start = self.firmware.board.cpu.flash_origin
        if self.machine.vectors:
            stack, start = struct.unpack("<II", self.firmware.program.read(start, 8))
            self.uc.reg_write(self.machine.stack, stack)
        try:
            with _interruptible(self.uc):
                self.uc.emu_start(start | self.machine.thumb, 0xFFFF_FFFE, timeout=int(timeout_s * 1e6))
        except unicorn.UcError as error:
            if self.fault is None:
                undefined = error.errno == unicorn.UC_ERR_INSN_INVALID
                kind = "undefined instruction" if undefined else str(error)
                self.fault = describe_fault(self.firmware, kind, None, self._pc())
        if self.fault is not None:
            raise self.fault from None
        if self.exit_code is None:
            raise DeviceError(f"the chip did not finish within {timeout_s:g} s, after {self._done()} records")
        if self.exit_code != 0:
            raise DeviceError(f"the harness gave up: {self.console.strip() or f'code {self.exit_code}'}")
        if bytes(self.uc.mem_read(self.ram_end, self.tail)) != bytes([FILL]) * self.tail:
            raise describe_fault(self.firmware, "write", self.ram_end)
        return read_report(self.console, self.firmware, expected, bytes(self.answers))

    def counts(self) -> dict[int, int]:
        """How often each instruction ran, from how often each block did."""
        counts: Counter[int] = Counter()
        for (address, size), times in self.blocks.items():
            code = self.firmware.program.read(address, size)
            for instruction in instruction_addresses(self.firmware.board.cpu.family, code, address):
                counts[instruction] += times
        return dict(counts)

    def _done(self) -> int:
        return len(self.answers) // self.firmware.answer_bytes

    def _pc(self) -> int:
        return int(self.uc.reg_read(self.machine.counter)) & ~1

    def _stop(self, fault: DeviceError) -> None:
        self.fault = self.fault or fault
        self.uc.emu_stop()

    def _on_block(self, _uc: Any, address: int, size: int, _user: Any) -> None:
        self.blocks[address, size] += 1

    def _on_bad_access(
        self, _uc: Any, access: int, address: int, _size: int, _value: int, _user: Any
    ) -> bool:
        self._stop(describe_fault(self.firmware, ACCESS.get(access, "bad access"), address, self._pc()))
        return False

    def _on_interrupt(self, uc: Any, number: int, _user: Any) -> None:
        pc = self._pc()
        machine = self.machine
        if number != machine.breakpoint:
            kind = machine.interrupts.get(number, f"exception {number}")
            self._stop(describe_fault(self.firmware, kind, None, pc))
            return
        operation, block = (int(uc.reg_read(register)) for register in machine.arguments)
        uc.reg_write(machine.arguments[0], self._serve(operation, block))
        uc.reg_write(machine.counter, (pc + machine.breakpoint_bytes) | machine.thumb)
        if self.exit_code is not None:
            uc.emu_stop()

    def _serve(self, operation: int, block: int) -> int:
        """One semihosting call; the value for r0."""
        if operation == SYS_WRITE0:
            self.console += self._text(block)
            return 0
        first, second, third = struct.unpack("<3I", self.uc.mem_read(block, 12))
        if operation == SYS_READ and first == RECORDS:
            data = self.records[self.position : self.position + third]
            self.position += len(data)
            self.uc.mem_write(second, data)
            return int(third) - len(data)
        if operation == SYS_WRITE and first == ANSWERS:
            self.answers += self.uc.mem_read(second, third)
            return 0
        if operation == SYS_OPEN:
            name = bytes(self.uc.mem_read(first, third))
            return {b"records": RECORDS, b"answers": ANSWERS}.get(name, FAILED)
        if operation == SYS_EXIT_EXTENDED:
            self.exit_code = int(second)
            return 0
        return FAILED

    def _text(self, address: int) -> str:
        text = bytearray()
        while (byte := self.uc.mem_read(address + len(text), 1)) != b"\0":
            text += byte
        return text.decode("ascii", "replace")

    def _watch_alignment(self) -> None:
        """Hook every load or store of the model that the chip wants word-aligned, at its own address only."""
        decoder = Cs(CS_ARCH_ARM, CS_MODE_THUMB | CS_MODE_MCLASS)
        decoder.detail = True
        section = self.firmware.program.sections[".text"]
        code = self.firmware.program.read(section.address, section.size)
        for address in instruction_addresses("arm", code, section.address):
            offset = address - section.address
            instruction = next(decoder.disasm(code[offset : offset + 4], address, 1), None)
            if instruction is None or not instruction.mnemonic.startswith(ALIGNED):
                continue
            base, displacement = _base(instruction)
            register = getattr(arm_const, f"UC_ARM_REG_{base.upper()}", None)
            if register is not None and base not in ("sp", "pc"):
                watch = (register, displacement)
                self.uc.hook_add(unicorn.UC_HOOK_CODE, self._on_aligned, watch, address, address)

    def _on_aligned(self, uc: Any, address: int, _size: int, watch: tuple[int, int]) -> None:
        target = (int(uc.reg_read(watch[0])) + watch[1]) & 0xFFFF_FFFF
        if target % 4:
            self._stop(describe_fault(self.firmware, "unaligned LDRD, LDM or VLDR", target, address))


@contextlib.contextmanager
def _interruptible(uc: Any) -> Iterator[None]:
    """Let Ctrl-C stop the chip: an exception that rises inside one of Unicorn's callbacks would be lost."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pressed = []

    def stop(_signal: int, _frame: FrameType | None) -> None:
        pressed.append(True)
        uc.emu_stop()

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)
        if pressed:
            raise KeyboardInterrupt


def _base(instruction: Any) -> tuple[str, int]:
    """Base register and displacement of a load or store of several words."""
    for operand in instruction.operands:
        if operand.type == CS_OP_MEM:
            # With write-back after the access the displacement is not part of the address.
            displacement = 0 if instruction.post_index else operand.mem.disp
            return instruction.reg_name(operand.mem.base) or "", displacement
    first = instruction.operands[0]
    return (instruction.reg_name(first.reg) or "", 0) if first.type == CS_OP_REG else ("", 0)


def _pages(size: int) -> int:
    """`size` rounded up to whole pages, in bytes."""
    return -(-size // PAGE_BYTES) * PAGE_BYTES
