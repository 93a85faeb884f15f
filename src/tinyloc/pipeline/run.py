"""All stages in order, for one seed or several, with a word to the user after each."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from tinyloc import files
from tinyloc.data.windows import WindowSets
from tinyloc.device.tiers import Tier
from tinyloc.judge import result as verdict
from tinyloc.learn.lessons import Lesson
from tinyloc.learn.options import TrainOptions
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.models.config import is_network, parameters
from tinyloc.pipeline import stages
from tinyloc.pipeline.fits import Limits, preflight
from tinyloc.pipeline.folder import RunFolder
from tinyloc.pipeline.verify import verify
from tinyloc.quant.decision import Decision
from tinyloc.quant.lower import Precision
from tinyloc.quant.packing import WeightBits
from tinyloc.report import page

OF = 6


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """What `tinyloc run` was asked for, beside data and training."""

    limits: Limits
    tiers: list[Tier]
    precision: Precision
    command: str
    seeds: int = 1
    decision: Decision = "auto"
    weight_bits: WeightBits = 8
    lesson: Lesson | None = None
    qat_steps: int = 0
    follow: bool = False


class Speaker:
    """One line per stage, on standard error."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.console = Console(stderr=True, quiet=quiet, highlight=False)

    @contextmanager
    def stage(self, number: int, name: str) -> Iterator[list[str]]:
        """Time a stage and print its line when it is done; the list takes what it has to say."""
        words: list[str] = []
        start = time.perf_counter()
        with self.console.status(f"{name} ..."):
            yield words
        self.line(number, name, "; ".join(words), time.perf_counter() - start)

    def line(self, number: int, name: str, words: str, seconds: float) -> None:
        """A stage's line. What files and sessions are called is never taken for markup."""
        text = Text.assemble(
            (f"{number}/{OF} {name:<9}", "bold"), f" {words} ", (f"({seconds:.1f} s)", "dim")
        )
        text.highlight_regex(r"WARNING: [^;]*", "bold red")
        self.console.print(text, soft_wrap=True)

    def train(
        self, folder: RunFolder, sets: WindowSets, options: TrainOptions, lesson: Lesson | None = None
    ) -> Checkpoint:
        """The training stage, with a bar that moves at each evaluation."""
        start = time.perf_counter()
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[score]}"),
        )
        with Progress(
            *columns,
            TimeElapsedColumn(),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        ) as bar:
            task = bar.add_task("training", total=None, score="")

            def progress(now: Any) -> None:
                bar.update(
                    task,
                    total=now.trials * now.steps,
                    completed=now.trial * now.steps + now.step,
                    description=f"training, input {now.scaling} ({now.trial + 1}/{now.trials})",
                    score=f"validation macro-F1 {100 * now.best:.1f}",
                )

            checkpoint, taken = stages.train(folder, sets, options, progress, lesson)
        score = 100 * float(checkpoint.training["validation_macro_f1"])
        size = parameters(checkpoint.config)
        scaling = f"{checkpoint.scaling.kind} input, " if is_network(checkpoint.family) else ""
        note = "taken from this folder, same windows and options; " if taken else ""
        self.line(
            2,
            "train",
            f"{note}{checkpoint.family} {checkpoint.config.name}, {size:,} parameters, "
            f"{scaling}seed {options.seed}, "
            + (f"taught by {lesson}, " if lesson else "")
            + f"validation macro-F1 {score:.1f}"
            + (", then trained on validation windows too" if checkpoint.training.get("refit") else ""),
            time.perf_counter() - start,
        )
        return checkpoint


def windows_line(sets: WindowSets) -> str:
    """One line on what the three sets hold."""
    train = sets.train
    steps = train.rssi.shape[1]
    return (
        f"{sets.name}: {len(sets.train):,} windows train, {len(sets.validation):,} validate, "
        f"{len(sets.test):,} test; {steps} step{'s' * (steps > 1)} x "
        f"{len(train.access_points)} access points, {len(train.rooms)} rooms"
    )


def quantised_line(found: stages.Quantised, family: str) -> str:
    """One line on what integers cost, loud where it is too much."""
    text = (
        f"{stages.precision_words(found, family)}; "
        + (f"trained as integers for {found.qat_steps:,} steps; " if found.qat_steps else "")
        + f"validation macro-F1 {100 * found.f1_float:.1f} float, {100 * found.f1_integer:.1f} integer"
    )
    if found.decided:
        chosen, none = found.decision["chosen"], found.decision["candidates"][0]  # type: ignore[index]
        text += f"; decision layer: {found.decided}"
        if found.decided != "none":
            text += (
                f" ({100 * none['f1_macro']:.1f} to {100 * chosen['f1_macro']:.1f}, room changes "
                f"{none['room_changes']} to {chosen['room_changes']})"
            )
    if not found.loud:
        return text
    name, error = found.costliest[0]
    return (
        f"{text}. WARNING: {found.drop_points:.1f} points were lost by quantisation; "
        f"the costliest operator is {name}, which alone moves the scores by {100 * error:.1f} % "
        "of their spread"
    )


def device_line(result: verdict.Result) -> str:
    """One line on the device run."""
    tiers = ", ".join(
        f"{tier.tier} {tier.identical_windows:,} of {tier.windows:,} windows identical"
        for tier in result.device.tiers
    )
    return f"{result.device.board} ({result.device.core}): {tiers}"


def one_seed(
    folder: RunFolder, sets: WindowSets, options: TrainOptions, run: RunOptions, speaker: Speaker
) -> verdict.Result:
    """Train, quantise, emit, verify in `folder`, whose windows are there."""
    checkpoint = speaker.train(folder, sets, options, run.lesson)
    with speaker.stage(3, "quantise") as words:
        how = run.precision, run.decision, run.weight_bits, run.qat_steps, run.follow
        found = stages.quantise(folder, sets, checkpoint, *how)
        words.append(quantised_line(found, checkpoint.family))
    with speaker.stage(4, "emit") as words:
        words.append(f"{len(stages.emit(folder))} C files in {folder.c}")
    with speaker.stage(5, "verify") as words:
        result = verify(folder, run.limits, run.tiers, command=run.command, seed=options.seed)
        words.append(device_line(result))
    return result


def run_all(
    folder: RunFolder,
    data: str,
    data_dir: Path | None,
    data_options: dict[str, Any],
    options: TrainOptions,
    run: RunOptions,
    *,
    quiet: bool = False,
) -> verdict.Result:
    """The whole way. With several seeds each has its folder under `seeds/`; the one that does best on
    validation, as integers, becomes the run's model.
    """
    speaker = Speaker(quiet=quiet)
    with speaker.stage(1, "data") as words:
        sets = stages.prepare(folder, data, data_dir=data_dir, options=data_options, quiet=quiet)
        words.append(windows_line(sets))
        words.extend(sets.notes)
        if run.follow:
            stages.check_follow(options.state, sets)
    folder.forget(folder.result, folder.page)
    if run.lesson is not None:
        run.lesson.asked_of(options)  # refused before anything is built
    preflight(sets, options, run.precision, run.limits, run.tiers, run.weight_bits, follow=run.follow)
    if run.seeds == 1:
        result = one_seed(folder, sets, options, run, speaker)
    else:
        result = _several(folder, sets, options, run, speaker)
    with speaker.stage(6, "report") as words:
        page.write(result, folder.page)
        words.append(f"{folder.page}")
    return result


def _several(
    folder: RunFolder, sets: WindowSets, options: TrainOptions, run: RunOptions, speaker: Speaker
) -> verdict.Result:
    results: list[tuple[verdict.Result, RunFolder]] = []
    for seed in range(options.seed, options.seed + run.seeds):
        own = RunFolder(folder.path / "seeds" / str(seed))
        own.create()
        _copy(folder.windows, own.windows)
        own.note("data", folder.read()["data"])
        results.append((one_seed(own, sets, dataclasses.replace(options, seed=seed), run, speaker), own))
    seeds = tuple(_seed(result) for result, _ in results)
    best, own = max(results, key=lambda pair: _on_validation(pair[0]))
    for section in ("train", "quantise"):
        folder.note(section, None)
    folder.forget(folder.chosen)
    for name in ("checkpoint", "chosen", "integer_model"):
        if getattr(own, name).exists():
            _copy(getattr(own, name), getattr(folder, name))
    for section in ("train", "quantise"):
        folder.note(section, own.read()[section])
    stages.emit(folder)
    result = best.model_copy(update={"seeds": seeds, "seeds_summary": verdict.summarise_seeds(seeds)})
    verdict.save(result, folder.result)
    return result


def _on_validation(result: verdict.Result) -> float:
    """Macro-F1 on validation of what the device answers, the decision layer with it."""
    found = result.decision
    settled = {} if found is None else {one.name: one.f1_macro for one in found.candidates}
    plain = result.validation.f1_macro_followed
    plain = result.validation.f1_macro_integer if plain is None else plain
    return settled.get("" if found is None else found.chosen, plain)


def _copy(source: Path, target: Path) -> None:
    files.write_bytes(target, source.read_bytes())


def _seed(result: verdict.Result) -> verdict.Seed:
    return verdict.Seed(
        seed=result.seed,
        validation_f1=result.validation.f1_macro_float,
        f1_macro=result.f1_macro,
        accuracy=result.accuracy,
        identical_windows=result.device.identical_windows,
        windows=result.device.windows,
        forest300_f1_macro=result.baselines.forest300.f1_macro,
    )
