"""The integer model's file: magic, version, sizes, checksum, a description, then the arrays.

::

    offset  bytes
    0       8      magic "TINYLOC\\0"
    8       2      version, little-endian
    10      4      bytes of the description, n
    14      4      bytes of the arrays, m
    18      32     SHA-256 of everything else in the file
    50      n      description: JSON, UTF-8 (names, tensors, operators; an array is {"array": index})
    50 + n  m      arrays one after the other, little-endian

The same graph gives the same bytes. Nothing in the file is executed when it is read, and a file that was cut,
altered, or written by another version is refused before anything in it is used.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import struct
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np

from tinyloc.errors import ModelFileError, QuantisationError
from tinyloc.files import write_bytes
from tinyloc.quant.graph import OPERATORS, Graph, Operator, Tensor

MAGIC = b"TINYLOC\0"
VERSION = 4
_HEAD = struct.Struct("<8sHII")
_DIGEST = 32
_START = _HEAD.size + _DIGEST
_MAKE = "`tinyloc quantise` makes one."
_TYPES = ("int8", "uint8", "int16", "uint16", "int32")


def to_bytes(graph: Graph) -> bytes:
    """The file's bytes."""
    arrays: list[np.ndarray[Any, Any]] = []

    def plain(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            arrays.append(value)
            return {"array": len(arrays) - 1}
        return value

    operators = [
        {"operator": type(operator).__name__, **{key: plain(value) for key, value in vars(operator).items()}}
        for operator in graph.operators
    ]
    about = {
        field.name: getattr(graph, field.name)
        for field in dataclasses.fields(graph)
        if field.name not in ("tensors", "operators")
    }
    if not graph.hop:
        del about["hop"]  # as files were before graphs could stream
    about["tensors"] = [dataclasses.asdict(tensor) for tensor in graph.tensors]
    about["operators"] = operators
    about["arrays"] = [{"type": array.dtype.name, "shape": list(array.shape)} for array in arrays]
    description = json.dumps(about, allow_nan=False).encode()
    body = b"".join(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes() for array in arrays)
    head = _HEAD.pack(MAGIC, VERSION, len(description), len(body))
    return head + hashlib.sha256(head + description + body).digest() + description + body


def save(graph: Graph, path: Path) -> None:
    """Write the integer model, whole or not at all. Raises OutputError."""
    write_bytes(path, to_bytes(graph))


def load(path: Path) -> Graph:
    """Read an integer model and check it. Raises ModelFileError, one line, for anything that is not whole."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelFileError(
            f"{path}: no integer model can be read ({error.strerror or error})", hint=_MAKE
        ) from None
    return from_bytes(data, str(path))


def from_bytes(data: bytes, name: str = "integer model") -> Graph:
    """The graph in a file's bytes. Raises ModelFileError."""
    if len(data) < _START or not data.startswith(MAGIC):
        raise ModelFileError(f"{name}: this is not an integer model of tinyloc", hint=_MAKE)
    _, version, description_bytes, body_bytes = _HEAD.unpack_from(data)
    if version != VERSION:
        raise ModelFileError(
            f"{name}: version {version} of the integer model's format, this program reads version {VERSION}",
            hint="Quantise the checkpoint again with this version.",
        )
    if len(data) != _START + description_bytes + body_bytes:
        raise ModelFileError(
            f"{name}: {len(data):,} bytes where its header says {_START + description_bytes + body_bytes:,}",
            hint="The file was cut or added to: copy it again, or quantise again.",
        )
    digest = hashlib.sha256(data[: _HEAD.size] + data[_START:]).digest()
    if digest != data[_HEAD.size : _START]:
        raise ModelFileError(
            f"{name}: the checksum does not match, the file was altered",
            hint="Copy it again, or quantise again.",
        )
    try:
        about = json.loads(data[_START : _START + description_bytes])
        return _graph(about, data[_START + description_bytes :]).check()
    except QuantisationError as error:
        raise ModelFileError(f"{name}: {error.message}") from None
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise ModelFileError(f"{name}: its description makes no sense ({error})") from None


def _graph(about: dict[str, Any], body: bytes) -> Graph:
    arrays, offset = [], 0
    for entry in about.pop("arrays"):
        if entry["type"] not in _TYPES:
            raise ValueError(f"array type {entry['type']!r}")
        kind, shape = np.dtype(entry["type"]), tuple(int(length) for length in entry["shape"])
        count = math.prod(shape)
        if min(shape, default=0) < 0 or count * kind.itemsize > len(body) - offset:
            raise ValueError(f"an array of shape {list(shape)}")
        flat = np.frombuffer(body, kind.newbyteorder("<"), count, offset)
        arrays.append(flat.astype(kind).reshape(shape))
        offset += count * kind.itemsize
    if offset != len(body):
        raise ValueError("arrays of another size")

    def operator(entry: dict[str, Any]) -> Operator:
        kind = OPERATORS[entry.pop("operator")]
        for name, value in entry.items():
            if isinstance(value, dict):
                entry[name] = arrays[value["array"]]
        return kind(**_typed(kind, entry))

    about["tensors"] = tuple(Tensor(**_typed(Tensor, entry)) for entry in about["tensors"])
    about["operators"] = tuple(operator(entry) for entry in about["operators"])
    for names in ("access_points", "rooms"):
        if not isinstance(about[names], list) or not all(isinstance(name, str) for name in about[names]):
            raise ValueError(f"{names} are no list of names")
        about[names] = tuple(about[names])
    about.setdefault("hop", 0)
    return Graph(**_typed(Graph, about))


def _typed(kind: type, entry: dict[str, Any]) -> dict[str, Any]:
    """The fields of a dataclass, each of them there, none besides, numbers and texts of the kind they are
    declared as. Raises ValueError.
    """
    hints, names = get_type_hints(kind), {field.name for field in dataclasses.fields(kind)}
    for name in names ^ set(entry):
        raise ValueError(f"{'no' if name in names else 'unknown'} field {name!r}")
    for name, value in entry.items():
        asked = hints[name]
        if asked is float and type(value) is int:
            entry[name] = value = float(value)
        if asked in (int, str, bool, float) and type(value) is not asked:
            raise ValueError(f"{name} is {value!r}")
        if asked is int and not -(2**63) <= value < 2**63:
            raise ValueError(f"{name} is {value}, which no register holds")
    return entry
