"""`walks:library|canteen|carpark`: repeated walks of one circuit with two phones (haiyaoyu 2022).

Six Wi-Fi access points, accelerometer in m/s^2, RSS 0 = not heard. The columns "True Distance" and "RTT" hold
the truth or come near to it, and are never read. Zones are a grid of 3 cells along the longer side of the
training walks' extent and 2 along the shorter; a circuit that is a straight line has 3.

The last third of the walks tests, the last walk before them validates. In the car park only one walk
remains beside the test: there the middle quarter of every stay in a zone validates, because the end of the
walk itself knows one zone only. With `test_phone` the walks that test are those which the other phone
recorded, in the zones of the first one's: another radio, off by some dB from the one that was learned.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import numpy as np

from tinyloc.data.folds import fold_stays
from tinyloc.data.recording import FloatArray, Recording
from tinyloc.data.sources.base import (
    STANDARD_GRAVITY,
    Options,
    RemoteFile,
    Source,
    choose,
    grid_zones,
    keep_possible,
)
from tinyloc.data.sources.walks_files import FILES, RAW, REPOSITORY
from tinyloc.data.splits import Division, Fold, Material, Protocol, split_stays
from tinyloc.data.table import Table, read_csv
from tinyloc.data.words import counted
from tinyloc.errors import DataError

POINTS = 6
VALIDATION_SHARE = 0.25
_WALKS = {"library": (2, 4, 5, 6), "canteen": (1, 2, 3, 4, 5, 6, 7, 9), "carpark": (5, 6)}
_PHONES = (13, 24)


def read(path: Path) -> tuple[Recording, tuple[str, ...]]:
    """One walk, without its zones, and notes on what was dropped."""
    table = read_csv(path)
    rssi = np.column_stack([table.numbers(f"AP{n} RSS (dBm)", "dBm") for n in range(1, POINTS + 1)])
    rssi, notes = keep_possible(np.where(rssi == 0, np.nan, rssi), "reading", path.name)
    axes = [table.numbers(name, "m/s^2") for name in ("AccX", "AccY", "AccZ")]
    recording = Recording(
        time=table.numbers(table.columns[0], "milliseconds") / 1e3,
        rssi=rssi,
        access_points=tuple(f"AP{n}" for n in range(1, POINTS + 1)),
        session=path.stem.split("_")[0],
        acceleration=np.column_stack(axes) / STANDARD_GRAVITY,
        position=_positions(table, table.columns[-1]),
    )
    return recording, notes


def load_site(site: str, folder: Path, options: Options) -> Material:
    """Divide the walks of one site, carried by phone 13 or 24."""
    phone = choose(options, "phone", 13, _PHONES)
    test_phone = choose(options, "test_phone", phone, _PHONES)
    notes: list[str] = []
    walks = _walks(site, folder, phone, notes)
    tests = max(1, round(len(walks) / 3))
    if test_phone != phone:
        walks = walks[:-tests] + _walks(site, folder, test_phone, notes)[-tests:]
    rest = walks[:-tests]
    trainers = rest[:-1] or rest
    places = np.concatenate([walk.position for walk in trainers if walk.position is not None])
    (x0, y0), (x1, y1) = places.min(axis=0), places.max(axis=0)
    extent = (float(x0), float(x1), float(y0), float(y1))
    walks = [_with_zones(walk, extent) for walk in walks]
    rest, test = walks[:-tests], walks[-tests:]
    folds: tuple[Fold, ...] = ()
    if len(rest) > 1:
        train, validation = rest[:-1], rest[-1:]
        who = f"{_names(train)} train{_s(train)}, {_names(validation)} validates"
    else:
        train, validation = split_stays(rest[0], VALIDATION_SHARE)
        folds = fold_stays(rest[0])
        who = f"{rest[0].session} trains, but for the middle quarter of every stay in a zone, which validates"
    with_other = f", with phone {test_phone}" * (test_phone != phone)
    division = Division(
        tuple(train),
        tuple(validation),
        tuple(test),
        f"Walks with phone {phone}: {who}, {_names(test)} test{_s(test)}{with_other}.",
        folds,
    )
    step = round(float(np.median(np.concatenate([np.diff(walk.time) for walk in train]))), 2)
    protocol = Protocol(steps=10, hop=5, seconds_per_step=step)
    source = SOURCES[site]
    return Material(source.name, division, protocol, source.licence, source.citation, notes=tuple(notes))


def _walks(site: str, folder: Path, phone: object, notes: list[str]) -> list[Recording]:
    """All walks with that phone, by their numbers. Raises DataError where there are too few."""
    paths = sorted(folder.glob(f"walk*_phone{phone}.csv"), key=_walk_number)
    if len(paths) < 2:
        raise DataError(
            f"{counted(len(paths), 'walk')} with phone {phone}, expected {len(_WALKS[site])}",
            path=folder,
            hint="Fetch the data set again.",
        )
    found: list[Recording] = []
    for path in paths:
        walk, more = read(path)
        found.append(walk)
        notes.extend(more)
    return found


def _with_zones(walk: Recording, extent: tuple[float, float, float, float]) -> Recording:
    assert walk.position is not None
    zones = grid_zones(walk.position[:, 0], walk.position[:, 1], extent)
    return Recording(
        walk.time, walk.rssi, walk.access_points, walk.session, zones, walk.acceleration, walk.position
    )


def _positions(table: Table, column: str) -> FloatArray:
    cells = table.text(column)
    places = np.empty((len(cells), 2))
    for row, cell in enumerate(cells):
        try:
            x, y = ast.literal_eval(str(cell))
            places[row] = float(x), float(y)
        except (ValueError, SyntaxError, TypeError):
            raise DataError(
                "not a position; expected text like '[1.5, 2.0]'",
                path=table.path,
                line=int(table.lines[row]),
                column=column,
                value=str(cell),
            ) from None
    return places


def _walk_number(path: Path) -> int:
    found = re.search(r"walk(\d+)_", path.name)
    return int(found.group(1)) if found else 0


def _names(walks: list[Recording]) -> str:
    return ", ".join(walk.session for walk in walks)


def _s(walks: list[Recording]) -> str:
    return "s" if len(walks) == 1 else ""


def _source(site: str) -> Source:
    return Source(
        name=f"walks:{site}",
        title=f"repeated walks of one circuit in a {site}, two phones",
        signals="6 Wi-Fi access points at 1.3-5 Hz, accelerometer",
        truth="position; zones are 3 x 2 cells of the circuit's extent",
        licence="MIT",
        citation="haiyaoyu, Wi-Fi RSS, RTT and inertial data set of walks, 2022",
        home=REPOSITORY,
        folder=f"walks/{site}",
        needs=tuple(f"walk{n}_phone{phone}.csv" for n in _WALKS[site] for phone in _PHONES),
        load=lambda folder, options: load_site(site, folder, options),
        remote=tuple(
            RemoteFile(name.split("/")[1], f"{RAW}/{url}", size, sha)
            for name, (url, size, sha) in FILES.items()
            if name.startswith(f"{site}/")
        ),
        options={
            "phone": "which phone recorded: 13 or 24 (default 13)",
            "test_phone": "which phone recorded the walks that test (default the same)",
        },
    )


SOURCES = {site: _source(site) for site in _WALKS}
