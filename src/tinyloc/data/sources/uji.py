"""`uji`: Wi-Fi fingerprints of three university buildings (Torres-Sospedra et al. 2014).

One row is one window of one step: 520 access points in dBm, 100 = not heard. The area to be told is building,
floor, and a cell of 70 m x 70 m counted from the building's smallest training longitude and latitude (both in
metres): 60 areas in training, 58 in the test. A test position beyond that corner belongs to the first cell.

The published validation file tests. Of the training file, the last quarter of each area in order of
TIMESTAMP validates, cut between two visits (one user, one phone, one spot): the ten or so rows of a visit are
near-copies, and shuffled rows would put copies into both sets. Whole users are not held out, because
building 0 has two only and half of it would be lost.

The publisher gives no checksum of the zip file, which may be packed anew: it is held to what its first
download was (`fetch`), and the two tables in it to SHA256, at every reading.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tinyloc.data.archive import opened_zip
from tinyloc.data.recording import FloatArray, Recording
from tinyloc.data.sources.base import Options, RemoteFile, Source
from tinyloc.data.splits import Division, Fold, Material, Protocol
from tinyloc.data.table import Table, parse_csv, read_file
from tinyloc.errors import DataError

POINTS = 520
CELL = 70.0
VALIDATION_SHARE = 0.25
NOT_HEARD = 100.0
SHA256 = {
    "trainingData.csv": "45ca0128bd12019c976bb4793e407c979c82995d7a5940ab7288620247905168",
    "validationData.csv": "5f90c536648cd657b2c516d20c4e0968d4003279ea6bd5d5d5322d3f1e8905c0",
}
_ORIGIN = (-7700.0, 4864700.0)
"""From where positions are counted, m: a corner of the campus."""
_TIE = 1e-4
_TRUTH = ("LONGITUDE", "LATITUDE", "FLOOR", "BUILDINGID", "SPACEID", "RELATIVEPOSITION", "USERID", "PHONEID")

IntArray = npt.NDArray[np.int64]


class _Rows:
    """The rows of one of the two files, in order of time."""

    def __init__(self, table: Table) -> None:
        names = [f"WAP{number:03d}" for number in range(1, POINTS + 1)]
        self.names = tuple(names)
        stamp = table.numbers("TIMESTAMP", "seconds")
        order = np.argsort(stamp, kind="stable")
        rssi = np.column_stack([table.numbers(name, "dBm") for name in names])[order]
        self.rssi: FloatArray = np.where(rssi == NOT_HEARD, np.nan, rssi)
        self.stamp: FloatArray = stamp[order]
        self.truth = {name: table.numbers(name)[order] for name in _TRUTH}

    def corners(self) -> dict[int, tuple[float, float]]:
        """Smallest longitude and latitude of each building, m."""
        building = self.truth["BUILDINGID"]
        return {
            int(number): (
                float(self.truth["LONGITUDE"][building == number].min()),
                float(self.truth["LATITUDE"][building == number].min()),
            )
            for number in np.unique(building)
        }

    def areas(self, corners: dict[int, tuple[float, float]]) -> npt.NDArray[np.str_]:
        """Name of each row's area, as ``b0-f2-c1-0`` [R]."""
        building = self.truth["BUILDINGID"].astype(int)
        corner = np.array([corners[int(number)] for number in building])
        east = np.floor((self.truth["LONGITUDE"] - corner[:, 0]) / CELL).clip(0).astype(int)
        north = np.floor((self.truth["LATITUDE"] - corner[:, 1]) / CELL).clip(0).astype(int)
        floor = self.truth["FLOOR"].astype(int)
        parts = zip(building, floor, east, north, strict=True)
        return np.array([f"b{b}-f{f}-c{e}-{n}" for b, f, e, n in parts], dtype=np.str_)

    def visits(self) -> IntArray:
        """Number of the visit that each row belongs to: equal user, phone and spot [R]."""
        keys = ("USERID", "PHONEID", "BUILDINGID", "FLOOR", "SPACEID", "RELATIVEPOSITION")
        table = np.column_stack([self.truth[key] for key in keys])
        inverse: IntArray = np.unique(table, axis=0, return_inverse=True)[1].reshape(-1)
        return inverse

    def recordings(
        self, chosen: npt.NDArray[np.bool_], areas: npt.NDArray[np.str_], role: str
    ) -> list[Recording]:
        """The chosen rows, one recording per user and phone; rows of one second are set 0.1 ms apart."""
        made = []
        person = self.truth["USERID"] * 1000 + self.truth["PHONEID"]
        for number in np.unique(person[chosen]):
            rows = np.flatnonzero(chosen & (person == number))
            made.append(
                Recording(
                    time=self.stamp[rows] + _TIE * np.arange(len(rows)),
                    rssi=self.rssi[rows],
                    access_points=self.names,
                    session=f"{role}: user {int(number) // 1000}, phone {int(number) % 1000}",
                    room=areas[rows],
                    position=np.column_stack([self.truth["LONGITUDE"][rows], self.truth["LATITUDE"][rows]])
                    - _ORIGIN,
                )
            )
        return made


def last_visits(areas: npt.NDArray[np.str_], visits: IntArray, share: float) -> npt.NDArray[np.bool_]:
    """Rows that validate [R]: whole visits from the end of each area, nearest to `share` of its rows.

    The first visit of an area always trains.
    """
    held = np.zeros(len(areas), bool)
    for area in np.unique(areas):
        rows = np.flatnonzero(areas == area)
        names, first, counts = np.unique(visits[rows], return_index=True, return_counts=True)
        order = np.argsort(first)
        names, counts = names[order], counts[order]
        taken = np.cumsum(counts[::-1])[:-1]
        if not len(taken):
            continue
        number = int(np.argmin(np.abs(taken - share * len(rows)))) + 1
        held[rows[np.isin(visits[rows], names[-number:])]] = True
    return held


def visit_quarters(areas: npt.NDArray[np.str_], visits: IntArray) -> IntArray:
    """The quarter, 0 to 3, of its area's rows in which the middle of each row's visit lies [R]. A visit to
    two areas counts to the one where it begins.
    """
    _, first, inverse, counts = np.unique(visits, return_index=True, return_inverse=True, return_counts=True)
    quarters = np.zeros(len(first), np.int64)
    for area in np.unique(areas):
        mine = np.flatnonzero(areas[first] == area)
        mine = mine[np.argsort(first[mine])]
        passed = np.cumsum(counts[mine])
        quarters[mine] = 4 * (passed - counts[mine] / 2) / max(1, passed[-1:].sum())
    return quarters[inverse]


def load(folder: Path, options: Options) -> Material:
    """Training file less its last visits trains, those validate, the published validation file tests."""
    path = folder / "UJIndoorLoc.zip"
    before, after = (_Rows(_member(path, name)) for name in ("trainingData.csv", "validationData.csv"))
    corners = before.corners()
    areas = before.areas(corners)
    held = last_visits(areas, before.visits(), VALIDATION_SHARE)
    quarters = visit_quarters(areas, before.visits())
    folds = tuple(
        Fold(
            tuple(before.recordings(quarters != quarter, areas, "train")),
            tuple(before.recordings(quarters == quarter, areas, "validation")),
        )
        for quarter in range(4)
    )
    division = Division(
        tuple(before.recordings(~held, areas, "train")),
        tuple(before.recordings(held, areas, "validation")),
        tuple(after.recordings(np.ones(len(after.stamp), bool), after.areas(corners), "test")),
        "Of the training file, the last visits of each area (a quarter of its rows) validate and the rest "
        "trains; the published validation file, recorded four months later, tests. One row is one window.",
        folds,
    )
    protocol = Protocol(steps=1, hop=1, seconds_per_step=0.0, fill_seconds=0.0)
    return Material("uji", division, protocol, SOURCE.licence, SOURCE.citation)


def _member(path: Path, name: str) -> Table:
    """One CSV of the zip file, read in place; zip checks each member's CRC-32."""
    if not path.is_file():
        read_file(path)
    with opened_zip(path) as archive:
        found = [member for member in archive.namelist() if Path(member).name == name]
        if not found:
            raise DataError(f"the archive holds no {name}", path=path, hint="Fetch the data set again.")
        content = archive.read(found[0])
    sha = hashlib.sha256(content).hexdigest()
    if sha != SHA256[name]:
        raise DataError(
            f"not the published {name}: its SHA-256 is {sha[:12]}..., expected {SHA256[name][:12]}...",
            path=path,
            hint="Remove it and fetch the data set again.",
        )
    return parse_csv(content, Path(f"{path}:{name}"))


SOURCE = Source(
    name="uji",
    title="Wi-Fi fingerprints, 3 university buildings, 60 areas",
    signals="520 Wi-Fi access points, one scan a row",
    truth="longitude, latitude (m), floor, building; areas are 70 m cells",
    licence="CC BY 4.0",
    citation=(
        "J. Torres-Sospedra et al., UJIIndoorLoc: a new multi-building and multi-floor database for WLAN "
        "fingerprint-based indoor localization problems, IPIN 2014; UCI data set 310"
    ),
    home="https://archive.ics.uci.edu/dataset/310/ujiindoorloc",
    folder="uji",
    needs=("UJIndoorLoc.zip",),
    load=load,
    remote=(
        RemoteFile(
            "UJIndoorLoc.zip",
            "https://archive.ics.uci.edu/ml/machine-learning-databases/00310/UJIndoorLoc.zip",
        ),
    ),
)
