"""Each fast kernel by itself, shapes and numbers from a seed, on the chip it is for, against the reference.

The scan has graphs in test_step_operators.py, DSP kernels in test_window_operators.py; more seeds are in
tests/proofs/test_kernels_many_shapes.py.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from kernel_graphs import KERNELS, conv_graph, differs

from tinyloc.device.boards import find_board
from tinyloc.device.tiers import find_tier
from tinyloc.errors import ToolchainError
from tinyloc.quant.graph import Graph


@pytest.mark.reference
@pytest.mark.parametrize(
    ("make", "board"), [*((make, "cortex-m55") for make in KERNELS), (conv_graph, "cortex-m4")]
)
def test_a_kernel_equals_the_reference(make: Callable[[int], Graph], board: str, tmp_path: Path) -> None:
    try:
        tier = find_tier("reference", find_board(board).cpu)
    except ToolchainError as error:
        pytest.skip(str(error))
    assert not differs(make(1), 1, tier, find_board(board), tmp_path)
