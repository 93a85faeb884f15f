"""`flat`: a furnished flat of four rooms, six BLE anchors, a tag carried by a robot (Kolakowski 2021).

`calibration.csv` was recorded in four runs that survey the flat part by part, so its plain last quarter
knows two of the four rooms. The last quarter of *each run* validates instead, with one second left out at
every border. `test_robot.csv`, later the same day, tests. `test_walk.csv`, later still, is a person who walks
a known route (`path_reference.csv`, four times there and back) with no times noted; its rooms are found by
`data/route.py`, and it selects among trained models. `ts` is in ns; anchors report at 3 Hz.
"""

from __future__ import annotations

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
ROUTE = ("bedroom", *("hall", "bath_kitchen", "hall", "living", "hall", "bedroom") * 4)
"""The rooms that `path_reference.csv` leads through, there and back, four times."""
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


def load(folder: Path, options: Options) -> Material:
    """Divide the flat's recordings: runs of the calibration train and validate, the later drive tests."""
    calibration, notes = read(folder / "calibration.csv", "calibration")
    test, more = read(folder / "test_robot.csv", "test_robot")
    walk, dropped = read(folder / "test_walk.csv", "test_walk", surveyed=False)
    runs = [
        calibration.part(start, stop, f"calibration {number}")
        for number, (start, stop) in enumerate(find_runs(calibration.time, gap_for(STEP)), start=1)
    ]
    train, validation = zip(*(split_time(run, VALIDATION_SHARE, BORDER) for run in runs), strict=True)
    division = Division(
        train,
        validation,
        (test,),
        "The first three quarters of each of the four calibration runs train, their last quarters validate "
        "(one second is left out between), and the robot's drive later the same day tests. A person's walk "
        "after it, its rooms aligned to its known route, selects among the models of a study.",
        fold_time(runs, BORDER),
        (walked(walk, ROUTE, runs, round(LEAST_STAY / STEP)),),
    )
    protocol = Protocol(steps=20, hop=3, seconds_per_step=STEP)
    return Material("flat", division, protocol, SOURCE.licence, SOURCE.citation, notes=notes + more + dropped)


_HOME = "https://zenodo.org/records/5457591"

SOURCE = Source(
    name="flat",
    title="a furnished flat of 4 rooms, a BLE tag on a robot",
    signals="6 BLE anchors at 3 Hz",
    truth="position by the robot's lidar; rooms from the walls",
    licence="CC BY 4.0",
    citation="M. Kolakowski, BLE RSSI data set from a furnished flat, Zenodo 5457591, 2021",
    home=_HOME,
    folder="flat",
    needs=("calibration.csv", "test_robot.csv", "test_walk.csv"),
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
    ),
)
