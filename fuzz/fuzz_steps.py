"""Fuzz emitted models: any calls, any bytes, under libFuzzer and two sanitizers (addresses, behaviour).

    python fuzz/fuzz_steps.py --seconds 600 --out build/fuzz/steps

The seconds are shared by the models of `fuzz_models.py`. What was found to reach new code stays in the
folder, and the next run starts from it; an input that breaks a model is kept beside it and named. It needs
clang.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fuzz_models import graphs

from tinyloc.emit import emit
from tinyloc.quant.graph import Graph

HARNESS = Path(__file__).parent / "step.c"
FLAGS = (
    "-std=c99", "-O1", "-g", "-fno-omit-frame-pointer", "-fsanitize=fuzzer,address,undefined",
    "-fno-sanitize-recover=all",
)  # fmt: skip
LONGEST = 2048
"""Bytes of an input: some hundred calls."""


def build(graph: Graph, folder: Path) -> Path:
    """The fuzzer of one model. Raises CalledProcessError where clang cannot build it."""
    emit(graph, folder / "c")
    program = folder / "fuzz"
    sources = sorted((folder / "c").glob("*.c"))
    command = ["clang", *FLAGS, "-I", str(folder / "c"), str(HARNESS), *map(str, sources), "-o", str(program)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return program


def fuzz(program: Path, *limits: str) -> subprocess.CompletedProcess[str]:
    """Run it within libFuzzer's `limits`, from the corpus beside it and into it."""
    corpus = program.parent / "corpus"
    corpus.mkdir(exist_ok=True)
    command = [str(program), *limits, f"-max_len={LONGEST}", "-len_control=0", "-print_final_stats=1"]
    command += [f"-artifact_prefix={program.parent}/", str(corpus)]
    return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)


def executed(done: subprocess.CompletedProcess[str]) -> int:
    """How many inputs it ran."""
    found = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    return int(found[1]) if found else 0


def main() -> None:
    """See above. Ends with code 1 where anything broke."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--out", type=Path, default=Path("build/fuzz/steps"))
    asked = parser.parse_args()
    if shutil.which("clang") is None:
        sys.exit("libFuzzer needs clang: apt-get install clang libclang-rt-14-dev")
    models, cores = graphs(), os.cpu_count() or 1
    each = max(1, int(asked.seconds * cores / len(models)))

    def one(name: str) -> str:
        folder = asked.out / name
        folder.mkdir(parents=True, exist_ok=True)
        done = fuzz(build(models[name], folder), f"-max_total_time={each}")
        if done.returncode:
            return f"{name}: BROKEN after {executed(done):,} inputs\n{done.stderr[-2000:]}"
        corpus = len(list((folder / "corpus").iterdir()))
        return f"{name}: {executed(done):,} inputs in {each} s, {corpus} kept, nothing found"

    with ThreadPoolExecutor(cores) as pool:
        said = []
        for line in pool.map(one, models):
            print(line, flush=True)
            said.append(line)
    sys.exit(any("BROKEN" in line for line in said))


if __name__ == "__main__":
    main()
