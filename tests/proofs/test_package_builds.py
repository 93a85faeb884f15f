"""Packages built with more than a compiler: under CMake, and for a Cortex-M4 that runs its self-test."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from builders import any_bytes, mamba, signal

from tinyloc.emit.package import Kind, write_package
from tinyloc.quant.lower import lower
from tinyloc.quant.stream import streaming


def package(kind: Kind, folder: Path) -> Path:
    """A package of a small Mamba."""
    _, checkpoint = mamba(8, 1, 6, 4)
    graph = streaming(lower(checkpoint, signal(40, 20, 6)))
    real = np.concatenate([signal(2, 20, 6, 1), any_bytes(1, 20, 6)]).reshape(-1, 6)
    write_package(graph, kind, folder, real)
    return folder


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """A command; whatever it says."""
    words = [str(part) for part in command]
    return subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cmake") is None, reason="needs cmake")
@pytest.mark.parametrize("kind", ["zephyr", "esp-idf"])
def test_the_cmake_of_a_package_makes_a_library(kind: Kind, tmp_path: Path) -> None:
    """With functions of the same names in the place of Zephyr's and ESP-IDF's."""
    folder = package(kind, tmp_path / "p")
    where = folder / "zephyr" if kind == "zephyr" else folder
    (tmp_path / "CMakeLists.txt").write_text(STUBS + f'add_subdirectory("{where}" model)\n')
    for command in (("cmake", "-S", tmp_path, "-B", tmp_path / "b"), ("cmake", "--build", tmp_path / "b")):
        done = run(*command)
        assert done.returncode == 0, done.stderr
    assert list((tmp_path / "b").rglob("libtinyloc_model.a"))


STUBS = r"""
cmake_minimum_required(VERSION 3.16)
project(stubs C)
set(CONFIG_TINYLOC_MODEL y)
macro(zephyr_library_named name)
  add_library(${name} STATIC)
  set(library ${name})
endmacro()
function(zephyr_library_sources)
  foreach(source ${ARGN})
    target_sources(${library} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/${source})
  endforeach()
endfunction()
function(zephyr_include_directories)
  target_include_directories(${library} PUBLIC ${CMAKE_CURRENT_SOURCE_DIR}/${ARGV0})
endfunction()
function(idf_component_register)
  cmake_parse_arguments(component "" "" "SRCS;INCLUDE_DIRS" ${ARGN})
  add_library(tinyloc_model STATIC ${component_SRCS})
  target_include_directories(tinyloc_model PUBLIC ${component_INCLUDE_DIRS})
endfunction()
"""


@pytest.mark.slow
@pytest.mark.reference
@pytest.mark.skipif(
    shutil.which("arm-none-eabi-gcc") is None or shutil.which("qemu-system-arm") is None,
    reason="needs gcc-arm-none-eabi, libnewlib-arm-none-eabi and qemu-system-arm",
)
def test_the_self_test_passes_on_an_emulated_cortex_m4_and_finds_a_damaged_weight(tmp_path: Path) -> None:
    folder = package("c", tmp_path / "p")
    vectors = tmp_path / "vectors.c"
    vectors.write_text(VECTORS)
    model = folder / "src" / "tinyloc_model.c"
    sound = model.read_text()
    said = []
    for text in (sound, sound.replace("in_x0_weight[128] = { /* 16 x 8 */\n    ", sound_other(sound))):
        model.write_text(text)
        flags = ("-std=gnu99", "-O2", "-mcpu=cortex-m4", "-mthumb", "-ffunction-sections", "-fdata-sections")
        sources = [*sorted((folder / "src").glob("*.c")), folder / "examples" / "selftest.c", vectors]
        link = ("-Wl,--gc-sections", "-Wl,--undefined=vectors", "-Wl,--section-start=.isr_vector=0")
        places = ("-I", folder / "src", "--specs=rdimon.specs", "-o", tmp_path / "selftest.elf")
        done = run("arm-none-eabi-gcc", *flags, *sources, *link, *places)
        assert done.returncode == 0, done.stderr
        board = ("-M", "mps2-an386", "-nographic", "-semihosting", "-kernel", tmp_path / "selftest.elf")
        said.append(run("qemu-system-arm", *board).stdout)
    damaged = "tinyloc: damaged table in_x0_weight; first operator that differs: in_x0 (Linear)\n"
    assert said == ["tinyloc: pass\n", damaged]


def sound_other(text: str) -> str:
    """The head of that table with another first weight."""
    head = "in_x0_weight[128] = { /* 16 x 8 */\n    "
    assert head in text
    return f"{head}1"  # a digit more in front of the first weight


VECTORS = """extern void _start(void);
__attribute__((section(".isr_vector"), used)) void *const vectors[2] = {(void *)0x20400000, (void *)_start};
"""
