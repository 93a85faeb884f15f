"""The geometry of the figures."""

import pytest
from result_samples import campus, small

from tinyloc.judge import result as r
from tinyloc.report import figures


def test_memory_bars_add_up() -> None:
    for result in (small(), campus()):
        for bar in figures.bars(result):
            assert sum(piece.size for piece in bar.pieces) == bar.used
            assert sum(piece.width for piece in bar.pieces) == pytest.approx(100 * bar.share, abs=0.01)
            assert bar.limit == 100


def test_a_bar_over_its_budget_is_drawn_whole_with_the_limit_inside() -> None:
    used = small().memory.flash_bytes
    memory = small().memory.model_copy(update={"flash_budget_bytes": used // 2})
    bar = figures.bars(small(memory=memory, fits=False))[0]
    assert bar.limit == pytest.approx(50, abs=0.01)
    assert bar.over == used - used // 2
    assert sum(piece.width for piece in bar.pieces) == pytest.approx(100, abs=0.01)


def test_what_the_parts_leave_out_is_shown_as_other() -> None:
    bar = figures.bars(small(memory=small().memory.model_copy(update={"text_bytes": 9000})))[0]
    assert (bar.pieces[-1].name, bar.pieces[-1].size) == ("Other", 800)


def test_matrix_shares_are_of_the_true_room() -> None:
    matrix = figures.matrix(small())
    assert matrix.as_table
    assert not figures.matrix(campus()).as_table
    for row in matrix.rows:
        assert sum(cell.share for cell in row) == pytest.approx(1)
    empty = small(confusion=((0,) * 4,) * 4)
    assert figures.matrix(empty).cells == ()
    assert figures.mixed_up(empty) == []


def test_mistakes_are_sorted_and_never_hits() -> None:
    mixed = figures.mixed_up(small())
    assert [m.windows for m in mixed] == sorted((m.windows for m in mixed), reverse=True)
    assert all(m.true != m.said for m in mixed)


def test_a_session_has_only_its_rooms_and_whole_width() -> None:
    segments = (
        r.Segment(session="a", start=0, end=30, true=2, device=2),
        r.Segment(session="a", start=30, end=40, true=2, device=0),
        r.Segment(session="a", start=60, end=100, true=0, device=0),
    )
    (session,) = figures.sessions(small(timeline=segments))
    assert session.lanes == ("bathroom", "kitchen")
    assert [(s.lane, s.left, s.width) for s in session.true] == [(1, 0, 40), (0, 60, 40)]
    assert [s.right for s in session.device] == [True, False, True]
    assert session.right == pytest.approx(70 / 80)
    assert session.ticks[0] == (0, "0 s")
    assert len(session.ticks) <= 7


def test_only_the_first_sessions_are_drawn() -> None:
    segments = tuple(
        r.Segment(session=f"s{i}", start=0, end=1, true=0, device=0) for i in range(figures.SESSIONS + 3)
    )
    result = small(timeline=segments)
    assert len(figures.sessions(result)) == figures.SESSIONS
    assert figures.session_count(result) == figures.SESSIONS + 3
