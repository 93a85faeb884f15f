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
    features    mean over F of (project(h) - f)^2,   h [B, T, H] what the student's last layer reads,
                f [W, T, F] what the teacher's reads, each of the F by its own mean and spread over the
                training windows (Romero et al., "FitNets", arXiv 1412.6550, equation 3; there before the
                task is learned, here beside it)

`project`, a linear layer from H to F, learns with the student and is thrown away when training ends. An
ensemble's p' is the mean of its members', and its f stand side by side. With class weights w [K] the cost of
a step counts sum_k w_k p'_k times, the weight of its room where the teacher is sure of one; features have no
rooms to weigh.

The teacher hears the training windows as they are, once; the student hears them augmented. A step that
nobody annotated is taught all the same. A student that answers once a window, and one whose teacher does, is
taught at the last step alone.

Trees have no loss to add to: they grow on shares of rooms in place of one room for each window,

    (1 - alpha) [k is the window's room] + alpha p'_k        at the window's last step

which for a teacher that is always right and sure is the room itself.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn
from torch.nn import functional

from tinyloc.data.windows import Windows
from tinyloc.errors import UsageError
from tinyloc.learn.options import Distil, TrainOptions
from tinyloc.learn.streams import chunks, pieces
from tinyloc.models.base import RoomModel

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

_TINY: Final = 1e-12
"""A probability below which a term of a divergence is nothing."""


def lay_out(options: TrainOptions, windows: Windows, targets: Floats | None) -> Floats | None:
    """The targets as training draws them, hard or soft as the options say: [W, T, K], or [C, S, K] for
    stretches of a carried state, or [S, K] to cut pieces from; all 0 at a step of which the teacher says
    nothing. Features come with F + 1 in place of K: the last number is 1 where the teacher says something.
    None without distillation.

    Raises UsageError unless there are targets just where the options have `distil`, of these windows' shape,
    that are probabilities or finite features.
    """
    check_given(options, targets)
    if options.distil is None or targets is None:
        return None
    if options.distil.kind == "features":
        steps = windows.rooms_at.shape
        if targets.shape[:-1] not in (steps, steps[:1]) or not targets.shape[-1]:
            raise UsageError(f"features of shape {targets.shape} do not belong to {steps} steps")
        if not np.isfinite(targets).all():
            raise UsageError("a teacher's features must be finite")
        known = np.ones((*targets.shape[:-1], 1))
        return along(options, windows, np.concatenate([targets, known], axis=-1))
    return along(options, windows, _probabilities(options.distil, windows, targets))


def room_shares(options: TrainOptions, windows: Windows, targets: Floats | None) -> Doubles | None:
    """What trees grow on: each window's shares of rooms [W, K], at least 0 and 1 in sum. None without
    distillation. Raises what `lay_out` does.
    """
    check_given(options, targets)
    if options.distil is None or targets is None:
        return None
    said = _probabilities(options.distil, windows, targets)
    taught = said if said.ndim == 2 else said[:, -1]
    alpha, annotated = options.distil.alpha, np.eye(len(windows.rooms))[windows.room]
    return np.asarray((1 - alpha) * annotated + alpha * taught)


def check_given(options: TrainOptions, targets: Floats | None) -> None:
    """Raise UsageError unless there are targets just where the options have `distil`."""
    if (options.distil is None) != (targets is None):
        raise UsageError("a teacher's targets and the options' distil go together, or neither is given")


def _probabilities(how: Distil, windows: Windows, targets: Floats) -> Doubles:
    """p' of every step [W, T, K], or of the last ones [W, K]: hard or soft, as the student is taught."""
    steps, rooms = windows.rooms_at.shape, len(windows.rooms)
    if targets.shape not in ((*steps, rooms), (steps[0], rooms)):
        raise UsageError(f"targets of shape {targets.shape} do not belong to {steps} steps and {rooms} rooms")
    sums = targets.sum(axis=-1)
    if not ((targets >= 0).all() and np.allclose(sums, 1, atol=1e-3)):
        raise UsageError("targets must be probabilities: at least 0, and 1 in sum over the rooms")
    if how.kind == "paper":
        return np.asarray(np.eye(rooms)[targets.argmax(axis=-1)])
    most = targets.max(axis=-1, keepdims=True)
    said = (targets / most).astype(np.float64) ** (1 / how.tau)
    return np.asarray(said / said.sum(axis=-1, keepdims=True))


def along(options: TrainOptions, windows: Windows, said: npt.NDArray[Any]) -> Floats:
    """What is said of windows as training draws it: [W, T, N] or, of the last steps, [W, N] -> [W, T, N], or
    [C, S, N] for stretches, or [S, N] to cut pieces from; 0 where nothing is said.
    """
    steps, width = windows.rooms_at.shape, said.shape[-1]
    laid = np.zeros((*steps, width), np.float32)
    laid[:, -(said[0].size // width) :] = said.reshape(steps[0], -1, width)
    if options.state == "reset":
        return laid
    order: Any = np.arange(laid[..., 0].size).reshape(steps)  # each step's place, cut as the rooms are
    ordered = dataclasses.replace(windows, rooms_at=order)
    if options.piece_steps:
        places = pieces(ordered, options.piece_steps).rooms_at
    else:
        places = chunks(ordered, options.chunk_steps)[1]
    stretches = laid.reshape(-1, width)[places]
    stretches[places < 0] = 0  # filled up: nobody was there
    return stretches


def blend(
    distil: Distil,
    task: Tensor,
    model: RoomModel,
    logits: Tensor,
    taught: Tensor,
    class_weights: Tensor | None = None,
) -> Tensor:
    """(1 - alpha) task + alpha teaching, in nats; `task` a number.

    `logits` [B, T, K] of the student, or [B, 1, K] for the last step; `taught` [B, T, K] from `lay_out`;
    `class_weights` [K], or None where all rooms count alike.
    """
    taught = taught[:, -logits.shape[1] :]
    if distil.kind == "marginals" and model.crf is not None:
        said = model.crf.marginals(logits).clamp(min=_TINY).log()
    else:
        said = (logits / distil.tau).log_softmax(-1)
    cost = taught * (taught.clamp(min=_TINY).log() - said)  # 0 where nothing is taught
    count = (taught.sum(-1) > 0.5).sum().clamp(min=1)
    if class_weights is not None:
        cost = cost * (taught * class_weights).sum(-1, keepdim=True)
    return (1 - distil.alpha) * task + distil.alpha * distil.tau**2 * cost.sum() / count


def blend_features(
    distil: Distil, task: Tensor, projection: nn.Linear, hidden: Tensor, taught: Tensor
) -> Tensor:
    """(1 - alpha) task + alpha teaching by features; `task` a number.

    `hidden` [B, T, H] of the student, or [B, 1, H] for the last step; `taught` [B, T, F + 1] from `lay_out`.
    """
    taught = taught[:, -hidden.shape[1] :]
    wanted, known = taught[..., :-1], taught[..., -1]  # [B, S, F], [B, S]
    cost = functional.mse_loss(projection(hidden), wanted, reduction="none").mean(-1) * known
    return (1 - distil.alpha) * task + distil.alpha * cost.sum() / known.sum().clamp(min=1)


def with_hidden(model: RoomModel, given: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """The logits [B, S, K] of a model, and what its last layer read for them [B, S, H]."""
    read: list[Tensor] = []
    hook = model.head.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))
    try:
        logits = model(*given)
    finally:
        hook.remove()
    (hidden,) = read
    return logits, hidden.unsqueeze(1) if hidden.ndim == 2 else hidden


PROJECTION: Final = "projection"
"""The name by which a student holds its projection while it trains."""


def add_projection(model: RoomModel, features: int) -> None:
    """Give a student a linear layer from its width H to a teacher's F, new from torch's generator."""
    model.add_module(PROJECTION, nn.Linear(model.head.in_features, features))
