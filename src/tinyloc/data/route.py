"""Rooms of a walk whose route is known and whose times are not: a forced alignment.

Somebody walks through the rooms in a known order, and nobody notes when each is entered. Recordings whose
rooms are known say how each room sounds; a left-to-right hidden Markov model (Rabiner 1989, as speech
recognition aligns a known text) finds the moments that suit the readings best. No model of rooms that is to
be judged by the walk has a say in it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from tinyloc.data.recording import FloatArray, Recording
from tinyloc.errors import DataError

SPREAD_DB: Final = 6.0
"""Width of the kernel, dB: how far a reading strays where nothing has moved."""
SILENT_DBM: Final = -100.0
"""What an access point counts as where known recordings do not hear it, dBm: weaker than nearly all heard."""


def walked(
    recording: Recording, route: Sequence[str], known: Sequence[Recording], least_samples: int = 1
) -> Recording:
    """`recording` with its rooms, entered in the order of `route`, each for `least_samples` or more.

    `known`: recordings of the same access points with rooms. Raises DataError where they have others or do
    not know a room of the route, or the recording is too short for it.
    """
    if not route:
        raise DataError(
            f"session {recording.session!r}: a route needs a room", hint="Name its rooms in order."
        )
    for one in known:
        if one.access_points != recording.access_points:
            raise DataError(
                f"session {recording.session!r} has other access points than {one.session!r}",
                hint="Give all of them the same columns in the same order.",
            )
    rooms = np.array([name for one in known if one.room is not None for name in one.room.tolist()])
    missing = [name for name in route if name not in rooms]
    if missing:
        raise DataError(
            f"session {recording.session!r} walks through {missing[0]!r}, which no known recording enters",
            hint="Name the rooms of the route as those recordings do.",
        )
    names = sorted(set(route))
    heard = np.concatenate([one.rssi for one in known if one.room is not None])
    scores = np.column_stack([log_density(recording.rssi, heard[rooms == name]) for name in names])
    try:
        stages = align(scores, [names.index(name) for name in route], least_samples)
    except ValueError as error:
        raise DataError(f"session {recording.session!r}: {error}", hint="Record the whole route.") from None
    return dataclasses.replace(recording, room=np.array(route)[stages])


def log_density(rssi: FloatArray, known: FloatArray) -> FloatArray:
    """Logarithm of a Gaussian kernel density of `known` [N, P] dBm at `rssi` [T, P] dBm: [T], but for a
    constant of each row. NaN: not heard. An access point that a row does not hear says nothing there. Takes
    memory for T times N times P numbers.
    """
    known = np.where(np.isnan(known), SILENT_DBM, known)
    far = (np.nan_to_num(rssi)[:, None] - known[None]) / SPREAD_DB
    away = -0.5 * np.einsum("tnp,tp->tn", far**2, ~np.isnan(rssi))
    near = away.max(axis=1, keepdims=True)
    density: FloatArray = (near + np.log(np.exp(away - near).mean(axis=1, keepdims=True)))[:, 0]
    return density


def align(scores: FloatArray, route: Sequence[int], least: int = 1) -> npt.NDArray[np.int64]:
    """Which stage of `route` each row of `scores` [T, K] belongs to [T]: stages in their order, each of
    `least` rows or more, with the largest sum of ``scores[t, route[stage]]``. Raises ValueError where there
    are too few rows, or `least` is below 1.
    """
    if least < 1:
        raise ValueError("a stay needs a sample")
    states = np.repeat(np.asarray(route), least)
    if len(scores) < len(states):
        raise ValueError(f"{len(scores)} samples are too few for {len(route)} stays of {least}")
    stays = np.arange(1, len(states) + 1) % least == 0  # only the last state of a stage may last
    best = np.full(len(states), -np.inf)
    best[0] = scores[0, states[0]]
    came = np.zeros((len(scores), len(states)), bool)  # from the state before
    for t in range(1, len(scores)):
        stay = np.where(stays, best, -np.inf)
        enter = np.concatenate([[-np.inf], best[:-1]])
        came[t] = enter > stay
        best = np.maximum(stay, enter) + scores[t, states]
    at = np.empty(len(scores), np.int64)
    state = len(states) - 1
    for t in range(len(scores) - 1, -1, -1):
        at[t] = state // least
        state -= int(came[t, state])
    return at
