"""Where the data lie, and fetching them from a server in this process."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from rich.console import Console

from tinyloc.data import locate as locate_module
from tinyloc.data.fetch import fetch, fetch_file
from tinyloc.data.locate import cache_folder, locate, look
from tinyloc.data.sources import ALL, flat, uji
from tinyloc.data.sources.base import RemoteFile, Source
from tinyloc.errors import DataError, DownloadError, OutputError

CONTENT = bytes(range(256)) * 3000
SHA = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves CONTENT; `asked`: the Range headers; `cut`: send that many bytes only; `ranges` may be off."""

    asked: list[str]
    cut: int = 0
    ranges: bool = True


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        if not self.path.startswith("/data"):
            self.send_error(404)
            return
        wanted = self.headers.get("Range", "")
        self.server.asked.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.server.ranges else 0
        if start >= len(CONTENT):
            self.send_error(416)
            return
        body = CONTENT[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.server.cut] if self.server.cut else body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server(("127.0.0.1", 0), Handler)
    running.asked = []
    thread = threading.Thread(target=partial(running.serve_forever, poll_interval=0.01), daemon=True)
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
    thread.join()


def remote(server: Server, path: str = "/data.bin", size: int = len(CONTENT), sha: str = SHA) -> RemoteFile:
    return RemoteFile("sub/data.bin", f"http://127.0.0.1:{server.server_port}{path}", size, sha)


def source(server: Server, **changes: object) -> Source:
    made = replace(
        ALL["flat"], name="toy", folder="toy", needs=("sub/data.bin",), remote=(remote(server),), home="here"
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def test_a_download_is_whole_and_shown(server: Server, tmp_path: Path) -> None:
    console = Console(file=(tmp_path / "out").open("w"), force_terminal=True, width=100)
    fetch(source(server), tmp_path, console=console)
    console.file.close()
    assert (tmp_path / "sub" / "data.bin").read_bytes() == CONTENT
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["data.bin"]
    assert "toy from here" in (tmp_path / "out").read_text()
    fetch(source(server), tmp_path, console=Console(quiet=True))
    assert len(server.asked) == 1


def test_a_broken_download_goes_on_where_it_broke(server: Server, tmp_path: Path) -> None:
    target = tmp_path / "data.bin"
    server.cut = 100_000
    with pytest.raises(DownloadError, match="connection broke after 100000 of 768000 bytes"):
        fetch_file(remote(server), target)
    assert not target.exists()
    server.cut = 0
    fetch_file(remote(server), target)
    assert target.read_bytes() == CONTENT
    assert server.asked == ["", "bytes=100000-"]
    assert list(tmp_path.iterdir()) == [target]


def test_a_server_without_ranges_starts_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "data.bin.part").write_bytes(b"old")
    server.ranges = False
    fetch_file(remote(server), tmp_path / "data.bin")
    assert (tmp_path / "data.bin").read_bytes() == CONTENT


def test_a_part_that_is_too_long_starts_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "data.bin.part").write_bytes(CONTENT + b"more")
    fetch_file(remote(server), tmp_path / "data.bin")
    assert (tmp_path / "data.bin").read_bytes() == CONTENT


def test_without_a_checksum_nothing_is_continued(server: Server, tmp_path: Path) -> None:
    (tmp_path / "data.bin.part").write_bytes(b"of another file")
    fetch_file(remote(server, size=0, sha=""), tmp_path / "data.bin")
    assert (tmp_path / "data.bin").read_bytes() == CONTENT
    assert server.asked == [""]


@pytest.mark.parametrize(
    ("path", "size", "sha", "said"),
    [
        ("/data.bin", len(CONTENT), "0" * 64, "SHA-256"),
        ("/data.bin", 7, SHA, "expected 7"),
        ("/none.bin", len(CONTENT), SHA, "404"),
    ],
)
def test_what_is_not_the_published_file_is_discarded(
    server: Server, tmp_path: Path, path: str, size: int, sha: str, said: str
) -> None:
    with pytest.raises(DownloadError) as caught:
        fetch_file(remote(server, path, size, sha), tmp_path / "data.bin", home="https://example.org")
    text = str(caught.value)
    assert said in text
    assert "\n" not in text
    assert "https://example.org" in text
    assert "--data-dir" in text
    assert list(tmp_path.iterdir()) == []


def test_no_server(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="could not be fetched"):
        fetch_file(RemoteFile("a", "http://127.0.0.1:9/a"), tmp_path / "a")


def test_no_room_on_the_disk(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tinyloc.data.fetch.os.fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        fetch_file(remote(server), tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_the_order_of_places(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, variable, cache = (tmp_path / name for name in ("mine", "variable", "cache"))
    monkeypatch.setenv("TINYLOC_DATA", str(variable))
    monkeypatch.setattr(locate_module, "cache_folder", lambda: cache)
    toy = source(server)
    assert [place.root for place in look(toy)] == [variable, cache]
    assert [place.root for place in look(toy, mine)] == [mine]

    with pytest.raises(DataError) as caught:
        locate(toy, download=False)
    for part in ("TINYLOC_DATA", str(variable / "toy"), str(cache / "toy"), "does not exist"):
        assert part in str(caught.value)
    with pytest.raises(DataError, match="leave --data-dir out to download it"):
        locate(toy, mine)
    assert not server.asked

    assert locate(toy, console=Console(quiet=True)) == cache / "toy"
    assert len(server.asked) == 1
    assert locate(toy) == cache / "toy"
    (variable / "toy" / "sub").mkdir(parents=True)
    (variable / "toy" / "sub" / "data.bin").touch()
    assert locate(toy) == variable / "toy"
    assert len(server.asked) == 1


def test_a_source_without_a_download_says_how(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Fetch it from here into that folder"):
        locate(source(server, remote=()), tmp_path)


def test_cache_folders(tmp_path: Path) -> None:
    assert cache_folder({"XDG_CACHE_HOME": "/c"}, "linux") == Path("/c/tinyloc")
    assert cache_folder({}, "linux") == Path.home() / ".cache" / "tinyloc"
    assert cache_folder({}, "darwin") == Path.home() / "Library" / "Caches" / "tinyloc"
    assert cache_folder({"LOCALAPPDATA": "/l"}, "win32") == Path("/l/tinyloc/Cache")


@pytest.mark.parametrize("name", [name for name in ALL if name != "house" and "byrne" not in name])
def test_the_published_checksums_are_those_of_the_files_here(name: str, data_dir: Path) -> None:
    found = ALL[name]
    more = set(flat.WALK) if name == "flat" else set()
    assert {file.path for file in found.remote} == {*found.needs, *more}
    for file in found.remote:
        content = (data_dir / found.folder / file.path).read_bytes()
        assert file.url.startswith("https://")
        if name == "uji":  # the zip may be packed anew: its tables have checksums instead
            assert file.sha256 == ""
            assert set(uji.SHA256) == {"trainingData.csv", "validationData.csv"}
        else:
            assert file.size == len(content)
            assert file.sha256 == hashlib.sha256(content).hexdigest()
