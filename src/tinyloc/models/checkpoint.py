"""A trained model on disk: weights, input scaling, names, and how it was trained, in one safetensors file.

The file is a valid safetensors file that any reader opens. Its metadata holds one entry, "tinyloc", a JSON
object with the format's name and version, and a SHA-256 over the whole file (taken with the digest's own 64
digits as zeros): a cut, a flipped byte or an edit anywhere is found. The same model gives the same bytes.
Loading runs no code from the file and needs no torch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, get_args

import numpy as np
import numpy.typing as npt
import safetensors.numpy

from tinyloc.errors import ModelFileError, UsageError
from tinyloc.files import write_bytes
from tinyloc.models import forest
from tinyloc.models.config import (
    CONFIGS,
    Config,
    EnsembleConfig,
    ForestConfig,
    TransformerConfig,
    carries_no_state,
    facts,
    reads_statistics,
    remembers_for_ever,
)
from tinyloc.models.running import columns
from tinyloc.models.scaling import InputScaling

FORMAT: Final = "tinyloc checkpoint"
VERSION: Final = 1

State = Literal["reset", "carried"]

FAMILIES: Final[Mapping[str, type[Config]]] = CONFIGS
"""The families of models that can be read back, by name."""

_LARGEST_HEADER: Final = 16 * 1024 * 1024
_NO_DIGEST: Final = "0" * 64
_SCALING: Final = "scaling."


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A float model and everything that is needed to run it.

    `config` its shape; `scaling` from int8 dBm to the first layer (a family that reads statistics reads the
    dBm themselves, and its scaling means nothing); `weights` float32 arrays with the names
    and shapes of `config.weight_shapes()`; `rooms` K and `access_points` P names; `window_steps` T and
    `seconds_per_step` (0 for single samples) of the windows it was trained on; `state`: "reset" (every window
    from a zero state) or "carried" (the state runs on through a session); `training`: JSON-able facts.
    """

    config: Config
    scaling: InputScaling
    weights: Mapping[str, npt.NDArray[np.float32]]
    rooms: tuple[str, ...]
    access_points: tuple[str, ...]
    window_steps: int
    seconds_per_step: float
    state: State
    training: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        config = self.config
        wanted = config.weight_shapes()
        for name in sorted(wanted.keys() ^ self.weights.keys()):
            reason = "missing" if name in wanted else "not one of this family"
            raise UsageError(f"weight {name!r} is {reason}")
        for name, shape in wanted.items():
            weight = self.weights[name]
            if weight.dtype != np.float32 or weight.shape != shape:
                raise UsageError(f"weight {name!r} is {weight.dtype} {weight.shape}, not float32 {shape}")
            if not np.isfinite(weight).all():
                raise UsageError(f"weight {name!r} holds a value that is not finite")
        if len(self.rooms) != config.rooms or len(self.access_points) != config.access_points:
            raise UsageError("the names of rooms or access points are not as many as the model has")
        statistics = reads_statistics(config)
        if self.scaling.columns != columns(config.access_points, statistics):
            raise UsageError("the input scaling was fitted on another number of access points")
        if self.state not in get_args(State):
            raise UsageError(f"state {self.state!r} is neither 'reset' nor 'carried'")
        if self.state == "carried" and not config.stepwise:
            raise carries_no_state(config.family)
        if self.state == "carried" and statistics:
            raise remembers_for_ever()
        if self.window_steps < 1 or not self.seconds_per_step >= 0:
            raise UsageError("a window has at least one step and no negative seconds")
        if isinstance(config, TransformerConfig) and config.steps != self.window_steps:
            raise UsageError("the transformer's positions are not as many as the windows' steps")
        if isinstance(config, ForestConfig):
            forest.check(config, self.weights, self.window_steps)
        if isinstance(config, EnsembleConfig):
            from tinyloc.models import ensemble

            if not (self.weights["shares"] > 0).all():
                raise UsageError("an ensemble's shares are above 0")
            ensemble.members(self)  # each is checked as a model of its own

    @property
    def family(self) -> str:
        """The kind of model: one of `FAMILIES`."""
        return self.config.family

    def save(self, path: Path) -> None:
        """Write the file whole or not at all. Raises OutputError."""
        write_bytes(path, self.to_bytes())

    def to_bytes(self) -> bytes:
        """The file's bytes: the same for the same model."""
        tensors = {name: np.ascontiguousarray(self.weights[name]) for name in sorted(self.weights)}
        for part in ("table", "offset", "gain"):
            tensors[_SCALING + part] = np.ascontiguousarray(getattr(self.scaling, part), dtype=np.float32)
        about = {
            "format": FORMAT,
            "version": VERSION,
            "sha256": _NO_DIGEST,
            "family": self.family,
            "config": facts(self.config),
            "scaling": self.scaling.kind,
            "rooms": list(self.rooms),
            "access_points": list(self.access_points),
            "window_steps": self.window_steps,
            "seconds_per_step": self.seconds_per_step,
            "state": self.state,
            "training": self.training,
        }
        # one metadata entry only: safetensors writes several in any order
        data = bytes(safetensors.numpy.save(tensors, {"tinyloc": json.dumps(about, allow_nan=False)}))
        return data.replace(_NO_DIGEST.encode(), hashlib.sha256(data).hexdigest().encode(), 1)

    @classmethod
    def load(cls, path: Path) -> Checkpoint:
        """Read a checkpoint. Raises ModelFileError, one line, for anything that is not a whole one."""
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ModelFileError(f"{path}: cannot be read ({error.strerror or error})") from error
        try:
            return cls.from_bytes(data)
        except ModelFileError as error:
            raise ModelFileError(
                f"{path}: {error.message}", hint="Train it again, or copy it again."
            ) from None

    @classmethod
    def from_bytes(cls, data: bytes) -> Checkpoint:
        """The checkpoint in a file's bytes. Raises ModelFileError."""
        about = _about(data)
        if about.get("format") != FORMAT:
            raise ModelFileError("not a tinyloc checkpoint")
        if about.get("version") != VERSION:
            raise ModelFileError(
                f"checkpoint version {about.get('version')!r}, and this reads version {VERSION}"
            )
        digest = str(about.get("sha256"))
        zeroed = data.replace(digest.encode(), _NO_DIGEST.encode(), 1)
        if hashlib.sha256(zeroed).hexdigest() != digest:
            raise ModelFileError("altered or damaged: its checksum does not match")
        family = FAMILIES.get(str(about.get("family")))
        if family is None:
            raise ModelFileError(f"model family {about.get('family')!r} is none of {', '.join(FAMILIES)}")
        try:
            tensors = safetensors.numpy.load(data)
            parts = [tensors.pop(_SCALING + part) for part in ("table", "offset", "gain")]
            return cls(
                config=family(**about["config"]),
                scaling=InputScaling(about["scaling"], *parts),
                weights=tensors,
                rooms=tuple(about["rooms"]),
                access_points=tuple(about["access_points"]),
                window_steps=about["window_steps"],
                seconds_per_step=about["seconds_per_step"],
                state=about["state"],
                training=about["training"],
            )
        except (UsageError, KeyError, TypeError, ValueError, safetensors.SafetensorError) as error:
            raise ModelFileError(f"its parts do not fit together ({error})") from error


def _about(data: bytes) -> dict[str, Any]:
    """The "tinyloc" entry of a safetensors header: 8 bytes of length, then JSON."""
    if len(data) < 8:
        raise ModelFileError("cut: shorter than a safetensors header")
    size = int.from_bytes(data[:8], "little")
    if size > _LARGEST_HEADER:
        raise ModelFileError("not a tinyloc checkpoint, or altered: its header has no sensible length")
    if len(data) < 8 + size:
        raise ModelFileError("cut: it ends inside its header")
    try:
        about = json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["tinyloc"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelFileError("not a tinyloc checkpoint, or its header is altered") from error
    if not isinstance(about, dict):
        raise ModelFileError("not a tinyloc checkpoint")
    return about
