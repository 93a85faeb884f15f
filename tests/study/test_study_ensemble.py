"""Ensembles in a study: what a grid says of them, and that their members are trained once for all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from study_grids import ONE, TRAIN, write

from tinyloc.errors import UsageError
from tinyloc.learn import refit as refitting
from tinyloc.learn import teachers
from tinyloc.learn import train as training
from tinyloc.learn.members import Member
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.study import run_study
from tinyloc.study.grid import load_grid
from tinyloc.study.tasks import model_facts

GRID = f"""{ONE}
compressions = ["float"]
{TRAIN}
[[models]]
family = "statnet"
size = "H4"

[[models]]
family = "ensemble"
size = "2 statnet H4 + forest 3x4"
compressions = ["float", "integer"]

[[models]]
family = "ensemble"
size = ["statnet H4 + mamba H2"]
"""


def test_a_grid_says_who_answers_together(tmp_path: Path) -> None:
    found = load_grid(write(tmp_path, GRID)).models[1:]
    assert [(model.family, model.size, model.hidden, model.layers) for model in found] == [
        ("ensemble", "2 statnet H4 + forest 3x4", 0, 0),
        ("ensemble", "statnet H4 + mamba H2", 0, 0),
    ]
    few = (Member("statnet", 4),) * 2
    assert found[0].train.members == (*few, Member("forest", trees=3, leaves=4))
    assert json.loads(json.dumps(model_facts(found[0])))["train"]["members"][0]["family"] == "statnet"
    plain = load_grid(write(tmp_path, GRID)).models[0]
    assert "members" not in model_facts(plain)["train"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("statnet H4 + mamba H2", "statnet H4"), "models[2].size: 'statnet H4'; expected 2 to 16 models"),
        (("statnet H4 + mamba H2", "owl H4 + mamba H2"), "models[2].size: 'owl H4 + mamba H2'; expected"),
        (('"statnet H4 + mamba H2"', "7"), "models[2].size"),
        (("statnet H4 + mamba H2", "9 statnet H4 + 8 mamba H2"), "expected 2 to 16 models"),
        (
            ("+ mamba H2", '+ mamba H2"]\ncompressions = ["static'),
            "expected one of float, integer, distilled, integer+distilled for",
        ),
        (
            ("+ mamba H2", '+ mamba H2"]\ncompressions = ["qat'),
            "expected one of float, integer, distilled, integer+distilled for",
        ),
        (("+ mamba H2", '+ mamba H2"]\nstate = "carried"\nsets = ["tiny'), "keeps no state"),
        (("+ mamba H2", '+ mamba H2"]\ncrf = true\nsets = ["tiny'), "a CRF needs every step"),
        (("+ mamba H2", '+ mamba H2"]\nmembers = ["tiny'), "models[2].members: no such key"),
        (("+ mamba H2", '+ mamba H2"]\nteacher = ["ensemble H4'), "expected a family and a size"),
    ],
)
def test_each_mistake_is_one_line(change: tuple[str, str], said: str, tmp_path: Path) -> None:
    assert change[0] in GRID
    path = write(tmp_path, GRID.replace(*change))
    with pytest.raises(UsageError) as caught:
        load_grid(path)
    message = str(caught.value)
    assert said in message
    assert message.startswith(str(path))
    assert "\n" not in message


def test_members_are_trained_once_and_taken_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grid, out = write(tmp_path, GRID), tmp_path / "out"
    trained: list[object] = []
    real = training.train

    def counted(*given: object, **more: object) -> Checkpoint:
        trained.append(given)
        return real(*given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(training, "train", counted)
    monkeypatch.setattr(refitting, "train", counted)
    rows = run_study(grid, out, jobs=1)
    assert not [row.error for row in rows if row.error]
    assert len(rows) == 3 + 1
    kept = [Checkpoint.load(path) for path in (out / "cells").glob("*.safetensors")]
    names = {
        again: sorted(model.family for model in kept if model.training.get("refit", False) is again)
        for again in (False, True)
    }
    once = ["forest", "mamba", "statnet", "statnet"]
    assert names == {False: once, True: once}, "a member of several ensembles is trained once"
    assert len(trained) == 4 + 3, "each once, the networks once more by a refit; trees are grown"
    for row in rows:
        assert row.f1_macro is not None
        if row.compression == "integer":
            assert row.identical_windows == row.windows > 50
    together = [row for row in rows if row.family == "ensemble" and row.compression == "float"]
    assert {row.state_dict_kb for row in together} == {None}
    assert {row.size for row in together} == {"2 statnet H4 + forest 3x4", "statnet H4 + mamba H2"}
    for path in (out / "cells").glob("*.json"):
        path.unlink()
    assert run_study(grid, out, jobs=1) == rows
    assert len(trained) == 4 + 3, "nothing is trained again"
    assert run_study(grid, out, jobs=1) == rows


def test_members_that_are_taught_are_trained_once_and_taken_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taught = 'variant = "taught"\ncompressions = ["distilled"]\nteacher = "mamba H4"\nteaching = "soft"\n'
    two = f"""{ONE}
{TRAIN}
[[models]]
family = "ensemble"
size = ["2 statnet H4 + forest 3x4", "statnet H4 + mamba H2"]
{taught}"""
    grid, out = write(tmp_path, two), tmp_path / "out"
    trained: list[str] = []
    for where in (teachers, refitting):
        real = where.train

        def counted(*given: Any, real: Any = real, **more: Any) -> Checkpoint:
            about = given[1].distil
            trained.append(f"{given[1].family} {'' if about is None else 'taught '}{given[1].evaluations}")
            return real(*given, **more)  # type: ignore[no-any-return]

        monkeypatch.setattr(where, "train", counted)
    rows = run_study(grid, out, jobs=1)
    assert [row.error for row in rows] == ["", ""]
    first = ["forest taught 2", "mamba taught 2", "statnet taught 2", "statnet taught 2"]
    again = ["mamba 1", "mamba taught 1", "statnet taught 1", "statnet taught 1"]
    assert sorted(trained) == sorted(first + again), "each once, and each network once more by a refit"
    for path in (out / "cells").glob("*.json"):
        path.unlink()
    assert run_study(grid, out, jobs=1) == rows
    assert len(trained) == 8, "nothing is trained again"
