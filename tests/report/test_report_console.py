"""The console table in 80 columns, without colour."""

import io

import pytest
from result_samples import campus, small
from rich.console import Console

from tinyloc.judge import result as r
from tinyloc.report import console


def _text(result: r.Result, width: int = 80) -> str:
    stream = io.StringIO()
    console.show(result, Console(file=stream, width=width, no_color=True))
    return stream.getvalue()


def test_the_verdict_comes_first() -> None:
    lines = _text(small()).splitlines()
    assert lines[0] == "It fits, and the chip answers exactly as Python does."
    assert "1,016" in lines[1]


@pytest.mark.parametrize("make", [small, campus])
def test_everything_is_there_in_80_columns(make: object) -> None:
    result = make()  # type: ignore[operator]
    text = _text(result)
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "…" not in text
    for name in ("Float", "Integer", "Device", "Forest of 300", "Small forest", "Nearest neighbours"):
        assert f"\n{name}" in text
    for name in (
        "macro-F1 %",
        "accuracy %",
        "less each",
        "Flash",
        "RAM with stack",
        "instructions",
        "cycles",
        "energy",
    ):
        assert name in text
    assert "\x1b" not in text


def test_the_best_is_marked_and_a_winning_baseline_is_named() -> None:
    assert "* 86.9" in _text(small())
    text = " ".join(_text(campus()).split())
    assert "* 89.1" in text
    assert "! A simpler method is more accurate here. Forest of 300" in text
    assert "! Quantisation costs 2.1 points." in text


def test_simulated_data_say_so() -> None:
    result = small(data=small().data.model_copy(update={"simulated": True}))
    assert "! Simulated data." in _text(result)


def test_names_are_not_markup() -> None:
    rooms = small().data.model_copy(update={"name": "[bold]x[/bold] [/nothing]"})
    assert "[bold]x[/bold] [/nothing]" in _text(small(data=rooms))


def test_a_bare_result_still_prints() -> None:
    base = small()
    bare = small(
        baselines=r.Baselines(forest300=r.Forest(f1_macro=0.5, accuracy=0.5)),
        room_changes=None,
        timeline=(),
        energy=r.Energy(step_uj=base.energy.step_uj),
        device=base.device.model_copy(update={"tiers": ()}),
    )
    assert "Forest of 300" in _text(bare)
    assert "less each" not in _text(bare)
