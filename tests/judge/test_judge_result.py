"""result.json: whole or refused, and documented to the last field."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from result_samples import campus, small

from tinyloc.errors import ModelFileError
from tinyloc.judge import describe, result
from tinyloc.judge.parts import Part

NAMES = (
    "windows.test",
    "parameters",
    *(f"{figure}.{form}" for figure in ("f1_macro", "accuracy") for form in ("float", "integer", "device")),
    "baselines.forest300.f1_macro",
    *(f"device.{name}" for name in ("board", "tier", "identical_windows")),
    *(f"memory.{name}" for name in ("flash_bytes", "ram_bytes", "stack_bytes")),
    "instructions.step",
    "instructions.window",
    "fits",
)
DOCS = Path(__file__).parents[2] / "docs" / "RESULT.md"


def _check(value: Any, schema: dict[str, Any], top: dict[str, Any], place: str = "$") -> list[str]:
    """The parts of JSON Schema that ours uses; returns what is wrong."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        return _check(value, top["$defs"][name], top, place)
    if "anyOf" in schema:
        tries = [_check(value, one, top, place) for one in schema["anyOf"]]
        return [] if any(not wrong for wrong in tries) else tries[0]
    if "const" in schema:
        return [] if value == schema["const"] else [f"{place}: {value!r} is not {schema['const']!r}"]
    kinds: dict[str, Any] = {
        "object": dict,
        "array": list,
        "string": str,
        "integer": int,
        "number": (int, float),
        "null": type(None),
        "boolean": bool,
    }
    kind = schema["type"]
    if not isinstance(value, kinds[kind]) or (isinstance(value, bool) and kind != "boolean"):
        return [f"{place}: {value!r} is no {kind}"]
    wrong = []
    if value is not None and kind in ("integer", "number"):
        if value < schema.get("minimum", value) or value > schema.get("maximum", value):
            wrong.append(f"{place}: {value} out of range")
    elif kind == "array":
        for i, one in enumerate(value):
            wrong += _check(one, schema["items"], top, f"{place}[{i}]")
    elif kind == "object":
        properties = schema.get("properties", {})
        wrong += [f"{place}: {name} is missing" for name in schema.get("required", []) if name not in value]
        for name, one in value.items():
            inner = properties.get(name, schema.get("additionalProperties", {}))
            if inner is False:
                wrong.append(f"{place}: {name} is unknown")
            else:
                wrong += _check(one, inner, top, f"{place}.{name}")
    return wrong


@pytest.mark.parametrize("make", [small, campus])
def test_an_example_is_valid_by_the_schema(make: Any) -> None:
    schema = result.json_schema()
    value = json.loads(make().to_line())
    assert _check(value, schema, schema) == []
    value["f1_macro"]["device"] = 1.5
    del value["memory"]["stack_bytes"]
    value["surprise"] = 1
    assert len(_check(value, schema, schema)) == 3


def test_saved_is_loaded_and_saved_again_to_the_same_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    result.save(small(), first)
    assert result.load(first) == small()
    result.save(result.load(first), second)
    assert first.read_bytes() == second.read_bytes()


def test_names_that_scripts_rely_on() -> None:
    value = json.loads(small().to_line())
    assert "\n" not in small().to_line()
    assert value["schema"] == "tinyloc-result"
    for path in NAMES:
        at = value
        for name in path.split("."):
            at = at[name]
        assert at is not None


def _break(tmp_path: Path, change: Any) -> str:
    path = tmp_path / "result.json"
    value = json.loads(small().to_line())
    change(value)
    path.write_text(json.dumps(value))
    with pytest.raises(ModelFileError) as caught:
        result.load(path)
    text = str(caught.value)
    assert "\n" not in text
    assert str(path) in text
    return text


def test_a_file_of_another_kind_or_version_is_refused(tmp_path: Path) -> None:
    assert "version 2" in _break(tmp_path, lambda v: v.update(version=2))
    assert "is not a tinyloc-result" in _break(tmp_path, lambda v: v.pop("schema"))
    assert "surprise" in _break(tmp_path, lambda v: v.update(surprise=1))
    assert "f1_macro.device" in _break(tmp_path, lambda v: v["f1_macro"].update(device=87))
    assert "and 1 more" in _break(tmp_path, lambda v: (v.pop("seed"), v.pop("fits")))
    assert "4 x 4" in _break(tmp_path, lambda v: v["confusion"].pop())
    assert "order" in _break(tmp_path, lambda v: v["per_room"].reverse())
    assert "timeline" in _break(tmp_path, lambda v: v["timeline"][0].update(device=4))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000])
def test_a_broken_file_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "result.json"
    path.write_bytes(content)
    with pytest.raises(ModelFileError) as caught:
        result.load(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="no such file"):
        result.load(tmp_path / "none.json")
    with pytest.raises(ModelFileError, match="could not be read"):
        result.load(tmp_path)


def test_a_result_is_frozen_and_finite() -> None:
    with pytest.raises(ValidationError):
        small().seed = 2  # type: ignore[misc]
    with pytest.raises(ValidationError):
        result.Instructions(step=float("nan"), window=1.0)


def test_every_field_has_a_description_and_every_figure_a_unit() -> None:
    for part in [result.Result, *Part.__subclasses__()]:
        for name, info in part.model_fields.items():
            assert info.description, f"{part.__name__}.{name}"
            assert isinstance(info.json_schema_extra, dict), f"{part.__name__}.{name}"
            if name.endswith("_bytes"):
                assert info.json_schema_extra["unit"] == "bytes"


def test_docs_result_md_is_what_the_models_say() -> None:
    assert DOCS.read_text() == describe.markdown(), "python -m tinyloc.judge.describe > docs/RESULT.md"


def test_seeds_are_summarised() -> None:
    def seed(n: int, f1: float, forest: float | None) -> result.Seed:
        scores = result.Scores(float_=f1, integer=f1, device=f1)
        return result.Seed(
            seed=n,
            validation_f1=f1,
            f1_macro=scores,
            accuracy=scores,
            identical_windows=5,
            windows=5,
            forest300_f1_macro=forest,
        )

    summary = result.summarise_seeds([seed(1, 0.8, 0.7), seed(2, 0.9, 0.75)])
    assert summary is not None
    assert summary.f1_macro.mean == pytest.approx(0.85)
    assert (summary.f1_macro.min, summary.f1_macro.max) == (0.8, 0.9)
    assert summary.forest300_f1_macro is not None
    assert result.summarise_seeds([seed(1, 0.8, 0.7)]) is None
    only = result.summarise_seeds([seed(1, 0.8, 0.7), seed(2, 0.9, None)])
    assert only is not None
    assert only.forest300_f1_macro is None
