"""A house that was never built: the test bed that needs no download.

A person with a wearable walks through the rooms of `floorplan.build_house`; every access point's signal is

    RSSI = P0 - 10 n log10(d) - walls - floors - body + slow(place) + slow(time) + fast + drift

- P0 = -52 dBm at 1 m, n = 2.0: log-distance path loss (Rappaport, Wireless Communications, 2nd ed., ch. 4).
- walls: 4.5 dB for each inner wall that the straight line crosses (the light wall of the Motley-Keenan and
  COST 231 multi-wall models); floors: 13 dB each (ITU-R P.1238 gives 9..16 dB for one floor of a house).
- body: up to 9 dB, turning with the walker's heading: most when the body stands between.
- slow(place): a Gaussian field per access point, 4 dB, correlated over about 1.5 m; slow(time): an
  Ornstein-Uhlenbeck process, 2.5 dB, 45 s (Gudmundson's exponential correlation, 1991); fast: 3 dB, white.
- a packet is lost by chance (8 %) and near the sensitivity of -90 dBm; what arrives is a whole number of dBm.

Scripted walks visit every room in turn, several times: the last of them validates, the others train. The
unscripted days test: a person goes where days go, sits mostly, and between the two the receivers drift.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinyloc.data.floorplan import FLOOR_HEIGHT, House, build_house
from tinyloc.data.recording import RSSI_MAX, RSSI_MIN, FloatArray, Recording
from tinyloc.data.words import flag
from tinyloc.errors import UsageError

RATE = 5.0
"""Samples per second, as the wearables of the SPHERE houses send."""
WRIST = 1.0
"""Height of the wearable above its floor, m."""
POWER_AT_1M = -52.0
EXPONENT = 2.0
WALL_DB = 4.5
FLOOR_DB = 13.0
BODY_DB = 9.0
PLACE_DB, PLACE_M = 4.0, 1.5
TIME_DB, TIME_S = 2.5, 45.0
FAST_DB = 3.0
SENSITIVITY, SENSITIVITY_WIDTH = -90.0, 2.0
LOSS = 0.08
_WAVES = 48
_PASSES = 4
_DAYS = 2


@dataclass(frozen=True)
class HousePlan:
    """What to simulate. Minutes are of recording; `drift` dB is the spread of the receivers' offsets."""

    floors: int = 2
    rooms: int = 8
    access_points: int = 8
    scripted_minutes: float = 60.0
    unscripted_minutes: float = 100.0
    drift: float = 2.0
    seed: int = 0

    def __post_init__(self) -> None:
        limits: tuple[tuple[str, float, float], ...] = (
            ("floors", 1, 2),
            ("rooms", 2, 16),
            ("access_points", 1, 64),
            ("scripted_minutes", 4, 1440),
            ("unscripted_minutes", 2, 1440),
            ("drift", 0, 30),
            ("seed", 0, 2**63 - 1),
        )
        for name, low, high in limits:
            value = getattr(self, name)
            if not low <= value <= high:
                typed = flag({"seed": "house_seed"}.get(name, name), value)
                raise UsageError(f"house: {typed} is not possible; expected {low:g}..{high:g}")
        if self.rooms < 2 * self.floors:
            raise UsageError(
                f"house: {self.rooms} rooms on {self.floors} floors; expected two or more on each"
            )


@dataclass(frozen=True)
class Days:
    """What was recorded: scripted walks, unscripted days, and the house they took place in."""

    scripted: tuple[Recording, ...]
    unscripted: tuple[Recording, ...]
    house: House


@dataclass(frozen=True)
class _Path:
    """Where the person was [T]: place [T, 3] m, heading [T] rad, room index [T], walking [T]."""

    place: FloatArray
    heading: FloatArray
    room: npt.NDArray[np.int64]
    walking: npt.NDArray[np.bool_]


def simulate(plan: HousePlan) -> Days:
    """Simulate `plan`. The same plan gives the same numbers."""
    rng = np.random.default_rng(plan.seed)
    house = build_house(rng, plan.floors, plan.rooms, plan.access_points)
    ether = _Ether(rng, house)
    scripted, unscripted = [], []
    for number in range(_PASSES):
        path = _scripted_walk(rng, house, 60.0 * plan.scripted_minutes / _PASSES)
        scripted.append(_record(rng, house, ether, path, f"walk {number + 1}", 0.0))
    offset = rng.normal(0.0, plan.drift, plan.access_points) if plan.drift else np.zeros(plan.access_points)
    for number in range(_DAYS):
        path = _unscripted_day(rng, house, 60.0 * plan.unscripted_minutes / _DAYS)
        unscripted.append(_record(rng, house, ether, path, f"day {number + 1}", offset))
    return Days(tuple(scripted), tuple(unscripted), house)


# --- the person -------------------------------------------------------------------------------------------


class _Walker:
    """Collects way points with their times, then samples them at `RATE`."""

    def __init__(self, rng: np.random.Generator, house: House, room: int) -> None:
        self.rng, self.house, self.room = rng, house, room
        x, y = house.rooms[room].centre
        self.points = [(x, y, FLOOR_HEIGHT * house.rooms[room].floor)]
        self.times, self.rooms, self.turns = [0.0], [room], [(0.0, 0.0)]

    @property
    def now(self) -> float:
        return self.times[-1]

    def go(self, point: tuple[float, float, float], room: int, speed: float) -> None:
        """Walk straight to a point; the room changes half a step after the door."""
        last = self.points[-1]
        length = float(np.linalg.norm(np.subtract(point, last)))
        self.points.append(point)
        self.times.append(self.now + max(length / speed, 0.05))
        self.rooms.append(room)

    def stroll(self, speed: float) -> None:
        """Walk to some place of this room, clear of the walls."""
        home = self.house.rooms[self.room]
        margin_x, margin_y = min(0.5, (home.x1 - home.x0) / 4), min(0.5, (home.y1 - home.y0) / 4)
        x = float(self.rng.uniform(home.x0 + margin_x, home.x1 - margin_x))
        y = float(self.rng.uniform(home.y0 + margin_y, home.y1 - margin_y))
        self.go((x, y, FLOOR_HEIGHT * home.floor), self.room, speed)

    def stay(self, seconds: float) -> None:
        """Sit or stand, facing anywhere."""
        self.points.append(self.points[-1])
        self.times.append(self.now + seconds)
        self.rooms.append(self.room)
        self.turns.append((self.now, float(self.rng.uniform(-np.pi, np.pi))))

    def visit(self, room: int, speed: float) -> None:
        """Walk to another room through the doors between."""
        for following in self.house.way(self.room, room)[1:]:
            for point in self.house.doors[self.room, following]:
                self.go(point, self.room, speed)
            self.room = following
            self.stroll(speed)

    def path(self, seconds: float) -> _Path:
        """The first `seconds` of it, sampled."""
        time = np.arange(int(seconds * RATE)) / RATE
        knots, points = np.array(self.times), np.array(self.points)
        place = np.column_stack([np.interp(time, knots, points[:, axis]) for axis in range(3)])
        leg = np.clip(np.searchsorted(knots, time, side="right"), 1, len(knots) - 1)
        step = points[leg] - points[leg - 1]
        walking = np.linalg.norm(step, axis=1) > 1e-6
        turns = np.array(self.turns)
        facing = turns[np.searchsorted(turns[:, 0], time, side="right") - 1, 1]
        heading = np.where(walking, np.arctan2(step[:, 1], step[:, 0]), facing)
        return _Path(place, heading, np.array(self.rooms)[leg], walking)


def _scripted_walk(rng: np.random.Generator, house: House, seconds: float) -> _Path:
    """Every room in turn, for about as long each: to and fro with short stops."""
    walker = _Walker(rng, house, 0)
    each = seconds / len(house.rooms)
    for number, room in enumerate(rng.permutation(len(house.rooms)), start=1):
        walker.visit(int(room), float(rng.uniform(0.8, 1.1)))
        while walker.now < number * each:
            walker.stroll(float(rng.uniform(0.5, 0.9)))
            walker.stay(float(rng.uniform(1.0, 5.0)))
    return walker.path(seconds)


def _unscripted_day(rng: np.random.Generator, house: House, seconds: float) -> _Path:
    """Rooms by their liking, seats by the minute, and errands between."""
    count = len(house.rooms)
    liking = rng.dirichlet(np.full(count, 2.0)) * 0.7 + 0.3 / count
    walker = _Walker(rng, house, int(rng.integers(count)))
    tour = list(rng.permutation(count))
    while walker.now < seconds:
        room = int(tour.pop()) if tour and rng.random() < 0.5 else int(rng.choice(count, p=liking))
        walker.visit(room, float(rng.uniform(0.7, 1.3)))
        leave = walker.now + float(rng.gamma(2.0, 20.0 + 80.0 * liking[room] * count / 2))
        while walker.now < leave:
            if rng.random() < 0.6:
                walker.stay(float(rng.uniform(8.0, 60.0)))
            walker.stroll(float(rng.uniform(0.4, 1.0)))
            walker.stay(float(rng.uniform(0.5, 6.0)))
    return walker.path(seconds)


# --- the signal -------------------------------------------------------------------------------------------


class _Ether:
    """The fields that stay in a house: how the signal of each access point varies with the place."""

    def __init__(self, rng: np.random.Generator, house: House) -> None:
        count = len(house.access_points)
        # Random Fourier features of a Gaussian kernel (Rahimi and Recht, 2007): frequencies per metre.
        self.frequency = rng.normal(0.0, 1.0 / PLACE_M, (count, _WAVES, 3))
        self.phase = rng.uniform(0.0, 2 * np.pi, (count, _WAVES))

    def place_db(self, place: FloatArray, point: int) -> FloatArray:
        """Deviation at each place [T] dB."""
        waves = np.cos(place @ self.frequency[point].T + self.phase[point])
        field: FloatArray = PLACE_DB * np.sqrt(2.0 / _WAVES) * waves.sum(axis=1)
        return field


def _record(
    rng: np.random.Generator,
    house: House,
    ether: _Ether,
    path: _Path,
    session: str,
    offset: FloatArray | float,
) -> Recording:
    wrist = path.place + np.array([0.0, 0.0, WRIST])
    floor = np.array([room.floor for room in house.rooms])[path.room]
    count = len(house.access_points)
    rssi = np.empty((len(wrist), count))
    for point, place in enumerate(house.access_points):
        away = place - wrist
        distance = np.maximum(np.linalg.norm(away, axis=1), 0.3)
        level = int(place[2] // FLOOR_HEIGHT)
        rssi[:, point] = POWER_AT_1M - 10 * EXPONENT * np.log10(distance)
        rssi[:, point] -= WALL_DB * _walls_between(house.walls, wrist, place, floor, level)
        rssi[:, point] -= FLOOR_DB * np.abs(floor - level)
        behind = 0.5 * (1.0 - np.cos(np.arctan2(away[:, 1], away[:, 0]) - path.heading))
        rssi[:, point] -= BODY_DB * behind
        rssi[:, point] += ether.place_db(wrist, point) + _ornstein_uhlenbeck(rng, len(wrist))
    rssi += rng.normal(0.0, FAST_DB, rssi.shape) + offset
    heard = 1.0 / (1.0 + np.exp(-(rssi - SENSITIVITY) / SENSITIVITY_WIDTH)) * (1.0 - LOSS)
    rssi = np.clip(np.rint(rssi), RSSI_MIN, RSSI_MAX)
    rssi[rng.random(rssi.shape) > heard] = np.nan
    return Recording(
        time=np.arange(len(wrist)) / RATE,
        rssi=rssi,
        access_points=tuple(f"ap{number + 1}" for number in range(count)),
        session=session,
        room=np.array([room.name for room in house.rooms])[path.room],
        acceleration=_acceleration(rng, path),
        position=path.place[:, :2],
    )


def _walls_between(
    walls: npt.NDArray[np.float64], wrist: FloatArray, place: FloatArray, floor: FloatArray, level: int
) -> FloatArray:
    """Inner walls on the straight line seen from above [T]; a line between floors meets half of both."""
    count = np.zeros(len(wrist))
    for wall_floor, x0, y0, x1, y1 in walls:
        side_a = (x1 - x0) * (wrist[:, 1] - y0) - (y1 - y0) * (wrist[:, 0] - x0)
        side_b = (x1 - x0) * (place[1] - y0) - (y1 - y0) * (place[0] - x0)
        dx, dy = place[0] - wrist[:, 0], place[1] - wrist[:, 1]
        end_a = dx * (y0 - wrist[:, 1]) - dy * (x0 - wrist[:, 0])
        end_b = dx * (y1 - wrist[:, 1]) - dy * (x1 - wrist[:, 0])
        crosses = (side_a * side_b < 0) & (end_a * end_b < 0)
        count += crosses * (0.5 * (floor == wall_floor) + 0.5 * (level == wall_floor))
    return count


def _ornstein_uhlenbeck(rng: np.random.Generator, length: int) -> FloatArray:
    """A stationary exponentially correlated process [length] dB: x' = k x + sqrt(1 - k^2) s e."""
    keep = float(np.exp(-1.0 / (RATE * TIME_S)))
    noise = rng.normal(0.0, TIME_DB * np.sqrt(1.0 - keep * keep), length).tolist()
    value = float(rng.normal(0.0, TIME_DB))
    values = []
    for kick in noise:
        value = keep * value + kick
        values.append(value)
    return np.array(values)


def _acceleration(rng: np.random.Generator, path: _Path) -> FloatArray:
    """At the wrist [T, 3] g: gravity that tilts with the arm, and steps at about 1.8 Hz while walking."""
    length = len(path.heading)
    time = np.arange(length) / RATE
    tilt = 0.3 * np.sin(2 * np.pi * 0.02 * time + rng.uniform(0, 6)) + 0.5 * ~path.walking
    gravity = np.column_stack([np.sin(tilt), np.zeros(length), np.cos(tilt)])
    pace = 2 * np.pi * np.cumsum(np.full(length, 1.8) + rng.normal(0, 0.1, length)) / RATE
    swing = np.column_stack([0.25 * np.sin(pace / 2), 0.1 * np.cos(pace / 2), 0.3 * np.sin(pace)])
    noise = rng.normal(0.0, 1.0, (length, 3)) * np.where(path.walking, 0.08, 0.01)[:, None]
    return gravity + swing * path.walking[:, None] + noise
