"""The tables behind every nonlinearity, made in one place from exact arithmetic.

`EXP2` and `RSQRT` are the same for all models and are computed with integers and decimals only, so every
machine makes the same bytes. Curve tables depend on a model's scales and are stored with the model.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, localcontext
from itertools import pairwise
from math import isqrt

import numpy as np
import numpy.typing as npt

from tinyloc.errors import QuantisationError


def _exp2() -> npt.NDArray[np.uint32]:
    with localcontext() as context:
        context.prec = 40
        values = [round(Decimal(32768) * Decimal(2) ** (Decimal(-i) / 64)) for i in range(65)]
    values[0] = 32767  # keeps a decay within int16; 3e-5 from the truth
    entries = [value << 16 | value - after for value, after in pairwise(values)]
    return np.array(entries, np.uint32)


def _rsqrt() -> npt.NDArray[np.uint16]:
    # 32768 / sqrt(1 + i/64) = 8 * 32768 / sqrt(64 + i), rounded: isqrt of the square in fixed point
    values = [(isqrt((8 * 32768) ** 2 * 2**40 // (64 + i)) + 2**19) >> 20 for i in range(193)]
    return np.array(values, np.uint16)


def _reciprocal() -> npt.NDArray[np.uint16]:
    # 32768 / (1 + i/64), rounded
    return np.array([(2 * 32768 * 64 + 64 + i) // (2 * (64 + i)) for i in range(65)], np.uint16)


EXP2 = _exp2()
"""[64] uint32: 2^(-i/64) in Q15, i = 0..63, in the upper half; its fall to the next in the lower."""
RSQRT = _rsqrt()
"""[193] uint16: 1/sqrt(1 + i/64) in Q15, i = 0..192."""

RECIPROCAL = _reciprocal()
"""[65] uint16: 1/(1 + i/64) in Q15, i = 0..64."""

Float = npt.NDArray[np.float64]


def silu(x: Float) -> Float:
    """x * sigmoid(x)."""
    return np.asarray(x / (1.0 + np.exp(-np.clip(x, -60.0, 60.0))))


def softplus(x: Float) -> Float:
    """log(1 + e^x)."""
    return np.asarray(np.logaddexp(0.0, x))


def sigmoid(x: Float) -> Float:
    """1 / (1 + e^-x)."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(x, -60.0, 60.0))))


def relu(x: Float) -> Float:
    """max(x, 0)."""
    return np.maximum(x, 0.0)


def elu(x: Float) -> Float:
    """x above 0, e^x - 1 below (arXiv 1511.07289)."""
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0.0)))


def tanh(x: Float) -> Float:
    """The hyperbolic tangent."""
    return np.asarray(np.tanh(x))


CURVES: dict[str, Callable[[Float], Float]] = {
    "silu": silu,
    "softplus": softplus,
    "sigmoid": sigmoid,
    "relu": relu,
    "elu": elu,
    "tanh": tanh,
}


def curve(kind: str) -> Callable[[Float], Float]:
    """The real function behind a curve's name. Raises QuantisationError for an unknown one."""
    if kind not in CURVES:
        raise QuantisationError(f"there is no curve named {kind!r}; known are {', '.join(sorted(CURVES))}")
    return CURVES[kind]


def curve_table(kind: str, x_scale: float, y_scale: float, limit: int) -> npt.NDArray[np.int16]:
    """[257] int16: the curve at x = (i - 128) * 256 * x_scale, in units of y_scale, within ±limit."""
    x = np.asarray((np.arange(257) - 128) * 256 * x_scale, np.float64)
    return np.clip(np.rint(curve(kind)(x) / y_scale), -limit, limit).astype(np.int16)


def lookup_table(kind: str, x_scale: float, y_scale: float, limit: int) -> npt.NDArray[np.int8]:
    """[256] int8: the curve at every int8 x, in units of y_scale, within ±limit."""
    x = np.asarray((np.arange(256) - 128) * x_scale, np.float64)
    return np.clip(np.rint(curve(kind)(x) / y_scale), -limit, limit).astype(np.int8)
