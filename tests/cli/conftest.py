"""One small run, made once, and copies of it to be spoilt."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from command_line import SMALL, Done, Table, done, rows, write

from tinyloc.data.windows import WindowSets
from tinyloc.device.boards import Board
from tinyloc.device.tiers import Tier
from tinyloc.judge.budget import Candidate
from tinyloc.models.config import Config
from tinyloc.pipeline import fits
from tinyloc.quant.lower import Precision
from tinyloc.quant.packing import WeightBits


@pytest.fixture(scope="session", autouse=True)
def measured_once() -> Iterator[None]:
    """A shape that was measured for one test is not built again for another: the figures are the same."""
    real, known = fits.measure, dict[object, Candidate]()

    def measure(
        config: Config,
        sets: WindowSets,
        precision: Precision,
        tiers: Sequence[Tier],
        weight_bits: WeightBits = 8,
        board: Board = fits.DEFAULT_BOARD,
        *,
        follow: bool = False,
    ) -> Candidate:
        built = (board.core, *((type(tier), tier.name) for tier in tiers))
        key = (config, sets.digest, precision, weight_bits, follow, *built)
        if key not in known:
            known[key] = real(config, sets, precision, tiers, weight_bits, board, follow=follow)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fits, "measure", measure)
        yield


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("recording") / "my_home.csv", rows())


@pytest.fixture(scope="session")
def finished(recording: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    """The folder of a whole run, which no test may change, and what the command said."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    return folder, done("run", "--data", recording, *SMALL, "--json", "--out", folder)


@pytest.fixture
def copy_of_run(finished: tuple[Path, Done], tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished[0], tmp_path / "run"))


@pytest.fixture
def spoilt(tmp_path: Path) -> Callable[[Callable[[Table], Table]], Path]:
    """A recording in which one thing is wrong."""

    def make(change: Callable[[Table], Table]) -> Path:
        return write(tmp_path / "walk.csv", change(rows()))

    return make
