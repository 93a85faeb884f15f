"""What can be said of an emitted model's C without running it: linters, the call graph, the stack."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from fuzz_models import POINTS, graphs

from tinyloc.device.host import build_host
from tinyloc.emit import emit

ROOT = Path(__file__).parents[2]
MODELS = ("mamba-crf", "transformer", "mdcsa-streams", "statnet-streams", "mlp")
GCC = "arm-none-eabi-gcc"
EDGE = r'edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"'


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The C of some models, each in its folder."""
    found, models = {}, graphs()
    for name in MODELS:
        found[name] = tmp_path_factory.mktemp(name)
        emit(models[name], found[name])
    return found


def need(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")


def run(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", MODELS)
def test_cppcheck_finds_nothing(name: str, written: dict[str, Path]) -> None:
    need("cppcheck")
    kinds = "--enable=warning,style,performance,portability"
    flags = ("--std=c99", kinds, "--error-exitcode=1", "--quiet", "--suppress=missingIncludeSystem")
    done = run("cppcheck", *flags, "-I", written[name], *sorted(written[name].glob("*.c")))
    assert done.returncode == 0, done.stderr


def test_cppcheck_is_heard(tmp_path: Path) -> None:
    need("cppcheck")
    (tmp_path / "wrong.c").write_text("int f(void) { int a[2]; a[2] = 1; return a[2]; }\n")
    assert run("cppcheck", "--error-exitcode=1", "--quiet", tmp_path / "wrong.c").returncode == 1


@pytest.mark.slow
def test_clang_tidy_finds_nothing(written: dict[str, Path]) -> None:
    """Each file once: the runtime's files are the same in every model."""
    need("clang-tidy")
    seen: dict[tuple[str, bytes], Path] = {}
    for folder in written.values():
        for path in sorted(folder.glob("*.c")):
            seen.setdefault((path.name, path.read_bytes()), path)
    by_folder: dict[Path, list[Path]] = {}
    for path in seen.values():
        by_folder.setdefault(path.parent, []).append(path)
    for folder, paths in by_folder.items():
        config = f"--config-file={ROOT / '.clang-tidy'}"
        done = run("clang-tidy", "--quiet", config, *paths, "--", "-std=c99", "-I", folder)
        assert done.returncode == 0, done.stdout


def compiled(folder: Path, build: Path) -> list[Path]:
    """Every file for a Cortex-M4F, with GCC's notes on stack use and calls beside the objects."""
    need(GCC)
    for path in sorted(folder.glob("*.c")):
        done = run(
            GCC, "-std=c99", "-O2", "-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16",
            "-fstack-usage", "-fcallgraph-info=su", "-I", folder, "-c", path, "-o", build / f"{path.stem}.o",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    return sorted(build.glob("*.o"))


def calls(build: Path) -> dict[str, set[str]]:
    """Who calls whom, by GCC's own call graph (VCG). "__indirect_call": through a pointer."""
    found: dict[str, set[str]] = {}
    for path in build.glob("*.ci"):
        for source, target in re.findall(EDGE, path.read_text()):
            found.setdefault(source.split(":")[-1], set()).add(target.split(":")[-1])
    return found


def test_valgrind_finds_nothing(written: dict[str, Path], tmp_path: Path) -> None:
    """Any bytes through a program that no sanitizer has touched: also no read of memory never written."""
    need("valgrind")
    rng = np.random.default_rng(0)
    for name in ("mamba-crf", "transformer"):
        program = build_host(written[name], tmp_path / name)
        records = rng.integers(-128, 128, (60, 1 + POINTS), dtype=np.int8)
        records[:, 0] = rng.integers(0, 3, 60)
        done = subprocess.run(
            ["valgrind", "--quiet", "--error-exitcode=1", "--leak-check=full", str(program.path)],
            input=records.tobytes(),
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        assert done.stdout == program.run(records.tobytes())


@pytest.mark.parametrize("name", MODELS)
def test_nothing_recurses_and_every_frame_has_a_size(
    name: str, written: dict[str, Path], tmp_path: Path
) -> None:
    """No function reaches itself, none is called through a pointer, and no frame grows at run time: so the
    deepest stack is the sum along the call graph's longest path.
    """
    compiled(written[name], tmp_path)
    edges = calls(tmp_path)
    assert "tinyloc_step" in edges
    assert not any("__indirect_call" in targets for targets in edges.values())

    def depth(function: str, above: tuple[str, ...] = ()) -> int:
        assert function not in above, f"recursion: {' > '.join((*above, function))}"
        return 1 + max((depth(one, (*above, function)) for one in edges.get(function, ())), default=0)

    assert depth("tinyloc_step") >= 2
    frames = {}
    for path in tmp_path.glob("*.su"):
        for line in path.read_text().splitlines():
            where, size, kind = line.split("\t")
            assert kind == "static", line
            frames[where.split(":")[-1]] = int(size)
    assert frames["tinyloc_step"] <= 512
    assert max(frames.values()) <= 512


def test_recursion_would_be_seen(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    text = "int odd(int n);\nint even(int n) { return n ? odd(n - 1) + 1 : 1; }\n"
    text += "int odd(int n) { return n ? even(n - 1) + 2 : 0; }\n"
    (tmp_path / "c" / "loop.c").write_text(text)
    (tmp_path / "build").mkdir()
    need(GCC)
    done = run(
        GCC, "-O0", "-fcallgraph-info=su", "-c", tmp_path / "c/loop.c", "-o", tmp_path / "build/loop.o"
    )
    assert done.returncode == 0
    edges = calls(tmp_path / "build")
    assert "even" in edges["odd"]
    assert "odd" in edges["even"]
