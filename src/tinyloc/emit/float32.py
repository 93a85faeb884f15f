"""Checkpoint -> C in 32-bit floating point: the model as it was trained, uncompressed.

What the integer form is measured against (arXiv 2412.09289 wants the uncompressed Mamba in 32 KB): Mamba
without a CRF. The operators are those of `quant/float_graph.py`, and so are the folds of `quant/mamba.py`.
Scores are not bit for bit those of PyTorch, which sums in another order; rooms are.
"""

from __future__ import annotations

import math
from functools import singledispatch
from importlib import resources
from pathlib import Path

import jinja2
import numpy as np

from tinyloc import __version__
from tinyloc.emit.literals import comment, identifier
from tinyloc.errors import QuantisationError
from tinyloc.files import write_text
from tinyloc.models.checkpoint import Checkpoint
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
    FloatScan,
)
from tinyloc.quant.graph import SAMPLE
from tinyloc.quant.mamba import float_graph

LINE = 100


def emit_float32(checkpoint: Checkpoint, folder: Path) -> list[Path]:
    """Write the C of `checkpoint` into `folder`; returns the files.

    Raises QuantisationError for another family than Mamba and for one with a CRF or running statistics;
    OutputError.
    """
    if checkpoint.family != "mamba":
        raise QuantisationError(
            f"no C in float32 is known of the family {checkpoint.family!r}, only of mamba"
        )
    writer = Float32Writer(float_graph(checkpoint), checkpoint)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tinyloc.emit"),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    files = {
        name: environment.get_template(name.replace("model", "float32_model") + ".j2").render(
            writer.context()
        )
        for name in ("tinyloc_model.h", "tinyloc_model.c")
    }
    for source in ("tinyloc_float32.h", "tinyloc_float32.c"):
        files[source] = (resources.files("tinyloc.csrc") / "float32" / source).read_text()
    paths = [folder / name for name in files]
    for path in paths:
        write_text(path, files[path.name])
    return paths


class Float32Writer:
    """Collects the C of one float graph."""

    def __init__(self, graph: FloatGraph, checkpoint: Checkpoint) -> None:
        self.checkpoint, self.output = checkpoint, graph.output
        self.sizes = {SAMPLE: len(checkpoint.access_points)}
        self.tables: list[tuple[str, str, int, str]] = []
        self.states: list[tuple[str, int]] = []
        self.calls: list[str] = []
        for operator in graph.operators:
            identifier(operator.name)
            float32_call(operator, self)

    def context(self) -> dict[str, object]:
        """What the templates ask for."""
        model = self.checkpoint
        points, rooms = model.access_points, model.rooms
        tensors = [(name, size) for name, size in self.sizes.items() if name not in (SAMPLE, self.output)]
        title = f"{model.family} {model.config.name}: {len(points)} access points, {len(rooms)} rooms"
        return {
            "title": comment(title),
            "version": __version__,
            "points": len(points),
            "point_names": [comment(name) for name in points],
            "rooms": [comment(name) for name in rooms],
            "steps": model.window_steps,
            "carried": model.state == "carried",
            "states": self.states,
            "tensors": tensors,
            "state_bytes": 4 * sum(size for _, size in (*self.states, *tensors)),
            "tables": self.tables,
            "calls": self.calls,
        }

    def table(self, name: str, values: Float) -> str:
        """Add a constant table; returns its name."""
        words = [f"{float(value)!r}F" for value in values.astype(np.float32).ravel()]
        lines, line = [], "   "
        for word in words:
            if len(line) + len(word) + 2 > LINE:
                lines.append(line)
                line = "   "
            line += f" {word},"
        shape = " x ".join(str(length) for length in values.shape)
        self.tables.append((identifier(name), shape, values.size, "\n".join([*lines, line])))
        return name

    def state(self, name: str, size: int) -> str:
        """Add what lasts from step to step; returns where it lies."""
        self.states.append((identifier(name), size))
        return f"state->{name}"

    def pointer(self, name: str) -> str:
        """Where a tensor lies, as a C expression."""
        if name == SAMPLE:
            return "sample"
        return "result->scores" if name == self.output else f"state->{identifier(name)}"

    def call(self, function: str, *arguments: str | int) -> None:
        """Add a call of `tinyloc_float32_<function>`."""
        self.calls.append(f"tinyloc_float32_{function}({', '.join(str(part) for part in arguments)});")


@singledispatch
def float32_call(op: FloatOperator, to: Float32Writer) -> None:
    """Add one operator: its tables, its state, its call; the size of what it makes goes into `to.sizes`."""
    what = type(op).__name__.removeprefix("Float")
    raise QuantisationError(
        f"no C in float32 is known of the operator {what}: a plain Mamba is what there is"
    )


def _lookup(table: Float, name: str, x: str, y: str, to: Float32Writer) -> None:
    if np.array_equal(table[1:], np.arange(-127, 128)):
        to.call("fill", f"{float(np.float32(table[0]))!r}F", to.sizes[y], to.pointer(x), to.pointer(y))
    else:
        to.call("lookup", to.table(f"{name}_table", table), to.sizes[y], to.pointer(x), to.pointer(y))


@float32_call.register
def _(op: FloatLookup, to: Float32Writer) -> None:
    to.sizes[op.y] = to.sizes[op.x]
    _lookup(op.table, op.name, op.x, op.y, to)


def _linear(name: str, weight: Float, bias: Float, x: str, y: str, to: Float32Writer) -> None:
    to.sizes[y] = len(weight)
    tables = to.table(f"{name}_weight", weight), to.table(f"{name}_bias", bias)
    to.call("linear", *tables, *weight.shape, to.pointer(x), to.pointer(y))


@float32_call.register
def _(op: FloatLinear, to: Float32Writer) -> None:
    _linear(op.name, op.weight, op.bias, op.x, op.y, to)


@float32_call.register
def _(op: FloatEmbed, to: Float32Writer) -> None:
    signal = f"{op.name}_signal"
    to.sizes[signal] = to.sizes[op.x]
    _lookup(op.table, op.name, op.x, signal, to)
    _linear(op.name, op.weight, op.bias, signal, op.y, to)


@float32_call.register
def _(op: FloatRmsNorm, to: Float32Writer) -> None:
    size = to.sizes[op.y] = to.sizes[op.x]
    to.call("rms_norm", f"{op.epsilon!r}F", size, to.pointer(op.x), to.pointer(op.y))


@float32_call.register
def _(op: FloatDepthwiseConv, to: Float32Writer) -> None:
    channels, taps = op.weight.shape
    to.sizes[op.y] = channels
    tables = to.table(f"{op.name}_weight", op.weight), to.table(f"{op.name}_bias", op.bias)
    past = to.state(f"{op.name}_past", channels * (taps - 1))
    to.call("conv", *tables, channels, taps, past, to.pointer(op.x), to.pointer(op.y))


@float32_call.register
def _(op: FloatCurve, to: Float32Writer) -> None:
    size = to.sizes[op.y] = to.sizes[op.x]
    to.call(op.kind, size, to.pointer(op.x), to.pointer(op.y))


@float32_call.register
def _(op: FloatScan, to: Float32Writer) -> None:
    channels, states = op.A.shape
    to.sizes[op.y] = channels
    tables = to.table(f"{op.name}_rate", op.A * math.log2(math.e)), to.table(f"{op.name}_skip", op.D)
    h = to.state(f"{op.name}_h", channels * states)
    operands = [to.pointer(name) for name in (op.dt, op.b, op.c, op.x, op.y)]
    to.call("scan", *tables, channels, states, h, *operands)


@float32_call.register
def _(op: FloatMultiply, to: Float32Writer) -> None:
    size = to.sizes[op.y] = to.sizes[op.a]
    to.call("multiply", size, *(to.pointer(name) for name in (op.a, op.b, op.y)))


@float32_call.register
def _(op: FloatAdd, to: Float32Writer) -> None:
    size = to.sizes[op.y] = to.sizes[op.a]
    to.call("add", size, *(to.pointer(name) for name in (op.a, op.b, op.y)))
