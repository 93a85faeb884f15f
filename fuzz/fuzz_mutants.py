"""Integer models with something wrong in them: a whole file, signed anew, so that only the checks of its
content stand between it and the program.

A mutant is made by choices that a `Source` hands out: a fuzzer's bytes (`fuzz/fuzz_loader.py`), or a seed's.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
import struct
from typing import Any, Final, Protocol

from tinyloc.quant import storage

_HEAD = struct.Struct("<8sHII")
_DIGEST = 32
NUMBERS: Final = (
    0,
    1,
    2,
    3,
    7,
    8,
    15,
    16,
    31,
    32,
    63,
    64,
    127,
    128,
    255,
    256,
    32_767,
    65_535,
    2**31 - 1,
    2**31,
    2**63,
)
WORDS: Final = ("", "x", "int8", "int16", "int32", "uint8", "carried", "reset", "\0", '"; #error', "é\n")


class Source(Protocol):
    """Where choices come from."""

    def number(self, least: int, most: int) -> int:
        """A number from `least` to `most`, both counted in."""
        ...


def signed(about: dict[str, Any], body: bytes) -> bytes:
    """The file with this description and these arrays, its lengths and its checksum right."""
    description = json.dumps(about).encode()
    head = _HEAD.pack(storage.MAGIC, storage.VERSION, len(description), len(body))
    return head + hashlib.sha256(head + description + body).digest() + description + body


def parts(data: bytes) -> tuple[dict[str, Any], bytes]:
    """The description and the arrays of a file that is whole."""
    _, _, length, _ = _HEAD.unpack_from(data)
    start = _HEAD.size + _DIGEST
    about: dict[str, Any] = json.loads(data[start : start + length])
    return about, data[start + length :]


def mutant(data: bytes, source: Source) -> bytes:
    """The file with one to three things changed: a number, a name, an operator, an array, some bytes."""
    about, body = parts(data)
    about = copy.deepcopy(about)
    for _ in range(source.number(1, 3)):
        kind = source.number(0, 9)
        lists = {1: "operators", 2: "tensors", 3: "arrays"}
        if kind == 0 and body:
            body = _bytes(body, source)
        elif isinstance(about.get(lists.get(kind, "")), list):
            _list(about[lists[kind]], source)
        else:
            _value(about, source)
    return signed(about, body)


def _bytes(body: bytes, source: Source) -> bytes:
    """Some bytes of the arrays altered, cut off, or put behind."""
    kind, at = source.number(0, 3), source.number(0, len(body) - 1)
    if kind == 0:
        return body[:at]
    if kind == 1:
        return body + body[:at]
    length = source.number(1, 8)
    changed = bytes(source.number(0, 255) for _ in range(length))
    return (body[:at] + changed + body[at + length :])[: len(body)]


def _list(entries: list[Any], source: Source) -> None:
    """An entry gone, twice, or in another place."""
    if not entries:
        return
    kind, one, other = (source.number(0, most) for most in (2, len(entries) - 1, len(entries) - 1))
    if kind == 0:
        del entries[one]
    elif kind == 1:
        entries.insert(other, copy.deepcopy(entries[one]))
    else:
        entries[one], entries[other] = entries[other], entries[one]


def _value(about: Any, source: Source) -> None:
    """One value somewhere in the description, of another size or kind; or a field gone, or too many."""
    at = about
    while True:
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        if not keys:
            return
        key = keys[source.number(0, len(keys) - 1)]
        if isinstance(at[key], (dict, list)) and at[key] and source.number(0, 15):
            at = at[key]
            continue
        break
    kind = source.number(0, 11)
    if kind == 0 and isinstance(at, dict):
        del at[key]
    elif kind == 1 and isinstance(at, dict):
        at["further"] = 1
    elif isinstance(at[key], bool) or kind == 2:
        at[key] = (None, True, False, [], {}, -1.5, "word")[source.number(0, 6)]
    elif isinstance(at[key], int):
        at[key] = _number(at[key], source)
    elif isinstance(at[key], float):
        at[key] = (0.0, -at[key], 1e300, 1e-300, 1e9, 1, math.nan, math.inf)[source.number(0, 7)]
    elif isinstance(at[key], str):
        tensors = about.get("tensors") if isinstance(about.get("tensors"), list) else []
        names = [*WORDS, *[one["name"] for one in tensors or [] if isinstance(one, dict) and "name" in one]]
        at[key] = names[source.number(0, len(names) - 1)]
    else:
        at[key] = _number(0, source)


def _number(value: int, source: Source) -> int:
    kind = source.number(0, 4)
    if kind == 0:
        return value + 1
    if kind == 1:
        return value - 1
    if kind == 2:
        return -value
    number = NUMBERS[source.number(0, len(NUMBERS) - 1)]
    return -number if source.number(0, 1) else number
