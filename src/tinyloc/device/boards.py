"""The table of microcontrollers: what each holds and draws, and which core it has.

Sizes in bytes (KB = 1,024 bytes), clocks in Hz, supply in V, current in µA per MHz of CPU clock, and in µA
asleep. A further core is one row of `cores`, a further board one `Board` row; nothing else here names a chip.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, replace

from tinyloc.device.cores import CORES, KB, Core
from tinyloc.errors import BoardError, BudgetError, UsageError

CURRENT_SPREAD = 0.4
"""The half width of every current's bracket: ±40 % for regulator, temperature, cache and clock source."""

MPU_STEP_BYTES = 32
"""The smallest region, and so the finest RAM limit, that a PMSAv7 MPU can hold."""

MPU_RAM_REGIONS = 7
"""Regions left for the RAM: eight on a Cortex-M4, less the one for the flash."""


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
    sleep_microamps: float
    """Asleep between two steps: RAM kept, a 32 kHz clock awake."""
    sleep_source: str

    @property
    def cpu(self) -> Core:
        """The core's row."""
        return CORES[self.core]

    @property
    def joules_per_cycle(self) -> float:
        """Energy of one clock cycle in J: µA/MHz is pC per cycle, times volts."""
        return self.microamps_per_mhz * 1e-12 * self.supply_volts

    @property
    def roomy(self) -> Board:
        """The same board with as much memory as is emulated for its core: to measure what does not fit."""
        return replace(self, ram_bytes=self.cpu.most_ram_bytes, flash_bytes=self.cpu.most_flash_bytes)


def _any(
    core: str, title: str, ram: int, flash: int, clock_hz: int, current: float, asleep: float, like: str
) -> Board:
    """No particular chip: a core with memory as is usual, at currents of the order of `like`'s."""
    return Board(
        name=core,
        title=title,
        core="cortex-m4f" if core == "cortex-m4" else core,
        ram_bytes=ram,
        flash_bytes=flash,
        clock_hz=clock_hz,
        supply_volts=3.0,
        microamps_per_mhz=current,
        current_source=f"no particular chip: {current:g} µA/MHz at 3 V, as {like}",
        sleep_microamps=asleep,
        sleep_source=f"no particular chip: {asleep:g} µA, as {like}",
    )


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
            sleep_microamps=1.9,
            sleep_source="nRF52832 product specification: System ON, full RAM kept, RTC, 1.9 µA",
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
            sleep_microamps=3.16,
            sleep_source="nRF52840 product specification: System ON, full RAM kept, RTC, 3.16 µA",
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
            sleep_microamps=1.4,
            sleep_source="STM32L476 data sheet: Stop 2 with RTC, 1.4 µA",
        ),
        _any("cortex-m4", "any Cortex-M4F", 64 * KB, 256 * KB, 64_000_000, 100.0, 1.4, "an STM32L4"),
        _any("cortex-m0", "any Cortex-M0", 16 * KB, 256 * KB, 16_000_000, 275.0, 2.6, "an nRF51822"),
        Board(
            name="nrf51822",
            title="Nordic nRF51822 (the first micro:bit's chip)",
            core="cortex-m0",
            ram_bytes=16 * KB,
            flash_bytes=256 * KB,
            clock_hz=16_000_000,
            supply_volts=3.0,
            microamps_per_mhz=275.0,
            current_source="nRF51822 product specification: 4.4 mA from flash at 16 MHz",
            sleep_microamps=2.6,
            sleep_source="nRF51822 product specification: System ON, 2.6 µA; the 32 kHz clock adds 0.4",
        ),
        _any("cortex-m0+", "any Cortex-M0+", 20 * KB, 192 * KB, 32_000_000, 88.0, 0.8, "an STM32L0"),
        Board(
            name="stm32l0",
            title="STM32L053 with 8 KB RAM and 64 KB flash",
            core="cortex-m0+",
            ram_bytes=8 * KB,
            flash_bytes=64 * KB,
            clock_hz=32_000_000,
            supply_volts=3.0,
            microamps_per_mhz=88.0,
            current_source="STM32L053 data sheet, first page: 88 µA/MHz in run mode; taken at 3 V",
            sleep_microamps=0.8,
            sleep_source="STM32L053 data sheet, first page: Stop with RTC and RAM kept, 0.8 µA",
        ),
        _any("cortex-m3", "any Cortex-M3", 16 * KB, 128 * KB, 32_000_000, 214.0, 1.2, "an STM32L151"),
        _any("cortex-m7", "any Cortex-M7", 256 * KB, 1024 * KB, 216_000_000, 280.0, 4.0, "an STM32H7"),
        _any("cortex-m33", "any Cortex-M33", 256 * KB, 1024 * KB, 64_000_000, 50.0, 1.5, "an nRF5340"),
        _any("cortex-m55", "any Cortex-M55", 256 * KB, 512 * KB, 160_000_000, 50.0, 1.5, "a Cortex-M33"),
        _any("rv32imc", "any RISC-V RV32IMC", 320 * KB, 1024 * KB, 160_000_000, 144.0, 130.0, "an ESP32-C3"),
        Board(
            name="atmega328p",
            title="Microchip ATmega328P at 16 MHz (Arduino Uno and Pro Mini)",
            core="avr5",
            ram_bytes=2 * KB,
            flash_bytes=32 * KB,
            clock_hz=16_000_000,
            supply_volts=5.0,
            microamps_per_mhz=650.0,
            current_source="ATmega328P data sheet, DC characteristics: 5.2 mA active at 8 MHz, 5 V",
            sleep_microamps=0.9,
            sleep_source="ATmega328P data sheet: power-save with 32 kHz crystal, 0.9 µA (at 3 V)",
        ),
        Board(
            name="msp430fr5969",
            title="TI MSP430FR5969 (FRAM)",
            core="msp430x",
            ram_bytes=2 * KB,
            flash_bytes=47 * KB,
            clock_hz=8_000_000,
            supply_volts=3.0,
            microamps_per_mhz=100.0,
            current_source="MSP430FR5969 data sheet, first page: about 100 µA/MHz; taken at 3 V",
            sleep_microamps=0.4,
            sleep_source="MSP430FR5969 data sheet, first page: standby (LPM3), 0.4 µA",
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
    near = difflib.get_close_matches(name.strip().lower(), BOARDS, n=3, cutoff=0.7)
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
