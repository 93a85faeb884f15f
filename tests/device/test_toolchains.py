from __future__ import annotations

import resource
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import toy_twin
from elftools.elf.elffile import ELFFile

from tinyloc.device import compile as compile_module
from tinyloc.device.boards import Board
from tinyloc.device.compile import first_diagnostic
from tinyloc.device.firmware import Firmware
from tinyloc.device.tiers import Tier, available_tiers, find_tier
from tinyloc.errors import BudgetError, DeviceError, OutputError, ToolchainError

TOY = Path(__file__).parent / "toy"
Variant = Callable[[str, str], Path]


def test_every_byte_has_its_account(toy: Firmware) -> None:
    assert (toy.record_bytes, toy.answer_bytes, toy.window_steps) == (6, 8, 4)
    assert toy.text_bytes > 200
    assert toy.constant_bytes >= 30  # fifteen weights of two bytes
    assert toy.data_bytes == 12  # bias is not const
    assert 30 + 7 + 6 <= toy.bss_bytes <= 64
    assert toy.harness_bytes > 500
    known = toy.text_bytes + toy.constant_bytes + toy.data_bytes + toy.harness_bytes
    assert known <= toy.flash_bytes < known + 16  # padding between sections
    assert toy.model_flash_bytes == known - toy.harness_bytes
    assert toy.ram_bytes == 4096
    assert toy.ram_bytes - 8 < toy.stack_room_bytes + toy.static_ram_bytes <= toy.ram_bytes


def test_harness_and_model_are_told_apart(toy: Firmware) -> None:
    symbols = toy.program.symbols
    for name in ("Reset_Handler", "main", "port_read", "startup"):
        assert toy.is_harness(symbols[name])
    for name in ("tinyloc_init", "tinyloc_restart", "tinyloc_step"):
        assert not toy.is_harness(symbols[name])
        assert toy.program.function_at(symbols[name]) == name


def test_the_harness_calls_nothing_the_model_is_charged_for(toy: Firmware) -> None:
    """Else `memcpy` would be linked, and counted, for the harness's sake."""
    calls = set()
    for path in toy.elf.parent.glob("tinyloc-harness-*.o"):
        with path.open("rb") as stream:
            table = ELFFile(stream).get_section_by_name(".symtab")
            calls |= {s.name for s in table.iter_symbols() if s["st_shndx"] == "SHN_UNDEF" and s.name}
    own = {
        name for name in calls if name in toy.program.symbols and toy.is_harness(toy.program.symbols[name])
    }
    linker = {name for name in calls if name.startswith("__") and not name.startswith("__aeabi")}
    assert calls - own - linker <= {
        "tinyloc_init",
        "tinyloc_restart",
        "tinyloc_step",
        "__aeabi_unwind_cpp_pr0",
    }


def test_a_second_build_is_the_first_ones(tier: Tier, board: Board, tmp_path: Path) -> None:
    first = tier.build(TOY, board, tmp_path)
    content, made = first.elf.read_bytes(), first.elf.stat().st_mtime_ns
    assert tier.build(TOY, board, tmp_path).elf.stat().st_mtime_ns == made
    first.elf.write_bytes(content[:-1])  # an altered one is not taken
    assert tier.build(TOY, board, tmp_path).elf.read_bytes() == content
    assert tier.build(TOY, board, tmp_path / "elsewhere").elf.read_bytes() == content


def test_changed_sources_are_built_again(tier: Tier, board: Board, tmp_path: Path, variant: Variant) -> None:
    c_dir = variant("311", "311")
    before = tier.build(c_dir, board, tmp_path / "out").elf.read_bytes()
    source = c_dir / "tinyloc_model.c"
    source.write_text(source.read_text().replace("311", "312"))
    assert tier.build(c_dir, board, tmp_path / "out").elf.read_bytes() != before


def test_a_c_error_is_one_line(tier: Tier, board: Board, tmp_path: Path, variant: Variant) -> None:
    c_dir = variant("state->steps += 1u;", "state->stepps += 1u;")
    with pytest.raises(ToolchainError) as caught:
        tier.build(c_dir, board, tmp_path / "out")
    message = str(caught.value)
    assert "tinyloc_model.c:" in message
    assert "stepps" in message
    assert "\n" not in message
    assert str(tmp_path) not in message


def test_a_missing_function_is_one_line(tier: Tier, board: Board, tmp_path: Path, variant: Variant) -> None:
    c_dir = variant(
        "void tinyloc_init(tinyloc_state *state)\n",
        "void other(tinyloc_state *state);\nvoid other(tinyloc_state *state)\n",
    )
    with pytest.raises(ToolchainError, match=r"undefined .*tinyloc_init"):
        tier.build(c_dir, board, tmp_path / "out")


def test_too_much_flash_is_counted(tier: Tier, board: Board, tmp_path: Path) -> None:
    needs = tier.build(TOY, board, tmp_path / "loose").flash_bytes
    with pytest.raises(BudgetError, match=r"flash: .* 1,024 bytes|flash: .* 1 KB") as caught:
        tier.build(TOY, board, tmp_path / "tight", flash_bytes=1024)
    assert f"{needs - 1024:,} bytes too many" in str(caught.value)
    assert caught.value.exit_code == 3
    exact = tier.build(TOY, board, tmp_path / "exact", flash_bytes=needs)
    assert exact.flash_bytes == needs


def test_too_much_ram_is_counted(tier: Tier, board: Board, tmp_path: Path, variant: Variant) -> None:
    c_dir = variant("uint32_t steps;", "uint32_t steps; uint8_t padding[5000];")
    static = tier.build(c_dir, board, tmp_path / "loose").static_ram_bytes
    with pytest.raises(BudgetError, match="RAM: ") as caught:
        tier.build(c_dir, board, tmp_path / "tight", ram_bytes=4096)
    assert f"{static + 128 - 4096:,} bytes too many" in str(caught.value)
    assert "What would fit" in str(caught.value)


def test_a_full_disk_is_said_so(board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tier = find_tier("pip")
    script = "import sys; sys.exit('error: No space left on device')"
    monkeypatch.setattr(tier.toolchain, "compiler", lambda: [sys.executable, "-c", script])
    with pytest.raises(OutputError, match="disk is full"):
        tier.build(TOY, board, tmp_path)


@pytest.mark.parametrize("ending", ["exit 1", "kill -XFSZ $$"])
def test_a_compiler_that_fails_silently_on_a_full_disk(
    board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    """It is the disk where nothing can be written, or where the system says so; else it is the compiler."""
    tier = find_tier("pip")
    monkeypatch.setattr(tier.toolchain, "compiler", lambda: ["sh", "-c", ending])
    if ending == "exit 1":
        with pytest.raises(ToolchainError, match="failed without a word"):
            tier.build(TOY, board, tmp_path)
        monkeypatch.setattr(compile_module, "_room", lambda folder: False)
    with pytest.raises(OutputError, match=r"disk is full.*broke off without a word.*Free some space"):
        tier.build(TOY, board, tmp_path)


def test_room_on_a_disk_is_found_by_writing(tmp_path: Path) -> None:
    assert compile_module._room(tmp_path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        assert not compile_module._room(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_garbage_is_no_firmware(tier: Tier, toy: Firmware, tmp_path: Path) -> None:
    content = toy.elf.read_bytes()
    broken = {
        "empty": b"",
        "noise": bytes(range(256)) * 8,
        "cut": content[: len(content) // 2],
        "header": content[:40],
        "x86": content[:18] + b"\x3e\x00" + content[20:],
    }
    for name, data in broken.items():
        path = tmp_path / f"{name}.elf"
        path.write_bytes(data)
        firmware = Firmware(path, toy.board, toy.compiler, toy.ram_bytes, toy.flash_budget_bytes)
        with pytest.raises(DeviceError) as caught:
            tier.run(firmware, toy_twin.make_records(4))
        assert "\n" not in str(caught.value)
    firmware = Firmware(tmp_path / "absent.elf", toy.board, toy.compiler, 4096, 8192)
    with pytest.raises(DeviceError, match="no program there"):
        tier.run(firmware, toy_twin.make_records(4))


def test_no_compiler_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert [tier.name for tier in available_tiers()] == ["pip"]
    with pytest.raises(ToolchainError, match=r"apt-get install .*gcc-arm-none-eabi"):
        find_tier("reference")
    monkeypatch.setattr("tinyloc.device.compile.importlib.util.find_spec", lambda name: None)
    with pytest.raises(ToolchainError, match="pip install ziglang"):
        find_tier("pip")
    with pytest.raises(ToolchainError, match="no compiler for the microcontroller was found") as caught:
        available_tiers()
    assert "\n" not in str(caught.value)
    with pytest.raises(ToolchainError, match="Known tiers: pip, reference"):
        find_tier("best")


def test_versions_are_named(tier: Tier) -> None:
    assert len(tier.versions) == 2
    assert all(version[0].isdigit() for version in tier.versions.values())


def test_the_first_diagnostic_is_the_error() -> None:
    text = (
        "/x/a.c: In function 'f':\n/x/a.c:3:1: warning: w\n/x/a.c:4:2: error: e\n/x/a.c:5:2: error: later\n"
    )
    assert first_diagnostic(text, Path("/x")) == "a.c:4:2: error: e"
    assert first_diagnostic("") == "it failed without a word"
