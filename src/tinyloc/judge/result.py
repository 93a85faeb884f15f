"""`result.json`: everything a run found out, in one frozen model with a version.

`Result` is what `judge` leaves and all that `report` reads. `save` and `load` are the only way to and from
disk; a file that is cut, altered by hand or of another version is a `ModelFileError` of one line.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from tinyloc import files
from tinyloc.errors import ModelFileError
from tinyloc.judge.parts import (
    SHARE,
    Ahead,
    Baselines,
    Bracket,
    Count,
    Cycles,
    Data,
    Decision,
    DecisionCandidate,
    Device,
    Energy,
    Forest,
    Instructions,
    Memory,
    Model,
    Neighbours,
    Part,
    Radio,
    Room,
    RoomChanges,
    Scores,
    Seed,
    SeedsSummary,
    Segment,
    Spread,
    Tier,
    Validation,
    Windows,
    field,
)

SCHEMA = "tinyloc-result"
VERSION = 1

__all__ = [
    "SCHEMA",
    "VERSION",
    "Ahead",
    "Baselines",
    "Bracket",
    "Cycles",
    "Data",
    "Decision",
    "DecisionCandidate",
    "Device",
    "Energy",
    "Forest",
    "Instructions",
    "Memory",
    "Model",
    "Neighbours",
    "Radio",
    "Result",
    "Room",
    "RoomChanges",
    "Scores",
    "Seed",
    "SeedsSummary",
    "Segment",
    "Spread",
    "Tier",
    "Validation",
    "Windows",
    "json_schema",
    "load",
    "save",
    "summarise_seeds",
]


class Result(Part):
    """The verdict of one run."""

    schema_: Literal["tinyloc-result"] = field("What this file is", alias="schema", default="tinyloc-result")
    version: Literal[1] = field("Version of this schema", default=1)
    created: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}")] = field("Date of the run, ISO 8601")
    command: str = field("The command that made this, as typed")
    versions: dict[str, str] = field("Versions of tinyloc, Python and the packages that count, by name")
    seed: int = field("Seed of the run that the figures below are of")
    data: Data = field("The recordings")
    windows: Windows = field("Sizes of the three sets", "windows")
    model: Model = field("The model")
    parameters: Count = field("Trained numbers in the model", "parameters")
    f1_macro: Scores = field("Macro-F1 on the test windows, over the rooms that occur in them", SHARE)
    accuracy: Scores = field("Accuracy on the test windows", SHARE)
    validation: Validation = field("What quantisation cost on validation")
    decision: Decision | None = field(
        "The decision layer; null where none was asked for or windows have no order in time", default=None
    )
    per_room: tuple[Room, ...] = field("Each room, in the order of data.rooms, for the device")
    confusion: tuple[tuple[Count, ...], ...] = field(
        "Row: true room; column: the device's room; each as in data.rooms", "windows"
    )
    baselines: Baselines = field("Simpler methods on the same windows")
    device: Device = field("The proof on the emulated chip")
    memory: Memory = field("Memory on the device", "bytes")
    instructions: Instructions = field("Instructions on the device", "instructions")
    cycles: Cycles = field("Clock cycles, as brackets", "cycles")
    energy: Energy = field("Energy, as brackets")
    fits: bool = field("True when flash_bytes and ram_bytes are within their budgets")
    room_changes: RoomChanges | None = field(
        "Flapping; null where windows have no order in time", "changes", default=None
    )
    seeds: tuple[Seed, ...] = field("Each seed, when more than one was run", default=())
    seeds_summary: SeedsSummary | None = field("All seeds; null when only one was run", default=None)
    timeline: tuple[Segment, ...] = field(
        "Test recordings in order; empty where windows have no order in time", default=()
    )

    @model_validator(mode="after")
    def _shapes_agree(self) -> Self:
        rooms = self.data.rooms
        K = len(rooms)
        if tuple(entry.room for entry in self.per_room) != rooms:
            raise ValueError("per_room does not list the rooms of data.rooms in their order")
        if len(self.confusion) != K or any(len(row) != K for row in self.confusion):
            raise ValueError(f"confusion is not {K} x {K}")
        if any(segment.true >= K or segment.device >= K for segment in self.timeline):
            raise ValueError(f"timeline names a room beyond the {K} of data.rooms")
        return self

    def to_json(self) -> dict[str, Any]:
        """This result as plain JSON values, with the names used in `result.json`."""
        return self.model_dump(mode="json", by_alias=True)

    def to_line(self) -> str:
        """This result as one line of JSON, for `tinyloc run --json`."""
        return json.dumps(self.to_json(), allow_nan=False)


def json_schema() -> dict[str, Any]:
    """The JSON schema of `result.json`; each property carries its `unit`."""
    return Result.model_json_schema(by_alias=True, mode="serialization")


def save(result: Result, path: Path) -> None:
    """Write `result` to `path`, whole or not at all."""
    files.write_json(path, result.to_json())


def load(path: Path) -> Result:
    """Read a `result.json`. Anything but a whole one of this version is a ModelFileError of one line."""
    again = "Run `tinyloc run` again."
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise ModelFileError(f"{path}: no such file", hint="`tinyloc run` writes it.") from error
    except OSError as error:
        raise ModelFileError(f"{path}: could not be read ({error.strerror or error})") from error
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path}: is not whole JSON: cut or altered", hint=again) from error
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        raise ModelFileError(f"{path}: is not a {SCHEMA} file", hint="Name the result.json of a run.")
    if value.get("version") != VERSION:
        raise ModelFileError(
            f"{path}: is version {value.get('version')!r} of {SCHEMA}; this tinyloc reads {VERSION}",
            hint=again,
        )
    try:
        return Result.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "file"
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise ModelFileError(f"{path}: {place}: {first['msg']}{more}", hint=again) from error


def _spread(values: Sequence[float]) -> Spread:
    return Spread(mean=sum(values) / len(values), min=min(values), max=max(values))


def summarise_seeds(seeds: Sequence[Seed]) -> SeedsSummary | None:
    """Mean, smallest and largest over `seeds`; None for fewer than two."""
    if len(seeds) < 2:
        return None
    forest = [seed.forest300_f1_macro for seed in seeds if seed.forest300_f1_macro is not None]
    return SeedsSummary(
        count=len(seeds),
        f1_macro=_spread([seed.f1_macro.device for seed in seeds]),
        accuracy=_spread([seed.accuracy.device for seed in seeds]),
        forest300_f1_macro=_spread(forest) if len(forest) == len(seeds) else None,
    )
