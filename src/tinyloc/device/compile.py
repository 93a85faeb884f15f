"""Running a compiler: where it is, what it said, and one line of it when it fails."""

from __future__ import annotations

import errno
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tinyloc.errors import OutputError, ToolchainError

CSRC = Path(__file__).parent / "csrc"
"""The harness, the ports, the start-up, the linker script's template and the QEMU plugin."""

STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")
"""What all C of ours is clean under."""

COMPILER_TIMEOUT_S = 300

FULL = ("No space left on device", "File too large", "Disk quota exceeded", "NoSpaceLeft", "FileTooBig")
"""What a compiler says, if it says anything, when its output finds no room."""

IN_SOURCE = re.compile(r"\.[ch]:\d+:\d+: (fatal )?error:|undefined (reference|symbol)|multiple definition")
"""A fault of the C, which has nothing to do with the disk."""

PROBE_BYTES = 1 << 20
"""What is written to learn whether the disk is full, after a compiler failed without naming a fault."""


def model_sources(c_dir: Path) -> list[Path]:
    """The model's C files, in a fixed order. Raises ToolchainError when there are none."""
    sources = sorted(c_dir.glob("*.c"))
    if not sources or not (c_dir / "tinyloc_model.h").is_file():
        raise ToolchainError(f"{c_dir}: no tinyloc_model.h with C files", hint="Run `tinyloc emit` first.")
    return sources


def zig_command() -> list[str] | None:
    """How to call zig's C compiler, or None when the package is absent."""
    if importlib.util.find_spec("ziglang") is None:
        return None
    return [sys.executable, "-m", "ziglang", "cc"]


def host_command() -> list[str] | None:
    """How to call a C compiler for this computer: cc, gcc or clang on the PATH, else zig."""
    for name in ("cc", "gcc", "clang"):
        found = shutil.which(name)
        if found:
            return [found]
    return zig_command()


def run_compiler(command: Sequence[str], *, folder: Path, sources: Path | None = None) -> str:
    """Run in `folder`; standard output. Raises ToolchainError with the first diagnostic, on one line."""
    name = Path(command[0]).name if "ziglang" not in command else "zig cc"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            list(command),
            cwd=folder,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=COMPILER_TIMEOUT_S,
            env={**os.environ, "LC_ALL": "C"},
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ToolchainError(f"{name} did not finish within {COMPILER_TIMEOUT_S} s") from error
    except OSError as error:
        raise ToolchainError(f"{name} could not be run in {folder} ({error.strerror or error})") from error
    if done.returncode != 0:
        text = f"{done.stderr}\n{done.stdout}"
        full = next((word for word in FULL if word in text), "")
        if full or done.returncode == -signal.SIGXFSZ or (not IN_SOURCE.search(text) and not _room(folder)):
            said = full or "it broke off without a word"
            raise OutputError(
                f"{folder}: the disk is full, {name} could not write ({said})",
                hint="Free some space there and in the folder for temporary files, or name another --out.",
            )
        raise ToolchainError(f"{name}: {first_diagnostic(text, sources)}")
    return done.stdout


def _room(folder: Path) -> bool:
    """Whether `PROBE_BYTES` can be written in `folder` and where compilers keep what is temporary."""
    try:
        for where in (folder, None):
            with tempfile.TemporaryFile(dir=where) as stream:
                stream.write(bytes(PROBE_BYTES))
                stream.flush()
    except OSError as error:
        return error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return True


def first_diagnostic(text: str, sources: Path | None = None) -> str:
    """The line of a compiler's or linker's output that says what is wrong, without the folder's path."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and "ld returned" not in line]
    marks = ("error:", "undefined reference", "undefined symbol", "multiple definition")
    wrong = next((line for mark in marks for line in lines if mark in line), None)
    line = wrong or (lines[0] if lines else "it failed without a word")
    return line.replace(f"{sources}{os.sep}", "") if sources else line
