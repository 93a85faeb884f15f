"""Fill the templates: one graph in, a folder of C99 out.

An operator becomes three things in the C: its tables, a constant record of its numbers, and one call. The
kernels are copied beside them, so the folder compiles on its own with any C99 compiler.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import numpy.typing as npt

from tinyloc import __version__
from tinyloc.emit import (  # noqa: F401  (they register)
    answer_operators,
    decision_operators,
    follow_operators,
    window_operators,
)
from tinyloc.emit.literals import array, comment, factor_of, identifier, integer
from tinyloc.emit.operators import emit_operator
from tinyloc.emit.plan import Plan, plan
from tinyloc.emit.schedule import BLOCK
from tinyloc.files import write_text
from tinyloc.quant.graph import (
    CLOCK,
    HELD,
    MOTION,
    PROBABILITY,
    SAMPLE,
    SETTLED,
    UNKNOWN,
    Add,
    Collect,
    Conv,
    DepthwiseConv,
    Embed,
    Extra,
    Forest,
    Graph,
    Linear,
    Multiply,
    Novelty,
    Operator,
    Running,
    Standardise,
)
from tinyloc.quant.operator import lift_of
from tinyloc.quant.stream import answer_bytes, gap_steps
from tinyloc.quant.tables import EXP2, RECIPROCAL, RSQRT

WINDOW_FILES = (
    "tinyloc_window.h",
    "tinyloc_window.c",
    "tinyloc_rows.c",
    "tinyloc_attention.c",
    "tinyloc_decide.c",
)
"""Kernels that only a graph of whole windows needs."""
DECISION_FILES = ("tinyloc_settle.h", "tinyloc_settle.c")
"""Kernels that only a decision layer needs."""
FOLLOW_FILES = ("tinyloc_follow.h", "tinyloc_follow.c")
"""Kernels that only a model that follows its receivers needs."""
PACKED_FILES = ("tinyloc_packed.h", "tinyloc_packed.c")
"""Kernels that only weights of 4 bits need."""
ANSWER_FILES = ("tinyloc_answer.h", "tinyloc_answer.c")
"""Kernels that only what is added to the answer needs."""
RUNNING_FILES = ("tinyloc_running.c",)
"""Kernels that only running statistics need."""


NAME_BYTES = 24
"""Of a name in a package, with the 0 at its end."""
SEGMENTS = 2
"""Of golden samples: real ones, and any bytes."""
GUARD_FILES = ("tinyloc_guard.h", "tinyloc_guard.c")
"""Kernels that only a model that proves its tables before the first inference needs."""


class _Trace(str):
    """A line of C that stands in `tinyloc_step_traced` alone."""

    __slots__ = ()


@dataclass
class _Text:
    tables: list[dict[str, Any]] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    window_calls: list[str] = field(default_factory=list)
    decision_calls: list[str] = field(default_factory=list)
    learn_calls: list[str] = field(default_factory=list)
    answer_calls: list[str] = field(default_factory=list)


def emit(graph: Graph, folder: Path, *, guarded: bool = False) -> list[Path]:
    """Write the C of `graph` into `folder`; returns the files. Raises OutputError, QuantisationError.

    With `guarded` the C refuses to answer where a constant table is not what was written, and has a second
    step that leaves a checksum of each operator (for packages: `emit/package.py`).
    """
    paths = []
    for name, text in texts(graph, guarded=guarded).items():
        write_text(folder / name, text)
        paths.append(folder / name)
    return paths


def texts(graph: Graph, *, guarded: bool = False) -> dict[str, str]:
    """What `emit` writes: file name -> text."""
    writer = Writer(graph, plan(graph, traced=guarded), guarded=guarded)
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
    runs = any(isinstance(operator, Running) for operator in graph.operators)
    for source in sorted(resources.files("tinyloc.csrc").iterdir(), key=lambda entry: entry.name):
        missing = (() if graph.windowed else WINDOW_FILES) + (() if graph.packed else PACKED_FILES)
        missing += () if graph.decision is not None else DECISION_FILES
        missing += () if graph.follower is not None else FOLLOW_FILES
        missing += (() if runs else RUNNING_FILES) + (() if graph.extras else ANSWER_FILES)
        missing += () if guarded else GUARD_FILES
        if source.name.endswith((".c", ".h")) and source.name not in missing:
            files[source.name] = source.read_text()
    return files


class Writer:
    """Collects the C of one graph."""

    def __init__(self, graph: Graph, layout: Plan, *, guarded: bool = False) -> None:
        self.layout, self.guarded = layout, guarded
        self.order = [operator.name for operator in graph.operators]  # that a trace follows
        self.graph = graph = layout.schedule.graph
        self.traced: set[str] = set()
        self.looping = 0  # rows of the loop that the operator at hand stands in, 0 outside of one
        self.text = _Text()
        self.windowed = graph.windowed
        self.tables: dict[tuple[str, bytes], str] = {}  # what a static table holds -> its name
        self.late = False  # whether the operator at hand waits for a full window
        self.deciding = False  # whether it is the decision layer
        self.adding = False  # whether it only adds to the answer
        self.table("tinyloc_exp2_table", EXP2, linkage="")
        self.table("tinyloc_rsqrt_table", RSQRT, linkage="")
        if self.windowed:
            self.table("tinyloc_reciprocal_table", RECIPROCAL, linkage="")
        for stage in layout.schedule.stages:
            if stage.rows:
                self.text.window_calls += _loop(stage.rows)
            self.looping = stage.rows
            for operator in stage.operators:
                identifier(operator.name)
                self.late = operator.output in self.windowed and not isinstance(operator, Collect)
                self.deciding = operator is graph.decision
                self.adding = isinstance(operator, Extra)
                emit_operator(operator, self)
                self._trace(operator)
            if stage.rows:
                self.text.window_calls.append("}")
        self.looping = 0

    def _trace(self, operator: Operator) -> None:
        """A checksum of what the operator left, in the traced step; of a window's rows when it is full, in a
        loop of those at hand. What is done a second time is not traced again.
        """
        at = self.order.index(operator.name)
        if operator.name in self.traced:
            return
        self.traced.add(operator.name)
        y = self.graph.tensor(operator.output)
        size = integer(y.size if self.adding else y.bytes)  # in an answer each number is one byte
        if self.looping:
            size = f"(uint32_t)({self.elements(y.name)}) * {y.bits // 8}"
        line = _Trace(f"trace[{at}] = tinyloc_crc32(trace[{at}], {self.pointer(y.name)}, {size});")
        if isinstance(operator, Collect):
            self.text.window_calls.append(line)
        else:
            self._calls().append(line)

    def context(self) -> dict[str, Any]:
        """What the templates ask for."""
        graph = self.graph
        lasting = set(graph.lasting())
        states = [
            {
                "type": _integer_type(kept.bits),
                "name": identifier(kept.name),
                "size": kept.size,
                "bytes": kept.bytes,
                "lasts": "window to window" if kept in lasting else "step to step",
            }
            for kept in graph.states()
        ]
        carried, decision = graph.state == "carried", graph.decision
        outlive = [identifier(kept.name) for kept in graph.lasting()]
        keeps = (
            ("the room that is held", decision is not None),
            ("what receivers are off by", graph.follower is not None),
            ("how unknown the signal was", any(isinstance(extra, Novelty) for extra in graph.extras)),
        )
        title = (
            f"{graph.family} {graph.size}: {len(graph.access_points)} access points, {len(graph.rooms)} rooms"
        )
        return {
            "title": comment(title),
            "version": __version__,
            "points": len(graph.access_points),
            "sample_bytes": graph.sample_bytes,
            "motion": graph.motion,
            "point_names": [comment(name) for name in graph.access_points],
            "rooms": [comment(name) for name in graph.rooms],
            "steps": graph.window_steps,
            "seconds": f"{graph.seconds_per_step:g}" if graph.seconds_per_step else "",
            "carried": carried,
            "window_rule": "the state runs on"
            if carried
            else "from tinyloc_restart to the answer that counts",
            "states": states,
            "arena_halves": self.layout.bytes // 2,
            "scratch_words": self.layout.scratch // 4,
            "state_bytes": _state_bytes(self.layout) + 4 * self.guarded,
            "score_unit": "one tree's vote"
            if isinstance(graph.operators[-1], Forest)
            else f"{graph.tensor(graph.output).scale:.6g} nats before softmax",
            "tables": self.text.tables,
            "records": self.text.records,
            "tensors": self._tensors(),
            "guarded": self.guarded,
            "name_bytes": NAME_BYTES,
            "segments": SEGMENTS,
            "operators": len(self.order),
            "tables_crc": self._tables_crc(),
            "steps_of": {False: self._steps(False), True: self._steps(True)},
            "windowed": bool(self.windowed),
            "packed": graph.packed,
            "sparse": any(isinstance(operator, Embed) for operator in graph.operators),
            "decision": decision is not None,
            "follows": graph.follower is not None,
            "first": decision.first if decision is not None else graph.window_steps,
            "hop": graph.period,
            "streams": bool(graph.hop),
            "answer_hop": graph.hop,
            "clocked": any(kept.name == CLOCK for kept in graph.states()),
            "begins": (HELD if self.windowed else CLOCK) if graph.begins_windows else "",
            "answer_bytes": answer_bytes(graph),
            "gap": gap_steps(graph),
            "extras": [extra.output for extra in graph.extras],
            "lag": decision.lag if decision is not None else 0,
            "lasting": outlive[0] if outlive else "",
            "behind_offsets": outlive[1] if len(outlive) > 1 else "arena",
            "kept_on": ", ".join(what for what, kept in keeps if kept),
            "settled": f"state->{SETTLED}",
        }

    def _steps(self, traced: bool) -> dict[str, list[str]]:
        """The lines of a step: before, in and behind a full window, and what is learned of its answer."""
        found = self.text
        parts = {
            "calls": found.calls,
            "window": found.window_calls + found.decision_calls + self._slides(),
            "answer": found.answer_calls,
            "learn": found.learn_calls,
        }
        return {
            name: [line for line in lines if traced or not isinstance(line, _Trace)]
            for name, lines in parts.items()
        }

    def _tables_crc(self) -> int:
        """CRC-32 of all tables, one behind the other."""
        return zlib.crc32(b"".join(table["raw"] for table in self.text.tables))

    def _slides(self) -> list[str]:
        """What moves the rows that the next window shares with this one to its beginning."""
        if not self.graph.overlaps:
            return []
        lines = []
        for operator in self.graph.operators:
            if isinstance(operator, Collect):
                rows, width = self.pointer(operator.output), self.graph.tensor(operator.output).size
                hop = self.graph.period * width
                lines.append(f"memmove({rows}, {rows} + {hop}, sizeof {rows} - {hop} * sizeof {rows}[0]);")
        return lines

    def _tensors(self) -> list[str]:
        lines = []
        for tensor in self.graph.tensors:
            if tensor.name in self.layout.offset:
                kind = _integer_type(tensor.bits)
                at = self.layout.offset[tensor.name]
                name = identifier(tensor.name)
                kept = self.layout.schedule.rows(tensor.name)
                rows = f"[{kept}]" if kept > 1 else ""
                place = f"arena + {at // 2}" if tensor.bits == 16 else f"(int8_t *)(arena + {at // 2})"
                lines.append(f"{kind} *const {name} = {place}; /* {rows}[{tensor.size}] */")
        return lines

    def pointer(self, name: str) -> str:
        """Where a tensor lies, or in a loop its rows at hand, as a C expression."""
        if self.looping and name not in self.layout.schedule.blocks:
            return f"{self.whole(name)} + row * {self.graph.tensor(name).size}"
        return self.whole(name)

    def whole(self, name: str) -> str:
        """Where a tensor begins, as a C expression."""
        if name == SAMPLE:
            return "sample"
        if name == MOTION:
            return f"(sample + {len(self.graph.access_points)})"
        if name in (PROBABILITY, UNKNOWN):
            return f"result->{name}" if name == PROBABILITY else f"&result->{name}"
        if name == SETTLED:
            return f"state->{SETTLED}"
        if name == self.graph.output:
            return f"state->{HELD}" if self.windowed else "result->scores"
        gate = self.layout.in_state.get(name, name)
        for operator in self.graph.operators:
            if isinstance(operator, Collect) and operator.output == gate:
                rows = f"state->{operator.state(self.graph).name}"
                size = self.graph.tensor(name).size
                return f"{rows} + state->{CLOCK}[0] * {size}" if name in self.layout.newest else rows
        return identifier(name)

    def table(self, name: str, values: npt.NDArray[Any], linkage: str = "static") -> str:
        """Add a constant table; returns its name, or that of one with the same content."""
        content = (values.dtype.name, values.tobytes())
        if linkage and content in self.tables:
            return self.tables[content]
        self.tables[content] = name
        self.text.tables.append(
            {
                "linkage": linkage,
                "type": f"{np.dtype(values.dtype).name}_t",
                "name": identifier(name),
                "size": values.size,
                "shape": " x ".join(str(length) for length in values.shape),
                "body": array(values),
                "raw": np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes(),
            }
        )
        return name

    def record(self, operator: Operator, kind: str, **fields: int | str) -> str:
        """Add an operator's constant struct of that type, once; returns a pointer to it."""
        entries = [
            (key, integer(value) if isinstance(value, int) else value) for key, value in fields.items()
        ]
        if all(record["name"] != operator.name for record in self.text.records):
            self.text.records.append({"type": kind, "name": operator.name, "fields": entries})
        return f"&{operator.name}"

    def call(self, function: str, *arguments: str) -> None:
        """Add a call, to the step's or to the full window's."""
        self._calls().append(f"{function}({', '.join(arguments)});")

    def learn(self, function: str, *arguments: str) -> None:
        """Add a call behind a full window, its decision and its answer."""
        self.text.learn_calls.append(f"{function}({', '.join(arguments)});")

    def _calls(self) -> list[str]:
        """Where the operator at hand is called: in each step, in a full window, behind it, in the answer."""
        if self.adding:
            return self.text.answer_calls
        if self.deciding:
            return self.text.decision_calls
        return self.text.window_calls if self.late else self.text.calls

    def row_by_row(self, function: str, record: str, x: str, y: str) -> None:
        """A call for each row of y at hand, of an operator that knows one row only."""
        if self.graph.tensor(y).rows == 1:
            self.call(function, record, self.pointer(x), self.pointer(y))
            return
        at = [f"{self.pointer(name)} + each * {self.graph.tensor(name).size}" for name in (x, y)]
        self.text.window_calls += [
            f"for (uint16_t each = 0; each < {self.count(y)}; each++) {{",
            f"    {function}({record}, {', '.join(at)});",
            "}",
        ]

    def count(self, name: str) -> str:
        """How many rows of a tensor are made at a time, as a C expression."""
        rows = self.graph.tensor(name).rows
        if not self.looping:
            return str(rows)
        return "rows" if rows % BLOCK else str(BLOCK)

    def elements(self, name: str) -> str:
        """Elements of a tensor that are made at a time, all rows together, as a C expression."""
        count, size = self.count(name), self.graph.tensor(name).size
        return str(int(count) * size) if count.isdigit() else f"(uint16_t)({count} * {size})"

    def bits(self, name: str) -> int:
        """How wide a tensor is stored."""
        return self.graph.tensor(name).bits

    def rows(
        self, op: Linear | Embed | DepthwiseConv | Conv, weight: npt.NDArray[Any] | None = None
    ) -> dict[str, str]:
        """Tables of weights, in another form where that is given, and what each row is requantised by."""
        parts = {part: getattr(op, part) for part in ("weight", "bias", "multiplier")}
        if weight is not None:
            parts["weight"] = weight
        tables = {part: self.table(f"{op.name}_{part}", values) for part, values in parts.items()}
        return {**tables, "factor": self.factor(op)}

    def factor(self, op: Linear | Embed | DepthwiseConv | Conv | Standardise | Multiply | Add) -> str:
        """What all rows of an operator are requantised by, as a C initialiser."""
        return factor_of(lift_of(op.shift), op.shift, self.graph.tensor(op.y).limit)


def state_bytes(graph: Graph) -> int:
    """sizeof(tinyloc_state) in bytes, where int32_t is aligned to 4."""
    return _state_bytes(plan(graph))


def _state_bytes(layout: Plan) -> int:
    kept = 0
    for state in layout.schedule.graph.states():
        width = state.bits // 8
        kept = -(-kept // width) * width + state.bytes
    return -(-kept // 4) * 4 + layout.bytes + layout.scratch


def _loop(rows: int) -> list[str]:
    """The head of a loop over so many rows, a block at a time; the last may have fewer."""
    head = [f"for (uint16_t row = 0; row < {rows}; row = (uint16_t)(row + {BLOCK})) {{"]
    if rows % BLOCK:
        head.append(f"    const uint16_t rows = (uint16_t)(row + {BLOCK} > {rows} ? {rows} - row : {BLOCK});")
    return head


def _integer_type(bits: int) -> str:
    return f"int{bits}_t"
