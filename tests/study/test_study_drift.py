"""Receivers that drift, in a study: models that follow them, and validation under drift to choose by."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from study_grids import HOUSE, ONE, TRAIN, about, write

from tinyloc.data import load_windows
from tinyloc.data.drift import DRAWS, drifted
from tinyloc.data.order import begins
from tinyloc.data.windows import Windows
from tinyloc.errors import UsageError
from tinyloc.learn.train import train
from tinyloc.metrics import macro_f1
from tinyloc.pipeline.integers import integers
from tinyloc.quant.decision import hop_steps
from tinyloc.quant.follow import following
from tinyloc.quant.reference import Reference
from tinyloc.study import markdown, page, run_study, show
from tinyloc.study.grid import read_grid
from tinyloc.study.rows import Row
from tinyloc.study.summary import lines, winners

MODELS = """
[[models]]
family = "mamba"
size = "H4L1"
compressions = ["float", "integer"]

[[models]]
family = "mamba"
size = "H4L1"
variant = "follows"
follow = true
compressions = ["integer"]

[[models]]
family = "forest"
size = "3x4"
variant = "follows"
follow = true
decision = "filter"
compressions = ["integer"]
"""
PLAIN = f"{ONE}{TRAIN}{MODELS}".replace("steps = 12", "steps = 200").replace("minmax", "zscore")
DRIFTED = PLAIN.replace("access_points = 4}", "access_points = 4, validation_drift = 6}")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Row]]:
    folder = tmp_path_factory.mktemp("drift")
    return folder / "out", run_study(write(folder, DRIFTED), folder / "out", jobs=1)


def test_it_is_the_answers_to_drifted_validation_one_by_one(whole: tuple[Path, list[Row]]) -> None:
    """Beside a second way to it: a wearer at a time, a sample at a time."""
    model = read_grid(DRIFTED, "").models[1]
    sets = load_windows("house", **HOUSE)
    _, graph = integers(train(sets, dataclasses.replace(model.options(0), refit=False)), sets, "int16", 8)
    graph = following(graph, sets.train, hop_steps(sets.validation))
    windows, reference, answers = drifted(sets.validation, 6.0), Reference(graph), []
    for new, window in zip(begins(windows), windows.rssi, strict=True):
        if new:
            states = reference.initial_state(1)
        else:
            reference.restart(states)
        answers.append(reference.run(window[None], states)[0, -1].argmax())
    row = next(one for one in whole[1] if (one.family, one.variant) == ("mamba", "follows"))
    assert row.drift_f1 == macro_f1(windows.room, np.array(answers))
    assert row.drift_f1 not in (row.validation_f1, None)


def test_what_runs_on_the_device_has_it_and_all_else_is_as_without(
    whole: tuple[Path, list[Row]], tmp_path: Path
) -> None:
    for row in whole[1]:
        assert not row.error
        assert (row.drift_f1 is not None) == (row.compression == "integer")
    without = [dataclasses.replace(row, drift_f1=None) for row in whole[1]]
    assert run_study(write(tmp_path, PLAIN), tmp_path / "out", jobs=1) == without
    followed, plain = whole[1][-1], whole[1][1]
    assert followed.identical_windows == followed.windows == plain.windows


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1_000), st.floats(0, 30), st.integers(1, 4))
def test_a_draw_moves_an_access_point_alike_throughout(seed: int, spread: float, draws: int) -> None:
    rng = np.random.default_rng(seed)
    rssi = rng.integers(-90, -40, (6, 3, 2)).astype(np.int8)
    rssi[rng.random(rssi.shape) < 0.3] = -128
    names = ("a", "b"), ("p", "q"), ("one", "two")
    room, session = np.zeros(6, np.int16), np.array([0, 0, 0, 1, 1, 1], np.int32)
    windows = Windows(rssi, np.zeros((6, 3), np.int16), room, session, np.arange(6.0), *names, 0.5)
    moved = drifted(windows, spread, draws, seed)
    assert len(moved) == 6 * draws
    assert len(moved.sessions) == 2 * draws == len(np.unique(moved.session))
    assert begins(moved).sum() == 2 * draws
    for copy in moved.rssi.reshape(draws, 6, 3, 2):
        assert np.array_equal(copy == -128, rssi == -128)
        for point in range(2):
            heard = rssi[..., point] != -128
            within = heard & (copy[..., point] > -127) & (copy[..., point] < 0)
            assert len(np.unique(copy[..., point][within] - rssi[..., point][within].astype(int))) <= 1


def test_the_draws_are_as_wide_as_asked() -> None:
    windows = load_windows("house", **HOUSE).validation
    for spread in (0.0, 3.0):
        moved = drifted(windows, spread, 400).rssi.reshape(400, *windows.rssi.shape).astype(int)
        loud = np.unravel_index(np.argmin(np.abs(windows.rssi + 60.0)), windows.rssi.shape)
        off = (moved - windows.rssi)[:, *loud]
        assert abs(off.std() - spread) <= 0.4
    assert len(drifted(windows, 3.0)) == DRAWS * len(windows)


def row_of(size: str, drift: float | None, crossed: float | None = None) -> Row:
    return Row(
        "tiny", "mamba", size, "", "integer", 0, validation_f1=0.9, cross_validation_f1=crossed,
        drift_f1=drift, f1_macro=0.5, accuracy=0.5, windows=9, identical_windows=9, flash_bytes=4_000,
        ram_bytes=500, board="stm32l4", tier="pip",
    )  # fmt: skip


def test_winners_are_chosen_by_it_where_all_that_fits_has_it() -> None:
    def won(*rows: Row) -> str:
        (winner,) = winners(lines(rows), [64])
        return winner.line.size if winner.line else ""

    assert won(row_of("H2L1", 0.7), row_of("H4L1", 0.8)) == "H4L1"
    assert won(row_of("H2L1", 0.7, 0.9), row_of("H4L1", 0.8, 0.6)) == "H4L1"
    assert won(row_of("H2L1", 0.7, 0.9), row_of("H4L1", 0.8)) == "H4L1", "a cross-validation is not asked for"
    assert won(row_of("H2L1", 0.7), row_of("H4L1", None)) == "H2L1", "what has none cannot be compared"


def test_page_document_and_console_say_how_it_was_chosen(
    whole: tuple[Path, list[Row]], capsys: pytest.CaptureFixture[str]
) -> None:
    told = about(validation_drift=6.0)
    line = winners(lines(whole[1]), [32])[0].line
    assert line is not None
    html, text = page.render(whole[1], told), markdown.render(whole[1], told)
    for said in ("by validation under drift", f"<td>{line.drifted}</td>", "off by 6 dB"):
        assert said in html
    for said in ("| under drift |", f"under drift {line.drifted}", "off by 6 dB, and that decides"):
        assert said in text
    assert "cross-validat" not in (html + text).lower()
    show(whole[1], told)
    console = capsys.readouterr().out
    assert "drift %" in console
    assert "heard by receivers that have drifted" in " ".join(console.split())
    plain = [dataclasses.replace(row, drift_f1=None) for row in whole[1]]
    told["sets"] = []
    assert "drift" not in page.render(plain, told) + markdown.render(plain, told)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("validation_drift = 6", "validation_drift = -1", r"validation_drift: .*dB from 0 to 30"),
        ("validation_drift = 6", 'validation_drift = "6"', r"validation_drift: .*dB from 0 to 30"),
        ("follow = true\ncompressions", "follow = 1\ncompressions", r"models\[1\].follow"),
        ('follow = true\ncompressions = ["integer"]', "follow = true", r"follow: .*'float' is not"),
    ],
)
def test_what_a_grid_cannot_ask_for(old: str, new: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_grid(DRIFTED.replace(old, new, 1).replace("tier", 'compressions = ["float"]\ntier', 1), "grid")


def test_windows_that_stand_apart_are_not_followed_with_a_carried_state(tmp_path: Path) -> None:
    text = DRIFTED.replace("follow = true", 'follow = true\nstate = "carried"', 1)
    text = text.replace("access_points = 4,", "access_points = 4, hop = 60,")
    with pytest.raises(UsageError, match="windows that stand apart are no stream"):
        run_study(write(tmp_path, text), tmp_path / "out")
