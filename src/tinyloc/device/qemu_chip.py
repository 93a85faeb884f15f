"""The reference tier's chip: `qemu-system-arm`, with a plugin that counts every instruction by address.

The MPU is the limit (the start-up sets it, see `csrc/startup_cortexm.c`): QEMU's own boards ignore stores to
no memory, so unmapped addresses prove nothing there. The run is refused unless the firmware says that the
MPU is on. Records and answers are files in a folder of the run's own.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tinyloc.device.compile import CSRC, host_command, run_compiler
from tinyloc.device.cores import Core
from tinyloc.device.emulators import (
    DEFAULT_TIMEOUT_S,
    DeviceRun,
    Emulator,
    check_records,
    describe_fault,
    read_report,
    shorten,
    version_line,
)
from tinyloc.device.firmware import Firmware
from tinyloc.errors import DeviceError, ToolchainError

PROGRAM = "qemu-system-arm"
FAULT = re.compile(
    r"tinyloc: fault 0x(\w+) cfsr 0x(\w+) hfsr 0x(\w+) mmfar 0x(\w+) bfar 0x(\w+) sp 0x(\w+) pc 0x(\w+)"
)
MPU_ON = "tinyloc: mpu on"

# Bits of CFSR, Armv7-M Architecture Reference Manual, B3.2.15.
FAULT_BITS = (
    (0x0000_0001, "jump to no memory or into data"),
    (0x0000_0010, "exception entry with the stack pointer outside the RAM"),
    (0x0000_0002, "access outside the memory"),
    (0x0000_0100, "instruction bus fault"),
    (0x0000_0200, "bus fault"),
    (0x0001_0000, "undefined instruction"),
    (0x0002_0000, "invalid state"),
    (0x0008_0000, "no coprocessor"),
    (0x0100_0000, "unaligned access"),
    (0x0200_0000, "division by zero"),
)
MMARVALID, BFARVALID, MSTKERR = 0x80, 0x8000, 0x10


class Qemu(Emulator):
    """Runs firmware in QEMU. `plugin_dir` keeps the counting plugin; else each run builds its own."""

    name = "qemu"

    def __init__(self, plugin_dir: Path | None = None) -> None:
        found = shutil.which(PROGRAM)
        if found is None:
            raise ToolchainError(
                f"{PROGRAM} was not found on the PATH",
                hint="Run `apt-get install --no-install-recommends qemu-system-arm`, or use the pip tier.",
            )
        self._path = found
        self._plugin_dir = plugin_dir
        done = subprocess.run([found, "--version"], capture_output=True, text=True, timeout=60, check=False)
        self.version = version_line(found, done.stdout)

    def check(self, core: Core) -> None:
        """See `Emulator.check`."""
        if not core.qemu_machine:
            raise ToolchainError(f"no machine of QEMU holds the RAM of a {core.title}")

    def run(
        self,
        firmware: Firmware,
        records: bytes,
        *,
        count_records: int | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> DeviceRun:
        """See `Emulator.run`. Counts all records, unless `count_records` asks for a second run over fewer."""
        total = check_records(firmware, records)
        counted = total if count_records is None else min(max(count_records, 1), total)
        with tempfile.TemporaryDirectory(prefix="tinyloc-") as name:
            folder = Path(name)
            plugin = build_plugin(self._plugin_dir or folder)
            answers, stack, counts = self._power_up(firmware, records, folder, plugin, timeout_s)
            if counted < total:
                first = records[: counted * firmware.record_bytes]
                _, _, counts = self._power_up(firmware, first, folder, plugin, timeout_s)
        return self._result(firmware, records, counted, answers, stack, counts)

    def _power_up(
        self, firmware: Firmware, records: bytes, folder: Path, plugin: Path, timeout_s: float
    ) -> tuple[bytes, int, dict[int, int]]:
        """Answers, stack in bytes, counts by address of one run."""
        (folder / "records").write_bytes(records)
        counts = folder / "counts"
        counts.unlink(missing_ok=True)
        command = [
            *(self._path, "-M", firmware.board.cpu.qemu_machine, "-display", "none", "-monitor", "none"),
            *("-serial", "none", "-semihosting-config", "enable=on,target=native"),
            *("-kernel", str(firmware.elf.resolve())),
            *(
                "-plugin",
                str(plugin).replace(",", ",,")
                + f",out={counts.name},origin={firmware.board.cpu.flash_origin:#x}",
            ),
        ]
        code, console = run_qemu(command, folder, timeout_s)
        raise_fault(firmware, console)
        if code != 0:
            raise DeviceError(f"qemu ended with code {code}: {shorten(console) or 'no output'}")
        if MPU_ON not in console:
            raise DeviceError("the emulated chip has no MPU to hold the RAM limit with")
        answers = (folder / "answers").read_bytes()
        stack = read_report(console, firmware, len(records) // firmware.record_bytes, answers)
        return answers, stack, read_counts(counts)


def run_qemu(command: Sequence[str], folder: Path, timeout_s: float) -> tuple[int, str]:
    """Exit code and what was printed. Raises DeviceError when it hangs."""
    try:
        done = subprocess.run(
            list(command),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DeviceError(f"the chip did not finish within {timeout_s:g} s") from error
    except OSError as error:
        raise ToolchainError(f"{command[0]} could not be run ({error.strerror or error})") from error
    return done.returncode, done.stderr + done.stdout


def raise_fault(firmware: Firmware, console: str) -> None:
    """Raise the DeviceError that the fault handler's line, or QEMU's own, stands for."""
    found = FAULT.search(console)
    if found is None:
        if "Lockup" in console:
            raise DeviceError(f"the chip locked up: {shorten(console)}")
        return
    _, cfsr, _, mmfar, bfar, sp, pc = (int(text, 16) for text in found.groups())
    kind = next((text for bit, text in FAULT_BITS if cfsr & bit), f"fault (CFSR {cfsr:#010x})")
    address = mmfar if cfsr & MMARVALID else bfar if cfsr & BFARVALID else sp if cfsr & MSTKERR else None
    raise describe_fault(firmware, kind, address, pc & ~1 or None)


def read_counts(path: Path) -> dict[int, int]:
    """The plugin's file: address and count in each line, ``end`` in the last."""
    lines = path.read_text().splitlines() if path.is_file() else []
    if not lines or lines[-1] != "end":
        raise DeviceError("QEMU left no instruction counts", hint="Is this QEMU built with plugins?")
    return {int(address, 16): int(count) for address, count in (line.split() for line in lines[:-1])}


def build_plugin(folder: Path) -> Path:
    """The counting plugin as a shared object in `folder`, built unless it is there."""
    source = CSRC / "count_plugin.c"
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:12]
    plugin = folder.resolve() / f"count-{digest}.so"
    if not plugin.is_file():
        compiler = host_command()
        if compiler is None:
            raise ToolchainError("no C compiler for this computer", hint="Run `apt-get install gcc`.")
        command = [*compiler, "-O2", "-std=c99", "-shared", "-fPIC", str(source), "-o", f"{plugin.name}.new"]
        run_compiler(command, folder=folder)
        (folder / f"{plugin.name}.new").replace(plugin)
    return plugin
