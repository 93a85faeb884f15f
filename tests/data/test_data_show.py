"""What `data list` and `data show` say and draw."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from recording_samples import rows, write
from rich.console import Console, RenderableType

from tinyloc.data import (
    describe_recordings,
    describe_sources,
    draw_recordings,
    render_recordings,
    render_sources,
)


def text_of(renderable: RenderableType, width: int = 100) -> str:
    stream = io.StringIO()
    Console(width=width, file=stream).print(renderable)
    return stream.getvalue()


def test_sources_that_are_not_here(tmp_path: Path) -> None:
    sources = {source.name: source for source in describe_sources(tmp_path)}
    assert list(sources) == [
        "flat", "walks:library", "walks:canteen", "walks:carpark", "tracks", "uji",
        "byrne:A", "byrne:B", "byrne:C", "byrne:D", "house",
    ]  # fmt: skip
    assert [name for name, source in sources.items() if source.here] == ["house"]
    assert sources["house"].simulated
    text = text_of(render_sources(list(sources.values())))
    for part in ("walks:canteen", "CC BY 4.0", "no:", "made by the program", "phone"):
        assert part in text


def test_sources_that_are_here(data_dir: Path) -> None:
    for source in describe_sources(data_dir):
        assert source.here or source.name.startswith("byrne:")  # not among the recordings here
        assert source.licence
        assert source.citation
        assert source.simulated or not source.here or source.where is not None


def test_sessions_that_select_have_a_role_of_their_own(tmp_path: Path) -> None:
    path = str(write(tmp_path / "a.csv", rows(800, sessions=4)))
    facts, _ = describe_recordings(path, steps=5, select_sessions="s2")
    assert [(one.name, one.role) for one in facts.sessions] == [
        ("s1", "train"), ("s3", "validation"), ("s2", "selection"), ("s4", "test")
    ]  # fmt: skip
    assert all(set(share) == {"train", "validation", "selection", "test"} for share in facts.rooms.values())
    assert facts.rows == 800
    assert "selection, min" in " ".join(text_of(render_recordings(facts)).split())
    plain, _ = describe_recordings(path, steps=5)
    assert all(set(share) == {"train", "validation", "test"} for share in plain.rooms.values())
    assert "selection" not in text_of(render_recordings(plain))


def test_facts_about_an_own_file(tmp_path: Path) -> None:
    table = rows(300, sessions=1)
    for row in table[101:]:
        row[0] = f"{float(row[0]) + 7:.1f}"
    for row in table[1:31]:
        row[1] = ""
    table[1][3] = ""
    facts, _ = describe_recordings(str(write(tmp_path / "a.csv", table)), steps=5)
    assert facts.rows < 300  # a second is left out at each border
    assert {session.role for session in facts.sessions} == {"train", "validation", "test"}
    assert all(session.rate == pytest.approx(5.0) for session in facts.sessions)
    assert sum(session.gaps for session in facts.sessions) == 1
    assert max(session.longest_gap for session in facts.sessions) == pytest.approx(7.2)
    assert facts.unannotated == 1
    assert facts.heard["ap1"] == pytest.approx(1 - 30 / facts.rows)
    assert facts.heard["ap2"] == 1
    total = sum(sum(share.values()) for share in facts.rooms.values())
    assert total == pytest.approx(facts.rows * 0.2, rel=0.02)
    text = text_of(render_recordings(facts))
    for part in ("kitchen", "ap2", "100.0%", "longest gap", "5.00"):
        assert part in text


@pytest.mark.parametrize("name", ["flat", "uji", "tracks"])
def test_a_real_source_is_shown_and_drawn(name: str, data_dir: Path, tmp_path: Path) -> None:
    facts, material = describe_recordings(name, data_dir=data_dir)
    text = text_of(render_recordings(facts))
    assert facts.citation.split()[0] in text
    draw_recordings(material, facts, tmp_path / "a.png")
    draw_recordings(material, facts, tmp_path / "b.png")
    content = (tmp_path / "a.png").read_bytes()
    assert content.startswith(b"\x89PNG")
    assert len(content) > 20_000
    assert content == (tmp_path / "b.png").read_bytes()
    if name == "tracks":
        assert "2 packets" in text
    if name == "uji":
        assert "and 496 more" in text


def test_a_picture_of_little(tmp_path: Path) -> None:
    table = rows(300)
    for row in table[1:]:
        row[2] = "nan"
    facts, material = describe_recordings(str(write(tmp_path / "a.csv", table)))
    assert np.isnan(facts.strength["ap2"])
    draw_recordings(material, facts, tmp_path / "a.png")
    assert "-" in text_of(render_recordings(facts))


def test_a_simulated_house_says_so() -> None:
    facts, _ = describe_recordings("house", minutes=16, rooms=4, access_points=2)
    assert "simulated: a test bed, not a measurement" in text_of(render_recordings(facts))
