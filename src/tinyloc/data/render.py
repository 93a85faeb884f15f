"""Tables for the console: what `tinyloc data list` and `tinyloc data show` print."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tinyloc.data.describe import RecordingsFacts, SourceStatus

_BAR = 20
_MOST = 24


def render_sources(sources: Sequence[SourceStatus]) -> RenderableType:
    """`data list`: a row per source, then where to read on."""
    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    table.add_column("name", no_wrap=True)
    table.add_column("what it holds", ratio=3)
    table.add_column("licence", ratio=1, max_width=12)
    table.add_column("here", ratio=2, overflow="fold")
    for source in sources:
        if source.simulated:
            here = Text("made by the program", style="cyan")
        elif source.here:
            here = Text(f"yes: {source.where}", style="green")
        else:
            here = Text(f"no: {source.home}", style="yellow")
        what = Text(f"{source.title}; {source.signals}")
        what.append(f"\n{source.citation}", style="dim")
        for name, meaning in source.options.items():
            what.append(f"\n{name}: {meaning}", style="dim")
        table.add_row(Text(source.name, style="bold"), what, source.licence, here)
    end = Text(
        "\nYour own recording: the path of a .csv or .parquet file with a column time, one column per access "
        "point in dBm, and optionally room, session, ax, ay, az.",
        style="dim",
    )
    return Group(table, end)


def render_recordings(facts: RecordingsFacts) -> RenderableType:
    """`data show`: the description, then sessions, rooms and access points."""
    head = Text(facts.name, style="bold")
    if facts.simulated:
        head.append("  simulated: a test bed, not a measurement", style="bold yellow")
    head.append(f"\n{facts.description}\n", style="")
    grid = f"windows of {facts.steps} steps of {facts.grid:.3g} s" if facts.timed else "one row is one window"
    head.append(
        f"{facts.rows:,} rows, {len(facts.heard)} access points, "
        f"acceleration {'yes' if facts.acceleration else 'no'}, "
        f"positions {'yes' if facts.positions else 'no'}, {grid}, "
        f"{facts.unannotated:,} rows without a room\n{facts.citation}. {facts.licence}.",
        style="dim",
    )
    parts: list[RenderableType] = [head]
    parts += [Text(f"! {note}", style="yellow") for note in facts.notes]
    parts += [Text(""), _sessions(facts), Text(""), _rooms(facts), Text(""), _points(facts)]
    return Group(*parts)


def _sessions(facts: RecordingsFacts) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("session")
    table.add_column("set")
    for title in ("rows", "minutes", "samples/s", f"gaps > {facts.gap_seconds:.3g} s", "longest gap"):
        table.add_column(title, justify="right")
    for session in facts.sessions[:_MOST]:
        timed = facts.timed
        table.add_row(
            session.name,
            session.role,
            f"{session.rows:,}",
            f"{session.seconds / 60:.1f}" if timed else "-",
            f"{session.rate:.2f}" if timed else "-",
            str(session.gaps) if timed else "-",
            f"{session.longest_gap:.1f} s" if session.gaps else "-",
        )
    _and_more(table, len(facts.sessions))
    return table


def _rooms(facts: RecordingsFacts) -> Table:
    unit, divide = ("min", 60.0) if facts.timed else ("rows", 1.0)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("room")
    roles = tuple(dict.fromkeys(session.role for session in facts.sessions))
    for role in roles:
        table.add_column(f"{role}, {unit}", justify="right")
    table.add_column("")
    most = max((sum(share.values()) for share in facts.rooms.values()), default=1.0)
    for room, share in list(facts.rooms.items())[:_MOST]:
        digits = 1 if facts.timed else 0
        cells = [f"{share[role] / divide:.{digits}f}" for role in roles]
        table.add_row(room, *cells, _bar(sum(share.values()) / most))
    _and_more(table, len(facts.rooms))
    return table


def _points(facts: RecordingsFacts) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("access point")
    table.add_column("heard", justify="right")
    table.add_column("median", justify="right")
    table.add_column("")
    order = (
        sorted(facts.heard, key=lambda name: -facts.heard[name]) if len(facts.heard) > _MOST else facts.heard
    )
    for name in list(order)[:_MOST]:
        median = facts.strength[name]
        shown = "-" if np.isnan(median) else f"{median:.0f} dBm"
        table.add_row(name, f"{facts.heard[name]:.1%}", shown, _bar(facts.heard[name]))
    _and_more(table, len(facts.heard))
    return table


def _and_more(table: Table, count: int) -> None:
    if count > _MOST:
        table.add_row(Text(f"and {count - _MOST} more", style="dim"))


def _bar(share: float) -> Text:
    return Text("█" * max(round(share * _BAR), 1 if share > 0 else 0), style="cyan")
