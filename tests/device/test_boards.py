from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyloc.device.boards import (
    BOARDS,
    CORES,
    MPU_RAM_REGIONS,
    budget,
    enforceable_ram,
    find_board,
    format_size,
    parse_size,
)
from tinyloc.errors import BoardError, BudgetError, UsageError


def test_the_table_is_whole() -> None:
    assert {"nrf52832", "nrf52840", "stm32l4", "cortex-m4"} <= set(BOARDS)
    for name, board in BOARDS.items():
        assert board.name == name
        assert board.core in CORES
        assert board.current_source
        assert enforceable_ram(board.ram_bytes) == board.ram_bytes


def test_boards_are_found_whatever_the_case() -> None:
    assert find_board(" NRF52832 ").ram_bytes == 65536
    assert (find_board("stm32l4").ram_bytes, find_board("stm32l4").flash_bytes) == (64 * 1024, 256 * 1024)


def test_energy_of_a_cycle() -> None:
    assert find_board("nrf52840").joules_per_cycle == pytest.approx(156e-12)
    assert find_board("stm32l4").joules_per_cycle == pytest.approx(300e-12)


def test_an_unknown_board_names_its_neighbours() -> None:
    with pytest.raises(BoardError, match=r"^no board .* 'nrf5283'. Did you mean nrf52832 or nrf52840\?$"):
        find_board("nrf5283")
    with pytest.raises(BoardError, match="Known boards: nrf52832, "):
        find_board("toaster")


@pytest.mark.parametrize(
    ("text", "count"),
    [("32K", 32768), ("64KB", 65536), ("1 MiB", 1 << 20), ("20480", 20480), ("0.5k", 512), ("100b", 100)],
)
def test_sizes(text: str, count: int) -> None:
    assert parse_size(text) == count


@pytest.mark.parametrize("text", ["", "K", "-1K", "32G", "0", "1e3", "0.3", "thirty", "32 K B"])
def test_bad_sizes_are_one_line(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_size(text)
    assert "\n" not in str(caught.value)


@given(st.integers(32, 1 << 20))
def test_enforceable_ram_loses_little(count: int) -> None:
    length = enforceable_ram(count)
    assert length <= count
    assert length % 32 == 0
    assert length.bit_count() <= MPU_RAM_REGIONS
    assert count - length < max(32, 0.01 * count)
    assert enforceable_ram(length) == length


def test_a_ram_of_nothing() -> None:
    with pytest.raises(BudgetError):
        enforceable_ram(31)


def test_budget_is_the_boards_unless_less_is_asked() -> None:
    board = find_board("stm32l4")
    assert budget(board) == (65536, 262144)
    assert budget(board, 32768, 65536) == (32768, 65536)
    with pytest.raises(UsageError, match="stm32l4 has 64 KB of RAM, not the 128 KB asked for"):
        budget(board, 131072)
    with pytest.raises(UsageError, match="flash"):
        budget(board, None, 1 << 20)


def test_formatted_sizes() -> None:
    assert format_size(32768) == "32 KB"
    assert format_size(1500) == "1,500 bytes"
