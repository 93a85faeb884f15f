"""The page of a study: what it says, that names are never taken for markup, and that it needs no network."""

from __future__ import annotations

import dataclasses
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tinyloc.study import page
from tinyloc.study.like import match, tally
from tinyloc.study.paper import beside, reported
from tinyloc.study.rows import Row
from tinyloc.study.summary import beaten, front, lines, winners

EVIL = "<script>alert(1)</script>"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


def _row(family: str, size: str, compression: str, seed: int, f1: float, **more: Any) -> Row:
    base = Row(
        "flat", family, size, "", compression, seed, validation_f1=f1, f1_macro=f1, accuracy=f1, windows=100
    )
    if compression == "integer":
        base = dataclasses.replace(
            base, flash_bytes=9_000, ram_bytes=1_000, board="stm32l4", tier="pip", identical_windows=100
        )
    return dataclasses.replace(base, **more)


def _rows() -> list[Row]:
    return [
        row
        for seed in (0, 1)
        for row in (
            _row("mamba", "H8L1", "float", seed, 0.90, state_dict_kb=12.5, parameters=1571),
            _row("mamba", "H8L1", "integer", seed, 0.80 + 0.02 * seed, parameters=1571),
            _row("statnet", "H32", "integer", seed, 0.84, flash_bytes=20_000, validation_f1=0.7),
            _row("mdcsa", "H8L1", "integer", seed, 0.95, flash_bytes=25_000, identical_windows=99),
            _row("baseline", "forest300", "float", seed, 0.86, flash_estimate_bytes=2_000_000),
            _row("baseline", "forest_small_16KB", "float", seed, 0.5, flash_estimate_bytes=16_000),
            _row("baseline", "forest_small_64KB", "float", seed, 0.85, flash_estimate_bytes=64_000),
        )
    ]


ABOUT = {
    "sets": [
        {
            "label": "flat", "name": "flat", "description": "A flat.", "licence": "none", "simulated": False,
            "rooms": 5, "access_points": 4, "windows": [10, 20, 30],
        }
    ],
    "budgets_kb": [8, 16, 64],
    "seeds": [0, 1],
    "board": "stm32l4",
    "tier": "pip",
    "precision": "int16",
}  # fmt: skip


def test_validation_chooses_among_what_fits_and_is_proven() -> None:
    found = winners(lines(_rows()), [64, 16, 8])
    assert [(w.budget_kb, w.line.full_name if w.line else None) for w in found] == [
        (8, None),
        (16, "mamba H8L1, integer"),
        (64, "mamba H8L1, integer"),  # statnet is better on test, mdcsa is not proven
    ]
    assert [w.candidates for w in found] == [0, 1, 2]
    assert found[1].line is not None
    assert str(found[1].line.f1) == "81.0"
    assert found[1].line.f1 is not None
    assert found[1].line.f1.range == "80.0–82.0"
    assert "all 200 windows of 2 seeds" in found[1].sentence()
    assert beaten(found) == [
        "Under 16 KB, forest of 300 (86.0) is more accurate than the winner, mamba H8L1, integer (81.0).",
        "Under 64 KB, forest of 300 (86.0) and small forest, 64 KB (85.0) are more accurate than the winner, "
        "mamba H8L1, integer (81.0).",
    ]


def test_budgets_that_agree_are_one_sentence() -> None:
    rows = [_row("mamba", "H8L1", "integer", 0, 0.5), _row("baseline", "lstm", "float", 0, 0.4)]
    rows += [_row("baseline", f"forest_small_{kb}KB", "float", 0, kb / 100) for kb in (16, 52, 60)]
    rows += [_row("baseline", "cnn", "float", 0, 0.7)]
    assert beaten(winners(lines(rows), [16, 52, 60])) == [
        "Under 16 KB, CNN of 32 (70.0) is more accurate than the winner, mamba H8L1, integer (50.0).",
        "Under 52 and 60 KB, CNN of 32 (70.0) and small forest, 52 KB (52.0) are more accurate than the "
        "winner, mamba H8L1, integer (50.0).",
    ]


def test_flash_and_ram_count_together() -> None:
    rows = [_row("mamba", "H8L1", "integer", 0, 0.9, flash_bytes=15 * 1024, ram_bytes=1024 + 1)]
    assert winners(lines(rows), [16])[0].line is None
    rows = [_row("mamba", "H8L1", "integer", 0, 0.9, flash_bytes=15 * 1024, ram_bytes=1024)]
    assert winners(lines(rows), [16])[0].line is not None


def test_a_seed_without_figures_wins_nothing() -> None:
    rows = [_row("mamba", "H8L1", "integer", 0, 0.9)]
    rows.append(Row("flat", "mamba", "H8L1", "", "integer", 1, error="it diverged"))
    found = lines(rows)
    assert winners(found, [64])[0].line is None
    assert "it diverged" in page.render(rows, ABOUT)


def test_the_front() -> None:
    assert front([(1, 5), (2, 4), (2, 7), (3, 7), (4, 9)]) == [0, 2, 4]
    assert front([]) == []


def test_what_the_page_says() -> None:
    text = page.render(_rows(), ABOUT)
    assert "forest of 300 (86.0) is more accurate than the winner" in text
    assert "12.5 kB" in text
    assert "8.8 KB" in text
    assert "200 of 200" in text
    assert "198 of 200" in text
    assert "Simulated" not in text
    assert text.count("<polyline") == 2
    assert text.count("<circle") == 2 * (2 + 2)  # dots and keys of two families: mdcsa is not proven
    assert text == page.render(list(reversed(_rows())), ABOUT)
    simulated = [dataclasses.replace(row, simulated=True) for row in _rows()]
    assert "Simulated data" in page.render(simulated, ABOUT)
    assert "http" not in text.replace("http-equiv", "")


def test_each_family_has_a_colour_of_its_own() -> None:
    text = page.render(_rows(), ABOUT)
    colours = dict(re.findall(r"\.f(\d) \{ fill: (#[0-9a-f]{6}); \}", text))
    assert set(colours) == {str(place) for place in range(len(page.FAMILIES))}
    assert len(set(colours.values())) == len(colours)
    for family in ("mamba", "statnet"):
        place = page.FAMILIES.index(family)
        assert re.search(rf'<circle class="f{place}"[^>]*/></svg>{family}</li>', text)


def test_a_headline_of_no_winner_that_beats_all_is_a_sentence() -> None:
    assert "Under none of 3 budgets does the winner beat every baseline." in page.render(_rows(), ABOUT)


def test_a_headline_without_baselines_claims_none_was_beaten() -> None:
    alone = page.render([row for row in _rows() if row.family != "baseline"], ABOUT)
    assert "The best model under each of 3 budgets; no baseline stands beside it." in alone
    assert "beats every baseline" not in alone


def test_the_papers_figures_stand_beside_ours() -> None:
    rows = [dataclasses.replace(row, set="byrne:C") for row in _rows()]
    text = page.render(rows, ABOUT)
    assert "Beside the paper" in text
    assert "78.6" in text  # Mamba H8L1 in house C, float
    assert "59 areas" not in text
    assert "Beside the paper" not in page.render(_rows(), ABOUT)
    one = beside("byrne:C", lines(rows))[0]
    assert (one.name, one.parameters, len(one.pairs)) == ("mamba H8L1", 1571, 5)
    assert all(len(row) == 9 and None not in row.values() for row in reported())


def test_the_papers_columns_prefer_the_papers_training() -> None:
    rows = _rows() + [
        _row("mamba", "H8L1", name, 0, 0.7, variant="paper", state_dict_kb=12.5, parameters_paper=1571)
        for name in ("float", "static")
    ]
    (one,) = beside("flat", lines(rows))
    assert (one.name, one.variant, one.parameters, one.ours_parameters) == ("mamba H8L1", "paper", None, 1571)
    assert [str(pair.ours.f1) if pair.ours else None for pair in one.pairs] == ["70.0", "70.0"] + [None] * 3
    assert all(pair.paper is None for pair in one.pairs)
    text = page.render(rows, ABOUT)
    assert "In the columns of the paper" in text
    assert "70.0 / 70.0 / 12.5" in text


def _matched(recipe: float, distilled: float, forest: float) -> list[Row]:
    return [
        _row("mamba", "H8L1", "integer", 0, 0.9),
        _row("mamba", "H8L1", "float", 0, 0.99),
        _row("mamba", "H8L1", "float", 0, recipe, variant="paper", validation_f1=0.99),
        _row("mamba", "H8L1", "distilled", 0, distilled, variant="paper"),
        _row("mamba", "H8L1", "static", 0, 0.99, variant="paper"),
        _row("baseline", "forest300", "float", 0, forest),
    ]


def test_like_for_like_under_32_kilobytes() -> None:
    found = match("flat", lines(_matched(0.85, 0.88, 0.9)))
    assert found.winner is not None
    assert found.recipe is not None
    assert (found.winner.full_name, found.recipe.full_name) == (
        "mamba H8L1, integer", "mamba H8L1 paper, distilled",
    )  # fmt: skip
    assert found.over_recipe == pytest.approx(2.0)
    assert found.beats_recipe
    assert found.over_forest == 0
    assert found.holds_forest
    other = match("tracks", lines(_matched(0.9, 0.7, 0.91)))
    assert not other.beats_recipe, "level is not better"
    assert not other.holds_forest
    assert tally([found, other]) == [
        "Under 32 KB the winner beats the paper's recipe on 1 of 2 data sets; not on tracks.",
        "Under 32 KB the winner is at least as good as the forest of 300 on 1 of 2 data sets; not on tracks.",
    ]
    none = match("flat", [])
    assert (none.winner, none.over_recipe, none.over_forest) == (None, None, None)
    assert tally([none]) == []
    text = page.render(_matched(0.85, 0.88, 0.91), ABOUT)
    assert "beats the paper&#39;s recipe on 1 of 1 data sets." in text
    assert ">+2.0<" in text
    assert ">\N{MINUS SIGN}1.0<" in text


def test_room_by_room() -> None:
    rows = [
        _row("mamba", "H8L1", "integer", seed, 0.8, f1_rooms=(0.5 + 0.2 * seed, 1.0, None)) for seed in (0, 1)
    ]
    rows += [
        _row("baseline", "forest300", "float", 0, 0.9, f1_rooms=(0.25, 0.0, None)),
        _row("baseline", "lstm", "float", 0, 0.7, f1_rooms=(0.1, 0.2, None)),
        _row("baseline", "cnn", "float", 0, 0.9, validation_f1=0.6, f1_rooms=(0.9, 0.9, None)),
    ]
    about = {
        **ABOUT["sets"][0],  # type: ignore[index]
        "room_names": ["bed", EVIL, "attic"],
        "room_windows": [20, 10, 0],
    }
    found = lines(rows)
    made = page.rooms(found, winners(found, [16, 32]), about)
    assert made is not None
    assert [(one.role, one.line.name) for one in made.columns] == [
        ("winner, 16 and 32 KB", "mamba H8L1"),
        ("to beat", "forest of 300"),
        ("first of the others", "LSTM of 32"),
    ]
    assert [(one.name, one.windows, one.f1) for one in made.rooms] == [
        ("bed", 20, (pytest.approx(0.6), 0.25, 0.1)),
        (EVIL, 10, (1.0, 0.0, 0.2)),
    ]
    text = page.render(rows, {**ABOUT, "sets": [about]})
    assert "<script" not in text
    assert "width:60.0%" in text
    assert "Room by room" in text
    assert "attic" not in text
    assert "Room by room" not in page.render(_rows(), ABOUT)


def _evil() -> tuple[list[Row], dict[str, Any]]:
    rows = [dataclasses.replace(row, set=EVIL, variant=EVIL, error=row.error) for row in _rows()]
    return rows, {**ABOUT, "sets": [{**ABOUT["sets"][0], "label": EVIL, "description": EVIL}]}  # type: ignore[index]


def test_names_are_no_markup() -> None:
    assert "<script" not in page.render(*_evil())


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium on the PATH")
    with playwright.sync_playwright() as runner:
        chromium = runner.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.mark.browser
@pytest.mark.parametrize("evil", [False, True])
@pytest.mark.parametrize(("width", "height"), [(360, 640), (1280, 720)])
def test_it_opens_without_a_network(
    browser: Any, tmp_path: Path, evil: bool, width: int, height: int
) -> None:
    path = tmp_path / "index.html"
    page.write(*(_evil() if evil else (_rows(), ABOUT)), path)
    view = browser.new_page(viewport={"width": width, "height": height})
    complaints: list[str] = []
    view.on("console", lambda message: complaints.append(message.text))
    view.on("pageerror", lambda error: complaints.append(str(error)))
    view.on("request", lambda request: complaints.append(request.url)
            if request.url != path.as_uri() and not request.url.startswith("data:") else None)  # fmt: skip
    view.goto(path.as_uri())
    assert view.evaluate("document.documentElement.scrollWidth") <= width
    assert view.evaluate("[...document.querySelectorAll('table')].every(t => t.caption && t.tHead)")
    assert view.evaluate(
        "[...document.querySelectorAll('svg')].every(s => s.getAttribute('aria-label') || s.ariaHidden)"
    )
    assert complaints == []
    view.close()
