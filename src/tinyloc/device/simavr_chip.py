"""An ATmega's chip: libsimavr behind a runner of our own, which counts cycles as well as instructions.

The runner holds the stack's lowest byte, instruction by instruction: an AVR has neither an MPU nor a fault.
The RAM's upper end is the chip's own. Records and answers are files in a folder of the run's own.
"""

from __future__ import annotations

import ctypes.util
import hashlib
import re
import subprocess
import tempfile
from pathlib import Path

from tinyloc.device.compile import CSRC, host_command, run_compiler
from tinyloc.device.cores import Core
from tinyloc.device.emulators import (
    DEFAULT_TIMEOUT_S,
    DeviceRun,
    Emulator,
    check_records,
    describe_fault,
    shorten,
    version_line,
)
from tinyloc.device.firmware import Firmware
from tinyloc.errors import DeviceError, ToolchainError

HEADER = Path("/usr/include/simavr/sim_avr.h")
DATA_SPACE = 0x0080_0000
"""Where the linker puts AVR's data space."""
REPORT = re.compile(r"tinyloc: records 0x([0-9a-f]{8}) lowest 0x([0-9a-f]{4})")
STACK = re.compile(r"tinyloc: stack 0x([0-9a-f]{4}) pc 0x([0-9a-f]{4})")
CRASH = re.compile(r"tinyloc: crash pc 0x([0-9a-f]{4})")
INSTALL = "Run `apt-get install --no-install-recommends libsimavr-dev libelf-dev gcc-avr avr-libc`."


class Simavr(Emulator):
    """Runs firmware in simavr. `runner_dir` keeps the runner; else each run builds its own."""

    name = "simavr"

    def __init__(self, runner_dir: Path | None = None) -> None:
        if not HEADER.is_file() or ctypes.util.find_library("simavr") is None:
            raise ToolchainError("libsimavr and its headers were not found", hint=INSTALL)
        self._runner_dir = runner_dir
        self.version = _version()

    def check(self, core: Core) -> None:
        """See `Emulator.check`."""
        if not core.simavr_model:
            raise ToolchainError(f"simavr does not emulate a {core.title}")

    def run(
        self,
        firmware: Firmware,
        records: bytes,
        *,
        count_records: int | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> DeviceRun:
        """See `Emulator.run`. Counts all records, or the first `count_records`, in the one run."""
        total = check_records(firmware, records)
        counted = total if count_records is None else min(max(count_records, 1), total)
        with tempfile.TemporaryDirectory(prefix="tinyloc-") as name:
            folder = Path(name)
            (folder / "records").write_bytes(records)
            (folder / "image").write_bytes(_image(firmware))
            runner = build_runner(self._runner_dir or folder)
            bottom = firmware.program.symbols["__stack_bottom"] - DATA_SPACE
            command = [
                *(str(runner), firmware.board.cpu.simavr_model, "image", str(bottom)),
                *("records", "answers", "counts", str(counted * firmware.answer_bytes)),
            ]
            console = _run(command, folder, timeout_s)
            _raise_fault(firmware, console)
            found = REPORT.search(console)
            if found is None:
                raise DeviceError(f"the chip broke off without a report ({shorten(console) or 'no output'})")
            answers = (folder / "answers").read_bytes()
            done, size = int(found[1], 16), len(answers)
            if done != total or size != total * firmware.answer_bytes:
                raise DeviceError(f"the chip answered {done:,} of {total:,} records with {size:,} bytes")
            counts, cycles = _counts(folder / "counts")
        top = firmware.program.symbols["__stack_top"] - DATA_SPACE
        stack = top - int(found[2], 16) - 1  # the pointer names the next free byte
        return self._result(firmware, records, counted, answers, stack, counts, cycles)


def build_runner(folder: Path) -> Path:
    """The runner as a program in `folder`, built unless it is there."""
    source = CSRC / "avr_runner.c"
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:12]
    runner = folder.resolve() / f"avr-runner-{digest}"
    if not runner.is_file():
        compiler = host_command()
        if compiler is None:
            raise ToolchainError("no C compiler for this computer", hint="Run `apt-get install gcc`.")
        command = [*compiler, "-O2", str(source), "-o", f"{runner.name}.new", "-lsimavr"]
        run_compiler(command, folder=folder)
        (folder / f"{runner.name}.new").replace(runner)
    return runner


def _image(firmware: Firmware) -> bytes:
    """What the flash holds, from address 0."""
    image = bytearray(firmware.flash_bytes)
    for start, data in firmware.program.segments:
        image[start : start + len(data)] = data
    return bytes(image)


def _run(command: list[str], folder: Path, timeout_s: float) -> str:
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DeviceError(f"the chip did not finish within {timeout_s:g} s") from error
    except OSError as error:
        raise ToolchainError(f"the runner of simavr could not be run ({error.strerror or error})") from error
    if done.returncode not in (0, 1):
        raise DeviceError(f"simavr's runner gave up: {shorten(done.stderr + done.stdout) or 'no output'}")
    return done.stdout


def _raise_fault(firmware: Firmware, console: str) -> None:
    if found := STACK.search(console):
        address, pc = (int(text, 16) for text in found.groups())
        raise describe_fault(firmware, "stack", address + DATA_SPACE, pc)
    if found := CRASH.search(console):
        raise describe_fault(firmware, "crash: no instruction, or no memory, there", None, int(found[1], 16))


def _counts(path: Path) -> tuple[dict[int, int], dict[int, int]]:
    """Instructions and cycles by address; ``end`` is the last line."""
    lines = path.read_text().splitlines() if path.is_file() else []
    if not lines or lines[-1] != "end":
        raise DeviceError("simavr left no counts")
    rows = [line.split() for line in lines[:-1]]
    return {int(a, 16): int(n) for a, n, _ in rows}, {int(a, 16): int(c) for a, _, c in rows}


def _version() -> str:
    """The library bears no version that a program could ask for: the package does."""
    command = ["dpkg-query", "-W", "-f", "${Version}", "libsimavr-dev"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except OSError:
        return "of unknown version"
    return version_line("libsimavr", f"{done.stdout}.0")
