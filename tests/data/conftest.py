"""What the tests of the data share: where the real recordings lie, and a sound file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from recording_samples import rows, write

ROOT = Path(__file__).resolve().parents[2]


def find_data() -> Path | None:
    candidates = [Path(os.environ["TINYLOC_DATA"])] if os.environ.get("TINYLOC_DATA") else []
    candidates.append(ROOT.parent / "shared" / "data")
    return next((folder for folder in candidates if (folder / "flat" / "calibration.csv").is_file()), None)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    folder = find_data()
    if folder is None:
        pytest.skip("the real recordings are not here: set TINYLOC_DATA to the folder that holds them")
    return folder


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return write(tmp_path / "my_home.csv", rows())
