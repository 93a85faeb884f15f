"""A run folder: the files that the stages leave, and `run.json`, which says how they were made."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinyloc import __version__, files
from tinyloc.errors import ModelFileError, OutputError, UsageError

FORMAT = "tinyloc run"
VERSION = 1


@dataclass(frozen=True)
class RunFolder:
    """Where a run's files are. A stage that misses one says which verb makes it."""

    path: Path

    @property
    def windows(self) -> Path:
        """The three sets of windows (`tinyloc data`)."""
        return self.path / "windows.npz"

    @property
    def checkpoint(self) -> Path:
        """The float model (`tinyloc train`)."""
        return self.path / "model.safetensors"

    @property
    def chosen(self) -> Path:
        """The float model as validation chose it, where `checkpoint` has learned from validation since."""
        return self.path / "chosen.safetensors"

    @property
    def training_chosen(self) -> Path:
        """What validation chose, while its refit is under way and `chosen` still that of the model before."""
        return self.path / "training.chosen"

    @property
    def training_state(self) -> Path:
        """Where an interrupted training goes on from."""
        return self.path / "training.state"

    @property
    def teachers(self) -> Path:
        """Models that taught the one of this folder, each by the digest of what decides it."""
        return self.path / "teachers"

    @property
    def members(self) -> Path:
        """Models of an ensemble, each by the digest of what decides it."""
        return self.path / "members"

    @property
    def integer_model(self) -> Path:
        """The integer model (`tinyloc quantise`)."""
        return self.path / "model.tinyloc"

    @property
    def c(self) -> Path:
        """The C files (`tinyloc emit`)."""
        return self.path / "c"

    @property
    def c_model(self) -> Path:
        """The C file that stands for the whole of `c/`: without it nothing is built."""
        return self.c / "tinyloc_model.c"

    @property
    def c_float32(self) -> Path:
        """The C files in floating point (`tinyloc emit --precision float32`)."""
        return self.path / "c-float32"

    @property
    def build(self) -> Path:
        """Firmware of each tier (`tinyloc verify`)."""
        return self.path / "build"

    @property
    def result(self) -> Path:
        """The verdict (`tinyloc verify`)."""
        return self.path / "result.json"

    @property
    def page(self) -> Path:
        """The page (`tinyloc report`)."""
        return self.path / "index.html"

    @property
    def about(self) -> Path:
        """How the files were made."""
        return self.path / "run.json"

    def create(self) -> None:
        """Make the folder. Raises OutputError."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"{self.path}: the folder cannot be made ({error.strerror or error})",
                hint="Name another with --out.",
            ) from None

    def need(self, path: Path, verb: str) -> Path:
        """`path`, if it is there. Raises UsageError naming the verb that makes it."""
        if not path.exists():
            raise UsageError(f"{path}: not there yet", hint=f"`tinyloc {verb}` makes it.")
        return path

    def read(self) -> dict[str, Any]:
        """`run.json`, section by section; empty where there is none. Raises ModelFileError."""
        if not self.about.exists():
            return {}
        try:
            value = json.loads(self.about.read_bytes())
        except (OSError, ValueError, RecursionError):
            value = None
        if not isinstance(value, dict) or value.get("format") != FORMAT:
            reason = "not a run.json of tinyloc, or cut"
        elif value.get("version") != VERSION:
            reason = f"version {value.get('version')!r}, and this tinyloc reads version {VERSION}"
        elif value.get("sha256") != _digest(value.get("sections")):
            reason = "altered: its checksum differs"
        else:
            sections: dict[str, Any] = value["sections"]
            return sections
        raise ModelFileError(f"{self.about}: {reason}", hint="Remove it and run again.")

    def note(self, section: str, value: dict[str, Any] | None) -> None:
        """Write one section of `run.json`, or remove it (None), keeping the others. Raises OutputError."""
        self.create()
        sections = self.read()
        if value is None and section not in sections:
            return
        sections = {name: kept for name, kept in sections.items() if name != section}
        if value is not None:
            sections[section] = value
        # as JSON has it: tuples become lists, before the digest is taken
        sections = json.loads(json.dumps(sections, allow_nan=False))
        about = {"format": FORMAT, "version": VERSION, "sha256": _digest(sections), "sections": sections}
        files.write_json(self.about, about)

    def forget(self, *paths: Path) -> None:
        """Remove what a stage is about to make anew, so that nothing stale stands beside it."""
        for path in paths:
            try:
                path.unlink(missing_ok=True)
            except NotADirectoryError:
                pass  # then it is not there either
            except OSError as error:
                raise OutputError(f"{path}: cannot be removed ({error.strerror or error})") from None


def _digest(sections: Any) -> str:
    return hashlib.sha256(json.dumps(sections, sort_keys=True).encode()).hexdigest()


def versions() -> dict[str, str]:
    """Versions of what decides the figures, by name."""
    found = {"tinyloc": __version__, "python": platform.python_version()}
    for name in ("numpy", "torch", "scikit-learn"):
        found[name] = importlib.metadata.version(name)
    return found
