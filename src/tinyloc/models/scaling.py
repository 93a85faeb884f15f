"""dBm -> what the model sees: one table of 256 numbers, then an offset and a gain per access point.

Every kind has the same form, so that the device needs no division and no branch:

    u    = table[dBm + 128]               entry 0 is "not heard" (int8 -128)
    x[p] = (u - offset[p]) * gain[p]      folded into the first layer when the model is lowered

An access point that was never heard in training has gain 0: whatever it says later is ignored, since no
weight was ever learned for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from tinyloc.data.windows import Windows
from tinyloc.errors import UsageError
from tinyloc.models.running import running_statistics

Kind = Literal["minmax", "zscore", "power"]

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

NOT_HEARD: Final = -128
"""The int8 that stands for "not heard" in `Windows.rssi`."""

PAPER_FILL_DBM: Final = -120
"""What "not heard" becomes under min-max (arXiv 2412.09289, section on the data)."""

POWER_FLOOR_DBM: Final = -104
"""Where the power law reaches 0: the weakest value a Wi-Fi receiver of the time reported."""

POWER_EXPONENT: Final = float(np.e)
"""The exponent of the power law (Torres-Sospedra et al., Expert Systems with Applications 2015)."""

FILL_BELOW_WEAKEST_DB: Final = 3
"""Under z-score, "not heard" stands this far below the weakest signal of the training set."""

SMALLEST_SPREAD_DB: Final = 1.0
"""A spread below this is taken for this: rounding to whole dBm alone spreads a signal by 0.3 dB."""


@dataclass(frozen=True, eq=False)
class InputScaling:
    """A fitted scaling.

    `kind`: "minmax", "zscore" or "power". `table` [256] float32: dBm + 128 -> u (in dBm for the first two
    kinds, where every entry is a whole number; in 0..1 for "power"). `offset` [P] and `gain` [P] float32, in
    the unit of u and its inverse; [3 P] for a model that reads running statistics (`running.py`).
    """

    kind: Kind
    table: npt.NDArray[np.float32]
    offset: npt.NDArray[np.float32]
    gain: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError(f"input scaling {self.kind!r} is none of {', '.join(KINDS)}")
        if self.table.shape != (256,) or self.offset.ndim != 1 or self.offset.shape != self.gain.shape:
            raise UsageError("input scaling needs a table of 256 and as many offsets as gains")
        if not all(np.isfinite(a).all() for a in (self.table, self.offset, self.gain)):
            raise UsageError("input scaling holds a value that is not finite")

    @property
    def columns(self) -> int:
        """How many numbers of a step it was fitted on: P, or 3 P with running statistics."""
        return len(self.offset)

    @property
    def ignored(self) -> npt.NDArray[np.bool_]:
        """[P] True where the access point was never heard in training (gain 0)."""
        return np.equal(self.gain, 0)

    @classmethod
    def fit(cls, kind: Kind, windows: Windows, *, statistics: bool = False) -> InputScaling:
        """Fit a scaling on training windows, and on nothing else.

        minmax: all access points share one line from the fill (-120 dBm -> 0) to the strongest heard (-> 1).
        zscore: each access point by its own mean and standard deviation, "not heard" counted as 3 dB below
        the weakest signal of the set, so that a rarely heard one is not spread by a made-up -120.
        power: ((dBm + 104) / 104)^e, 0 for not heard: strong signals, which are near and sure, weigh most.
        `statistics`: of the 3 P columns of `running_statistics`, for a model that reads those.
        """
        read = running_statistics(windows.rssi) if statistics else windows.rssi
        rssi = read.reshape(-1, read.shape[-1])
        heard_values = rssi[rssi != NOT_HEARD]
        heard = (rssi != NOT_HEARD).any(axis=0)
        weakest = int(heard_values.min(initial=0))
        strongest = int(heard_values.max(initial=-127))
        points = rssi.shape[1]
        offset = np.zeros(points)
        gain = np.ones(points)
        if kind == "minmax":
            fill = min(PAPER_FILL_DBM, weakest)
            table = _dbm_table(fill)
            offset[:] = fill
            gain[:] = 1.0 / max(strongest - fill, 1)
        elif kind == "zscore":
            table = _dbm_table(max(weakest - FILL_BELOW_WEAKEST_DB, NOT_HEARD + 1))
            u = table[rssi.astype(np.int16) + 128].astype(np.float64)
            offset = u.mean(axis=0) if len(u) else offset
            gain = 1.0 / np.maximum(u.std(axis=0), SMALLEST_SPREAD_DB) if len(u) else gain
        elif kind == "power":
            dbm = np.arange(-128, 128, dtype=np.float64)
            share = np.clip((dbm - POWER_FLOOR_DBM) / -POWER_FLOOR_DBM, 0, None)
            table = (share**POWER_EXPONENT).astype(np.float32)
            table[0] = 0
        else:
            raise UsageError(f"input scaling {kind!r} is none of {', '.join(KINDS)}")
        gain[~heard] = 0
        return cls(kind, table, offset.astype(np.float32), gain.astype(np.float32))

    def apply(self, rssi: npt.NDArray[np.int8]) -> npt.NDArray[np.float32]:
        """`rssi` [..., P], or [..., 3 P], int8 dBm, -128 = not heard -> x [..., P] float32, no unit."""
        if rssi.dtype != np.int8 or rssi.shape[-1:] != self.offset.shape:
            raise UsageError(
                f"input scaling was fitted on int8 samples of {self.columns} access points or columns, "
                f"not {rssi.dtype} of shape {rssi.shape}"
            )
        u = self.table[rssi.astype(np.int16) + 128]
        return np.asarray((u - self.offset) * self.gain, dtype=np.float32)


def heard_fraction(windows: Windows) -> float:
    """Share of samples heard, 0..1, over the access points that are heard at all: 1 when there are none."""
    rssi = windows.rssi.reshape(-1, windows.rssi.shape[-1])
    heard = rssi != NOT_HEARD
    used = heard.any(axis=0)
    return float(heard[:, used].mean()) if used.any() and len(rssi) else 1.0


def _dbm_table(fill_dbm: int) -> npt.NDArray[np.float32]:
    """[256] the dBm itself, and `fill_dbm` for not heard."""
    table = np.arange(-128, 128).astype(np.float32)
    table[0] = fill_dbm
    return table
