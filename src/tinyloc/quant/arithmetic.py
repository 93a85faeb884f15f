"""The integer arithmetic that the reference's operators share, on int64 arrays (docs/NUMERICS.md)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tinyloc.quant.tables import EXP2, RECIPROCAL, RSQRT

Ints = npt.NDArray[np.int64]
States = dict[str, Ints]


def clamp(value: Ints, least: int, most: int) -> Ints:
    """Held within least..most: `np.clip`, of which a quarter of a step's time would go into its checks."""
    return np.minimum(np.maximum(value, least), most)


def requantise(value: Ints, multiplier: Any, shift: Any) -> Ints:
    """(value * multiplier + 2^(shift - 1)) >> shift in 64 bits.

    value int32, multiplier 0..2^31-1, shift 1..62.
    """
    shift = np.asarray(shift, np.int64)
    half = np.int64(1) << (shift - 1)
    return np.asarray((value * np.asarray(multiplier, np.int64) + half) >> shift)


def decay_factor(dt: Ints, decay: Any, decay_shift: int) -> Ints:
    """2^-(dt * decay * 2^-decay_shift * 2^-16) in Q15, 0..32767: the exponential of the scan.

    dt and decay 0..32767.
    """
    return power(np.minimum((dt * np.asarray(decay, np.int64)) >> decay_shift, 0xFFFFF))


def inverse_root(total: Ints) -> tuple[Ints, Ints]:
    """(r, e) with 1/sqrt(total) = r * 2^-15 * 2^-e; total 16..2^60, r 16384..32768 (Q15)."""
    length = np.frexp(total.astype(np.float64))[1].astype(np.int64) - 1
    # float64 may round up to the next power of two: settle it in integers
    length -= (np.int64(1) << np.maximum(length, 0)) > total
    half = length >> 1
    power = half << 1
    mantissa = np.where(power <= 30, total << np.maximum(30 - power, 0), total >> np.maximum(power - 30, 0))
    index, rest = (mantissa >> 24) - 64, (mantissa >> 8) & 0xFFFF
    table = RSQRT.astype(np.int64)
    return table[index] - (((table[index] - table[index + 1]) * rest + 32768) >> 16), half


def power(exponent: Ints) -> Ints:
    """2^-(exponent * 2^-16) in Q15, 0..32767, for an exponent 0..2^20 - 1."""
    whole, index, rest = exponent >> 16, (exponent >> 10) & 63, exponent & 1023
    entry = EXP2.astype(np.int64)[index]
    return np.asarray((entry - 64 * (entry & 0xFFFF) * rest) >> (16 + whole))


def reciprocal(total: Ints) -> tuple[Ints, Ints]:
    """(r, e) with 1/total = r * 2^-15 * 2^-e; total 2^14..2^30, r 16384..32768 (Q15)."""
    e = np.frexp(total.astype(np.float64))[1].astype(np.int64) - 1
    mantissa = np.where(e <= 16, total << np.maximum(16 - e, 0), total >> np.maximum(e - 16, 0))
    index, rest = (mantissa >> 10) - 64, mantissa & 1023
    table = RECIPROCAL.astype(np.int64)
    return table[index] - (((table[index] - table[index + 1]) * rest + 512) >> 10), e


def integer_root(value: Ints) -> Ints:
    """The largest integer whose square is at most `value` (0..2^52)."""
    root = np.sqrt(value.astype(np.float64)).astype(np.int64)
    root -= root * root > value
    root += (root + 1) * (root + 1) <= value
    return np.asarray(root)
