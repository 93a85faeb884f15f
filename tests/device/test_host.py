from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import toy_twin

from tinyloc.device.boards import BOARDS
from tinyloc.device.compile import CSRC, STRICT, run_compiler, zig_command
from tinyloc.device.host import build_host
from tinyloc.errors import DeviceError, ToolchainError

TOY = Path(__file__).parent / "toy"
Variant = Callable[[str, str], Path]


@pytest.mark.parametrize("sanitize", [False, True])
def test_the_host_answers_as_the_twin(tmp_path: Path, sanitize: bool) -> None:
    if sanitize and not any(map(shutil.which, ("cc", "gcc", "clang"))):
        pytest.skip("sanitizers need gcc or clang")
    program = build_host(TOY, tmp_path, sanitize=sanitize)
    for seed in range(3):
        records = toy_twin.make_records(500, seed, reset_every=seed * 7 + 1)
        assert program.run(records) == toy_twin.expected(records)


def test_sanitizers_are_heard(tmp_path: Path, variant: Variant) -> None:
    if not any(map(shutil.which, ("cc", "gcc", "clang"))):
        pytest.skip("sanitizers need gcc or clang")
    c_dir = variant(
        "sum += weights[k][p] * sample[p];", "sum += weights[k][p + 3u * state->steps] * sample[p];"
    )
    program = build_host(c_dir, tmp_path, sanitize=True)
    with pytest.raises(DeviceError, match=r"runtime error|AddressSanitizer"):
        program.run(toy_twin.make_records(5))


def test_no_compiler_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("tinyloc.device.compile.importlib.util.find_spec", lambda name: None)
    with pytest.raises(ToolchainError, match="apt-get install gcc"):
        build_host(TOY, tmp_path)


def test_zig_stands_in_for_a_missing_host_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    records = toy_twin.make_records(50)
    assert build_host(TOY, tmp_path / "out").run(records) == toy_twin.expected(records)
    with pytest.raises(ToolchainError, match="no address sanitizer"):
        build_host(TOY, tmp_path / "out", sanitize=True)


def test_our_c_is_clean(tmp_path: Path) -> None:
    """Host and chip sources under clang's stricter -Wconversion; gcc sees the chip's in every build.

    AVR's are gcc's alone (test_targets.py): clang knows no `__flash`, and simavr's header is none of ours.
    """
    zig = zig_command()
    assert zig is not None
    chips = {}
    for name in ("nrf52832", "cortex-m33", "rv32imc"):
        cpu = BOARDS[name].cpu
        chips[name] = [
            "-target",
            cpu.zig_target,
            f"-mcpu={cpu.zig_cpu}",
            "-fno-builtin",
            "-isystem",
            str(CSRC),
        ]
    host = ("port_host.c", "count_plugin.c")
    for source in sorted(CSRC.glob("*.c")):
        if "avr" in source.name:
            continue
        targets = [chips["rv32imc"]] if source.name == "startup_riscv.c" else [chips["nrf52832"]]
        targets += [chips["rv32imc"]] if source.name == "port_semihosting.c" else []
        targets += [chips["cortex-m33"]] if source.name == "startup_cortexm.c" else []
        for target in [[]] if source.name in host else targets:
            command = [*zig, *target, *STRICT, "-O2", "-I", str(TOY), "-c", str(source), "-o", "x.o"]
            run_compiler(command, folder=tmp_path)


def test_no_model_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match=r"no tinyloc_model\.h"):
        build_host(tmp_path, tmp_path / "out")
