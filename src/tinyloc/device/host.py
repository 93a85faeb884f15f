"""The same C and the same harness on this computer: the quickest check, and the only one with sanitizers."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tinyloc.device.compile import CSRC, STRICT, host_command, model_sources, run_compiler
from tinyloc.errors import DeviceError, ToolchainError

SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g", "-fno-omit-frame-pointer")


@dataclass(frozen=True)
class HostProgram:
    """A program for this computer: records on standard input, answers on standard output."""

    path: Path

    def run(self, records: bytes, *, timeout_s: float = 600.0) -> bytes:
        """The answers to `records`. Raises DeviceError when the program fails or hangs."""
        try:
            done = subprocess.run(
                [str(self.path)], input=records, capture_output=True, timeout=timeout_s, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise DeviceError(f"the host program did not finish within {timeout_s:g} s") from error
        except OSError as error:
            raise DeviceError(f"{self.path} could not be run ({error.strerror or error})") from error
        if done.returncode != 0:
            text = done.stderr.decode("utf-8", "replace")
            lines = [line for line in text.splitlines() if "ERROR" in line or "runtime error" in line]
            word = (lines or [text[:200]])[0]
            raise DeviceError(f"the host program ended with code {done.returncode}: {word}")
        return done.stdout


def build_host(c_dir: Path, out_dir: Path, *, sanitize: bool = False) -> HostProgram:
    """Compile the C of `c_dir` with the host harness; with ASan and UBSan if asked (gcc or clang only)."""
    compiler = host_command()
    if compiler is None:
        raise ToolchainError("no C compiler for this computer was found", hint="Run `apt-get install gcc`.")
    if sanitize and "ziglang" in compiler:
        raise ToolchainError("zig brings no address sanitizer", hint="Run `apt-get install gcc`.")
    c_dir, out_dir = c_dir.resolve(), out_dir.resolve()
    sources = [*model_sources(c_dir), CSRC / "harness.c", CSRC / "port_host.c"]
    checks = SANITIZERS if sanitize else ()
    output = out_dir / ("host-sanitized" if sanitize else "host")
    command = [*compiler, "-O2", "-ffp-contract=off", *STRICT, *checks, "-I", str(c_dir), *map(str, sources)]
    run_compiler([*command, "-o", output.name], folder=out_dir, sources=c_dir)
    return HostProgram(output)
