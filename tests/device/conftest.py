"""The toy model built once for each tier, and small variants of it that go wrong."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tinyloc.device.boards import BOARDS, Board
from tinyloc.device.firmware import Firmware
from tinyloc.device.tiers import Tier, find_tier
from tinyloc.errors import ToolchainError

TOY = Path(__file__).parent / "toy"
RAM = 4096


def tier_or_skip(name: str) -> Tier:
    try:
        return find_tier(name)
    except ToolchainError as error:
        pytest.skip(f"the {name} tier is not installed: {error}")


@pytest.fixture(params=["pip", pytest.param("reference", marks=pytest.mark.reference)], scope="session")
def tier(request: pytest.FixtureRequest) -> Tier:
    return tier_or_skip(request.param)


@pytest.fixture(scope="session")
def reference() -> Tier:
    return tier_or_skip("reference")


@pytest.fixture(scope="session")
def board() -> Board:
    return BOARDS["nrf52832"]


@pytest.fixture(scope="session")
def toy(tier: Tier, board: Board, tmp_path_factory: pytest.TempPathFactory) -> Firmware:
    """The toy, in 4 KB of RAM."""
    return tier.build(
        TOY, board, tmp_path_factory.mktemp(f"toy-{tier.name}"), ram_bytes=RAM, flash_bytes=8192
    )


@pytest.fixture
def variant(tmp_path: Path) -> Callable[[str, str], Path]:
    """A folder with the toy in which a piece of the C, or of the header, reads otherwise."""

    def make(old: str, new: str) -> Path:
        folder = tmp_path / "c"
        shutil.copytree(TOY, folder)
        found = 0
        for path in folder.iterdir():
            text = path.read_text()
            found += text.count(old)
            path.write_text(text.replace(old, new))
        assert found, f"the toy holds no {old!r}"
        return folder

    return make
