"""Every family on every core against the reference in Python: how many windows, how many differences.

Half of the windows are real recordings where they are at hand (walks through a library; else
walks of dBm), half are any bytes. Every step of every window is compared, byte for byte, and a byte that
differs is an error at the end. `--data-dir` or `TINYLOC_DATA` says where recordings are.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from device import checkpoint, windows

from tinyloc.data.load import load_windows
from tinyloc.device.boards import find_board
from tinyloc.device.tiers import Tier, find_tier
from tinyloc.emit import emit
from tinyloc.errors import TinylocError, ToolchainError
from tinyloc.models import ensemble, forest
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.models.config import (
    Config,
    EnsembleConfig,
    ForestConfig,
    MambaConfig,
    MdcsaConfig,
    MlpConfig,
    StatnetConfig,
    TransformerConfig,
)
from tinyloc.quant.lower import lower
from tinyloc.quant.reference import Reference, answers

STEPS, POINTS, ROOMS = 20, 6, 9

FAMILIES: dict[str, Config] = {
    "mamba": MambaConfig(access_points=POINTS, rooms=ROOMS, hidden=8),
    "transformer": TransformerConfig(access_points=POINTS, rooms=ROOMS, steps=STEPS, hidden=8),
    "mdcsa": MdcsaConfig(access_points=POINTS, rooms=ROOMS, hidden=8, crf=True),
    "statnet": StatnetConfig(access_points=POINTS, rooms=ROOMS, hidden=16),
    "mlp": MlpConfig(access_points=POINTS, rooms=ROOMS, hidden=12),
    "forest": ForestConfig(POINTS, ROOMS, 10, 32),
    "ensemble": EnsembleConfig(
        POINTS,
        ROOMS,
        (
            MambaConfig(POINTS, ROOMS, 4),
            MdcsaConfig(POINTS, ROOMS, 4),
            StatnetConfig(POINTS, ROOMS, 8),
            ForestConfig(POINTS, ROOMS, 10, 16),
        ),
        ("minmax",) * 4,
    ),
}
CORES = ("cortex-m0", "cortex-m0+", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55")
MORE = ("rv32imc", "atmega328p")
"""Beside what was asked for; an AVR has room for some of the families only."""
BATCH = 2000
"""Windows in one power-up of the chip."""


def model(config: Config) -> Checkpoint:
    """Random weights, or random trees."""
    if isinstance(config, EnsembleConfig):
        members = [model(one) for one in config.members]
        return ensemble.joined(members, np.ones(len(members), np.float32), members[0].scaling, {})
    if isinstance(config, ForestConfig):
        like = checkpoint(MambaConfig(access_points=POINTS, rooms=ROOMS, hidden=4))
        return replace(like, config=config, weights=forest.full(config, STEPS, 0))
    return checkpoint(config)


def heard(count: int, data_dir: Path | None) -> tuple[np.ndarray, str]:
    """Windows [W, T, P] int8, half of them real, and in words which."""
    half = count // 2
    rng = np.random.default_rng(5)
    anything = rng.integers(-128, 128, (count - half, STEPS, POINTS), dtype=np.int8)
    real = recorded(half, data_dir)
    words = "walks of dBm" if real is None else "real recordings (walks:library)"
    radio = windows(2 * half, POINTS)[:half] if real is None else real
    return np.concatenate([radio, anything]), words


def recorded(count: int, data_dir: Path | None) -> np.ndarray | None:
    """Windows of 20 steps at every offset of the recordings' samples; None where there are none."""
    if data_dir is None or not data_dir.is_dir():
        return None
    sets = load_windows("walks:library", data_dir=data_dir)
    heard = [part.rssi[:, -1] for part in (sets.train, sets.validation, sets.test)]
    stream = np.concatenate(heard)[:, :POINTS]
    starts = np.arange(count) % (len(stream) - STEPS)
    return np.asarray(stream[starts[:, None] + np.arange(STEPS)])


def batches(rssi: np.ndarray) -> Iterator[tuple[np.ndarray, bytes]]:
    """Parts of the windows, and as records."""
    for start in range(0, len(rssi), BATCH):
        part = rssi[start : start + BATCH]
        flags = np.zeros((*part.shape[:2], 1), np.int8)
        flags[:, 0] = 1
        yield part, np.concatenate([flags, part], axis=2).tobytes()


def differences(tier: Tier, board_name: str, c_dir: Path, build: Path, fed: list[tuple[bytes, bytes]]) -> int:
    """Steps whose answer differs from the reference's."""
    board = find_board(board_name)
    firmware = tier.build(c_dir, board, build)
    wrong = 0
    for records, wanted in fed:
        found = tier.run(firmware, records, count_records=1, timeout_s=3600).answers
        size = firmware.answer_bytes
        if found != wanted:
            pairs = zip(range(0, len(wanted), size), range(0, len(found), size), strict=True)
            wrong += sum(wanted[a : a + size] != found[b : b + size] for a, b in pairs)
    return wrong


def main() -> None:
    """Run all of it, a line each; one difference is an error."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=10_000)
    parser.add_argument("--families", default=",".join(FAMILIES))
    parser.add_argument("--boards", default=",".join((*CORES, *MORE)))
    parser.add_argument("--tier", default="reference", choices=("pip", "reference"))
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("TINYLOC_DATA"))
    given = parser.parse_args()
    rssi, words = heard(given.windows, Path(given.data_dir) if given.data_dir else None)
    print(
        f"{len(rssi):,} windows of {STEPS} steps: half {words}, half any bytes; {given.tier} tier", flush=True
    )
    wrong = 0
    for family in given.families.split(","):
        graph = lower(model(FAMILIES[family]), windows(400, POINTS, seed=2)[:200])
        reference = Reference(graph)
        fed = [(records, answers(reference.run(part))) for part, records in batches(rssi)]
        with tempfile.TemporaryDirectory(prefix="tinyloc-bench-") as name:
            emit(graph, Path(name) / "c")
            for board in given.boards.split(","):
                began = time.monotonic()
                try:
                    tier = find_tier(given.tier, find_board(board).cpu)
                    found = differences(tier, board, Path(name) / "c", Path(name) / board, fed)
                except ToolchainError as error:
                    print(f"{family:12s}{board:12s}skipped: {error}", flush=True)
                    continue
                except TinylocError as error:
                    if board != "atmega328p":
                        raise
                    print(f"{family:12s}{board:12s}does not fit: {error.message[:110]}", flush=True)
                    continue
                wrong += found
                emulator = f"{tier.emulator.name} {tier.emulator.version}"
                core = find_board(board).cpu
                note = f", as {core.emulated_as}" if core.emulated_as else ""
                print(
                    f"{family:12s}{board:12s}{len(rssi):>8,} windows, {found} steps differ "
                    f"({emulator}{note}; {time.monotonic() - began:.0f} s)",
                    flush=True,
                )
    if wrong:
        raise SystemExit(4)


if __name__ == "__main__":
    main()
