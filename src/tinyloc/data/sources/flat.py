"""`flat`: a furnished flat of four rooms, six BLE anchors, a tag carried by a robot (Kolakowski 2021).

`calibration.csv` was recorded in four runs that survey the flat part by part, so its plain last quarter
knows two of the four rooms. The last quarter of *each run* validates instead, with one second left out at
every border. `test_robot.csv`, later the same day, tests. `test_walk.csv`, later still, is a person who walks
the line of `path_reference.csv` four times there and back, as the readings show, with no times noted; its
rooms are found by `data/route.py`, and it selects among trained models where it is here. `ts` is in ns;
anchors report at 3 Hz.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tinyloc.data.folds import fold_time
from tinyloc.data.recording import FloatArray, Recording, TextArray
from tinyloc.data.route import walked
from tinyloc.data.sources.base import Options, RemoteFile, Source, keep_possible
from tinyloc.data.splits import Division, Material, Protocol, split_time
from tinyloc.data.table import read_csv
from tinyloc.data.windows import find_runs, gap_for

STEP = 1.0 / 3.0
VALIDATION_SHARE = 0.25
BORDER = 1.0
LEAST_STAY = 1.0
"""The shortest stay in a room of the walk, s."""
LAPS = 4
"""How often the walk goes there and back; of three, four and five, four fits the readings (docs/LOG.md)."""
POINTS = 200
"""Places to look at on a segment of the route."""
WALK = ("test_walk.csv", "path_reference.csv")
_HOME = "https://zenodo.org/records/5457591"
_ANCHORS = tuple(f"rssi_{number}" for number in range(1, 7))


def room_at(x: FloatArray, y: FloatArray) -> TextArray:
    """Room by the walls of the flat (`layout.csv`); `x`, `y` [T] in m."""
    rooms = np.full(x.shape, "living", dtype="<U12")
    rooms[(y < 2.05) & (x >= 3.95)] = "bath_kitchen"
    rooms[(y <= 2.12) & (x < 3.95)] = "hall"
    rooms[(x < 2.64) & (y > 2.12)] = "bedroom"
    return rooms


def read(path: Path, session: str, surveyed: bool = True) -> tuple[Recording, tuple[str, ...]]:
    """One file of the flat as a recording, and notes on what was dropped. `surveyed`: with positions."""
    table = read_csv(path)
    rssi = np.column_stack([table.numbers(name, "dBm") for name in _ANCHORS])
    rssi, notes = keep_possible(rssi, "reading", path.name)
    recording = Recording(
        time=table.numbers("ts", "nanoseconds") / 1e9,
        rssi=rssi,
        access_points=tuple(f"anchor_{number}" for number in range(1, 7)),
        session=session,
    )
    if surveyed:
        x, y = table.numbers("x", "metres"), table.numbers("y", "metres")
        recording = replace(recording, room=room_at(x, y), position=np.column_stack([x, y]))
    return recording, notes


def route(path: Path) -> tuple[str, ...]:
    """The rooms that the line in `path`, segments from (x0, y0) to (x1, y1) in m, leads through, in order."""
    table = read_csv(path)
    starts, ends = (
        np.column_stack([table.numbers(f"{axis}{end}", "metres") for axis in "xy"]) for end in (0, 1)
    )
    along = np.linspace(0.0, 1.0, POINTS)[:, None, None]
    x, y = np.moveaxis(starts[None] + along * (ends - starts)[None], 1, 0).reshape(-1, 2).T
    return tuple(name for name, _ in itertools.groupby(room_at(x, y).tolist()))


def walk_of(folder: Path, known: Sequence[Recording]) -> tuple[Recording, tuple[str, ...]]:
    """The person's walk with the rooms of its route, and notes on what was dropped."""
    walk, notes = read(folder / "test_walk.csv", "test_walk", surveyed=False)
    there = route(folder / "path_reference.csv")
    stays = (there[0], *(*there[1:], *there[-2::-1]) * LAPS)
    return walked(walk, stays, known, round(LEAST_STAY / STEP)), notes


def load(folder: Path, options: Options) -> Material:
    """Divide the flat's recordings: runs of the calibration train and validate, the later drive tests."""
    calibration, notes = read(folder / "calibration.csv", "calibration")
    test, more = read(folder / "test_robot.csv", "test_robot")
    runs = [
        calibration.part(start, stop, f"calibration {number}")
        for number, (start, stop) in enumerate(find_runs(calibration.time, gap_for(STEP)), start=1)
    ]
    train, validation = zip(*(split_time(run, VALIDATION_SHARE, BORDER) for run in runs), strict=True)
    selection: tuple[Recording, ...] = ()
    if all((folder / name).is_file() for name in WALK):
        walk, dropped = walk_of(folder, runs)
        selection, more = (walk,), more + dropped
    else:
        missing = " and ".join(name for name in WALK if not (folder / name).is_file())
        more += (f"{missing} not here ({_HOME} has it): no recording selects a study's winners.",)
    division = Division(
        train,
        validation,
        (test,),
        "The first three quarters of each of the four calibration runs train, their last quarters validate "
        "(one second is left out between), and the robot's drive later the same day tests."
        + " A person's walk after it, its rooms aligned to its route, selects a study's winners."
        * bool(selection),
        fold_time(runs, BORDER),
        selection,
    )
    protocol = Protocol(steps=20, hop=3, seconds_per_step=STEP)
    return Material("flat", division, protocol, SOURCE.licence, SOURCE.citation, notes=notes + more)


SOURCE = Source(
    name="flat",
    title="a furnished flat of 4 rooms, a BLE tag on a robot",
    signals="6 BLE anchors at 3 Hz",
    truth="position by the robot's lidar; rooms from the walls",
    licence="CC BY 4.0",
    citation="M. Kolakowski, BLE RSSI data set from a furnished flat, Zenodo 5457591, 2021",
    home=_HOME,
    folder="flat",
    needs=("calibration.csv", "test_robot.csv"),
    load=load,
    remote=(
        RemoteFile(
            "calibration.csv",
            f"{_HOME}/files/calibration.csv?download=1",
            705107,
            "70016148cec0c10f320ee7078c7635d7614cb029f0a7a5142fda20fad059c50b",
        ),
        RemoteFile(
            "test_robot.csv",
            f"{_HOME}/files/test_robot.csv?download=1",
            125555,
            "3c49cddf3a090e6ceeef997164f6f183d9c6a2d95c4c5e40f933cc52fa8abd9c",
        ),
        RemoteFile(
            "test_walk.csv",
            f"{_HOME}/files/test_walk.csv?download=1",
            94674,
            "1e492d1e752da13517923f5aac9228fc73367d80bd61ef34b7a2d8dbfb6a0adc",
        ),
        RemoteFile(
            "path_reference.csv",
            f"{_HOME}/files/path_reference.csv?download=1",
            183,
            "1665a809dd7cf7d45019500ad6baa5e55e58959741ad7141779c6fb5021ff83d",
        ),
    ),
)
