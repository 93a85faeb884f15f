"""Each fast kernel by itself, shapes and numbers from a seed, on the chip it is for, against the reference.

The scan has graphs of its own in test_step_operators.py; tests/proofs/test_kernels_many_shapes.py has more seeds.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from kernel_graphs import KERNELS, differs, fed

from tinyloc.device.boards import find_board
from tinyloc.device.host import build_host
from tinyloc.device.tiers import find_tier
from tinyloc.emit import emit
from tinyloc.errors import ToolchainError
from tinyloc.quant.graph import Graph

BY_NAME = {make.__name__: make for make in KERNELS}


@pytest.mark.reference
@pytest.mark.parametrize("name", BY_NAME)
@pytest.mark.parametrize(("board", "seed"), [("cortex-m55", 1), ("cortex-m55", 6), ("cortex-m4", 2)])
def test_a_kernel_equals_the_reference(name: str, board: str, seed: int, tmp_path: Path) -> None:
    try:
        tier = find_tier("reference", find_board(board).cpu)
    except ToolchainError as error:
        pytest.skip(str(error))
    assert not differs(BY_NAME[name](seed), seed, tier, find_board(board), tmp_path)


@pytest.mark.parametrize("make", KERNELS)
def test_the_plain_loops_equal_the_reference(make: Callable[[int], Graph], tmp_path: Path) -> None:
    graph = make(5)
    given, wanted = fed(graph, 5)
    emit(graph, tmp_path / "c")
    assert build_host(tmp_path / "c", tmp_path / "host", sanitize=True).run(given) == wanted
