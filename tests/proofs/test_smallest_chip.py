"""Mamba H8L1 on an ATmega328P: 2 KB of RAM, 32 KB of flash, 16 MHz, five samples a second."""

import subprocess
import sys
from pathlib import Path

import pytest

from tinyloc.device.boards import find_board
from tinyloc.device.tiers import find_tier
from tinyloc.errors import ToolchainError

BENCH = Path(__file__).resolve().parents[2] / "bench"


@pytest.mark.slow
@pytest.mark.parametrize(("script", "more"), [("avr.py", []), ("everywhere.py", ["--windows", "200"])])
def test_the_bench_finds_no_difference(script: str, more: list[str]) -> None:
    """`bench/avr.py` ends with an error unless all of the bar is met, `bench/everywhere.py` for one byte."""
    try:
        find_tier("reference", find_board("atmega328p" if script == "avr.py" else "cortex-m4").cpu)
    except ToolchainError as error:
        pytest.skip(str(error))
    command = [sys.executable, str(BENCH / script), *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
