"""What differs between the processors that Unicorn emulates: constants, registers, words for faults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import unicorn as unicorn_package
from unicorn import arm_const, riscv_const

unicorn: Any = unicorn_package
"""The package says that it is typed, but few of its functions are."""


@dataclass(frozen=True)
class Machine:
    """One family of processors under Unicorn."""

    arch: int
    mode: int
    constants: ModuleType
    models: str
    """The prefix of its processors' names among the constants."""
    stack: int
    counter: int
    arguments: tuple[int, int]
    """Registers of a semihosting call: operation and its result, address of its arguments."""
    thumb: int
    """What is added to an address that is jumped to."""
    vectors: bool
    """Whether the flash begins with the addresses of stack and first instruction, not with an instruction."""
    breakpoint: int
    """Number of the interrupt by which a semihosting call arrives."""
    breakpoint_bytes: int
    interrupts: Mapping[int, str]


MACHINES = {
    "arm": Machine(
        arch=unicorn.UC_ARCH_ARM,
        # Never UC_MODE_MCLASS: it silently selects a Cortex-M33.
        mode=unicorn.UC_MODE_THUMB,
        constants=arm_const,
        models="UC_CPU_ARM_",
        stack=arm_const.UC_ARM_REG_SP,
        counter=arm_const.UC_ARM_REG_PC,
        arguments=(arm_const.UC_ARM_REG_R0, arm_const.UC_ARM_REG_R1),
        thumb=1,
        vectors=True,
        breakpoint=7,
        breakpoint_bytes=2,
        interrupts={
            1: "undefined instruction",
            3: "instruction fetch fault",
            4: "data fault",
            17: "no coprocessor",
            18: "invalid state",
        },
    ),
    "riscv": Machine(
        arch=unicorn.UC_ARCH_RISCV,
        mode=unicorn.UC_MODE_RISCV32,
        constants=riscv_const,
        models="UC_CPU_RISCV32_",
        stack=riscv_const.UC_RISCV_REG_SP,
        counter=riscv_const.UC_RISCV_REG_PC,
        arguments=(riscv_const.UC_RISCV_REG_A0, riscv_const.UC_RISCV_REG_A1),
        thumb=0,
        vectors=False,
        breakpoint=8,
        breakpoint_bytes=0,  # the counter stands behind the call already
        interrupts={
            0: "unaligned jump",
            1: "instruction fetch fault",
            2: "undefined instruction",
            4: "unaligned load",
            5: "data fault",
            6: "unaligned store",
            7: "data fault",
        },
    ),
}
