"""How good answers are: what training chooses by."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def macro_f1(truth: npt.NDArray[np.integer], answers: npt.NDArray[np.integer]) -> float:
    """Mean F1 over the rooms that are present in `truth` [W], 0..1; 0 for no windows."""
    rooms = np.unique(truth)
    scores = []
    for room in rooms:
        hits = int(((truth == room) & (answers == room)).sum())
        scores.append(2 * hits / int((truth == room).sum() + (answers == room).sum()))
    return float(np.mean(scores)) if scores else 0.0


def cross_entropy(logits: npt.NDArray[np.float32], truth: npt.NDArray[np.integer]) -> float:
    """Mean negative log-likelihood in nats of `truth` [W] under `logits` [W, K]."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    likelihood = shifted[np.arange(len(truth)), truth] - np.log(np.exp(shifted).sum(axis=1))
    return float(-likelihood.mean())
