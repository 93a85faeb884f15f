"""`tinyloc emit --as`: from a run folder to a package that builds and passes its own test."""

import subprocess
from pathlib import Path

import pytest
from command_line import done, tinyloc

from tinyloc.quant.storage import load


def test_a_package_of_a_run_passes_its_self_test_and_says_what_it_needs(
    copy_of_run: Path, tmp_path: Path
) -> None:
    points = load(copy_of_run / "model.tinyloc").access_points
    addresses = tmp_path / "anchors.csv"
    addresses.write_text(f"# name,address\n{points[0]},0A:1B:2C:3D:4E:5F\n")
    before = {path: path.stat().st_mtime_ns for path in (copy_of_run / "c").iterdir()}
    found = done("emit", copy_of_run, "--as", "c", "--addresses", addresses)
    folder = copy_of_run / "package-c"
    assert str(folder / "README.md") in found.err
    made = subprocess.run(
        ["make", "-s", "test", "CFLAGS=-O0"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert made.stdout == "tinyloc: pass\n", made.stderr
    readme = (folder / "README.md").read_text()
    for words in ("flash of the model", "deepest stack", "energy a sample", "0A:1B:2C:3D:4E:5F"):
        assert words in readme
    graph = load(folder / "model.tinyloc")
    assert graph.hop
    assert {extra.output for extra in graph.extras} == {"probability", "unknown"}
    assert before == {path: path.stat().st_mtime_ns for path in (copy_of_run / "c").iterdir()}
    assert (copy_of_run / "result.json").exists(), "the run's own verdict still stands"


def test_a_verdict_that_is_spoilt_is_in_no_packages_way(copy_of_run: Path) -> None:
    (copy_of_run / "result.json").write_text("{")
    assert "package-arduino" in done("emit", copy_of_run, "--as", "arduino").err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--as", "mbed"), "expected one of c, arduino, zephyr, platformio, esp-idf"),
        (("--hop", "3"), "are of a package"),
        (("--as", "c", "--hop", "0"), "a hop of 0 samples is impossible"),
        (("--as", "c", "--hop", "3"), "begins every window"),
        (("--as", "c", "--false-unknown", "1"), "false alarms"),
        (("--as", "c", "--addresses", "nowhere.csv"), "cannot be read"),
        (("--as", "c", "--answers", "some"), "expected one of full, plain"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(words: tuple[str, ...], message: str, copy_of_run: Path) -> None:
    assert message in tinyloc("emit", copy_of_run, *words).error
    assert not (copy_of_run / "package-c").exists()
