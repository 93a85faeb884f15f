"""The table of microcontrollers: what each holds and draws, and how compilers and emulators name its core.

Sizes in bytes (KB = 1,024 bytes), clocks in Hz, supply in V, current in µA per MHz of CPU clock. A further
core is one `Core` row, a further board one `Board` row; nothing else in this package names a chip.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

from tinyloc.errors import BoardError, BudgetError, UsageError

KB = 1024

CURRENT_SPREAD = 0.4
"""The half width of every current's bracket: ±40 % for regulator, temperature, cache and clock source."""

MPU_STEP_BYTES = 32
"""The smallest region, and so the finest RAM limit, that a PMSAv7 MPU can hold."""

MPU_RAM_REGIONS = 7
"""Regions left for the RAM: eight on a Cortex-M4, less the one for the flash."""


@dataclass(frozen=True)
class Core:
    """A processor core under its names in compilers and emulators."""

    name: str
    zig_target: str
    zig_cpu: str
    gcc_flags: tuple[str, ...]
    qemu_machine: str
    unicorn_model: str
    """The suffix of Unicorn's `UC_CPU_ARM_...` constant."""
    flash_origin: int = 0x0000_0000
    ram_origin: int = 0x2000_0000


@dataclass(frozen=True)
class Board:
    """A microcontroller: its memories, its clock and its current."""

    name: str
    title: str
    core: str
    ram_bytes: int
    flash_bytes: int
    clock_hz: int
    supply_volts: float
    microamps_per_mhz: float
    """The typical current of the running CPU; the bracket is this ± `CURRENT_SPREAD`."""
    current_source: str

    @property
    def cpu(self) -> Core:
        """The core's row."""
        return CORES[self.core]

    @property
    def joules_per_cycle(self) -> float:
        """Energy of one clock cycle in J: µA/MHz is pC per cycle, times volts."""
        return self.microamps_per_mhz * 1e-12 * self.supply_volts


CORES = {
    core.name: core
    for core in (
        Core(
            name="cortex-m4f",
            zig_target="thumb-freestanding-eabihf",
            # Plain cortex_m4 with eabihf is soft-float arithmetic under a hard-float calling convention.
            zig_cpu="cortex_m4+vfp4d16sp",
            gcc_flags=("-mthumb", "-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"),
            qemu_machine="mps2-an386",
            unicorn_model="CORTEX_M4",
        ),
    )
}

BOARDS = {
    board.name: board
    for board in (
        Board(
            name="nrf52832",
            title="Nordic nRF52832 (PineTime's chip)",
            core="cortex-m4f",
            ram_bytes=64 * KB,
            flash_bytes=512 * KB,
            clock_hz=64_000_000,
            supply_volts=3.0,
            microamps_per_mhz=58.0,
            current_source="nRF52832 product specification: 58 µA/MHz from flash, DC/DC converter, 3 V",
        ),
        Board(
            name="nrf52840",
            title="Nordic nRF52840",
            core="cortex-m4f",
            ram_bytes=256 * KB,
            flash_bytes=1024 * KB,
            clock_hz=64_000_000,
            supply_volts=3.0,
            microamps_per_mhz=52.0,
            current_source="nRF52840 product specification: 52 µA/MHz from flash, DC/DC converter, 3 V",
        ),
        Board(
            name="stm32l4",
            title="STM32L4 with 64 KB RAM and 256 KB flash",
            core="cortex-m4f",
            ram_bytes=64 * KB,
            flash_bytes=256 * KB,
            clock_hz=80_000_000,
            supply_volts=3.0,
            microamps_per_mhz=100.0,
            current_source="STM32L4 series overview: about 100 µA/MHz in run mode; taken at 3 V",
        ),
        Board(
            name="cortex-m4",
            title="any Cortex-M4F",
            core="cortex-m4f",
            ram_bytes=64 * KB,
            flash_bytes=256 * KB,
            clock_hz=64_000_000,
            supply_volts=3.0,
            microamps_per_mhz=100.0,
            current_source="no particular chip: 100 µA/MHz at 3 V, as an STM32L4",
        ),
    )
}

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(k|kb|kib|m|mb|mib|b|)\s*", re.IGNORECASE)
_UNIT = {"": 1, "b": 1, "k": KB, "m": KB * KB}


def find_board(name: str) -> Board:
    """The board of that name. Raises BoardError that lists the nearest names, or all where none is near."""
    board = BOARDS.get(name.strip().lower())
    if board is not None:
        return board
    near = difflib.get_close_matches(name.strip().lower(), BOARDS, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"Known boards: {', '.join(BOARDS)}."
    raise BoardError(f"no board is called {name!r}.", hint=hint)


def parse_size(text: str) -> int:
    """``"32K"`` to 32,768 bytes. K is 1,024, M is 1,048,576, a bare number is bytes."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise UsageError(f"{text!r} is not a memory size", hint="Write it like 32K, 1M or 20480 (bytes).")
    size = float(match[1]) * _UNIT[match[2].lower()[:1]]
    if size < 1 or size != int(size):
        raise UsageError(f"{text!r} is not a whole number of bytes above zero")
    return int(size)


def format_size(count: int) -> str:
    """Bytes as a person writes them: ``32 KB``, ``1,500 bytes``."""
    return f"{count // KB:,} KB" if count >= KB and count % KB == 0 else f"{count:,} bytes"


def enforceable_ram(ram_bytes: int) -> int:
    """The largest RAM length up to `ram_bytes` that every emulated machine can hold to the byte.

    A PMSAv7 region is a power of two of at least 32 bytes, and seven are left for the RAM: so a multiple of
    32 with at most seven bits set. All usual sizes are; others lose under 1 %. Raises BudgetError below 32.
    """
    length = ram_bytes // MPU_STEP_BYTES * MPU_STEP_BYTES
    while length.bit_count() > MPU_RAM_REGIONS:
        length &= length - 1
    if length == 0:
        raise BudgetError(f"a RAM of {ram_bytes} bytes holds no stack at all")
    return length


def budget(board: Board, ram_bytes: int | None = None, flash_bytes: int | None = None) -> tuple[int, int]:
    """RAM and flash to build for, in bytes: the user's limits, or the board's own where none is given.

    Raises UsageError when a limit is more than the board has.
    """
    for kind, asked, has in (("RAM", ram_bytes, board.ram_bytes), ("flash", flash_bytes, board.flash_bytes)):
        if asked is not None and asked > has:
            raise UsageError(
                f"{board.name} has {format_size(has)} of {kind}, not the {format_size(asked)} asked for",
                hint="Name a larger --board or a smaller limit.",
            )
    return ram_bytes or board.ram_bytes, flash_bytes or board.flash_bytes
