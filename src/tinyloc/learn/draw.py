"""What each update of training learns from: windows, stretches of a session, or pieces put together.

Every draw is a function of (seed, trial, step), so that a run that was stopped goes on with the same ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinyloc.data.windows import Windows
from tinyloc.learn.augment import augment
from tinyloc.learn.options import Augmentation, TrainOptions, spread
from tinyloc.learn.streams import Pieces, chunks, pieces


@dataclass(frozen=True)
class Drawn:
    """What one update learns from: `chosen` [B] windows or stretches, or [B, T] the steps of pieces; `rssi`
    [B, T, P] int8 dBm, augmented; `rooms_at` [B, T], -1 where nothing counts; `taught` [B, T, K or F + 1];
    `placed` [B, T, 3] (`place.lay_out`).
    """

    chosen: npt.NDArray[np.int64]
    rssi: npt.NDArray[np.int8]
    rooms_at: npt.NDArray[np.int16]
    taught: npt.NDArray[np.float32] | None
    placed: npt.NDArray[np.float32] | None


class Draws:
    """The training windows as they are drawn from.

    `rssi` and `rooms_at`: windows [W, T, P] and [W, T], with a carried state stretches [C, S, P] and [C, S]
    (`streams.chunks`), with pieces all steps end to end [S, P] and [S]; `taught`: what a teacher says of
    them (`distil.lay_out`), and `placed` where they were (`place.lay_out`), laid out as the rooms are.
    """

    def __init__(
        self,
        windows: Windows,
        options: TrainOptions,
        taught: npt.NDArray[np.float32] | None,
        placed: npt.NDArray[np.float32] | None = None,
    ) -> None:
        self.options, self.spread = options, spread(windows)
        self.taught, self.placed = taught, placed
        self.carried = options.state == "carried"
        self.pieces = pieces(windows, options.piece_steps) if options.piece_steps else None
        if self.pieces is not None:
            self.rssi, self.rooms_at = self.pieces.rssi, self.pieces.rooms_at
        elif self.carried:
            self.rssi, self.rooms_at = chunks(windows, options.chunk_steps)
        else:
            self.rssi, self.rooms_at = windows.rssi, windows.rooms_at
        self.past_steps = min(options.past_steps, options.chunk_steps) if self.carried else 0

    def draw(self, trial: int, step: int, how: Augmentation) -> Drawn:
        """The batch of one update, augmented; with a carried state behind a past that does not count."""
        order = np.random.default_rng([self.options.seed, trial, step, 2])
        noise = np.random.default_rng([self.options.seed, trial, step, 1])
        if self.pieces is not None:
            return self._together(self.pieces, how, order, noise)
        chosen = _batch(len(self.rssi), self.options.batch, self.options.seed, trial, step)
        heard = self.rssi[chosen]
        if self.past_steps:  # the beginnings of others
            others = order.integers(0, len(self.rssi), len(chosen))
            heard = np.concatenate([self.rssi[others, : self.past_steps], heard], axis=1)
        unscored = ((0, 0), (self.past_steps, 0))
        rooms_at = np.pad(self.rooms_at[chosen], unscored, constant_values=-1)
        taught, placed = (
            None if said is None else np.pad(said[chosen], (*unscored, (0, 0)))
            for said in (self.taught, self.placed)
        )
        return Drawn(chosen, augment(heard, how, self.spread, noise), rooms_at, taught, placed)

    def _together(
        self, cut: Pieces, how: Augmentation, order: np.random.Generator, noise: np.random.Generator
    ) -> Drawn:
        """Stretches, and what precedes them, of pieces from anywhere, each augmented by itself."""
        piece, length = self.options.piece_steps, self.past_steps + self.options.chunk_steps
        at = cut.draw(self.options.batch, length, piece, order)  # [B, pieces, piece]
        heard = augment(self.rssi[at.reshape(-1, piece)], how, self.spread, noise)
        rssi = heard.reshape(len(at), -1, heard.shape[-1])[:, -length:]
        at = at.reshape(len(at), -1)[:, -length:]
        rooms_at = self.rooms_at[at]
        rooms_at[:, : self.past_steps] = -1
        taught, placed = (None if said is None else said[at] for said in (self.taught, self.placed))
        for said in (taught, placed):
            if said is not None:
                said[:, : self.past_steps] = 0
        return Drawn(at, rssi, rooms_at, taught, placed)


def _batch(size: int, batch: int, seed: int, trial: int, step: int) -> npt.NDArray[np.int64]:
    """Which windows step `step` trains on: epoch after epoch, each in its own order, none left out."""
    per_epoch = max(1, size // batch)
    epoch, part = divmod(step, per_epoch)
    order = np.random.default_rng([seed, trial, epoch, 0]).permutation(size)
    return order[part::per_epoch]
