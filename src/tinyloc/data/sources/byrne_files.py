"""Byrne et al.'s houses: where their files lie, and what the metadata say. `byrne` divides what is read.

Two forms are known. The published one is a tree, ``house_X/metadata`` and ``house_X/experiments``, in the zip
file or unpacked from it, with or without a folder around it. The flat one is two tables a house, already on
the 5 Hz grid. Headers of the tree carry stray spaces and a byte-order mark, its packets stand in any order.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tinyloc.data.archive import opened_zip
from tinyloc.data.table import read_file
from tinyloc.errors import DataError

NAME = "ble-accelerometer-indoor-localisation-measurements"
_DEPTH = 2
AGAIN = "Unpack or fetch the data set again."
"""The hint of most refusals here."""


@dataclass(frozen=True)
class Tree:
    """One house in the published layout.

    `where`: the zip file, or the house's folder. `members`: each file below the house, as
    ``metadata/room_tags.dat``, and its name in the zip file ("" for a folder).
    """

    where: Path
    members: Mapping[str, str]

    def shown(self, name: str) -> Path:
        """What an error calls the file."""
        member = self.members.get(name, name)
        return Path(f"{self.where}:{member}") if self.where.suffix == ".zip" else self.where / name

    def read(self, name: str) -> bytes:
        """All bytes of a file. Raises DataError if it is missing, cut or altered."""
        if name not in self.members:
            raise DataError("the house lacks this file", path=self.shown(name), hint=AGAIN)
        if not self.members[name]:
            return read_file(self.where / name)
        with opened_zip(self.where) as archive:
            return archive.read(self.members[name])

    def experiments(self) -> tuple[str, ...]:
        """The recordings' folders, living_2 before living_10."""
        found = {name.split("/")[1] for name in self.members if re.match(r"experiments/[^/]+/", name)}
        return tuple(sorted(found, key=lambda name: ([int(n) for n in re.findall(r"\d+", name)], name)))


def find_tree(folder: Path, house: str) -> Tree | None:
    """The published layout of `house` in `folder` or beside it in the data folder: unpacked, else zipped."""
    for place in (folder, folder.parent):
        found = next(_unpacked(place, house, _DEPTH), None)
        if found is not None:
            files = (path for path in found.rglob("*") if path.is_file())
            return Tree(found, {path.relative_to(found).as_posix(): "" for path in files})
    path = find_zip(folder)
    if path is None:
        return None
    with opened_zip(path) as archive:
        names = archive.namelist()
    pattern = re.compile(rf"(?:.*/)?house_{house}/(?=(metadata|experiments)/)", re.IGNORECASE)
    members: dict[str, str] = {}
    for name in names:
        start = pattern.match(name)
        if start and not name.endswith("/") and not name.startswith("__MACOSX"):
            members[name[start.end() :]] = name
    if not members:
        raise DataError(f"the archive holds no house_{house}", path=path, hint=AGAIN)
    return Tree(path, members)


def find_zip(folder: Path) -> Path | None:
    """The published zip file: any in `folder`, or one of the published name in the data folder."""
    found = (sorted(folder.glob(f"{NAME}*.zip")), sorted(folder.glob("*.zip")))
    beside = sorted(folder.parent.glob(f"{NAME}*.zip"))
    return next((path for paths in (*found, beside) for path in paths if path.is_file()), None)


def find_flat(folder: Path, house: str) -> tuple[Path, Path] | None:
    """The flat tables of `house`, fingerprint and free living, in `folder` or in the data folder."""
    for place in (folder, folder.parent):
        pair = (place / f"csv_house_{house}_fp.csv", place / f"csv_house_{house}_fl.csv")
        if any(path.is_file() for path in pair):
            return pair
    return None


def is_here(folder: Path, house: str) -> bool:
    """True if `house` is here in any form. No file is opened."""
    unpacked = any(next(_unpacked(place, house, _DEPTH), None) for place in (folder, folder.parent))
    return unpacked or find_zip(folder) is not None or find_flat(folder, house) is not None


def _unpacked(place: Path, house: str, depth: int) -> Iterator[Path]:
    """Folders called ``house_X`` with metadata or experiments, at most `depth` folders down."""
    if not place.is_dir():
        return
    try:
        folders = sorted(path for path in place.iterdir() if path.is_dir())
    except OSError:
        return
    for path in folders:
        parts = (path / "metadata").is_dir() or (path / "experiments").is_dir()
        if path.name.lower() == f"house_{house.lower()}" and parts:
            yield path
    if depth:
        for path in folders:
            yield from _unpacked(path, house, depth - 1)


@dataclass(frozen=True)
class House:
    """What the metadata say.

    `rooms`: names in their order. `tags`: the room of each floor tag. `points`: key and name of each access
    point in their order, named after its room and numbered where a room has several. `addresses`: the key of
    each access point by its MAC address in lower case.
    """

    rooms: tuple[str, ...]
    tags: Mapping[int, str]
    points: Mapping[int, str]
    addresses: Mapping[str, int]
    notes: tuple[str, ...] = ()


def read_house(tree: Tree) -> House:
    """Rooms, floor tags and access points."""
    rooms = {key: values[0] for key, (_, values) in _keyed(tree, "room_names").items()}
    tags: dict[int, str] = {}
    twice: list[int] = []
    for key, (line, values) in _keyed(tree, "room_tags").items():
        path = tree.shown("metadata/room_tags.dat")
        if key not in rooms:
            raise DataError(
                f"room_names has no such room; it has {', '.join(map(str, rooms))}",
                path=path,
                line=line,
                column="1",
                value=key,
            )
        for position, value in enumerate(values, start=2):
            tag = _key(value, path, line, position)
            twice += [tag] if tags.setdefault(tag, rooms[key]) != rooms[key] else []
    note = f"Floor tags {', '.join(map(str, twice))} are in two rooms each; the first counts."
    sites = {key: values[0] for key, (_, values) in _keyed(tree, "ap_rooms").items()}
    sites = {key: rooms.get(int(name), name) if name.isdigit() else name for key, name in sites.items()}
    addresses: dict[str, int] = {}
    if "metadata/ap_mac_addresses.dat" in tree.members:
        addresses = {v[0].lower(): key for key, (_, v) in _keyed(tree, "ap_mac_addresses").items()}
    return House(tuple(dict.fromkeys(rooms.values())), tags, _names(sites), addresses, (note,) * bool(twice))


def _names(sites: Mapping[int, str]) -> dict[int, str]:
    """A distinct name for each access point."""
    many, seen = Counter(sites.values()), Counter[str]()
    names: dict[int, str] = {}
    for key, site in sites.items():
        seen[site] += 1
        name = site if many[site] == 1 else f"{site}_{seen[site]}"
        names[key] = name if name not in names.values() else f"{site}_ap{key}"
    return names


def _keyed(tree: Tree, name: str) -> dict[int, tuple[int, list[str]]]:
    """A metadata file of lines ``key, value, value ...``: key -> (line, values), in the file's order.

    The first line may be a header.
    """
    path = tree.shown(f"metadata/{name}.dat")
    content = tree.read(f"metadata/{name}.dat").removeprefix(b"\xef\xbb\xbf")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"byte {content[error.start]:#04x} is not UTF-8 text", path=path, line=line, hint=AGAIN
        ) from None
    found: dict[int, tuple[int, list[str]]] = {}
    for line, row in enumerate(csv.reader(text.splitlines()), start=1):
        cells = [cell.strip() for cell in row]
        while cells and not cells[-1]:
            cells.pop()
        if not cells or (line == 1 and not re.match(r"[+-]?\d", cells[0])):
            continue
        key = _key(cells[0], path, line, 1)
        if key in found:
            raise DataError("this key stands twice", path=path, line=line, column="1", value=cells[0])
        if len(cells) < 2:
            raise DataError(
                "a key without a value; the file may have been cut here",
                path=path,
                line=line,
                column="2",
                value="",
                hint=AGAIN,
            )
        found[key] = (line, cells[1:])
    if not found:
        raise DataError("the file holds no line 'key, value'", path=path, line=1, hint=AGAIN)
    return found


def _key(text: str, path: Path, line: int, column: int) -> int:
    if not re.fullmatch(r"[+-]?\d{1,9}(\.0*)?", text):
        raise DataError(
            "not a whole number", path=path, line=line, column=str(column), value=text, hint=AGAIN
        )
    return int(float(text))
