"""Running a trained model, the way it was trained to run."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from tinyloc.data.windows import Windows
from tinyloc.learn.streams import streams
from tinyloc.models import ensemble, families, forest
from tinyloc.models.base import RoomModel
from tinyloc.models.checkpoint import Checkpoint, State
from tinyloc.models.config import EnsembleConfig, ForestConfig, carries_no_state
from tinyloc.models.scaling import InputScaling

BATCH: Final = 512


def predict(checkpoint: Checkpoint, windows: Windows) -> npt.NDArray[np.float32]:
    """The logits [W, K] float32 at the last step of every window; with a CRF, the rooms' best path scores;
    of a forest, its trees' votes; of an ensemble, what its members say together.

    The best room is the answer: with a CRF, the last one on Viterbi's path. The windows may have further
    access points, which the model does not read.

    A model with its state "reset" starts every window from zeros; one with its state "carried" runs through
    each unbroken stretch of a session and is read where windows end.
    """
    windows = windows.only(checkpoint.access_points)
    if isinstance(checkpoint.config, ForestConfig):
        found = forest.votes(checkpoint.weights, forest.features(windows.rssi), checkpoint.config.rooms)
        return found.astype(np.float32)
    if isinstance(checkpoint.config, EnsembleConfig):
        said = [predict(member, windows) for member in ensemble.members(checkpoint)]
        return ensemble.together(said, checkpoint.weights["shares"])
    model = families.from_weights(checkpoint.config, checkpoint.weights)
    return answers(model, checkpoint.scaling, checkpoint.state, windows)


def answers(
    model: RoomModel, scaling: InputScaling, state: State, windows: Windows
) -> npt.NDArray[np.float32]:
    """As `predict`, for a model in memory, on the device where it is; it is left ready for inference."""
    if state == "carried" and not model.config.stepwise:
        raise carries_no_state(model.config.family)
    model.eval()
    result = np.zeros((len(windows), model.config.rooms), np.float32)
    device = next(model.parameters()).device

    def run(
        rssi: npt.NDArray[np.int8], acceleration: npt.NDArray[np.float32] | None = None
    ) -> npt.NDArray[np.float32]:
        """[B, T, P] dBm -> [B, T, K], or [B, 1, K] from a family that answers once a window."""
        given = families.inputs(model.config, scaling, rssi, acceleration)
        logits: torch.Tensor = model(*(torch.from_numpy(part).to(device) for part in given))
        if model.crf is not None:
            logits = model.crf.answers(logits)
        return np.asarray(logits.cpu().numpy(), dtype=np.float32)

    with torch.no_grad():
        if state == "reset":
            for start in range(0, len(windows), BATCH):
                part = slice(start, start + BATCH)
                moved = None if windows.acceleration is None else windows.acceleration[part]
                result[part] = run(windows.rssi[part], moved)[:, -1]
        else:
            for stream in streams(windows):
                result[stream.windows] = run(stream.rssi[None])[0, stream.ends]
    return result
