"""What kind of work each executed instruction is: the step from a count to a cost.

The kinds are those that the Cortex-M4's cycle table tells apart. Capstone decodes Thumb and RISC-V; a word
that it does not know is counted as `other` and costs as an ALU instruction, and so is all of AVR, the cycles
of which are counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from capstone import (
    CS_ARCH_ARM,
    CS_ARCH_RISCV,
    CS_MODE_MCLASS,
    CS_MODE_RISCV32,
    CS_MODE_RISCVC,
    CS_MODE_THUMB,
    CS_OP_IMM,
    CS_OP_REG,
    Cs,
)

from tinyloc.device.elf import Program

KINDS = (
    "alu",
    "multiply",
    "divide",
    "load",
    "store",
    "block",
    "branch",
    "conditional branch",
    "it",
    "float",
    "float multiply-add",
    "float divide",
    "other",
)
"""`block` loads or stores several words; `it` makes up to four following instructions conditional."""

CONDITIONS = ("eq", "ne", "hs", "lo", "cs", "cc", "mi", "pl", "vs", "vc", "hi", "ls", "ge", "lt", "gt", "le")
CONDITIONAL = frozenset(f"b{condition}" for condition in CONDITIONS) | {"cbz", "cbnz"}
BRANCHES = frozenset(("b", "bl", "blx", "bx", "tbb", "tbh"))
BLOCKS = ("ldm", "stm", "push", "pop", "vldm", "vstm", "vpush", "vpop")
PAIRS = ("ldrd", "strd")
MULTIPLIES = (
    "mul",
    "mla",
    "mls",
    "smul",
    "smla",
    "smls",
    "smml",
    "smmul",
    "smua",
    "smus",
    "umul",
    "umla",
    "umaal",
)
FLOAT_SLOW = ("vdiv", "vsqrt")
FLOAT_MACS = ("vmla", "vmls", "vnml", "vfma", "vfms", "vfnm")


@dataclass(frozen=True)
class Instruction:
    """One decoded instruction."""

    kind: str
    size: int
    """Length in bytes: 2 or 4."""
    words: int = 1
    """Registers that a block transfer moves."""
    jumps: bool = False
    """Whether it also loads the program counter, as a `pop {pc}` does."""
    target: int | None = None
    """Where a direct branch goes."""
    shadows: int = 0
    """For `it`: how many of the following instructions it makes conditional."""


def decode(program: Program, addresses: Iterable[int], family: str = "arm") -> dict[int, Instruction]:
    """The instructions at `addresses` of a core of that family."""
    if family not in ("arm", "riscv"):
        return {address: Instruction("other", 2) for address in addresses}
    riscv = family == "riscv"
    mode = CS_MODE_RISCV32 | CS_MODE_RISCVC if riscv else CS_MODE_THUMB | CS_MODE_MCLASS
    decoder = Cs(CS_ARCH_RISCV if riscv else CS_ARCH_ARM, mode)
    decoder.detail = True
    classify = _classify_riscv if riscv else _classify
    found = {}
    for address in addresses:
        code = program.read(address, 2)
        size = 4 if (code[0] & 3 == 3 if riscv else code[1] >= 0xE8) else 2
        raw = next(decoder.disasm(program.read(address, size), address, 1), None)
        found[address] = Instruction("other", size) if raw is None else classify(raw, size)
    return found


def _classify_riscv(raw: Any, size: int) -> Instruction:
    name = raw.mnemonic.removeprefix("c.")
    if name.startswith("b") or name in ("j", "jal", "jr", "jalr", "ret"):
        immediate = [int(op.imm) for op in raw.operands if op.type == CS_OP_IMM]
        direct = immediate and name not in ("jr", "jalr", "ret")
        kind = "conditional branch" if name.startswith("b") else "branch"
        # capstone gives the distance, not the place
        return Instruction(kind, size, jumps=True, target=raw.address + immediate[-1] if direct else None)
    if name in ("lw", "lh", "lb", "lhu", "lbu", "lwsp"):
        return Instruction("load", size)
    if name in ("sw", "sh", "sb", "swsp"):
        return Instruction("store", size)
    if name.startswith("mul"):
        return Instruction("multiply", size)
    if name.startswith(("div", "rem")):
        return Instruction("divide", size)
    return Instruction("alu", size)


def _classify(raw: Any, size: int) -> Instruction:
    name = raw.mnemonic.split(".")[0]
    registers = [raw.reg_name(op.reg) for op in raw.operands if op.type == CS_OP_REG]
    if name in CONDITIONAL or name in BRANCHES:
        immediate = [int(op.imm) for op in raw.operands if op.type == CS_OP_IMM]
        kind = "conditional branch" if name in CONDITIONAL else "branch"
        return Instruction(kind, size, jumps=True, target=immediate[-1] if immediate else None)
    if name.startswith("it"):
        return Instruction("it", size, shadows=len(name) - 1)
    if name.startswith(PAIRS):
        return Instruction("block", size, words=2)
    if name.startswith(BLOCKS):
        listed = registers if name in ("push", "pop", "vpush", "vpop") else registers[1:]
        return Instruction("block", size, words=max(len(listed), 1), jumps="pc" in listed and name != "push")
    jumps = bool(registers) and registers[0] == "pc"
    if name.startswith(("ldr", "vldr")):
        return Instruction("load", size, jumps=jumps)
    if name.startswith(("str", "vstr")):
        return Instruction("store", size)
    if name in ("udiv", "sdiv"):
        return Instruction("divide", size)
    if name.startswith(MULTIPLIES):
        return Instruction("multiply", size)
    if name.startswith(FLOAT_SLOW):
        return Instruction("float divide", size)
    if name.startswith(FLOAT_MACS):
        return Instruction("float multiply-add", size)
    if name.startswith("v"):
        return Instruction("float", size)
    return Instruction("branch" if jumps else "alu", size, jumps=jumps)
