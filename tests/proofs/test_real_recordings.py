"""The whole way on every real data set: `make test-slow`. Skipped where the recordings are not at hand."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

DATA = Path(os.environ.get("TINYLOC_DATA") or Path(__file__).resolve().parents[2].parent / "shared" / "data")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"the recordings are not at {DATA}; set TINYLOC_DATA"),
]

FLASH_BYTES, RAM_BYTES = 64 * 1024, 32 * 1024


def whole_way(name: str, out: Path, *more: str) -> dict:
    """`tinyloc run` on a real data set; its one line of JSON."""
    command = [
        sys.executable,
        "-m",
        "tinyloc",
        "run",
        "--data",
        name,
        "--data-dir",
        str(DATA),
        "--out",
        str(out),
    ]
    limits = ["--ram", "32K", "--flash", "64K", "--json"]
    done = subprocess.run([*command, *limits, *more], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["fits"]
    assert result["memory"]["flash_bytes"] <= FLASH_BYTES
    assert result["memory"]["ram_bytes"] <= RAM_BYTES
    assert result["device"]["identical_windows"] == result["device"]["windows"] == result["windows"]["test"]
    assert all(tier["identical_windows"] == tier["windows"] for tier in result["device"]["tiers"])
    assert result["f1_macro"]["device"] == result["f1_macro"]["integer"]
    assert (out / "index.html").stat().st_size > 10_000
    return result


@pytest.mark.parametrize(
    ("name", "rooms"), [("walks:library", 3), ("walks:canteen", 4), ("walks:carpark", 3), ("tracks", 6)]
)
def test_walks_and_tracks(name: str, rooms: int, tmp_path: Path) -> None:
    result = whole_way(name, tmp_path)
    assert len(result["data"]["rooms"]) == rooms
    # far above the commonest room alone; the figures themselves are in docs/LOG.md
    assert result["f1_macro"]["device"] > 0.6


def test_uji_with_520_access_points(tmp_path: Path) -> None:
    result = whole_way("uji", tmp_path)
    assert result["windows"]["test"] == 1111
    assert len(result["data"]["rooms"]) == 60
    assert result["f1_macro"]["device"] > result["baselines"]["forest_small"]["f1_macro"]


def test_flat_beats_the_forest_of_300_over_five_seeds(tmp_path: Path) -> None:
    result = whole_way("flat", tmp_path, "--seeds", "5")
    summary = result["seeds_summary"]
    assert summary["count"] == 5
    assert all(seed["identical_windows"] == seed["windows"] for seed in result["seeds"])
    assert summary["f1_macro"]["mean"] >= summary["forest300_f1_macro"]["mean"]
