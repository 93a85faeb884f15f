"""A model as a package that a firmware engineer drops in: plain C, Arduino, Zephyr, PlatformIO, ESP-IDF.

All five hold the same sources: the model with its guard (it refuses to answer from damaged tables), the
table of access points, the golden samples and the self-test. What differs is where they lie and which
manifest says so.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Final, Literal, get_args

import jinja2
import numpy as np
import numpy.typing as npt

from tinyloc import __version__
from tinyloc.emit.golden import Segment, golden, samples_for
from tinyloc.emit.literals import array, comment, string
from tinyloc.emit.plan import plan
from tinyloc.emit.write import NAME_BYTES, SEGMENTS, Writer, state_bytes, texts
from tinyloc.errors import OutputError, UsageError
from tinyloc.files import write_bytes, write_text
from tinyloc.quant import storage
from tinyloc.quant.graph import Graph

Kind = Literal["c", "arduino", "zephyr", "platformio", "esp-idf"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

_COMMON = {"README.md.j2": "README.md"}
LAYOUTS: Final[Mapping[Kind, Mapping[str, str]]] = {
    "c": {"Makefile.j2": "Makefile", "live.c.j2": "examples/live.c", "selftest.c.j2": "examples/selftest.c"},
    "arduino": {
        "library.properties.j2": "library.properties",
        "Live.ino.j2": "examples/Live/Live.ino",
        "SelfTest.ino.j2": "examples/SelfTest/SelfTest.ino",
    },
    "zephyr": {
        "module.yml.j2": "zephyr/module.yml",
        "zephyr.cmake.j2": "zephyr/CMakeLists.txt",
        "Kconfig.j2": "zephyr/Kconfig",
        "zephyr_sample.cmake.j2": "samples/selftest/CMakeLists.txt",
        "prj.conf.j2": "samples/selftest/prj.conf",
        "selftest.c.j2": "samples/selftest/src/main.c",
    },
    "platformio": {"library.json.j2": "library.json", "selftest.c.j2": "examples/selftest/selftest.c"},
    "esp-idf": {
        "idf_component.yml.j2": "idf_component.yml",
        "esp_idf.cmake.j2": "CMakeLists.txt",
        "esp_idf_project.cmake.j2": "examples/selftest/CMakeLists.txt",
        "esp_idf_main.cmake.j2": "examples/selftest/main/CMakeLists.txt",
        "esp_idf_main.yml.j2": "examples/selftest/main/idf_component.yml",
        "selftest.c.j2": "examples/selftest/main/main.c",
    },
}
"""Template -> file, beside `src/` and what all packages have."""

_ADDRESS = re.compile(r"[0-9a-fA-F]{2}([:-]?[0-9a-fA-F]{2}){5}")
ADDRESS_FORM = "six bytes in hexadecimal, such as 0A:1B:2C:3D:4E:5F"


@dataclass(frozen=True)
class Figures:
    """What the package's own C was measured to need, in words for its README: name -> value."""

    rows: Mapping[str, str] = field(default_factory=dict)
    how: str = "Not measured: no emulator was found when this was written."


def parse_address(text: str) -> bytes | None:
    """The six bytes of "0A:1B:2C:3D:4E:5F", also with hyphens or nothing between; None for any other text."""
    return bytes.fromhex(text.replace(":", "").replace("-", "")) if _ADDRESS.fullmatch(text) else None


def addresses_of(graph: Graph, known: Mapping[str, str] | None = None) -> list[bytes | None]:
    """Six bytes for each access point: of `known` (name -> address), else of a name that is an address; None
    where neither says. Raises UsageError for what is no address, and for two access points with one address.
    """
    known = known or {}
    strangers = [name for name in known if name not in graph.access_points]
    if strangers:
        raise UsageError(f"the model knows no access point {strangers[0]!r}")
    found: list[bytes | None] = []
    for name in graph.access_points:
        text = known.get(name, name)
        address = parse_address(text)
        if address is None and name in known:
            raise UsageError(f"{text!r} is no address: expected {ADDRESS_FORM}")
        found.append(address)
    said = [address for address in found if address is not None]
    if len(set(said)) != len(said):
        raise UsageError("two access points have one address")
    return found


def write_package(
    graph: Graph,
    kind: Kind,
    folder: Path,
    real: npt.NDArray[np.int8],
    *,
    addresses: Mapping[str, str] | None = None,
    figures: Figures | None = None,
) -> list[Path]:
    """Write `graph`, which streams (`quant.stream.streaming`), as a package into `folder`; returns the files.

    `real` [n, P] int8: consecutive real samples for the self-test. `addresses`: see `addresses_of`. A
    folder that holds anything else than an earlier package is refused. Raises OutputError,
    QuantisationError, UsageError.
    """
    if kind not in KINDS:
        raise UsageError(f"a package is one of {', '.join(KINDS)}, not {kind!r}")
    found = addresses_of(graph, addresses)
    segments = [golden(graph, samples) for samples in samples_for(graph, real)]
    files = {f"src/{name}": text for name, text in sources(graph, found, segments).items()}
    facts = _facts(graph, kind, found, segments, figures or Figures(), sorted(files))
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tinyloc.emit", "templates/package"),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    for template, name in {**_COMMON, **LAYOUTS[kind]}.items():
        files[name] = environment.get_template(template).render(facts)
    _make_room(folder)
    for name, text in files.items():
        write_text(folder / name, text)
    write_bytes(folder / "model.tinyloc", storage.to_bytes(graph))
    return [*(folder / name for name in files), folder / "model.tinyloc"]


def sources(graph: Graph, addresses: list[bytes | None], segments: list[Segment]) -> dict[str, str]:
    """The C of a package: file name -> text."""
    found = texts(graph, guarded=True)
    for source in sorted(resources.files("tinyloc.csrc.package").iterdir(), key=lambda entry: entry.name):
        if source.name.endswith((".c", ".h")):
            found[source.name] = source.read_text()
    tables = Writer(graph, plan(graph, traced=True), guarded=True).text.tables
    names = [f"{op.name} ({type(op).__name__})" for op in graph.operators]
    found["tinyloc_names.c"] = _unit(
        "Which access point is which column, and the names of the rooms.",
        "tinyloc_names.h",
        _rows("uint8_t", "tinyloc_addresses[TINYLOC_ACCESS_POINTS][6]", _address_rows(graph, addresses)),
        _strings("tinyloc_room_names[TINYLOC_ROOMS]", list(graph.rooms)),
        edit="fill in missing addresses (zeros), and edit nothing else",
    )
    found["tinyloc_golden.c"] = _unit(
        "Golden samples and what every operator leaves on them.",
        "tinyloc_golden.h",
        _rows("int8_t", "tinyloc_golden_samples[]", [array(np.concatenate([s.samples for s in segments]))]),
        _rows(
            "uint16_t",
            "tinyloc_golden_lengths[TINYLOC_SEGMENTS]",
            [_numbers(len(s.samples) for s in segments)],
        ),
        _rows(
            "uint32_t",
            "tinyloc_golden_hashes[TINYLOC_SEGMENTS][TINYLOC_OPERATORS + 1]",
            ["    {" + _hex(segment.hashes) + "}," for segment in segments],
        ),
        _strings("tinyloc_operator_names[TINYLOC_OPERATORS + 1]", [*names, "answer"]),
        _rows(
            "uint32_t",
            "tinyloc_golden_tables[TINYLOC_TABLES]",
            [_hex(zlib.crc32(table["raw"]) for table in tables)],
        ),
        _strings("tinyloc_table_names[TINYLOC_TABLES]", [str(table["name"]) for table in tables]),
    )
    return found


def _facts(
    graph: Graph,
    kind: Kind,
    addresses: list[bytes | None],
    segments: list[Segment],
    figures: Figures,
    files: list[str],
) -> dict[str, Any]:
    """What the templates ask for."""
    P = len(graph.access_points)
    outputs = {extra.output for extra in graph.extras}
    return {
        "kind": kind,
        "version": __version__,
        "model": comment(f"{graph.family} {graph.size}"),
        "points": P,
        "rooms": [comment(room) for room in graph.rooms],
        "columns": [
            (comment(name), "" if address is None else address.hex(":").upper())
            for name, address in zip(graph.access_points, addresses, strict=True)
        ],
        "missing": sum(address is None for address in addresses),
        "steps": graph.window_steps,
        "hop": graph.hop,
        "carried": graph.state == "carried",
        "seconds": f"{graph.seconds_per_step:g}" if graph.seconds_per_step else "",
        "follows": graph.follower is not None,
        "motion": graph.motion,
        "unknown": "unknown" in outputs,
        "probability": "probability" in outputs,
        "state_bytes": state_bytes(graph) + 4,
        "golden_samples": sum(len(segment.samples) for segment in segments),
        "operators": len(graph.operators),
        "figures": figures,
        "sources": [name for name in files if name.endswith(".c")],
        "description": json.dumps(
            f"The room of a wearable from {P} access points: {graph.family} {graph.size}, integers only."
        ),
    }


def _make_room(folder: Path) -> None:
    """Remove an earlier package's C; refuse a folder that holds something else."""
    if not folder.exists():
        return
    if not folder.is_dir() or (any(folder.iterdir()) and not (folder / "model.tinyloc").is_file()):
        raise OutputError(
            f"{folder}: holds something that is no package of tinyloc", hint="Name an empty folder with --to."
        )
    try:
        for name in ("tinyloc_*.c", "tinyloc_*.h"):
            for path in (folder / "src").glob(name):
                path.unlink()
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror or error})") from error


def _unit(title: str, header: str, *parts: str, edit: str = "do not edit") -> str:
    head = f'/* {title}\n   Generated by tinyloc {__version__}; {edit}. */\n#include "{header}"\n'
    return head + "".join(f"\n{part}\n" for part in parts)


def _rows(kind: str, name: str, lines: list[str]) -> str:
    return f"TINYLOC_FLASH {kind} {name} = {{\n" + "\n".join(lines) + "\n};"


def _strings(name: str, words: list[str]) -> str:
    return _rows(
        "char", f"{name}[TINYLOC_NAME_BYTES]", [f"    {string(word, NAME_BYTES)}," for word in words]
    )


def _numbers(values: Any) -> str:
    return "    " + ", ".join(str(value) for value in values) + ","


def _hex(values: Any) -> str:
    return "\n    ".join(["", *(f"0x{value:08X}UL," for value in values), ""]).rstrip(" ")


def _address_rows(graph: Graph, addresses: list[bytes | None]) -> list[str]:
    return [
        "    {"
        + ", ".join(f"0x{byte:02X}" for byte in address or bytes(6))
        + f"}}, /* {at} {comment(name)} */"
        for at, (name, address) in enumerate(zip(graph.access_points, addresses, strict=True))
    ]


assert SEGMENTS == 2, "samples_for makes as many"
