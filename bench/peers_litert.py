"""Runs with LiteRT: the trained model converted from PyTorch, quantised after training, interpreted."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import litert_torch
import numpy as np
import torch
from ai_edge_litert.interpreter import Interpreter
from ai_edge_quantizer import quantizer, recipe
from peers_inside import CALIBRATE, FOLDER, TEST, Labels, Said, labels_of, network

FLOAT = FOLDER / "float.tflite"


def run(file: Path) -> list[np.ndarray]:
    """Its outputs, one array for each test window; integer inputs are scaled as the file says."""
    interpreter = Interpreter(str(file), num_threads=1)
    interpreter.allocate_tensors()
    given, wanted = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    outputs = []
    for row in TEST:
        if given["dtype"] != np.float32:
            scale, zero = given["quantization"]
            limits = np.iinfo(given["dtype"])
            row = np.clip(np.rint(row / scale) + zero, limits.min, limits.max).astype(given["dtype"])
        interpreter.set_tensor(given["index"], row[None])
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(wanted["index"]).copy())
    return outputs


def export() -> tuple[Path, Labels, str]:
    """In floating point: it must be PyTorch's model, to 1e-4 of a logit, or the other rows mean nothing."""
    model = network()
    litert_torch.convert(model, (torch.zeros(1, *TEST.shape[1:]),)).export(str(FLOAT))
    outputs = run(FLOAT)
    with torch.no_grad():
        apart = max(
            float(np.abs(model(torch.from_numpy(row[None])).numpy() - said).max())
            for row, said in zip(TEST, outputs, strict=True)
        )
    if apart > 1e-4:
        FLOAT.unlink()
        raise ValueError(f"its logits are up to {apart:.2g} from PyTorch's")
    return FLOAT, labels_of(outputs), ""


def quantised(way: str) -> tuple[Path, Labels, str]:
    """By one of ai-edge-quantizer's recipes."""
    file, tool = FOLDER / f"{way}.tflite", quantizer.Quantizer(str(FLOAT), getattr(recipe, way)())
    measured = None
    if tool.need_calibration:
        signatures = Interpreter(str(FLOAT)).get_signature_list()
        key, signature = next(iter(signatures.items()))
        measured = tool.calibrate({key: [{signature["inputs"][0]: row[None]} for row in CALIBRATE]})
    tool.quantize(measured).export_model(str(file), overwrite=True)
    return file, labels_of(run(file)), ""


said, name = Said(), f"LiteRT {version('ai-edge-litert')}"
said.add(f"{name}, float", export)
said.add(f"{name}, dynamic int8", lambda: quantised("dynamic_wi8_afp32"))
said.add(f"{name}, static int8", lambda: quantised("static_wi8_ai8"))
said.add(f"{name}, static int8 weights, int16 activations", lambda: quantised("static_wi8_ai16"))
said.write()
