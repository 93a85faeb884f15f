"""The simulator's house: rooms by slicing, walls between them, doors, stairs, access points.

Each floor is a rectangle that is cut in two, again and again, until it has its rooms; so rooms never overlap
and leave no hole. Rooms that share a metre of wall or more may have a door; a spanning tree of doors makes
every room reachable, and a few more make loops. All lengths in m; x runs east, y north, z up.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FLOOR_HEIGHT = 2.7
DOOR = 0.9
AREA_PER_ROOM = 14.0
"""Mean floor area of a room, m^2."""

_NAMES = (
    ("hall", "kitchen", "living_room", "toilet", "dining_room", "study", "laundry", "storage"),
    ("landing", "bedroom_1", "bathroom", "bedroom_2", "bedroom_3", "dressing_room", "office", "attic"),
)


@dataclass(frozen=True)
class Room:
    """A rectangle on a floor (0 or 1): x0..x1, y0..y1 in m."""

    name: str
    floor: int
    x0: float
    x1: float
    y0: float
    y1: float

    @property
    def centre(self) -> tuple[float, float]:
        """The middle, m."""
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2

    @property
    def area(self) -> float:
        """Floor area, m^2."""
        return (self.x1 - self.x0) * (self.y1 - self.y0)


@dataclass(frozen=True)
class House:
    """Rooms; `doors`: (room, room) -> way points (x, y, z) between their insides; `access_points` [A, 3] m.

    `walls` [S, 5]: floor, x0, y0, x1, y1 of every wall segment, doors left open.
    """

    rooms: tuple[Room, ...]
    doors: dict[tuple[int, int], tuple[tuple[float, float, float], ...]]
    walls: npt.NDArray[np.float64]
    access_points: npt.NDArray[np.float64]

    def way(self, start: int, goal: int) -> list[int]:
        """Rooms from `start` to `goal` through the fewest doors, both included."""
        before = {start: start}
        queue = deque([start])
        while queue:
            here = queue.popleft()
            for one, other in self.doors:
                if one == here and other not in before:
                    before[other] = here
                    queue.append(other)
        path = [goal]
        while path[-1] != start:
            path.append(before[path[-1]])
        return path[::-1]


def build_house(rng: np.random.Generator, floors: int, rooms: int, access_points: int) -> House:
    """A house with `rooms` rooms over `floors` floors (1 or 2), and access points spread over the rooms."""
    made: list[Room] = []
    lower = (rooms + floors - 1) // floors
    width = float(np.sqrt(lower * AREA_PER_ROOM * 1.3))
    depth = lower * AREA_PER_ROOM / width
    for floor in range(floors):
        count = lower if floor == 0 else rooms - lower
        cells = _slice(rng, (0.0, width, 0.0, depth), count)
        order = sorted(cells, key=lambda cell: abs((cell[0] + cell[1]) / 2 - width / 2))
        for number, cell in enumerate(order):
            made.append(Room(_name(floor, number), floor, *cell))
    doors = _open_doors(rng, made)
    return House(tuple(made), doors, _build_walls(made, doors), _place(rng, made, access_points))


def _name(floor: int, number: int) -> str:
    names = _NAMES[floor]
    return names[number] if number < len(names) else f"room_{floor}{number + 1}"


def _slice(
    rng: np.random.Generator, cell: tuple[float, float, float, float], count: int
) -> list[tuple[float, float, float, float]]:
    """Cut a rectangle (x0, x1, y0, y1) into `count`, across its longer side each time."""
    if count == 1:
        return [cell]
    x0, x1, y0, y1 = cell
    first = count // 2
    share = first / count * rng.uniform(0.8, 1.2)
    if x1 - x0 >= y1 - y0:
        cut = x0 + share * (x1 - x0)
        halves = (x0, cut, y0, y1), (cut, x1, y0, y1)
    else:
        cut = y0 + share * (y1 - y0)
        halves = (x0, x1, y0, cut), (x0, x1, cut, y1)
    return _slice(rng, halves[0], first) + _slice(rng, halves[1], count - first)


def _shared_wall(one: Room, other: Room) -> tuple[float, float, float, float] | None:
    """The wall (x0, y0, x1, y1) that two rooms of one floor share, if it is long enough for a door."""
    low_x, high_x = max(one.x0, other.x0), min(one.x1, other.x1)
    low_y, high_y = max(one.y0, other.y0), min(one.y1, other.y1)
    if abs(high_x - low_x) < 1e-9 and high_y - low_y > 1.0:
        return low_x, low_y, low_x, high_y
    if abs(high_y - low_y) < 1e-9 and high_x - low_x > 1.0:
        return low_x, low_y, high_x, low_y
    return None


def _open_doors(
    rng: np.random.Generator, rooms: list[Room]
) -> dict[tuple[int, int], tuple[tuple[float, float, float], ...]]:
    ways: dict[tuple[int, int], tuple[tuple[float, float, float], ...]] = {}
    group = list(range(len(rooms)))
    pairs = [(i, j) for i in range(len(rooms)) for j in range(i) if rooms[i].floor == rooms[j].floor]
    for index in rng.permutation(len(pairs)):
        i, j = pairs[index]
        wall = _shared_wall(rooms[i], rooms[j])
        if wall is None or (group[i] == group[j] and rng.random() > 0.25):
            continue
        group = [group[i] if member == group[j] else member for member in group]
        at = rng.uniform(0.3, 0.7)
        x, y = wall[0] + at * (wall[2] - wall[0]), wall[1] + at * (wall[3] - wall[1])
        point = (float(x), float(y), FLOOR_HEIGHT * rooms[i].floor)
        ways[i, j] = ways[j, i] = (point,)
    if any(room.floor for room in rooms):
        below = next(index for index, room in enumerate(rooms) if room.floor == 0)
        above = next(index for index, room in enumerate(rooms) if room.floor == 1)
        foot, head = (*rooms[below].centre, 0.0), (*rooms[above].centre, FLOOR_HEIGHT)
        ways[below, above] = (foot, head)
        ways[above, below] = (head, foot)
    return ways


def _build_walls(
    rooms: list[Room], doors: dict[tuple[int, int], tuple[tuple[float, float, float], ...]]
) -> npt.NDArray[np.float64]:
    """Inner walls without their doors; the outer walls matter to nobody inside."""
    segments: list[tuple[float, ...]] = []
    for i, one in enumerate(rooms):
        for j in range(i):
            wall = _shared_wall(one, rooms[j]) if one.floor == rooms[j].floor else None
            if wall is None:
                continue
            x0, y0, x1, y1 = wall
            if (i, j) not in doors:
                segments.append((one.floor, x0, y0, x1, y1))
                continue
            x, y, _ = doors[i, j][0]
            across = np.array([x1 - x0, y1 - y0]) / np.hypot(x1 - x0, y1 - y0) * DOOR / 2
            segments.append((one.floor, x0, y0, x - across[0], y - across[1]))
            segments.append((one.floor, x + across[0], y + across[1], x1, y1))
    return np.array(segments, np.float64).reshape(-1, 5)


def _place(rng: np.random.Generator, rooms: list[Room], count: int) -> npt.NDArray[np.float64]:
    """Access points at wall sockets [count, 3] m: one per room from the largest down, then again."""
    order = sorted(range(len(rooms)), key=lambda index: -rooms[index].area)
    places = []
    for number in range(count):
        room = rooms[order[number % len(order)]]
        x = rng.choice([room.x0 + 0.2, room.x1 - 0.2])
        y = rng.uniform(room.y0 + 0.2, room.y1 - 0.2)
        places.append((x, y, FLOOR_HEIGHT * room.floor + rng.uniform(0.3, 1.5)))
    return np.array(places, np.float64).reshape(-1, 3)
