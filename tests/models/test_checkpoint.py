from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import safetensors.numpy
from model_windows import make_windows

from tinyloc.errors import ModelFileError, OutputError, UsageError
from tinyloc.models import checkpoint as module
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.models.config import MambaConfig
from tinyloc.models.scaling import InputScaling

WINDOWS = make_windows()
CONFIG = MambaConfig(access_points=5, rooms=3, hidden=4, state=3)


def make_checkpoint() -> Checkpoint:
    random = np.random.default_rng(7)
    shapes = CONFIG.weight_shapes()
    return Checkpoint(
        config=CONFIG,
        scaling=InputScaling.fit("zscore", WINDOWS),
        weights={n: random.normal(size=s).astype(np.float32) for n, s in shapes.items()},
        rooms=WINDOWS.rooms,
        access_points=WINDOWS.access_points,
        window_steps=8,
        seconds_per_step=0.2,
        state="reset",
        training={"seed": 7, "options": {"rate": 0.01}},
    )


DATA = make_checkpoint().to_bytes()


def test_what_is_saved_is_what_is_loaded(tmp_path):
    saved = make_checkpoint()
    saved.save(tmp_path / "model.safetensors")
    loaded = Checkpoint.load(tmp_path / "model.safetensors")
    assert loaded.to_bytes() == saved.to_bytes() == DATA
    assert loaded.config == CONFIG
    assert loaded.family == "mamba"
    assert (loaded.rooms, loaded.state, loaded.training) == (saved.rooms, "reset", saved.training)
    assert all(np.array_equal(loaded.weights[name], weight) for name, weight in saved.weights.items())
    assert loaded.scaling.kind == "zscore"
    assert np.array_equal(loaded.scaling.gain, saved.scaling.gain)


def test_any_safetensors_reader_opens_it():
    assert set(safetensors.numpy.load(DATA)) > set(CONFIG.weight_shapes())


def test_every_cut_is_found():
    for end in {*range(0, 64), *range(64, len(DATA), 29), len(DATA) - 1}:
        with pytest.raises(ModelFileError):
            Checkpoint.from_bytes(DATA[:end])


def test_every_flipped_byte_is_found():
    for place in range(0, len(DATA), 3):
        damaged = bytearray(DATA)
        damaged[place] ^= (0x01, 0x20, 0x29, 0x80)[place % 4]
        with pytest.raises(ModelFileError) as caught:
            Checkpoint.from_bytes(bytes(damaged))
        assert "\n" not in str(caught.value)


def test_bytes_added_at_the_end_are_found():
    with pytest.raises(ModelFileError):
        Checkpoint.from_bytes(DATA + b"\0")


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 a zip of pickles", b"\xff" * 4000, b"{}" * 50])
def test_other_files_are_refused_in_one_line(tmp_path, data):
    path = tmp_path / "other"
    path.write_bytes(data)
    with pytest.raises(ModelFileError) as caught:
        Checkpoint.load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_safetensors_files_are_refused():
    with pytest.raises(ModelFileError, match="not a tinyloc checkpoint"):
        Checkpoint.from_bytes(safetensors.numpy.save({"a": np.zeros(3, np.float32)}))


def test_a_missing_file_is_an_error_of_one_line(tmp_path):
    with pytest.raises(ModelFileError, match="cannot be read"):
        Checkpoint.load(tmp_path / "none")


def test_another_version_is_named(monkeypatch):
    monkeypatch.setattr(module, "VERSION", 2)
    newer = make_checkpoint().to_bytes()
    monkeypatch.undo()
    with pytest.raises(ModelFileError, match="version 2, and this reads version 1"):
        Checkpoint.from_bytes(newer)


def test_another_family_is_named(monkeypatch):
    monkeypatch.setattr(module, "FAMILIES", {"transformer": MambaConfig})
    with pytest.raises(ModelFileError, match="family 'mamba' is none of transformer"):
        Checkpoint.from_bytes(DATA)


@pytest.mark.parametrize(
    "change",
    [
        {"rooms": ("kitchen",)},
        {"access_points": ("one", "two")},
        {"state": "forgotten"},
        {"window_steps": 0},
        {"weights": {}},
        {"config": MambaConfig(5, 3, 5, state=3)},
    ],
)
def test_parts_that_do_not_fit_are_refused(change):
    with pytest.raises(UsageError):
        dataclasses.replace(make_checkpoint(), **change)


def test_weights_that_are_not_finite_are_refused():
    weights = dict(make_checkpoint().weights)
    weights["head.weight"] = np.full((3, 4), np.nan, np.float32)
    with pytest.raises(UsageError, match="head"):
        dataclasses.replace(make_checkpoint(), weights=weights)


def test_nothing_half_written_is_left(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError):
        make_checkpoint().save(tmp_path / "file" / "model")


def test_no_torch_is_needed():
    parts = ("checkpoint", "scaling", "config", "classic", "statistics", "sinusoid", "decode")
    names = ", ".join(f"tinyloc.models.{part}" for part in parts)
    code = f"import sys, {names}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "wrong", [{"hidden": 0}, {"layers": -1}, {"state": 1.5}, {"rooms": "3"}, {"conv": True}]
)
def test_a_shape_that_cannot_be_is_refused(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        MambaConfig(**({"access_points": 2, "rooms": 2, "hidden": 2} | wrong))
