"""Checkpoints of the window families as float graphs: transformer, MDCSA, statistics network, MLP, forest.

Weight names are those of `models.families`. Folds that leave the function as it is: the input scaling into
the embedding; MDCSA's sqrt(H) into the embedding; the gate of its GLU becomes a matrix of its own.
"""

from __future__ import annotations

import math

import numpy as np

from tinyloc.models.checkpoint import Checkpoint
from tinyloc.models.config import (
    ForestConfig,
    MdcsaConfig,
    MlpConfig,
    StatnetConfig,
    TransformerConfig,
    reads_statistics,
)
from tinyloc.models.sinusoid import positions
from tinyloc.quant.float_graph import (
    Float,
    FloatAdd,
    FloatCurve,
    FloatEmbed,
    FloatGraph,
    FloatLinear,
    FloatLookup,
    FloatMultiply,
    FloatOperator,
    FloatRunning,
)
from tinyloc.quant.float_window import (
    FloatAttention,
    FloatCollect,
    FloatConv,
    FloatForest,
    FloatInterleave,
    FloatLastRow,
    FloatLayerNorm,
    FloatMeanRows,
    FloatPosition,
    FloatStandardise,
    FloatStatistics,
    FloatViterbi,
)
from tinyloc.quant.operator import MOTION, SAMPLE

EPSILON = 1e-5
Weights = dict[str, Float]


def weights_of(checkpoint: Checkpoint) -> Weights:
    """All weights as float64."""
    return {name: value.astype(np.float64) for name, value in checkpoint.weights.items()}


def embedding(checkpoint: Checkpoint, weights: Weights, y: str, factor: float = 1.0) -> list[FloatOperator]:
    """Sample to embedding, the input scaling folded in, all of it times `factor`.

    With running statistics these come first, and the embedding reads them in the sample's place.
    Under the power law most access points of a sample are 0, and one operator looks them up and sums them.
    """
    scaling = checkpoint.scaling
    gain, offset = scaling.gain.astype(np.float64), scaling.offset.astype(np.float64)
    weight = weights["embed.weight"] * gain * factor
    bias = weights["embed.bias"] * factor - weight @ offset
    table = scaling.table.astype(np.float64)
    first: list[FloatOperator] = []
    read = SAMPLE
    if reads_statistics(checkpoint.config):
        read = "said"
        first.append(FloatRunning("running", read, SAMPLE))
    if scaling.kind == "power":
        return [*first, FloatEmbed("embed", y, read, table, weight, bias)]
    return [
        *first,
        FloatLookup("lookup", "signal", read, table),
        FloatLinear("embed", y, "signal", weight, bias),
    ]


def linear(name: str, y: str, x: str, weights: Weights, of: str) -> FloatLinear:
    """A fully connected layer by the name of its weights."""
    return FloatLinear(name, y, x, weights[f"{of}.weight"], weights[f"{of}.bias"])


def layer_norm(name: str, y: str, x: str, weights: Weights, of: str) -> FloatLayerNorm:
    """A layer norm by the name of its weights."""
    return FloatLayerNorm(name, y, x, EPSILON, weights[f"{of}.weight"], weights[f"{of}.bias"])


def viterbi(x: str, weights: Weights) -> FloatViterbi:
    """The CRF's best last room from the rows of x."""
    parts = (weights["crf.transitions"], weights["crf.start"], weights["crf.end"])
    return FloatViterbi("viterbi", "scores", x, *parts)


def transformer(checkpoint: Checkpoint) -> FloatGraph:
    """A pre-norm transformer encoder with a mean over the window (arXiv 1706.03762)."""
    config, weights = checkpoint.config, weights_of(checkpoint)
    assert isinstance(config, TransformerConfig)
    operators = [
        *embedding(checkpoint, weights, "embedded"),
        FloatCollect("collect", "rows", "embedded"),
        FloatPosition("position", "stream0", "rows", weights["position"]),
    ]
    for i in range(config.layers):
        own = f"layers.{i}"
        operators += [
            layer_norm(f"norm_a{i}", f"normed_a{i}", f"stream{i}", weights, f"{own}.norm1"),
            linear(f"query{i}", f"q{i}", f"normed_a{i}", weights, f"{own}.q"),
            linear(f"key{i}", f"k{i}", f"normed_a{i}", weights, f"{own}.k"),
            linear(f"value{i}", f"v{i}", f"normed_a{i}", weights, f"{own}.v"),
            FloatAttention(f"attention{i}", f"attended{i}", f"q{i}", f"k{i}", f"v{i}", config.heads),
            linear(f"out{i}", f"mixed{i}", f"attended{i}", weights, f"{own}.out"),
            FloatAdd(f"residual_a{i}", f"middle{i}", f"stream{i}", f"mixed{i}"),
            layer_norm(f"norm_b{i}", f"normed_b{i}", f"middle{i}", weights, f"{own}.norm2"),
            linear(f"expand{i}", f"wide{i}", f"normed_b{i}", weights, f"{own}.ff1"),
            FloatCurve(f"relu{i}", f"bent{i}", f"wide{i}", "relu"),
            linear(f"shrink{i}", f"update{i}", f"bent{i}", weights, f"{own}.ff2"),
            FloatAdd(f"residual_b{i}", f"stream{i + 1}", f"middle{i}", f"update{i}"),
        ]
    operators += [
        layer_norm("norm", "normed", f"stream{config.layers}", weights, "norm"),
        FloatMeanRows("mean", "pooled", "normed"),
        linear("head", "scores", "pooled", weights, "head"),
    ]
    return FloatGraph(tuple(operators), "scores", checkpoint.window_steps)


def mdcsa(checkpoint: Checkpoint) -> FloatGraph:
    """MDCSA, on signal strength alone or with an accelerometer too (arXiv 2308.02419, 2412.09289).

    What the accelerometer said is kept as its bytes and embedded when the window is full: 3 bytes a step.
    """
    config, weights = checkpoint.config, weights_of(checkpoint)
    assert isinstance(config, MdcsaConfig)
    steps, H = checkpoint.window_steps, config.hidden
    where = positions(steps, H).astype(np.float64)
    operators = [
        *embedding(checkpoint, weights, "embedded", math.sqrt(H)),
        FloatCollect("collect", "rows", "embedded"),
    ]
    if config.accelerometer:
        moved, bias = (
            weights["embed_motion.weight"] * math.sqrt(H),
            weights["embed_motion.bias"] * math.sqrt(H),
        )
        operators += [
            FloatCollect("collect_motion", "motion_rows", MOTION),
            FloatLinear("embed_motion", "motion_embedded", "motion_rows", moved, bias),
            FloatPosition("motion_position", "motion_placed", "motion_embedded", where),
        ]
    operators.append(FloatPosition("position", "placed", "rows", where))
    for j, taps in enumerate(config.kernels):
        operators += _block(j, taps, weights, H, config.accelerometer)
    tokens = "branch0"
    if config.layers == 3:
        operators.append(FloatInterleave("interleave", "tokens", "branch0", "branch1", "branch2"))
        tokens = "tokens"
    join = weights["join.weight"].transpose(0, 2, 1)  # [out, in, taps] -> [out, taps, in]
    stride, past = (3, 0) if config.layers == 3 else (1, 2)
    operators += [
        FloatAttention("attention", "attended", tokens, tokens, tokens, 1),
        FloatConv("join", "joined", "attended", join, weights["join.bias"], stride, past),
        layer_norm("norm", "normed", "joined", weights, "norm"),
    ]
    if config.crf:
        operators += [linear("head", "emissions", "normed", weights, "head"), viterbi("emissions", weights)]
    else:
        operators += [
            FloatLastRow("last", "final", "normed"),
            linear("head", "scores", "final", weights, "head"),
        ]
    return FloatGraph(tuple(operators), "scores", steps, config.accelerometer)


def _attend(j: int, taps: int, weights: Weights, part: str, norm: str) -> list[FloatOperator]:
    """One modality's convolutions, attention and norm: `part` "" reads `placed` and writes `normed`,
    "motion_" reads `motion_placed` and writes `motion_normed`.
    """
    own, x = f"blocks.{j}", f"{part}placed"

    def conv(name: str, y: str) -> FloatConv:
        weight = weights[f"{own}.{part}{name}.weight"].transpose(0, 2, 1)
        bias = weights[f"{own}.{part}{name}.bias"]
        return FloatConv(f"{part}{name}{j}", f"{part}{y}", x, weight, bias, 1, taps - 1)

    return [
        conv("query", f"q_raw{j}"),
        FloatCurve(f"{part}q_tanh{j}", f"{part}q{j}", f"{part}q_raw{j}", "tanh"),
        conv("key", f"k_raw{j}"),
        FloatCurve(f"{part}k_tanh{j}", f"{part}k{j}", f"{part}k_raw{j}", "tanh"),
        FloatAttention(f"{part}attention{j}", f"{part}attended{j}", f"{part}q{j}", f"{part}k{j}", x, 1),
        FloatAdd(f"{part}residual_a{j}", f"{part}summed{j}", x, f"{part}attended{j}"),
        layer_norm(f"{part}norm_a{j}", f"{part}normed{j}", f"{part}summed{j}", weights, f"{own}.{norm}"),
    ]


def _block(j: int, taps: int, weights: Weights, H: int, motion: bool) -> list[FloatOperator]:
    own = f"blocks.{j}"
    gate_weight, gate_bias = weights[f"{own}.grn.gate.weight"], weights[f"{own}.grn.gate.bias"]
    widen: list[FloatOperator] = [
        linear(f"expand{j}", f"wide{j}", f"normed{j}", weights, f"{own}.grn.expand")
    ]
    context: list[FloatOperator] = []
    if motion:
        weight = weights[f"{own}.grn.context.weight"]
        nothing = np.zeros(len(weight))  # the context has no bias of its own
        context = [
            *_attend(j, taps, weights, "motion_", "motion_norm"),
            FloatLinear(f"context{j}", f"context_wide{j}", f"motion_normed{j}", weight, nothing),
        ]
        widen = [
            linear(f"expand{j}", f"signal_wide{j}", f"normed{j}", weights, f"{own}.grn.expand"),
            FloatAdd(f"widen{j}", f"wide{j}", f"signal_wide{j}", f"context_wide{j}"),
        ]
    return [
        *_attend(j, taps, weights, "", "norm1"),
        *context,
        *widen,
        FloatCurve(f"elu{j}", f"bent{j}", f"wide{j}", "elu"),
        linear(f"mix{j}", f"mixed{j}", f"bent{j}", weights, f"{own}.grn.mix"),
        FloatLinear(f"gate_a{j}", f"linear{j}", f"mixed{j}", gate_weight[:H], gate_bias[:H]),
        FloatLinear(f"gate_b{j}", f"gate_raw{j}", f"mixed{j}", gate_weight[H:], gate_bias[H:]),
        FloatCurve(f"sigmoid{j}", f"gate{j}", f"gate_raw{j}", "sigmoid"),
        FloatMultiply(f"glu{j}", f"gated{j}", f"linear{j}", f"gate{j}"),
        FloatAdd(f"residual_b{j}", f"full{j}", f"normed{j}", f"gated{j}"),
        layer_norm(f"norm_b{j}", f"branch{j}", f"full{j}", weights, f"{own}.grn.norm"),
    ]


def statnet(checkpoint: Checkpoint) -> FloatGraph:
    """The small network on window statistics."""
    assert isinstance(checkpoint.config, StatnetConfig)
    weights = weights_of(checkpoint)
    operators: list[FloatOperator] = [
        FloatCollect("collect", "rows", "sample"),
        FloatStatistics("statistics", "facts", "rows"),
        FloatStandardise("standardise", "even", "facts", weights["offset"], weights["gain"]),
        linear("hidden", "wide", "even", weights, "hidden"),
        FloatCurve("relu", "bent", "wide", "relu"),
        linear("head", "scores", "bent", weights, "head"),
    ]
    return FloatGraph(tuple(operators), "scores", checkpoint.window_steps)


def mlp(checkpoint: Checkpoint) -> FloatGraph:
    """The small network on each sample; windows of one step make it a graph of steps: nothing to collect."""
    config, weights = checkpoint.config, weights_of(checkpoint)
    assert isinstance(config, MlpConfig)
    operators = [
        *embedding(checkpoint, weights, "wide0"),
        layer_norm("norm0", "normed0", "wide0", weights, "norm"),
        FloatCurve("relu0", "bent0", "normed0", "relu"),
    ]
    for i in range(1, config.layers):
        own = f"layers.{i - 1}"
        operators += [
            linear(f"linear{i}", f"wide{i}", f"bent{i - 1}", weights, f"{own}.linear"),
            layer_norm(f"norm{i}", f"normed{i}", f"wide{i}", weights, f"{own}.norm"),
            FloatCurve(f"relu{i}", f"bent{i}", f"normed{i}", "relu"),
        ]
    last = f"bent{config.layers - 1}"
    if checkpoint.window_steps == 1:
        operators.append(linear("head", "scores", last, weights, "head"))
        return FloatGraph(tuple(operators), "scores")
    operators += [
        FloatCollect("collect", "rows", last),
        FloatMeanRows("mean", "pooled", "rows"),
        linear("head", "scores", "pooled", weights, "head"),
    ]
    return FloatGraph(tuple(operators), "scores", checkpoint.window_steps)


def forest(checkpoint: Checkpoint) -> FloatGraph:
    """The trees on window statistics; where a window is one sample, on the sample's own bytes."""
    config, weights = checkpoint.config, weights_of(checkpoint)
    assert isinstance(config, ForestConfig)
    if checkpoint.window_steps == 1:
        trees = FloatForest("forest", "scores", "sample", **weights, rooms=config.rooms)
        return FloatGraph((trees,), "scores")
    operators: tuple[FloatOperator, ...] = (
        FloatCollect("collect", "rows", "sample"),
        FloatStatistics("statistics", "facts", "rows"),
        FloatForest("forest", "scores", "facts", **weights, rooms=config.rooms),
    )
    return FloatGraph(operators, "scores", checkpoint.window_steps)
