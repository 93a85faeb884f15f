"""`tracks`: nine short tracks of a BLE beacon in an open-plan office, 12 sensors (Danis et al. 2022).

One line is one packet: time, sensor, beacon, RSSI, x, y, z, orientation. The packets that different sensors
heard of one advertisement (within 0.1 s) become one sample. Zones are a grid of 3 cells along the longer side
of the tracks' extent and 2 along the shorter.

The tracks differ in where they go, so the last three in time would test a zone that training never saw.
Instead whole tracks are given out once and for all so that every set visits all six zones: see `ROLES`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tinyloc.data.recording import Recording
from tinyloc.data.sources.base import Options, RemoteFile, Source, grid_zones, keep_possible
from tinyloc.data.splits import Division, Material, Protocol
from tinyloc.data.table import parse_csv, read_file

STEP = 0.5
"""Seconds between two advertisements of the beacon, about."""
BURST = 0.1
"""Packets this close to the first of a burst, s, belong to one advertisement."""
ROLES = {
    "straight_05": "train",
    "straight_01": "train",
    "straight_04": "train",
    "straight_02": "test",
    "zigzagging_without_rotation": "train",
    "zigzagging_with_rotation": "test",
    "rectangular_without_rotation": "train",
    "rectangular_with_rotation": "validation",
    "straight_03": "test",
}
"""Which set each track serves, in the order in which they were recorded."""

_SENSORS = {
    "b827eb4521b4": "sensor10",
    "000000000101": "sensor11",
    "000000000102": "sensor12",
    "b827eb917e19": "sensor20",
    "000000000201": "sensor21",
    "000000000202": "sensor22",
    "b827ebf7d096": "sensor30",
    "000000000301": "sensor31",
    "000000000302": "sensor32",
    "b827ebfd7811": "sensor40",
    "000000000401": "sensor41",
    "000000000402": "sensor42",
}
_COLUMNS = ("time", "sensor", "beacon", "rssi", "x", "y", "z", *(f"o{n}" for n in range(9)))


def read(path: Path, session: str) -> tuple[Recording, tuple[str, ...]]:
    """One track, without its zones, and notes on what was dropped."""
    header = ",".join(_COLUMNS).encode() + b"\n"
    table = parse_csv(header + read_file(path), path)
    table = table.shifted(-1)  # the file has no header of its own
    time = table.numbers("time", "seconds")
    order = np.argsort(time, kind="stable")
    power, notes = keep_possible(table.numbers("rssi", "dBm")[order], "packet", path.name)
    time = time[order]
    place = np.column_stack([table.numbers("x", "metres"), table.numbers("y", "metres")])[order]
    column = {address: index for index, address in enumerate(_SENSORS)}
    sensor = np.array([column.get(str(address), -1) for address in table.text("sensor")])[order]
    known = sensor >= 0
    time, power, place, sensor = time[known], power[known], place[known], sensor[known]

    event = _events(time)
    first = np.flatnonzero(np.diff(event, prepend=-1))
    rssi = np.full((len(first), len(_SENSORS)), np.nan)
    heard = ~np.isnan(power)
    rssi[event[heard], sensor[heard]] = power[heard]
    recording = Recording(time[first], rssi, tuple(_SENSORS.values()), session, position=place[first])
    return recording, notes


def _events(time: np.ndarray[tuple[int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Number of the advertisement that each packet belongs to [T], from 0."""
    event = np.empty(len(time), np.int64)
    number, began = -1, -np.inf
    for index, moment in enumerate(time):
        if moment - began > BURST:
            number, began = number + 1, float(moment)
        event[index] = number
    return event


def load(folder: Path, options: Options) -> Material:
    """Give the nine tracks out by `ROLES`."""
    tracks: list[Recording] = []
    notes: list[str] = []
    for name in ROLES:
        track, more = read(folder / "trk" / f"{name}_all_sensors.mbd", name)
        tracks.append(track)
        notes.extend(more)
    places = np.concatenate([track.position for track in tracks if track.position is not None])
    (x0, y0), (x1, y1) = places.min(axis=0), places.max(axis=0)
    extent = (float(x0), float(x1), float(y0), float(y1))
    sets: dict[str, list[Recording]] = {"train": [], "validation": [], "test": []}
    for track in tracks:
        assert track.position is not None
        zones = grid_zones(track.position[:, 0], track.position[:, 1], extent)
        sets[ROLES[track.session]].append(
            Recording(
                track.time,
                track.rssi,
                track.access_points,
                track.session,
                zones,
                position=track.position,
            )
        )
    division = Division(
        tuple(sets["train"]),
        tuple(sets["validation"]),
        tuple(sets["test"]),
        "Whole tracks: five train, rectangular_with_rotation validates, and straight_02, "
        "zigzagging_with_rotation and straight_03 test; so every set visits all six zones.",
    )
    protocol = Protocol(steps=10, hop=2, seconds_per_step=STEP)
    return Material("tracks", division, protocol, SOURCE.licence, SOURCE.citation, notes=tuple(notes))


_FILES = (
    ("rectangular_with_rotation", 351275, "cd9ce61d377e54f302404b559fd423227a37b608e1c66de3a0709b94e46cee96"),
    (
        "rectangular_without_rotation",
        356184,
        "8f8bb71ccaeffac130303e5ec5955fdab362fabfde11c7b6a0a8adb193f390c7",
    ),
    ("straight_01", 241333, "cfa85727e12aa7d2723247bd488d1f7ca5ecff1717f569a3d37669f1abed7ce6"),
    ("straight_02", 215352, "8ab5e0f92970945612ae2f6bbd6dafd441799465ce14dae4fb5267e52cf50b32"),
    ("straight_03", 190526, "d7dae99df8e96e68dcab379fae4ff9eb77b9e24f687b309ffee3a9638445a86f"),
    ("straight_04", 100951, "c28f57aa5d56d7d5b0bd099b40454fe43e8fd5813a0c4ae330ca38a5d9f8a4e2"),
    ("straight_05", 600187, "bbe4118ea3bfe2e2548057767d9604d7abba578e40faec49e5e63dce98b0d314"),
    ("zigzagging_with_rotation", 401783, "bfa543a89e869151f1645e878a1e2b76bd8f72622f6234383cb73973c4fbd9c1"),
    (
        "zigzagging_without_rotation",
        389043,
        "5117f7efba28c3ed583ff63da90057f8ac3a451a8f6d231b3168d59ea1754b88",
    ),
)

_RAW = (
    "https://raw.githubusercontent.com/philotuxo/Position-Annotated-BLE-RSSI-Dataset/"
    "0de0aa1f177a2c3aea4c53090c026058c1c331cb"
)

SOURCE = Source(
    name="tracks",
    title="9 short tracks in an open-plan office, a BLE beacon",
    signals="12 BLE sensors, about 1.9 packets/s each",
    truth="position by cameras (median 4 cm); zones are 3 x 2 cells",
    licence="CC0 1.0",
    citation=(
        "F. S. Danis, A. T. Naskali, A. T. Cemgil, C. Ersoy, An indoor localization dataset and "
        "data collection framework with high precision position annotation, Pervasive and Mobile "
        "Computing 81, 2022"
    ),
    home="https://github.com/philotuxo/Position-Annotated-BLE-RSSI-Dataset",
    folder="tracks",
    needs=tuple(f"trk/{name}_all_sensors.mbd" for name, _, _ in _FILES),
    load=load,
    remote=tuple(
        RemoteFile(f"trk/{name}_all_sensors.mbd", f"{_RAW}/trk/{name}_all_sensors.mbd", size, sha)
        for name, size, sha in _FILES
    ),
)
