"""Fuzz the loader of integer models, and all that trusts it: what a mutant file makes of the program.

A file is refused in one line (a TinylocError), or it is a model: then its C is emitted, the reference runs
it, and every so often a compiler with sanitizers builds it and both must answer the same. Anything else is a
find.

    python fuzz/fuzz_loader.py --seconds 600 --out build/fuzz/loader

With `atheris` (libFuzzer for Python) the choices come from its bytes and it is led by what code they reach;
without it they come from seeds.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from fuzz_models import graphs
from fuzz_mutants import mutant

from tinyloc.device.host import build_host
from tinyloc.emit import emit
from tinyloc.errors import TinylocError, ToolchainError
from tinyloc.quant import storage
from tinyloc.quant.graph import Graph
from tinyloc.quant.reference import Reference, answers

LARGEST_WINDOW = 10_000
"""Bytes of a window that is run; a mutant may ask for windows of any length."""

TOLD_EVERY = 1000


class Seeded:
    """Choices from a seed."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)

    def number(self, least: int, most: int) -> int:
        """A number from `least` to `most`."""
        return int(self.random.integers(least, most, endpoint=True))


class Told:
    """Choices from a fuzzer's bytes; the least when they are used up."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def number(self, least: int, most: int) -> int:
        """A number from `least` to `most`, from as many bytes as it takes."""
        span, value = most - least + 1, 0
        for _ in range(max(1, ((span - 1).bit_length() + 7) // 8)):
            value = value << 8 | (self.data[self.at] if self.at < len(self.data) else 0)
            self.at += 1
        return least + value % span


class Tally:
    """What became of the mutants."""

    def __init__(self) -> None:
        self.files = {name: storage.to_bytes(graph) for name, graph in graphs().items()}
        self.tried = self.accepted = self.compiled = 0

    def one(self, source: Seeded | Told, *, compile_every: int) -> None:
        """One mutant, whatever it does. Raises what nobody expects."""
        names = list(self.files)
        data = mutant(self.files[names[source.number(0, len(names) - 1)]], source)
        self.tried += 1
        try:
            graph = storage.from_bytes(data)
        except TinylocError:
            return
        self.accepted += 1
        with tempfile.TemporaryDirectory(prefix="tinyloc-fuzz-") as scratch:
            try:
                emit(graph, Path(scratch) / "c")
                self.run(graph, Path(scratch), compiled=self.accepted % compile_every == 0)
            except ToolchainError:
                raise
            except TinylocError:
                return

    def run(self, graph: Graph, folder: Path, *, compiled: bool) -> None:
        """Windows of any bytes through the reference, and through the C where it is `compiled`."""
        if graph.window_steps * graph.sample_bytes > LARGEST_WINDOW:
            return
        shape = (3, graph.window_steps, graph.sample_bytes)
        samples = np.random.default_rng(0).integers(-128, 128, shape, dtype=np.int8)
        scores = Reference(graph, check=True).run(samples)
        if not compiled or graph.hop:
            return
        self.compiled += 1
        flags = np.zeros((3, graph.window_steps, 1), np.int8)
        flags[:, 0] = 1
        program = build_host(folder / "c", folder / "host", sanitize=True)
        found = program.run(np.concatenate([flags, samples], axis=2).tobytes())
        if found != answers(scores):
            raise AssertionError("the C of a mutant answers otherwise than the reference")

    def __str__(self) -> str:
        return (
            f"{self.tried:,} mutants: {self.tried - self.accepted:,} refused, {self.accepted:,} are models, "
            f"{self.compiled:,} of them compiled and compared"
        )


def seeded(tally: Tally, seconds: float, first: int, compile_every: int) -> None:
    """Mutant after mutant, by seeds; a find names its seed."""
    until, seed = time.monotonic() + seconds, first
    while time.monotonic() < until:
        try:
            tally.one(Seeded(seed), compile_every=compile_every)
        except Exception:
            print(f"seed {seed} is a find", file=sys.stderr)
            raise
        seed += 1


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--compile-every", type=int, default=50)
    parser.add_argument("--out", type=Path, default=Path("build/fuzz/loader"))
    asked = parser.parse_args()
    tally = Tally()
    try:
        import atheris
    except ModuleNotFoundError:
        print("atheris is not there: mutants by seeds")
        seeded(tally, asked.seconds, asked.seed, asked.compile_every)
        print(tally)
        return
    asked.out.mkdir(parents=True, exist_ok=True)

    def one(data: bytes) -> None:
        tally.one(Told(data), compile_every=asked.compile_every)
        if tally.tried % TOLD_EVERY == 0:  # libFuzzer ends the process itself, without a last word of ours
            print(tally, flush=True)

    for function in (storage.from_bytes, storage._graph, storage._typed, Graph.check, mutant):
        atheris.instrument_func(function)
    flags = [
        f"-max_total_time={int(asked.seconds)}",
        "-max_len=128",
        "-len_control=0",
        f"-artifact_prefix={asked.out}/",
    ]
    atheris.Setup([sys.argv[0], *flags, str(asked.out)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
