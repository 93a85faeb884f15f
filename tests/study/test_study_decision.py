"""A decision layer in a study: a variant with it beside one without, both figures in row and page."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from study_grids import TINY

from tinyloc.data import load_windows
from tinyloc.data.windows import Windows
from tinyloc.errors import UsageError
from tinyloc.study import page, run_study, show
from tinyloc.study.grid import read_grid
from tinyloc.study.summary import lines

GRID = (
    TINY.replace("seeds = 2", "seeds = 1")
    .replace('compressions = ["float", "integer"]', 'compressions = ["integer"]')
    .replace('["forest300", "forest_small", "nearest_neighbours", "forest300_hmm"]', "[]")
    .replace(
        'family = "statnet"\nsize = "H4"',
        'family = "mamba"\nsize = "H2L1"\nvariant = "settled"\ndecision = "auto"',
    )
)  # fmt: skip


def test_a_variant_with_a_decision_layer_stands_beside_one_without(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "grid.toml"
    path.write_text(GRID)
    rows = run_study(path, tmp_path / "out", jobs=1)
    assert not [row.error for row in rows if row.error]
    plain, settled = sorted(rows, key=lambda row: row.variant)
    assert (plain.decision, plain.f1_macro_room, plain.room_changes_room) == ("", None, None)
    assert settled.decision
    assert settled.f1_macro_room == plain.f1_macro, "the same model: its own room is as right as without"
    assert settled.accuracy_room == plain.accuracy
    assert settled.validation_f1_room == plain.validation_f1
    assert settled.room_changes_room == plain.room_changes
    assert (settled.validation_f1 or 0) >= (plain.validation_f1 or 0), "validation chose it"
    assert settled.identical_windows == settled.windows
    if settled.decision != "none":
        assert (settled.flash_bytes or 0) > (plain.flash_bytes or 0)
    line = next(line for line in lines(rows) if line.variant)
    about = {"sets": [], "budgets_kb": [], "seeds": [0], "board": "", "tier": "", "precision": "int16"}
    assert line.settled
    assert line.settled in page.render(rows, about)
    show(rows, about)
    assert "decision layer" in capsys.readouterr().out


def test_the_key_is_read_and_checked() -> None:
    grid = read_grid(GRID, "grid")
    assert [model.decision for model in grid.models] == ["none", "auto"]
    all_settled = read_grid('decision = "auto"\n' + TINY, "grid")
    assert {model.decision for model in all_settled.models} == {"auto"}
    with pytest.raises(UsageError, match=r"decision: 'often'; expected one of none, auto"):
        read_grid('decision = "often"\n' + TINY, "grid")
    forced = read_grid(GRID.replace('decision = "auto"', 'decision = "filter"'), "grid")
    assert forced.models[1].decision == "filter"
    with pytest.raises(UsageError, match=r"models\[1\]\.decision: 'always'"):
        read_grid(GRID.replace('decision = "auto"', 'decision = "always"'), "grid")


def test_a_layer_that_cannot_be_is_refused_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = load_windows("house", minutes=11, rooms=4, access_points=4)

    def single(windows: Windows) -> Windows:
        short = dataclasses.replace(windows, rssi=windows.rssi[:, -1:], rooms_at=windows.rooms_at[:, -1:])
        return dataclasses.replace(short, seconds_per_step=0.0)

    parts = {name: single(getattr(tiny, name)) for name in ("train", "validation", "test")}
    sets = dataclasses.replace(tiny, **parts)
    monkeypatch.setattr("tinyloc.study.engine.load_material", lambda *_, **__: None)
    monkeypatch.setattr("tinyloc.study.engine.build_sets", lambda _: sets)
    grid = read_grid(
        'sets = ["uji"]\nseeds = 1\ncompressions = ["integer"]\nbaselines = []\ntier = "pip"\n'
        '[[models]]\nfamily = "mamba"\nsize = "H2L1"\ndecision = "filter"\n',
        "grid",
    )
    with pytest.raises(UsageError, match=r'decision = "filter": single samples have no order in time'):
        run_study(grid, tmp_path / "out", jobs=1)
    assert not list((tmp_path / "out").glob("cells/*"))
