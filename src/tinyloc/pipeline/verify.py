"""Build, run every test window on the emulated chip, and judge: the stage that leaves `result.json`."""

from __future__ import annotations

import datetime
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyloc.data.windows import Windows, WindowSets, joined
from tinyloc.device import energy
from tinyloc.device.cost import Bracket as CostBracket
from tinyloc.device.cost import Cost, estimate
from tinyloc.device.emulators import DeviceRun
from tinyloc.device.firmware import Firmware
from tinyloc.device.tiers import Tier
from tinyloc.emit.write import state_bytes
from tinyloc.errors import BudgetError, DeviceError
from tinyloc.judge import agreement, interval, metrics
from tinyloc.judge import result as verdict
from tinyloc.judge.budget import Fit
from tinyloc.models import classic
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.models.config import is_network, parameters
from tinyloc.pipeline.fits import Limits, hint, smaller
from tinyloc.pipeline.folder import RunFolder, versions
from tinyloc.pipeline.stages import (
    Quantised,
    checkpoint_of,
    graph_of,
    precision_words,
    quantised_of,
    same_names,
    windows_of,
)
from tinyloc.quant import decision
from tinyloc.quant.graph import Graph
from tinyloc.quant.reference import Reference
from tinyloc.quant.replay import Replay, replay

COUNTED_WINDOWS = 3
"""Windows that the pip tier counts instruction by instruction; the reference tier counts all."""

Labels = npt.NDArray[Any]


@dataclass(frozen=True)
class TierRun:
    """One tier's firmware, run and comparison. `rooms` and `settled` [W]: the device's, where windows end."""

    tier: Tier
    firmware: Firmware
    run: DeviceRun
    agreement: agreement.Agreement
    identical_windows: int
    rooms: Labels
    settled: Labels

    @property
    def ram_bytes(self) -> int:
        """Static RAM and the deepest stack."""
        return self.firmware.static_ram_bytes + self.run.stack_bytes

    def summary(self) -> verdict.Tier:
        """As `result.json` holds it."""
        toolchain, emulator = (f"{name} {version}" for name, version in self.tier.versions.items())
        return verdict.Tier(
            tier=self.tier.name,
            toolchain=toolchain,
            emulator=emulator,
            identical_windows=self.identical_windows,
            windows=len(self.rooms),
            flash_bytes=self.firmware.flash_bytes,
            ram_bytes=self.ram_bytes,
            stack_bytes=self.run.stack_bytes,
            instructions_step=self.run.instructions_per_step,
            instructions_window=self.run.instructions_per_window,
        )


def run_tier(tier: Tier, folder: RunFolder, limits: Limits, stream: Replay, graph: Graph) -> TierRun:
    """Build and run on one tier and compare every step with the reference.

    Raises BudgetError, ToolchainError or DeviceError; a difference is no error here, it is counted.
    """
    firmware = tier.build(
        folder.c,
        limits.board,
        folder.build / tier.name,
        ram_bytes=limits.ram_bytes,
        flash_bytes=limits.flash_bytes,
    )
    try:
        done = tier.run(firmware, stream.records(), count_records=COUNTED_WINDOWS * stream.steps)
    except DeviceError:
        Fit(
            firmware.flash_bytes,
            _needed_ram(tier, folder, limits, stream),
            limits.flash_bytes,
            limits.ram_bytes,
        ).require()  # a stack that ran off the limit is told by how much
        raise
    wanted = stream.answers(Reference(graph))
    compared = agreement.compare(
        done.answers, wanted, rooms=graph.rooms, window_steps=1 if graph.state == "carried" else stream.steps
    )
    size = agreement.answer_bytes(len(graph.rooms))
    rows = [np.frombuffer(data, np.uint8).reshape(-1, size) for data in (done.answers, wanted)]
    same = (rows[0] == rows[1]).all(axis=1)
    return TierRun(
        tier,
        firmware,
        done,
        compared,
        stream.identical_windows(same),
        rows[0][stream.ends, -2].astype(np.int64),
        rows[0][stream.ends, -1].astype(np.int64),
    )


def _needed_ram(tier: Tier, folder: RunFolder, limits: Limits, stream: Replay) -> int:
    """Static RAM and stack of the first window where neither is limited, in bytes."""
    with tempfile.TemporaryDirectory(prefix="tinyloc-") as name:
        firmware = tier.build(folder.c, limits.board.roomy, Path(name))
        window = stream.records()[: stream.steps * firmware.record_bytes]
        return firmware.static_ram_bytes + tier.run(firmware, window, count_records=1).stack_bytes


@dataclass(frozen=True)
class Compared:
    """The simpler methods' figures."""

    forest300: verdict.Forest
    forest_small: verdict.Forest
    knn: verdict.Neighbours


def baselines(sets: WindowSets, ours: Labels, flash_bytes: int, seed: int, refit: bool) -> Compared:
    """Forests and nearest neighbours on the same windows, each beside the device's answers `ours`; the small
    forest gets our own flash. `refit`: they too learn from validation windows when validation has chosen.
    """
    truth = sets.test.room

    def scores(labels: Labels) -> dict[str, Any]:
        return {
            "f1_macro": metrics.macro_f1(truth, labels),
            "accuracy": metrics.accuracy(truth, labels),
            "ahead": _ahead(sets.test, ours, labels),
        }

    train, validation = sets.train, sets.validation
    large = classic.forest(joined(train, validation) if refit else train, seed=seed)
    small = classic.small_forest(train, validation, flash_bytes, seed=seed, refit=refit)
    near = classic.nearest_neighbours(train, validation, refit=refit)
    what = "the values of the sample" if sets.train.rssi.shape[1] == 1 else "statistics of each window"
    return Compared(
        verdict.Forest(
            **scores(large.predict(sets.test)),
            note=f"on {what}; {large.nodes:,} nodes, of any size it likes",
            flash_bytes=large.flash_bytes,
            trees=300,
        ),
        verdict.Forest(
            **scores(small.predict(sets.test)),
            note=f"on {what}; chosen on validation within our flash, {classic.BYTES_PER_NODE} bytes a node",
            flash_bytes=small.flash_bytes,
            trees=int(small.choices["trees"]),
            leaves=int(small.choices["leaves"]),
        ),
        verdict.Neighbours(
            **scores(near.predict(sets.test)),
            k=int(near.choices["k"]),
            note=f"{near.choices['scaling']} input, chosen on validation; keeps every training window",
        ),
    )


def _ahead(test: Windows, ours: Labels, theirs: Labels) -> verdict.Ahead:
    """By how much `ours` is better, and how far the test windows can tell. Windows without an order in time
    have no neighbours: each is drawn by itself.
    """
    block = interval.BLOCK if test.seconds_per_step > 0 else 1
    found = interval.difference(test.room, test.session, ours[None], theirs[None], block=block)
    return verdict.Ahead(measured=found.measured, low=found.low, high=found.high, block=block)


def verify(
    folder: RunFolder, limits: Limits, tiers: list[Tier], *, command: str, seed: int | None = None
) -> verdict.Result:
    """Run every test window on every tier and leave `result.json`.

    The figures are those of the last tier (the reference where it is there). Raises BudgetError when the
    model does not fit, DeviceError when the chip faults. An old verdict is gone by then, and its page.
    """
    folder.forget(folder.result, folder.page)
    sets, checkpoint, graph = windows_of(folder), checkpoint_of(folder), graph_of(folder)
    same_names(graph, sets, folder.integer_model)
    folder.need(folder.c_model, "emit")
    seed = int(checkpoint.training.get("seed", 0)) if seed is None else seed
    heard = sets.only(graph.access_points)
    stream = replay(heard.test, graph.state, graph.motion)
    try:
        runs = [run_tier(tier, folder, limits, stream, graph) for tier in tiers]
    except BudgetError as error:
        found = quantised_of(folder)
        fitting = smaller(
            checkpoint.config,
            heard,
            found.precision,
            tiers,
            limits,
            found.weight_bits,
            follow=graph.follower is not None,
        )
        raise BudgetError(error.message, hint=hint(fitting, limits)) from None
    result = _judge(folder, sets, checkpoint, graph, stream, runs, limits, command, seed)
    verdict.save(result, folder.result)
    return result


def _judge(
    folder: RunFolder,
    sets: WindowSets,
    checkpoint: Checkpoint,
    graph: Graph,
    stream: Replay,
    runs: list[TierRun],
    limits: Limits,
    command: str,
    seed: int,
) -> verdict.Result:
    from tinyloc.learn.predict import predict

    test, main, quantised = sets.test, runs[-1], quantised_of(folder)
    labels = {
        "float": predict(checkpoint, test).argmax(axis=1),
        "integer": decision.answers_of(graph, stream)[1],
        "device": main.settled,
    }
    memory = _memory(main, graph, limits)
    fit = Fit(memory.flash_bytes, memory.ram_bytes, limits.flash_bytes, limits.ram_bytes)
    compared = baselines(sets, main.settled, memory.flash_bytes, seed, bool(checkpoint.training.get("refit")))
    cost = estimate(main.firmware, main.run)
    timed = test.seconds_per_step > 0
    return verdict.Result(
        created=datetime.date.today().isoformat(),
        command=command,
        versions=versions() | {name: v for run in runs for name, v in run.tier.versions.items()},
        seed=seed,
        data=_data(sets, graph),
        windows=verdict.Windows(train=len(sets.train), validation=len(sets.validation), test=len(test)),
        model=verdict.Model(
            family=graph.family,
            size=graph.size,
            scaling=checkpoint.scaling.kind if is_network(graph.family) else "none",
            precision=precision_words(quantised, checkpoint.family),
            options=_options(checkpoint) | ({"follow": True} if graph.follower is not None else {}),
        ),
        parameters=parameters(checkpoint.config),
        f1_macro=verdict.Scores(**{key: metrics.macro_f1(test.room, value) for key, value in labels.items()}),
        accuracy=verdict.Scores(**{key: metrics.accuracy(test.room, value) for key, value in labels.items()}),
        validation=_validation(quantised),
        decision=_decision(test, main, quantised),
        per_room=metrics.per_room(_table(test, main.settled), test.rooms),
        confusion=tuple(tuple(int(n) for n in row) for row in _table(test, main.settled)),
        baselines=verdict.Baselines(
            forest300=compared.forest300, forest_small=compared.forest_small, knn=compared.knn
        ),
        device=verdict.Device(
            board=limits.board.name,
            board_title=limits.board.title,
            core=limits.board.core,
            tier=main.tier.name,
            identical_windows=main.identical_windows,
            windows=len(main.rooms),
            identical_steps=main.agreement.identical_steps,
            steps=main.agreement.steps,
            tiers=tuple(run.summary() for run in runs),
            first_difference=next(
                (f"{run.tier.name}: {run.agreement.difference}" for run in runs if run.agreement.difference),
                "",
            ),
        ),
        memory=memory,
        instructions=verdict.Instructions(
            step=main.run.instructions_per_step, window=main.run.instructions_per_window
        ),
        cycles=verdict.Cycles(step=_bracket(cost.cycles_per_step), window=_bracket(cost.cycles_per_window)),
        energy=_energy(cost, test.seconds_per_step, graph.sample_bytes),
        fits=fit.fits,
        room_changes=metrics.room_changes(test.room, main.settled, test.session) if timed else None,
        timeline=metrics.timeline(test.room, main.settled, test.session, test.end_time, test.sessions)
        if timed
        else (),
    )


def _table(test: Windows, answered: Labels) -> npt.NDArray[np.int64]:
    return metrics.confusion(test.room, answered, len(test.rooms))


def _decision(test: Windows, run: TierRun, quantised: Quantised) -> verdict.Decision | None:
    about = quantised.decision
    if about is None:
        return None
    tried = [decision.Candidate(**candidate) for candidate in about["candidates"]]
    chosen = decision.Candidate(**about["chosen"])
    return verdict.Decision(
        chosen=chosen.name,
        candidates=tuple(
            verdict.DecisionCandidate(
                name=candidate.name, f1_macro=candidate.f1_macro, room_changes=candidate.room_changes
            )
            for candidate in tried
        ),
        validation_room_changes_true=about["room_changes_true"],
        f1_macro_without=metrics.macro_f1(test.room, run.rooms),
        accuracy_without=metrics.accuracy(test.room, run.rooms),
        room_changes_without=metrics.room_changes(test.room, run.rooms, test.session).predicted,
    )


def _data(sets: WindowSets, graph: Graph) -> verdict.Data:
    return verdict.Data(
        name=sets.name,
        description=sets.description,
        licence=sets.licence,
        citation=sets.citation,
        simulated=sets.simulated,
        rooms=graph.rooms,
        access_points=len(graph.access_points),
        window_steps=graph.window_steps,
        seconds_per_step=graph.seconds_per_step,
        notes=sets.notes,
        state=graph.state,
    )


def _options(checkpoint: Checkpoint) -> dict[str, str | bool | int | float]:
    facts = checkpoint.training
    kept = facts.get("options", facts)
    found = {key: value for key, value in kept.items() if isinstance(value, (str, bool, int, float))}
    how = kept.get("distil")
    if isinstance(how, dict) and "kind" in how:
        found["taught"] = " ".join([how["kind"], *(f"{name} {how[name]:g}" for name in ("tau", "alpha"))])
    return found


def _validation(quantised: Quantised) -> verdict.Validation:
    return verdict.Validation(
        f1_macro_float=quantised.f1_float,
        f1_macro_integer=quantised.f1_integer,
        f1_macro_followed=quantised.f1_followed,
        drop_points=quantised.drop_points,
        costliest_operator=quantised.costliest[0][0] if quantised.costliest else None,
        warning=quantised.loud,
    )


def _memory(run: TierRun, graph: Graph, limits: Limits) -> verdict.Memory:
    firmware = run.firmware
    return verdict.Memory(
        flash_bytes=firmware.flash_bytes,
        text_bytes=firmware.text_bytes,
        constants_bytes=firmware.constant_bytes,
        harness_bytes=firmware.harness_bytes,
        data_bytes=firmware.data_bytes,
        bss_bytes=firmware.static_ram_bytes - firmware.data_bytes,
        stack_bytes=run.run.stack_bytes,
        ram_bytes=run.ram_bytes,
        state_bytes=state_bytes(graph),
        flash_budget_bytes=limits.flash_bytes,
        ram_budget_bytes=limits.ram_bytes,
    )


def _bracket(found: CostBracket, factor: float = 1.0) -> verdict.Bracket:
    return verdict.Bracket(low=found.low * factor, mid=found.mid * factor, high=found.high * factor)


def _energy(cost: Cost, seconds_per_step: float, sample_bytes: int) -> verdict.Energy:
    if seconds_per_step <= 0:
        return verdict.Energy(step_uj=_bracket(cost.joules_per_step, 1e6), assumptions=cost.assumptions)
    rate, cell, board = 1 / seconds_per_step, energy.CELLS[0], cost.board
    asleep = f"Asleep between steps at {board.sleep_microamps:g} µA ± 40% ({board.sleep_source})."
    return verdict.Energy(
        step_uj=_bracket(cost.joules_per_step, 1e6),
        average_uw=_bracket(cost.average_watts(rate), 1e6),
        steps_per_second=rate,
        assumptions=cost.assumptions,
        battery=f"{cell.title} of {cell.milliamp_hours:g} mAh",
        battery_days=_bracket(energy.life(cost, rate, cell)),
        radio=verdict.Radio(
            computing_ua=_bracket(energy.average_microamps(cost, rate)),
            answering_ua=_bracket(energy.answering_microamps()),
            sending_ua=_bracket(energy.sending_microamps(sample_bytes, rate)),
            sending_together_ua=_bracket(energy.sending_microamps(sample_bytes, rate, seconds_together=1.0)),
            assumptions=(asleep, *energy.BLE_ASSUMPTIONS),
        ),
    )
