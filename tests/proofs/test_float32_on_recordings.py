"""The float32 Mamba in C gives PyTorch's rooms on every test window of real recordings: `make test-slow`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("TINYLOC_DATA") or ROOT.parent / "shared" / "data")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"the recordings are not at {DATA}; set TINYLOC_DATA"),
]


@pytest.mark.parametrize("name", ["walks:library", "flat"])
def test_every_test_window(name: str) -> None:
    words = ["--data", name, "--data-dir", str(DATA), "--steps", "200", "--json"]
    command = [sys.executable, str(ROOT / "bench" / "float32.py"), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    floats = [row for row in json.loads(done.stdout) if row["form"] == "float32"]
    assert floats
    for row in floats:
        assert row["same"] == row["windows"] > 100
        assert row["flash_bytes"] + row["ram_bytes"] < 32 * 1024
