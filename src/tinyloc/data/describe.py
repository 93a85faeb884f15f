"""What is there: facts about the sources (`tinyloc data list`) and about one (`tinyloc data show`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from tinyloc.data.load import load_material
from tinyloc.data.locate import look
from tinyloc.data.recording import Recording
from tinyloc.data.sources import ALL
from tinyloc.data.splits import Material
from tinyloc.data.windows import find_runs, gap_for


@dataclass(frozen=True)
class SourceStatus:
    """One line of `data list`. `here`: all files were found, in `where`, or nothing needs to be found."""

    name: str
    title: str
    signals: str
    truth: str
    licence: str
    citation: str
    home: str
    here: bool
    where: Path | None
    simulated: bool
    options: dict[str, str]


def describe_sources(data_dir: Path | None = None) -> list[SourceStatus]:
    """What each source holds, on what terms, and whether it is here. Nothing is fetched."""
    made = []
    for source in ALL.values():
        found = next((place for place in look(source, data_dir) if not place.missing), None)
        made.append(
            SourceStatus(
                name=source.name,
                title=source.title,
                signals=source.signals,
                truth=source.truth,
                licence=source.licence,
                citation=source.citation,
                home=source.home,
                here=found is not None or not source.needs,
                where=found.root / source.folder if found is not None and source.needs else None,
                simulated=source.simulated,
                options=dict(source.options),
            )
        )
    return made


@dataclass(frozen=True)
class SessionFacts:
    """One session: `role` train, validation, selection or test; `rate` samples/s (0 for one); gaps in s."""

    name: str
    role: str
    rows: int
    seconds: float
    rate: float
    gaps: int
    longest_gap: float


@dataclass(frozen=True)
class RecordingsFacts:
    """What `data show` prints.

    `rooms`: seconds per room and role. `heard`: share of the samples in which each access point was heard,
    0..1; `strength`: its median, dBm (NaN if never heard). `grid`: seconds per step. `timed` is False where
    rows stand in no order of time; then `rooms` counts rows. `positions`: whether those that train have any.
    """

    name: str
    rows: int
    sessions: tuple[SessionFacts, ...]
    rooms: dict[str, dict[str, float]]
    heard: dict[str, float]
    strength: dict[str, float]
    unannotated: int
    acceleration: bool
    positions: bool
    grid: float
    steps: int
    gap_seconds: float
    timed: bool
    description: str
    notes: tuple[str, ...]
    licence: str
    citation: str
    simulated: bool


def describe_recordings(
    name: str,
    *,
    data_dir: Path | None = None,
    download: bool = True,
    console: Console | None = None,
    **options: object,
) -> tuple[RecordingsFacts, Material]:
    """Facts about the recordings of `name`, and the recordings, for a picture. Errors: as `load_windows`."""
    material = load_material(name, data_dir=data_dir, download=download, console=console, **options)
    return facts_of(material), material


def roles_of(material: Material) -> list[tuple[str, Recording]]:
    """(role, recording) of all three sets, and of what selects."""
    division = material.division
    sets = (
        ("train", division.train),
        ("validation", division.validation),
        ("selection", division.selection),
        ("test", division.test),
    )
    return [(role, recording) for role, recordings in sets for recording in recordings]


def facts_of(material: Material) -> RecordingsFacts:
    """The facts about divided recordings."""
    pairs = roles_of(material)
    recordings = [recording for _, recording in pairs]
    protocol = material.protocol
    timed = protocol.seconds_per_step > 0
    gap = gap_for(protocol.seconds_per_step, protocol.gap_seconds)
    rooms: dict[str, dict[str, float]] = {}
    roles = tuple(dict.fromkeys(role for role, _ in pairs))
    for role, recording in pairs:
        for room, amount in _room_seconds(recording, gap, timed).items():
            rooms.setdefault(room, dict.fromkeys(roles, 0.0))[role] += amount
    rssi = np.concatenate([recording.rssi for recording in recordings])
    points = recordings[0].access_points
    there = ~np.isnan(rssi)
    strength = [
        float(np.median(rssi[there[:, p], p])) if there[:, p].any() else np.nan for p in range(len(points))
    ]
    return RecordingsFacts(
        name=material.name,
        rows=len(rssi),
        sessions=tuple(_session(role, recording, gap, timed) for role, recording in pairs),
        rooms=dict(sorted(rooms.items())),
        heard=dict(zip(points, (float(share) for share in there.mean(axis=0)), strict=True)),
        strength=dict(zip(points, strength, strict=True)),
        unannotated=sum(_unannotated(recording) for recording in recordings),
        acceleration=all(recording.acceleration is not None for recording in recordings),
        positions=any(one.position is not None for one in material.division.train),
        grid=protocol.seconds_per_step,
        steps=protocol.steps,
        gap_seconds=gap,
        timed=timed,
        description=material.division.description,
        notes=material.notes,
        licence=material.licence,
        citation=material.citation,
        simulated=material.simulated,
    )


def durations(recording: Recording, gap: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Seconds that each sample stands for [T]: until the next; before a gap or the end, the median step."""
    steps = np.diff(recording.time)
    inside = steps[steps <= gap]
    usual = float(np.median(inside)) if len(inside) else 0.0
    return np.append(np.where(steps <= gap, steps, usual), usual)


def _room_seconds(recording: Recording, gap: float, timed: bool) -> dict[str, float]:
    if recording.room is None:
        return {}
    amount = durations(recording, gap) if timed else np.ones(len(recording))
    names, inverse = np.unique(recording.room, return_inverse=True)
    sums = np.bincount(inverse, weights=amount)
    return {str(name): float(total) for name, total in zip(names, sums, strict=True) if name}


def _session(role: str, recording: Recording, gap: float, timed: bool) -> SessionFacts:
    steps = np.diff(recording.time)
    runs: Sequence[tuple[int, int]] = find_runs(recording.time, gap) if timed else [(0, len(recording))]
    usual = float(np.median(steps)) if timed and len(steps) else 0.0
    return SessionFacts(
        name=recording.session,
        role=role,
        rows=len(recording),
        seconds=recording.duration,
        rate=1.0 / usual if usual else 0.0,
        gaps=len(runs) - 1,
        longest_gap=float(steps.max()) if len(runs) > 1 else 0.0,
    )


def _unannotated(recording: Recording) -> int:
    return len(recording) if recording.room is None else int((recording.room == "").sum())
