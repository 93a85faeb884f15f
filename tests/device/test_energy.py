"""Mean currents: the model with sleep between its steps, and a radio that sends the readings instead."""

from __future__ import annotations

import pytest

from tinyloc.device.boards import find_board
from tinyloc.device.cost import Bracket, Cost
from tinyloc.device.energy import (
    BLE,
    CELLS,
    answering_microamps,
    average_microamps,
    life,
    sending_microamps,
)


def cost(cycles: float, board: str = "nrf52832") -> Cost:
    steps = Bracket(cycles * 0.9, cycles, cycles * 1.2)
    return Cost(find_board(board), 20, cycles, {}, {}, steps, (), {})


def test_a_chip_that_never_wakes_draws_its_sleep() -> None:
    asleep = average_microamps(cost(0), 5)
    assert asleep.mid == pytest.approx(1.9)
    assert (asleep.low, asleep.high) == (pytest.approx(1.9 * 0.6), pytest.approx(1.9 * 1.4))


def test_running_adds_its_share() -> None:
    # 20,000 cycles at 5 steps a second are 0.1 MHz: 5.8 µA at 58 µA/MHz
    assert average_microamps(cost(20_000), 5).mid == pytest.approx(1.9 * (1 - 1 / 640) + 5.8)
    # a chip that cannot keep up runs all the time, and no more
    assert average_microamps(cost(1e9), 5).mid == pytest.approx(58 * 64)


def test_a_battery_lasts_its_charge() -> None:
    cell = CELLS[0]
    days = life(cost(20_000), 5, cell)
    drawn = average_microamps(cost(20_000), 5)
    assert days.mid * 24 * drawn.mid == pytest.approx(225_000)
    assert days.low < days.mid < days.high


def test_an_event_is_the_sum_of_its_parts() -> None:
    # 11 bytes: 28 in the air for 224 µs
    parts = 6.5 * (140 + 80) + (6.5 + 7.1) / 2 * 150 + 7.1 * 224 + 3.7 * 500
    assert BLE.microcoulombs(11) == pytest.approx(parts * 1e-3)
    assert BLE.microcoulombs(0) < BLE.microcoulombs(1) < BLE.microcoulombs(244) < BLE.microcoulombs(245)


def test_readings_sent_together_cost_less() -> None:
    each, together = sending_microamps(11, 5), sending_microamps(11, 5, seconds_together=1.0)
    assert each.mid == pytest.approx(5 * BLE.microcoulombs(11))
    assert together.mid == pytest.approx(BLE.microcoulombs(55))
    assert together.mid < each.mid
    assert sending_microamps(11, 0.1, seconds_together=1.0) == sending_microamps(11, 0.1)
    assert answering_microamps(10).mid == pytest.approx(BLE.microcoulombs(1) / 10)
