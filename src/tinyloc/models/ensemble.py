"""Several models as one: its members in the ensemble's checkpoint, and how their scores are put together.

    scores = sum_i shares[i] * scores_i        scores_i [W, K] of member i: logits, or a forest's votes

A sum of logits is a product of the members' odds (Heskes, "Selecting weighting factors in logarithmic opinion
pools", NIPS 1997). A share is one over what separates a member's first room from its second on a typical
window, so that none is louder than another. No torch here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tinyloc.errors import TrainingError, UsageError
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.models.config import EnsembleConfig
from tinyloc.models.scaling import InputScaling

_PARTS: Final = ("table", "offset", "gain")

Scores = npt.NDArray[np.floating]


def joined(
    members: Sequence[Checkpoint],
    shares: npt.NDArray[np.float32],
    scaling: InputScaling,
    training: dict[str, Any],
) -> Checkpoint:
    """The ensemble of these models, which were trained on the same windows. `scaling` has no meaning of its
    own: each member keeps its own.
    """
    first = members[0]
    weights: dict[str, npt.NDArray[np.float32]] = {"shares": shares}
    for i, member in enumerate(members):
        weights |= {f"members.{i}.{name}": value for name, value in member.weights.items()}
        weights |= {f"members.{i}.scaling.{part}": getattr(member.scaling, part) for part in _PARTS}
    config = EnsembleConfig(
        len(first.access_points),
        len(first.rooms),
        tuple(member.config for member in members),  # type: ignore[misc]
        tuple(member.scaling.kind for member in members),
    )
    training = {**training, "members": [member.training for member in members]}
    return dataclasses.replace(first, config=config, scaling=scaling, weights=weights, training=training)


def members(ensemble: Checkpoint) -> tuple[Checkpoint, ...]:
    """The members as models of their own. Raises UsageError where one cannot be."""
    assert isinstance(ensemble.config, EnsembleConfig)
    config, found, trainings = ensemble.config, [], _trainings(ensemble)
    for i, (shape, kind) in enumerate(zip(config.members, config.scalings, strict=True)):
        own = _under(ensemble.weights, f"members.{i}.")
        parts = [own.pop(f"scaling.{part}") for part in _PARTS]
        scaling = InputScaling(kind, *parts)  # type: ignore[arg-type]
        found.append(
            dataclasses.replace(ensemble, config=shape, scaling=scaling, weights=own, training=trainings[i])
        )
    return tuple(found)


def _trainings(ensemble: Checkpoint) -> list[dict[str, Any]]:
    """How each member was trained: from a file anything, from `joined` a table each."""
    about, many = ensemble.training, len(ensemble.weights["shares"])
    found = about.get("members", [{}] * many) if isinstance(about, dict) else None
    if not isinstance(found, list) or [type(one) for one in found] != [dict] * many:
        raise UsageError("an ensemble says how each of its members was trained, or of none")
    return found


def _under(weights: Mapping[str, npt.NDArray[np.float32]], start: str) -> dict[str, npt.NDArray[np.float32]]:
    return {name.removeprefix(start): value for name, value in weights.items() if name.startswith(start)}


def share(scores: Scores) -> float:
    """One over the median, over windows, of the distance from the best to the second of `scores` [W, K]; over
    their mean where most windows are a draw. Raises TrainingError for a member that never prefers a room.
    """
    ranked = np.sort(scores.astype(np.float64), axis=1)
    margins = ranked[:, -1] - ranked[:, -2]
    typical = float(np.median(margins)) or float(margins.mean())
    if not 0 < typical < np.inf:
        raise TrainingError(
            "a member of the ensemble scores all rooms alike", hint="Train it longer, or leave it out."
        )
    return 1.0 / typical


def together(scores: Sequence[Scores], shares: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The ensemble's scores [W, K] from its members'."""
    parts = [one.astype(np.float64) * float(part) for one, part in zip(scores, shares, strict=True)]
    return np.asarray(np.sum(parts, axis=0), dtype=np.float32)
