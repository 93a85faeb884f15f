"""The grid: what can be said in it, and one plain line for each mistake."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from byrne_trees import house, unpack
from study_grids import HOUSE, TINY, write

from tinyloc.data.splits import Material, build_sets
from tinyloc.data.windows import WindowSets
from tinyloc.errors import AbsentError, UsageError
from tinyloc.learn.options import Augmentation
from tinyloc.study.compressions import require
from tinyloc.study.engine import plan
from tinyloc.study.grid import load_grid, own_grid, paper_grid
from tinyloc.study.table import StudyFolder


def test_what_a_grid_says(tmp_path: Path) -> None:
    text = TINY + '[[models]]\nfamily = "mamba"\nsize = ["H2L1", "H4L2"]\nvariant = "crf"\ncrf = true\n'
    grid = load_grid(write(tmp_path, text))
    assert [(m.family, m.size, m.hidden, m.layers, m.variant, m.train.crf) for m in grid.models] == [
        ("mamba", "H2L1", 2, 1, "", False),
        ("statnet", "H4", 4, 1, "", False),
        ("mamba", "H2L1", 2, 1, "crf", True),
        ("mamba", "H4L2", 4, 2, "crf", True),
    ]
    assert grid.seeds == (0, 1)
    assert grid.budgets == (2, 32)
    assert grid.sets[0].options == (("access_points", 4), ("minutes", 11), ("rooms", 4))
    assert all(m.train.augmentation == Augmentation() and m.train.steps == 12 for m in grid.models)


def test_the_variant_paper_is_trained_as_the_paper_trains(tmp_path: Path) -> None:
    text = TINY.replace('scaling = "minmax"\naugmentation = {}', "augmentation = {jitter = 0.5}")
    text += '[[models]]\nfamily = "mamba"\nsize = "H8L1"\nvariant = "paper"\n'
    own, other = [m.train for m in load_grid(write(tmp_path, text)).models][::2]
    assert (own.scaling, own.augmentation, own.crf) == ("auto", Augmentation(jitter=0.5), False)
    assert (other.scaling, other.augmentation, other.crf) == ("minmax", Augmentation(), True)
    assert own.steps == other.steps == 12
    assert (own.refit, other.refit) == (True, False)


MISTAKES = {
    "not TOML": ("sets = [", "is not TOML"),
    "no sets": (TINY.replace("sets =", "wrong ="), "wrong: no such key; expected sets"),
    "empty sets": ("sets = []\n[[models]]", "sets: []; expected a list of sets, one at least"),
    "twice": ('sets = ["flat", "flat"]', "sets: 'flat'; expected each only once"),
    "no models": ('sets = ["flat"]', "models: None; expected a list of [[models]] tables"),
    "compression": (TINY.replace('"integer"', '"int3"'), "compressions[1]: 'int3'; expected one of float"),
    "seeds": (TINY.replace("seeds = 2", "seeds = 0"), "seeds: 0; expected at least 1 seed"),
    "seeds half": (TINY.replace("seeds = 2", "seeds = 1.5"), "seeds: 1.5; expected a list of whole numbers"),
    "budgets": (TINY.replace("[2, 32]", "[0]"), "budgets: [0]; expected a list of whole numbers"),
    "tier": (TINY.replace('"pip"', '"best"'), "tier: 'best'; expected one of auto, pip, reference"),
    "board": (TINY + 'board = "x"\n', "models[1].board: no such key"),
    "unknown board": ('board = "arduino"\n' + TINY, "board: "),
    "family": (TINY.replace('"statnet"', '"lstm"'), "models[1].family: 'lstm'; expected one of mamba"),
    "size": (TINY.replace('"H4"', '"4"'), "models[1].size: '4'; expected a size such as \"H8L1\""),
    "train key": (TINY.replace("steps = 12", "step = 12"), "train.step: no such key"),
    "train type": (TINY.replace("steps = 12", 'steps = "12"'), "train.steps: '12'; expected a whole number"),
    "train value": (TINY.replace('"minmax"', '"log"'), "scaling 'log' is none of"),
    "augmentation": (TINY.replace("{}", "{noise = 1}"), "train.augmentation.noise: no such key"),
    "same model": (
        TINY + '[[models]]\nfamily = "statnet"\nsize = "H4"\n',
        "models: 'statnet H4'; expected each only once; a `variant`",
    ),
    "other set": (TINY + 'sets = ["uji"]\n', "models[1].sets[0]: 'uji'; expected one of tiny"),
    "no teacher": (TINY + 'compressions = ["distilled"]\n', "models[1].teacher: None; expected who teaches"),
    "teacher": (TINY + 'teacher = "owl"\n', "models[1].teacher: 'owl'; expected a family and a size"),
    "no member": (TINY + "teacher = []\n", "models[1].teacher: []; expected one teacher at least"),
    "member": (TINY + 'teacher = ["forest", "owl H2"]\n', "models[1].teacher[1]: 'owl H2'; expected"),
    "member twice": (
        TINY + 'teacher = ["forest", "mamba H4L1", "forest"]\n',
        "models[1].teacher: 'forest'; expected each teacher only once",
    ),
    "trees have no features": (
        TINY + 'teacher = ["mamba H4L1", "forest"]\nteaching = "features"\n',
        "models[1].teacher: ['mamba H4L1', 'forest']; expected networks, for teaching = \"features\"",
    ),
    "a chain for a member that has no steps": (
        TINY.replace('"statnet"', '"mamba"').replace('"H4"', '"H4L1"')
        + 'crf = true\nteacher = ["mamba H4L1", "statnet H4"]\n',
        "models[1].teacher: the family 'statnet' answers once a window",
    ),
    "teaching": (TINY + 'teaching = "harsh"\n', "models[1].teaching: 'harsh'; expected one of paper"),
    "recipe": (
        TINY + 'variant = "paper"\nscaling = "zscore"\n',
        "models[1].scaling: 'zscore'; expected nothing: the variant",
    ),
    "not its own": (TINY + "heads = 4\n", "models[1].heads: the family 'statnet' does not read it"),
    "temperature": (TINY + "tau = 2\n", "models[1].tau: 2.0; expected a number above 0, with"),
}  # fmt: skip


FOREST = '[[models]]\nfamily = "forest"\nsize = ["5x8", "10x64"]\n'
FOREST_MISTAKES = {
    "width": (FOREST.replace("5x8", "H8"), "models[2].size: 'H8'; expected a size such as \"10x64\""),
    "leaves": (FOREST.replace("5x8", "5x0"), "models[2].size: '5x0'; expected a size"),
    "static": (
        FOREST + 'compressions = ["float", "static"]\n',
        "models[2].compressions: 'static'; expected one of float, integer, distilled, integer+distilled for "
        "the family 'forest'",
    ),
    "carried": (FOREST + 'state = "carried"\n', "models[2]: the family 'forest' sees whole windows"),
    "unread": (FOREST + "rate = 0.1\n", "models[2].rate: the family 'forest' does not read it"),
    "unread, and nobody who reads it teaches": (
        FOREST + 'rate = 0.1\nteacher = "forest"\ncompressions = ["distilled"]\n',
        "models[2].rate: the family 'forest' does not read it",
    ),
    "unread, and nothing is taught": (
        FOREST + 'rate = 0.1\nteacher = "mamba H4L1"\n',
        "models[2].rate: the family 'forest' does not read it",
    ),
    "features": (
        FOREST + 'teacher = "mamba H4L1"\nteaching = "features"\ncompressions = ["distilled"]\n',
        "models[2].teaching: the family 'forest' is no network in floating point: it has no features",
    ),
    "features of several": (
        FOREST.replace('"forest"', '"ensemble"').replace('["5x8", "10x64"]', '"2 forest 3x4"')
        + 'teacher = "mamba H4L1"\nteaching = "features"\ncompressions = ["distilled"]\n',
        "models[2].teaching: no member of this ensemble is a network in floating point",
    ),
    "marginals": (
        FOREST + 'teacher = "mamba H4L1"\nteaching = "marginals"\ncompressions = ["distilled"]\n',
        "models[2].teaching: marginals are those of a CRF",
    ),
    "trees have no marginals": (
        FOREST + 'teacher = "forest"\nteaching = "marginals"\n',
        "models[2].teacher: 'forest'; expected networks, for teaching = \"marginals\"",
    ),
    "own": (FOREST + "trees = 5\n", "models[2].trees: no such key"),
    "teacher": (
        'teacher = "forest 10x64"\n' + FOREST,
        "models[1].teacher: 'forest 10x64'; expected a family and a size",
    ),
}
MISTAKES |= {f"forest, {what}": (TINY + text, said) for what, (text, said) in FOREST_MISTAKES.items()}


def test_a_forest_in_a_grid(tmp_path: Path) -> None:
    found = load_grid(write(tmp_path, TINY + FOREST)).models[2:]
    assert [(m.size, m.hidden, m.train.trees, m.train.leaves) for m in found] == [
        ("5x8", 0, 5, 8), ("10x64", 0, 10, 64),
    ]  # fmt: skip
    text = TINY + FOREST + 'teacher = "mamba H4L1"\nrate = 0.1\ncompressions = ["integer+distilled"]\n'
    taught = load_grid(write(tmp_path, text)).models[2]
    (teacher,) = taught.teachers
    assert (taught.teacher_options(teacher).rate, taught.train.rate) == (0.1, 0.1)


@pytest.mark.parametrize("what", MISTAKES)
def test_each_mistake_is_one_line(tmp_path: Path, what: str) -> None:
    text, expected = MISTAKES[what]
    path = write(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        load_grid(path)
    said = str(caught.value)
    assert expected in said
    assert said.startswith(str(path))
    assert "\n" not in said


@pytest.mark.parametrize("make", ["missing", "folder", "bytes"])
def test_a_file_that_is_no_grid(tmp_path: Path, make: str) -> None:
    path = tmp_path / "grid.toml"
    if make == "folder":
        path.mkdir()
    elif make == "bytes":
        path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="grid"):
        load_grid(path)


def test_what_is_not_there_yet_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    require(["float", "integer"])
    monkeypatch.setattr("tinyloc.study.compressions._NEEDS", {"qat": ("tinyloc.nowhere", "train")})
    with pytest.raises(
        UsageError, match=r"'qat' is not there yet: this tinyloc has no tinyloc\.nowhere\.train"
    ):
        require(["float", "qat"])


def test_the_papers_grid_has_the_papers_models() -> None:
    grid = paper_grid()
    assert [one.label for one in grid.sets] == ["byrne:A", "byrne:B", "byrne:C", "byrne:D", "uji"]
    of = {
        label: [f"{m.family} {m.size}" for m in grid.models if label in m.sets]
        for label in (one.label for one in grid.sets)
    }
    assert of["byrne:D"] == ["mdcsa H16L1", "mdcsa H8L1", "mamba H32L1", "mamba H16L1"]
    assert of["uji"][2:] == ["mamba H32L1", "mamba H8L2", "mamba H8L1", "mamba H4L1", "mamba H2L1"]
    assert sum(len(models) for models in of.values()) == 23
    assert all(m.train.crf and len(m.teachers) == 1 and m.teachers[0].family == m.family for m in grid.models)
    assert {m.variant for m in grid.models} == {"paper"}, "the page sets them beside the winners"


def test_data_sets_of_the_paper_that_are_not_here_are_left_out(tmp_path: Path) -> None:
    unpack(tmp_path / "byrne", house(), "A")
    folder = StudyFolder(tmp_path / "out")
    folder.cells.mkdir(parents=True)
    folder.windows.mkdir()
    tasks, about = plan(paper_grid(), folder, tmp_path)
    assert [one["label"] for one in about["sets"]] == ["byrne:A"]
    assert {cell.row.set for task in tasks for cell in task.cells} == {"byrne:A"}
    assert [text.split(": ")[0] for text in about["left_out"]] == ["byrne:B", "byrne:C", "byrne:D", "uji"]
    (tmp_path / "none").mkdir()
    with pytest.raises(AbsentError, match="byrne:A"):
        plan(paper_grid(), folder, tmp_path / "none")
    ordinary = dataclasses.replace(paper_grid(), leave_out=())
    with pytest.raises(AbsentError):
        plan(ordinary, folder, tmp_path)


def test_the_grid_for_any_recordings(tmp_path: Path) -> None:
    grid = own_grid(["house", "a/home.csv"], {"not_heard": "0"}, seeds=2)
    assert [(one.name, one.label) for one in grid.sets] == [("house", "house"), ("a/home.csv", "home.csv")]
    assert all(one.options == (("not_heard", "0"),) for one in grid.sets)
    assert grid.seeds == (0, 1)
    assert all(model.sets == ("house", "home.csv") for model in grid.models)
    same = own_grid(["a/home.csv", "b/home.csv"], {})
    assert [one.label for one in same.sets] == ["a/home.csv", "b/home.csv"]
    with pytest.raises(UsageError, match="only once"):
        own_grid(["house", "house"], {})
    for key in ("name", "label", "validation_drift"):
        with pytest.raises(UsageError, match=f"--with {key}=2: this is of a grid"):
            own_grid(["house"], {key: "2"})


def test_models_that_recordings_cannot_have_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_order(material: Material) -> WindowSets:
        sets = build_sets(material)
        parts = (
            dataclasses.replace(one, seconds_per_step=0.0) for one in (sets.train, sets.validation, sets.test)
        )
        train, validation, test = parts
        return dataclasses.replace(sets, train=train, validation=validation, test=test)

    monkeypatch.setattr("tinyloc.study.engine.build_sets", without_order)
    folder = StudyFolder(tmp_path / "out")
    folder.cells.mkdir(parents=True)
    folder.windows.mkdir()
    grid = own_grid(["house"], HOUSE)
    tasks, about = plan(grid, folder, None)
    reason = "single samples have no order in time"
    (left,) = about["left_out"]
    assert left.startswith(f"house: mamba H8L1 carried: {reason}")
    assert "carried" not in {cell.row.variant for task in tasks for cell in task.cells}
    with pytest.raises(UsageError, match=reason):
        plan(dataclasses.replace(grid, leave_out=()), folder, None)


def test_a_file_may_lie_beside_the_grid_and_its_options_may_be_lists(tmp_path: Path) -> None:
    (tmp_path / "home.csv").write_text("time,a,room\n")
    text = TINY.replace(
        "sets = [", 'sets = [{name = "home.csv", test_sessions = ["fri", "sat"], label = "home"}, "flat", '
    )
    home, flat, *_ = load_grid(write(tmp_path, text)).sets
    assert home.name == str(tmp_path / "home.csv")
    assert home.options == (("test_sessions", "fri,sat"),)
    assert flat.name == "flat"
    with pytest.raises(UsageError, match="a number, a text or a list of texts"):
        load_grid(write(tmp_path, text.replace('["fri", "sat"]', "[1, 2]")))
