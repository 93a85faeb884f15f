"""How well "unknown" is found: one room left out of training, access points gone silent, on real recordings.

Each room in turn is left out of training and validation windows; a threshold is set so that a stated share of
the validation windows exceeds it; then test windows are asked: of the known rooms (false alarms), of the room
that was left out (found), and of the known rooms with one access point, half of them, or all silent (found).
Beside the distance that the device computes (`quant/answer_fit.py`) stands the certainty of a network that
was trained on the same windows (its highest probability, the usual way).

`python bench/unknown.py --data-dir DIR` prints the table of docs/LOG.md; the seed is fixed.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tinyloc.data import load_windows
from tinyloc.data.windows import Windows, WindowSets
from tinyloc.learn.options import Augmentation, TrainOptions
from tinyloc.learn.predict import predict
from tinyloc.learn.train import train
from tinyloc.quant.answer_fit import fit_novelty, levels_of

SETS = ("flat", "walks:library", "walks:canteen")
COLUMNS = ("false alarms", "left-out room", "1 silent", "half silent", "all silent")

Score = Callable[[Windows], npt.NDArray[np.float64]]
"""How strange every window is, [W]."""


def without(windows: Windows, room: int) -> Windows:
    """The windows of all other rooms, as if that room had never been annotated."""
    number = np.array(
        [-1 if k == room else k - (k > room) for k in range(len(windows.rooms))] + [-1], np.int16
    )
    kept = windows.room != room
    return dataclasses.replace(
        windows.rows(kept),
        rooms_at=number[windows.rooms_at[kept]],
        room=number[windows.room[kept]],
        rooms=tuple(name for k, name in enumerate(windows.rooms) if k != room),
    )


def silent(windows: Windows, points: npt.NDArray[np.int64]) -> Windows:
    """The windows with these access points never heard."""
    rssi = windows.rssi.copy()
    rssi[:, :, points] = -128
    return dataclasses.replace(windows, rssi=rssi)


def scores(sets: WindowSets, family: str) -> Score:
    """The certainty of a network of that family, or the device's distance where it is empty."""
    if not family:
        operator = fit_novelty(sets)
        return lambda windows: levels_of(operator, windows).astype(np.float64)
    options = TrainOptions(
        family=family,
        hidden=32 if family == "statnet" else 8,
        scaling="minmax",
        augmentation=Augmentation(offset=0.25, jitter=0.25),
        steps=400,
    )
    checkpoint = train(sets, options)

    def uncertainty(windows: Windows) -> npt.NDArray[np.float64]:
        logits = predict(checkpoint, windows).astype(np.float64)
        return -1 / np.exp(logits - logits.max(axis=1, keepdims=True)).sum(axis=1)

    return uncertainty


def measure(sets: WindowSets, family: str, share: float) -> npt.NDArray[np.float64]:
    """The five columns, the mean over the rooms left out; then the area under the curve of the room."""
    rows = []
    for room in range(len(sets.train.rooms)):
        train_, validation = without(sets.train, room), without(sets.validation, room)
        known = dataclasses.replace(sets, train=train_, validation=validation, test=without(sets.test, room))
        strange = scores(known, family)
        threshold = np.quantile(strange(known.validation), 1 - share, method="higher")
        all_test = strange(sets.test)  # heard as one stream, the room that was left out in its place
        there = sets.test.room == room
        count = sets.test.rssi.shape[2]
        half = np.random.default_rng(0).permutation(count)[: count // 2]
        muted = [np.array([point]) for point in range(count)]
        parts = [
            all_test[~there],
            all_test[there],
            np.concatenate([strange(silent(known.test, points)) for points in muted]),
            strange(silent(known.test, half)),
            strange(silent(known.test, np.arange(count))),
        ]
        above = (all_test[there][:, None] > all_test[~there]).mean()
        above += 0.5 * (all_test[there][:, None] == all_test[~there]).mean()
        rows.append([*((part > threshold).mean() for part in parts), above])
    return np.mean(rows, axis=0)


def main() -> None:
    """Read the flags, measure, print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--families", default="statnet,mamba", help="networks to compare with")
    given = parser.parse_args()
    print("| recording | how | share allowed on validation | " + " | ".join(COLUMNS) + " | area |")
    print("|---" * (len(COLUMNS) + 4) + "|")
    for name in given.sets.split(","):
        sets = load_windows(name, data_dir=given.data_dir)
        for family in ("", *given.families.split(",")):
            for share in (0.05, 0.01):
                found = measure(sets, family, share)
                how = f"certainty of {family}" if family else "**distance**"
                cells = " | ".join(f"{100 * value:.0f} %" for value in found[:5])
                print(f"| {name} | {how} | {100 * share:g} % | {cells} | {found[5]:.2f} |", flush=True)


if __name__ == "__main__":
    main()
