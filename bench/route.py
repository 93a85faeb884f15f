"""How often a forced alignment agrees with rooms that were noted: real walks and tracks, each by the others.

Every session that trains or validates is given its route alone, the rooms in their order, and is aligned by
the others (`data/route.py`). `python bench/route.py --data-dir DIR`; `--json` prints one line.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
from pathlib import Path

from tinyloc.data import load_material
from tinyloc.data.recording import Recording
from tinyloc.data.route import walked

SETS = ("walks:canteen", "walks:library", "tracks")


def agreement(recording: Recording, others: list[Recording]) -> float | None:
    """Share of the noted samples that the alignment gives the noted room; None where `others` lack a room."""
    assert recording.room is not None
    noted = recording.room != ""
    route = [name for name, _ in itertools.groupby(recording.room[noted].tolist())]
    known = {name for one in others if one.room is not None for name in one.room.tolist()}
    if not set(route) <= known:
        return None
    found = walked(dataclasses.replace(recording, room=None), route, others).room
    assert found is not None
    return float((found[noted] == recording.room[noted]).mean())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, help="folder with the data sets")
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    given = parser.parse_args()
    rows = []
    for name in SETS:
        division = load_material(name, data_dir=given.data_dir).division
        sessions = [*division.train, *division.validation]
        for one in sessions:
            share = agreement(one, [other for other in sessions if other is not one])
            rows.append({"set": name, "session": one.session, "samples": len(one), "agreement": share})
            if not given.json:
                shown = "a room of its own" if share is None else f"{100 * share:5.1f} %"
                print(f"{name:14} {one.session:30} {len(one):6,} samples  {shown}")
    if given.json:
        print(json.dumps(rows))


if __name__ == "__main__":
    main()
