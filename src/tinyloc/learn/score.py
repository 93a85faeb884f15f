"""How good answers are: what training chooses by."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tinyloc.metrics import macro_f1

__all__ = ["cross_entropy", "macro_f1"]


def cross_entropy(logits: npt.NDArray[np.float32], truth: npt.NDArray[np.integer]) -> float:
    """Mean negative log-likelihood in nats of `truth` [W] under `logits` [W, K]."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    likelihood = shifted[np.arange(len(truth)), truth] - np.log(np.exp(shifted).sum(axis=1))
    return float(-likelihood.mean())
