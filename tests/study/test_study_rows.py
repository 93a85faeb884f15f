"""One row as JSON: what is written is read, and nothing else is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tinyloc.study.rows import Row, from_json

ROW = Row(
    "flat", "mamba", "H8L1", "", "integer", 0, f1_macro=0.5, flash_bytes=9000, f1_rooms=(0.25, None, 1.0)
)


def test_a_row_comes_back() -> None:
    value = json.loads(json.dumps(ROW.to_json()))
    assert value["f1_rooms"] == [0.25, None, 1.0]
    assert from_json(value) == ROW
    assert hash(from_json(value)) == hash(ROW)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("f1_rooms", "0.5"),
        ("f1_rooms", None),
        ("f1_rooms", [0.5, "1"]),
        ("f1_rooms", [True]),
        ("f1_rooms", [[0.5]]),
        ("seed", True),
        ("seed", None),
        ("simulated", 1),
        ("f1_macro", "0.5"),
        ("board", None),
    ],
)
def test_another_kind_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name):
        from_json({**ROW.to_json(), name: value})


def test_other_fields_are_refused() -> None:
    value = ROW.to_json()
    del value["f1_rooms"]
    for wrong in (value, {**ROW.to_json(), "more": 1}, [], dict(reversed(list(ROW.to_json().items())))):
        with pytest.raises(ValueError, match="fields of a row"):
            from_json(wrong)  # type: ignore[arg-type]
