"""Whatever is wrong is one line on standard error that names the place and the way out."""

from __future__ import annotations

import dataclasses
import json
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from command_line import SMALL, TRAIN_SMALL, Done, Table, done, program, rows, tinyloc, write

from tinyloc.data import load_windows_file
from tinyloc.device.boards import find_board
from tinyloc.device.emulators import DeviceRun
from tinyloc.device.tiers import Tier, find_tier
from tinyloc.errors import BudgetError
from tinyloc.learn.options import TrainOptions
from tinyloc.pipeline import fits
from tinyloc.quant import storage

Change = Callable[[Table], Table]


def cell(row: int, column: int, value: str) -> Change:
    def change(table: Table) -> Table:
        table[row][column] = value
        return table

    return change


def column(index: int, value: str, start: int = 1, stop: int | None = None) -> Change:
    def change(table: Table) -> Table:
        for row in table[start:stop]:
            row[index] = value
        return table

    return change


def half_text(table: Table) -> Table:
    for row in table[451:]:
        row[2] = "weak"
    return table


def all_nan(table: Table) -> Table:
    for row in table[1:]:
        row[1:4] = ["nan", "NaN", ""]
    return table


def silent_session(table: Table) -> Table:
    for row in table[301:601]:
        row[1:4] = ["", "", ""]
    return table


SPOILT = {
    "no time column": (cell(0, 0, "when"), ("line 1", "'time'", "--time")),
    "a column half text": (half_text, ("line 452", "column 'ap2'", "'weak'", "450 such cells", "Mend")),
    "time that is text": (cell(7, 0, "noon"), ("line 8", "column 'time'", "'noon'", "time")),
    "time that is text in every row": (
        column(0, "yesterday"),
        ("line 2", "column 'time'", "'yesterday'", "900 such cells", "ISO 8601", "--time-unit"),
    ),
    "time backwards": (cell(9, 0, "0.3"), ("line 10", "column 'time'", "'0.3'", "backwards", "Sort")),
    "RSSI of +42": (cell(5, 2, "42"), ("line 6", "column 'ap2'", "42", "-127..20 dBm", "Empty")),
    "RSSI of -500": (cell(6, 1, "-500"), ("line 7", "column 'ap1'", "-500", "-127..20 dBm", "Empty")),
    "all NaN": (all_nan, ("no access point is heard", "900 rows", "--access-points")),
    "one room only": (column(4, "hall"), ("only 'hall'", "column 'room'", "two rooms")),
    "no room at all": (column(4, ""), ("no room at all", "column 'room'", "Fill the column")),
    "a room that only tests": (
        column(4, "attic", 700, 800),
        ("session 'wed'", "room 'attic'", "never seen in training", "Let a session with that room train"),
    ),
    "a session without a sample": (silent_session, ("line 302", "session 'tue'", "Leave the session out")),
    "a session without a name": (cell(3, 5, ""), ("line 4", "column 'session'", "Name the session")),
    "three rows": (lambda table: table[:4], ("3 samples", "60 at least", "Record for longer")),
    "no rows": (lambda table: table[:1], ("no rows", "Check that the recording ran")),
    "two of one name": (cell(0, 2, "ap1"), ("line 1", "'ap1'", "names must differ", "Rename")),
    "a row cut short": (
        lambda table: [*table[:50], table[50][:2]],
        ("line 51", "2 fields, expected 6", "cut"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("verb", ["data", "run"])
@pytest.mark.parametrize("name", SPOILT)
def test_a_spoilt_recording(spoilt: Callable[[Change], Path], tmp_path: Path, name: str, verb: str) -> None:
    change, parts = SPOILT[name]
    path = spoilt(change)
    more = SMALL if verb == "run" else ()
    error = tinyloc(verb, "--data", path, *more, "--out", tmp_path / "run").only_error
    for part in (str(path), *parts):
        assert part in error
    assert not (tmp_path / "run").exists(), "a refused recording leaves no folder"


def test_a_spoilt_recording_in_a_program_of_its_own(spoilt: Callable[[Change], Path]) -> None:
    change, parts = SPOILT["RSSI of +42"]
    path = spoilt(change)
    found = program("run", "--data", path, "--out", path.parent / "run")
    assert found.code == 2
    assert found.out == ""
    for part in (str(path), *parts):
        assert part in found.only_error
    told = program("run", "--data", path, "--out", path.parent / "run", "--debug")
    assert told.code == 2
    assert "Traceback (most recent call last)" in told.err
    assert "DataError" in told.err


def test_debug_shows_where_and_ends_alike(tmp_path: Path) -> None:
    found = tinyloc("--debug", "data", "--data", tmp_path / "none.csv")
    assert found.code == 2
    assert "DataError" in found.err
    assert found.err.splitlines()[-1].startswith("error: ")


def test_a_model_is_not_replaced_by_other_data(copy_of_run: Path, tmp_path: Path) -> None:
    model = (copy_of_run / "model.safetensors").read_bytes()
    (copy_of_run / "package-c").mkdir()
    other = write(tmp_path / "my_home.csv", rows(each=330))
    for windows in (True, False):
        if not windows:
            (copy_of_run / "windows.npz").unlink()
        for verb in ("data", "run"):
            error = tinyloc(verb, "--data", other, "--out", copy_of_run).only_error
            assert "holds a model of" in error
            assert "Name another folder with --out" in error
    assert (copy_of_run / "model.safetensors").read_bytes() == model
    assert (copy_of_run / "result.json").exists()


def test_one_file_is_the_same_by_any_name(
    copy_of_run: Path, recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(recording.parent)
    found = tinyloc("data", "--data", f"./{recording.name}", "--with", "steps=10", "--out", copy_of_run)
    assert "removed, for it was made of other windows: model.safetensors" in found.err


def test_what_is_removed_is_said(copy_of_run: Path, recording: Path) -> None:
    (copy_of_run / "package-c").mkdir()
    found = tinyloc("data", "--data", recording, "--with", "steps=10", "--out", copy_of_run)
    assert found.code == 0
    assert "removed, for it was made of other windows: model.safetensors, model.tinyloc\n" in found.err
    assert "of other windows, and still there: package-c\n" in found.err
    assert not (copy_of_run / "model.safetensors").exists()
    assert (copy_of_run / "package-c").exists()


@pytest.mark.parametrize("words", [("data",), ("run",), ("data", "show")])
def test_no_such_file(tmp_path: Path, words: tuple[str, ...]) -> None:
    path = tmp_path / "none.csv"
    error = tinyloc(*words, *(() if words[-1] == "show" else ("--data",)), path).only_error
    assert f"{path}: no such file" in error
    assert "Check the name" in error


def test_names_of_data_that_are_not_known(tmp_path: Path) -> None:
    assert "Did you mean 'flat'?" in tinyloc("run", "--data", "flatt").only_error
    assert "There are flat, walks:library" in tinyloc("data", "show", "zzzz").only_error
    assert str(tmp_path) in tinyloc("run", "--data", tmp_path).only_error
    error = tinyloc("run", "--data", "house", "--with", "minutez=20").only_error
    assert "'minutez'" in error
    assert "Did you mean 'minutes'?" in error
    error = tinyloc("run", "--data", "house", "--with", "minutes").only_error
    assert "--with minutes: expected NAME=VALUE" in error
    assert "no data were named" in tinyloc("data").only_error


@pytest.mark.parametrize("keep", [0.5, 0.97])
def test_data_files_cut(recording: Path, tmp_path: Path, keep: float) -> None:
    pl.read_csv(recording).write_parquet(tmp_path / "a.parquet")
    for name, content in (
        ("cut.parquet", (tmp_path / "a.parquet").read_bytes()),
        ("cut.csv", recording.read_bytes().rstrip()),
    ):
        part = content[: int(len(content) * keep)]
        part = part[: part.rindex(b",") - 6] if name == "cut.csv" else part
        path = tmp_path / name
        path.write_bytes(part)
        error = tinyloc("run", "--data", path, "--out", tmp_path / "run").only_error
        assert str(path) in error
        assert "cut" in error
        if name == "cut.csv":
            assert f"line {part.count(chr(10).encode()) + 1}" in error


def test_an_archive_cut(tmp_path: Path) -> None:
    path = tmp_path / "uji" / "UJIndoorLoc.zip"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("trainingData.csv", "\n".join(str(number) for number in range(5000)))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    error = tinyloc("run", "--data", "uji", "--data-dir", tmp_path, "--out", tmp_path / "run").only_error
    assert str(path) in error
    assert "not a whole zip file" in error


# --- the command line itself ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("fly", ("'fly'", "`tinyloc --help`")),
        ("run", ("'--data'", "`tinyloc run --help`")),
        ("run --data", ("'--data'", "requires an argument")),
        ("run --data house --sed 3", ("--sed", "`tinyloc run --help`")),
        ("run --data house --seed three", ("'--seed'", "'three'", "`tinyloc run --help`")),
        ("run --data house --seed=three", ("'--seed'", "'three'")),
        ("train", ("'RUN'", "`tinyloc train --help`")),
        ("train nowhere --hidden 2.5", ("'--hidden'", "'2.5'", "`tinyloc train --help`")),
        ("data show", ("`tinyloc data show --help`",)),
        ("run --data house --seeds 0", ("--seeds 0", "at least 1")),
        ("run --data house --hidden 0", ("hidden", "at least 1")),
        ("run --data house --train-steps -1", ("steps", "at least 0")),
        ("run --data house --state half", ("'half'", "reset, carried")),
        ("run --data house --scaling cubic", ("'cubic'", "minmax")),
        ("run --data house --precision int4", ("--precision int4", "int16, int8")),
        ("run --data house --weight-bits 3", ("--weight-bits 3", "8, 4")),
        ("run --data house --tier gcc", ("--tier gcc", "pip, reference, all")),
        ("run --data house --board stm32l5", ("'stm32l5'", "Did you mean stm32l4")),
        ("verify nowhere --board arduino", ("'arduino'", "Known boards: nrf52832, nrf52840, stm32l4")),
        ("run --data house --ram 65K", ("stm32l4 has 64 KB of RAM", "65 KB", "--board or a smaller limit")),
        ("verify nowhere --flash 1M", ("stm32l4 has 256 KB of flash", "1,024 KB")),
        ("run --data house --ram lots", ("'lots'", "Write it like 32K")),
        ("run --data house --ram 0", ("'0'", "above zero")),
    ],
)  # fmt: skip
def test_a_command_that_cannot_be(
    words: str, parts: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = tinyloc(*words.split())
    assert found.code == 2
    assert found.out == ""
    for part in parts:
        assert part in found.only_error
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made(recording: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    error = tinyloc("data", "--data", recording, "--out", tmp_path / "file" / "run").only_error
    assert str(tmp_path / "file" / "run") in error
    assert "--out" in error


# --- budgets ----------------------------------------------------------------------------------------------


def overrun(error: str, what: str) -> tuple[int, int]:
    """Bytes over the limit and bytes used, as the message has them."""
    found = re.search(rf"{what} is (.*?) over: (.*?) used", error)
    assert found, error
    exact = [re.search(r"([\d,]+) bytes?", text) for text in found.groups()]
    over, used = (int(number[1].replace(",", "")) for number in exact if number)
    return over, used


def test_1_kb_of_flash_is_refused_before_training(recording: Path, tmp_path: Path) -> None:
    words = ("--hidden", "2", "--tier", "pip", "--flash", "1K", "--out", tmp_path)
    found = tinyloc("run", "--data", recording, *words)
    assert found.code == 3
    assert "mamba H2L1 does not fit" in found.error
    over, used = overrun(found.error, "flash")
    assert used - over == 1024
    assert "Nothing known would fit; the nearest, H1L1 (--hidden 1 --layers 1), needs about " in found.error
    assert not (tmp_path / "model.safetensors").exists()


def test_1_kb_of_ram_is_refused_and_what_would_fit_does(recording: Path, tmp_path: Path) -> None:
    words = ("run", "--data", recording, "--tier", "pip", "--train-steps", "2", "--scaling", "minmax")
    words += ("--ram", "1K", "--json", "--out", tmp_path)
    found = tinyloc(*words, "--hidden", "12")
    assert found.code == 3
    over, used = overrun(found.error, "RAM with stack")
    assert used - over == 1024
    hidden = re.search(
        r"Would fit: H(\d+)L1 \(--hidden \1 --layers 1\) \(about .* flash, .* RAM\)", found.error
    )
    assert hidden, found.error
    result = json.loads(done(*words, "--hidden", hidden[1]).out)
    assert result["fits"] is True
    assert result["memory"]["ram_bytes"] <= 1024


def test_more_weights_than_any_flash_are_not_built(recording: Path, tmp_path: Path) -> None:
    found = tinyloc("run", "--data", recording, "--hidden", "2000", "--tier", "pip", "--out", tmp_path)
    assert found.code == 3
    assert re.search(
        r"weights, a byte each, are [\d.]+ MB more than the 256 KB of flash allowed", found.error
    )
    assert "Would fit: H" in found.error


@pytest.mark.parametrize(("limit", "size", "what"), [("--flash", 1024, "flash"), ("--ram", 256, "RAM")])
def test_a_budget_of_verify(copy_of_run: Path, limit: str, size: int, what: str) -> None:
    found = tinyloc("verify", copy_of_run, "--tier", "pip", limit, size)
    assert found.code == 3
    assert f"{what}: " in found.only_error
    assert "bytes too many" in found.only_error
    assert re.search(r"Would fit: H\d|Nothing known would fit; the nearest, H1L1", found.only_error)
    assert not (copy_of_run / "result.json").exists(), "the old verdict is gone"
    assert not (copy_of_run / "index.html").exists()


def test_a_budget_that_only_the_stack_breaks(copy_of_run: Path) -> None:
    used = json.loads((copy_of_run / "result.json").read_text())["memory"]["ram_bytes"]
    limit = (used - 1) // 32 * 32
    found = tinyloc("verify", copy_of_run, "--tier", "pip", "--ram", limit)
    assert found.code == 3
    assert (
        f"RAM with stack is {used - limit} bytes over: {used} bytes used, {limit} bytes" in found.only_error
    )
    assert "Would fit: H3L1 (--hidden 3 --layers 1)" in found.only_error


def test_what_is_measured_before_training_is_the_most_of_all_tiers(copy_of_run: Path) -> None:
    @dataclass(frozen=True)
    class Heavier(Tier):
        """The pip tier, but its stack is deeper."""

        def run(self, *arguments: Any, **options: Any) -> DeviceRun:
            done = super().run(*arguments, **options)
            return dataclasses.replace(done, stack_bytes=done.stack_bytes + 1000)

    sets = load_windows_file(copy_of_run / "windows.npz")
    pip = find_tier("pip")
    heavier = Heavier("heavier", pip.toolchain, pip.emulator)
    options = TrainOptions(hidden=1)
    needs = fits.measure(fits.model_config(options, sets.train), sets, "int16", [pip])
    limits = fits.Limits(find_board("stm32l4"), needs.ram_bytes, needs.flash_bytes)
    fits.preflight(sets, options, "int16", limits, [pip])
    for tiers in ([pip, heavier], [heavier, pip]):
        with pytest.raises(BudgetError, match="RAM with stack is 1000 bytes over"):
            fits.preflight(sets, options, "int16", limits, tiers)


def test_what_follows_its_receivers_is_measured_so_before_training(copy_of_run: Path) -> None:
    sets, pip, options = load_windows_file(copy_of_run / "windows.npz"), find_tier("pip"), TrainOptions()
    config = fits.model_config(options, sets.train)
    plain = fits.measure(config, sets, "int16", [pip])
    limits = fits.Limits(find_board("stm32l4"), plain.ram_bytes, 64 * 1024)
    fits.preflight(sets, options, "int16", limits, [pip])
    more = fits.measure(config, sets, "int16", [pip], follow=True).ram_bytes - plain.ram_bytes
    assert more > 0
    with pytest.raises(BudgetError, match=f"RAM with stack is {more} bytes over") as caught:
        fits.preflight(sets, options, "int16", limits, [pip], follow=True)
    assert "Would fit: H" in caught.value.hint


# --- no compiler ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tier", ["all", "pip", "reference"])
def test_no_compiler(
    copy_of_run: Path, recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tier: str
) -> None:
    from tinyloc.device import toolchains

    monkeypatch.setattr(toolchains, "zig_command", lambda: None)
    monkeypatch.setattr(toolchains.shutil, "which", lambda name: None)
    for words in (
        ("verify", copy_of_run),
        ("run", "--data", recording, "--out", tmp_path / "new"),
    ):
        error = tinyloc(*words, "--tier", tier).only_error
        assert ("pip install ziglang" in error) == (tier != "reference")
        assert ("gcc-arm-none-eabi" in error) == (tier != "pip")
    assert not (tmp_path / "new").exists()


def test_c_that_does_not_compile(copy_of_run: Path) -> None:
    model = copy_of_run / "c" / "tinyloc_model.c"
    model.write_text(model.read_text() + "\nint x = ;\n")
    error = tinyloc("verify", copy_of_run, "--tier", "pip").only_error
    assert re.search(r"zig cc: tinyloc_model\.c:\d+:\d+: error: expected expression", error)


# --- files of a run that are cut, altered, or of another version ------------------------------------------

READERS = {
    "windows.npz": ("quantise", "train", "verify"),
    "model.safetensors": ("quantise", "verify"),
    "model.tinyloc": ("emit", "verify"),
    "result.json": ("report",),
    "run.json": ("verify", "quantise", "train"),
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("keep", [0.0, 0.1, 0.5, 0.99])
def test_a_file_cut(copy_of_run: Path, name: str, keep: float) -> None:
    path = copy_of_run / name
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    for verb in READERS[name]:
        error = tinyloc(verb, copy_of_run).only_error
        assert str(path) in error
        assert error.count(". ") >= 1, f"no hint: {error}"


@pytest.mark.parametrize("name", [name for name in READERS if name != "result.json"])
@pytest.mark.parametrize("at", [0.02, 0.3, 0.6, 0.9])
def test_a_file_with_a_flipped_byte(
    copy_of_run: Path, finished: tuple[Path, Done], name: str, at: float
) -> None:
    path = copy_of_run / name
    content = bytearray(path.read_bytes())
    content[int(len(content) * at)] ^= 0x04
    path.write_bytes(bytes(content))
    for verb in READERS[name]:
        found = tinyloc(verb, copy_of_run)
        if name == "windows.npz" and not found.code:  # a date in the archive: no number is another one
            assert load_windows_file(path).digest == load_windows_file(finished[0] / name).digest
            break
        assert str(path) in found.only_error
        assert found.error.count(". ") >= 1, f"no hint: {found.error}"


@pytest.mark.parametrize("bit", [0x01, 0x04, 0x10, 0x80])
def test_a_result_with_a_flipped_byte_is_read_or_refused(copy_of_run: Path, bit: int) -> None:
    path = copy_of_run / "result.json"
    whole = path.read_bytes()
    for at in range(0, len(whole), len(whole) // 12):
        content = bytearray(whole)
        content[at] ^= bit
        path.write_bytes(bytes(content))
        found = tinyloc("report", copy_of_run)
        if found.code:
            assert str(path) in found.only_error


@pytest.mark.parametrize(
    ("name", "old", "new", "parts"),
    [
        (
            "model.safetensors",
            b'\\"version\\": 1',
            b'\\"version\\": 9',
            ("checkpoint version 9", "version 1"),
        ),
        (
            "model.tinyloc",
            b"TINYLOC\0" + bytes([storage.VERSION]),
            b"TINYLOC\0\x63",
            ("version 99", f"version {storage.VERSION}"),
        ),
        ("result.json", b'"version": 1', b'"version": 9', ("version 9",)),
        ("run.json", b'"version": 1', b'"version": 9', ("version 9", "version 1", "Remove it")),
    ],
)
def test_a_file_of_another_version(
    copy_of_run: Path, name: str, old: bytes, new: bytes, parts: tuple[str, ...]
) -> None:
    path = copy_of_run / name
    content = path.read_bytes()
    assert content.count(old) >= 1
    path.write_bytes(content.replace(old, new, 1))
    for verb in READERS[name]:
        error = tinyloc(verb, copy_of_run).only_error
        for part in (str(path), *parts):
            assert part in error


def test_windows_of_another_version(copy_of_run: Path) -> None:
    import numpy as np

    path = copy_of_run / "windows.npz"
    with np.load(path) as archive:
        arrays = dict(archive)
    arrays["version"] = np.array(9)
    np.savez_compressed(path, **arrays)
    error = tinyloc("train", copy_of_run).only_error
    assert str(path) in error
    assert "version 9, expected 1" in error
    assert "`tinyloc data`" in error


def test_models_of_other_rooms_than_the_windows(copy_of_run: Path, tmp_path: Path) -> None:
    table = [[cell.replace("hall", "bath") for cell in row] for row in rows()]
    other = tmp_path / "other"
    done("data", "--data", write(tmp_path / "other.csv", table), "--out", other)
    for name in ("model.safetensors", "model.tinyloc"):
        (other / name).write_bytes((copy_of_run / name).read_bytes())
    assert str(other / "model.safetensors") in tinyloc("quantise", other).only_error
    assert str(other / "model.tinyloc") in tinyloc("verify", other).only_error


def test_a_broken_model_is_trained_anew(copy_of_run: Path) -> None:
    path = copy_of_run / "model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    done("train", copy_of_run, *TRAIN_SMALL)
    assert path.read_bytes() == whole
