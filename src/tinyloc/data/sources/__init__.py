"""One file per data set, and `csv.py` for the user's own. `ALL` is the table of the named ones."""

from __future__ import annotations

from tinyloc.data.sources import byrne, flat, house, tracks, uji, walks
from tinyloc.data.sources.base import Source

ALL: dict[str, Source] = {
    source.name: source
    for source in (
        flat.SOURCE,
        *walks.SOURCES.values(),
        tracks.SOURCE,
        uji.SOURCE,
        *byrne.SOURCES.values(),
        house.SOURCE,
    )
}
"""Every named source, in the order of `tinyloc data list`."""

__all__ = ["ALL", "Source"]
