"""Small trees in exactly the layout of Byrne's houses, and in the authors' flat form."""

from __future__ import annotations

import zipfile
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from tinyloc.data.sources.byrne import POINTS, ROOMS
from tinyloc.data.sources.byrne_files import NAME
from tinyloc.data.sources.byrne_recordings import STEP

BOM = "\ufeff"
BEGIN = datetime(2017, 3, 14, 10, 0, 0)
ROUND = (1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3)
"""Tags of a walk that comes back to each room."""
ONCE = (1, 2, 3)
Tree = dict[str, str]


def stamp(seconds: float) -> str:
    return (BEGIN + timedelta(seconds=seconds)).isoformat(" ", "milliseconds")


def experiment(
    tags: tuple[int, ...], seconds: float = 20.0, seed: int = 0, start: float = 0.0
) -> dict[str, str]:
    """One recording: a stay at each tag, packets in any order, two wearables, stray spaces in the header."""
    rng = np.random.default_rng(seed)
    packets, moves, notes = [], [], []
    count = round(len(tags) * seconds / STEP)
    for step in range(count):
        at = start + step * STEP
        tag = tags[int(step * STEP // seconds)]
        for point in (1, 2, 3):
            if point == tag or rng.random() < 0.6:
                rssi = int(-50 - 20 * abs(point - tag) + rng.integers(-4, 5))
                packets.append(f"{stamp(at + 0.01 * point)},{point},1,{rssi}")
        if step % 5 == 0:
            notes.append(f"{stamp(at)}, 0, {tag}, 0.1, 0.2, 0.0")
            packets.append(f"{stamp(at)},1,2,-20")
        moves.append(f"{stamp(at)},1,1,0,0.0,0.6,0.8")
    shuffled = [packets[index] for index in rng.permutation(len(packets))]
    return {
        "rx_wearable_data.dat": "\n".join([f"{BOM}timestamp, ap_id,  wearable_id, rssi ", *shuffled]) + "\n",
        "tag_annotations.dat": "\n".join(
            [f"{BOM}timestamp, annotator, tag, tag_coord_x, tag_coord_y, tag_coord_z", *notes]
        )
        + "\n",
        "accelerometer_filtered.dat": "\n".join(
            [f"{BOM}timestamp, ap_id, wearable_id, count, acc1x, acc1y, acc1z", *moves]
        )
        + "\n",
        "activity_annotation_times.dat": f"{BOM}timestamp_start, timestamp_end, activity_tag\n",
        "ap_mac_ref.dat": f"{BOM}ap_id, ap_mac_address\n1, AA:01\n2, AA:02\n3, AA:03\n",
        "wear_mac_ref.dat": f"{BOM}wearable_id, wearable_mac_address\n1,BB:01\n2,BB:02\n",
    }


def house(walk: tuple[int, ...] = ROUND) -> Tree:
    """The files of a house of three rooms."""
    tree = {
        "metadata/room_names.dat": f"{BOM}1, hall\n2, kitchen \n3, bedroom\n",
        "metadata/room_tags.dat": "1, 1, 77\n2, 2\n3, 3,,\n",
        "metadata/ap_rooms.dat": "1, hall\n2, kitchen\n3, kitchen\n",
        "metadata/ap_mac_addresses.dat": "1, aa:01\n2, aa:02\n3, aa:03\n",
        "metadata/ap_coordinates.dat": "1, 0.0, 1.0, 2.0\n2, 3.0, 1.0, 2.0\n3, 5.0, 1.0, 2.0\n",
        "metadata/floor_tags.dat": "1, 1, 2, 3, 77\n",
        "metadata/tag_coordinates.dat": "1, 0, 0, 0\n2, 3, 0, 0\n3, 5, 0, 0\n",
    }
    recordings = {
        "fingerprint_floor": experiment(walk),
        "living_1": experiment((1, 3, 2), seed=1, start=4000),
        "living_2": experiment((2, 1), seed=2, start=8000),
        "living_10": experiment((3, 2), seed=3, start=9000),
    }
    for name, files in recordings.items():
        tree |= {f"experiments/{name}/{file}": text for file, text in files.items()}
    return tree


def unpack(root: Path, tree: Tree, letter: str = "A") -> Path:
    for name, text in tree.items():
        path = root / f"house_{letter}" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def pack(path: Path, tree: Tree, top: str = f"{NAME}/", letter: str = "A") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in tree.items():
            archive.writestr(f"{top}house_{letter}/{name}", text)
        archive.writestr("__MACOSX/house_A/metadata/._room_tags.dat", b"\x00")
    return path


def flat_tables(root: Path, letter: str = "A", steps: int = 60) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    points, rooms = POINTS[letter], len(ROOMS[letter])
    for kind, rounds in (("fp", 8), ("fl", 3)):
        lines = ["," + ",".join("gdfkcbajhie"[:points]) + ",label"]
        for row in range(rounds * rooms * steps):
            room = row // steps % rooms
            rssi = [-60 if point == room else -120 for point in range(points)]
            rssi[-1] = int(rng.integers(-90, -80))
            lines.append(f"{row}," + ",".join(f"{value}.0" for value in rssi) + f",{room + 1}")
        (root / f"csv_house_{letter}_{kind}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root
