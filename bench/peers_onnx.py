"""Runs with ONNX Runtime: the trained model in floating point and quantised in its three ways."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime as ort
import torch
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process
from peers_inside import CALIBRATE, FOLDER, TEST, Labels, Said, labels_of, network

FLOAT, READY = FOLDER / "float.onnx", FOLDER / "ready.onnx"


class Reader(CalibrationDataReader):
    """One window at a time, then None."""

    def __init__(self) -> None:
        self.rows = iter(CALIBRATE)

    def get_next(self) -> dict[str, Any] | None:
        """The next input."""
        row = next(self.rows, None)
        return None if row is None else {"x": row[None]}


def run(file: Path) -> tuple[Path, Labels, str]:
    session = ort.InferenceSession(file, providers=["CPUExecutionProvider"])
    return file, labels_of([session.run(None, {"x": row[None]})[0] for row in TEST]), ""


def export() -> tuple[Path, Labels, str]:
    torch.onnx.export(network(), (torch.zeros(1, *TEST.shape[1:]),), FLOAT, input_names=["x"], dynamo=False)
    quant_pre_process(FLOAT, READY)
    return run(FLOAT)


def dynamic() -> tuple[Path, Labels, str]:
    quantize_dynamic(READY, FOLDER / "dynamic.onnx", weight_type=QuantType.QInt8)
    return run(FOLDER / "dynamic.onnx")


def static(form: QuantFormat) -> tuple[Path, Labels, str]:
    file = FOLDER / f"{form.name}.onnx"
    quantize_static(READY, file, Reader(), quant_format=form, per_channel=True)
    return run(file)


said, name = Said(), f"ONNX Runtime {ort.__version__}"
said.add(f"{name}, float", export)
said.add(f"{name}, dynamic int8", dynamic)
said.add(f"{name}, static int8, QDQ", lambda: static(QuantFormat.QDQ))
said.add(f"{name}, static int8, QOperator", lambda: static(QuantFormat.QOperator))
said.write()
