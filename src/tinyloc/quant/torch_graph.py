"""The float graph in torch: the same operators on whole windows at once, with gradients for their arrays.

Before a window is collected a tensor is [W, T, size]; behind it [W, rows, size] or [W, size]. So no operator
needs a clock, and `collect` hands on what it gets. Each operator means what `float_graph.apply` says.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import singledispatch
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from tinyloc.errors import QuantisationError
from tinyloc.models.running import running_statistics
from tinyloc.models.statistics import window_statistics
from tinyloc.quant.float_graph import (
    Float,
    FloatAdd,
    FloatCurve,
    FloatDepthwiseConv,
    FloatEmbed,
    FloatGraph,
    FloatLinear,
    FloatLookup,
    FloatMultiply,
    FloatOperator,
    FloatRmsNorm,
    FloatRunning,
    FloatScan,
)
from tinyloc.quant.float_window import (
    FloatAttention,
    FloatCollect,
    FloatConv,
    FloatInterleave,
    FloatLastRow,
    FloatLayerNorm,
    FloatMeanRows,
    FloatPosition,
    FloatStandardise,
    FloatStatistics,
    FloatViterbi,
)

Tensors = dict[str, Tensor]

TRAINABLE: Final[dict[type[FloatOperator], tuple[str, ...]]] = {
    FloatLinear: ("weight", "bias"),
    FloatEmbed: ("weight", "bias"),
    FloatDepthwiseConv: ("weight", "bias"),
    FloatConv: ("weight", "bias"),
    FloatScan: ("A", "D"),
    FloatPosition: ("table",),
    FloatLayerNorm: ("gain", "bias"),
    FloatViterbi: ("transitions", "start", "end"),
}
"""The arrays of each operator that may train. The lookup table and the offset and gain that standardise
statistics are facts about the radio and the windows, and stay."""


class TorchGraph:
    """A float graph whose arrays train.

    `trained`: "<operator>.<array>" -> a leaf that requires a gradient. Two of them stand for their array in
    another form: a scan's A, which must stay negative, is held as log(-A), and the bias of a linear operator
    is held as its output at the mean input `centres[x]` (0 where not given), so that a step along the weights
    leaves the mean output where it was: the folded input scaling has made those inputs far from 0.
    """

    def __init__(
        self,
        floats: FloatGraph,
        *,
        fixed: frozenset[str] = frozenset(),
        centres: Mapping[str, Float] | None = None,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        self.source, self.dtype = floats, dtype
        self.trained: Tensors = {}
        self.centres: Tensors = {}
        self._constants: dict[str, Tensors] = {}
        for operator in floats.operators:
            if isinstance(operator, FloatLinear) and centres and operator.x in centres:
                self.centres[operator.x] = torch.as_tensor(centres[operator.x], dtype=dtype)
            may = TRAINABLE.get(type(operator), ())
            constants = self._constants[operator.name] = {}
            for field, value in vars(operator).items():
                if not isinstance(value, np.ndarray):
                    continue
                tensor = torch.tensor(value, dtype=dtype)
                if field not in may or f"{operator.name}.{field}" in fixed:
                    constants[field] = tensor
                else:
                    held = self._held(operator, field, tensor)
                    self.trained[f"{operator.name}.{field}"] = held.clone().requires_grad_()

    def _held(self, operator: FloatOperator, field: str, value: Tensor) -> Tensor:
        if isinstance(operator, FloatScan) and field == "A":
            if not bool((value < 0).all()):
                raise QuantisationError(f"operator {operator.name!r}: its decay is not negative throughout")
            return torch.log(-value)
        if isinstance(operator, FloatLinear) and field == "bias" and operator.x in self.centres:
            return value + torch.as_tensor(operator.weight, dtype=self.dtype) @ self.centres[operator.x]
        return value

    def own(self, operator: FloatOperator) -> Tensors:
        """The operator's arrays by field, in the form that `torch_apply` reads."""
        arrays = dict(self._constants[operator.name])
        for field in TRAINABLE.get(type(operator), ()):
            if (held := self.trained.get(f"{operator.name}.{field}")) is not None:
                arrays[field] = held
        if isinstance(operator, FloatScan) and "A" not in self._constants[operator.name]:
            arrays["A"] = -torch.exp(arrays["A"])
        free = "bias" not in self._constants[operator.name]
        if isinstance(operator, FloatLinear) and operator.x in self.centres and free:
            arrays["bias"] = arrays["bias"] - arrays["weight"] @ self.centres[operator.x]
        return arrays

    def floats(self) -> FloatGraph:
        """The float graph with the arrays as they are now."""
        operators: list[FloatOperator] = []
        with torch.no_grad():
            for operator in self.source.operators:
                fields = TRAINABLE.get(type(operator), ())
                own = self.own(operator) if fields else {}
                now: dict[str, Any] = {field: own[field].numpy().astype(np.float64) for field in fields}
                operators.append(dataclasses.replace(operator, **now) if now else operator)
        return dataclasses.replace(self.source, operators=tuple(operators))

    def tensors(self, rssi: npt.NDArray[np.int8]) -> Tensors:
        """Windows of samples (`FloatGraph.inputs`) int8 -> every tensor by name."""
        heard = self.source.inputs(rssi.astype(np.float64))
        values: Tensors = {name: torch.tensor(x, dtype=self.dtype) for name, x in heard.items()}
        for operator in self.source.operators:
            values[operator.y] = torch_apply(operator, self.own(operator), values)
        return values


@singledispatch
def torch_apply(operator: FloatOperator, own: Tensors, values: Tensors) -> Tensor:
    """One operator with its `own` arrays on the tensors in `values`, all steps or rows at once."""
    raise TypeError(f"no torch form of {type(operator).__name__}")


def _softplus(x: Tensor) -> Tensor:
    return torch.logaddexp(x, torch.zeros_like(x))


_CURVES: Final[dict[str, Callable[[Tensor], Tensor]]] = {
    "silu": functional.silu,
    "softplus": _softplus,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "elu": functional.elu,
    "tanh": torch.tanh,
}


@torch_apply.register
def _(operator: FloatRunning, own: Tensors, values: Tensors) -> Tensor:
    x = values[operator.x]
    return torch.tensor(running_statistics(x.detach().numpy().astype(np.int8)), dtype=x.dtype)


@torch_apply.register
def _(operator: FloatLookup, own: Tensors, values: Tensors) -> Tensor:
    return own["table"][values[operator.x].long() + 128]


@torch_apply.register
def _(operator: FloatCurve, own: Tensors, values: Tensors) -> Tensor:
    return _CURVES[operator.kind](values[operator.x])


@torch_apply.register
def _(operator: FloatLinear, own: Tensors, values: Tensors) -> Tensor:
    return values[operator.x] @ own["weight"].T + own["bias"]


@torch_apply.register
def _(operator: FloatEmbed, own: Tensors, values: Tensors) -> Tensor:
    return own["table"][values[operator.x].long() + 128] @ own["weight"].T + own["bias"]


@torch_apply.register
def _(operator: FloatRmsNorm, own: Tensors, values: Tensors) -> Tensor:
    x = values[operator.x]
    return x / torch.sqrt((x * x).mean(dim=-1, keepdim=True) + operator.epsilon)


@torch_apply.register
def _(operator: FloatDepthwiseConv, own: Tensors, values: Tensors) -> Tensor:
    x, weight = values[operator.x], own["weight"]
    taps, steps = weight.shape[1], x.shape[1]
    line = functional.pad(x, (0, 0, taps - 1, 0))
    seen = torch.stack([line[:, k : k + steps] for k in range(taps)], dim=-1)
    return (seen * weight).sum(dim=-1) + own["bias"]


@torch_apply.register
def _(operator: FloatScan, own: Tensors, values: Tensors) -> Tensor:
    return scan(operator, own, values)


def scan(
    operator: FloatScan,
    own: Tensors,
    values: Tensors,
    anchor: Callable[[int, Tensor], Tensor] | None = None,
) -> Tensor:
    """The scan over all steps; `anchor(t, h)` may put another h [W, E, N] in place of that after step t."""
    dt, b, c, x = (values[name] for name in (operator.dt, operator.b, operator.c, operator.x))
    decays = torch.exp(dt[..., None] * own["A"])  # [W, T, E, N]
    inputs = (dt * x)[..., None] * b[:, :, None, :]
    h = torch.zeros_like(inputs[:, 0])
    states = []
    for t in range(x.shape[1]):
        h = decays[:, t] * h + inputs[:, t]
        if anchor is not None:
            h = anchor(t, h)
        states.append(h)
    return (torch.stack(states, dim=1) * c[:, :, None, :]).sum(dim=-1) + own["D"] * x


@torch_apply.register
def _(operator: FloatMultiply, own: Tensors, values: Tensors) -> Tensor:
    return values[operator.a] * values[operator.b]


@torch_apply.register
def _(operator: FloatAdd, own: Tensors, values: Tensors) -> Tensor:
    return values[operator.a] + values[operator.b]


@torch_apply.register
def _(operator: FloatCollect, own: Tensors, values: Tensors) -> Tensor:
    return values[operator.x]


@torch_apply.register
def _(operator: FloatPosition, own: Tensors, values: Tensors) -> Tensor:
    return values[operator.x] + own["table"]


@torch_apply.register
def _(operator: FloatLayerNorm, own: Tensors, values: Tensors) -> Tensor:
    x = values[operator.x]
    d = x - x.mean(dim=-1, keepdim=True)
    normal = d / torch.sqrt((d * d).mean(dim=-1, keepdim=True) + operator.epsilon)
    return normal * own["gain"] + own["bias"]


@torch_apply.register
def _(operator: FloatAttention, own: Tensors, values: Tensors) -> Tensor:
    def heads(name: str) -> Tensor:
        x = values[name]
        return x.reshape(*x.shape[:2], operator.heads, -1).transpose(1, 2)

    q, k, v = heads(operator.q), heads(operator.k), heads(operator.v)
    p = torch.softmax(q @ k.transpose(2, 3) / q.shape[-1] ** 0.5, dim=-1)
    return (p @ v).transpose(1, 2).reshape(values[operator.q].shape)


@torch_apply.register
def _(operator: FloatMeanRows, own: Tensors, values: Tensors) -> Tensor:
    return values[operator.x].mean(dim=1)


@torch_apply.register
def _(operator: FloatLastRow, own: Tensors, values: Tensors) -> Tensor:
    return values[operator.x][:, -1]


@torch_apply.register
def _(operator: FloatConv, own: Tensors, values: Tensors) -> Tensor:
    weight = own["weight"]
    taps = weight.shape[1]
    padded = functional.pad(values[operator.x], (0, 0, operator.past, 0))
    starts = range(0, padded.shape[1] - taps + 1, operator.stride)
    seen = torch.stack([padded[:, at : at + taps].flatten(1) for at in starts], dim=1)
    return seen @ weight.flatten(1).T + own["bias"]


@torch_apply.register
def _(operator: FloatInterleave, own: Tensors, values: Tensors) -> Tensor:
    parts = torch.stack([values[name] for name in (operator.a, operator.b, operator.c)], dim=2)
    return parts.flatten(1, 2)


@torch_apply.register
def _(operator: FloatViterbi, own: Tensors, values: Tensors) -> Tensor:
    x = values[operator.x]
    d = own["start"] + x[:, 0]
    for t in range(1, x.shape[1]):
        d = (d[:, :, None] + own["transitions"]).amax(dim=1) + x[:, t]
    d = d + own["end"]
    return d - d.amax(dim=1, keepdim=True)


@torch_apply.register
def _(operator: FloatStatistics, own: Tensors, values: Tensors) -> Tensor:
    x = values[operator.x]
    return torch.tensor(window_statistics(x.detach().numpy().astype(np.int8)), dtype=x.dtype)


@torch_apply.register
def _(operator: FloatStandardise, own: Tensors, values: Tensors) -> Tensor:
    return (values[operator.x] - own["offset"]) * own["gain"]
