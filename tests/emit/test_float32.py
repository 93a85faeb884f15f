"""Mamba in C in floating point, uncompressed: PyTorch's rooms at every step."""

from pathlib import Path

import numpy as np
import pytest
import torch
from builders import any_bytes, mamba, records, signal

from tinyloc.device.boards import find_board
from tinyloc.device.host import build_host
from tinyloc.device.tiers import find_tier
from tinyloc.emit.float32 import emit_float32
from tinyloc.errors import QuantisationError
from tinyloc.models import families
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.models.config import MambaConfig, StatnetConfig

T, P, K = 20, 6, 4


def logits(checkpoint: Checkpoint, rssi: np.ndarray) -> np.ndarray:
    """PyTorch's answer after every step [W, T, K]."""
    model = families.from_weights(checkpoint.config, checkpoint.weights)
    with torch.no_grad():
        given = families.inputs(checkpoint.config, checkpoint.scaling, rssi)
        return np.asarray(model(*(torch.from_numpy(part) for part in given)).numpy())


def answered(answers: bytes, rooms: int = K) -> tuple[np.ndarray, np.ndarray]:
    """What the harness wrote: scores [W, T, K] float32 and rooms [W, T]."""
    rows = np.frombuffer(answers, np.uint8).reshape(-1, T, 4 * rooms + 2)
    scores = np.ascontiguousarray(rows[..., : 4 * rooms]).view("<f4")
    assert np.array_equal(scores.argmax(-1), rows[..., -2])
    assert np.array_equal(rows[..., -1], rows[..., -2])
    return scores, rows[..., -2]


@pytest.mark.parametrize(
    ("layers", "kind", "wild"),
    [(1, "minmax", 1.0), (2, "zscore", 3.0), (1, "power", 1.0), (1, "zscore", 8.0)],
)
def test_the_rooms_are_pytorchs(layers: int, kind: str, wild: float, tmp_path: Path) -> None:
    _, checkpoint = mamba(8, layers, P, K, kind=kind, wild=wild)
    rssi = np.concatenate([signal(40, T, P, 1), any_bytes(20, T, P, 2)])
    wanted = logits(checkpoint, rssi)
    emit_float32(checkpoint, tmp_path / "c")
    program = build_host(tmp_path / "c", tmp_path / "host", sanitize=True)
    scores, rooms = answered(program.run(records(rssi)))
    assert np.allclose(scores, wanted, rtol=1e-4, atol=2e-5 * np.abs(wanted).max())
    assert np.array_equal(rooms, wanted.argmax(-1))


def test_on_a_cortex_m4_within_32_kb_of_flash_and_ram_together(tmp_path: Path) -> None:
    _, checkpoint = mamba(8, 1, P, K)
    rssi = signal(20, T, P, 3)
    emit_float32(checkpoint, tmp_path / "c")
    tier = find_tier("pip")
    firmware = tier.build(tmp_path / "c", find_board("cortex-m4"), tmp_path / "build", ram_bytes=8 * 1024)
    run = tier.run(firmware, records(rssi), count_records=T)
    _, rooms = answered(run.answers)
    assert np.array_equal(rooms, logits(checkpoint, rssi).argmax(-1))
    assert firmware.flash_bytes + firmware.static_ram_bytes + run.stack_bytes < 32 * 1024


def test_what_has_no_such_form_is_refused(tmp_path: Path) -> None:
    _, plain = mamba(4, 1, P, K)
    for config, said in (
        (MambaConfig(access_points=P, rooms=K, hidden=4, crf=True), "operator Collect"),
        (StatnetConfig(access_points=P, rooms=K), "family 'statnet'"),
    ):
        weights = {name: np.full(shape, 0.1, np.float32) for name, shape in config.weight_shapes().items()}
        checkpoint = Checkpoint(
            config, plain.scaling, weights, plain.rooms, plain.access_points, T, 0.2, "reset"
        )
        with pytest.raises(QuantisationError, match=said):
            emit_float32(checkpoint, tmp_path / "c")
    assert not (tmp_path / "c").exists()
