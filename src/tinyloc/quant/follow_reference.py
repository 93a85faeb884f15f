"""The reference's follower of drifting receivers: tensors are int64 arrays [W, size], one row a wearer."""

from __future__ import annotations

import numpy as np

from tinyloc.models.scaling import NOT_HEARD
from tinyloc.quant.answer_operators import UNKNOWN
from tinyloc.quant.arithmetic import Ints, States, clamp
from tinyloc.quant.follow_operators import MOST_OFF, UNITS, Follow


class FollowOperators:
    """One method for each operator, as in `Reference`, which inherits them."""

    def _follow(self, op: Follow, values: dict[str, Ints], states: States) -> Ints:
        x = values[op.x]
        off = (states[f"{op.name}_offset"] + UNITS // 2) >> 8
        return np.where(x == NOT_HEARD, NOT_HEARD, clamp(x + off, -127, 127))

    def learn_offsets(self, op: Follow, values: dict[str, Ints], room: Ints, states: States) -> None:
        """What the answers `room` [W] say of the access points of the newest sample; nothing where it is
        unknown.
        """
        name, mean = f"{op.name}_offset", op.means.astype(np.int64)[room]
        known = (values[op.x] != NOT_HEARD) & (mean != NOT_HEARD)
        if UNKNOWN in values:
            known &= values[UNKNOWN] == 0
        moved = states[name] + op.rate * np.where(known, mean - values[op.y], 0)
        states[name] = clamp(moved, -MOST_OFF, MOST_OFF)
