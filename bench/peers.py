"""tinyloc beside its peers: the same weights, the same windows, the same chip where a peer runs on one.

    python bench/peers.py                # installs what can be installed in build/peers, once, then measures
    python bench/peers.py --offline      # without installing: what is there already

- **emlearn** on the emulated chip: the same trees as ours, from one scikit-learn forest, on single samples.
- **ONNX Runtime** on this computer: the transformer tfm1, trained here, quantised by it in its three ways;
  how often its labels are still those of the floating-point model. It has no target of 64 KB.
- TFLite Micro, Deeploy, onnx2c and ExecuTorch for a Cortex-M, and LiteRT's converter without TensorFlow, are
  not to be had from a package registry: their figures are quoted, with where they come from.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.ensemble import RandomForestClassifier

from tinyloc.data import load_windows
from tinyloc.device.boards import find_board
from tinyloc.device.tiers import available_tiers
from tinyloc.emit import emit
from tinyloc.learn.forest import arrays
from tinyloc.learn.options import Augmentation, TrainOptions
from tinyloc.learn.predict import predict
from tinyloc.learn.train import train
from tinyloc.metrics import macro_f1
from tinyloc.models import families
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.models.config import ForestConfig
from tinyloc.models.scaling import InputScaling
from tinyloc.quant.decision import answers_of
from tinyloc.quant.lower import lower
from tinyloc.quant.replay import replay, samples_of

HOME = Path("build/peers")
PACKAGES = ("emlearn==0.23.2", "onnxruntime==1.31.1", "onnx", "onnxscript")
LIGHT = ("flatbuffers", "protobuf", "ml_dtypes", "onnx_ir", "pybind11")
POINTS, ROOMS, TREES, LEAVES = 11, 9, 10, 64
BY_HAND = "once, by hand: Cortex-M4F, QEMU, gcc 12.2 -O2"
QUOTED = (
    ("tfm1", "TFLite Micro + CMSIS-NN, int8", "131 KB", "17.9 KB", "2.53 M", BY_HAND),
    ("tfm1", "Deeploy, int8", "28.4 KB", "17.2 KB", "1.04 M", BY_HAND),
    ("tfm1", "onnx2c, float", "50 KB", "19.6 KB", "1.68 M", BY_HAND),
    ("tfm2", "TFLite Micro + CMSIS-NN, int8", "158 KB", "33 KB", "4.46 M", BY_HAND),
    ("tfm2", "onnx2c, float", "87 KB", "19.6 KB", "3.28 M", BY_HAND),
    ("mamba", "TFLite Micro, int8, rewritten by hand", "210 KB", "66.0 KB", "16.0 M", BY_HAND),
    ("mamba", "TFLite Micro, float, rewritten by hand", "221 KB", "65.2 KB", "7.98 M", BY_HAND),
    ("mlp 220-32-16-9", "TFLite Micro + CMSIS-NN, int8", "52 KB", "1.9 KB", "19 k", BY_HAND),
    ("tfm1", "ExecuTorch 1.5", "", "", "", "once, by hand: lowers no int8 transformer for it"),
)


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


def python() -> Path:
    """The interpreter of the peers' own environment."""
    return HOME / "venv" / "bin" / "python"


def install() -> None:
    """Make that environment, once. It sees this one's packages; what it installs stays in it."""
    if not python().exists():
        subprocess.run([sys.executable, "-m", "venv", str(HOME / "venv")], check=True)
        site = next((HOME / "venv" / "lib").glob("python*/site-packages"))
        own = next(path for path in sys.path if path.endswith("site-packages"))
        (site / "this_one.pth").write_text(own + "\n")
    pip = [str(python()), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for packages in (["--no-deps", *PACKAGES], LIGHT):  # what they need beside that is here already
        subprocess.run([*pip, *packages], check=True, stderr=subprocess.DEVNULL)


def in_peers(script: str, *arguments: str) -> None:
    """Run a script with the peers' packages. Raises CalledProcessError, with what it said."""
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [str(python().absolute()), "-c", script, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=env,
    )
    if done.returncode:
        raise SystemExit(f"a peer failed: {done.stderr[-1500:]}")


def on_chip(c_dir: Path, rssi: np.ndarray, out: Path) -> tuple[Any, Any]:
    """Firmware and run of the C in `c_dir` on every window, reference tier."""
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
    rooms = said[:, -1, 2 * ROOMS]
    ram = firmware.static_ram_bytes + run.stack_bytes
    per = run.instructions_per_window
    return Row(model, tool, firmware.flash_bytes, ram, per, float(np.mean(rooms == wanted)), note)


ADAPTER = """\
/* A peer's model behind the calls that the harness makes. */
#include "peer_quietly.h"
#include "tinyloc_model.h"

void tinyloc_init(tinyloc_state *state) {{ state->nothing = 0; }}
void tinyloc_restart(tinyloc_state *state) {{ state->nothing = 0; }}

void tinyloc_step(tinyloc_state *state, const int8_t *sample, tinyloc_result *result)
{{
    {type} features[{count}];
    int room = 0;
    (void)state;
    for (int i = 0; i < {count}; i++) {{
        features[i] = sample[i];
    }}
    room = {call};
    for (int i = 0; i < TINYLOC_ROOMS; i++) {{
        result->scores[i] = (int16_t)(i == room);
    }}
    result->room = (uint8_t)room;
    result->settled = (uint8_t)room;
}}
"""
HEADER = """\
#ifndef TINYLOC_MODEL_H
#define TINYLOC_MODEL_H
#include <stdint.h>
#define TINYLOC_SAMPLE_BYTES {points}
#define TINYLOC_ROOMS {rooms}
#define TINYLOC_WINDOW_STEPS 1
typedef struct {{ int32_t nothing; }} tinyloc_state;
typedef struct {{ int16_t scores[TINYLOC_ROOMS]; uint8_t room; uint8_t settled; }} tinyloc_result;
void tinyloc_init(tinyloc_state *state);
void tinyloc_restart(tinyloc_state *state);
void tinyloc_step(tinyloc_state *state, const int8_t *sample, tinyloc_result *result);
#endif
"""
EMLEARN = """
import pickle, sys, emlearn
model = pickle.load(open(sys.argv[1], "rb"))
options = {"dtype": "int16_t"} if sys.argv[3] != "mlp" else {}
converted = emlearn.convert(model, method="inline", **options)
how = {"inference": [sys.argv[3]]} if sys.argv[3] != "mlp" else {}
converted.save(file=sys.argv[2], name="peer", **how)
open(sys.argv[2] + ".include", "w").write(emlearn.includedir)
"""


def emlearn_c(model: Any, way: str, call: str, kind: str, folder: Path) -> Path:
    """What emlearn makes of a scikit-learn model, with the adapter, in one folder."""
    import pickle
    import shutil

    folder.mkdir()
    (folder / "model.pickle").write_bytes(pickle.dumps(model))
    in_peers(EMLEARN, str(folder / "model.pickle"), str(folder / "peer.h"), way)
    include = Path((folder / "peer.h.include").read_text())
    for header in include.glob("*.h"):
        shutil.copy(header, folder)
    quietly = '#pragma GCC system_header\n#include "peer.h"\n'  # our warnings are not a peer's
    (folder / "peer_quietly.h").write_text(quietly)
    (folder / "tinyloc_model.h").write_text(HEADER.format(points=POINTS, rooms=ROOMS))
    (folder / "tinyloc_model.c").write_text(ADAPTER.format(type=kind, count=POINTS, call=call))
    for leftover in ("model.pickle", "peer.h.include"):
        (folder / leftover).unlink()
    return folder


def forests(count: int) -> list[Row]:
    """Ten trees on single samples, grown once: ours and emlearn's two forms of them."""
    rng = np.random.default_rng(0)
    places = rng.uniform(-95, -45, (ROOMS, POINTS))
    room = rng.integers(0, ROOMS, 4000)
    x = np.clip(np.rint(places[room] + rng.normal(0, 9, (4000, POINTS))), -120, -20).astype(np.int8)
    model = RandomForestClassifier(TREES, max_leaf_nodes=LEAVES, random_state=0).fit(x.astype("f4"), room)
    fresh = np.clip(np.rint(places[room] + rng.normal(0, 9, (4000, POINTS))), -120, -20).astype(np.int8)
    rssi = fresh[:count, None, :]
    votes = np.stack([tree.predict(fresh[:count].astype("f4")) for tree in model.estimators_])
    wanted = np.array([np.bincount(column.astype(int), minlength=ROOMS).argmax() for column in votes.T])
    weights = arrays(model)
    config = ForestConfig(POINTS, ROOMS, TREES, LEAVES, nodes=len(weights["feature"]))
    names = tuple(f"room {i}" for i in range(ROOMS)), tuple(f"ap {i}" for i in range(POINTS))
    table = np.arange(-128, 128, dtype=np.float32)
    scaling = InputScaling("minmax", table, np.zeros(POINTS, "f4"), np.ones(POINTS, "f4"))
    ours = Checkpoint(config, scaling, weights, *names, 1, 0.2, "reset", {})
    graph = lower(ours, x[:500, None, :], "int16")
    leaves, note = sum(tree.get_n_leaves() for tree in model.estimators_), "one tree, one vote"
    name = f"forest, {TREES} trees, {leaves} leaves, {POINTS} features"
    with tempfile.TemporaryDirectory(prefix="tinyloc-peers-") as scratch:
        emit(graph, Path(scratch) / "ours")
        rows = [chip_row(name, "tinyloc", Path(scratch) / "ours", rssi, wanted, note)]
        for way, call in (
            ("inline", f"peer_predict(features, {POINTS})"),
            ("loadable", f"eml_trees_predict(&peer, features, {POINTS})"),
        ):
            folder = emlearn_c(model, way, call, "int16_t", Path(scratch) / way)
            rows.append(chip_row(name, f"emlearn 0.23.2, {way}, int16", folder, rssi, wanted, note))
    return rows


ONNX = """
import sys, numpy as np, onnxruntime as ort
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType
from onnxruntime.quantization import quantize_dynamic, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
folder = sys.argv[1]
quant_pre_process(folder + "/model.onnx", folder + "/ready.onnx")
class Reader(CalibrationDataReader):
    def __init__(self):
        self.rows = iter(np.load(folder + "/calibrate.npy"))
    def get_next(self):
        row = next(self.rows, None)
        return None if row is None else {"x": row[None]}
quantize_dynamic(folder + "/ready.onnx", folder + "/dynamic.onnx", weight_type=QuantType.QInt8)
for name, form in (("qdq", QuantFormat.QDQ), ("qoperator", QuantFormat.QOperator)):
    to = folder + f"/{name}.onnx"
    quantize_static(folder + "/ready.onnx", to, Reader(), quant_format=form, per_channel=True)
x = np.load(folder + "/test.npy")
for name in ("model", "dynamic", "qdq", "qoperator"):
    session = ort.InferenceSession(folder + f"/{name}.onnx", providers=["CPUExecutionProvider"])
    said = np.concatenate([session.run(None, {"x": row[None]})[0] for row in x])
    np.save(folder + f"/{name}.npy", said.reshape(len(x), -1, said.shape[-1])[:, -1].argmax(1))
"""
EXPORT = """
import sys, torch
sys.path.insert(0, sys.argv[2])
from tinyloc.models import families
from tinyloc.models.checkpoint import Checkpoint
from pathlib import Path
folder = sys.argv[1]
checkpoint = Checkpoint.load(Path(folder) / "model.safetensors")
model = families.from_weights(checkpoint.config, checkpoint.weights).eval()
x = torch.zeros(1, checkpoint.window_steps, len(checkpoint.access_points))
torch.onnx.export(model, (x,), folder + "/model.onnx", input_names=["x"], dynamo=False)
"""


def transformers(steps: int) -> list[Row]:
    """tfm1, trained on a simulated house: how far each tool's integers leave its labels, and its accuracy."""
    sets = load_windows("house", data_dir=None, minutes=80)
    options = TrainOptions(
        family="transformer", hidden=32, steps=steps, scaling="zscore", augmentation=Augmentation(0.25, 0.25)
    )
    found = train(sets, options)
    sets = sets.only(found.access_points)
    floats = predict(found, sets.test).argmax(axis=1)
    truth = sets.test.room
    graph = lower(found, samples_of(sets.train, False), "int16")
    integers, _ = answers_of(graph, replay(sets.test, graph.state, graph.motion))

    def row(tool: str, labels: np.ndarray, note: str = "") -> Row:
        score = f"macro-F1 {100 * macro_f1(truth, labels):.1f}"
        return Row(
            "tfm1, simulated house", tool, agreement=float(np.mean(labels == floats)), note=f"{score}{note}"
        )

    rows = [row("PyTorch, float", floats), row("tinyloc, int8 weights, int16 activations", integers)]
    with tempfile.TemporaryDirectory(prefix="tinyloc-peers-") as scratch:
        found.save(Path(scratch) / "model.safetensors")
        given = [
            families.inputs(found.config, found.scaling, part, None)[0]
            for part in (sets.train.rssi[:200], sets.test.rssi)
        ]
        np.save(Path(scratch) / "calibrate.npy", given[0].astype(np.float32))
        np.save(Path(scratch) / "test.npy", given[1].astype(np.float32))
        in_peers(EXPORT, scratch, str(Path("src").absolute()))
        in_peers(ONNX, scratch)
        for name, words in (
            ("model", "ONNX Runtime 1.31, float"),
            ("dynamic", "ONNX Runtime 1.31, dynamic int8"),
            ("qdq", "ONNX Runtime 1.31, static int8, QDQ"),
            ("qoperator", "ONNX Runtime 1.31, static int8, QOperator"),
        ):
            size = (Path(scratch) / f"{name}.onnx").stat().st_size
            rows.append(row(words, np.load(Path(scratch) / f"{name}.npy"), f", file {size:,} B"))
    return rows


def show(rows: list[Row]) -> None:
    """Two tables: what was measured now, and what is quoted."""
    console, table = Console(width=170, highlight=False), Table(title="Measured now", title_justify="left")
    for column in ("model", "tool", "flash, B", "RAM, B", "instructions a window", "same label", "note"):
        table.add_column(column, justify="right" if "," in column or "instr" in column else "left")
    for row in rows:
        numbers = (row.flash_bytes, row.ram_bytes, row.instructions)
        same = "" if row.agreement is None else f"{100 * row.agreement:.1f} %"
        shown = ["" if number is None else f"{number:,.0f}" for number in numbers]
        table.add_row(row.model, row.tool, *shown, same, row.note)
    console.print(table)
    quoted = Table(title="Quoted: bench/device.py prints our own rows of these", title_justify="left")
    for column in ("model", "tool", "flash", "RAM", "instructions a window", "where from"):
        quoted.add_column(column)
    for line in QUOTED:
        quoted.add_row(*line)
    console.print(quoted)


def main() -> None:
    """Read the flags, install, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--offline", action="store_true", help="install nothing")
    parser.add_argument("--windows", type=int, default=400)
    parser.add_argument("--train-steps", type=int, default=400)
    parser.add_argument("--json", action="store_true", help="print a JSON list of rows")
    asked = parser.parse_args()
    if not asked.offline:
        install()
    rows = [*forests(asked.windows), *transformers(asked.train_steps)]
    if asked.json:
        print(json.dumps([asdict(row) for row in rows]))
    else:
        show(rows)


if __name__ == "__main__":
    main()
