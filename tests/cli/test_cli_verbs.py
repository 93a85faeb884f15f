"""Each verb on its own: in order, too early, and with what an earlier one left changed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from command_line import TRAIN_SMALL, Done, done, program, rows, tinyloc, write

from tinyloc.data.load import PROTOCOL_OPTIONS
from tinyloc.data.sources import ALL
from tinyloc.data.words import FLAGS, flag
from tinyloc.pipeline.folder import RunFolder
from tinyloc.pipeline.stages import quantised_of

COMMANDS = (
    "", "run", "data", "data list", "data show", "train", "quantise", "emit", "verify", "report",
)  # fmt: skip
FILES = {
    "data": "windows.npz",
    "train": "model.safetensors",
    "quantise": "model.tinyloc",
    "emit": "c/tinyloc_model.c",
    "verify": "result.json",
}
"""What each verb leaves for the next."""


def test_the_verbs_in_order(finished: tuple[Path, Done], recording: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    steps: list[tuple[str, tuple[object, ...]]] = [
        ("data", ("--data", recording, "--out", folder)),
        ("train", (folder, *TRAIN_SMALL)),
        ("quantise", (folder,)),
        ("emit", (folder,)),
        ("verify", (folder, "--tier", "pip")),
        ("report", (folder,)),
    ]
    verbs = [verb for verb, _ in steps]
    for index, (verb, words) in enumerate(steps):
        found = done(verb, *words)
        if verb in FILES:
            assert (folder / FILES[verb]).is_file()
            assert f"next: tinyloc {verbs[index + 1]} {folder}" in found.err
    assert (folder / "index.html").is_file()
    for name in ("windows.npz", "model.safetensors", "model.tinyloc", "c/tinyloc_model.c"):
        assert (folder / name).read_bytes() == (finished[0] / name).read_bytes(), name
    results = [json.loads((path / "result.json").read_text()) for path in (folder, finished[0])]
    assert results[0]["f1_macro"] == results[1]["f1_macro"]
    assert results[0]["memory"] == results[1]["memory"]


@pytest.mark.parametrize("verb", ["train", "quantise", "emit", "verify", "report"])
def test_a_verb_without_any_run(tmp_path: Path, verb: str) -> None:
    first = {"emit": "quantise", "report": "verify"}.get(verb, "data")
    error = tinyloc(verb, tmp_path / "nothing").only_error
    assert str(tmp_path / "nothing") in error
    assert "not there yet" in error
    assert f"`tinyloc {first}` makes it" in error
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize(
    ("missing", "verb"),
    [
        ("data", "train"),
        ("data", "quantise"),
        ("train", "quantise"),
        ("quantise", "emit"),
        ("quantise", "verify"),
        ("emit", "verify"),
        ("verify", "report"),
    ],
)
def test_a_verb_too_early_names_the_one_to_run(copy_of_run: Path, missing: str, verb: str) -> None:
    (copy_of_run / FILES[missing]).unlink()
    error = tinyloc(verb, copy_of_run).only_error
    assert str(copy_of_run / FILES[missing]) in error
    assert f"`tinyloc {missing}` makes it" in error


def test_emit_to_a_folder_of_ones_own(copy_of_run: Path, tmp_path: Path) -> None:
    target = tmp_path / "firmware" / "room_model"
    found = done("emit", copy_of_run, "--to", target)
    assert str(target / "tinyloc_model.h") in found.err
    names = sorted(path.name for path in target.iterdir())
    assert names == sorted(path.name for path in (copy_of_run / "c").iterdir())
    assert (copy_of_run / "result.json").exists(), "the run's own verdict still stands"


def test_quantised_again_the_old_c_is_not_verified(copy_of_run: Path) -> None:
    found = done("quantise", copy_of_run, "--precision", "int8")
    assert "int8 weights, int8 activations" in found.err
    assert "`tinyloc emit` makes it" in tinyloc("verify", copy_of_run).only_error
    assert "`tinyloc verify` makes it" in tinyloc("report", copy_of_run).only_error
    assert not (copy_of_run / "index.html").exists()


def test_weights_of_four_bits_go_the_whole_way(copy_of_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = done("quantise", copy_of_run, "--weight-bits", "4").err
    assert "int8 weights" in said, "nothing in it is large"
    assert "int4" not in said
    monkeypatch.setattr("tinyloc.quant.packing.LEAST_PACKED", 4)
    assert (
        "int4 and int8 weights, int16 activations" in done("quantise", copy_of_run, "--weight-bits", "4").err
    )
    done("emit", copy_of_run)
    assert (copy_of_run / "c" / "tinyloc_packed.c").exists()
    result = json.loads(done("verify", copy_of_run, "--tier", "pip", "--json").out)
    assert result["model"]["precision"] == "int4 and int8 weights, int16 activations"


def test_a_model_that_follows_its_receivers_goes_the_whole_way(copy_of_run: Path) -> None:
    assert "receivers followed" in done("quantise", copy_of_run, "--follow").err
    done("emit", copy_of_run)
    assert (copy_of_run / "c" / "tinyloc_follow.c").exists()
    result = json.loads(done("verify", copy_of_run, "--tier", "pip", "--json").out)
    assert result["model"]["precision"] == "int8 weights, int16 activations, receivers followed"
    assert result["device"]["identical_windows"] == result["device"]["windows"] > 0
    done("report", copy_of_run)
    page = (copy_of_run / "index.html").read_text()
    assert "receivers followed" in page
    assert "as trained, follows nothing" in page
    assert result["model"]["options"]["follow"] is True
    # what the decision layer was chosen beside is the model that follows; it is judged so without one too
    without = next(one for one in result["decision"]["candidates"] if one["name"] == "none")
    assert result["validation"]["f1_macro_followed"] == without["f1_macro"]
    done("emit", copy_of_run, "--as", "c")
    done("quantise", copy_of_run, "--follow", "--decision", "none")
    alone = quantised_of(RunFolder(copy_of_run))
    assert (alone.decision, alone.f1_followed) == (None, without["f1_macro"])


def test_what_cannot_follow_is_refused_before_it_is_trained(recording: Path, tmp_path: Path) -> None:
    apart = ("--with", "hop=60", "--state", "carried")
    wrong = tinyloc("run", "--data", recording, "--follow", *apart, "--out", tmp_path / "run")
    assert "--follow: windows that stand apart are no stream" in wrong.error
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_trained_again_the_old_integers_are_gone(copy_of_run: Path) -> None:
    done("train", copy_of_run, *TRAIN_SMALL, "--seed", "1")
    for name in ("model.tinyloc", "c/tinyloc_model.c", "result.json", "index.html"):
        assert not (copy_of_run / name).exists(), name


def test_other_windows_in_the_folder_end_what_was_made_of_the_old(copy_of_run: Path, recording: Path) -> None:
    done("data", "--data", recording, "--with", "steps=10", "--out", copy_of_run)
    assert "`tinyloc train` makes it" in tinyloc("quantise", copy_of_run).only_error
    for name in ("model.tinyloc", "c/tinyloc_model.c", "result.json", "index.html"):
        assert not (copy_of_run / name).exists(), name


def test_the_same_data_again_end_nothing(copy_of_run: Path, recording: Path) -> None:
    done("data", "--data", recording, "--out", copy_of_run)
    for name in (*FILES.values(), "index.html"):
        assert (copy_of_run / name).exists(), name


def test_c_that_answers_otherwise_is_found_out(copy_of_run: Path) -> None:
    model = copy_of_run / "c" / "tinyloc_model.c"
    text = model.read_text()
    at = text.index("head_weight")
    start = text.index("{", at) + 1
    end = text.index("}", start)
    numbers = [number.strip() for number in text[start:end].split(",") if number.strip()]
    numbers[0] = "100" if numbers[0] != "100" else "-100"
    model.write_text(f"{text[:start]}{', '.join(numbers)}{text[end:]}")
    found = tinyloc("verify", copy_of_run, "--tier", "pip", "--json")
    assert found.code == 4
    assert "the device differs from Python: pip, " in found.only_error
    result = json.loads(found.out)
    assert result["device"]["identical_windows"] < result["device"]["windows"]
    assert result == json.loads((copy_of_run / "result.json").read_text())
    done("report", copy_of_run)


def test_data_list() -> None:
    found = done("data", "list")
    for word in ("flat", "walks:library", "tracks", "uji", "house", "CC BY 4.0"):
        assert word in found.out


def test_data_show_with_a_picture(recording: Path, tmp_path: Path) -> None:
    picture = tmp_path / "home.png"
    found = done("data", "show", recording, "--picture", picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert f"Picture: {picture}" in found.err
    for word in ("mon", "tue", "wed", "kitchen", "hall", "ap1", "5.00", "900 rows"):
        assert word in found.out


def test_data_show_names_its_picture_after_the_data(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done("data", "show", recording)
    assert [path.name for path in tmp_path.iterdir()] == ["my_home.png"]


@pytest.mark.parametrize("words", COMMANDS)
def test_help_fits_a_screen_and_has_an_example(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    found = done(*words.split(), "--help")
    lines = found.out.splitlines()
    assert len(lines) <= 45
    assert max(map(len, lines)) <= 100
    assert f"Example: tinyloc {words}" in found.out
    assert found.err == ""
    assert done(*words.split(), "-h").out == found.out


def test_help_of_show_lists_every_option_of_every_data_set() -> None:
    text = " ".join(done("data", "show", "--help").out.split())
    for name in (*PROTOCOL_OPTIONS, *(name for source in ALL.values() for name in source.options)):
        assert re.search(rf"\b{name}\b", text), name
    for family in ("walks", "byrne", "house"):
        assert f"{family} has " in text


@pytest.mark.parametrize("verb", ["data", "run"])
def test_hints_name_flags_that_are_there(tmp_path: Path, verb: str) -> None:
    for option in FLAGS:
        error = tinyloc(verb, "--data", tmp_path / "none.csv", flag(option), "x").only_error
        assert "no such file" in error, option


def test_help_lists_the_verbs_in_the_order_of_the_work() -> None:
    listed = done().out.split("Commands:")[1]
    verbs = [line.split()[0] for line in listed.splitlines() if line.startswith("  ") and line[2] != " "]
    assert verbs[:7] == ["run", "data", "train", "quantise", "emit", "verify", "report"]


def test_version() -> None:
    from tinyloc import __version__

    assert done("--version").out == f"tinyloc {__version__}\n"


def test_as_a_program() -> None:
    found = program("--help")
    assert found.code == 0
    assert "Example: tinyloc run" in found.out
    assert program("train", "nowhere").only_error.endswith("`tinyloc data` makes it.")


def test_the_float_model_is_emitted_beside_the_integer_one(copy_of_run: Path) -> None:
    before = (copy_of_run / "c" / "tinyloc_model.c").read_bytes()
    found = done("emit", copy_of_run, "--precision", "float32")
    assert "c-float32" in found.err
    assert "float scores" in (copy_of_run / "c-float32" / "tinyloc_model.h").read_text()
    assert (copy_of_run / "c" / "tinyloc_model.c").read_bytes() == before
    assert (
        "expected one of integer, float32" in tinyloc("emit", copy_of_run, "--precision", "half").only_error
    )


def test_options_of_show_stand_behind_it(tmp_path: Path) -> None:
    table = rows()
    table[0][0] = "Time"
    path = write(tmp_path / "a.csv", table)
    picture = ("--picture", tmp_path / "a.png")
    assert tinyloc("data", "show", path, *picture).code == 2
    assert tinyloc("data", "show", path, "--time", "Time", "--test-sessions", "mon", *picture).code == 0
    error = tinyloc("data", "--time", "Time", "show", path, *picture).only_error
    assert "stand behind it: tinyloc data show" in error
