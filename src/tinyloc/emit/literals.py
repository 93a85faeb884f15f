"""C text from Python values: tiny pure functions."""

from __future__ import annotations

import re
import unicodedata

import numpy as np
import numpy.typing as npt

from tinyloc.errors import QuantisationError
from tinyloc.quant.operator import lift_of

_KEYWORDS = frozenset((
    "auto", "break", "case", "char", "const", "continue", "default", "do", "double", "else", "enum",
    "extern", "float", "for", "goto", "if", "inline", "int", "long", "register", "restrict",
    "return", "short", "signed", "sizeof", "static", "struct", "switch", "typedef", "union",
    "unsigned", "void", "volatile", "while",
))  # fmt: skip


TAKEN = frozenset(
    ("arena", "each", "memcpy", "memmove", "memset", "result", "row", "rows", "sample", "state", "trace")
)
"""Names that the templates use themselves."""


_LETTERS = str.maketrans({"ß": "ss", "æ": "ae", "Æ": "AE", "ø": "o", "Ø": "O", "œ": "oe", "ł": "l", "Ł": "L"})
"""Letters that no mark can be taken from."""


def identifier(name: str) -> str:
    """`name`, if C takes it as an identifier. Raises QuantisationError."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", name) or name in _KEYWORDS or name in TAKEN:
        raise QuantisationError(f"{name!r} cannot be a name in C")
    return name


def comment(text: str) -> str:
    """`text` made safe to stand inside a C comment, on one line, in printable ASCII."""
    plain = _ascii(text).replace("*/", "* /").replace("/*", "/ *").replace("\\", "/")
    return plain.replace("??", "? ?").replace("??", "? ?")  # no trigraphs


def string(text: str, size: int) -> str:
    """A string literal that with its 0 takes at most `size` bytes: printable ASCII, the rest cut off."""
    plain = _ascii(text)[: size - 1]
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"').replace("?", "\\?") + '"'


def _ascii(text: str) -> str:
    """`text` on one line in printable ASCII: letters without their marks (Küche: Kuche), else "?"."""
    letters = unicodedata.normalize("NFKD", " ".join(text.split()).translate(_LETTERS))
    return "".join(c if " " <= c <= "~" else "?" for c in letters if not unicodedata.combining(c))


def integer(value: int) -> str:
    """An integer literal of any width up to 64 bits; int may have only 16."""
    if -32767 <= value <= 32767:
        return str(value)
    if -(2**31) < value < 2**31:
        return f"{value}L"
    if 0 <= value < 2**64:
        return f"{value}ULL"
    raise QuantisationError(f"{value} does not fit a C integer")


def factor_of(lift: int, shift: int, limit: int) -> str:
    """A tinyloc_factor: how far a sum is shifted up first, what `shift` then leaves below the upper word."""
    return f"{{{lift}, {shift + lift_of(shift) - 32}, {limit}}}"


def array(values: npt.NDArray[np.generic], width: int = 100) -> str:
    """The elements, in order, as lines of at most `width` characters."""
    words = [f"{int(v)}L" if values.dtype.itemsize > 2 else str(int(v)) for v in values.ravel().tolist()]
    lines, line = [], "   "
    for word in words:
        if len(line) + len(word) + 2 > width:
            lines.append(line)
            line = "   "
        line += f" {word},"
    return "\n".join([*lines, line])


def packed(weight: npt.NDArray[np.int8]) -> npt.NDArray[np.uint8]:
    """Weights [rows, columns] of 4 bits (-7..7) as bytes [rows, ceil(columns / 2)].

    Each as weight + 8, the even column in the low nibble, the odd one in the high; an odd end is filled up
    with a weight of 0.
    """
    rows, columns = weight.shape
    filled = np.zeros((rows, columns + columns % 2), np.int8)
    filled[:, :columns] = weight
    nibbles = (filled + 8).astype(np.uint8)
    return np.asarray(nibbles[:, ::2] | nibbles[:, 1::2] << 4)


def unpacking_order(weight: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """Weights [out, in] with each whole group of four inputs in the order 0, 2, 1, 3.

    Arm's DSP extension unpacks bytes 0 and 2 of a word together, then 1 and 3: in this order they meet the
    inputs as they lie in memory, and the plain loop loses nothing by it.
    """
    whole = weight.shape[1] // 4 * 4
    groups = weight[:, :whole].reshape(len(weight), -1, 4)[:, :, [0, 2, 1, 3]]
    return np.concatenate([groups.reshape(len(weight), whole), weight[:, whole:]], axis=1)
