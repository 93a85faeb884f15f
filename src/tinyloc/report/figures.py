"""The geometry of the page's figures: what the template draws, worked out from a `Result`.

Places are shares of the whole (0 to 100, per cent) so that a figure takes any width; the template holds the
look.
"""

from __future__ import annotations

from dataclasses import dataclass

from tinyloc.judge.result import Result

TABLE_ROOMS = 12
"""Most rooms that get a confusion table with numbers in it; more are drawn as a heatmap."""
MIXED_UP = 6
"""Pairs of rooms listed as most often mixed up."""
SESSIONS = 8
"""Test sessions drawn on the timeline."""


@dataclass(frozen=True)
class Cell:
    """A cell of the confusion matrix; `share` (0 to 1) of its true room's windows."""

    row: int
    column: int
    windows: int
    share: float


@dataclass(frozen=True)
class Matrix:
    """The confusion matrix: rows of cells, and the cells that are not empty."""

    rows: tuple[tuple[Cell, ...], ...]
    cells: tuple[Cell, ...]
    as_table: bool
    ticks: tuple[int, ...]


@dataclass(frozen=True)
class Mixed:
    """One kind of mistake: `windows` of room `true` answered `said`, `share` (0 to 1) of that room."""

    true: str
    said: str
    windows: int
    share: float


def matrix(result: Result) -> Matrix:
    """The confusion matrix of `result`, shaded by the share of each true room."""
    K = len(result.data.rooms)
    rows = []
    for i, counts in enumerate(result.confusion):
        whole = sum(counts)
        rows.append(tuple(Cell(i, j, n, n / whole if whole else 0.0) for j, n in enumerate(counts)))
    step = 5 if K <= 30 else 10
    return Matrix(
        rows=tuple(rows),
        cells=tuple(cell for row in rows for cell in row if cell.windows),
        as_table=K <= TABLE_ROOMS,
        ticks=tuple(range(step, K + 1, step)),
    )


def mixed_up(result: Result) -> list[Mixed]:
    """The mistakes made most often, largest first."""
    rooms = result.data.rooms
    wrong = [cell for cell in matrix(result).cells if cell.row != cell.column]
    wrong.sort(key=lambda cell: (-cell.windows, cell.row, cell.column))
    return [Mixed(rooms[c.row], rooms[c.column], c.windows, c.share) for c in wrong[:MIXED_UP]]


@dataclass(frozen=True)
class Stretch:
    """A horizontal bar: `lane` from the top, `left` and `width` in per cent; `right` False where it errs."""

    lane: int
    left: float
    width: float
    right: bool = True


@dataclass(frozen=True)
class Session:
    """One test session: the rooms that occur (one lane each), true stretches, answered stretches, ticks.

    `right` is the share (0 to 1) of its time that is answered rightly. Ticks: per cent and label.
    """

    name: str
    lanes: tuple[str, ...]
    true: tuple[Stretch, ...]
    device: tuple[Stretch, ...]
    ticks: tuple[tuple[float, str], ...]
    right: float


def _ticks(length: float) -> tuple[tuple[float, str], ...]:
    """Round times along `length` seconds, at most seven."""
    if length <= 0:
        return ()
    for step in (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 21600, 43200, 86400):
        if length / step <= 6:
            break
    unit, name = (1, "s") if step < 60 else (60, "min") if step < 3600 else (3600, "h")
    marks = [(100.0 * k * step / length, f"{k * step // unit}") for k in range(int(length / step) + 1)]
    return (*((at, f"{label} {name}" if i == 0 else label) for i, (at, label) in enumerate(marks)),)


def _joined(pieces: list[tuple[int, float, float, bool]], length: float) -> tuple[Stretch, ...]:
    """Pieces (lane, start s, end s, right) as stretches; neighbours of one lane and colour become one."""
    joined: list[tuple[int, float, float, bool]] = []
    for lane, start, end, right in pieces:
        if joined and joined[-1][0] == lane and joined[-1][3] == right and abs(joined[-1][2] - start) < 1e-6:
            joined[-1] = (lane, joined[-1][1], end, right)
        else:
            joined.append((lane, start, end, right))
    return tuple(
        Stretch(lane, round(100 * a / length, 3), round(100 * (b - a) / length, 3), right)
        for lane, a, b, right in joined
    )


def sessions(result: Result) -> list[Session]:
    """The test sessions of the timeline, the first `SESSIONS` of them."""
    rooms = result.data.rooms
    names = list(dict.fromkeys(segment.session for segment in result.timeline))
    drawn = []
    for name in names[:SESSIONS]:
        mine = [segment for segment in result.timeline if segment.session == name]
        used = sorted({s.true for s in mine} | {s.device for s in mine})
        lane = {room: at for at, room in enumerate(used)}
        length = max(segment.end for segment in mine) or 1.0
        time = sum(s.end - s.start for s in mine)
        right = sum(s.end - s.start for s in mine if s.true == s.device)
        drawn.append(
            Session(
                name=name,
                lanes=tuple(rooms[room] for room in used),
                true=_joined([(lane[s.true], s.start, s.end, True) for s in mine], length),
                device=_joined([(lane[s.device], s.start, s.end, s.true == s.device) for s in mine], length),
                ticks=_ticks(length),
                right=right / time if time else 0.0,
            )
        )
    return drawn


def session_count(result: Result) -> int:
    """Test sessions in the timeline."""
    return len({segment.session for segment in result.timeline})


@dataclass(frozen=True)
class Piece:
    """A part of a memory bar: bytes, and its width in per cent of the bar."""

    name: str
    size: int
    width: float
    shade: str


@dataclass(frozen=True)
class Bar:
    """Memory used against memory allowed, in bytes; `limit` is where the budget ends, per cent of the bar."""

    name: str
    used: int
    allowed: int
    pieces: tuple[Piece, ...]
    limit: float

    @property
    def share(self) -> float:
        """Used over allowed, 0 to 1 or more."""
        return self.used / self.allowed if self.allowed else float("inf")

    @property
    def over(self) -> int:
        """Bytes above the budget."""
        return max(0, self.used - self.allowed)


def _bar(name: str, used: int, allowed: int, parts: list[tuple[str, int]]) -> Bar:
    rest = used - sum(size for _, size in parts)
    if rest > 0:
        parts = [*parts, ("Other", rest)]
    whole = max(used, allowed, 1)
    shades = ("a", "b", "c", "d")
    pieces = [
        Piece(label, size, round(100 * size / whole, 3), shades[min(i, 3)])
        for i, (label, size) in enumerate(part for part in parts if part[1] > 0)
    ]
    return Bar(name, used, allowed, tuple(pieces), round(100 * allowed / whole, 3))


def bars(result: Result) -> list[Bar]:
    """Flash and RAM, stacked by what takes them."""
    memory = result.memory
    return [
        _bar(
            "Flash",
            memory.flash_bytes,
            memory.flash_budget_bytes,
            [
                ("Code", memory.text_bytes),
                ("Weights and tables", memory.constants_bytes),
                ("Initial values", memory.data_bytes),
                ("Start-up and harness", memory.harness_bytes),
            ],
        ),
        _bar(
            "RAM",
            memory.ram_bytes,
            memory.ram_budget_bytes,
            [
                ("Model state", memory.state_bytes),
                ("Other variables", max(0, memory.data_bytes + memory.bss_bytes - memory.state_bytes)),
                ("Stack, deepest", memory.stack_bytes),
            ],
        ),
    ]
