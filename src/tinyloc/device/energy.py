"""What a step's cost means for a battery, and what sending the raw readings by radio would cost instead.

The motive for computing on the wearable is the radio that it saves. So both are put on one scale, the mean
current in µA: the model at a given rate with sleep between its steps, and a Bluetooth Low Energy link that
carries every reading away. What both need, the radio that listens for the access points, is in neither.
"""

from __future__ import annotations

from dataclasses import dataclass

from tinyloc.device.boards import CURRENT_SPREAD
from tinyloc.device.cost import Bracket, Cost


@dataclass(frozen=True)
class Cell:
    """A battery: its capacity in mAh at the rate of a wearable."""

    name: str
    title: str
    milliamp_hours: float


CELLS = (
    Cell("cr2032", "coin cell CR2032", 225.0),
    Cell("lipo100", "lithium polymer cell of 100 mAh", 100.0),
)


@dataclass(frozen=True)
class Link:
    """A Bluetooth Low Energy connection at 1 Mbit/s: the charge of one connection event from its parts.

    Times in µs, currents in mA. Each event: the CPU wakes, the radio ramps up, hears an empty packet, turns
    round, and sends one packet; afterwards the CPU tidies up.
    """

    name: str
    transmit_ma: float
    receive_ma: float
    processor_ma: float
    source: str
    ramp_us: float = 140.0
    turn_us: float = 150.0
    empty_us: float = 80.0
    """A packet of 10 bytes: preamble 1, access address 4, header 2, check 3."""
    overhead_bytes: int = 17
    """Around the readings: the 10 above, 4 of L2CAP and 3 of ATT."""
    most_bytes: int = 244
    """Readings in one packet, with data length extension."""
    processor_us: float = 500.0
    """Of the CPU, before and after an event together."""

    def microcoulombs(self, count: int) -> float:
        """Charge in µC of an event that sends `count` bytes of readings (0: an empty packet)."""
        sent, charge = count, 0.0
        while True:
            part = min(sent, self.most_bytes)
            airtime = 8.0 * (part + self.overhead_bytes) if part else self.empty_us
            listening = self.receive_ma * (self.ramp_us + self.empty_us)
            charge += listening + (self.receive_ma + self.transmit_ma) / 2 * self.turn_us
            charge += self.transmit_ma * airtime
            sent -= part
            if sent <= 0:
                return (charge + self.processor_ma * self.processor_us) * 1e-3


BLE = Link(
    name="Bluetooth Low Energy, 0 dBm, 1 Mbit/s",
    transmit_ma=7.1,
    receive_ma=6.5,
    processor_ma=3.7,
    source="nRF52832 product specification v1.1, DC/DC, 3 V, whole chip with its crystal: TX 7.1 mA, "
    "RX 6.5 mA (the radio alone 5.3 and 5.4); CPU 58 µA/MHz at 64 MHz",
)

BLE_ASSUMPTIONS = (
    f"Radio: {BLE.source}; ± 40 %.",
    "Each event: ramp-up 140 µs and an empty packet heard 80 µs, turn-round 150 µs, then 17 bytes around the "
    "readings at 8 µs a byte; CPU 0.5 ms; no retransmission, no encryption, the link already there.",
    "Computed on the device, one room is sent every 10 s; raw readings go out at every step, or 1 s of them "
    "at once.",
    "Listening for the access points costs the same either way and is in neither: at 6.5 mA it is usually "
    "far more.",
)


def average_microamps(cost: Cost, steps_per_second: float) -> Bracket:
    """Mean current in µA of the model at that rate, the chip asleep between steps; no sensor, no radio."""
    board = cost.board
    busy = cost.busy_share(steps_per_second)
    running = board.microamps_per_mhz * board.clock_hz * 1e-6

    def mean(share: float, spread: float) -> float:
        share = min(share, 1.0)
        return (share * running + (1 - share) * board.sleep_microamps) * (1 + spread)

    return Bracket(mean(busy.low, -CURRENT_SPREAD), mean(busy.mid, 0), mean(busy.high, CURRENT_SPREAD))


def life(cost: Cost, steps_per_second: float, cell: Cell) -> Bracket:
    """Days that a cell feeds the model at that rate, all of its capacity used and nothing else fed."""
    drawn = average_microamps(cost, steps_per_second)
    hours = [1000 * cell.milliamp_hours / current for current in (drawn.high, drawn.mid, drawn.low)]
    return Bracket(*(count / 24 for count in hours))


def sending_microamps(
    sample_bytes: int, steps_per_second: float, *, seconds_together: float = 0.0, link: Link = BLE
) -> Bracket:
    """Mean current in µA of a link that carries all samples away, each step or `seconds_together` at once."""
    steps = max(1, round(seconds_together * steps_per_second))
    mean = link.microcoulombs(sample_bytes * steps) * steps_per_second / steps
    return Bracket(mean * (1 - CURRENT_SPREAD), mean, mean * (1 + CURRENT_SPREAD))


def answering_microamps(every_seconds: float = 10.0, link: Link = BLE) -> Bracket:
    """Mean current in µA of a link that carries one room, a byte, every so often."""
    mean = link.microcoulombs(1) / every_seconds
    return Bracket(mean * (1 - CURRENT_SPREAD), mean, mean * (1 + CURRENT_SPREAD))
