"""The table of processor cores: what compilers and emulators call them, and where their memories lie.

A further core is one `Core` row. A `family` shares start-up, port and linker script: `arm` (Cortex-M),
`riscv`, `avr`, `msp430`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

KB = 1024


@dataclass(frozen=True)
class Core:
    """A processor core under its names in compilers and emulators; an empty name where one has none."""

    name: str
    family: str
    title: str
    gcc_flags: tuple[str, ...]
    zig_target: str = ""
    zig_cpu: str = ""
    qemu_machine: str = ""
    """QEMU's machine whose MPU can hold a RAM limit."""
    unicorn_model: str = ""
    """The suffix of Unicorn's `UC_CPU_ARM_...` or `UC_CPU_RISCV32_...` constant."""
    simavr_model: str = ""
    flash_origin: int = 0x0000_0000
    ram_origin: int = 0x2000_0000
    most_ram_bytes: int = 1024 * KB
    """RAM of the largest machine that is emulated with this core."""
    most_flash_bytes: int = 4096 * KB
    cycles: str = "cortex-m4"
    """Which table of `cost` turns its instructions into cycles."""
    emulated_as: str = ""
    """What an emulator without this very core runs instead, and why that is the same."""


def _thumb(cpu: str, *more: str) -> tuple[str, ...]:
    return ("-mthumb", f"-mcpu={cpu}", *(more or ("-mfloat-abi=soft",)))


_M0 = Core(
    name="cortex-m0",
    family="arm",
    title="Cortex-M0",
    gcc_flags=_thumb("cortex-m0"),
    zig_target="thumb-freestanding-eabi",
    zig_cpu="cortex_m0",
    # QEMU's micro:bit has no MPU to hold a limit with: Unicorn's memory map does.
    unicorn_model="CORTEX_M0",
    cycles="cortex-m0",
)

CORES = {
    core.name: core
    for core in (
        _M0,
        replace(
            _M0,
            name="cortex-m0+",
            title="Cortex-M0+",
            gcc_flags=_thumb("cortex-m0plus"),
            zig_cpu="cortex_m0plus",
            cycles="cortex-m0+",
            emulated_as="a Cortex-M0, which has the same instructions (Armv6-M)",
        ),
        Core(
            name="cortex-m3",
            family="arm",
            title="Cortex-M3",
            gcc_flags=_thumb("cortex-m3"),
            zig_target="thumb-freestanding-eabi",
            zig_cpu="cortex_m3",
            qemu_machine="mps2-an385",
            unicorn_model="CORTEX_M3",
            cycles="cortex-m3",
        ),
        Core(
            name="cortex-m4f",
            family="arm",
            title="Cortex-M4F",
            gcc_flags=_thumb("cortex-m4", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"),
            zig_target="thumb-freestanding-eabihf",
            # Plain cortex_m4 with eabihf is soft-float arithmetic under a hard-float calling convention.
            zig_cpu="cortex_m4+vfp4d16sp",
            qemu_machine="mps2-an386",
            unicorn_model="CORTEX_M4",
        ),
        Core(
            name="cortex-m7",
            family="arm",
            title="Cortex-M7",
            gcc_flags=_thumb("cortex-m7", "-mfpu=fpv5-d16", "-mfloat-abi=hard"),
            zig_target="thumb-freestanding-eabihf",
            zig_cpu="cortex_m7+fp_armv8d16",
            qemu_machine="mps2-an500",
            unicorn_model="CORTEX_M7",
            cycles="unpublished",
        ),
        Core(
            name="cortex-m33",
            family="arm",
            title="Cortex-M33 with FPU and DSP",
            gcc_flags=_thumb("cortex-m33", "-mfpu=fpv5-sp-d16", "-mfloat-abi=hard"),
            zig_target="thumb-freestanding-eabihf",
            zig_cpu="cortex_m33+dsp+fp_armv8d16sp",
            qemu_machine="mps2-an505",
            unicorn_model="CORTEX_M33",
            # The machine starts in the secure state: its secure aliases.
            flash_origin=0x1000_0000,
            ram_origin=0x3800_0000,
            cycles="unpublished",
        ),
        Core(
            name="cortex-m55",
            family="arm",
            title="Cortex-M55 with MVE",
            gcc_flags=_thumb("cortex-m55", "-mfloat-abi=hard"),
            zig_target="thumb-freestanding-eabihf",
            zig_cpu="cortex_m55+mve_fp+fp_armv8d16",
            qemu_machine="mps3-an547",
            flash_origin=0x1000_0000,
            ram_origin=0x3100_0000,
            most_flash_bytes=512 * KB,
            cycles="unpublished",
        ),
        Core(
            name="rv32imc",
            family="riscv",
            title="RISC-V RV32IMC",
            gcc_flags=("-march=rv32imc", "-mabi=ilp32"),
            zig_target="riscv32-freestanding-none",
            zig_cpu="generic_rv32+m+c",
            unicorn_model="SIFIVE_E31",
            cycles="rv32imc",
            emulated_as="a SiFive E31 (RV32IMAC); the compiler is held to RV32IMC",
        ),
        Core(
            name="avr5",
            family="avr",
            title="AVR (megaAVR, avr5)",
            gcc_flags=("-mmcu=atmega328p",),
            simavr_model="atmega328p",
            ram_origin=0x0080_0100,
            most_ram_bytes=2 * KB,
            most_flash_bytes=32 * KB,
            cycles="counted",
        ),
        Core(
            name="msp430x",
            family="msp430",
            title="MSP430X with 32-bit multiplier",
            gcc_flags=("-mcpu=msp430x", "-msmall", "-mhwmult=f5series"),
            flash_origin=0x4400,
            ram_origin=0x1C00,
            most_ram_bytes=2 * KB,
            most_flash_bytes=47 * KB,
            cycles="unpublished",
        ),
    )
}
