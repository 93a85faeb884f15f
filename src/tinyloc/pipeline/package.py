"""From a run folder to a package for firmware: the model made to stream, measured, and written."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyloc import emit as emission
from tinyloc.data.windows import WindowSets
from tinyloc.device.boards import Board, find_board
from tinyloc.device.cost import Bracket, estimate
from tinyloc.device.tiers import Tier, available_tiers
from tinyloc.emit.golden import samples_for
from tinyloc.emit.package import ADDRESS_FORM, Figures, Kind, parse_address, write_package
from tinyloc.errors import BudgetError, DataError, DeviceError, ToolchainError
from tinyloc.learn.streams import streams
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.pipeline.folder import RunFolder
from tinyloc.pipeline.integers import integers
from tinyloc.pipeline.stages import checkpoint_of, graph_of, quantised_of, same_names, windows_of
from tinyloc.quant import decision
from tinyloc.quant.answer_fit import FALSE_UNKNOWN, fit_novelty, fit_sharpness, probability_factor
from tinyloc.quant.follow import following
from tinyloc.quant.graph import Graph
from tinyloc.quant.replay import samples_of
from tinyloc.quant.stream import streaming

COUNTED_STEPS = 200
"""Samples over which instructions are counted."""


@dataclass(frozen=True)
class PackageOptions:
    """`kind` of package; `hop`: samples from one answer to the next (None: as the recordings' windows);
    `full`: probabilities and "unknown" in every answer; `false_unknown`: share of known validation windows
    that may be called unknown; `addresses`: a file of lines name,address; `board`: whose clock and current
    the README counts by.
    """

    kind: Kind
    hop: int | None = None
    full: bool = True
    false_unknown: float = FALSE_UNKNOWN
    addresses: Path | None = None
    board: Board = find_board("stm32l4")  # noqa: RUF009  (a frozen entry of a table)


def package(folder: RunFolder, options: PackageOptions, to: Path | None = None) -> list[Path]:
    """Write the package into `to`, or into the run's `package-KIND`; returns the files.

    Raises UsageError, DataError, QuantisationError, OutputError and what reading the folder raises.
    """
    graph = graph_of(folder)
    addresses = None if options.addresses is None else read_addresses(options.addresses, graph.access_points)
    sets = windows_of(folder)
    same_names(graph, sets, folder.integer_model)
    sets = sets.only(graph.access_points)
    streamed = streamed_graph(folder, graph, sets, options)
    real = real_samples(streamed, sets)
    target = folder.path / f"package-{options.kind}" if to is None else to
    figures = measure(streamed, real, options.board)
    return write_package(streamed, options.kind, target, real, addresses=addresses, figures=figures)


def streamed_graph(folder: RunFolder, graph: Graph, sets: WindowSets, options: PackageOptions) -> Graph:
    """`graph` made to stream, with what validation says of probabilities and of the unknown where asked
    for.
    """
    hop = options.hop
    if hop is None and graph.slides and sets.validation.seconds_per_step > 0:
        hop = min(decision.hop_steps(sets.validation), graph.window_steps)
    if not options.full:
        return streaming(graph, hop)
    judged = graph
    checkpoint = checkpoint_of(folder)
    if checkpoint.training.get("refit"):  # it has learned from validation: the one before it is asked
        chosen = Checkpoint.load(folder.need(folder.chosen, "train"))
        how, seed = quantised_of(folder), int(chosen.training["options"].get("seed", 0))
        _, judged = integers(chosen, sets, how.precision, how.weight_bits, qat_steps=how.qat_steps, seed=seed)
        if how.follow:
            judged = following(judged, sets.train, decision.hop_steps(sets.validation))
    chance = probability_factor(graph, fit_sharpness(judged, sets.validation))
    return streaming(graph, hop, chance, fit_novelty(sets, options.false_unknown))


def real_samples(graph: Graph, sets: WindowSets) -> npt.NDArray[np.int8]:
    """A stretch of test samples [n, P] or [n, P + 3], one behind the other as they were heard."""
    windows = sets.test if len(sets.test) else sets.validation
    if graph.motion or windows.seconds_per_step <= 0:
        heard = samples_of(windows, graph.motion)
        return heard.reshape(-1, heard.shape[2])[: 4 * COUNTED_STEPS]
    return max((stream.rssi for stream in streams(windows)), key=len)[: 4 * COUNTED_STEPS]


def measure(graph: Graph, real: npt.NDArray[np.int8], board: Board) -> Figures:
    """What the package's C needs on the emulated chip, for its README; empty where there is no emulator."""
    try:
        tier = available_tiers(board.cpu)[-1]
        with tempfile.TemporaryDirectory(prefix="tinyloc-package-") as name:
            return _measured(graph, real, board, tier, Path(name))
    except (ToolchainError, BudgetError, DeviceError) as error:
        return Figures(how=f"Not measured: {error.message}.")


def _measured(graph: Graph, real: npt.NDArray[np.int8], board: Board, tier: Tier, folder: Path) -> Figures:
    samples = np.concatenate([real[:COUNTED_STEPS], *samples_for(graph, real)])
    flags = np.zeros((len(samples), 1), np.int8)
    flags[0] = 1
    records = np.concatenate([flags, samples], axis=1).tobytes()
    runs = {}
    for guarded in (True, False):
        c = folder / f"c{guarded:d}"
        emission.emit(graph, c, guarded=guarded)
        firmware = tier.build(c, board, folder / f"build{guarded:d}")
        runs[guarded] = firmware, tier.run(firmware, records, count_records=len(samples))
    firmware, run = runs[True]
    cost = estimate(*runs[False])
    proof = run.instructions_counted - runs[False][1].instructions_counted
    rows = {
        "flash of the model: code and tables": f"{firmware.model_flash_bytes:,} bytes",
        "RAM: state, one sample, one result, and the deepest stack": (
            f"{firmware.static_ram_bytes + run.stack_bytes:,} bytes, of which {run.stack_bytes:,} stack"
        ),
        "instructions a sample, on average": f"{cost.instructions_per_step:,.0f}",
        "cycles a sample": _bracket(cost.cycles_per_step, 1, ""),
        "time a sample": _bracket(cost.seconds_per_step, 1e3, "ms"),
        "energy a sample": _bracket(cost.joules_per_step, 1e6, "µJ"),
        "instructions of tinyloc_init, once, to prove the tables": f"{proof:,}",
    }
    if graph.seconds_per_step > 0:
        watts = cost.average_watts(1 / graph.seconds_per_step)
        rows["average power of the model alone"] = _bracket(watts, 1e6, "µW")
    tools = " and ".join(f"{name} {version}" for name, version in tier.versions.items())
    clock = f"{board.clock_hz / 1e6:g} MHz"
    where = board.title if clock in board.title else f"{board.title}, {clock}"
    how = (
        f"Measured in emulation ({tools}) for {where}, over {len(samples)} samples; instructions are exact. "
        "Interrupts, radio and sleep are in none of these. " + cost.assumptions[0]
    )
    return Figures(rows, f"{how} {cost.assumptions[-1]}")


def _bracket(value: Bracket, factor: float, unit: str) -> str:
    low, mid, high = (f"{number * factor:,.3g}" for number in (value.low, value.mid, value.high))
    if max(value.high * factor, 0) >= 1000:
        low, mid, high = (f"{number * factor:,.0f}" for number in (value.low, value.mid, value.high))
    return f"{mid} {unit}".rstrip() + f" ({low} to {high})"


def read_addresses(path: Path, access_points: Sequence[str]) -> dict[str, str]:
    """Lines of `name,address` -> a dictionary: six bytes each, of access points among those given, each once.
    Lines that begin with # are left out, and a first line that names the two columns.

    Raises DataError, with the line, for anything else.
    """
    found: dict[str, str] = {}
    lines: dict[object, int] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.reader(stream)
            rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"cannot be read ({error})", path=path) from None
    for at, (line, row) in enumerate(rows):
        if row[0].startswith("#") or (at == 0 and [cell.lower() for cell in row] == ["name", "address"]):
            continue
        place: dict[str, Any] = {"path": path, "line": line}
        if len(row) != 2:
            raise DataError("expected name,address", **place, value=",".join(row))
        name, text = row
        if name not in access_points:
            known = f"It knows {', '.join(access_points)}."
            raise DataError("the model knows no access point of that name", **place, value=name, hint=known)
        address = parse_address(text)
        if address is None:
            raise DataError(f"no address: expected {ADDRESS_FORM}", **place, value=text)
        for what in (name, address):
            if what in lines:
                said = text if what is address else name
                raise DataError(f"it is in line {lines[what]} already", **place, value=said)
            lines[what] = line
        found[name] = text
    return found
