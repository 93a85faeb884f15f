"""Which pairs of compiler and emulator this computer has.

`pip`: zig and Unicorn, installed with the package. `reference`: the distribution's gcc for the core, and QEMU
(Cortex-M), simavr (AVR) or Unicorn (RISC-V, and Cortex-M0: no machine of QEMU can hold its RAM to a limit).
Both build the same sources and answer the same records; a verdict is the stronger for every tier it names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tinyloc.device.boards import Board, budget
from tinyloc.device.cores import CORES, Core
from tinyloc.device.emulators import DEFAULT_TIMEOUT_S, DeviceRun, Emulator
from tinyloc.device.firmware import Firmware
from tinyloc.device.qemu_chip import Qemu
from tinyloc.device.simavr_chip import Simavr
from tinyloc.device.toolchains import ArmGcc, AvrGcc, RiscvGcc, Toolchain, Zig
from tinyloc.device.unicorn_chip import Unicorn
from tinyloc.errors import ToolchainError

DEFAULT_CORE = CORES["cortex-m4f"]


@dataclass(frozen=True)
class Tier:
    """A compiler and an emulator that stand behind one verdict."""

    name: str
    toolchain: Toolchain
    emulator: Emulator

    @property
    def versions(self) -> dict[str, str]:
        """Name and version of both, for the page."""
        return {tool.name: tool.version for tool in (self.toolchain, self.emulator)}

    def build(
        self,
        c_dir: Path,
        board: Board,
        out_dir: Path,
        *,
        ram_bytes: int | None = None,
        flash_bytes: int | None = None,
    ) -> Firmware:
        """Compile and link within the limits, or within the board's own where none is given (bytes)."""
        ram, flash = budget(board, ram_bytes, flash_bytes)
        return self.toolchain.compile_and_link(c_dir, board, ram, flash, out_dir)

    def run(
        self,
        firmware: Firmware,
        records: bytes,
        *,
        count_records: int | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> DeviceRun:
        """Run `records` on the emulated chip; see `Emulator.run`."""
        return self.emulator.run(firmware, records, count_records=count_records, timeout_s=timeout_s)


Makers = tuple[Callable[[], Toolchain], Callable[[], Emulator]]

TIERS: dict[str, dict[str, Makers]] = {
    "arm": {"pip": (Zig, Unicorn), "reference": (ArmGcc, Qemu)},
    "riscv": {"pip": (Zig, Unicorn), "reference": (RiscvGcc, Unicorn)},
    "avr": {"reference": (AvrGcc, Simavr)},
}
"""For each family of cores every tier's compiler and emulator, the one that needs no root first."""

NAMES = ("pip", "reference")


def find_tier(name: str, core: Core = DEFAULT_CORE) -> Tier:
    """The tier of that name for `core`. Raises ToolchainError that says what is missing."""
    if name not in NAMES:
        raise ToolchainError(f"no tier is called {name!r}", hint=f"Known tiers: {', '.join(NAMES)}.")
    makers = TIERS.get(core.family, {})
    if name not in makers:
        known = f"Use --tier {', '.join(makers)}." if makers else "`tinyloc emit` still writes its C."
        raise ToolchainError(f"nothing of the {name} tier builds and emulates a {core.title}", hint=known)
    toolchain, emulator = makers[name]
    if emulator is Qemu and not core.qemu_machine:
        emulator = Unicorn  # no machine of QEMU could hold the RAM limit
    tier = Tier(name, toolchain(), emulator())
    tier.toolchain.check(core)
    tier.emulator.check(core)
    return tier


def available_tiers(core: Core = DEFAULT_CORE) -> list[Tier]:
    """This computer's complete tiers for `core`, in the table's order. Raises ToolchainError for none."""
    found, missing = [], []
    for name in TIERS.get(core.family, {}):
        try:
            found.append(find_tier(name, core))
        except ToolchainError as error:
            missing.append(f"{name} tier: {error}")
    if not found:
        why = " / ".join(missing) or f"nothing here builds and emulates a {core.title}"
        raise ToolchainError(f"no compiler for the microcontroller was found ({why})")
    return found
