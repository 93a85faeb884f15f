"""Learning from a teacher: what the teacher says, and what it costs a student to say otherwise.

Hinton, Vinyals, Dean, "Distilling the knowledge in a neural network", arXiv 1503.02531; the paper's form,
hard and with a CRF, arXiv 2412.09289.

    W windows     B batch     T steps     K rooms
    s [B, T, K] the student's logits     p [W, T, K] the teacher's probabilities     task: the loss without it

    L = (1 - alpha) task + alpha teaching,   teaching the mean over the steps of which the teacher speaks of

    paper       -ln softmax(s)[k],   k the teacher's room: Viterbi's where it has a CRF, else the likeliest
    soft        tau^2 KL(p' || softmax(s / tau)),   p' = p^(1 / tau) / sum: softmax(logits / tau) of a network
    marginals   KL(p || q),   p the marginals of the teacher's CRF, q those of the student's (without one: its
                softmax)

An ensemble's p is the mean of its members'. The teacher hears the training windows as they are, once; the
student hears them augmented. A step that nobody annotated is taught all the same. A student that answers
once a window, and one whose teacher does, is taught at the last step alone.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from torch import Tensor

from tinyloc.data.windows import Windows
from tinyloc.errors import UsageError
from tinyloc.learn.options import Distil, TrainOptions
from tinyloc.learn.streams import chunks
from tinyloc.models.base import RoomModel

Floats = npt.NDArray[np.float32]

_TINY: Final = 1e-12
"""A probability below which a term of a divergence is nothing."""


def lay_out(options: TrainOptions, windows: Windows, targets: Floats | None) -> Floats | None:
    """The targets as training draws them, hard or soft as the options say: [W, T, K], or [C, S, K] for
    stretches of a carried state; all 0 at a step of which the teacher says nothing. None
    without distillation.

    Raises UsageError unless there are targets just where the options have `distil`, of these windows' shape,
    that are probabilities.
    """
    if (options.distil is None) != (targets is None):
        raise UsageError("a teacher's targets and the options' distil go together, or neither is given")
    if options.distil is None or targets is None:
        return None
    steps, rooms = windows.rooms_at.shape, len(windows.rooms)
    if targets.shape not in ((*steps, rooms), (steps[0], rooms)):
        raise UsageError(f"targets of shape {targets.shape} do not belong to {steps} steps and {rooms} rooms")
    sums = targets.sum(axis=-1)
    if not ((targets >= 0).all() and np.allclose(sums, 1, atol=1e-3)):
        raise UsageError("targets must be probabilities: at least 0, and 1 in sum over the rooms")
    if options.distil.kind == "paper":
        said = np.eye(rooms)[targets.argmax(axis=-1)]
    else:
        most = targets.max(axis=-1, keepdims=True)
        said = (targets / most).astype(np.float64) ** (1 / options.distil.tau)
        said /= said.sum(axis=-1, keepdims=True)
    laid = np.zeros((*steps, rooms), np.float32)
    laid[:, -(targets[0].size // rooms) :] = said.reshape(steps[0], -1, rooms)
    if options.state == "reset":
        return laid
    order: Any = np.arange(laid[..., 0].size).reshape(steps)  # each step's place, cut as the rooms are
    places = chunks(dataclasses.replace(windows, rooms_at=order), options.chunk_steps)[1]
    stretches = laid.reshape(-1, rooms)[places]
    stretches[places < 0] = 0  # filled up: nobody was there
    return stretches


def blend(distil: Distil, task: Tensor, model: RoomModel, logits: Tensor, taught: Tensor) -> Tensor:
    """(1 - alpha) task + alpha teaching, in nats; `task` a number.

    `logits` [B, T, K] of the student, or [B, 1, K] for the last step; `taught` [B, T, K] from `lay_out`.
    """
    taught = taught[:, -logits.shape[1] :]
    if distil.kind == "marginals" and model.crf is not None:
        said = model.crf.marginals(logits).clamp(min=_TINY).log()
    else:
        said = (logits / distil.tau).log_softmax(-1)
    cost = taught * (taught.clamp(min=_TINY).log() - said)  # 0 where nothing is taught
    count = (taught.sum(-1) > 0.5).sum().clamp(min=1)
    return (1 - distil.alpha) * task + distil.alpha * distil.tau**2 * cost.sum() / count
