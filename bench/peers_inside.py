"""For the scripts that run with a peer's packages: the trained model, its windows, and what came of them.

The folder of argument 1 holds `model.safetensors`, `calibrate.npy` and `test.npy` [W, T, P] float32, scaled;
the answer is `rows.json`: for each variant the tool, the labels of the test windows, the file's bytes, a
note.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tinyloc.models import families
from tinyloc.models.checkpoint import Checkpoint

FOLDER = Path(sys.argv[1])
CALIBRATE: np.ndarray = np.load(FOLDER / "calibrate.npy")
TEST: np.ndarray = np.load(FOLDER / "test.npy")
Labels = np.ndarray[Any, Any]


def network() -> torch.nn.Module:
    """The trained model, [B, T, P] -> [B, 1, K] logits."""
    checkpoint = Checkpoint.load(FOLDER / "model.safetensors")
    return families.from_weights(checkpoint.config, checkpoint.weights).eval()


def labels_of(logits: list[Any]) -> Labels:
    """Labels [W] of logits, one array of K numbers for each window."""
    return np.array([np.asarray(row).reshape(-1).argmax() for row in logits])


class Said:
    """The rows of one peer. A variant that fails is a row with the reason, and the next one goes on."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def add(self, tool: str, measure: Callable[[], tuple[Path | None, Labels | None, str]]) -> None:
        """`measure` -> the peer's file, its labels, a note."""
        row: dict[str, Any] = {"tool": tool, "file": None, "labels": None, "note": ""}
        try:
            file, labels, row["note"] = measure()
            row["file"] = None if file is None else file.stat().st_size
            row["labels"] = None if labels is None else [int(label) for label in labels]
        except Exception as error:  # whatever a peer raises
            row["note"] = f"failed: {type(error).__name__}: {cause(error)}"
        self.rows.append(row)

    def write(self) -> None:
        """For bench/peers.py."""
        (FOLDER / "rows.json").write_text(json.dumps(self.rows))


def cause(error: BaseException) -> str:
    """What an error says in a line, and what the error behind it says."""
    said = []
    for one in (error, error.__cause__):
        lines = [line.strip() for line in str(one or "").splitlines() if line.strip()]
        said += lines[:1]
    return ": ".join(said or ["no word"])[:300]
