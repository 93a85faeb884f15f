"""C text from Python values: nothing a name or a number holds can break out of it."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyloc.emit.literals import array, comment, identifier, integer, string, unpacking_order
from tinyloc.errors import QuantisationError


@given(st.text())
def test_a_comment_stays_a_comment(text: str) -> None:
    safe = comment(text)
    assert "*/" not in safe
    assert "/*" not in safe
    assert "\n" not in safe
    assert "\\" not in safe
    assert safe.isascii()


@pytest.mark.parametrize("name", ["", "1st", "a-b", "int", "Größe", "a" * 64, "A"])
def test_what_c_does_not_take_is_no_identifier(name: str) -> None:
    with pytest.raises(QuantisationError, match="cannot be a name in C"):
        identifier(name)


def test_integers_mean_the_same_to_the_compiler(tmp_path: Path) -> None:
    values = [0, 1, -1, 32767, -32767, 32768, -32768, 2**31 - 1, -(2**31) + 1, 2**40, 2**63]
    checks = "\n".join(f"typedef char t{i}[({integer(v)}) == ({v}{'u' * (v > 0)}ll) ? 1 : -1];"
                       for i, v in enumerate(values))  # fmt: skip
    (tmp_path / "t.c").write_text(checks + "\nint main(void){return 0;}\n")
    subprocess.run(["cc", "-std=c99", "-w", "t.c"], cwd=tmp_path, check=True)
    with pytest.raises(QuantisationError, match="does not fit"):
        integer(2**64)


def test_arrays_break_their_lines() -> None:
    text = array(np.arange(-200, 200, dtype=np.int16), width=60)
    assert max(map(len, text.splitlines())) <= 60
    assert [int(word) for word in text.replace("\n", " ").split(",") if word.strip()] == list(
        range(-200, 200)
    )


@given(st.integers(1, 5), st.integers(1, 23))
def test_unpacking_order_swaps_the_middle_of_whole_groups(rows: int, columns: int) -> None:
    weight = np.arange(rows * columns).reshape(rows, columns).astype(np.int8)
    order = unpacking_order(weight)
    for column in range(columns):
        group, place = divmod(column, 4)
        whole = group * 4 + 4 <= columns
        source = group * 4 + ([0, 2, 1, 3][place] if whole else place)
        assert order[:, column].tolist() == weight[:, source].tolist()


def test_letters_lose_their_marks_and_not_themselves() -> None:
    assert comment("Küche, Straße, Øre") == "Kuche, Strasse, Ore"
    assert string("Küche", 12) == '"Kuche"'
    assert string("寝室", 12) == '"\\?\\?"'
