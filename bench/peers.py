"""tinyloc beside its peers: the same weights, the same windows, the same chip where a peer runs on one.

    python bench/peers.py                # installs what can be installed in build/peers, once, then measures
    python bench/peers.py --offline      # without installing: what is there already

- **emlearn** on the emulated chip: the same trees as ours, from one scikit-learn forest, on single samples.
- **ONNX Runtime**, **LiteRT** and **ExecuTorch** on this computer: the transformer tfm1, trained here,
  converted and quantised by each in its ways; how often its labels are still those of the floating-point
  model. None has a package that runs on a Cortex-M; ExecuTorch's lowering for one is tried and reported.
- TFLite Micro, Deeploy and onnx2c for a Cortex-M are not to be had from a package registry: their figures are
  quoted, with where they come from.

A peer that cannot be installed or fails is a row with the reason; it never stops the others.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
from device import measure
from peers_common import PACKAGES, PeerError, Row, chip_row, fetch, fetched, in_peers, install
from peers_forest import forests
from rich.console import Console
from rich.table import Table

from tinyloc.data import load_windows
from tinyloc.emit import emit
from tinyloc.learn.options import Augmentation, TrainOptions
from tinyloc.learn.predict import predict
from tinyloc.learn.train import train
from tinyloc.metrics import macro_f1
from tinyloc.models import families
from tinyloc.quant.decision import answers_of
from tinyloc.quant.lower import lower
from tinyloc.quant.replay import replay, samples_of

SCRIPTS = {
    "ONNX Runtime": "peers_onnx.py",
    "LiteRT": "peers_litert.py",
    "ExecuTorch": "peers_executorch.py",
}
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
)


def transformers(steps: int, count: int, broken: dict[str, str]) -> list[Row]:
    """tfm1, trained on a simulated house: how far each tool's integers leave its labels, and its accuracy;
    ours on the chip too, on the first `count` windows. `broken`: why a peer is not there, by name.
    """
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
    shape = f"tfm1, {found.config.access_points} APs, {found.config.rooms} rooms"

    def row(tool: str, labels: np.ndarray, note: str = "") -> Row:
        score = f"macro-F1 {100 * macro_f1(truth, labels):.1f}"
        return Row(shape, tool, agreement=float(np.mean(labels == floats)), note=f"{score}{note}")

    rows = [row("PyTorch, float", floats)]
    with tempfile.TemporaryDirectory(prefix="tinyloc-peers-") as scratch:
        emit(graph, Path(scratch) / "ours")
        samples, asked = samples_of(sets.test, False)[:count], integers[:count]
        chip = chip_row(shape, "", Path(scratch) / "ours", samples, asked, "")
        ours = row("tinyloc, int8 weights, int16 activations", integers)
        proof = f"; on the chip: {100 * (chip.agreement or 0):.0f} % of {len(asked)} windows as in Python"
        numbers = (chip.flash_bytes, chip.ram_bytes, chip.instructions)
        rows.append(Row(shape, ours.tool, *numbers, ours.agreement, ours.note + proof))
        found.save(Path(scratch) / "model.safetensors")
        for name, part in (("calibrate", sets.train.rssi[:200]), ("test", sets.test.rssi)):
            given = families.inputs(found.config, found.scaling, part, None)[0]
            np.save(Path(scratch) / f"{name}.npy", given.astype(np.float32))
        for peer, script in SCRIPTS.items():
            try:
                if peer in broken:
                    raise PeerError(broken[peer])
                in_peers(script, scratch)
                said = json.loads((Path(scratch) / "rows.json").read_text())
            except PeerError as error:
                rows.append(Row(shape, peer, note=f"failed: {error}"))
                continue
            for one in said:
                size = "" if one["file"] is None else f"file {one['file']:,} B"
                note = "; ".join(part for part in (size, one["note"]) if part)
                if one["labels"] is not None:
                    rows.append(row(one["tool"], np.array(one["labels"]), f"; {note}"))
                else:
                    model, _, tool = one["tool"].rpartition(": ")
                    rows.append(Row(model or shape, tool, note=note))
    return rows


def ours(count: int) -> list[tuple[str, ...]]:
    """Our own rows of the shapes that are quoted, measured now on `count` windows; random weights."""
    lines = []
    for name in ("tfm1", "tfm2", "mamba"):
        row = measure(name, "int16", "cortex-m4", count)[-1]
        sizes = (f"{size / 1024:.1f} KB" for size in (row.flash_bytes, row.ram_bytes))
        work, told = f"{row.instructions_window / 1e6:.2f} M", f"now: {row.toolchain}, {row.emulator}"
        lines.append((name, "tinyloc, int8 weights", *sizes, work, told))
    return lines


def show(rows: list[Row], measured: list[tuple[str, ...]]) -> None:
    """Two tables: what was measured now, and what is quoted, our own rows of it measured."""
    console = Console(width=170, highlight=False)
    table = Table(title="Measured now; tfm1 on a simulated house", title_justify="left")
    for column in ("model", "tool", "flash, B", "RAM, B", "instructions a window", "same label", "note"):
        table.add_column(column, justify="right" if "," in column or "instr" in column else "left")
    for row in rows:
        numbers = (row.flash_bytes, row.ram_bytes, row.instructions)
        same = "" if row.agreement is None else f"{100 * row.agreement:.1f} %"
        shown = ["" if number is None else f"{number:,.0f}" for number in numbers]
        table.add_row(row.model, row.tool, *shown, same, row.note)
    console.print(table)
    sizes = [f"{peer} {fetched(peer) / 1e6:.1f} MB" for peer in PACKAGES if fetched(peer)]
    console.print(f"Downloaded, beside what tinyloc has: {', '.join(sizes) or 'nothing'}")
    quoted = Table(title="Quoted, beside our own measured now", title_justify="left")
    for column in ("model", "tool", "flash", "RAM", "instructions a window", "where from"):
        quoted.add_column(column)
    for line in sorted([*measured, *QUOTED], key=lambda line: line[0]):
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
    broken: dict[str, str] = {}
    for peer in () if asked.offline else PACKAGES:
        try:
            install()
            fetch(peer)
        except PeerError as error:
            broken[peer] = f"cannot be installed: {error}"
    rows = [*forests(asked.windows), *transformers(asked.train_steps, asked.windows, broken)]
    if asked.json:
        print(json.dumps([asdict(row) for row in rows]))
    else:
        show(rows, ours(asked.windows))


if __name__ == "__main__":
    main()
