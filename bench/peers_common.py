"""What bench/peers.py and its parts share: the peers' environment, a row, C on the emulated chip."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinyloc.device.boards import find_board
from tinyloc.device.tiers import available_tiers

HOME = Path("build/peers")
PACKAGES: Mapping[str, tuple[str, ...]] = {
    "emlearn": ("emlearn==0.23.2", "pybind11==3.1.0"),
    "ONNX Runtime": (
        "onnxruntime==1.31.1", "onnx==1.23.2", "onnxscript==0.7.2", "onnx_ir==1.1.0",
        "flatbuffers==25.12.19", "protobuf==7.36.2", "ml_dtypes==0.6.0",
    ),
    "LiteRT": (
        "ai-edge-litert==2.3.0", "litert-torch==0.10.0", "litert-converter==0.5.0",
        "ai-edge-quantizer==0.10.0", "jax==0.10.2", "jaxlib==0.10.2", "opt_einsum==3.4.0",
        "torchao==0.18.0", "absl-py==2.5.1",
        "immutabledict==4.3.1", "tqdm==4.70.1", "backports.strenum==1.2.8",
        "flatbuffers==25.12.19", "protobuf==7.36.2", "ml_dtypes==0.6.0",
    ),
    "ExecuTorch": (
        "executorch==1.5.1", "torchao==0.18.0", "tosa-tools==2026.5.0", "ruamel.yaml==0.19.1",
        "ruamel.yaml.clib==0.2.15", "pyyaml==6.0.3", "tabulate==0.10.0", "tqdm==4.70.1", "opt_einsum==3.4.0",
        "flatbuffers==25.12.19",
    ),
}  # fmt: skip
"""What each peer needs beside what is here already: named one by one, or they bring another torch,
transformers and pandas along."""


@dataclass(frozen=True)
class Row:
    """One tool on one model: bytes and instructions on the emulated chip; `agreement`: the share of windows
    with the label that the model has in floating point (or, for trees, in scikit-learn).
    """

    model: str
    tool: str
    flash_bytes: int | None = None
    ram_bytes: int | None = None
    instructions: float | None = None
    agreement: float | None = None
    note: str = ""


class PeerError(Exception):
    """A peer could not be installed or failed, and why in a line; its row says so and the others go on."""


def python() -> Path:
    """The interpreter of the peers' own environment."""
    return HOME / "venv" / "bin" / "python"


def reason(said: str) -> str:
    """The line of a traceback or of pip that says what went wrong."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    wrong = [line for line in lines if "Error" in line or "ERROR" in line]
    return (wrong or lines or ["no word"])[-1][:200]


def call(command: list[str]) -> None:
    """Run it. Raises PeerError with the line that says why it failed."""
    source = str(Path(__file__).parents[1] / "src")
    env = {**os.environ, "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1", "PYTHONPATH": source}
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    except OSError:
        raise PeerError(f"there is no {command[0]}: not installed") from None
    if done.returncode:
        raise PeerError(reason(done.stderr))


def install() -> None:
    """Make that environment, once. It sees this one's packages; what it installs stays in it."""
    if python().exists():
        return
    call([sys.executable, "-m", "venv", str(HOME / "venv")])
    site = next((HOME / "venv" / "lib").glob("python*/site-packages"))
    own = next(path for path in sys.path if path.endswith("site-packages"))
    (site / "this_one.pth").write_text(own + "\n")


def fetch(peer: str) -> None:
    """Download a peer's packages into build/peers, once, and install them."""
    pip = [str(python()), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    folder = HOME / "wheels" / peer
    done, asked = folder / "done", "\n".join(PACKAGES[peer])
    if not (done.exists() and done.read_text() == asked):
        shutil.rmtree(folder, ignore_errors=True)
        call([*pip, "download", "--no-deps", "--dest", str(folder), *PACKAGES[peer]])
        wheels = [str(path) for path in sorted(folder.glob("*")) if path.is_file()]
        call([*pip, "install", "--no-deps", *wheels])
        done.write_text(asked)


def fetched(peer: str) -> int:
    """Bytes of that peer's packages; 0 where they never were downloaded here."""
    return sum(path.stat().st_size for path in (HOME / "wheels" / peer).glob("*") if path.name != "done")


def in_peers(script: str, *arguments: str) -> None:
    """Run a file of this folder with the peers' packages. Raises PeerError with the last line it said."""
    call([str(python()), str(Path(__file__).with_name(script)), *arguments])


def on_chip(c_dir: Path, rssi: np.ndarray, out: Path) -> tuple[Any, Any]:
    """Firmware and run of the C in `c_dir` on every window, reference tier where it is there."""
    flags = np.zeros((*rssi.shape[:2], 1), np.int8)
    flags[:, 0] = 1
    records = np.concatenate([flags, rssi], axis=2).tobytes()
    tier = available_tiers()[-1]
    firmware = tier.build(c_dir, find_board("cortex-m4"), out, ram_bytes=64 * 1024)
    return firmware, tier.run(firmware, records, count_records=5 * rssi.shape[1])


def chip_row(model: str, tool: str, c_dir: Path, rssi: np.ndarray, wanted: np.ndarray, note: str) -> Row:
    """A row of the chip's; `wanted` [W] labels."""
    with tempfile.TemporaryDirectory(prefix="tinyloc-peers-") as folder:
        firmware, run = on_chip(c_dir, rssi, Path(folder))
    bytes_each = len(run.answers) // (rssi.shape[0] * rssi.shape[1])
    said = np.frombuffer(run.answers, np.uint8).reshape(*rssi.shape[:2], bytes_each)
    rooms = said[:, -1, -2]  # scores of 16 bits, the room, the settled room
    ram = firmware.static_ram_bytes + run.stack_bytes
    per = run.instructions_per_window
    return Row(model, tool, firmware.flash_bytes, ram, per, float(np.mean(rooms == wanted)), note)
