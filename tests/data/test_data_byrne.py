"""Byrne et al.'s houses: a small tree in the published layout, and every way it can be wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from byrne_trees import ONCE, ROUND, flat_tables, house, pack, stamp, unpack
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from tinyloc.data import (
    Recording,
    Windows,
    describe_recordings,
    describe_sources,
    load_material,
    load_windows,
    make_windows,
    render_recordings,
    render_sources,
)
from tinyloc.data.locate import locate
from tinyloc.data.sources import ALL
from tinyloc.data.sources.base import RemoteFile
from tinyloc.data.sources.byrne import BORDER, POINTS, ROOMS, STEPS, divide, split_rooms
from tinyloc.data.sources.byrne_files import NAME
from tinyloc.data.sources.byrne_recordings import STEP, rooms_at, to_g
from tinyloc.errors import DataError, DownloadError, TinylocError


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with house A unpacked."""
    unpack(tmp_path / "byrne", house())
    return tmp_path


# --- the three forms ---------------------------------------------------------------------------------------


def test_the_published_layout(data: Path) -> None:
    material = load_material("byrne:A", data_dir=data)
    sets = load_windows("byrne:A", data_dir=data)
    assert sets.name == "byrne:A"
    assert sets.train.access_points == ("hall", "kitchen_1", "kitchen_2")
    assert sets.train.rooms == ("hall", "kitchen", "bedroom")  # the metadata's order
    assert sets.test.sessions == ("living_1", "living_2", "living_10")
    assert (sets.train.steps, sets.train.seconds_per_step) == (20, 0.2)
    assert (material.protocol.hop, material.protocol.fill_seconds) == (10, 1.0)
    assert "Byrne" in sets.citation
    assert "180168" in sets.citation
    assert "last quarter validates" in sets.description
    assert "3 free-living recordings test" in sets.description
    for windows in (sets.train, sets.validation, sets.test):
        assert np.unique(windows.room).tolist() == [0, 1, 2]
        assert windows.acceleration is not None
        np.testing.assert_allclose(windows.acceleration[:, -1], [[0.0, 0.6, 0.8]] * len(windows))
    walk, living = material.division.train[0], material.division.test[0]
    assert np.diff(walk.time) == pytest.approx(0.2)
    assert living.duration == pytest.approx(59.8)
    assert walk.session == "fingerprint_floor:start"
    assert float(np.nanmax(living.rssi)) < -40  # wearable 2, always at -20, is not read
    assert any("wearable 1 is read" in note and " of 2." in note for note in sets.notes)


def test_a_packet_is_where_and_when_it_was_heard(data: Path) -> None:
    table = "timestamp, ap_id, wearable_id, rssi\n"
    rows = [(0.0, 1, -50), (0.31, 3, -73), (0.05, 2, -61), (0.29, 1, -52), (0.11, 1, -51), (5.0, 2, -80)]
    table += "".join(f"{stamp(4000 + at)},{point},1,{rssi}\n" for at, point, rssi in rows)
    (data / "byrne/house_A/experiments/living_1/rx_wearable_data.dat").write_text(table, encoding="utf-8")
    living = load_material("byrne:A", data_dir=data).division.test[0]
    assert (living.time - living.time[0]).round(3).tolist() == [0.0, 0.2, 0.4, 5.0]
    assert np.nan_to_num(living.rssi).tolist() == [[-50, -61, 0], [-52, 0, 0], [0, 0, -73], [0, -80, 0]]


@pytest.mark.parametrize("top", ["", f"{NAME}/", f"{NAME}/{NAME}/"])
@pytest.mark.parametrize("where", ["byrne/a.zip", f"byrne/{NAME}.zip", f"{NAME}.zip"])
def test_the_zip_is_read_as_the_folder(data: Path, tmp_path: Path, top: str, where: str) -> None:
    other = tmp_path / "other"
    pack(other / where, house(), top)
    assert load_windows("byrne:A", data_dir=other).digest == load_windows("byrne:A", data_dir=data).digest


@pytest.mark.parametrize("where", ["", NAME, f"byrne/{NAME}", f"byrne/{NAME}/{NAME}"])
def test_the_unpacked_folder_may_lie_deeper(data: Path, tmp_path: Path, where: str) -> None:
    other = tmp_path / "other"
    unpack(other / where, house())
    assert load_windows("byrne:A", data_dir=other).digest == load_windows("byrne:A", data_dir=data).digest


@pytest.mark.parametrize("letter", ["A", "B", "C", "D"])
def test_the_flat_tables(tmp_path: Path, letter: str) -> None:
    flat_tables(tmp_path / "byrne", letter)
    sets = load_windows(f"byrne:{letter}", data_dir=tmp_path)
    assert sets.train.rooms == ROOMS[letter]
    assert sets.train.access_points == tuple("gdfkcbajhie"[: POINTS[letter]])
    assert sets.train.rssi.shape[1:] == (20, POINTS[letter])
    assert set(np.unique(sets.test.rssi[:, :, 0])) == {-128, -60}  # -120 is not heard, and is not filled
    at_last = sets.test.rssi[np.arange(len(sets.test)), -1, :]
    heard = sets.test.room < POINTS[letter] - 1
    assert (at_last[heard].argmax(axis=1) == sets.test.room[heard]).all()
    assert sets.train.acceleration is None
    assert any("flat tables" in note for note in sets.notes)


def test_the_published_form_is_preferred(data: Path) -> None:
    flat_tables(data / "byrne")
    assert len(load_windows("byrne:A", data_dir=data).train.access_points) == 3
    assert len(load_windows("byrne:A", data_dir=data, form="flat").train.access_points) == 8


def test_a_flat_index_that_goes_back_begins_a_recording(tmp_path: Path) -> None:
    path = flat_tables(tmp_path / "byrne") / "csv_house_A_fl.csv"
    lines = path.read_text().splitlines()
    again = [line.split(",", 1) for line in lines[1:]]
    path.write_text("\n".join(lines + [",".join(row) for row in again]) + "\n")
    assert load_windows("byrne:A", data_dir=tmp_path).test.sessions == ("living_1", "living_2")


# --- who trains and who validates --------------------------------------------------------------------------


def spans(windows: Windows) -> list[tuple[float, float]]:
    length = (windows.steps - 1) * windows.seconds_per_step
    return [(end - length, end) for end in windows.end_time.tolist()]


def test_a_walk_that_passes_once_is_divided_in_each_room(tmp_path: Path) -> None:
    unpack(tmp_path / "byrne", house(walk=ONCE))
    sets = load_windows("byrne:A", data_dir=tmp_path, hold_seconds=2)
    assert np.unique(sets.validation.room).tolist() == [0, 1, 2]
    assert np.unique(sets.train.room).tolist() == [0, 1, 2]
    assert "would leave hall, kitchen out of training or validation" in sets.description
    assert "in each room" in sets.description


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    stays=st.lists(st.tuples(st.sampled_from("abc "), st.integers(8, 90)), min_size=3, max_size=14),
    jump=st.sampled_from([0.0, 2.0, 30.0]),
)
def test_no_sample_in_two_sets(stays: list[tuple[str, int]], jump: float) -> None:
    room = np.array([name.strip() for name, count in stays for _ in range(count)])
    steps = np.full(len(room), STEP)
    steps[len(room) // 2] += jump
    walk = Recording(np.cumsum(steps), np.full((len(room), 1), -50.0), ("ap",), "walk", room)
    for early, late in (divide([walk])[:2], split_rooms(walk, 0.25, BORDER)):
        if not early or not late:
            continue
        first = np.concatenate([part.time for part in early])
        second = np.concatenate([part.time for part in late])
        assert len(np.unique(np.concatenate([first, second]))) == len(first) + len(second)
        assert np.abs(first[:, None] - second[None, :]).min() >= BORDER - 1e-9
        cut = [make_windows(part, ["a", "b", "c"], STEPS, 5, STEP) for part in (early, late)]
        for low, high in spans(cut[0]):
            assert not any(low < other[1] + 1e-6 and other[0] < high + 1e-6 for other in spans(cut[1]))


def test_each_room_is_divided_by_its_own_time() -> None:
    room = np.array(["a"] * 200 + ["b"] * 400 + ["a"] * 200)
    walk = Recording(np.arange(800) * STEP, np.full((800, 1), -50.0), ("ap",), "w", room)
    early, late = split_rooms(walk, 0.25, BORDER)
    for name in "ab":
        counts = [sum(int((part.room == name).sum()) for part in pile) for pile in (early, late)]
        assert counts[1] / sum(counts) == pytest.approx(0.25, abs=0.02)
    assert [part.session for part in late] == ["w:end 1", "w:end 2"]


def test_a_room_without_training_is_left_out_and_said(tmp_path: Path) -> None:
    tree = house(walk=tuple(tag for tag in ROUND if tag != 3))
    unpack(tmp_path / "byrne", tree)
    sets = load_windows("byrne:A", data_dir=tmp_path)
    assert sets.train.rooms == ("hall", "kitchen")
    assert any(note.startswith("Room bedroom has no training window; its 4") for note in sets.notes)


def test_annotations_hold() -> None:
    grid = np.arange(0.0, 60.0, 5.0)
    room = rooms_at(grid, np.array([5.0, 30.0, 31.0]), np.array(["a", "a", "b"]), 10.0)
    assert room.tolist() == ["", *["a"] * 6, "b", "b", "", "", ""]
    assert rooms_at(grid, np.zeros(0), np.array([], dtype=np.str_), 1.0).tolist() == [""] * len(grid)


# --- wearables, acceleration, unknown tags -----------------------------------------------------------------


def test_another_wearable_may_be_named(data: Path) -> None:
    living = load_material("byrne:A", data_dir=data, wearable=2).division.test[0]
    assert np.nanmax(living.rssi) == -20
    with pytest.raises(DataError, match=r"wearable '7' was not heard. Heard were 1, 2"):
        load_windows("byrne:A", data_dir=data, wearable=7)


@pytest.mark.parametrize(("scale", "unit"), [(9.80665, "m/s^2"), (1000.0, "mg"), (1.0, "g")])
def test_units_of_acceleration(scale: float, unit: str) -> None:
    at_rest = np.array([[0.0, 0.6, 0.8], [np.nan, 0, 0], [0.6, 0.8, 0.0], [1.0, 1.0, 0.5]]) * scale
    assert to_g(at_rest) == (pytest.approx(scale), unit)


def test_without_an_accelerometer(data: Path) -> None:
    (data / "byrne/house_A/experiments/living_2/accelerometer_filtered.dat").unlink()
    sets = load_windows("byrne:A", data_dir=data)
    assert sets.train.acceleration is None
    assert any(note.startswith("No accelerometer in living_2") for note in sets.notes)


def test_unknown_tags_and_access_points_are_left_out_and_said(data: Path) -> None:
    folder = data / "byrne/house_A/experiments/living_1"
    notes = folder / "tag_annotations.dat"
    notes.write_text(notes.read_text().replace(", 3,", ", 999,"))
    packets = folder / "rx_wearable_data.dat"
    packets.write_text(packets.read_text() + f"{stamp(4001)},9,1,-50\n")
    (folder / "ap_mac_ref.dat").unlink()
    material = load_material("byrne:A", data_dir=data)
    living = material.division.test[0]
    assert living.room is not None
    assert set(living.room) == {"hall", "kitchen", ""}
    assert any("20 annotations with tags that are in no room (999)" in note for note in material.notes)
    assert any("1 packet of access points that the metadata lack" in note for note in material.notes)


def test_access_points_are_known_by_their_address(data: Path) -> None:
    path = data / "byrne/house_A/experiments/living_1/ap_mac_ref.dat"
    plain = load_material("byrne:A", data_dir=data).division.test[0]
    path.write_text("ap_id, ap_mac_address\n1, AA:02\n2, AA:01\n3, AA:03\n")
    turned = load_material("byrne:A", data_dir=data).division.test[0]
    np.testing.assert_array_equal(turned.rssi, plain.rssi[:, [1, 0, 2]])


def test_impossible_readings_are_dropped_and_said(data: Path) -> None:
    path = data / "byrne/house_A/experiments/living_1/rx_wearable_data.dat"
    path.write_text(path.read_text() + f"{stamp(4001)},1,1,99\n")
    assert any("1 packet of living_1 of +99 dBm" in n for n in load_windows("byrne:A", data_dir=data).notes)


# --- bad files ---------------------------------------------------------------------------------------------


def complaint(folder: Path, **options: object) -> str:
    with pytest.raises(TinylocError) as caught:
        load_windows("byrne:A", data_dir=folder, **options)
    text = str(caught.value)
    assert "\n" not in text
    assert isinstance(caught.value, DataError)
    return text


def line(number: int, text: str) -> Callable[[str], str]:
    def change(content: str) -> str:
        lines = content.splitlines()
        lines[number - 1] = text
        return "\n".join(lines) + "\n"

    return change


PACKETS = "experiments/living_1/rx_wearable_data.dat"
NOTES = "experiments/fingerprint_floor/tag_annotations.dat"
MOVES = "experiments/living_1/accelerometer_filtered.dat"


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        (PACKETS, line(1, "timestamp, ap, wearable_id, rssi"), ["line 1", "'ap_id'", "no such column"]),
        (PACKETS, line(7, "soon,1,1,-50"), ["line 7", "column 'timestamp'", "value 'soon'"]),
        (PACKETS, line(7, f"{stamp(4001)},one,1,-50"), ["line 7", "column 'ap_id'", "value 'one'"]),
        (PACKETS, line(7, f"{stamp(4001)},1.5,1,-50"), ["line 7", "column 'ap_id'", "value '1.5'"]),
        (PACKETS, line(7, f"{stamp(4001)},,1,-50"), ["line 7", "column 'ap_id'", "value ''"]),
        (PACKETS, line(7, f"{stamp(4001)},1,1,weak"), ["line 7", "column 'rssi'", "value 'weak'"]),
        (PACKETS, line(7, f"{stamp(4001)},1"), ["line 7", "2 fields, expected 4", "cut"]),
        (PACKETS, lambda text: text.splitlines()[0] + "\n", ["line 2", "no rows"]),
        (PACKETS, lambda text: "", ["empty"]),
        (PACKETS, lambda text: re.sub(r",[123],([12]),", r",8,\1,", text),
            ["line 2", "column 'ap_id'", "value '8'", "no packet"]),
        (NOTES, line(5, f"{stamp(4)}, 0, sofa, 0, 0, 0"), ["line 5", "column 'tag'", "value ' sofa'"]),
        (NOTES, lambda text: text.replace(", 0, ", ", 0, 50"), ["line 2", "column 'tag'", "no annotation"]),
        (MOVES, line(3, f"{stamp(4001)},1,1,0,up,0,0"), ["line 3", "column 'acc1x'", "value 'up'"]),
        ("metadata/room_tags.dat", line(2, "2, two"), ["line 2", "column '2'", "value 'two'"]),
        ("metadata/room_tags.dat", line(2, "9, 2"), ["line 2", "column '1'", "value 9", "no such room"]),
        ("metadata/room_tags.dat", line(3, "2, 3"), ["line 3", "value '2'", "twice"]),
        ("metadata/room_names.dat", line(3, "3"), ["line 3", "column '2'", "cut"]),
        ("metadata/ap_rooms.dat", lambda text: "", ["line 1", "no line"]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("packed", [False, True])
def test_a_spoilt_file(
    tmp_path: Path, file: str, change: Callable[[str], str], said: list[str], packed: bool
) -> None:
    tree = house()
    tree[file] = change(tree[file])
    if packed:
        pack(tmp_path / "byrne" / f"{NAME}.zip", tree)
    else:
        unpack(tmp_path / "byrne", tree)
    text = complaint(tmp_path)
    for part in (*said, f"house_A/{file}"):
        assert part in text


@pytest.mark.parametrize(
    "file",
    [PACKETS, NOTES, "metadata/room_tags.dat", "metadata/room_names.dat", "metadata/ap_rooms.dat"],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_missing_file(tmp_path: Path, file: str, packed: bool) -> None:
    tree = {name: text for name, text in house().items() if name != file}
    if packed:
        pack(tmp_path / "byrne" / f"{NAME}.zip", tree)
    else:
        unpack(tmp_path / "byrne", tree)
    text = complaint(tmp_path)
    assert file in text
    assert "lacks this file" in text


def test_missing_recordings(tmp_path: Path) -> None:
    tree = {name: text for name, text in house().items() if "living" not in name}
    unpack(tmp_path / "byrne", tree)
    assert "begins with 'living'. It holds fingerprint_floor" in complaint(tmp_path)


def test_bytes_that_are_no_text(data: Path) -> None:
    path = data / "byrne/house_A/metadata/room_names.dat"
    path.write_bytes(b"1, hall\n2, k\xfcche\n3, bedroom\n")
    assert "line 2: byte 0xfc is not UTF-8" in complaint(data)


def test_a_cut_or_altered_zip(tmp_path: Path) -> None:
    path = pack(tmp_path / "byrne" / f"{NAME}.zip", house())
    content = path.read_bytes()
    for spoilt in (content[: len(content) // 2], b"", content[:3000] + b"\x00" * 400 + content[3400:]):
        path.write_bytes(spoilt)
        text = complaint(tmp_path)
        assert str(path) in text
        assert "not a whole zip file" in text


def test_a_zip_of_another_house(tmp_path: Path) -> None:
    pack(tmp_path / "byrne" / f"{NAME}.zip", house(), letter="B")
    assert "the archive holds no house_A" in complaint(tmp_path)
    assert load_windows("byrne:B", data_dir=tmp_path).name == "byrne:B"


@pytest.mark.parametrize(
    ("kind", "change", "said"),
    [
        ("fp", line(5, "3,-60,-60,-60,-60,-60,-60,-60,-60,7"), ["line 5", "'label'", "value 7", "1..4"]),
        ("fp", line(5, "3,-60,-60,-60,-60,-60,-60,-60,-60,"), ["line 5", "column 'label'", "value ''"]),
        ("fl", line(5, "3,-60,-60,-60,x,-60,-60,-60,-60,1"), ["line 5", "column 'k'", "value 'x'"]),
        ("fl", line(5, "3,-60"), ["line 5", "2 fields, expected 10"]),
        ("fl", line(1, ",g,d,f,k,c,b,a,z,label"), ["line 1", "access points"]),
        ("fl", lambda text: "a,b\n1,2\n", ["line 1", "2 columns, expected an index, 8 access points"]),
        ("fl", None, ["no such file"]),
    ],
)  # fmt: skip
def test_a_spoilt_flat_table(
    tmp_path: Path, kind: str, change: Callable[[str], str] | None, said: list[str]
) -> None:
    path = flat_tables(tmp_path / "byrne") / f"csv_house_A_{kind}.csv"
    if change is None:
        path.unlink()
    else:
        path.write_text(change(path.read_text()))
    text = complaint(tmp_path)
    for part in (*said, path.name):
        assert part in text


def test_nothing_is_here(tmp_path: Path) -> None:
    text = complaint(tmp_path)
    assert "byrne" in text
    assert "figshare" in text
    flat_tables(tmp_path / "byrne")
    assert "not here in the form 'published'" in complaint(tmp_path, form="published")


# --- listed, shown, fetched --------------------------------------------------------------------------------


def test_it_is_listed_and_shown(data: Path) -> None:
    console = Console(width=140, record=True, quiet=False, file=(data / "out").open("w"))
    found = {source.name: source for source in describe_sources(data)}
    assert [name for name, source in found.items() if source.here] == ["byrne:A", "house"]
    assert found["byrne:A"].where == data / "byrne"
    console.print(render_sources(list(found.values())))
    facts, _ = describe_recordings("byrne:A", data_dir=data)
    assert facts.acceleration
    assert all(one.rate == pytest.approx(5.0) for one in facts.sessions)
    console.print(render_recordings(facts))
    text = console.export_text()
    console.file.close()
    for part in (
        "byrne:D",
        "hold_seconds",
        "Byrne",
        "kitchen_2",
        "living_10",
        "bedroom",
        "wearable 1 is read",
    ):
        assert part in text


def test_the_first_download_is_recorded_and_held_to(tmp_path: Path) -> None:
    home, folder = tmp_path / "home", tmp_path / "data" / "byrne"
    pack(home / "14220518", house())

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(home)))
    Thread(target=partial(server.serve_forever, poll_interval=0.01), daemon=True).start()
    file = RemoteFile(f"{NAME}.zip", f"http://127.0.0.1:{server.server_port}/14220518")
    assert [one.path for one in ALL["byrne:A"].remote] == [file.path]
    source = replace(ALL["byrne:A"], remote=(file,))
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("TINYLOC_DATA", raising=False)
            patch.setattr("tinyloc.data.locate.cache_folder", lambda: tmp_path / "data")
            quiet = Console(quiet=True)
            assert locate(source, console=quiet) == folder
            assert (folder / f"{NAME}.zip.sha256").read_text().endswith(f"  {NAME}.zip\n")
            assert locate(source, console=quiet) == folder
            with (folder / f"{NAME}.zip").open("ab") as stream:
                stream.write(b"more")
            with pytest.raises(DownloadError, match="first download left"):
                locate(source, console=quiet)
            (folder / f"{NAME}.zip").unlink()
            pack(home / "14220518", house(walk=ONCE))
            with pytest.raises(DownloadError, match="SHA-256"):
                locate(source, console=quiet)
    finally:
        server.shutdown()
        server.server_close()
