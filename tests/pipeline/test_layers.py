"""Who may import whom, and that the map of the house names every room."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "tinyloc"
WITHOUT_TORCH = (
    "quant.reference",
    "quant.storage",
    "emit",
    "device",
    "judge",
    "report",
    "cli",
    "errors",
    "metrics",
)


def modules(*names: str) -> list[str]:
    """These modules and, where one is a folder, all in it, by their full names."""
    found = []
    for name in names:
        path = PACKAGE / name.replace(".", "/")
        found.append(f"tinyloc.{name}")
        if path.is_dir():
            found += [f"tinyloc.{name}.{file.stem}" for file in path.glob("*.py") if file.stem != "__init__"]
    return found


def test_what_runs_without_torch_never_imports_it() -> None:
    names = modules(*WITHOUT_TORCH)
    assert len(names) > 30
    code = "\n".join(
        [
            "import importlib, sys",
            f"for name in {names!r}:",
            "    importlib.import_module(name)",
            "    if 'torch' in sys.modules:",
            "        sys.exit(f'{name} imports torch')",
        ]
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr


@pytest.mark.parametrize("later", ["models", "emit", "device", "judge", "report", "pipeline", "cli"])
def test_arrows_run_one_way(later: str) -> None:
    order = ("data", "models", "learn", "quant", "emit", "device", "judge", "report", "pipeline", "cli")
    for earlier in order[: order.index(later)]:
        for path in (PACKAGE / earlier).rglob("*.py"):
            text = path.read_text()
            assert f"tinyloc.{later}" not in text, f"{path.name} uses {later}"


def test_macro_f1_is_written_once() -> None:
    """`metrics` stands below all rooms; whoever scores takes it from there."""
    assert "tinyloc." not in (PACKAGE / "metrics.py").read_text().split("import", 1)[1]
    for room in ("judge", "pipeline", "quant", "report", "device"):
        for path in (PACKAGE / room).rglob("*.py"):
            assert "def macro_f1" not in path.read_text(), path


def test_the_map_names_every_folder() -> None:
    text = (ROOT / "docs" / "ARCHITECTURE.md").read_text()
    folders = [path.name for path in PACKAGE.iterdir() if path.is_dir() and not path.name.startswith("__")]
    assert len(folders) >= 9
    assert [name for name in folders if f"`{name}/" not in text] == []
