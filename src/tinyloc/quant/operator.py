"""What operators are made of: tensors, states, the base class, and the checks that all of them share.

All tensors are symmetric (zero point 0): value = scale * integer, |integer| <= limit. Only the radio's own
sample, int8 dBm with -128 for "not heard", uses -128.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from tinyloc.errors import QuantisationError

if TYPE_CHECKING:
    from tinyloc.quant.graph import Graph

INT16_MAX = 2**15 - 1
INT32_MAX = 2**31 - 1
SAMPLE = "sample"
"""Name of the tensor that holds the radio's sample."""
MOTION = "acceleration"
"""Name of the tensor that holds the accelerometer's part of the sample, in a graph that reads one."""


@dataclass(frozen=True)
class Tensor:
    """A vector of `size` integers that lives during one step, or `rows` of them over a window.

    `bits` 8 or 16: how it is stored. `limit`: the largest magnitude it may hold (127, 32767, or less where an
    accumulator behind it needs headroom). `scale`: what one unit is worth. The zero point is 0.
    """

    name: str
    size: int
    bits: int
    limit: int
    scale: float
    rows: int = 1
    zero_point: ClassVar[int] = 0

    @property
    def bytes(self) -> int:
        """Bytes of RAM."""
        return self.rows * self.size * self.bits // 8

    @property
    def magnitude(self) -> int:
        """Largest magnitude for overflow proofs: the sample and what a table makes of it may reach 128."""
        return 128 if self.bits == 8 else self.limit


@dataclass(frozen=True)
class State:
    """What an operator keeps from step to step: `size` integers of `bits`, zero after a reset."""

    name: str
    size: int
    bits: int

    @property
    def bytes(self) -> int:
        """Bytes of RAM."""
        return self.size * self.bits // 8


@dataclass(frozen=True)
class Operator:
    """Base of all operators. `name` is unique and a valid C identifier."""

    name: str
    overwrites: ClassVar[tuple[str, ...]] = ()
    """The fields that name inputs over which the output may be written, element by element."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the tensors that are read."""
        raise TypeError(f"{type(self).__name__} does not name its inputs")

    @property
    def output(self) -> str:
        """Name of the tensor that is written."""
        raise TypeError(f"{type(self).__name__} does not name its output")

    def state(self, graph: Graph) -> State | None:
        """The state it keeps, if any."""
        return None

    def states(self, graph: Graph) -> tuple[State, ...]:
        """All states it keeps, where that is more than one."""
        kept = self.state(graph)
        return () if kept is None else (kept,)

    def scratch(self, graph: Graph) -> int:
        """Bytes of working memory that it needs while it runs, beside its tensors."""
        return 0

    def check(self, graph: Graph) -> None:
        """Raise QuantisationError unless shapes fit and no accumulator can overflow."""
        raise TypeError(f"{type(self).__name__} does not check itself")


def require(operator: Operator, condition: bool, message: str) -> None:
    """Raise QuantisationError, naming the operator, unless `condition`."""
    if not condition:
        raise QuantisationError(f"operator {operator.name!r} ({type(operator).__name__}) {message}")


def array_is(operator: Operator, label: str, value: object, dtype: type, shape: tuple[int, ...]) -> None:
    """Require an array of exactly that type and shape."""
    good = isinstance(value, np.ndarray) and value.dtype == dtype and value.shape == shape
    require(operator, good, f"needs {label} of shape {shape} and type {np.dtype(dtype).name}")


def factor_is(operator: Operator, multiplier: int, shift: int) -> None:
    """Require what requantise takes: multiplier 0..2^31-1, shift 1..62."""
    require(operator, 0 <= multiplier <= INT32_MAX and 1 <= shift <= 62, "has a factor out of range")


def requantisation_is(
    operator: Operator,
    bias: npt.NDArray[np.int32],
    multiplier: npt.NDArray[np.int32],
    shift: int,
    size: int,
) -> None:
    """Require a bias and a multiplier for each of `size` rows, and a shift for all."""
    array_is(operator, "bias", bias, np.int32, (size,))
    array_is(operator, "multiplier", multiplier, np.int32, (size,))
    require(operator, bool(np.all(multiplier >= 0)), "has a negative multiplier")
    require(operator, 1 <= shift <= 62, "has a shift outside 1..62")


def weights_fit(operator: Operator, weight: npt.NDArray[np.int8], bits: int) -> None:
    """Require weights of 8 bits, or of 4: -7..7."""
    require(operator, bits in (8, 4), f"has weights of {bits} bits, expected 8 or 4")
    fits = bits == 8 or int(np.abs(weight.astype(np.int64)).max(initial=0)) <= 7
    require(operator, fits, "has weights beyond the 7 that 4 bits hold")


def lift_of(shift: int) -> int:
    """Bits by which the device shifts a sum up before requantising, so that `shift` becomes 33 or more."""
    return max(0, 33 - shift)


def accumulator_fits(
    operator: Operator, worst: npt.NDArray[np.int64], bias: npt.NDArray[np.int32], shift: int
) -> None:
    """The proof: the largest sum that these very weights can reach, for any input, stays within int32, also
    when it is shifted up by `lift_of(shift)` bits.
    """
    largest = int((worst + np.abs(bias.astype(np.int64))).max())
    require(operator, largest <= INT32_MAX, f"could reach {largest} in a 32-bit accumulator")
    lifted = largest << lift_of(shift)
    require(operator, lifted <= INT32_MAX, f"could reach {lifted} in a 32-bit accumulator, once shifted up")
