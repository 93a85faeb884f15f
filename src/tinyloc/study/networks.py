"""The small float networks that papers on small devices start from, trained as this project's models are.

    mlp_baseline   the window's T x P values -> 64 -> 32 -> K, ReLU and dropout
    cnn            two convolutions over time (32 channels, 3 steps, ReLU), mean over the steps -> K
    lstm           one layer of 32, its last step -> K (Hochreiter and Schmidhuber 1997)

    B batch     T steps     P access points     K rooms

Each stays in floating point: no integers, nothing on the device. Standardised input, or the power law where
windows are sparse; without augmentation and with offset and jitter of half of the spread. AdamW along a
cosine, the best of its evaluations; validation macro-F1 chooses it and, between equals, validation
cross-entropy.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from tinyloc.data.windows import Windows, WindowSets, merged
from tinyloc.errors import TrainingError
from tinyloc.learn.augment import augment
from tinyloc.learn.options import (
    DENSE_AUGMENTATIONS,
    Candidate,
    TrainOptions,
    candidates,
    is_sparse,
    resolve,
    spread,
)
from tinyloc.learn.score import cross_entropy, macro_f1
from tinyloc.models.scaling import InputScaling
from tinyloc.study.baselines import CNN, LSTM, MLP

WIDTHS: Final = (64, 32)
CHANNELS: Final = 32
KERNEL: Final = 3
HIDDEN: Final = 32
DROPOUT: Final = 0.2
RATES: Final = {MLP: 3e-3, CNN: 1e-2, LSTM: 1e-2}
"""AdamW's, chosen on validation windows (docs/LOG.md)."""
WEIGHT_DECAY: Final = 1e-2
_BATCH: Final = 512


class Convolutions(nn.Module):
    """[B, T, P] -> [B, K]."""

    def __init__(self, points: int, rooms: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(points, CHANNELS, KERNEL, padding="same")
        self.second = nn.Conv1d(CHANNELS, CHANNELS, KERNEL, padding="same")
        self.head = nn.Linear(CHANNELS, rooms)
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve over time, average, decide."""
        hidden = self.first(x.transpose(1, 2)).relu()
        pooled = self.second(hidden).relu().mean(dim=2)
        logits: Tensor = self.head(self.dropout(pooled))
        return logits


class Recurrent(nn.Module):
    """[B, T, P] -> [B, K]."""

    def __init__(self, points: int, rooms: int) -> None:
        super().__init__()
        self.cell = nn.LSTM(points, HIDDEN, batch_first=True)
        self.head = nn.Linear(HIDDEN, rooms)
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, x: Tensor) -> Tensor:
        """Read the window, decide at its last step."""
        logits: Tensor = self.head(self.dropout(self.cell(x)[0][:, -1]))
        return logits


def build(name: str, windows: Windows) -> nn.Module:
    """The network of that name, for windows like these: [B, T, P] scaled -> logits [B, K]."""
    points, rooms = len(windows.access_points), len(windows.rooms)
    if name == CNN:
        return Convolutions(points, rooms)
    if name == LSTM:
        return Recurrent(points, rooms)
    layers: list[nn.Module] = [nn.Flatten()]
    width = windows.steps * points
    for hidden in WIDTHS:
        layers += [nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(DROPOUT)]
        width = hidden
    return nn.Sequential(*layers, nn.Linear(width, rooms))


def parameters(model: nn.Module) -> int:
    """Trained numbers, all of them."""
    return sum(parameter.numel() for parameter in model.parameters())


@dataclass(frozen=True)
class Trained:
    """Answers [W] on validation and test, and how many parameters gave them."""

    validation: npt.NDArray[np.int64]
    test: npt.NDArray[np.int64]
    parameters: int


def fit(
    name: str, sets: WindowSets, *, seed: int, refit: bool = False, steps: int = 0, rate: float = 0.0
) -> Trained:
    """Train the network of that name; `steps` and `rate`, where not 0, instead of the usual.

    `refit`: what answers the test is trained once more, as validation chose, on training and validation
    windows, to the last step (`learn/refit.py`). Raises TrainingError when training diverges.
    """
    asked = TrainOptions(scaling="auto" if is_sparse(sets.train) else "zscore", steps=steps)
    options = dataclasses.replace(resolve(asked, sets.train), rate=rate or RATES[name])
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums then have one order
    try:
        with torch.random.fork_rng(devices=[]):
            tried = [
                (_train(name, sets, candidate, options, (seed, trial)), candidate)
                for trial, candidate in enumerate(_tried(asked, sets.train))
            ]
            judged, candidate = max(tried, key=lambda one: one[0].score)
            once = dataclasses.replace(options, evaluations=1)
            final = _train(name, merged(sets), candidate, once, (seed, len(tried))) if refit else judged
    finally:
        torch.set_num_threads(threads)
    answers = (judged.logits(sets.validation), final.logits(sets.test))
    return Trained(answers[0].argmax(axis=1), answers[1].argmax(axis=1), parameters(final.model))


def _tried(options: TrainOptions, train: Windows) -> tuple[Candidate, ...]:
    """Without augmentation and with offset and jitter of half of the spread; sparse windows as our own."""
    found = candidates(options, train)
    if is_sparse(train):
        return found
    return tuple(
        Candidate(found[0].scaling, how) for how in (DENSE_AUGMENTATIONS[0], DENSE_AUGMENTATIONS[-1])
    )


@dataclass(frozen=True)
class _Network:
    """A trained network, its input scaling, and its (macro-F1, -cross-entropy) on validation."""

    model: nn.Module
    scaling: InputScaling
    score: tuple[float, float]

    def logits(self, windows: Windows) -> npt.NDArray[np.float32]:
        """[W, K]."""
        return _logits(self.model, self.scaling, windows)


def _train(
    name: str, sets: WindowSets, candidate: Candidate, options: TrainOptions, seed: tuple[int, int]
) -> _Network:
    """The network as it was at the best of its evaluations."""
    torch.manual_seed(int(np.random.SeedSequence(list(seed)).generate_state(1)[0]))
    random = np.random.default_rng(list(seed))
    train, validation = sets.train, sets.validation
    model, scaling = build(name, train), InputScaling.fit(candidate.scaling, train)
    decibels, rooms = spread(train), train.room.astype(np.int64)
    optimiser = torch.optim.AdamW(model.parameters(), options.rate or 0.0, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, options.steps)
    every = max(1, options.steps // options.evaluations)
    best: tuple[float, float] | None = None
    kept = {}
    order = np.zeros(0, np.int64)
    for step in range(1, options.steps + 1):
        if not len(order):
            order = random.permutation(len(train))
        chosen, order = order[: options.batch], order[options.batch :]
        rssi = augment(train.rssi[chosen], candidate.augmentation, decibels, random)
        model.train()
        given = torch.from_numpy(scaling.apply(rssi))
        loss = functional.cross_entropy(model(given), torch.from_numpy(rooms[chosen]))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), options.clip)
        optimiser.step()
        schedule.step()
        if step % every and step < options.steps:
            continue
        logits = _logits(model, scaling, validation)
        if not np.isfinite(logits).all():
            raise TrainingError(f"training diverged at step {step}")
        score = (
            macro_f1(validation.room, logits.argmax(axis=1)),
            -cross_entropy(logits, validation.room),
        )
        if best is None or score > best:
            best, kept = score, {key: value.clone() for key, value in model.state_dict().items()}
    assert best is not None
    model.load_state_dict(kept)
    return _Network(model, scaling, best)


def _logits(model: nn.Module, scaling: InputScaling, windows: Windows) -> npt.NDArray[np.float32]:
    """[W, K]; the model is left ready for inference."""
    model.eval()
    found = np.zeros((len(windows), len(windows.rooms)), np.float32)
    with torch.no_grad():
        for start in range(0, len(windows), _BATCH):
            part = slice(start, start + _BATCH)
            found[part] = model(torch.from_numpy(scaling.apply(windows.rssi[part]))).numpy()
    return found
