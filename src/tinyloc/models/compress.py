"""The paper's two compressions of a trained model, to measure what they cost and what they save.

arXiv 2412.09289 takes linear layers to int8 and leaves all else (convolutions, norms, the scan, the CRF) in
floating point. Here are both ways, in plain torch: "static" is LLM.int8() (Dettmers et al., arXiv
2208.07339), "dynamic" is PyTorch's post-training dynamic quantisation. Neither runs on a microcontroller and
their sizes are those of files, not of flash or RAM; the integer graph of `quant/` is what a device runs.

x [T, I] is what a layer of O outputs reads in one window, W [O, I] its weights, b [O] its bias.

static     columns F = {i : |x[t, i]| > 6 at any step t} stay in floating point; for the others
           sx[t] = max |x[t, :]| / 127,  sw[o] = max |W[o, :]| / 127       one scale a row, both ways
           y[t, o] = sx[t] sw[o] sum_i round(x / sx)[t, i] round(W / sw)[o, i]
                     + sum_{i in F} x[t, i] sw[o] round(W / sw)[o, i] + b[o]
dynamic    lo = min(x, 0), hi = max(x, 0) over the whole window: sx = (hi - lo) / 127, a zero point zx in
           0 .. 127; sw = max |W| / 127.5 for the whole layer
           y = sx sw clip(round(x / sx), -zx, 127 - zx) round(W / sw)' + b

The files hold int8 weights alone, so the columns F meet weights that went through int8, as in the public
implementation of LLM.int8(). PyTorch gives activations 7 bits on x86 (sums of products of 8 bits could
overflow there) and 8 bits on ARM: `levels` 127 and 255. A window is the unit of both, so a window's answer
does not depend on which others are computed beside it; PyTorch takes whatever is handed to it at once.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tinyloc.data.windows import Windows
from tinyloc.errors import UsageError
from tinyloc.learn.predict import answers
from tinyloc.models import families
from tinyloc.models.base import RoomModel
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.models.config import MdcsaConfig
from tinyloc.models.sinusoid import positions

Kind = Literal["float", "static", "dynamic"]

OUTLIER: Final = 6.0
"""Above this magnitude a column of activations is an outlier (arXiv 2208.07339, section 3.2)."""

LEVELS_X86: Final = 127
LEVELS_ARM: Final = 255
"""The largest activation of PyTorch's dynamic quantisation on each."""

KB: Final = 1_000
"""Bytes in the paper's KB."""

_SMALLEST_SCALE: Final = 6.1e-5
"""Below it PyTorch takes a wider range of activations."""


class Int8Linear(nn.Module):
    """What both layers share: int8 weights [O, I], and `weight`, the floats that they stand for."""

    int8_weight: Tensor
    scale: Tensor

    def __init__(self, weight: Tensor, scale: Tensor, bias: Tensor | None) -> None:
        """`weight` [O, I] int8; `scale` [O] or one number; `bias` [O] or None."""
        super().__init__()
        self.register_buffer("int8_weight", weight)
        self.register_buffer("scale", scale)
        self.bias = None if bias is None else nn.Parameter(bias.detach().clone(), requires_grad=False)

    @property
    def weight(self) -> Tensor:
        """[O, I] float32: int8 times scale."""
        return self.int8_weight * self.scale.reshape(-1, 1)

    def _multiply(self, x: Tensor) -> Tensor:
        """Whole numbers [..., I] by the int8 weights -> [..., O], exact (float64 holds every such sum)."""
        return x.double() @ self.int8_weight.double().t()

    def _with_bias(self, y: Tensor) -> Tensor:
        return y.float() if self.bias is None else y.float() + self.bias


class StaticLinear(Int8Linear):
    """LLM.int8(): one scale for each row of x and of W, outlier columns of x in floating point.

    `weight_format` is the constant that the public implementation stores with each layer.
    """

    def __init__(self, linear: nn.Linear) -> None:
        weight = linear.weight.detach()
        scale = weight.abs().amax(1) / 127  # [O]
        whole = torch.round(weight / torch.where(scale > 0, scale, 1).unsqueeze(1))
        super().__init__(whole.to(torch.int8), scale, linear.bias)
        self.register_buffer("weight_format", torch.tensor(0, dtype=torch.uint8))

    def forward(self, x: Tensor) -> Tensor:
        """`x` [B, T, I], or [B, I] where a window is one row -> [B, T, O] or [B, O]."""
        rows = x if x.ndim > 2 else x.unsqueeze(1)  # [B, T, I]
        outliers = (rows.abs() > OUTLIER).any(1, keepdim=True)  # [B, 1, I]
        inner = rows.masked_fill(outliers, 0)
        scale = inner.abs().amax(-1, keepdim=True) / 127  # [B, T, 1]
        whole = torch.round(inner / torch.where(scale > 0, scale, 1))
        y = self._multiply(whole) * scale * self.scale
        y = y + rows.masked_fill(~outliers, 0) @ self.weight.t()
        return self._with_bias(y if x.ndim > 2 else y.squeeze(1))


class DynamicLinear(Int8Linear):
    """PyTorch's dynamic quantisation: one scale for W, one scale and zero point for each window's x."""

    def __init__(self, linear: nn.Linear, levels: int = LEVELS_X86) -> None:
        weight = linear.weight.detach()
        smallest = weight.new_tensor(torch.finfo(torch.float32).eps)
        scale = torch.maximum(weight.abs().amax() / 127.5, smallest)
        whole = torch.round(weight * (1 / scale)).clamp(-128, 127)
        super().__init__(whole.to(torch.int8), scale, linear.bias)
        self.register_buffer("zero_point", torch.tensor(0))
        self.levels = levels

    def forward(self, x: Tensor) -> Tensor:
        """`x` [B, ..., I] -> [B, ..., O], each of the B windows with its own range."""
        window = tuple(range(1, x.ndim))
        low = x.amin(window, keepdim=True).clamp(max=0).double()
        high = x.amax(window, keepdim=True).clamp(min=0).double()
        scale = ((high - low) / self.levels).float()
        small = scale < _SMALLEST_SCALE
        if small.any():
            low, high = self._widened(low, high, small)
            scale = torch.where(scale == 0, 0.1, scale.clamp(min=_SMALLEST_SCALE))
        below, above = low / scale.double(), high / scale.double()
        zero = torch.where(below.abs() < self.levels + above.abs(), -below, self.levels - above)
        zero = torch.round(zero).clamp(0, self.levels).float()
        whole = (torch.round(x * (1 / scale)) + zero).clamp(0, self.levels) - zero
        return self._with_bias(self._multiply(whole) * (scale * self.scale))

    def _widened(self, low: Tensor, high: Tensor, small: Tensor) -> tuple[Tensor, Tensor]:
        """The ranges where the scale would be too small, as wide as the smallest scale makes them."""
        width = high - low
        grow = torch.where(width > 0, _SMALLEST_SCALE * self.levels / torch.where(width > 0, width, 1), 1)
        return torch.where(small, low * grow, low), torch.where(small, high * grow, high)


@dataclass(frozen=True, eq=False)
class Compressed:
    """A compressed model, run as its checkpoint was: `logits` of windows. `kind` says how it was made."""

    kind: Kind
    checkpoint: Checkpoint
    model: RoomModel

    def logits(self, windows: Windows) -> npt.NDArray[np.float32]:
        """[W, K] float32, as `learn.predict.predict` gives them for the float model."""
        windows = windows.only(self.checkpoint.access_points)
        return answers(self.model, self.checkpoint.scaling, self.checkpoint.state, windows)

    @property
    def state_dict_kb(self) -> float:
        """Thousands of bytes of `torch.save(state_dict)`, as the paper counts: zip, names and buffers too.

        MDCSA's positions [T, H], computed here, count as the buffer that they usually are; the weights of
        its second modality, which the paper's file holds even for signal strength alone, do not exist here.
        It is a file's size: what a device holds is another number.
        """
        state = dict(self.model.state_dict())
        if isinstance(self.checkpoint.config, MdcsaConfig):
            table = positions(self.checkpoint.window_steps, self.checkpoint.config.hidden)
            state["position"] = torch.from_numpy(np.array(table))
        file = io.BytesIO()
        torch.save(state, file)
        return len(file.getvalue()) / KB


def uncompressed(checkpoint: Checkpoint) -> Compressed:
    """The float model itself, behind the same door."""
    return Compressed("float", checkpoint, families.from_weights(checkpoint.config, checkpoint.weights))


def static(checkpoint: Checkpoint) -> Compressed:
    """LLM.int8() for every linear layer: the paper's "static"."""
    model = families.from_weights(checkpoint.config, checkpoint.weights)
    _replace(model, StaticLinear)
    return Compressed("static", checkpoint, model)


def dynamic(checkpoint: Checkpoint, levels: int = LEVELS_X86) -> Compressed:
    """PyTorch's dynamic int8 for every linear layer; `levels`: `LEVELS_X86` or `LEVELS_ARM`."""
    model = families.from_weights(checkpoint.config, checkpoint.weights)
    _replace(model, lambda linear: DynamicLinear(linear, levels))
    return Compressed("dynamic", checkpoint, model)


def compress(kind: Kind, checkpoint: Checkpoint) -> Compressed:
    """The checkpoint compressed in that way. Raises UsageError for a kind that is none."""
    if kind not in get_args(Kind):
        raise UsageError(f"compression {kind!r} is none of {', '.join(get_args(Kind))}")
    return {"float": uncompressed, "static": static, "dynamic": dynamic}[kind](checkpoint)


def predict_compressed(kind: Kind, checkpoint: Checkpoint, windows: Windows) -> npt.NDArray[np.float32]:
    """The logits [W, K] of the compressed model at the last step of every window."""
    return compress(kind, checkpoint).logits(windows)


def state_dict_kb(kind: Kind, checkpoint: Checkpoint) -> float:
    """`Compressed.state_dict_kb` of the checkpoint compressed in that way, thousands of bytes."""
    return compress(kind, checkpoint).state_dict_kb


def _replace(module: nn.Module, by: Callable[[nn.Linear], nn.Module]) -> None:
    """Every `nn.Linear` in the module, at any depth, by another layer; nothing else is touched."""
    for name, child in module.named_children():
        if isinstance(child, nn.Linear):
            setattr(module, name, by(child))
        else:
            _replace(child, by)
