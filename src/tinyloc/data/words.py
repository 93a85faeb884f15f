"""Words that the messages about data share: counts, flags as they are typed, a cell's likely mistake."""

from __future__ import annotations

import re

FLAGS = (
    "test_sessions", "val_sessions", "time", "room", "session", "access_points", "acceleration", "time_unit",
    "not_heard",
)  # fmt: skip
"""Options of the data that are flags of their own on the command line; all others go through --with."""

_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+")


def flag(option: str, value: object = None) -> str:
    """What a person types for an option: ``--room``, ``--time-unit ms``, ``--with steps=20``."""
    if option in FLAGS:
        return f"--{option.replace('_', '-')}" + ("" if value is None else f" {value}")
    return f"--with {option}={'...' if value is None else value}"


def counted(count: int, thing: str) -> str:
    """ "1 such cell", "1,234 such cells"."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def mend_cell(value: str, otherwise: str) -> str:
    """The hint for a cell that should be a number: a decimal comma is named, else `otherwise`."""
    text = value.strip()
    if _DECIMAL_COMMA.fullmatch(text):
        return f"This looks like a decimal comma: write {text.replace(',', '.')}, with a point, in all cells."
    return otherwise
