"""The fixed positions of Vaswani et al., arXiv 1706.03762, section 3.5: computed, never stored. No torch."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def positions(steps: int, width: int) -> npt.NDArray[np.float32]:
    """[T, H] float32: column 2 i is sin(t / 10000^(2 i / H)), column 2 i + 1 the cosine of the same."""
    column = np.arange(width)
    rate = 10000.0 ** (-(column - column % 2) / width)
    angle = np.arange(steps)[:, None] * rate
    return np.where(column % 2, np.cos(angle), np.sin(angle)).astype(np.float32)
