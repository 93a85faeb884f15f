"""Training that was stopped, on disk: what is needed to go on to the very same bytes.

A safetensors file (no pickle). Every draw of training is a function of the seed, the trial and the step, so
no state of a random generator is kept.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.numpy

from tinyloc.data.windows import WindowSets
from tinyloc.errors import ModelFileError, TrainingError
from tinyloc.files import write_bytes
from tinyloc.learn.options import TrainOptions, candidates, read, record
from tinyloc.models.config import is_network

Arrays = dict[str, npt.NDArray[np.float32]]


@dataclass
class Moment:
    """Where training stands between two steps.

    `trial` and `step` to do next. `weights`, `first` and `second` (AdamW's moments) of the trial under way.
    `kept` and `score`: the best of this trial so far; `stale`: evaluations since. `best` and `best_trial`:
    the best of the trials before. `trials`: a line about each trial that has ended.
    """

    trial: int = 0
    step: int = 0
    weights: Arrays = field(default_factory=dict)
    first: Arrays = field(default_factory=dict)
    second: Arrays = field(default_factory=dict)
    kept: Arrays = field(default_factory=dict)
    score: dict[str, float] = field(default_factory=dict)
    stale: int = 0
    best: Arrays = field(default_factory=dict)
    best_trial: int = -1
    trials: list[dict[str, Any]] = field(default_factory=list)


_GROUPS = ("weights", "first", "second", "kept", "best")


def fingerprint(
    sets: WindowSets, options: TrainOptions, targets: npt.NDArray[np.float32] | None = None
) -> str:
    """SHA-256 of all that decides training: options, what is tried where they leave it open, training and
    validation windows, a teacher's targets.
    """
    digest = hashlib.sha256(json.dumps(record(options), sort_keys=True).encode())
    for own in options.member_options() or (options,):
        if is_network(own.family) and (own.augmentation is None or own.scaling == "auto"):
            tried = candidates(own, sets.train.only(read(own, sets.train)))
            digest.update(repr(tried).encode())
    for windows in (sets.train, sets.validation):
        digest.update(windows.rssi.tobytes())
        digest.update(windows.rooms_at.tobytes())
        digest.update(windows.room.tobytes())
        if options.accelerometer and windows.acceleration is not None:
            digest.update(windows.acceleration.tobytes())
        if options.positions and windows.positions_at is not None:
            digest.update(b"positions" + windows.positions_at.tobytes())
        digest.update(repr((windows.rssi.shape, windows.rooms, windows.access_points)).encode())
    if options.taught_trees:
        digest.update(b"trees are taught")  # once they were not: what was kept then is another model
    if targets is not None:
        digest.update(repr((targets.dtype.str, targets.shape)).encode() + targets.tobytes())
    return digest.hexdigest()


def save(path: Path, moment: Moment, mark: str) -> None:
    """Write the moment atomically. Raises OutputError."""
    tensors = {f"{group}/{name}": a for group in _GROUPS for name, a in getattr(moment, group).items()}
    about = {f.name: getattr(moment, f.name) for f in dataclasses.fields(moment) if f.name not in _GROUPS}
    checksum = _checksum(tensors, about)
    text = json.dumps({"mark": mark, "moment": about, "sha256": checksum})
    write_bytes(path, safetensors.numpy.save(tensors, {"tinyloc-training": text}))


def load(path: Path, mark: str) -> Moment:
    """Read a moment back. Raises ModelFileError if damaged, TrainingError if it is of other training."""
    try:
        data = path.read_bytes()
        tensors = safetensors.numpy.load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        text = json.loads(header["__metadata__"]["tinyloc-training"])
        if text["sha256"] != _checksum(tensors, text["moment"]):
            raise ValueError("checksum")
        groups: dict[str, Arrays] = {group: {} for group in _GROUPS}
        for name, array in tensors.items():
            group, _, weight = name.partition("/")
            groups[group][weight] = array
        parts: dict[str, Any] = text["moment"] | groups
        moment = Moment(**parts)
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (ValueError, KeyError, TypeError, RecursionError, safetensors.SafetensorError) as error:
        raise ModelFileError(f"{path}: not a saved state of training, or damaged") from error
    if text["mark"] != mark:
        raise TrainingError(f"{path}: was saved by training with other data or options", hint="Start anew.")
    return moment


def _checksum(tensors: Arrays, about: dict[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name in sorted(tensors):
        digest.update(name.encode() + repr(tensors[name].shape).encode() + tensors[name].tobytes())
    return digest.hexdigest()
