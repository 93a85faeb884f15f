"""What training, prediction and files need of every family's model."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from torch import nn

from tinyloc.models.config import Config
from tinyloc.models.crf import Crf


class RoomModel(nn.Module):
    """A model of one family: a module with a `config` whose state has the names of `weight_shapes()`.

    Calling it on `families.inputs` gives logits [B, S, K]: S = T, one answer a step, where
    `config.per_step`; else S = 1, one answer for the window.
    """

    config: Config
    head: nn.Linear
    """The last layer: it reads the model's hidden representation, [B, S, H] or, of one answer, [B, H]."""
    crf: Crf | None
    """Over the logits, where the config asks for it."""

    def __init__(self) -> None:
        super().__init__()
        self.crf = None

    def weights(self) -> dict[str, npt.NDArray[np.float32]]:
        """Copies of the weights by the names of the contract, float32."""
        arrays = {name: value.detach().cpu().numpy() for name, value in self.state_dict().items()}
        return {name: array.astype(np.float32) for name, array in arrays.items()}
