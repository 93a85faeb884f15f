"""Weights of 4 bits: which operators have them, and where each row is clipped.

Two such weights lie in a byte of flash. A row of weights -7..7 with the largest weight at 7 rounds most of
the others to 0 or 1; clipping the few large ones makes the steps finer for all. Where to clip is searched row
by row (as in OMSE, arXiv 1902.06822), with each weight's error counted by what its input makes of it: the
squared error of the row's output on the calibration windows, inputs taken as uncorrelated.
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np

from tinyloc.quant.float_graph import Float, FloatEmbed, FloatGraph, FloatLinear, inputs_of

WeightBits = Literal[8, 4]
LARGEST: Final = {8: 127, 4: 7}
"""The largest weight by its bits."""
LEAST_PACKED: Final = 1024
"""Weights of an operator from which it is packed: it saves 512 bytes, the code that unpacks takes 270 of
them (430 with int8 activations)."""
CLIPS: Final = np.linspace(0.3, 1.0, 15)
"""Parts of a row's largest weight that are tried."""


def packed_operators(floats: FloatGraph) -> frozenset[str]:
    """Names of the operators that have 4-bit weights where 4 bits are asked for.

    FloatLinear and FloatEmbed with at least 1,024 weights, but for those that no other stands behind: the
    last, and of an ensemble each member's last, which make the scores. What they round nothing behind them
    can mend, and there 4 bits cost most (docs/LOG.md).
    """
    found: set[str] = set()
    read: set[str] = set()  # what a matrix reads, itself or through others
    for operator in reversed(floats.operators):
        behind = operator.y in read
        if isinstance(operator, (FloatLinear, FloatEmbed)):
            if behind and operator.weight.size >= LEAST_PACKED:
                found.add(operator.name)
            behind = True
        if behind:
            read.update(inputs_of(operator).values())
    return frozenset(found)


def clipped_scale(weight: Float, importance: Float, largest: int) -> Float:
    """[out] what one unit of each row -largest..largest is worth, with the least error of the 15 tried.

    weight [out, in]; importance [in]: what a squared error of a weight on that input counts, never negative.
    """
    reach = np.maximum(np.abs(weight).max(axis=1), 1e-9)
    best, least = reach / largest, np.full(len(weight), np.inf)
    for clip in CLIPS[::-1]:
        scale = clip * reach / largest
        rounded = np.clip(np.rint(weight / scale[:, None]), -largest, largest) * scale[:, None]
        error = np.square(weight - rounded) @ importance
        better = error < least
        best, least = np.where(better, scale, best), np.where(better, error, least)
    return np.asarray(best)
