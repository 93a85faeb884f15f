"""The command line called as a person would, and small recordings to call it with."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinyloc.cli import main

SMALL = ("--tier", "pip", "--hidden", "4", "--train-steps", "20", "--scaling", "minmax")
"""Options of `run` that make it quick; `TRAIN_SMALL` those of `train`."""
TRAIN_SMALL = SMALL[2:]


@dataclass(frozen=True)
class Done:
    """What a command left: its exit code and its two streams."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line on standard error that is all a failed command may say after its notes."""
        lines = self.err.splitlines()
        assert lines, "nothing on standard error"
        assert lines[-1].startswith("error: "), self.err
        assert sum(line.startswith("error: ") for line in lines) == 1, self.err
        assert "Traceback" not in self.err
        assert "fault in tinyloc" not in self.err
        assert self.code not in (0, 1)
        return lines[-1]

    @property
    def only_error(self) -> str:
        """The same, where nothing at all may stand before it."""
        assert len(self.err.splitlines()) == 1, self.err
        return self.error


def tinyloc(*words: object) -> Done:
    """Run a command in this process."""
    out, err = io.StringIO(), io.StringIO()
    code: object = None
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main([str(word) for word in words])
        except SystemExit as leaving:
            code = leaving.code
    assert isinstance(code, int), "main() always leaves with a number"
    return Done(code, out.getvalue(), err.getvalue())


def done(*words: object) -> Done:
    """The same, and it went well."""
    found = tinyloc(*words)
    assert found.code == 0, found.err
    return found


def command(*words: object) -> list[str]:
    """The words that start tinyloc as a program of its own."""
    return [sys.executable, "-m", "tinyloc", *(str(word) for word in words)]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "100", **more}


def program(*words: object, cwd: Path | None = None) -> Done:
    """Run a command as a program of its own."""
    found = subprocess.run(
        command(*words), capture_output=True, text=True, timeout=120, cwd=cwd, env=environment(), check=False
    )
    return Done(found.returncode, found.stdout, found.stderr)


Table = list[list[str]]


def rows(each: int = 300, sessions: Sequence[str] = ("mon", "tue", "wed"), seed: int = 0) -> Table:
    """Header and rows of a sound recording: two rooms, three access points, 5 Hz, `each` rows a session."""
    random = np.random.default_rng(seed)
    table = [["time", "ap1", "ap2", "ap3", "room", "session"]]
    for session in sessions:
        for at in range(each):
            kitchen = (at // 50) % 2 == 0
            level = np.array([-55, -80, -70] if kitchen else [-80, -55, -72]) + random.integers(-4, 5, 3)
            cells = [str(value) if random.random() > 0.1 else "" for value in level]
            table.append([f"{at * 0.2:.1f}", *cells, "kitchen" if kitchen else "hall", session])
    return table


def write(path: Path, table: Table) -> Path:
    path.write_text("\n".join(",".join(row) for row in table) + "\n", encoding="utf-8")
    return path


def left_behind(folder: Path) -> list[str]:
    """Temporary files below a folder: there are never any."""
    return sorted(str(path) for path in folder.rglob("*.part"))
