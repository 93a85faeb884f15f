"""The memory plan: tensors that live at the same time never share a byte."""

from dataclasses import replace

import pytest
from builders import mamba, scaling, signal
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyloc.emit.plan import plan
from tinyloc.models import families
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.models.config import MdcsaConfig
from tinyloc.quant.graph import SAMPLE, Add, Collect, Graph, Scan, Tensor
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


def nothing_overlaps(graph: Graph) -> None:
    """Follow the tensors that live, operator by operator."""
    layout = plan(graph)
    living: set[str] = set()

    def span(name: str) -> tuple[int, int]:
        return layout.offset[name], layout.offset[name] + graph.tensor(name).bytes

    for position, operator in enumerate(graph.operators):
        needed = {name for later in graph.operators[position + 1 :] for name in later.inputs}
        output = operator.output
        for other in living - {output}:
            # an input that ends here may be written over in place, but only exactly and only if allowed
            if output == graph.output or output not in layout.offset:
                continue
            (low, high), (start, stop) = span(output), span(other)
            if high <= start or stop <= low:
                continue
            assert other in operator.inputs
            assert other not in needed
            assert other in [getattr(operator, field) for field in operator.overwrites]
            assert (low, high) == (start, stop)
        kept = {gate.output for gate in graph.operators if isinstance(gate, Collect)}
        living = {name for name in living | {output} if name in needed} - {SAMPLE, graph.output} - kept
    assert layout.bytes % 4 == 0
    assert all(offset % 4 == 0 for offset in layout.offset.values())
    assert all(layout.offset[n] + graph.tensor(n).bytes <= layout.bytes for n in layout.offset)


@pytest.mark.parametrize("hidden", [8, 32])
def test_sharing_saves_most_of_the_arena(hidden: int) -> None:
    _, checkpoint = mamba(hidden, 1, 11, 9)
    graph = lower(checkpoint, signal(20, 20, 11))
    apart = sum(t.bytes for t in graph.tensors if t.name not in (SAMPLE, graph.output))
    assert plan(graph).bytes < 0.5 * apart
