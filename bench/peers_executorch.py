"""Runs with ExecuTorch: the trained model by XNNPACK in its runtime here, and lowered for a Cortex-M4.

Its package has no Cortex-M library, so nothing of that runs on the emulated chip: what its lowering makes of
the model is counted, and the lowered graph runs in Python, where its operators have their own reference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
    XNNPACKQuantizer,
    get_symmetric_quantization_config,
)
from executorch.exir import to_edge, to_edge_transform_and_lower
from executorch.runtime import Runtime
from peers_inside import CALIBRATE, FOLDER, TEST, Labels, Said, labels_of, network
from torch import Tensor, nn
from torch.nn import functional
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

from tinyloc.models.transformer import EncoderLayer

WINDOWS = [torch.from_numpy(row)[None] for row in CALIBRATE]


def quantised(model: nn.Module, quantizer: Any, given: Sequence[Tensor]) -> torch.export.ExportedProgram:
    """After training, ranges from `given`."""
    graph = torch.export.export(model, (given[0],)).module(check_guards=False)  # its passes know no guards
    prepared = prepare_pt2e(graph, quantizer)
    for window in given:
        prepared(window)
    return torch.export.export(convert_pt2e(prepared), (given[0],))


def xnnpack(name: str, program: Callable[[], torch.export.ExportedProgram]) -> tuple[Path, Labels, str]:
    """Lowered for this computer, and run by its runtime."""
    file = FOLDER / f"{name}.pte"
    lowered = to_edge_transform_and_lower(program(), partitioner=[XnnpackPartitioner()])
    file.write_bytes(lowered.to_executorch().buffer)
    method = Runtime.get().load_program(file).load_method("forward")
    return file, labels_of([method.execute([torch.from_numpy(row)[None]])[0].numpy() for row in TEST]), ""


def int8() -> torch.export.ExportedProgram:
    quantizer = XNNPACKQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True))
    return quantised(network(), quantizer, WINDOWS)


def cortex_m(
    name: str, model: nn.Module, given: Sequence[Tensor], run: bool
) -> tuple[Path, Labels | None, str]:
    """Lowered for a Cortex-M4: the note says which operators became its integer ones."""
    from executorch.backends.cortex_m.edge_compile_config import cortex_m_edge_compile_config
    from executorch.backends.cortex_m.passes.cortex_m_pass_manager import CortexMPassManager
    from executorch.backends.cortex_m.quantizer.quantizer import CortexMQuantizer
    from executorch.backends.cortex_m.target_config import CortexM, CortexMTargetConfig

    edge = to_edge(quantised(model, CortexMQuantizer(), given), compile_config=cortex_m_edge_compile_config())
    chip = CortexMTargetConfig(cpu=CortexM.M4)
    lowered = CortexMPassManager(edge.exported_program(), target_config=chip).transform()
    called = [str(node.target) for node in lowered.graph.nodes if node.op == "call_function"]
    integer = sum("cortex_m.quantized_" in target for target in called)
    left = [
        f"{sum(target in one for one in called)} {word}"
        for target, word in (
            ("aten.bmm", "attention products"), ("aten._softmax", "softmax"),
            ("native_layer_norm", "LayerNorms"), ("aten.linear", "linear layers"),
            ("aten.mean", "mean"),
        )
        if any(target in one for one in called)
    ]  # fmt: skip
    labels = None
    if run:
        module = lowered.module(check_guards=False)
        with torch.no_grad():
            labels = labels_of([module(torch.from_numpy(row)[None]).numpy() for row in TEST])
    file = FOLDER / f"{name}.pte"
    edge._edge_programs["forward"] = lowered
    file.write_bytes(edge.to_executorch().buffer)
    rest = f"; in floating point: {', '.join(left)}" if left else ""
    return file, labels, f"lowers: {integer} integer operators{rest}; no library for the chip in the package"


def fused(layer: EncoderLayer, x: Tensor) -> Tensor:
    """`EncoderLayer.attend` in PyTorch's one call."""
    q, k, v = (layer._split(part(x)) for part in (layer.q, layer.k, layer.v))
    return functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


def fused_model() -> nn.Module:
    EncoderLayer.attend = fused  # type: ignore[method-assign]
    return network()


def mlp() -> tuple[Path, Labels | None, str]:
    """220-32-16-9, random weights: whether it lowers does not depend on them."""
    torch.manual_seed(0)
    sizes = (nn.Linear(220, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 9))
    return cortex_m("mlp", nn.Sequential(*sizes).eval(), [torch.randn(1, 220) for _ in range(50)], run=False)


said, tool = Said(), f"ExecuTorch {version('executorch')}"
said.add(
    f"{tool}, XNNPACK, float", lambda: xnnpack("float", lambda: torch.export.export(network(), (WINDOWS[0],)))
)
said.add(f"{tool}, XNNPACK, static int8", lambda: xnnpack("int8", int8))
said.add(f"{tool}, Cortex-M, static int8", lambda: cortex_m("cortex", network(), WINDOWS, run=True))
said.add(
    f"{tool}, Cortex-M, static int8, attention as one call",
    lambda: cortex_m("fused", fused_model(), WINDOWS, run=True),
)
said.add(f"mlp 220-32-16-9: {tool}, Cortex-M, static int8", mlp)
said.write()
