"""An ensemble from the command line: the whole way, its counts, and one line for each mistake."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import done, tinyloc

from tinyloc.models.checkpoint import Checkpoint
from tinyloc.models.config import EnsembleConfig
from tinyloc.models.ensemble import members

MEMBERS = "2 statnet H4 + forest 3x4 + mamba H2"
QUICK = ("--train-steps", "20", "--scaling", "minmax")


def test_it_goes_the_whole_way(recording: Path, tmp_path: Path) -> None:
    words = ("--family", "ensemble", "--members", MEMBERS, *QUICK, "--tune", "refit=true")
    words += ("--teacher", "statnet H4")
    first = done("run", "--data", recording, "--out", tmp_path, "--tier", "pip", *words)
    assert "ensemble 2 statnet H4 + forest 3x4 + mamba H2L1" in first.err
    result = json.loads((tmp_path / "result.json").read_bytes())
    assert result["model"]["family"] == "ensemble"
    assert result["model"]["options"]["taught"] == "paper tau 1 alpha 0.9"
    assert result["device"]["identical_windows"] == result["device"]["windows"] > 0
    assert result["f1_macro"]["device"] == result["f1_macro"]["integer"]
    model = Checkpoint.load(tmp_path / "model.safetensors")
    assert isinstance(model.config, EnsembleConfig)
    assert [one.family for one in model.config.members] == ["statnet", "statnet", "forest", "mamba"]
    assert [one.training["refit"] for one in members(model)] == [True] * 4
    taught = [one.training["options"].get("distil", {}).get("kind") for one in members(model)]
    assert taught == ["paper"] * 4
    kept = sorted((tmp_path / "members").glob("*.safetensors"))
    assert len(kept) == 2 * 4, "each as validation chose it, and once more with validation windows"
    assert "<h1" in (tmp_path / "index.html").read_text()
    assert "taken from this folder" in done("train", tmp_path, *words).err


def test_its_parameters_are_those_of_its_members() -> None:
    shape = ("--access-points", 11, "--rooms", 9, "--json")
    alone = {
        "statnet": json.loads(done("model", "statnet", "--hidden", 4, *shape).out)["parameters"],
        "forest": json.loads(done("model", "forest", "--trees", 3, "--leaves", 4, *shape).out)["parameters"],
        "mamba": json.loads(done("model", "mamba", "--hidden", 2, *shape).out)["parameters"] - 9 * 11,
    }
    found = json.loads(done("model", "ensemble", "--members", MEMBERS, *shape).out)
    assert (found["family"], found["size"]) == ("ensemble", "2 statnet H4 + forest 3x4 + mamba H2L1")
    assert found["parameters"] == 2 * alone["statnet"] + alone["forest"] + alone["mamba"]
    assert found["parameters_paper"] is None
    said = done("model", "ensemble", "--members", "2 transformer H8", "--steps", 7, *shape[:-1]).err
    assert said.startswith("ensemble 2 transformer H8L1: ")
    assert "the paper has no such model" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--family", "ensemble"), "an ensemble needs members"),
        (("--members", MEMBERS), "the family 'mamba' has no members"),
        (("--family", "ensemble", "--members", "nonsense"), "--members nonsense: expected 2 to 16 models"),
        (("--family", "ensemble", "--members", ""), "expected 2 to 16 models"),
        (("--family", "ensemble", "--members", "mamba H8L1"), "expected 2 to 16 models"),
        (("--family", "ensemble", "--members", "2 statnet H4L2"), "one hidden layer"),
        (
            ("--family", "ensemble", "--members", "mamba H4 + statnet H4", "--state", "carried"),
            "the family 'statnet' sees whole windows and keeps no state that could be carried",
        ),
        (("--family", "ensemble", "--members", "2 mamba H4", "--tune", "crf=true"), "a CRF needs every step"),
        (
            ("--family", "ensemble", "--members", MEMBERS, "--tune", "accelerometer=true"),
            "has no branch for an accelerometer",
        ),
        (
            ("--family", "ensemble", "--members", MEMBERS, "--tune", "statistics=true"),
            "reads the statistics of whole windows",
        ),
        (
            ("--family", "ensemble", "--members", MEMBERS, "--qat-steps", "10"),
            "--qat-steps 10: expected 0 for the family 'ensemble'",
        ),
        (
            (
                "--family",
                "ensemble",
                "--members",
                "2 forest 3x4",
                "--teacher",
                "mamba H8L1",
                "--teaching",
                "features",
            ),
            "no member of this ensemble is a network in floating point: it has no features",
        ),
        (("--teacher", "ensemble H8"), "--teacher ensemble H8: expected a family and a size"),
        (("--tune", "members=mamba H8"), "--tune members=mamba H8: expected one of"),
        (
            ("--family", "ensemble", "--members", MEMBERS, "--hidden", "16"),
            "--hidden: each member of an ensemble has its own",
        ),
        (("--family", "forest", "--train-steps", "9"), "--train-steps: the family 'forest' does not read it"),
        (
            ("--family", "forest", "--train-steps", "9", "--teacher", "boosting"),
            "--train-steps: the family 'forest' does not read it",
        ),
        (("--family", "statnet", "--tune", "heads=4"), "--tune heads: the family 'statnet' does not read it"),
        (("--family", "forest", "--tune", "lost=0.1"), "--tune lost: the family 'forest' does not read it"),
        (("--tune", "chunk_steps=90"), "--tune chunk_steps: it is of a carried state, and this one is reset"),
    ],
)
def test_each_mistake_is_one_line(words: tuple[str, ...], said: str, recording: Path, tmp_path: Path) -> None:
    found = tinyloc("run", "--data", recording, "--out", tmp_path / "run", "--tier", "pip", *words)
    assert found.code == 2
    assert said in found.error


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("ensemble",), "--members: expected with the family ensemble, and only there"),
        (("mamba", "--members", MEMBERS), "--members: expected with the family ensemble, and only there"),
        (("ensemble", "--members", "owl H8 + owl H4"), "--members owl H8 + owl H4: expected 2 to 16 models"),
    ],
)
def test_a_model_that_cannot_be_counted(words: tuple[str, ...], said: str) -> None:
    assert said in tinyloc("model", *words, "--access-points", 11, "--rooms", 9).only_error


def test_over_budget_it_is_told_what_would_fit(recording: Path, tmp_path: Path) -> None:
    """Fewer members, in words that --members takes."""
    words = ("run", "--data", recording, "--out", tmp_path / "run", "--tier", "pip", "--family", "ensemble")
    found = tinyloc(*words, "--members", "2 forest 5x8 + forest 40x64", "--flash", "6K")
    assert found.code == 3
    assert "ensemble 2 forest 5x8 + forest 40x64 does not fit" in found.error
    assert '--members "2 forest 5x8"' in found.err
