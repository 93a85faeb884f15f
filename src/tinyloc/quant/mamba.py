"""Mamba's checkpoint as a float graph (arXiv 2312.00752; the paper's form, arXiv 2412.09289).

Two folds leave the function as it is and save work on the device: the input scaling's offset and gain go into
the embedding, and RMSNorm's gain goes into the columns of the projections behind it.
"""

from __future__ import annotations

import numpy as np

from tinyloc.errors import QuantisationError
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.models.config import MambaConfig
from tinyloc.quant.float_graph import (
    Float,
    FloatAdd,
    FloatCurve,
    FloatDepthwiseConv,
    FloatGraph,
    FloatLinear,
    FloatMultiply,
    FloatOperator,
    FloatRmsNorm,
    FloatScan,
)
from tinyloc.quant.float_window import FloatCollect
from tinyloc.quant.window_families import embedding, viterbi

EPSILON = 1e-5


def float_graph(checkpoint: Checkpoint) -> FloatGraph:
    """The float graph of a Mamba checkpoint. Raises QuantisationError for another family."""
    config = checkpoint.config
    if not isinstance(config, MambaConfig):
        raise QuantisationError(f"no Mamba: {checkpoint.family!r}")
    weights = {name: value.astype(np.float64) for name, value in checkpoint.weights.items()}
    operators = embedding(checkpoint, weights, "stream0")
    layers = config.layers
    for layer in range(layers):
        operators += _block(layer, weights)
    if not config.crf:
        operators.append(_linear("head", "scores", f"stream{layers}", weights["head.weight"]))
        return FloatGraph(tuple(operators), "scores")
    operators += [
        _linear("head", "emission", f"stream{layers}", weights["head.weight"]),
        FloatCollect("collect", "emissions", "emission"),
        viterbi("emissions", weights),
    ]
    return FloatGraph(tuple(operators), "scores", checkpoint.window_steps)


def _linear(name: str, y: str, x: str, weight: Float, bias: Float | None = None) -> FloatLinear:
    return FloatLinear(name, y, x, weight, np.zeros(len(weight)) if bias is None else bias)


def _block(layer: int, weights: dict[str, Float]) -> list[FloatOperator]:
    def own(name: str) -> Float:
        return weights[f"layers.{layer}.{name}"]

    def at(name: str) -> str:
        return f"{name}{layer}"

    inner, state = own("A_log").shape
    rank = own("dt_proj.weight").shape[1]
    projection = own("in_proj.weight") * own("norm.weight")
    selection = own("x_proj.weight")
    return [
        FloatRmsNorm(at("norm"), at("normed"), at("stream"), EPSILON),
        _linear(at("in_x"), at("branch"), at("normed"), projection[:inner]),
        FloatDepthwiseConv(at("conv"), at("filtered"), at("branch"), own("conv.weight"), own("conv.bias")),
        FloatCurve(at("conv_silu"), at("x"), at("filtered"), "silu"),
        _linear(at("dt_low"), at("rank"), at("x"), selection[:rank]),
        _linear(at("dt_proj"), at("dt_raw"), at("rank"), own("dt_proj.weight"), own("dt_proj.bias")),
        FloatCurve(at("softplus"), at("dt"), at("dt_raw"), "softplus"),
        _linear(at("b_proj"), at("b"), at("x"), selection[rank : rank + state]),
        _linear(at("c_proj"), at("c"), at("x"), selection[rank + state :]),
        FloatScan(at("scan"), at("y"), at("dt"), at("b"), at("c"), at("x"), -np.exp(own("A_log")), own("D")),
        _linear(at("in_z"), at("gate_raw"), at("normed"), projection[inner:]),
        FloatCurve(at("gate_silu"), at("gate"), at("gate_raw"), "silu"),
        FloatMultiply(at("gating"), at("gated"), at("y"), at("gate")),
        _linear(at("out_proj"), at("update"), at("gated"), own("out_proj.weight")),
        FloatAdd(at("residual"), f"stream{layer + 1}", at("stream"), at("update")),
    ]
