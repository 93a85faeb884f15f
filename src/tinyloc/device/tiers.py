"""Which pairs of compiler and emulator this computer has.

`pip`: zig and Unicorn, installed with the package. `reference`: arm-none-eabi-gcc and QEMU, used when found.
Both build the same sources and answer the same records; a verdict is the stronger for every tier it names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tinyloc.device.boards import Board, budget
from tinyloc.device.emulators import DEFAULT_TIMEOUT_S, DeviceRun, Emulator
from tinyloc.device.firmware import Firmware
from tinyloc.device.qemu_chip import Qemu
from tinyloc.device.toolchains import ArmGcc, Toolchain, Zig
from tinyloc.device.unicorn_chip import Unicorn
from tinyloc.errors import ToolchainError


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


TIERS: dict[str, tuple[Callable[[], Toolchain], Callable[[], Emulator]]] = {
    "pip": (Zig, Unicorn),
    "reference": (ArmGcc, Qemu),
}
"""Every tier's compiler and emulator, the one that needs no root first."""


def find_tier(name: str) -> Tier:
    """The tier of that name. Raises ToolchainError that says what to install when it is not complete."""
    if name not in TIERS:
        raise ToolchainError(f"no tier is called {name!r}", hint=f"Known tiers: {', '.join(TIERS)}.")
    toolchain, emulator = TIERS[name]
    return Tier(name, toolchain(), emulator())


def available_tiers() -> list[Tier]:
    """The complete tiers of this computer, in the table's order. Raises ToolchainError when there is none."""
    found, missing = [], []
    for name in TIERS:
        try:
            found.append(find_tier(name))
        except ToolchainError as error:
            missing.append(f"{name} tier: {error}")
    if not found:
        raise ToolchainError(f"no compiler for the microcontroller was found ({' / '.join(missing)})")
    return found
