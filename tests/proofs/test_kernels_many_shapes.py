"""Forty shapes of each fast kernel on the chips they are for: DSP on a Cortex-M4F, MVE on a Cortex-M55."""

from collections.abc import Callable
from pathlib import Path

import pytest
from kernel_graphs import KERNELS, differs

from tinyloc.device.boards import find_board
from tinyloc.device.tiers import find_tier
from tinyloc.errors import ToolchainError
from tinyloc.quant.graph import Graph


@pytest.mark.slow
@pytest.mark.reference
@pytest.mark.parametrize("make", KERNELS)
@pytest.mark.parametrize("board", ["cortex-m4", "cortex-m55"])
def test_forty_shapes(make: Callable[[int], Graph], board: str, tmp_path: Path) -> None:
    try:
        tier = find_tier("reference", find_board(board).cpu)
    except ToolchainError as error:
        pytest.skip(str(error))
    found = [differs(make(seed), seed, tier, find_board(board), tmp_path / str(seed)) for seed in range(40)]
    assert not [words for words in found if words]
