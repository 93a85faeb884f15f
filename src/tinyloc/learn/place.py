"""Learning where a step was, beside which room it was in.

Rooms are names; two steps on the two sides of a wall are as far apart as two at the ends of the home. Where
recordings have positions, a network can be asked for them too while it trains (Caruana 1997, "Multitask
learning", Machine Learning 28: a second task that shares the layers). Nothing of it is left afterwards: no
weight, no byte and no instruction of the model that ships.

    B batch     T steps     H the width of what the last layer reads

    L = (1 - share) rooms + share place,   place the mean over the noted steps of |project(h) - z|^2 / 2
    h [B, T, H] what the network's last layer reads,   z [T, 2] the position, each axis by its own mean and
    spread over the training windows,   share the option `positions`,   rooms all that is learned otherwise

`project`, a linear layer from H to 2, is thrown away when training ends.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn
from torch.nn import functional

from tinyloc.data.windows import Windows
from tinyloc.learn.distil import along
from tinyloc.learn.options import TrainOptions
from tinyloc.models.base import RoomModel

PLACE: Final = "place"
"""The name by which a network holds its projection while it trains."""

_STILL: Final = 1e-6
"""An axis that spreads less over the training windows, m, says nothing."""


def lay_out(options: TrainOptions, windows: Windows) -> npt.NDArray[np.float32] | None:
    """What training draws z from: [W, T, 3], or [C, S, 3] for stretches of a carried state, or [S, 3] to cut
    pieces from; the last number is 1 where a position was noted, and all are 0 where none was. None where
    the options do not ask for positions; that there are some, `options.resolve` has seen to.
    """
    if not options.positions or windows.positions_at is None:
        return None
    known = np.isfinite(windows.positions_at).all(axis=-1)  # [W, T]
    noted = windows.positions_at[known].astype(np.float64)  # [noted, 2]
    spread = noted.std(axis=0)
    placed = np.zeros((*known.shape, 3))
    placed[known, :2] = (noted - noted.mean(axis=0)) / np.where(spread > _STILL, spread, np.inf)
    placed[known, 2] = 1
    return along(options, windows, placed)


def add_projection(model: RoomModel) -> None:
    """Give a network the linear layer from its width H to a position, new from torch's generator."""
    model.add_module(PLACE, nn.Linear(model.head.in_features, 2))


def blend(share: float, loss: Tensor, model: RoomModel, hidden: Tensor, placed: Tensor) -> Tensor:
    """(1 - share) loss + share place; `loss` a number, `hidden` [B, T, H] or, of the last step, [B, 1, H],
    `placed` [B, T, 3] from `lay_out`.
    """
    placed = placed[:, -hidden.shape[1] :]
    wanted, known = placed[..., :-1], placed[..., -1]  # [B, S, 2], [B, S]
    projection = model.get_submodule(PLACE)
    cost = functional.mse_loss(projection(hidden), wanted, reduction="none").mean(-1) * known
    return (1 - share) * loss + share * cost.sum() / known.sum().clamp(min=1)
