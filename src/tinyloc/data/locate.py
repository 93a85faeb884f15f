"""Where the recordings lie: a folder named by the user, `TINYLOC_DATA`, the cache, else a download.

Every place has the same layout: one folder per source, as its public home names the files.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from tinyloc.data.fetch import check_recorded, fetch
from tinyloc.data.sources.base import Source
from tinyloc.errors import AbsentError

VARIABLE = "TINYLOC_DATA"


def cache_folder(environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path:
    """Where downloads are kept, by the platform's convention (XDG on Linux)."""
    if platform == "win32":
        base = environment.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
        return Path(base) / "tinyloc" / "Cache"
    if platform == "darwin":
        return Path.home() / "Library" / "Caches" / "tinyloc"
    return Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tinyloc"


@dataclass(frozen=True)
class Place:
    """One place that was looked into: `what` it is, the data folder, and what of the source it lacks."""

    what: str
    root: Path
    missing: tuple[str, ...]


def look(source: Source, data_dir: Path | None = None) -> list[Place]:
    """The places to look into, in order, and what each lacks of `source`.

    A folder that the user named is the only one: nothing else stands in for it silently.
    """
    roots: list[tuple[str, Path]] = []
    if data_dir is not None:
        roots.append(("--data-dir", Path(data_dir)))
    else:
        if os.environ.get(VARIABLE):
            roots.append((VARIABLE, Path(os.environ[VARIABLE])))
        roots.append(("the cache", cache_folder()))
    return [Place(what, root, _missing(source, root / source.folder)) for what, root in roots]


def _missing(source: Source, folder: Path) -> tuple[str, ...]:
    if source.found is not None and source.found(folder):
        return ()
    return tuple(name for name in source.needs if not (folder / name).is_file())


def locate(
    source: Source,
    data_dir: Path | None = None,
    *,
    download: bool = True,
    console: Console | None = None,
) -> Path:
    """The folder that holds all files of `source`, fetched if need be.

    Raises AbsentError that says where it was looked for and how to get it; DownloadError where the download
    fails.
    """
    if not source.needs:
        return Path()
    places = look(source, data_dir)
    for place in places:
        if not place.missing:
            check_recorded(source, place.root / source.folder)
            return place.root / source.folder
    fetchable = bool(source.remote) and all(file.url for file in source.remote)
    if data_dir is None and download and fetchable:
        folder = cache_folder() / source.folder
        fetch(source, folder, console=console)
        return folder
    looked = "; ".join(
        f"{place.root / source.folder} ({place.what}) "
        + ("does not exist" if not (place.root / source.folder).is_dir() else f"lacks {place.missing[0]}")
        for place in places
    )
    how = f"Fetch it from {source.home} into that folder"
    raise AbsentError(
        f"the data set {source.name!r} is not here: {looked}",
        hint=f"{how}, or leave --data-dir out to download it." if fetchable else f"{how}.",
    )
