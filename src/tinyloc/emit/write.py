"""Fill the templates: one graph in, a folder of C99 out.

An operator becomes three things in the C: its tables, a constant record of its numbers, and one call. The
kernels are copied beside them, so the folder compiles on its own with any C99 compiler.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import singledispatchmethod
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import numpy.typing as npt

from tinyloc import __version__
from tinyloc.emit.literals import array, comment, identifier, integer, unpacking_order
from tinyloc.emit.plan import Plan, plan
from tinyloc.files import write_text
from tinyloc.quant.graph import (
    HELD,
    SAMPLE,
    Add,
    Attention,
    Collect,
    Conv,
    Curve,
    DepthwiseConv,
    Forest,
    Graph,
    Interleave,
    LastRow,
    LayerNorm,
    Linear,
    Lookup,
    MeanRows,
    Multiply,
    Operator,
    Position,
    RmsNorm,
    Scan,
    Standardise,
    Statistics,
    Viterbi,
)
from tinyloc.quant.tables import EXP2, RECIPROCAL, RSQRT

WINDOW_FILES = ("tinyloc_window.h", "tinyloc_window.c", "tinyloc_attention.c", "tinyloc_decide.c")
"""Kernels that only a graph of whole windows needs."""


@dataclass
class _Text:
    tables: list[dict[str, Any]] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    window_calls: list[str] = field(default_factory=list)


def emit(graph: Graph, folder: Path) -> list[Path]:
    """Write the C of `graph` into `folder`; returns the files. Raises OutputError, QuantisationError."""
    layout = plan(graph)
    writer = Writer(graph, layout)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tinyloc.emit"),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    context = writer.context()
    files = {
        name: environment.get_template(f"{name}.j2").render(context)
        for name in ("tinyloc_model.h", "tinyloc_model.c")
    }
    for source in sorted(resources.files("tinyloc.csrc").iterdir(), key=lambda entry: entry.name):
        needed = bool(graph.windowed) or source.name not in WINDOW_FILES
        if source.name.endswith((".c", ".h")) and needed:
            files[source.name] = source.read_text()
    paths = []
    for name, text in files.items():
        write_text(folder / name, text)
        paths.append(folder / name)
    return paths


class Writer:
    """Collects the C of one graph."""

    def __init__(self, graph: Graph, layout: Plan) -> None:
        self.graph, self.layout = graph, layout
        self.text = _Text()
        self.windowed = graph.windowed
        self.late = False  # whether the operator at hand waits for a full window
        self._table("tinyloc_exp2_table", EXP2, linkage="")
        self._table("tinyloc_rsqrt_table", RSQRT, linkage="")
        if self.windowed:
            self._table("tinyloc_reciprocal_table", RECIPROCAL, linkage="")
        for operator in graph.operators:
            identifier(operator.name)
            self.late = operator.output in self.windowed and not isinstance(operator, Collect)
            self.operator(operator)

    def context(self) -> dict[str, Any]:
        """What the templates ask for."""
        graph = self.graph
        states = [
            {
                "type": _integer_type(kept.bits),
                "name": identifier(kept.name),
                "size": kept.size,
                "bytes": kept.bytes,
            }
            for kept in graph.states()
        ]
        carried = graph.state == "carried"
        title = (
            f"{graph.family} {graph.size}: {len(graph.access_points)} access points, {len(graph.rooms)} rooms"
        )
        return {
            "title": comment(title),
            "version": __version__,
            "points": len(graph.access_points),
            "point_names": [comment(name) for name in graph.access_points],
            "rooms": [comment(name) for name in graph.rooms],
            "steps": graph.window_steps,
            "seconds": f"{graph.seconds_per_step:g}" if graph.seconds_per_step else "",
            "reset_rule": "after a gap in the samples"
            if carried
            else f"before each window of {graph.window_steps} samples; the answer after the last one counts",
            "window_rule": "the state runs on" if carried else "from tinyloc_init to the answer that counts",
            "states": states,
            "arena_halves": self.layout.bytes // 2,
            "scratch_words": self.layout.scratch // 4,
            "state_bytes": state_bytes(graph),
            "score_scale": f"{graph.tensor(graph.output).scale:.6g}",
            "tables": self.text.tables,
            "records": self.text.records,
            "tensors": self._tensors(),
            "calls": self.text.calls,
            "window_calls": self.text.window_calls,
            "windowed": bool(self.windowed),
        }

    def _tensors(self) -> list[str]:
        lines = []
        for tensor in self.graph.tensors:
            if tensor.name in self.layout.offset:
                kind = _integer_type(tensor.bits)
                at = self.layout.offset[tensor.name]
                name = identifier(tensor.name)
                rows = f"[{tensor.rows}]" if tensor.rows > 1 else ""
                place = f"arena + {at // 2}" if tensor.bits == 16 else f"(int8_t *)(arena + {at // 2})"
                lines.append(f"{kind} *const {name} = {place}; /* {rows}[{tensor.size}] */")
        return lines

    def _pointer(self, name: str) -> str:
        if name == SAMPLE:
            return "sample"
        if name == self.graph.output:
            return f"state->{HELD}" if self.windowed else "result->scores"
        for operator in self.graph.operators:
            if isinstance(operator, Collect) and operator.output == name:
                return f"state->{operator.state(self.graph).name}"
        return identifier(name)

    def _table(self, name: str, values: npt.NDArray[Any], linkage: str = "static") -> str:
        self.text.tables.append(
            {
                "linkage": linkage,
                "type": f"{np.dtype(values.dtype).name}_t",
                "name": identifier(name),
                "size": values.size,
                "shape": " x ".join(str(length) for length in values.shape),
                "body": array(values),
            }
        )
        return name

    def _record(self, operator: Operator, kind: str, **fields: int | str) -> str:
        entries = [
            (key, integer(value) if isinstance(value, int) else value) for key, value in fields.items()
        ]
        self.text.records.append({"type": kind, "name": operator.name, "fields": entries})
        return f"&{operator.name}"

    def _call(self, function: str, *arguments: str) -> None:
        calls = self.text.window_calls if self.late else self.text.calls
        calls.append(f"{function}({', '.join(arguments)});")

    def _row_by_row(self, function: str, record: str, x: str, y: str) -> None:
        """A call for each row of y, of an operator that knows one row only."""
        rows, widths = self.graph.tensor(y).rows, [self.graph.tensor(name).size for name in (x, y)]
        if rows == 1:
            self._call(function, record, self._pointer(x), self._pointer(y))
            return
        at = [f"{self._pointer(name)} + row * {width}" for name, width in zip((x, y), widths, strict=True)]
        self.text.window_calls += [
            f"for (uint16_t row = 0; row < {rows}; row++) {{",
            f"    {function}({record}, {', '.join(at)});",
            "}",
        ]

    def _elements(self, name: str) -> int:
        tensor = self.graph.tensor(name)
        return tensor.rows * tensor.size

    def _bits(self, name: str) -> int:
        return self.graph.tensor(name).bits

    def _rows(self, op: Linear | DepthwiseConv | Conv) -> dict[str, str]:
        return {
            part: self._table(f"{op.name}_{part}", getattr(op, part))
            for part in ("weight", "bias", "multiplier", "shift")
        }

    @singledispatchmethod
    def operator(self, op: Operator) -> None:
        """Add one operator's tables, record and call."""
        raise TypeError(f"no C form of {type(op).__name__}")

    @operator.register
    def _(self, op: Lookup) -> None:
        table = self._table(f"{op.name}_table", op.table)
        size = str(self._elements(op.y))
        self._call(
            f"tinyloc_lookup_{self._bits(op.y)}", table, size, self._pointer(op.x), self._pointer(op.y)
        )

    @operator.register
    def _(self, op: Curve) -> None:
        table = self._table(f"{op.name}_table", op.table)
        size = str(self._elements(op.y))
        self._call("tinyloc_curve", table, size, self._pointer(op.x), self._pointer(op.y))

    @operator.register
    def _(self, op: Linear) -> None:
        outputs, inputs = op.weight.shape
        if self._bits(op.x) == 16:
            op = replace(op, weight=unpacking_order(op.weight))
        limit = self.graph.tensor(op.y).limit
        record = self._record(
            op, "tinyloc_linear", **self._rows(op), outputs=outputs, inputs=inputs, limit=limit
        )
        function = f"tinyloc_linear_{self._bits(op.x)}_{self._bits(op.y)}"
        self._row_by_row(function, record, op.x, op.y)

    @operator.register
    def _(self, op: RmsNorm) -> None:
        y = self.graph.tensor(op.y)
        record = self._record(
            op, "tinyloc_rms_norm", epsilon=op.epsilon, size=y.size, shift=op.shift, limit=y.limit
        )
        self._row_by_row(f"tinyloc_rms_norm_16_{y.bits}", record, op.x, op.y)

    @operator.register
    def _(self, op: DepthwiseConv) -> None:
        channels, taps = op.weight.shape
        limit = self.graph.tensor(op.y).limit
        record = self._record(op, "tinyloc_conv", **self._rows(op), channels=channels, taps=taps, limit=limit)
        function = f"tinyloc_conv_{self._bits(op.x)}_{self._bits(op.y)}"
        past = f"state->{op.state(self.graph).name}"
        self._call(function, record, past, self._pointer(op.x), self._pointer(op.y))

    @operator.register
    def _(self, op: Scan) -> None:
        channels, states = op.decay.shape
        record = self._record(
            op,
            "tinyloc_scan",
            decay=self._table(f"{op.name}_decay", op.decay),
            skip=self._table(f"{op.name}_skip", op.skip),
            u_multiplier=op.u_multiplier,
            y_multiplier=op.y_multiplier,
            channels=channels,
            states=states,
            decay_shift=op.decay_shift,
            u_shift=op.u_shift,
            skip_shift=op.skip_shift,
            y_shift=op.y_shift,
            limit=self.graph.tensor(op.y).limit,
        )
        operands = [self._pointer(name) for name in (op.dt, op.b, op.c, op.x, op.y)]
        self._call(
            f"tinyloc_scan_{self._bits(op.x)}", record, f"state->{op.state(self.graph).name}", *operands
        )

    @operator.register
    def _(self, op: Multiply) -> None:
        y = self.graph.tensor(op.y)
        record = self._record(
            op,
            "tinyloc_multiply",
            multiplier=op.multiplier,
            size=self._elements(op.y),
            shift=op.shift,
            limit=y.limit,
        )
        function = f"tinyloc_multiply_{self._bits(op.b)}_{y.bits}"
        self._call(function, record, *(self._pointer(name) for name in (op.a, op.b, op.y)))

    @operator.register
    def _(self, op: Add) -> None:
        y = self.graph.tensor(op.y)
        record = self._record(
            op,
            "tinyloc_add",
            a_multiplier=op.a_multiplier,
            b_multiplier=op.b_multiplier,
            size=self._elements(op.y),
            shift=op.shift,
            limit=y.limit,
        )
        self._call("tinyloc_add_16", record, *(self._pointer(name) for name in (op.a, op.b, op.y)))

    @operator.register
    def _(self, op: Collect) -> None:
        x, y = self.graph.tensor(op.x), self.graph.tensor(op.y)
        at = "(uint16_t)state->clock[0]"
        self._call(f"tinyloc_collect_{x.bits}", self._pointer(y.name), at, str(x.size), self._pointer(x.name))

    @operator.register
    def _(self, op: Position) -> None:
        table = self._table(f"{op.name}_table", op.table)
        limit = str(self.graph.tensor(op.y).limit)
        x, y = self._pointer(op.x), self._pointer(op.y)
        self._call("tinyloc_position", table, str(self._elements(op.y)), limit, x, y)

    @operator.register
    def _(self, op: LayerNorm) -> None:
        y = self.graph.tensor(op.y)
        record = self._record(
            op,
            "tinyloc_layer_norm",
            gain=self._table(f"{op.name}_gain", op.gain),
            bias=self._table(f"{op.name}_bias", op.bias),
            epsilon=op.epsilon,
            mean_multiplier=op.mean_multiplier,
            rows=y.rows,
            size=y.size,
            mean_shift=op.mean_shift,
            gain_shift=op.gain_shift,
            shift=op.shift,
            limit=y.limit,
        )
        self._call("tinyloc_layer_norm_16", record, self._pointer(op.x), self._pointer(op.y))

    @operator.register
    def _(self, op: Attention) -> None:
        y = self.graph.tensor(op.y)
        record = self._record(
            op,
            "tinyloc_attention",
            score_multiplier=op.score_multiplier,
            y_multiplier=op.y_multiplier,
            rows=y.rows,
            others=self.graph.tensor(op.k).rows,
            size=y.size,
            heads=op.heads,
            score_shift=op.score_shift,
            y_shift=op.y_shift,
            limit=y.limit,
        )
        operands = [self._pointer(name) for name in (op.q, op.k, op.v, op.y)]
        self._call("tinyloc_attention_16", record, "state->scratch", *operands)

    @operator.register
    def _(self, op: MeanRows) -> None:
        x, y = self.graph.tensor(op.x), self.graph.tensor(op.y)
        numbers = [integer(n) for n in (x.rows, x.size, op.multiplier, op.shift, y.limit)]
        self._call("tinyloc_mean_rows", *numbers, self._pointer(op.x), self._pointer(op.y))

    @operator.register
    def _(self, op: LastRow) -> None:
        x = self.graph.tensor(op.x)
        self._call("tinyloc_last_row", str(x.rows), str(x.size), self._pointer(op.x), self._pointer(op.y))

    @operator.register
    def _(self, op: Conv) -> None:
        x, y = self.graph.tensor(op.x), self.graph.tensor(op.y)
        record = self._record(
            op,
            "tinyloc_rows_conv",
            **self._rows(op),
            x_rows=x.rows,
            rows=y.rows,
            inputs=x.size,
            outputs=y.size,
            taps=op.taps,
            stride=op.stride,
            past=op.past,
            limit=y.limit,
        )
        self._call("tinyloc_rows_conv_16", record, self._pointer(op.x), self._pointer(op.y))

    @operator.register
    def _(self, op: Interleave) -> None:
        a = self.graph.tensor(op.a)
        operands = [self._pointer(name) for name in (op.a, op.b, op.c, op.y)]
        self._call("tinyloc_interleave", str(a.rows), str(a.size), *operands)

    @operator.register
    def _(self, op: Viterbi) -> None:
        x, y = self.graph.tensor(op.x), self.graph.tensor(op.y)
        tables = {
            part: self._table(f"{op.name}_{part}", getattr(op, part))
            for part in ("transitions", "start", "end")
        }
        record = self._record(op, "tinyloc_viterbi", **tables, rows=x.rows, rooms=x.size, limit=y.limit)
        self._call("tinyloc_viterbi_16", record, "state->scratch", self._pointer(op.x), self._pointer(op.y))

    @operator.register
    def _(self, op: Statistics) -> None:
        x = self.graph.tensor(op.x)
        self._call("tinyloc_statistics", str(x.rows), str(x.size), self._pointer(op.x), self._pointer(op.y))

    @operator.register
    def _(self, op: Standardise) -> None:
        y = self.graph.tensor(op.y)
        tables = {
            part: self._table(f"{op.name}_{part}", getattr(op, part))
            for part in ("offset", "multiplier", "shift")
        }
        record = self._record(op, "tinyloc_standardise", **tables, size=y.size, limit=y.limit)
        self._call("tinyloc_standardise_16", record, self._pointer(op.x), self._pointer(op.y))

    @operator.register
    def _(self, op: Forest) -> None:
        tables = {
            part: self._table(f"{op.name}_{part}", getattr(op, part))
            for part in ("feature", "threshold", "left", "right", "roots")
        }
        rooms = self.graph.tensor(op.y).size
        record = self._record(op, "tinyloc_forest", **tables, trees=len(op.roots), rooms=rooms)
        self._call("tinyloc_forest_16", record, self._pointer(op.x), self._pointer(op.y))


def state_bytes(graph: Graph) -> int:
    """sizeof(tinyloc_state) in bytes, where int32_t is aligned to 4."""
    kept = 0
    for state in graph.states():
        width = state.bits // 8
        kept = -(-kept // width) * width + state.bytes
    layout = plan(graph)
    return -(-kept // 4) * 4 + layout.bytes + layout.scratch


def _integer_type(bits: int) -> str:
    return f"int{bits}_t"
