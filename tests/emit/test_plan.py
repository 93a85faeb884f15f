"""The memory plan: tensors that live at the same time never share a byte."""

from dataclasses import replace

import pytest
from builders import mamba, scaling, signal
from ensemble_models import P, made
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyloc.emit.plan import place, plan
from tinyloc.emit.schedule import BLOCK, BY_ROW, cut, orders, whole
from tinyloc.models import families
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.models.config import MdcsaConfig, TransformerConfig
from tinyloc.models.ensemble import members
from tinyloc.quant.graph import SAMPLE, Add, Collect, Graph, Relu, Scan, Tensor
from tinyloc.quant.lower import lower


@settings(max_examples=15, deadline=None)
@given(
    st.sampled_from([1, 3, 8, 20]), st.integers(1, 3), st.integers(1, 30), st.integers(2, 20),
    st.sampled_from(["int16", "int8"]),
)  # fmt: skip
def test_no_two_living_tensors_overlap(
    hidden: int, layers: int, points: int, rooms: int, precision: str
) -> None:
    _, checkpoint = mamba(hidden, layers, points, rooms)
    graph = lower(checkpoint, signal(20, 20, points), precision)  # type: ignore[arg-type]
    nothing_overlaps(graph)


def test_a_scan_never_writes_over_b_or_c() -> None:
    """All operands have one size when E is N; here its input and its step are still needed behind it."""
    _, checkpoint = mamba(8, 1)
    graph = lower(checkpoint, signal(20, 20, 6))
    at = next(i for i, op in enumerate(graph.operators) if isinstance(op, Scan))
    late = Add("late", "x0", "dt0", "kept", 1 << 30, 1 << 30, 31)
    made = replace(
        graph,
        tensors=(*graph.tensors, Tensor("kept", 16, 16, 32767, 1.0)),
        operators=(*graph.operators[: at + 1], late, *graph.operators[at + 1 :]),
    )
    nothing_overlaps(made.check())


@pytest.mark.parametrize("layers", [1, 3])
def test_both_modalities_share_one_arena(layers: int) -> None:
    config = MdcsaConfig(6, 4, 8, layers, accelerometer=True)
    weights = families.build(config).weights()
    names = tuple("abcd"), tuple("uvwxyz")
    checkpoint = Checkpoint(config, scaling("minmax", 6), weights, *names, 20, 0.2, "reset")
    graph = lower(checkpoint, signal(20, 20, 9))
    nothing_overlaps(graph)
    gates = [operator for operator in graph.operators if isinstance(operator, Collect)]
    assert [graph.tensor(gate.output).bytes for gate in gates] == [20 * 8 * 2, 20 * 3]


@pytest.mark.parametrize("name", ["mixed", "whole", "single"])
def test_members_of_an_ensemble_share_one_arena(name: str) -> None:
    steps, checkpoint = made(name)
    graph = lower(checkpoint, signal(20, steps, P))
    nothing_overlaps(graph)
    alone = [plan(lower(member, signal(20, steps, P))).bytes for member in members(checkpoint)]
    assert plan(graph).bytes < 0.9 * sum(alone)


@pytest.mark.parametrize(("layers", "steps"), [(1, 20), (2, 20), (2, 9)])
def test_an_encoder_keeps_a_stream_the_keys_and_the_values(layers: int, steps: int) -> None:
    config = TransformerConfig(6, 4, steps, 16, layers)
    names = tuple("abcd"), tuple("uvwxyz")
    weights = families.build(config).weights()
    checkpoint = Checkpoint(config, scaling("minmax", 6), weights, *names, steps, 0.2, "reset")
    graph = lower(checkpoint, signal(20, steps, 6))
    nothing_overlaps(graph)
    layout = plan(graph)
    window = steps * 16 * 2
    assert set(layout.in_state) >= {f"stream{i}" for i in range(layers)}  # in the rows that were collected
    assert 2 * window < layout.bytes < 2 * window + 2 * 2 * (4 * 16 + 32) + 1
    least = min(place(cut(order)).bytes for order in orders(graph))
    assert layout.bytes == least < place(cut(graph)).bytes


def nothing_overlaps(graph: Graph) -> None:
    """Write and read every row in the order of the C: what is read must be what was written."""
    layout = plan(graph)
    schedule = layout.schedule
    order = schedule.graph
    gates = {gate.output for gate in order.operators if isinstance(gate, Collect)}
    memory: dict[
        tuple[str, int], tuple[str, int]
    ] = {}  # place and byte -> the tensor and the row that it holds

    def cells(name: str, row: int) -> list[tuple[str, int]]:
        """The bytes of one row, in the arena or in the state of a gate."""
        tensor = order.tensor(name)
        width = tensor.size * tensor.bits // 8
        place = layout.in_state.get(name, name if name in gates else "arena")
        at = layout.offset.get(name, 0) + row % schedule.rows(name) * width
        return [(place, byte) for byte in range(at, at + width)]

    def placed(name: str) -> bool:
        """Whether it has bytes of its own; the newest row of a gate is that row."""
        return name not in layout.newest and (
            name in layout.offset or name in layout.in_state or name in gates
        )

    def reads(name: str, row: int) -> None:
        if placed(name):
            assert all(memory[cell] == (name, row) for cell in cells(name, row)), (name, row)

    def writes(name: str, row: int) -> None:
        if placed(name):
            memory.update(dict.fromkeys(cells(name, row), (name, row)))

    for stage in schedule.stages:
        for start in range(0, max(stage.rows, 1), BLOCK):
            for operator in stage.operators:
                rows = range(start, min(start + BLOCK, stage.rows)) if stage.rows else None
                y = order.tensor(operator.output)
                made = range(y.rows) if rows is None else rows
                in_place = isinstance(operator, BY_ROW)
                output = {cell for row in made for cell in cells(y.name, row) if placed(y.name)}
                for name in operator.inputs:
                    # an input may be written over in place, but only exactly and only if allowed
                    lies = {cell for row in range(order.tensor(name).rows) for cell in cells(name, row)}
                    if placed(name) and output & lies:
                        assert name in [getattr(operator, field) for field in operator.overwrites]
                        assert all(cells(name, row) == cells(y.name, row) for row in made)
                    beyond = rows is None or name in whole(operator)
                    for row in range(order.tensor(name).rows) if beyond else ():
                        reads(name, row)
                for row in made:
                    for name in operator.inputs if in_place else ():
                        if order.tensor(name).rows == y.rows and name not in whole(operator):
                            reads(name, row)
                    writes(y.name, row)
                    # a sum of other rows is still to come
                    for name in whole(operator) if in_place and row != made[-1] else ():
                        for other in range(order.tensor(name).rows):
                            reads(name, other)
    assert layout.bytes % 4 == 0
    assert all(offset % 4 == 0 for offset in layout.offset.values())
    assert all(layout.offset[n] + schedule.bytes(n) <= layout.bytes for n in layout.offset)
    names = [operator.name for operator in graph.operators]
    assert {operator.name for operator in order.operators} >= set(names) - {
        op.name for op in graph.operators if isinstance(op, Relu)
    }


@pytest.mark.parametrize("hidden", [8, 32])
def test_sharing_saves_most_of_the_arena(hidden: int) -> None:
    _, checkpoint = mamba(hidden, 1, 11, 9)
    graph = lower(checkpoint, signal(20, 20, 11))
    apart = sum(t.bytes for t in graph.tensors if t.name not in (SAMPLE, graph.output))
    assert plan(graph).bytes < 0.5 * apart
