"""Ctrl-C, a kill and a full disk: what is on disk is whole, or not there."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import TRAIN_SMALL, Done, command, done, environment, left_behind, program, tinyloc

from tinyloc import files
from tinyloc.data import load_windows_file, picture
from tinyloc.judge import result as verdict
from tinyloc.learn import train
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.pipeline import integers, stages
from tinyloc.pipeline import verify as verifying
from tinyloc.quant import storage
from tinyloc.report import page

LONGER = ("--hidden", "4", "--train-steps", "40", "--scaling", "auto")
"""Two trials of 40 steps, validated every 2 steps."""

WAITS = """
import os
import signal
import sys
from tinyloc import files
from tinyloc.cli import main
from tinyloc.device import unicorn_chip
from tinyloc.learn import train

signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it would be ignored
times = int(sys.argv.pop(1))
woken, wakes = os.pipe()  # a signal just before a plain pause() would never end it
os.set_blocking(wakes, False)
signal.set_wakeup_fd(wakes)

def wait_after(owner, name, matters=lambda *arguments: True):
    real = getattr(owner, name)
    def wrapped(*arguments):
        global times
        done = real(*arguments)
        times -= matters(*arguments)
        if times == 0:
            print("waits", flush=True)
            os.read(woken, 1)
        return done
    setattr(owner, name, wrapped)

if sys.argv[1] == "chip":
    wait_after(unicorn_chip._Chip, "_on_interrupt")
    sys.argv.pop(1)
elif sys.argv[1] == "write":
    wait_after(files.os, "fsync")
    sys.argv.pop(1)
else:
    wait_after(train._Run, "evaluate")
main()
"""
"""tinyloc, but it waits for a signal after so many evaluations, or in the midst of so many writes."""


def stopped_by(numbers: signal.Signals | list[signal.Signals], *words: object) -> Done:
    """Start the waiting program, send it the signals where it waits, and see how it ends."""
    child = subprocess.Popen(
        [sys.executable, "-c", WAITS, *(str(word) for word in words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    assert child.stdout is not None
    line = child.stdout.readline()
    if line != "waits\n":
        pytest.fail(f"{line}{child.communicate()}")
    for number in numbers if isinstance(numbers, list) else [numbers]:
        child.send_signal(number)
    out, err = child.communicate(timeout=60)
    return Done(child.returncode, out, err)


@pytest.fixture(scope="module")
def trained(recording: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where the longer training was never interrupted."""
    folder = tmp_path_factory.mktemp("trained")
    done("data", "--data", recording, "--out", folder)
    done("train", folder, *LONGER)
    return folder


@pytest.fixture
def untrained(trained: Path, tmp_path: Path) -> Path:
    """The same windows, before training."""
    folder = tmp_path / "untrained"
    folder.mkdir()
    shutil.copyfile(trained / "windows.npz", folder / "windows.npz")
    return folder


def test_ctrl_c_in_training_goes_on_to_the_same_bytes(trained: Path, untrained: Path) -> None:
    """Stopped in the first trial and again in the second, whose 24th evaluation the first part left to do: by
    Ctrl-C, and as a terminal that is closed and a computer that shuts down do: twice.
    """
    state = untrained / "training.state"
    for numbers, evaluations in (
        ([signal.SIGINT], 3),
        ([signal.SIGTERM, signal.SIGTERM, signal.SIGHUP], 21),
        ([signal.SIGHUP, signal.SIGHUP, signal.SIGTERM], 3),
    ):
        found = stopped_by(numbers, evaluations, "train", untrained, *LONGER)
        assert found.code == 130
        assert str(state) in found.only_error
        assert "The same command goes on from there" in found.only_error
        assert state.exists()
        assert not (untrained / "model.safetensors").exists()
        assert "`tinyloc train` makes it" in tinyloc("quantise", untrained).only_error
    done("train", untrained, *LONGER)
    assert (untrained / "model.safetensors").read_bytes() == (trained / "model.safetensors").read_bytes()
    assert not state.exists()
    assert left_behind(untrained) == []


@pytest.fixture
def ctrl_c(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Ctrl-C at the n-th evaluation of a training in this process."""

    def press(at: int) -> None:
        real, count = train._Run.evaluate, 0

        def evaluate(*arguments: Any) -> None:
            nonlocal count
            count += 1
            if count == at:
                raise KeyboardInterrupt
            real(*arguments)

        monkeypatch.setattr(train._Run, "evaluate", evaluate)

    return press


def test_a_state_of_other_training_is_never_gone_on_from(
    trained: Path, untrained: Path, ctrl_c: Callable[[int], None]
) -> None:
    ctrl_c(2)
    assert tinyloc("train", untrained, *LONGER, "--seed", "3").code == 130
    assert (untrained / "training.state").exists()
    killed = stopped_by(signal.SIGKILL, 2, "train", untrained, *LONGER)
    assert killed.code == -signal.SIGKILL
    done("train", untrained, *LONGER)
    assert (untrained / "model.safetensors").read_bytes() == (trained / "model.safetensors").read_bytes()


def test_a_damaged_state_says_how_to_go_on(untrained: Path, ctrl_c: Callable[[int], None]) -> None:
    ctrl_c(2)
    assert tinyloc("train", untrained, *LONGER).code == 130
    state = untrained / "training.state"
    state.write_bytes(state.read_bytes()[:-3])
    error = tinyloc("train", untrained, *LONGER).only_error
    assert str(state) in error
    assert "Remove it" in error
    state.unlink()
    done("train", untrained, *LONGER)


def test_ctrl_c_in_a_run_says_so_in_one_line(
    recording: Path, tmp_path: Path, ctrl_c: Callable[[int], None]
) -> None:
    ctrl_c(2)
    found = tinyloc("run", "--data", recording, "--tier", "pip", *LONGER, "--quiet", "--out", tmp_path)
    assert found.code == 130
    assert str(tmp_path / "training.state") in found.only_error


def test_ctrl_c_elsewhere_is_one_line_too(recording: Path, tmp_path: Path) -> None:
    found = stopped_by(signal.SIGINT, 1, "write", "data", "--data", recording, "--out", tmp_path)
    assert found.code == 130
    assert "stopped" in found.only_error
    assert list(tmp_path.iterdir()) == []


STAGES: dict[str, tuple[object, str]] = {
    "data": (stages, "load_windows"),
    "data show": (picture, "draw_recordings"),
    "train": (stages, "fingerprint"),
    "quantise": (integers, "lower"),
    "emit": (stages.emission, "emit"),
    "verify": (verifying, "replay"),
    "report": (page, "render"),
}


@pytest.mark.parametrize("verb", STAGES)
def test_ctrl_c_in_every_stage(
    verb: str, recording: Path, copy_of_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def press(*arguments: object, **named: object) -> None:
        raise KeyboardInterrupt

    owner, name = STAGES[verb]
    monkeypatch.setattr(owner, name, press)
    if verb == "data show":
        monkeypatch.setattr("tinyloc.data.draw_recordings", press)
    words = {
        "data": ("data", "--data", recording, "--out", tmp_path / "new"),
        "data show": ("data", "show", recording, "--picture", tmp_path / "new.png"),
        "verify": ("verify", copy_of_run, "--tier", "pip"),
    }.get(verb, (verb, copy_of_run))
    found = tinyloc(*words)
    assert found.code == 130
    assert found.only_error.startswith("error: stopped")
    assert not list(tmp_path.glob("new*"))
    whole(copy_of_run)


def test_ctrl_c_while_the_chip_runs(copy_of_run: Path) -> None:
    found = stopped_by(signal.SIGINT, 1, "chip", "verify", copy_of_run, "--tier", "pip")
    assert found.code == 130
    assert "stopped" in found.only_error
    assert not (copy_of_run / "result.json").exists(), "an old verdict does not outlive a verify"
    whole(copy_of_run)


def test_a_kill_in_training_leaves_nothing_half_written(trained: Path, untrained: Path) -> None:
    found = stopped_by(signal.SIGKILL, 4, "train", untrained, *LONGER)
    assert found.code == -signal.SIGKILL
    assert {path.name for path in untrained.iterdir()} == {"windows.npz", "run.json"}
    assert "`tinyloc train` makes it" in tinyloc("quantise", untrained).only_error
    done("train", untrained, *LONGER)
    assert (untrained / "model.safetensors").read_bytes() == (trained / "model.safetensors").read_bytes()


def test_a_kill_in_the_midst_of_a_write(copy_of_run: Path) -> None:
    """The integer model is being written: the old one stands whole, and nothing goes on with it unseen."""
    before = (copy_of_run / "model.tinyloc").read_bytes()
    found = stopped_by(signal.SIGKILL, 2, "write", "quantise", copy_of_run, "--precision", "int8")
    assert found.code == -signal.SIGKILL
    assert (copy_of_run / "model.tinyloc").read_bytes() == before
    whole(copy_of_run)
    assert len(left_behind(copy_of_run)) == 1, "a killed process cannot tidy up"
    verified = tinyloc("verify", copy_of_run, "--tier", "pip")
    assert "makes it" in verified.only_error
    done("quantise", copy_of_run, "--precision", "int8")
    assert left_behind(copy_of_run) == [], "the next write of that file does"
    done("emit", copy_of_run)
    done("verify", copy_of_run, "--tier", "pip")


def test_only_what_nobody_writes_any_more_is_removed(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    names = {
        f".a.json.{dead.pid}-x.part": False,
        f".a.json.{os.getpid()}-x.part": True,
        f".a.json.{os.getpid()}-old.part": False,
        ".a.json.oldform.part": False,
        f".b.json.{dead.pid}-x.part": True,
        "a.json.part": True,
    }
    for name in names:
        (tmp_path / name).write_text("half")
    old = time.time() - 2 * files.STALE_SECONDS
    os.utime(tmp_path / f".a.json.{os.getpid()}-old.part", (old, old))
    files.write_text(tmp_path / "a.json", "whole")
    assert {name: (tmp_path / name).exists() for name in names} == names
    assert (tmp_path / "a.json").read_text() == "whole"


# --- the disk is full -------------------------------------------------------------------------------------


def whole(folder: Path) -> None:
    """Every file that is there can be read, and C stands beside its integer model or not at all."""
    readers: dict[str, Callable[[Path], object]] = {
        "windows.npz": load_windows_file,
        "model.safetensors": Checkpoint.load,
        "model.tinyloc": storage.load,
        "result.json": verdict.load,
        "run.json": lambda path: json.loads(path.read_text()),
    }
    for name, read in readers.items():
        if (folder / name).exists():
            read(folder / name)
    if (folder / "index.html").exists():
        assert (folder / "index.html").read_text().rstrip().endswith("</html>")
    if (folder / "c" / "tinyloc_model.c").exists():
        assert (folder / "c" / "tinyloc_kernels.h").exists()


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """From the n-th write on, the disk is full."""

    def fill(after: int) -> None:
        real, count = os.fsync, 0

        def fsync(descriptor: int) -> None:
            nonlocal count
            count += 1
            if count >= after:
                os.ftruncate(descriptor, 10)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            real(descriptor)

        monkeypatch.setattr(files.os, "fsync", fsync)

    return fill


VERBS: dict[str, tuple[str, ...]] = {
    "train": (*TRAIN_SMALL, "--seed", "1"),
    "quantise": ("--precision", "int8"),
    "emit": (),
    "verify": ("--tier", "pip", "--board", "nrf52832"),
    "report": (),
}


@pytest.mark.parametrize("after", [1, 2, 3, 5])
@pytest.mark.parametrize("verb", VERBS)
def test_the_disk_full_at_any_write(
    copy_of_run: Path, full_disk: Callable[[int], None], verb: str, after: int
) -> None:
    full_disk(after)
    found = tinyloc(verb, copy_of_run, *VERBS[verb])
    if found.code or after == 1:
        assert found.code == 2
        assert str(copy_of_run) in found.only_error
        assert "No space left on device" in found.only_error
        assert "Free some space" in found.only_error
    assert left_behind(copy_of_run) == []
    whole(copy_of_run)


def test_the_disk_full_before_anything_is_there(
    recording: Path, tmp_path: Path, full_disk: Callable[[int], None]
) -> None:
    full_disk(1)
    folder = tmp_path / "run"
    error = tinyloc("data", "--data", recording, "--out", folder).only_error
    assert str(folder / "windows.npz") in error
    assert list(folder.iterdir()) == []
    picture = tmp_path / "home.png"
    assert str(picture) in tinyloc("data", "show", recording, "--picture", picture).only_error
    assert not picture.exists()


def test_the_disk_full_while_several_seeds_run(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is copied between the seeds' folders is copied whole, or not at all."""
    real, copied = files.os.replace, tmp_path / "seeds" / "0" / "windows.npz"

    def replace(source: str, target: Path) -> None:
        if Path(target) == copied:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(source, target)

    monkeypatch.setattr(files.os, "replace", replace)
    words = ("--tier", "pip", "--hidden", "2", "--train-steps", "2", "--scaling", "minmax", "--seeds", "2")
    error = tinyloc("run", "--data", recording, *words, "--quiet", "--out", tmp_path).only_error
    assert str(copied) in error
    assert left_behind(tmp_path) == []
    assert not copied.exists()


def limited(size: int, *words: object) -> Done:
    """A program that may write no file beyond `size` bytes, as on a disk that is nearly full."""
    found = subprocess.run(
        command(*words),
        capture_output=True,
        text=True,
        timeout=120,
        env=environment(),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
        check=False,
    )
    return Done(found.returncode, found.stdout, found.stderr)


@pytest.mark.parametrize(
    ("verb", "words", "name", "size"),
    [
        ("train", (*TRAIN_SMALL, "--seed", "1"), "model.safetensors", 5000),
        ("emit", (), "tinyloc_model.c", 4096),
    ],
)
def test_a_program_that_may_not_write_so_much(
    copy_of_run: Path, verb: str, words: tuple[str, ...], name: str, size: int
) -> None:
    found = limited(size, verb, copy_of_run, *words)
    assert found.code == 2
    assert name in found.only_error
    assert "File too large" in found.only_error
    assert left_behind(copy_of_run) == []
    assert not list(copy_of_run.glob("c/tinyloc_model.c"))
    whole(copy_of_run)


def test_a_choice_that_cannot_be_kept_leaves_the_model_before_it(copy_of_run: Path) -> None:
    before = {path.name: path.read_bytes() for path in copy_of_run.iterdir() if path.is_file()}
    found = limited(5000, "train", copy_of_run, *TRAIN_SMALL, "--seed", "1", "--tune", "refit=true")
    assert found.code == 2
    assert "training.chosen: could not be written (File too large)" in found.only_error
    assert left_behind(copy_of_run) == []
    after = {path.name: path.read_bytes() for path in copy_of_run.iterdir() if path.is_file()}
    del before["run.json"], after["run.json"]  # which notes that a training was begun
    assert after == before
    assert program("verify", copy_of_run, "--tier", "pip", "--json").code == 0


def test_windows_that_do_not_fit_the_disk(recording: Path, tmp_path: Path) -> None:
    found = limited(1024, "data", "--data", recording, "--out", tmp_path)
    assert "windows.npz: could not be written (File too large)" in found.only_error
    assert list(tmp_path.iterdir()) == []


def test_a_compiler_that_finds_the_disk_full(copy_of_run: Path) -> None:
    shutil.rmtree(copy_of_run / "build")
    model = copy_of_run / "c" / "tinyloc_model.c"
    model.write_text(f"{model.read_text()}/* {copy_of_run} */\n")  # nothing is taken from a cache
    found = limited(2048, "verify", copy_of_run, "--tier", "pip")
    assert f"{copy_of_run / 'build' / 'pip'}: the disk is full" in found.only_error
    assert found.code == 2
    assert not (copy_of_run / "build" / "pip" / "firmware.elf").exists()
    assert not (copy_of_run / "result.json").exists(), "the old verdict is gone"
    assert not (copy_of_run / "index.html").exists()
    assert program("verify", copy_of_run, "--tier", "pip", "--json").code == 0
