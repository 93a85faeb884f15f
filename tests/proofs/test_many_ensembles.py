"""Ensembles of every mix, at home and on both emulators: the C is Python's."""

from __future__ import annotations

from pathlib import Path

import pytest
from ensemble_models import MIXES, c_is_the_same, on_a_cortex_m4


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "weight_bits"), [("int16", 8), ("int8", 8), ("int8", 4)])
@pytest.mark.parametrize("name", MIXES)
def test_the_c_is_the_same(name: str, precision: str, weight_bits: int, tmp_path: Path) -> None:
    c_is_the_same(name, precision, tmp_path, weight_bits)


@pytest.mark.slow
@pytest.mark.parametrize("tier", ["pip", "reference"])
@pytest.mark.parametrize("name", MIXES)
def test_on_a_cortex_m4(tier: str, name: str, tmp_path: Path) -> None:
    on_a_cortex_m4(tier, name, tmp_path)
