"""`house`: the simulator as a source. Scripted walks train and validate, unscripted days test."""

from __future__ import annotations

from pathlib import Path

from tinyloc.data.simulate import RATE, HousePlan, simulate
from tinyloc.data.sources.base import Options, Source, number
from tinyloc.data.splits import Division, Material, Protocol
from tinyloc.data.words import flag
from tinyloc.errors import UsageError

MINUTES = (11.0, 2304.0, 160.0)
"""Least, most and usual length of all recordings, min: a scripted walk of 1 min at least, a day at most."""


def load(folder: Path, options: Options) -> Material:
    """Simulate a house; `folder` is not read."""
    minutes = number(options, "minutes", MINUTES[2])
    if not MINUTES[0] <= minutes <= MINUTES[1]:
        raise UsageError(
            f"{flag('minutes', options['minutes'])} is not possible; expected {MINUTES[0]:g}..{MINUTES[1]:g}"
        )
    default = HousePlan()
    plan = HousePlan(
        floors=int(number(options, "floors", default.floors)),
        rooms=int(number(options, "rooms", default.rooms)),
        access_points=int(number(options, "access_points", default.access_points)),
        scripted_minutes=minutes * 3 / 8,
        unscripted_minutes=minutes * 5 / 8,
        drift=number(options, "drift", default.drift),
        seed=int(number(options, "house_seed", default.seed)),
    )
    days = simulate(plan)
    floors = "one floor" if plan.floors == 1 else "two floors"
    division = Division(
        days.scripted[:-1],
        days.scripted[-1:],
        days.unscripted,
        f"Simulated: {plan.rooms} rooms on {floors}, {plan.access_points} access points. Three scripted "
        f"walks of {plan.scripted_minutes / 4:.3g} min train, a fourth validates, two unscripted days of "
        f"{plan.unscripted_minutes / 2:.3g} min test; the receivers drift by {plan.drift:g} dB between.",
    )
    protocol = Protocol(steps=20, hop=10, seconds_per_step=1.0 / RATE)
    return Material("house", division, protocol, SOURCE.licence, SOURCE.citation, simulated=True)


SOURCE = Source(
    name="house",
    title="a simulated house: a test bed, not a measurement",
    signals="8 BLE receivers at 5 Hz, accelerometer",
    truth="room, from the simulator",
    licence="none needed",
    citation="simulated by tinyloc",
    home="",
    folder="",
    needs=(),
    load=load,
    options={
        "floors": "1 or 2 (default 2)",
        "rooms": "rooms in all, 2..16 (default 8)",
        "access_points": "receivers, 1..64 (default 8)",
        "minutes": "of recording, 3/8 of them scripted (default 160)",
        "drift": "spread of the receivers' offsets between walks and days, dB (default 2)",
        "house_seed": "the house and its days (default 0)",
    },
    simulated=True,
)
