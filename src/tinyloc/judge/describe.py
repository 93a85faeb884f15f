"""`docs/RESULT.md`, written from the models: `python -m tinyloc.judge.describe > docs/RESULT.md`."""

from __future__ import annotations

from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from tinyloc.judge.parts import Part
from tinyloc.judge.result import SCHEMA, VERSION, Result

HEAD = f"""# result.json

What `tinyloc run` found out, and all that `tinyloc report` reads. Schema `{SCHEMA}`, version {VERSION}.
`Result` in `src/tinyloc/judge/result.py` is the schema; `tinyloc.judge.result.json_schema()` gives it as
JSON Schema, each property with its `unit`. This page is generated from it by
`python -m tinyloc.judge.describe > docs/RESULT.md`, and a test holds the two together.

Shares run from 0 to 1. KB = 1,024 bytes. A dot steps into an object, `[]` into each entry of a list. Every
field is always written, as null where its type says so and there is nothing to tell; unknown fields are
refused.

Macro-F1 is the mean of each room's F1 over the rooms that occur in the truth of the windows scored.

| field | type | unit | meaning |
|---|---|---|---|
"""


def _part(annotation: Any) -> tuple[type[Part] | None, str]:
    """The Part inside an annotation, if any, and "[]" where it is one of many."""
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return annotation, ""
    many = "[]" if get_origin(annotation) is tuple else ""
    for inner in get_args(annotation):
        part, deeper = _part(inner)
        if part is not None:
            return part, many + deeper
    return None, ""


def _type(annotation: Any) -> str:
    """An annotation in JSON's words."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(inner[0])
    if origin is Literal:
        return " or ".join(f"`{value!r}`".replace("'", '"') for value in inner)
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(_type(one) for one in inner))
    if origin is tuple:
        return f"list of {_type(inner[0])}"
    if origin is dict:
        return f"object of {_type(inner[1])}"
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return "object"
    return {str: "text", int: "integer", float: "number", bool: "true/false", type(None): "null"}[annotation]


def _rows(part: type[Part], prefix: str = "") -> list[str]:
    rows = []
    for name, info in part.model_fields.items():
        extra = info.json_schema_extra
        unit = extra.get("unit", "") if isinstance(extra, dict) else ""
        place = f"{prefix}{info.alias or name}"
        inner, many = _part(info.annotation)
        kind = _type(info.annotation)
        rows.append(f"| `{place}` | {kind} | {unit} | {info.description} |")
        if inner is not None:
            rows += _rows(inner, f"{place}{many}.")
    return rows


def markdown() -> str:
    """The whole of docs/RESULT.md."""
    return HEAD + "\n".join(_rows(Result)) + "\n"


if __name__ == "__main__":
    print(markdown(), end="")
