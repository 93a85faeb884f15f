"""Every family through the command line, and the verbs that go with them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinyloc.cli import main
from tinyloc.errors import UsageError
from tinyloc.pipeline import stages
from tinyloc.pipeline.integers import integers
from tinyloc.study import Grid


def call(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """The command line in this process: exit code, standard output, standard error."""
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    said = capsys.readouterr()
    return int(left.value.code or 0), said.out, said.err


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three rooms, three access points, each strongest in its own room; three sessions."""
    rng = np.random.default_rng(0)
    lines = ["time,a,b,c,room,session"]
    for session in range(3):
        for step in range(240):
            room = step // 20 % 3
            dbm = [round(-80 + 25 * (point == room) + rng.normal(0, 3)) for point in range(3)]
            lines.append(f"{session * 1000 + step * 0.2:.1f},{','.join(map(str, dbm))},room{room},s{session}")
    path = tmp_path_factory.mktemp("own") / "home.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(
    "words",
    [
        ("--family", "transformer", "--hidden", "8", "--tune", "heads=2"),
        ("--family", "mdcsa", "--hidden", "4", "--tune", "crf=true"),
        ("--family", "statnet", "--hidden", "8"),
        ("--family", "mlp", "--hidden", "8", "--layers", "2"),
        ("--family", "forest", "--trees", "4", "--leaves", "6"),
        ("--family", "mamba", "--hidden", "4", "--tune", "crf=true", "--tune", "offset=0.2"),
    ],
)
def test_a_family_goes_the_whole_way(
    words: tuple[str, ...], recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    some = ("--tier", "pip", "--with", "hop=5", "--json")
    quick = () if "forest" in words else ("--train-steps", "25", "--scaling", "minmax")
    code, out, err = call(
        capsys, "run", "--data", recording, "--out", tmp_path / "run", *words, *some, *quick
    )
    assert code == 0, err
    result = json.loads(out)
    assert result["model"]["family"] == words[1]
    assert result["device"]["identical_windows"] == result["device"]["windows"] > 0
    assert result["f1_macro"]["device"] == result["f1_macro"]["integer"]


def test_a_model_is_taught_and_trained_as_integers(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    picked = []

    def noted(*given: Any, pick: bool = True, **more: Any) -> Any:
        picked.append(pick)
        return integers(*given, pick=pick, **more)

    monkeypatch.setattr(stages, "integers", noted)
    words = ["run", "--data", recording, "--out", tmp_path / "run", "--hidden", "4", "--train-steps", "25"]
    words += ["--scaling", "minmax", "--tune", "offset=0.2", "--tier", "pip", "--with", "hop=5"]
    words += ["--teacher", "mamba H6L1", "--teacher", "forest", "--teaching", "soft", "--tau", "2"]
    words += ["--qat-steps", "5", "--tune", "refit=true"]
    code, _, err = call(capsys, *words)
    assert code == 0, err
    assert "taught by mamba H6L1, forest (soft)" in err
    assert "trained as integers for 5 steps" in err
    assert picked == [False, False]  # what validation judges is made as what is kept, which picks nothing
    kept = sorted((tmp_path / "run" / "teachers").iterdir())
    assert len(kept) == 4  # the network and the forest, before and after the refit
    code, _, err = call(capsys, *words)
    assert code == 0, err
    assert "taken from this folder" in err
    result = json.loads((tmp_path / "run" / "result.json").read_bytes())
    assert result["device"]["identical_windows"] == result["device"]["windows"] > 0


@pytest.mark.parametrize(("option", "value"), [("--teaching", "soft"), ("--tau", "2"), ("--alpha", "0.5")])
def test_what_is_said_to_a_teacher_needs_one(
    option: str, value: str, tmp_path: Path, recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = call(capsys, "run", "--data", recording, "--out", tmp_path / "run", option, value)
    assert (code, out) == (2, "")
    assert f"{option} {value}" in err.replace(".0", "")
    assert "expected a teacher" in err
    assert not (tmp_path / "run").exists()


def test_trees_are_not_trained_as_integers(
    tmp_path: Path, recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--data", recording, "--out", tmp_path / "run", "--family", "forest", "--qat-steps", "5")
    code, _, err = call(capsys, "run", *words)
    assert code == 2
    assert "--qat-steps 5: expected 0 for the family 'forest'" in err
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def moved(recording: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, with an accelerometer that is shaken in one of the rooms."""
    rng = np.random.default_rng(1)
    head, *rows = recording.read_text().splitlines()
    lines = [f"{head},ax,ay,az"]
    for row in rows:
        x, y, z = rng.normal(0, 0.5 if "room1" in row else 0.02, 3) + np.array([0, 0, 1])
        lines.append(f"{row},{x:.3f},{y:.3f},{z:.3f}")
    path = tmp_path_factory.mktemp("moved") / "home.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_an_accelerometer_goes_the_whole_way(
    moved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--family", "mdcsa", "--hidden", "4", "--tune", "accelerometer=true", "--tune", "crf=true")
    some = ("--train-steps", "25", "--scaling", "minmax", "--tier", "pip", "--with", "hop=5", "--json")
    code, out, err = call(capsys, "run", "--data", moved, "--out", tmp_path / "run", *words, *some)
    assert code == 0, err
    result = json.loads(out)
    assert result["model"]["options"]["accelerometer"] is True
    assert result["device"]["identical_windows"] == result["device"]["windows"] > 0
    header = (tmp_path / "run" / "c" / "tinyloc_model.h").read_text()
    assert "#define TINYLOC_ACCESS_POINTS 3\n#define TINYLOC_SAMPLE_BYTES 6\n" in header


def test_running_statistics_go_the_whole_way(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--hidden", "4", "--tune", "statistics=true", "--tune", "offset=0.1")
    some = ("--train-steps", "25", "--scaling", "zscore", "--tier", "pip", "--with", "hop=5", "--json")
    code, out, err = call(capsys, "run", "--data", recording, "--out", tmp_path / "run", *words, *some)
    assert code == 0, err
    result = json.loads(out)
    assert result["model"]["options"]["statistics"] is True
    assert result["device"]["identical_windows"] == result["device"]["windows"] > 0
    header = (tmp_path / "run" / "c" / "tinyloc_model.h").read_text()
    assert "#define TINYLOC_ACCESS_POINTS 3\n#define TINYLOC_SAMPLE_BYTES 3\n" in header


@pytest.mark.parametrize(
    ("words", "here", "paper"),
    [
        (("mamba", "--hidden", "8"), 1571, 1571),
        (("mamba", "--hidden", "32"), 10723, 10723),
        (("mdcsa", "--hidden", "16"), 9196, 10796),
        (("mdcsa", "--hidden", "8"), 2540, 2956),
        (("transformer", "--hidden", "32"), 9929, None),
        (("mlp", "--hidden", "16"), 377, None),
    ],
)
def test_model_counts(
    words: tuple[str, ...], here: int, paper: int | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """House C: 11 access points, 9 rooms; the paper's own figures."""
    code, out, _ = call(capsys, "model", *words, "--layers", 1, "--access-points", 11, "--rooms", 9, "--json")
    assert code == 0
    found = json.loads(out)
    assert (found["parameters"], found["parameters_paper"]) == (here, paper)


def test_a_forest_is_counted_with_all_its_leaves(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("model", "forest", "--trees", 20, "--leaves", 32, "--access-points", 11, "--rooms", 9)
    found = json.loads(call(capsys, *words, "--json")[1])
    assert (found["size"], found["nodes"], found["parameters"]) == ("20x32", 20 * 31, 3 * 20 * 31 + 20)
    code, _, err = call(capsys, *words)
    assert (code, err) == (0, "forest 20x32: 1,880 parameters\nthe paper has no such model\n")
    code, _, err = call(capsys, "model", "statnet", "--layers", 2, *words[6:])
    assert (code, "one hidden layer" in err) == (2, True)
    assert "2 to 256 leaves" in call(capsys, *words[:4], "--leaves", 1, *words[6:])[2]


def test_a_forest_over_budget_is_told_what_would_fit(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--family", "forest", "--trees", 40, "--leaves", 64, "--tier", "pip", "--flash", "4K")
    code, _, err = call(capsys, "run", "--data", recording, "--out", tmp_path / "run", *words)
    assert code == 3
    assert "forest 40x64 does not fit" in err
    assert "--trees 10 --leaves 16" in err


def test_a_study_from_the_command_line(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = tmp_path / "grid.toml"
    grid.write_text(
        f'sets = ["{recording}"]\nseeds = 1\nbudgets = [16]\ncompressions = ["float", "integer"]\n'
        'baselines = ["forest300", "forest_small", "nearest_neighbours", "gradient_boosting", '
        '"forest300_hmm"]\n'
        '[train]\nsteps = 20\nscaling = "minmax"\naugmentation = {}\n'
        '[[models]]\nfamily = "statnet"\nsize = "H4"\n'
    )
    words = ("study", "--grid", grid, "--out", tmp_path / "study", "--jobs", 1, "--json")
    code, out, err = call(capsys, *words)
    assert code == 0, err
    rows = json.loads(out.splitlines()[-1])
    assert len(out.splitlines()) == 1
    assert isinstance(rows, list)
    assert len(rows) == 2 + 5
    wanted = ("set", "family", "size", "compression", "seed", "f1_macro", "accuracy", "parameters")
    wanted += ("state_dict_kb", "flash_bytes", "ram_bytes", "board", "identical_windows", "windows")
    assert all(name in row for row in rows for name in wanted)
    device = next(row for row in rows if row["compression"] == "integer")
    assert device["identical_windows"] == device["windows"] > 0
    assert device["state_dict_kb"] is None
    assert device["flash_bytes"] > device["ram_bytes"] > 0
    known = [one for one in device["f1_rooms"] if one is not None]
    assert sum(known) / len(known) == pytest.approx(device["f1_macro"])
    kinds = {
        "set": str,
        "family": str,
        "size": str,
        "compression": str,
        "seed": int,
        "board": str,
        "windows": int,
    }
    assert all(type(row[name]) is kind for row in rows for name, kind in kinds.items())
    assert call(capsys, "study", "--out", tmp_path)[0] == 2
    assert call(capsys, *words)[1] == out, "what is finished is taken as it is"


def test_a_study_without_any_figures_is_an_error(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = tmp_path / "grid.toml"
    grid.write_text(
        f'sets = ["{recording}"]\nseeds = 1\nbaselines = []\ncompressions = ["float"]\n'
        '[train]\nsteps = 20\nrate = 1e38\n[[models]]\nfamily = "statnet"\nsize = "H4"\n'
    )
    code, out, err = call(capsys, "study", "--grid", grid, "--out", tmp_path / "out", "--jobs", 1, "--json")
    assert code == 2
    assert json.loads(out)[0]["error"] in err
    assert "not one line has figures" in err


def test_recordings_need_no_grid(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def refused(grid: Grid, *_: object, **how: object) -> None:
        asked.append((grid, how))
        raise UsageError("seen")

    monkeypatch.setattr("tinyloc.study.run_study", refused)
    words = ("study", "--data", recording, "--data", "house", "--seeds", 2, "--out", tmp_path)
    assert call(capsys, *words, "--with", "steps=10")[0] == 2
    grid, how = asked[0]
    assert [one.label for one in grid.sets] == [recording.name, "house"]
    assert all(one.options == (("steps", "10"),) for one in grid.sets)
    assert (grid.seeds, grid.leave_out, how["paper"]) == ((0, 1), ("models",), False)
    for wrong, said in (
        ((*words, "--paper"), "expected one of --data"),
        (("study", "--paper", "--seeds", 2), "--seeds goes with --data alone"),
        (("study", "--paper", "--not-heard", 0), "--not-heard goes with --data alone"),
        (("study", "--data", recording, "--seeds", -1), "--seeds -1"),
    ):
        code, _, err = call(capsys, *wrong)
        assert (code, said in err) == (2, True), err
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--tune", "steps=100"), "Say --train-steps 100"),
        (("--tune", "rate"), "expected NAME=VALUE"),
        (("--tune", "speed=3"), "--tune speed=3: expected one of"),
        (("--tune", "batch=few"), "--tune batch=few: expected a number"),
        (("--tune", "batch=2.5"), "--tune batch=2.5: expected a whole number"),
        (("--tune", "crf=perhaps"), "expected one of true, false"),
        (("--family", "perceptron"), "perceptron"),
        (("--family", "statnet", "--state", "carried"), "carried"),
        (("--family", "forest", "--state", "carried"), "carried"),
        (("--family", "forest", "--tune", "crf=true"), "CRF"),
        (("--family", "forest", "--leaves", "500"), "2 to 256 leaves"),
        (("--tune", "crf=true", "--state", "carried"), "--state reset"),
        (("--tune", "statistics=true", "--state", "carried"), "begin anew with each window"),
        (("--family", "mdcsa", "--tune", "accelerometer=true"), "these recordings have none"),
    ],
)
def test_what_training_does_not_know(
    words: tuple[str, ...], said: str, recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = call(
        capsys, "run", "--data", recording, "--out", tmp_path / "run", *words, "--tier", "pip"
    )
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert code == 2
    assert len(lines) == 1
    assert said in lines[0]
