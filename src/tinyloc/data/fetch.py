"""Fetching a data set from its public home: whole and checked, or not at all.

A file grows under the name ``NAME.part`` and takes its own name in one step, after its size and SHA-256 were
found right. A part that a broken connection left behind is continued, if the checksum is known and the
server can; otherwise it is begun again. Where the publisher gives no SHA-256, that of the first download is
kept beside the file, as ``NAME.sha256``, and every later look at the file holds it to that.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

from tinyloc.data.sources.base import RemoteFile, Source
from tinyloc.errors import DownloadError, OutputError

TIMEOUT = 30.0
_CHUNK = 1 << 16
_AGENT = "tinyloc"


def fetch(source: Source, folder: Path, *, console: Console | None = None) -> None:
    """Fetch the files of `source` that `folder` lacks, with a progress bar on `console` (stderr).

    Raises DownloadError when a file cannot be had or is not the published one, OutputError when it cannot
    be written.
    """
    wanted = [file for file in source.remote if not (folder / file.path).is_file()]
    total = sum(file.size for file in wanted) if all(file.size for file in wanted) else None
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console or Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"{source.name} from {source.home}", total=total)
        for file in wanted:
            fetch_file(file, folder / file.path, progress, task, home=source.home)


def fetch_file(
    file: RemoteFile,
    target: Path,
    progress: Progress | None = None,
    task: TaskID | None = None,
    *,
    home: str = "",
) -> None:
    """Fetch one file to `target`; see the module's head."""
    part = target.with_name(target.name + ".part")
    file = file if file.sha256 else replace(file, sha256=_said(target))
    hint = f"Fetch it from {home or file.url} by hand into {target.parent}, or name a folder with --data-dir."
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if not file.sha256:
            part.unlink(missing_ok=True)
        _receive(file, part, progress, task)
        _check(file, part, hint)
        os.replace(part, target)
        if not file.sha256:
            _recorded(target).write_text(f"{_digest(target)}  {target.name}\n", encoding="utf-8")
    except urllib.error.HTTPError as error:
        raise DownloadError(f"{file.url}: the server says {error.code} {error.reason}", hint=hint) from None
    except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
        reason = getattr(error, "reason", error)
        raise DownloadError(f"{file.url}: could not be fetched ({reason})", hint=hint) from None
    except OSError as error:
        raise OutputError(
            f"{target}: could not be written ({error.strerror or error})",
            hint="Free some space, or name a folder that holds the data with --data-dir.",
        ) from None


def check_recorded(source: Source, folder: Path) -> None:
    """Raise DownloadError if a file of `folder` is not the one whose digest its first download left."""
    for file in source.remote:
        target = folder / file.path
        said = "" if file.sha256 or not target.is_file() else _said(target)
        if said and _digest(target) != said:
            raise DownloadError(
                f"{target}: its SHA-256 is not the one that its first download left ({said[:12]}...)",
                hint=f"Remove it to fetch it again, or remove {_recorded(target).name} if you replaced it.",
            )


def _said(target: Path) -> str:
    """SHA-256 of the first download of `target`, "" where none was recorded."""
    try:
        return _recorded(target).read_text(encoding="utf-8", errors="replace").split(" ")[0].strip()
    except OSError:
        return ""


def _recorded(target: Path) -> Path:
    return target.with_name(target.name + ".sha256")


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _receive(file: RemoteFile, part: Path, progress: Progress | None, task: TaskID | None) -> None:
    have = part.stat().st_size if part.exists() else 0
    if file.size and have == file.size:
        return
    headers = {"User-Agent": _AGENT} | ({"Range": f"bytes={have}-"} if have else {})
    request = urllib.request.Request(file.url, headers=headers)
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        part.unlink()  # the part is as long as the file or longer, and yet not whole
        answer = urllib.request.urlopen(
            urllib.request.Request(file.url, headers={"User-Agent": _AGENT}), timeout=TIMEOUT
        )
    with answer:
        goes_on = bool(have) and answer.status == 206
        if progress is not None and task is not None and goes_on:
            progress.advance(task, have)
        with part.open("ab" if goes_on else "wb") as stream:
            _copy(answer, stream, progress, task)
            stream.flush()
            os.fsync(stream.fileno())


def _copy(answer: Any, stream: Any, progress: Progress | None, task: TaskID | None) -> None:
    expected = answer.length
    received = 0
    while chunk := answer.read(_CHUNK):
        stream.write(chunk)
        received += len(chunk)
        if progress is not None and task is not None:
            progress.advance(task, len(chunk))
    if expected is not None and received < expected:
        raise ConnectionError(f"the connection broke after {received} of {expected} bytes")


def _check(file: RemoteFile, part: Path, hint: str) -> None:
    size = part.stat().st_size
    sha = _digest(part)
    wrong = ""
    if file.size and size != file.size:
        wrong = f"it has {size} bytes, expected {file.size}"
    elif file.sha256 and sha != file.sha256:
        wrong = f"its SHA-256 is {sha[:12]}..., expected {file.sha256[:12]}..."
    if wrong:
        with contextlib.suppress(OSError):
            part.unlink()
        raise DownloadError(f"{file.url} is not the published file: {wrong}; it was discarded", hint=hint)
