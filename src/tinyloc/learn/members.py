"""Who answers together in an ensemble, from words: "3 mamba H8L1 + statnet H32 + forest 10x64"."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tinyloc.models.config import MOST_MEMBERS, SINGLES, ForestConfig


@dataclass(frozen=True)
class Member:
    """A model of a `family`: a network of `hidden` and `layers`, or a forest of `trees` and `leaves`."""

    family: str
    hidden: int = 8
    layers: int = 1
    trees: int = ForestConfig.trees
    leaves: int = ForestConfig.leaves


def read_size(text: str) -> tuple[int, int] | None:
    """Width and layers of a size such as "H8L1" or "H8" (1 layer); None where it is none."""
    found = re.fullmatch(r"H([1-9]\d{0,3})(?:L([1-9]\d?))?", text)
    return None if found is None else (int(found[1]), int(found[2] or 1))


def read_trees(text: str) -> tuple[int, int] | None:
    """Trees and leaves of a size such as "10x64"; None where it is none."""
    found = re.fullmatch(r"([1-9]\d{0,3})x([1-9]\d{0,2})", text)
    return None if found is None else (int(found[1]), int(found[2]))


def read_members(text: str) -> tuple[Member, ...] | None:
    """The members that the words name; None where they name no ensemble."""
    found: list[Member] = []
    for part in text.split("+"):
        words = re.fullmatch(r"\s*(?:([1-9]\d?) )?([a-z]+) (\S+)\s*", part)
        if words is None or words[2] not in SINGLES:
            return None
        size = read_trees(words[3]) if words[2] == ForestConfig.family else read_size(words[3])
        if size is None:
            return None
        names = ("trees", "leaves") if words[2] == ForestConfig.family else ("hidden", "layers")
        found += [Member(words[2], **dict(zip(names, size, strict=True)))] * int(words[1] or 1)
        if len(found) > MOST_MEMBERS:
            return None
    return tuple(found) if len(found) > 1 else None


def members_known() -> str:
    """What `read_members` takes, for an error."""
    return (
        f'2 to {MOST_MEMBERS} models, such as "3 mamba H8L1 + statnet H32 + forest 10x64" '
        f"({', '.join(SINGLES)})"
    )
