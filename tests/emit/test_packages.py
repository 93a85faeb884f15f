"""Packages: written, held to their rules, built as far as their toolchain is packaged, and proved there."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import package_rules
import pytest
from test_streaming import heard, made

from tinyloc.device.compile import STRICT
from tinyloc.emit.package import KINDS, Figures, Kind, addresses_of, write_package
from tinyloc.errors import OutputError, UsageError
from tinyloc.quant.storage import load
from tinyloc.quant.stream import Stream

FLAGS = ("-O0", *STRICT[1:])


def package(kind: Kind, folder: Path, graph: str = "steps") -> Path:
    """A package of a small model."""
    hop = {"windows": 2, "carried": 1}.get(graph, 5)
    write_package(made(graph, hop, 1), kind, folder, heard(1), addresses={"ap1": "0a:1B:2c:3D:4e:5F"})
    return folder


def run(*command: str | Path, at: Path | None = None, feed: str = "") -> subprocess.CompletedProcess[str]:
    """A command; whatever it says."""
    return subprocess.run(
        [str(part) for part in command],
        cwd=at,
        input=feed,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


OBJECTS: dict[str, bytes] = {}
"""What was compiled already, by source, model and flags: most packages here share their kernels."""


def built(folder: Path, program: str) -> Path:
    """The package's example, compiled for this computer as its Makefile would."""
    model = (folder / "src" / "tinyloc_model.h").read_text()
    objects = []
    for source in (*sorted((folder / "src").glob("*.c")), folder / "examples" / f"{program}.c"):
        key, made_of = source.read_text() + model, folder / f"{source.stem}.o"
        if key not in OBJECTS:
            done = run("cc", "-std=gnu99", *FLAGS, "-I", folder / "src", "-c", source, "-o", made_of)
            assert done.returncode == 0, done.stderr
            OBJECTS[key] = made_of.read_bytes()
        made_of.write_bytes(OBJECTS[key])
        objects.append(made_of)
    done = run("cc", *objects, "-o", folder / f"{program}.out")
    assert done.returncode == 0, done.stderr
    return folder / f"{program}.out"


@pytest.mark.parametrize("kind", KINDS)
def test_every_manifest_keeps_its_rules(kind: Kind, tmp_path: Path) -> None:
    folder = package(kind, tmp_path / "p")
    rules = {"arduino": package_rules.arduino, "platformio": package_rules.platformio,
             "zephyr": package_rules.zephyr, "esp-idf": package_rules.esp_idf}  # fmt: skip
    if kind in rules:
        rules[kind](folder)
    readme = (folder / "README.md").read_text()
    assert "0A:1B:2C:3D:4E:5F" in readme
    assert "**2 of 3 have no address yet**" in readme
    assert package(kind, tmp_path / "p"), "a package is written over an earlier one"


@pytest.mark.parametrize("graph", ["steps", "windows", "carried", "crf", "follows"])
def test_a_sound_package_passes_and_answers_as_python(graph: str, tmp_path: Path) -> None:
    folder = package("c", tmp_path / "p", graph)
    done = run(built(folder, "selftest"))
    assert (done.returncode, done.stdout) == (0, "tinyloc: pass\n")
    samples = heard(2, 40)
    lines = "".join(",".join(map(str, sample)) + "\n" for sample in samples)
    twin = Stream(load(folder / "model.tinyloc"))
    answers = [twin.step(sample) for sample in samples]
    said = run(built(folder, "live"), feed=lines).stdout.splitlines()
    assert [int(line.split()[0]) for line in said] == [a.settled for a in answers if a.fresh]
    assert [line.endswith("(unknown)") for line in said] == [a.unknown for a in answers if a.fresh]


def test_the_makefile_works(tmp_path: Path) -> None:
    done = run("make", "-s", "test", f"CFLAGS={' '.join(FLAGS)}", at=package("c", tmp_path / "p"))
    assert done.stdout == "tinyloc: pass\n", done.stderr


def damage(folder: Path, table: str) -> None:
    """Another first number in a table of the C, as worn flash would have it."""
    model = folder / "src" / "tinyloc_model.c"
    text, count = re.subn(
        rf"(\b{table}\[\d+\] = {{[^\n]*\n\s+)(-?\d+)",
        lambda found: (
            found[1] + str(int(found[2]) ^ 0x15 if abs(int(found[2])) < 256 else int(found[2]) // 2)
        ),
        model.read_text(),
    )
    assert count == 1
    model.write_text(text)


@pytest.mark.parametrize(
    ("graph", "table", "operator"),
    [
        ("steps", "in_x0_weight", "in_x0 (Linear)"),
        ("steps", "dt_proj0_multiplier", "dt_proj0 (Linear)"),
        ("windows", "head_multiplier", "head (Linear)"),
        ("windows", "novelty_centre", ""),
    ],
)
def test_a_damaged_weight_is_found_and_nothing_is_answered(
    graph: str, table: str, operator: str, tmp_path: Path
) -> None:
    folder = package("c", tmp_path / "p", graph)
    damage(folder, table)
    done = run(built(folder, "selftest"))
    assert done.returncode == 1
    assert done.stdout.startswith(f"tinyloc: damaged table {table}")
    if operator:
        assert done.stdout == f"tinyloc: damaged table {table}; first operator that differs: {operator}\n"
    live = run(built(folder, "live"), feed="-60,-70,-80\n" * 30)
    assert (live.returncode, live.stdout) == (1, "the model's tables are damaged\n")


def test_no_step_runs_on_damaged_tables(tmp_path: Path) -> None:
    folder = package("c", tmp_path / "p")
    damage(folder, "in_x0_weight")
    (folder / "examples" / "stubborn.c").write_text(
        '#include <stdio.h>\n#include "tinyloc_model.h"\n'
        "int main(void)\n{\n    static tinyloc_state state;\n"
        "    const int8_t sample[TINYLOC_SAMPLE_BYTES] = {0};\n    tinyloc_result result;\n"
        "    tinyloc_init(&state);\n    tinyloc_restart(&state);\n"
        "    tinyloc_missed(&state, 999);\n    tinyloc_step(&state, sample, &result);\n"
        '    printf("%d %d %d\\n", result.room, result.settled, result.unknown);\n    return 0;\n}\n'
    )
    assert run(built(folder, "stubborn")).stdout == "255 255 1\n"


@pytest.mark.parametrize(
    "operator", ["scan0 (Scan)", "conv0 (DepthwiseConv)", "hold (Filter)", "chance (Probability)"]
)
def test_a_kernel_that_computes_otherwise_is_named(operator: str, tmp_path: Path) -> None:
    """As a compiler that gets one operator wrong: its output is turned over by one bit, in every step."""
    folder = package("c", tmp_path / "p")
    model = folder / "src" / "tinyloc_model.c"
    name = operator.split()[0]
    head, traced = model.read_text().split("void tinyloc_step_traced", 1)
    call = re.search(rf"^ +tinyloc_\w+\(&{name}, .*?([\w>.-]+)\);$", traced, re.MULTILINE)
    assert call
    model.write_text(
        f"{head}void tinyloc_step_traced{traced.replace(call[0], f'{call[0]} {call[1]}[0] ^= 1;')}"
    )
    assert run(built(folder, "selftest")).stdout == f"tinyloc: first operator that differs: {operator}\n"


@pytest.mark.skipif(shutil.which("avr-gcc") is None, reason="needs gcc-avr and avr-libc")
def test_the_arduino_library_builds_for_an_atmega328p_and_passes_there(tmp_path: Path) -> None:
    folder = package("arduino", tmp_path / "TinylocModel")
    core = tmp_path / "core"
    core.mkdir()
    (core / "Arduino.h").write_text(ARDUINO)
    flags = (
        "-mmcu=atmega328p",
        "-DF_CPU=16000000UL",
        "-Os",
        "-ffunction-sections",
        "-fdata-sections",
        "-Wall",
    )
    objects = []
    for source in sorted((folder / "src").glob("*.c")):
        objects.append(tmp_path / f"{source.stem}.o")
        done = run("avr-gcc", "-std=gnu11", *flags, "-Wextra", "-Werror", "-c", source, "-o", objects[-1])
        assert done.returncode == 0, done.stderr
    for name in ("Live", "SelfTest"):
        sketch = folder / "examples" / name / f"{name}.ino"
        unit = tmp_path / f"{name}.cpp"
        # as the Arduino builder makes a unit of a sketch
        unit.write_text(f"#include <Arduino.h>\n{sketch.read_text()}")
        elf = tmp_path / f"{name}.elf"
        places = ("-I", core, "-I", folder / "src")
        linked = (unit, *objects, "-Wl,--gc-sections", "-o", elf)
        done = run("avr-g++", "-std=gnu++11", *flags, "-Werror", *places, *linked)
        assert done.returncode == 0, done.stderr
    sizes = run("avr-size", "-A", tmp_path / "Live.elf").stdout
    ram = sum(int(size) for size in re.findall(r"^\.(?:data|bss)\s+(\d+)", sizes, re.MULTILINE))
    assert ram < 1024, "tables stay in flash"
    if shutil.which("simavr"):
        said = run("simavr", "-m", "atmega328p", "-f", "16000000", tmp_path / "SelfTest.elf")
        assert "tinyloc: pass" in said.stdout + said.stderr


ARDUINO = r"""
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>
#include <util/delay.h>
static struct {
  void begin(long) { UCSR0B = _BV(TXEN0); }
  void put(char c) { while (!(UCSR0A & _BV(UDRE0))) {} UDR0 = c; }
  void println(const char *text) { while (*text) { put(*text++); } put('\n'); }
} Serial;
static inline void delay(unsigned) {}
void setup();
void loop();
int main() { setup(); for (int i = 0; i < 8; i++) { loop(); } cli(); sleep_enable(); sleep_cpu(); return 0; }
"""
"""As much of the Arduino core as the sketches use."""


def test_addresses_are_read_and_told_apart() -> None:
    graph = made("steps", 5, 1)
    assert addresses_of(graph) == [None, None, None]
    assert addresses_of(graph, {"ap0": "01-02-03-04-05-06"}) == [bytes([1, 2, 3, 4, 5, 6]), None, None]
    for wrong, message in (
        ({"ap9": "01:02:03:04:05:06"}, "no access point"),
        ({"ap0": "01:02"}, "is no address"),
        ({"ap0": "010203040506", "ap1": "01:02:03:04:05:06"}, "one address"),
    ):
        with pytest.raises(UsageError, match=message):
            addresses_of(graph, wrong)


def test_what_is_in_the_way_stays(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("dear")
    with pytest.raises(OutputError, match="no package"):
        package("c", tmp_path)
    with pytest.raises(UsageError, match="a package is one of"):
        write_package(made("steps", 5, 1), "mbed", tmp_path / "p", heard(1))  # type: ignore[arg-type]


def test_names_that_are_no_c_are_harmless(tmp_path: Path) -> None:
    from dataclasses import replace

    rooms, points = ('"; int x;', "a\\\nb", "ø??/", "*/ d"), ("*/", "b", '"')
    graph = replace(made("steps", 5, 1), rooms=rooms, access_points=points)
    write_package(graph, "c", tmp_path / "p", heard(1), figures=Figures({"flash": "few"}, "Made up."))
    assert run(built(tmp_path / "p", "selftest")).stdout == "tinyloc: pass\n"
    assert "| flash | few |" in (tmp_path / "p" / "README.md").read_text()
    assert np.array_equal(load(tmp_path / "p" / "model.tinyloc").hop, 5)
