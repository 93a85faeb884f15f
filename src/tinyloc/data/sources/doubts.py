"""What a radio or a sensor may report, but seldom does: nothing is refused for it, and a note says so."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinyloc.data.recording import FloatArray
from tinyloc.data.sources.base import STANDARD_GRAVITY
from tinyloc.data.words import counted, flag

REST_RANGE = 1.5
"""How near to 9.81 the usual length of the acceleration must be for it to look like m/s^2."""
FAINTEST = -100.0
"""A reading as weak as this, the weakest of all and frequent, is more likely a word for "not heard"."""
FREQUENT = 0.1
"""The share of all readings from which on it is."""


def doubts(
    rssi: FloatArray, points: Sequence[str], moves: FloatArray | None, rooms: Sequence[str]
) -> tuple[str, ...]:
    """Notes on readings [R, P] dBm, acceleration [R, 3] g or None, and the names of all rooms."""
    notes: tuple[str, ...] = ()
    loud = [name for name, one in zip(points, rssi.T, strict=True) if (one > 0).any()]
    if loud:
        notes += (
            f"{', '.join(loud[:4])} rise{'s' * (len(loud) == 1)} above 0 dBm, which access points seldom do: "
            f"if there is none, name those that are with {flag('access_points')}, or a position with "
            f"{flag('position')}.",
        )
    zeros = int((rssi == 0).sum())
    if zeros:
        notes += (
            f"{counted(zeros, 'reading')} of exactly 0 dBm: many exports write 0 for not heard; "
            f"if this one does, say {flag('not_heard', 0)}.",
        )
    notes += _flat(rssi, points)
    lengths = np.zeros(0) if moves is None else np.linalg.norm(moves, axis=1)
    if moves is not None and not np.isfinite(lengths).any():
        notes += ("acceleration is never there on all three axes at once.",)
    elif moves is not None:
        usual = float(np.nanmedian(lengths))
        if abs(usual - STANDARD_GRAVITY) < REST_RANGE:
            notes += (
                f"acceleration is {usual:.2f} long at its median, which looks like m/s^2; it was read as g: "
                f"divide it by {STANDARD_GRAVITY}.",
            )
    return notes + _alike(rooms)


def _flat(rssi: FloatArray, points: Sequence[str]) -> tuple[str, ...]:
    """Notes on columns that say nothing, and on a number that may mean "not heard"."""
    notes: tuple[str, ...] = ()
    heard = ~np.isnan(rssi)
    silent = [name for name, one in zip(points, heard.T, strict=True) if not one.any()]
    if silent:
        notes += (f"never heard: {', '.join(silent[:6])}.",)
    still = [
        name
        for name, one in zip(points, rssi.T, strict=True)
        if np.isfinite(one).sum() > 1 and np.nanmin(one) == np.nanmax(one)
    ]
    if still:
        notes += (
            f"always the same reading: {', '.join(still[:6])}; if that is no access point, name those that "
            f"are with {flag('access_points')}.",
        )
    values = rssi[heard]
    least = float(values.min())
    share = float((values == least).mean())
    if least <= FAINTEST and share >= FREQUENT:
        notes += (
            f"{share:.0%} of all readings are exactly {least:g} dBm, the weakest: if that means not heard, "
            f"say {flag('not_heard', f'{least:g}')}.",
        )
    return notes


def _alike(rooms: Sequence[str]) -> tuple[str, ...]:
    """A note on rooms whose names differ in nothing but capitals."""
    folded: dict[str, list[str]] = {}
    for name in rooms:
        folded.setdefault(name.casefold(), []).append(name)
    twice = [" and ".join(same) for same in folded.values() if len(same) > 1]
    if not twice:
        return ()
    return (f"rooms that differ in capitals alone are different rooms here: {'; '.join(twice[:4])}.",)
