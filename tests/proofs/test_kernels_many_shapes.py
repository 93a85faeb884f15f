"""A dozen shapes of each fast kernel: DSP on a Cortex-M4F, MVE on a Cortex-M55; plain loops on the host."""

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


@pytest.mark.slow
@pytest.mark.reference
@pytest.mark.parametrize("make", KERNELS)
@pytest.mark.parametrize("board", ["cortex-m4", "cortex-m55"])
def test_a_dozen_shapes(make: Callable[[int], Graph], board: str, tmp_path: Path) -> None:
    try:
        tier = find_tier("reference", find_board(board).cpu)
    except ToolchainError as error:
        pytest.skip(str(error))
    found = [differs(make(seed), seed, tier, find_board(board), tmp_path / str(seed)) for seed in range(12)]
    assert not [words for words in found if words]


@pytest.mark.slow
@pytest.mark.parametrize("make", KERNELS)
def test_the_plain_loops_under_sanitizers(make: Callable[[int], Graph], tmp_path: Path) -> None:
    for seed in range(8):
        graph, folder = make(seed), tmp_path / str(seed)
        given, wanted = fed(graph, seed)
        emit(graph, folder / "c")
        assert build_host(folder / "c", folder / "host", sanitize=True).run(given) == wanted, seed
