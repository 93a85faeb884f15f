"""End to end: a recording in, a verdict out, in one command."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from command_line import SMALL, TRAIN_SMALL, Done, done, left_behind, program, rows, write

from tinyloc.data import load_windows_file
from tinyloc.judge import result as verdict


def result_of(found: Done) -> verdict.Result:
    lines = found.out.splitlines()
    assert len(lines) == 1
    result = verdict.Result.model_validate_json(lines[0])
    assert result.device.identical_windows == result.device.windows == result.windows.test > 0
    assert result.device.identical_steps == result.device.steps
    return result


def sessions_of(folder: Path) -> tuple[tuple[str, ...], ...]:
    sets = load_windows_file(folder / "windows.npz")
    return sets.train.sessions, sets.validation.sessions, sets.test.sessions


def test_one_line_of_json_that_is_the_result(finished: tuple[Path, Done]) -> None:
    folder, said = finished
    result = result_of(said)
    assert json.loads(said.out) == json.loads((folder / "result.json").read_text())
    assert verdict.load(folder / "result.json") == result
    assert said.err == ""


def test_the_result_holds_what_scripts_read(finished: tuple[Path, Done]) -> None:
    value = json.loads(finished[1].out)
    for path in (
        "windows.test", "parameters", "f1_macro.float", "f1_macro.integer", "f1_macro.device",
        "accuracy.float", "accuracy.integer", "accuracy.device", "baselines.forest300.f1_macro",
        "device.board", "device.tier", "device.identical_windows", "memory.flash_bytes", "memory.ram_bytes",
        "memory.stack_bytes", "instructions.step", "instructions.window", "fits",
    ):  # fmt: skip
        at = value
        for name in path.split("."):
            at = at[name]
        assert at is not None, path
    assert value["fits"] is True
    assert value["f1_macro"]["device"] == value["f1_macro"]["integer"]
    assert 0 < value["memory"]["stack_bytes"] < value["memory"]["ram_bytes"] < 64 * 1024
    assert value["instructions"]["window"] == pytest.approx(20 * value["instructions"]["step"], rel=0.01)
    assert value["device"]["tier"] == "pip"


def test_how_far_the_device_is_ahead_is_that_of_the_figures(finished: tuple[Path, Done]) -> None:
    value = json.loads(finished[1].out)
    for name in ("forest300", "forest_small", "knn"):
        other = value["baselines"][name]
        ahead = other["ahead"]
        assert ahead["measured"] == pytest.approx(value["f1_macro"]["device"] - other["f1_macro"])
        assert -1 <= ahead["low"] <= ahead["high"] <= 1
        assert ahead["block"] == 20


def test_the_command_is_kept_as_typed(finished: tuple[Path, Done], recording: Path) -> None:
    folder, said = finished
    command = json.loads(said.out)["command"]
    assert command.startswith(f"tinyloc run --data {recording} --tier pip")
    assert command.endswith(f"--json --out {folder}")


def test_the_folder_is_whole(finished: tuple[Path, Done]) -> None:
    folder = finished[0]
    kept = {path.name for path in folder.iterdir()}
    assert kept == {
        "windows.npz", "model.safetensors", "model.tinyloc", "c", "build",
        "result.json", "index.html", "run.json",
    }  # fmt: skip
    assert left_behind(folder) == []
    assert "<html" in (folder / "index.html").read_text()
    assert "interrupted" not in json.loads((folder / "run.json").read_text())["sections"]


def test_the_same_seed_gives_the_same_bytes(
    finished: tuple[Path, Done], recording: Path, tmp_path: Path
) -> None:
    first, again = finished[0], tmp_path / "again"
    found = program("run", "--data", recording, *SMALL, "--json", "--out", again)
    assert found.code == 0, found.err
    result_of(found)
    names = ["windows.npz", "model.safetensors", "model.tinyloc"]
    names += sorted(f"c/{path.name}" for path in (first / "c").iterdir())
    assert len(names) > 5
    for name in names:
        assert (first / name).read_bytes() == (again / name).read_bytes(), name


def test_another_seed_gives_another_model(
    finished: tuple[Path, Done], recording: Path, tmp_path: Path
) -> None:
    done("data", "--data", recording, "--out", tmp_path)
    done("train", tmp_path, *TRAIN_SMALL, "--seed", "7")
    assert (tmp_path / "model.safetensors").read_bytes() != (finished[0] / "model.safetensors").read_bytes()


def test_a_run_goes_on_with_the_model_it_has(copy_of_run: Path, recording: Path) -> None:
    before = (copy_of_run / "model.safetensors").read_bytes()
    found = done("run", "--data", recording, *SMALL, "--out", copy_of_run)
    assert "taken from this folder" in found.err
    assert (copy_of_run / "model.safetensors").read_bytes() == before
    assert "Identical byte for byte" in found.out
    stages = ("1/6 data", "2/6 train", "3/6 quantise", "4/6 emit", "5/6 verify", "6/6 report")
    assert [line[:8] for line in found.err.splitlines()] == [stage[:8] for stage in stages]


def test_two_seeds_carried_state_two_layers_int8_that_follow(recording: Path, tmp_path: Path) -> None:
    how = ("--seeds", "2", "--state", "carried", "--layers", "2", "--precision", "int8", "--train-steps", "8")
    how += ("--follow",)
    found = done("run", "--data", recording, *SMALL, *how, "--json", "--out", tmp_path)
    result = result_of(found)
    assert [entry.seed for entry in result.seeds] == [0, 1]
    assert all(entry.identical_windows == entry.windows for entry in result.seeds)
    assert result.seeds_summary is not None
    assert result.seeds_summary.count == 2
    assert result.data.state == "carried"
    assert result.model.size == "H4L2"
    assert "int8 activations, receivers followed" in result.model.precision
    # the folder's own model is the seed that validation picked, and goes on from there
    chosen = tmp_path / "seeds" / str(result.seed)
    for name in ("model.safetensors", "model.tinyloc", "c/tinyloc_model.c"):
        assert (tmp_path / name).read_bytes() == (chosen / name).read_bytes()
    again = result_of(done("verify", tmp_path, "--tier", "pip", "--json"))
    assert again.f1_macro == result.f1_macro
    assert left_behind(tmp_path) == []


def test_a_house_with_options(tmp_path: Path) -> None:
    small = ("--with", "minutes=16", "--with", "rooms=3", "--with", "access-points=3", "--with", "floors=1")
    done("data", "--data", "house", *small, "--out", tmp_path)
    sets = load_windows_file(tmp_path / "windows.npz")
    assert len(sets.train.access_points) == 3
    assert sets.simulated


@pytest.mark.parametrize("verb", ["data", "run"])
def test_names_of_columns_are_mapped(tmp_path: Path, verb: str) -> None:
    table = [
        [str(round(float(row[0]) * 1000)), row[4], row[1] or "99", row[2] or "99", row[5], "remark"]
        for row in rows()[1:]
    ]
    path = write(tmp_path / "odd.csv", [["when", "where", "left", "right", "who", "what"], *table])
    flags = ("--time", "when", "--room", "where", "--session", "who", "--access-points", "left,right")
    flags += ("--time-unit", "ms", "--not-heard", "99", "--test-sessions", "mon", "--val-sessions", "tue")
    words = (verb, "--data", path, *flags, "--out", tmp_path / "run")
    if verb == "run":
        assert result_of(done(*words, *SMALL, "--json")).data.rooms == ("hall", "kitchen")
    else:
        done(*words)
    sets = load_windows_file(tmp_path / "run" / "windows.npz")
    assert sets.train.access_points == ("left", "right")
    assert sets.train.seconds_per_step == pytest.approx(0.2)
    assert sessions_of(tmp_path / "run") == (("wed",), ("tue",), ("mon",))
    assert sets.test.rssi.max() <= -40


def test_parquet_is_read_as_csv_is(finished: tuple[Path, Done], recording: Path, tmp_path: Path) -> None:
    path = tmp_path / "my_home.parquet"
    pl.read_csv(recording).write_parquet(path)
    done("data", "--data", path, "--out", tmp_path)
    parquet, csv = (load_windows_file(folder / "windows.npz") for folder in (tmp_path, finished[0]))
    assert parquet.digest == csv.digest


def test_names_that_look_like_markup_stay_as_they_are(tmp_path: Path) -> None:
    table = rows(sessions=("[/mon]", "[bold]tue", "wed & co"))
    table = [[cell.replace("kitchen", "[/bed]").replace("hall", "<hall>") for cell in row] for row in table]
    table[0][1] = "[red]ap"
    path = write(tmp_path / "[x].csv", table)
    folder = tmp_path / "run[/y]"
    found = done("run", "--data", path, *SMALL, "--train-steps", "3", "--out", folder)
    assert f"{folder}/c" in found.err
    assert "[/bed]" in (folder / "index.html").read_text()
    assert "<hall>" not in (folder / "index.html").read_text()
    shown = done("data", "show", path, "--picture", tmp_path / "p.png")
    for name in ("[/mon]", "[bold]tue", "[/bed]", "[red]ap"):
        assert name in shown.out
