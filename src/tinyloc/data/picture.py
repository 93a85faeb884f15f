"""The picture of `tinyloc data show`: signal over time before its rooms, and how often each was heard."""

from __future__ import annotations

import io
import itertools
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from tinyloc.data.describe import RecordingsFacts
from tinyloc.data.recording import Recording
from tinyloc.data.splits import Material
from tinyloc.data.windows import find_runs
from tinyloc.files import write_bytes

_ROOMS = ("#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#b07aa1", "#76b7b2", "#edc948", "#ff9da7", "#9c755f")
_INK, _FAINT, _LINE = "#222222", "#777777", "#1f4e79"
_MOST_POINTS = 12
_MOST_MINUTES = 20.0
_MOST_BANDS = 12


def draw_recordings(material: Material, facts: RecordingsFacts, path: Path) -> None:
    """Write a PNG: the longest test session (its first 20 min), a row per access point, the rooms behind.

    Where rows stand in no order of time, only the bars of how often each access point was heard are drawn.
    At most the 12 access points that are heard most. The same data give the same picture.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # slow to import, and used here only
    from matplotlib.figure import Figure

    names = sorted(facts.heard, key=lambda name: -facts.heard[name])[:_MOST_POINTS]
    if len(facts.heard) <= _MOST_POINTS:
        names = list(facts.heard)
    height = 1.9 + (0.62 if facts.timed else 0.32) * len(names)
    figure = Figure(figsize=(12.0, height), dpi=120, facecolor="white")
    FigureCanvasAgg(figure)
    top, bottom = 1.0 - (0.95 if facts.timed else 0.6) / height, 0.62 / height
    if facts.timed:
        grid = figure.add_gridspec(
            len(names),
            2,
            width_ratios=(5, 1),
            hspace=0.12,
            wspace=0.04,
            left=0.085,
            right=0.985,
            top=top,
            bottom=bottom,
        )
        _signals(figure, grid, material, names)
        bars = figure.add_subplot(grid[:, 1])
    else:
        bars = figure.add_axes((0.085, bottom, 0.9, top - bottom))
    _bars(bars, facts, names, labels=not facts.timed)
    title = f"{facts.name}: {facts.rows:,} rows, {len(facts.heard)} access points, {len(facts.rooms)} rooms"
    figure.text(0.012, 1 - 0.28 / height, title, fontsize=13, fontweight="bold", color=_INK, va="center")
    if facts.simulated:
        figure.text(
            0.985, 1 - 0.28 / height, "simulated", fontsize=12, color="#c44e00", ha="right", va="center"
        )
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph", UserWarning)  # drawn as a box: the font has no such letter
        figure.savefig(stream, format="png", metadata={"Software": None})
    write_bytes(Path(path), stream.getvalue())


def _signals(figure: Any, grid: Any, material: Material, names: list[str]) -> None:
    recording = max(material.division.test, key=lambda one: one.duration)
    stop = int(np.searchsorted(recording.time, recording.time[0] + 60.0 * _MOST_MINUTES, side="right"))
    recording = recording.part(0, stop, recording.session)
    minutes = (recording.time - recording.time[0]) / 60.0
    bands = _bands(recording, material)
    heard = recording.rssi[~np.isnan(recording.rssi)]
    low, high = (
        (float(np.floor(heard.min() / 10) * 10), float(np.ceil(heard.max() / 10) * 10))
        if len(heard)
        else (-100.0, -30.0)
    )
    shown: list[str] = []
    for row, name in enumerate(names):
        axes = figure.add_subplot(grid[row, 0])
        for first, last, room, colour in bands:
            axes.axvspan(first, last, color=colour, alpha=0.28, lw=0)
            if room not in shown:
                shown.append(room)
        values = recording.rssi[:, recording.access_points.index(name)]
        there = ~np.isnan(values)
        axes.plot(minutes[there], values[there], ".", ms=1.6, color=_LINE, alpha=0.8)
        axes.set_xlim(0, max(float(minutes[-1]), 1e-3))
        axes.set_ylim(low, high)
        axes.set_yticks([low + 10, high - 10])
        axes.tick_params(labelsize=7, colors=_FAINT, length=2)
        axes.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9, color=_INK, labelpad=4)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        for side in ("left", "bottom"):
            axes.spines[side].set_color("#bbbbbb")
        if row < len(names) - 1:
            axes.set_xticklabels([])
        else:
            axes.set_xlabel(
                f"minutes of session {recording.session!r} (test), RSSI in dBm", fontsize=9, color=_INK
            )
    from matplotlib.patches import Patch

    palette = {room: colour for _, _, room, colour in bands}
    handles = [
        Patch(color=palette[room], alpha=0.45, lw=0, label=room) for room in sorted(shown)[:_MOST_BANDS]
    ]
    if handles:
        figure.legend(
            handles=handles,
            loc="upper left",
            bbox_to_anchor=(0.078, 1 - 0.42 / figure.get_figheight()),
            ncols=len(handles),
            fontsize=9,
            frameon=False,
            handlelength=1.1,
            columnspacing=1.4,
        )


def _bands(recording: Recording, material: Material) -> list[tuple[float, float, str, str]]:
    """(from, to, room, colour): stays in a room, in minutes; gaps stay white."""
    if recording.room is None:
        return []
    every = sorted(
        {str(room) for part in material.division.train if part.room is not None for room in part.room}
    )
    colours = {
        room: _ROOMS[number % len(_ROOMS)] for number, room in enumerate(room for room in every if room)
    }
    minutes = (recording.time - recording.time[0]) / 60.0
    bands = []
    for start, stop in find_runs(recording.time, 3.0 * max(1.0, material.protocol.seconds_per_step)):
        rooms = recording.room[start:stop]
        edges = [0, *(np.flatnonzero(rooms[1:] != rooms[:-1]) + 1).tolist(), stop - start]
        for low, high in itertools.pairwise(edges):
            room = str(rooms[low])
            end = minutes[min(start + high, stop - 1)]
            if room in colours:
                bands.append((float(minutes[start + low]), float(end), room, colours[room]))
    return bands


def _bars(axes: Any, facts: RecordingsFacts, names: list[str], labels: bool) -> None:
    shares = [100.0 * facts.heard[name] for name in names]
    places = np.arange(len(names))[::-1]
    axes.barh(places, shares, height=0.5, color="#8fb1d3", lw=0)
    axes.barh(places, [100.0] * len(names), height=0.5, color="#000000", alpha=0.04, lw=0, zorder=0)
    for place, share in zip(places, shares, strict=True):
        axes.text(3, place, f"{share:.1f} %", va="center", fontsize=8.5, color=_INK)
    axes.set_xlim(0, 100)
    axes.set_ylim(-0.5, len(names) - 0.5)
    axes.set_xticks([0, 50, 100])
    axes.tick_params(labelsize=8, colors=_FAINT, length=2)
    axes.set_yticks(places if labels else [], names if labels else [])
    axes.set_xlabel("heard, % of all rows", fontsize=9, color=_INK)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color("#bbbbbb")
