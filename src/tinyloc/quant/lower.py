"""Float graph + ranges -> integer graph, operator by operator, with the absence of overflow proved.

Precision "int16" (the default) stores every activation in 16 bits. "int8" stores in 8 bits those that feed
the large matrices (norm, convolution, its gate and what they make); the residual stream, the step size, B, C
and the scan keep 16, because a decay that is rounded to 8 bits forgets within a window.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import singledispatch
from typing import Literal

import numpy as np
import numpy.typing as npt

from tinyloc.errors import QuantisationError
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.quant import ensemble, mamba, window_families
from tinyloc.quant.calibrate import Ranges, best_clip, calibrate
from tinyloc.quant.float_graph import (
    Float,
    FloatAdd,
    FloatCurve,
    FloatDepthwiseConv,
    FloatEmbed,
    FloatGraph,
    FloatLinear,
    FloatMultiply,
    FloatOperator,
    FloatRmsNorm,
    FloatScan,
)
from tinyloc.quant.float_window import (
    FloatAttention,
    FloatCollect,
    FloatInterleave,
    FloatLastRow,
    FloatPosition,
    FloatViterbi,
)
from tinyloc.quant.graph import (
    INT32_MAX,
    MOTION,
    SAMPLE,
    Graph,
    Operator,
    Tensor,
    motion_tensor,
)
from tinyloc.quant.packing import LARGEST, WeightBits, clipped_scale, packed_operators

Precision = Literal["int16", "int8"]
MARGIN = 1.1
"""How far beyond the largest calibrated value an int16 range reaches; 16 bits have the room."""
WIDEST = 64
"""The widest sample whose dBm are stored in 16 bits."""
LOG2_E = math.log2(math.e)
Quantised = tuple[npt.NDArray[np.int8], npt.NDArray[np.int32], npt.NDArray[np.int32], int]
"""Weights, bias, multiplier, shift."""


def float_graph_of(checkpoint: Checkpoint) -> FloatGraph:
    """The float graph of a checkpoint of any family. Raises QuantisationError where there is none."""
    families: dict[str, Callable[[Checkpoint], FloatGraph]] = {
        "ensemble": lambda several: ensemble.float_graph(several, float_graph_of),
        "mamba": mamba.float_graph,
        "mdcsa": window_families.mdcsa,
        "transformer": window_families.transformer,
        "statnet": window_families.statnet,
        "mlp": window_families.mlp,
        "forest": window_families.forest,
    }
    if checkpoint.family not in families:
        raise QuantisationError(f"no integer form is known of the family {checkpoint.family!r}")
    return families[checkpoint.family](checkpoint)


def lower(
    checkpoint: Checkpoint,
    rssi: npt.NDArray[np.int8],
    precision: Precision = "int16",
    weight_bits: WeightBits = 8,
) -> Graph:
    """Quantise a trained model; `rssi` are calibration windows of the training set.

    They are samples as the device takes them, int8 [W, T, P]; with an accelerometer [W, T, P + 3]
    (`replay.samples_of`). With `weight_bits` 4 the larger matrices have weights of 4 bits
    (`packing.packed_operators`).

    Raises QuantisationError where a range, a shape or an accumulator does not allow it.
    """
    from tinyloc.quant import lower_step, lower_window  # noqa: F401  (they register the operators)

    floats = float_graph_of(checkpoint)
    return Lowering(floats, calibrate(floats, rssi), precision, weight_bits).graph(checkpoint)


def factor(value: float, operator: str) -> tuple[int, int]:
    """A real factor >= 0 as (multiplier in [2^30, 2^31), shift): multiplier * 2^-shift."""
    if not math.isfinite(value) or value < 0:
        raise QuantisationError(f"operator {operator!r} needs a factor of {value}")
    if value == 0:
        return 0, 1
    fraction, exponent = math.frexp(value)
    multiplier, shift = round(fraction * 2**31), 31 - exponent
    if multiplier == 2**31:
        multiplier, shift = 2**30, shift - 1
    if shift > 62:
        multiplier, shift = multiplier >> min(shift - 62, 31), 62
    if shift < 1:
        raise QuantisationError(f"operator {operator!r} needs a factor of {value:g}, which is beyond 2^30")
    return multiplier, shift


def factors(values: Float, operator: str) -> tuple[npt.NDArray[np.int32], int]:
    """Real factors >= 0 as multipliers [n] int32 over one shift; the largest has 31 bits."""
    _, shift = factor(float(values.max()), operator)
    return np.rint(np.ldexp(values, shift)).clip(0, INT32_MAX).astype(np.int32), shift


class Lowering:
    """The state of one lowering: tensors so far, ranges, precision, and who has weights of 4 bits."""

    def __init__(
        self, floats: FloatGraph, ranges: Ranges, precision: Precision, weight_bits: WeightBits = 8
    ) -> None:
        self.floats, self.ranges, self.precision = floats, ranges, precision
        self.packed = packed_operators(floats) if weight_bits == 4 else frozenset[str]()
        self.tensors: dict[str, Tensor] = {}
        self.narrow = self._narrow() if precision == "int8" else set[str]()
        self.limits = self._limits()
        self.together = self._together()

    def _limits(self) -> dict[str, int]:
        """Tensors that give up bits so that a sum of their products fits 32: c of the scan, q and k."""
        limits: dict[str, int] = {}
        for operator in self.floats.operators:
            if isinstance(operator, FloatScan):
                limits[operator.c] = min(32767, INT32_MAX // (32768 * operator.A.shape[1]))
            elif isinstance(operator, FloatAttention):
                width = self.ranges.mean[operator.q].size // operator.heads
                for name in (operator.q, operator.k):
                    limits[name] = min(limits.get(name, 32767), 32767, math.isqrt(INT32_MAX // width))
        for group in self._groups():
            least = min((limits[name] for name in group if name in limits), default=None)
            if least is not None:
                limits |= dict.fromkeys(group, least)
        return limits

    def _groups(self) -> list[tuple[str, ...]]:
        """Tensors that need one scale: an operator hands them on as they are, or curves share a table."""
        groups: list[set[str]] = []

        def join(names: set[str]) -> None:
            for group in [group for group in groups if group & names]:
                names |= group
                groups.remove(group)
            groups.append(names)

        for kind in ("x", "y"):
            for curves in self._curves().values():
                join({getattr(curve, kind) for curve in curves})
        for operator in self.floats.operators:
            if isinstance(operator, (FloatCollect, FloatPosition, FloatLastRow, FloatViterbi, FloatCurve)):
                if isinstance(operator, FloatCurve) and not self.is_plain_relu(operator):
                    continue
                names = {operator.x, operator.y}
            elif isinstance(operator, FloatInterleave):
                names = {operator.a, operator.b, operator.c, operator.y}
            else:
                continue
            join(names)
        return [tuple(sorted(group)) for group in groups]

    def _curves(self) -> dict[str, list[FloatCurve]]:
        """Curves of 16 bits by kind, where there are several: the device has one table for all of a kind."""
        kinds: dict[str, list[FloatCurve]] = {}
        for operator in self.floats.operators:
            if isinstance(operator, FloatCurve) and not self.narrow & {operator.x, operator.y}:
                kinds.setdefault(operator.kind, []).append(operator)
        return {kind: curves for kind, curves in kinds.items() if len(curves) > 1 and kind != "relu"}

    def is_plain_relu(self, operator: FloatCurve) -> bool:
        """Whether it needs no table: a ReLU on 16 bits."""
        return operator.kind == "relu" and not self.narrow & {operator.x, operator.y}

    def _together(self) -> dict[str, float]:
        """name -> the largest magnitude in its group; a CRF's transitions count to their scores."""
        reach: dict[str, float] = {}
        for group in self._groups():
            largest = max(self.ranges.largest[name] for name in group)
            for operator in self.floats.operators:
                if isinstance(operator, FloatViterbi) and operator.x in group:
                    parts = (operator.transitions, operator.start, operator.end)
                    largest = max(largest, *(float(np.abs(part).max()) for part in parts))
            reach |= dict.fromkeys(group, largest)
        return reach

    def graph(self, checkpoint: Checkpoint) -> Graph:
        """Lower all operators and check the whole."""
        points = len(checkpoint.access_points)
        self.tensors[SAMPLE] = Tensor(SAMPLE, points, 8, 127, 1.0)
        if self.floats.motion:
            self.tensors[MOTION] = motion_tensor()
        operators = tuple(lower_operator(operator, self) for operator in self.floats.operators)
        config = checkpoint.config
        return Graph(
            family=checkpoint.family,
            size=config.name,
            access_points=checkpoint.access_points,
            rooms=checkpoint.rooms,
            window_steps=checkpoint.window_steps,
            seconds_per_step=checkpoint.seconds_per_step,
            state=checkpoint.state,
            tensors=tuple(self.tensors.values()),
            operators=operators,
            output=self.floats.output,
        ).check()

    def _narrow(self) -> set[str]:
        """Tensors that the int8 precision stores in 8 bits: see the head of this file."""
        names: set[str] = set()
        adds = [op for op in self.floats.operators if isinstance(op, FloatAdd)]
        added = {name for op in adds for name in (op.a, op.b)}  # a sum keeps its 16 bits
        for operator in self.floats.operators:
            if isinstance(operator, FloatDepthwiseConv):
                names |= {operator.x, operator.y}
            elif isinstance(operator, FloatRmsNorm):
                names.add(operator.y)
            elif isinstance(operator, FloatScan):
                names.add(operator.x)
            elif isinstance(operator, FloatMultiply) and operator.y not in added:
                names |= {operator.b, operator.y}
        curves = [op for op in self.floats.operators if isinstance(op, FloatCurve)]
        return names | {op.x for op in curves if op.y in names}

    def tensor(self, name: str, size: int, scale: float | None = None, rows: int = 1) -> Tensor:
        """Make the tensor `name`; its scale follows from its calibrated range unless given."""
        bits = 8 if name in self.narrow else 16
        limit = min(127 if bits == 8 else 32767, self.limits.get(name, 32767))
        if scale is None:
            if bits == 8:
                reach = best_clip(self.ranges.magnitudes[name], limit)
            else:
                reach = self.together.get(name, self.ranges.largest[name]) * MARGIN
            scale = max(reach, 1e-9) / limit
        self.tensors[name] = Tensor(name, size, bits, limit, scale, rows)
        return self.tensors[name]

    def weight_scale(self, weight: Float, bias: Float, x: Tensor, variance: Float | None = None) -> Float:
        """[out] what one unit of each row of weights is worth, of 4 bits where `variance` is given.

        The largest weight becomes 127, or with 4 bits the row is clipped where that costs least, unless the
        row is so small beside its bias that the bias would leave its quarter of the 32-bit accumulator: then
        the row takes coarser steps, which nobody can hear.
        """
        if variance is None:
            steps = np.maximum(np.abs(weight).max(axis=1), 1e-9) / LARGEST[8]
        else:
            steps = clipped_scale(weight, variance, LARGEST[4])
        return np.asarray(np.maximum(steps, np.abs(bias) / (x.scale * 2**29)))

    def weights(
        self,
        operator: str,
        weight: Float,
        bias: Float,
        x: Tensor,
        y: Tensor,
        mean: Float,
        variance: Float | None = None,
    ) -> Quantised:
        """Quantise weight [out, in] and bias [out]: int8 per output channel, bias int32, multiplier, shift.

        The bias also takes up what rounding the weights costs at the input's mean (bias correction). The
        weights have 4 bits where the inputs' `variance` is given.
        """
        scale, largest = self.weight_scale(weight, bias, x, variance), LARGEST[8 if variance is None else 4]
        rounded = np.clip(np.rint(weight / scale[:, None]), -largest, largest)
        corrected = bias + (weight - rounded * scale[:, None]) @ mean
        units = np.rint(corrected / (scale * x.scale))
        if np.abs(units).max(initial=0.0) > INT32_MAX:
            raise QuantisationError(f"operator {operator!r} has a bias beyond 32 bits")
        multiplier, shift = factors(scale * x.scale / y.scale, operator)
        return rounded.astype(np.int8), units.astype(np.int32), multiplier, shift

    def matrix(
        self, operator: FloatLinear | FloatEmbed, x: Tensor, y: Tensor
    ) -> tuple[Quantised, WeightBits]:
        """Weights of a Linear or an Embed, whose input as it is summed is `x`; how many bits they have."""
        packed, mean = operator.name in self.packed, self.ranges.mean[x.name]
        variance = self.ranges.variance[x.name] if packed else None
        parts = self.weights(operator.name, operator.weight, operator.bias, x, y, mean, variance)
        return parts, 4 if packed else 8


@singledispatch
def lower_operator(operator: FloatOperator, to: Lowering) -> Operator:
    """One float operator as its integer operator; registers the output tensor."""
    raise TypeError(f"no integer form of {type(operator).__name__}")
