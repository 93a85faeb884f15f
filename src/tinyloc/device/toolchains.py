"""C to a program in flash: the same steps with either compiler.

Compile the model, the library functions of `support.c` and the harness; link once with room to spare to
learn how much everything takes; hold that against the limits; link again with the budget's numbers, all RAM
that data and bss leave given to the stack.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

from tinyloc import files
from tinyloc.device.boards import Board, enforceable_ram, format_size
from tinyloc.device.compile import CSRC, STRICT, model_sources, run_compiler, zig_command
from tinyloc.device.cores import Core
from tinyloc.device.firmware import Firmware
from tinyloc.errors import BudgetError, ToolchainError


@dataclass(frozen=True)
class Harness:
    """What proves a model on one family of cores: its objects bear a name that the linker script can tell."""

    port: str
    startup: str
    script: str
    entry: str
    library: str = "support.c"
    """The memory functions, where no C library is linked."""
    least_stack_bytes: int = 128
    """Below this no call chain can run at all: refused before it runs."""

    @property
    def sources(self) -> dict[str, str]:
        """Part of the object's name, and file."""
        return {"main": "harness.c", "port": self.port, "startup": self.startup}


HARNESSES = {
    "arm": Harness("port_semihosting.c", "startup_cortexm.c", "firmware.ld.in", "Reset_Handler"),
    "riscv": Harness("port_semihosting.c", "startup_riscv.c", "firmware.ld.in", "Reset_Handler"),
    "avr": Harness(
        "port_avr.c",
        "startup_avr.c",
        "firmware_avr.ld.in",
        "tinyloc_vectors",
        library="",
        least_stack_bytes=64,
    ),
}

PLAIN = ("-O2", "-g0", "-fno-stack-protector", "-fno-unwind-tables", "-fno-asynchronous-unwind-tables")
COMMON = (*PLAIN, "-ffp-contract=off", "-ffunction-sections", "-fdata-sections")
HARNESS_FLAGS = (*PLAIN, "-ffreestanding", "-fno-builtin", "-fno-unroll-loops")
"""No builtins: harness and `support.c` must not call the memory functions that the model is charged for."""

LOOSE_BYTES = 0x0800_0000
"""Length of both regions in the first link, which only measures."""


class Toolchain(ABC):
    """A compiler and linker for the boards of the table."""

    name: str
    version: str

    @abstractmethod
    def compiler(self) -> list[str]:
        """How to call the compiler."""

    @abstractmethod
    def target_flags(self, core: Core) -> tuple[str, ...]:
        """The flags that select `core`; the instruction set is checked by nothing else."""

    def check(self, core: Core) -> None:  # noqa: B027  (most build for every core of their family)
        """Raise ToolchainError where this compiler does not build for `core`."""

    warnings: tuple[str, ...] = STRICT
    optimise: tuple[str, ...] = ("-O2",)
    """For the model's own code, after COMMON."""
    harness_flags: tuple[str, ...] = HARNESS_FLAGS
    model_flags: tuple[str, ...] = ()
    link_flags: tuple[str, ...] = ()
    link_options: tuple[str, ...] = ("-Wl,--build-id=none",)
    libraries: tuple[str, ...] = ()

    def compile_and_link(
        self, c_dir: Path, board: Board, ram_bytes: int, flash_bytes: int, out_dir: Path
    ) -> Firmware:
        """Build every C file of `c_dir` for `board` within the two limits (bytes) into `out_dir`.

        Raises ToolchainError with the compiler's first diagnostic, BudgetError with how much is too much. A
        second build of the same sources with the same flags takes the first one's ELF.
        """
        self.check(board.cpu)
        c_dir, out_dir = c_dir.resolve(), out_dir.resolve()
        ram = enforceable_ram(ram_bytes)
        sources = model_sources(c_dir)
        elf = out_dir / "firmware.elf"
        firmware = Firmware(elf, board, f"{self.name} {self.version}", ram, flash_bytes)
        key = self._key(c_dir, board, ram, flash_bytes)
        stamp = out_dir / "firmware.key"
        if elf.is_file() and stamp.is_file() and stamp.read_text() == _stamp(key, elf):
            return firmware

        objects = self._compile(sources, c_dir, board.cpu, out_dir)
        loose = self._link(objects, board.cpu, out_dir, "measure.elf", LOOSE_BYTES, LOOSE_BYTES, 0)
        measured = Firmware(loose, board, firmware.compiler, LOOSE_BYTES, LOOSE_BYTES)
        check_budget(measured, ram, flash_bytes)
        stack = (ram - measured.static_ram_bytes) // 8 * 8
        linked = self._link(objects, board.cpu, out_dir, "linked.elf", ram, flash_bytes, stack)
        os.replace(linked, elf)
        loose.unlink()
        files.write_text(stamp, _stamp(key, elf))
        return firmware

    def _compile(self, sources: Sequence[Path], c_dir: Path, core: Core, out_dir: Path) -> list[str]:
        """Objects of model, library and harness, named after what they are."""
        include, harness = ("-I", str(c_dir), "-isystem", str(CSRC)), HARNESSES[core.family]
        command = [*self.compiler(), *self.target_flags(core), *self.warnings, *include]
        own = self.harness_flags
        jobs: list[tuple[Path, str, tuple[str, ...]]] = [
            *(
                (source, f"model-{source.stem}.o", (*COMMON, *self.model_flags, *self.optimise))
                for source in sources
            ),
            *((CSRC / file, f"tinyloc-harness-{part}.o", own) for part, file in harness.sources.items()),
        ]
        if harness.library:
            jobs.append((CSRC / harness.library, "support.o", (*own, "-ffunction-sections")))
        for source, name, flags in jobs:
            run_compiler([*command, *flags, "-c", str(source), "-o", name], folder=out_dir, sources=c_dir)
        return [name for _, name, _ in jobs]

    def _link(
        self, objects: Sequence[str], core: Core, out_dir: Path, name: str, ram: int, flash: int, stack: int
    ) -> Path:
        harness = HARNESSES[core.family]
        script = Template((CSRC / harness.script).read_text()).substitute(
            flash_origin=f"{core.flash_origin:#010x}",
            flash_bytes=flash,
            ram_origin=f"{core.ram_origin:#010x}",
            ram_bytes=ram,
            stack_bytes=stack,
        )
        files.write_text(out_dir / "firmware.ld", script)
        entry = f"-Wl,-e,{harness.entry}"
        options = ("-Wl,-T,firmware.ld", "-Wl,--gc-sections", entry, *self.link_options)
        command = [*self.compiler(), *self.target_flags(core), *self.link_flags, *options]
        run_compiler([*command, *objects, *self.libraries, "-o", name], folder=out_dir)
        return out_dir / name

    def _key(self, c_dir: Path, board: Board, ram: int, flash: int) -> str:
        """A digest of all that the ELF depends on."""
        digest = hashlib.sha256()
        own = (*COMMON, *self.model_flags, *self.optimise)
        flags = (self.target_flags(board.cpu), self.warnings, own, self.harness_flags, self.link_flags)
        digest.update(repr((self.name, self.version, flags, self.libraries, board.cpu, ram, flash)).encode())
        for folder in (c_dir, CSRC):
            for path in sorted(folder.iterdir()):
                if path.suffix in (".c", ".h", ".in"):
                    content = path.read_bytes()
                    digest.update(f"{path.name} {len(content)}\n".encode() + content)
        return digest.hexdigest()


class Zig(Toolchain):
    """The C compiler of the `ziglang` package: pip only, no root."""

    name = "zig"
    # Clang at -O2 unrolls every loop: 2.8 KB more flash and 8 % more instructions for a Mamba H32L1.
    optimise = ("-Os",)
    # Clang's -Wconversion knows more cases than gcc's; the model is held to gcc's, the harness to both.
    warnings = ("-std=c99", "-Wall", "-Wextra")
    link_flags = ("-fno-sanitize=undefined",)

    def __init__(self) -> None:
        if zig_command() is None:
            raise ToolchainError("the zig compiler is not installed", hint="Run `pip install ziglang`.")
        self.version = importlib.metadata.version("ziglang")

    def check(self, core: Core) -> None:
        """Raise ToolchainError where zig has no name for `core`."""
        if not core.zig_cpu:
            raise ToolchainError(f"zig is not used for a {core.title}", hint="Use the reference tier.")

    def compiler(self) -> list[str]:
        """`python -m ziglang cc`."""
        return zig_command() or []

    def target_flags(self, core: Core) -> tuple[str, ...]:
        """Target triple and processor; zig ignores -mfpu, so the processor's name must hold the FPU."""
        return ("-target", core.zig_target, f"-mcpu={core.zig_cpu}", "-fno-sanitize=undefined")


class Gcc(Toolchain):
    """A GNU compiler of the distribution, found on the PATH."""

    package: str
    """What `apt-get install` brings it."""
    otherwise: str = ""
    harness_flags = (*HARNESS_FLAGS, "-fno-tree-loop-distribute-patterns")
    link_flags: tuple[str, ...] = ("-nostdlib",)
    libraries: tuple[str, ...] = ("-lgcc",)

    def __init__(self) -> None:
        found = shutil.which(self.name)
        if found is None:
            raise ToolchainError(
                f"{self.name} was not found on the PATH",
                hint=f"Run `apt-get install --no-install-recommends {self.package}`{self.otherwise}.",
            )
        self._path = found
        self.version = run_compiler([found, "-dumpfullversion", "-dumpversion"], folder=Path.cwd()).strip()

    def compiler(self) -> list[str]:
        """The compiler found on the PATH."""
        return [self._path]

    def target_flags(self, core: Core) -> tuple[str, ...]:
        """Core, FPU and calling convention."""
        return core.gcc_flags


class ArmGcc(Gcc):
    """Debian's `arm-none-eabi-gcc`: the reference."""

    name = "arm-none-eabi-gcc"
    package = "gcc-arm-none-eabi"
    otherwise = ", or use the pip tier"


class RiscvGcc(Gcc):
    """Debian's `riscv64-unknown-elf-gcc`, without a C library."""

    name = "riscv64-unknown-elf-gcc"
    package = "gcc-riscv64-unknown-elf"
    otherwise = ", or use the pip tier"
    # Freestanding because there are no headers; the compiler may still know what memcpy does.
    model_flags = ("-ffreestanding", "-fbuiltin")


class AvrGcc(Gcc):
    """Debian's `avr-gcc` with avr-libc. Tables lie in `__flash`, which is GNU C."""

    name = "avr-gcc"
    package = "gcc-avr avr-libc"
    warnings = ("-std=gnu99", *STRICT[1:])
    link_flags = ("-nostdlib", "-nostartfiles")
    link_options = ()
    libraries = ("-lc", "-lgcc")


def check_budget(firmware: Firmware, ram_bytes: int, flash_bytes: int) -> None:
    """Hold a linked program against both limits (bytes). Raises BudgetError that counts the excess."""
    static, flash = firmware.static_ram_bytes, firmware.flash_bytes
    least = HARNESSES[firmware.board.cpu.family].least_stack_bytes
    ram = static + least
    over = []
    if flash > flash_bytes:
        over.append(
            f"flash: {flash:,} bytes of {format_size(flash_bytes)}, {flash - flash_bytes:,} bytes too many "
            f"(code {firmware.text_bytes:,}, constants {firmware.constant_bytes:,}, "
            f"harness and start-up {firmware.harness_bytes:,})"
        )
    if ram > ram_bytes:
        over.append(
            f"RAM: {static:,} bytes of data and at least {least} of stack in "
            f"{format_size(ram_bytes)}, {ram - ram_bytes:,} bytes too many"
        )
    if over:
        raise BudgetError(
            f"the model does not fit {firmware.board.name}'s limits: {'; '.join(over)}",
            hint=f"What would fit: {flash:,} bytes of flash and over {ram:,} of RAM, or a smaller model.",
        )


def _stamp(key: str, elf: Path) -> str:
    """The key, and the ELF's own digest: an altered ELF is built again."""
    return f"{key} {hashlib.sha256(elf.read_bytes()).hexdigest()}\n"
