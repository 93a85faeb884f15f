"""The verbs of a run: all at once, or train, quantise, emit, verify and report one by one."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer

from tinyloc.cli.app import app
from tinyloc.cli.options import (
    Alpha,
    AsJson,
    BoardName,
    DataDir,
    DataName,
    DecisionName,
    Family,
    Flash,
    Folder,
    Follows,
    Hidden,
    Layers,
    Leaves,
    Members,
    Out,
    PrecisionName,
    QatSteps,
    Ram,
    Restarts,
    Scaling,
    SeedNumber,
    State,
    Steps,
    Tau,
    TeacherNames,
    TeachingKind,
    Tests,
    TierName,
    Trees,
    Tune,
    Validates,
    WeightBitsNumber,
    With,
    choice,
    command_line,
    data_options,
    decision_of,
    end,
    lesson_of,
    limits_of,
    members_of,
    precision_of,
    qat_steps_of,
    run_folder_of,
    say,
    tiers_of,
    train_options,
    weight_bits_of,
)
from tinyloc.errors import UsageError


@app.command(epilog="Example: tinyloc run --data my_home.csv --ram 32K --flash 64K --board stm32l4")
def run(
    data: DataName,
    data_dir: DataDir = None,
    out: Out = None,
    board: BoardName = "stm32l4",
    ram: Ram = None,
    flash: Flash = None,
    tier: TierName = "all",
    family: Family = "mamba",
    hidden: Hidden = 8,
    layers: Layers = 1,
    trees: Trees = 10,
    leaves: Leaves = 64,
    members: Members = None,
    precision: PrecisionName = "int16",
    decision: DecisionName = "auto",
    follow: Follows = False,
    weight_bits: WeightBitsNumber = 8,
    qat_steps: QatSteps = 0,
    scaling: Scaling = "auto",
    state: State = "reset",
    train_steps: Steps = 0,
    restarts: Restarts = 1,
    tune: Tune = None,
    teacher: TeacherNames = None,
    teaching: TeachingKind = "paper",
    tau: Tau = 1.0,
    alpha: Alpha = 0.9,
    seed: SeedNumber = 0,
    seeds: Annotated[int, typer.Option(help="How many seeds to train; validation picks one.")] = 1,
    test_sessions: Tests = None,
    val_sessions: Validates = None,
    options: With = None,
    json: AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only the result.")] = False,
    time: Annotated[str | None, typer.Option("--time", hidden=True)] = None,
    room: Annotated[str | None, typer.Option("--room", hidden=True)] = None,
    session: Annotated[str | None, typer.Option("--session", hidden=True)] = None,
    access_points: Annotated[str | None, typer.Option("--access-points", hidden=True)] = None,
    acceleration: Annotated[str | None, typer.Option("--acceleration", hidden=True)] = None,
    time_unit: Annotated[str | None, typer.Option(hidden=True)] = None,
    not_heard: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """All stages: recordings in, a proven integer room model out. For columns of an own file that have other
    names see `tinyloc data --help`.
    """
    from tinyloc.pipeline.folder import RunFolder
    from tinyloc.pipeline.run import RunOptions, run_all

    if seeds < 1:
        raise UsageError(f"--seeds {seeds}: expected at least 1")
    given = data_options(
        {
            "test_sessions": test_sessions, "val_sessions": val_sessions, "time": time, "room": room,
            "session": session, "access_points": access_points, "acceleration": acceleration,
            "time_unit": time_unit, "not_heard": not_heard,
        },
        options,
    )  # fmt: skip
    lesson = lesson_of(teacher, teaching, tau, alpha)
    how = RunOptions(
        limits_of(board, ram, flash),
        tiers_of(tier, board),
        precision_of(precision),
        command_line(),
        seeds,
        decision_of(decision),
        weight_bits_of(weight_bits),
        lesson,
        qat_steps_of(qat_steps, family),
        follow,
    )
    training = train_options(
        {
            "family": family, "hidden": hidden, "layers": layers, "trees": trees, "leaves": leaves,
            "scaling": scaling, "state": state, "steps": train_steps, "restarts": restarts, "seed": seed,
            "members": members_of(members),
        },
        tune,
        lesson,
    )  # fmt: skip
    result = run_all(
        RunFolder(run_folder_of(out, data)), data, data_dir, given, training, how, quiet=quiet or json
    )
    end(result, json=json)


@app.command(epilog="Example: tinyloc train runs/flat --hidden 16")
def train(
    folder: Folder,
    family: Family = "mamba",
    hidden: Hidden = 8,
    layers: Layers = 1,
    trees: Trees = 10,
    leaves: Leaves = 64,
    members: Members = None,
    scaling: Scaling = "auto",
    state: State = "reset",
    train_steps: Steps = 0,
    restarts: Restarts = 1,
    seed: SeedNumber = 0,
    tune: Tune = None,
    teacher: TeacherNames = None,
    teaching: TeachingKind = "paper",
    tau: Tau = 1.0,
    alpha: Alpha = 0.9,
) -> None:
    """Train a model on the windows of a run folder. Ctrl-C keeps what was done; the same command goes on.

    For --tune: crf, accelerometer, heads, feedforward, dropout, state_size, expand, rate, batch,
    weight_decay, class_weights, clip, warmup, loss (all, last), evaluations, patience, chunk_steps,
    past_steps (of another stretch, heard before each stretch of a carried state), piece_steps (a carried
    state learns from stretches that are put together from pieces of so many steps; 0: whole ones), device
    (cpu, cuda, auto), positions (the share, 0 to below 1, of what is learned that is where a step was,
    beside its room; for recordings with positions, and training alone),
    least_heard (an access point heard in a smaller share of the training samples is left out of the model),
    statistics (beside each sample the model reads the maximum and the mean of what its window has heard so
    far), refit; and an augmentation instead of the candidates: offset, jitter and shadowing (noise of a whole
    window, of each sample and of each access point slowly, in shares of each access point's spread), packets
    and lost (chances that a sample, or an access point, is lost).
    """
    from tinyloc.pipeline import stages
    from tinyloc.pipeline.folder import RunFolder
    from tinyloc.pipeline.run import Speaker

    run_folder = RunFolder(folder)
    sets = stages.windows_of(run_folder)
    lesson = lesson_of(teacher, teaching, tau, alpha)
    options = train_options(
        {
            "family": family, "hidden": hidden, "layers": layers, "trees": trees, "leaves": leaves,
            "scaling": scaling, "state": state, "steps": train_steps, "restarts": restarts, "seed": seed,
            "members": members_of(members),
        },
        tune,
        lesson,
    )  # fmt: skip
    Speaker().train(run_folder, sets, options, lesson)
    say(f"{run_folder.checkpoint} is there; next: tinyloc quantise {folder}")


@app.command(epilog="Example: tinyloc quantise runs/flat --precision int8")
def quantise(
    folder: Folder,
    precision: PrecisionName = "int16",
    decision: DecisionName = "auto",
    follow: Follows = False,
    weight_bits: WeightBitsNumber = 8,
    qat_steps: QatSteps = 0,
) -> None:
    """Turn the trained model into integers, and say what that costs on validation."""
    from tinyloc.pipeline import stages
    from tinyloc.pipeline.folder import RunFolder
    from tinyloc.pipeline.run import quantised_line

    run_folder = RunFolder(folder)
    sets, checkpoint = stages.windows_of(run_folder), stages.checkpoint_of(run_folder)
    bits, steps = weight_bits_of(weight_bits), qat_steps_of(qat_steps, checkpoint.family)
    how = precision_of(precision), decision_of(decision), bits, steps, follow
    found = stages.quantise(run_folder, sets, checkpoint, *how)
    say(quantised_line(found, checkpoint.family))
    for name, error in found.costliest:
        say(f"  {name}: its integer form alone moves the scores by {100 * error:.2f} % of their spread")
    say(f"{run_folder.integer_model} is there; next: tinyloc emit {folder}")


@app.command(epilog="Example: tinyloc emit runs/flat --as arduino --addresses anchors.csv")
def emit(
    folder: Folder,
    to: Annotated[
        Path | None, typer.Option(help="Folder for the files [RUN/c, or RUN/package-KIND].")
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option("--as", help="A package to drop in: c, arduino, zephyr, platformio or esp-idf."),
    ] = None,
    hop: Annotated[int | None, typer.Option(help="Package: samples from an answer to the next.")] = None,
    answers: Annotated[
        str, typer.Option(help="Package: full (with probabilities and unknown) or plain.")
    ] = "full",
    false_unknown: Annotated[
        float, typer.Option(help="Package: share of known validation windows that may be called unknown.")
    ] = 0.05,
    addresses: Annotated[Path | None, typer.Option(help="Package: a file of lines name,address.")] = None,
    board: Annotated[
        str | None,
        typer.Option(help="Package: whose clock and current its README counts by [the run's, or stm32l4]."),
    ] = None,
    precision: Annotated[
        str, typer.Option(help="The integer model, or `float32`: Mamba uncompressed [into RUN/c-float32].")
    ] = "integer",
) -> None:
    """Write the model as C99: tinyloc_init and tinyloc_step, no malloc; no float in the integer model.

    With --as a package that listens without end, with an example, a self-test and a README of its own.
    """
    from tinyloc.pipeline import stages
    from tinyloc.pipeline.folder import RunFolder

    if kind is None:
        if hop is not None or addresses is not None or answers != "full":
            raise UsageError("--hop, --answers and --addresses are of a package", hint="Add --as c, say.")
        whole = choice("precision", precision, ("integer", "float32")) == "integer"
        write = stages.emit if whole else stages.emit_float32
        for path in write(RunFolder(folder), to):
            say(f"{path}  {path.stat().st_size:,} bytes")
        if whole:
            say(f"next: tinyloc verify {folder}")
        return
    if precision != "integer":
        raise UsageError("a package holds the integer model", hint="Leave --precision out.")
    from tinyloc.device.boards import find_board
    from tinyloc.emit.package import KINDS
    from tinyloc.pipeline.package import PackageOptions, package

    options = PackageOptions(
        choice("as", kind, KINDS),  # type: ignore[arg-type]
        hop,
        choice("answers", answers, ("full", "plain")) == "full",
        false_unknown,
        addresses,
        find_board(board or _board_of(RunFolder(folder))),
    )
    paths = package(RunFolder(folder), options, to)
    for path in paths:
        say(f"{path}  {path.stat().st_size:,} bytes")


def _board_of(folder: Any) -> str:
    """The board that a run was verified on; the default where it was not."""
    from tinyloc.errors import ModelFileError
    from tinyloc.judge import result as verdict

    try:
        return verdict.load(folder.result).device.board if folder.result.exists() else "stm32l4"
    except ModelFileError:  # it is asked for nothing else here
        return "stm32l4"


@app.command(epilog="Example: tinyloc verify runs/flat --board nrf52832 --ram 32K")
def verify(
    folder: Folder,
    board: BoardName = "stm32l4",
    ram: Ram = None,
    flash: Flash = None,
    tier: TierName = "all",
    json: AsJson = False,
) -> None:
    """Build the C, run every test window on the emulated chip, compare byte for byte, and measure."""
    from tinyloc.pipeline.folder import RunFolder
    from tinyloc.pipeline.verify import verify as judge

    limits = limits_of(board, ram, flash)
    result = judge(RunFolder(folder), limits, tiers_of(tier, board), command=command_line())
    end(result, json=json)
    if not json:
        say(f"{RunFolder(folder).result} is there; next: tinyloc report {folder}")


@app.command(epilog="Example: tinyloc report runs/flat")
def report(folder: Folder) -> None:
    """Write the page of a run from its result.json: one HTML file, no network."""
    from tinyloc.judge import result as verdict
    from tinyloc.pipeline.folder import RunFolder
    from tinyloc.report import page

    run_folder = RunFolder(folder)
    page.write(verdict.load(run_folder.need(run_folder.result, "verify")), run_folder.page)
    say(f"{run_folder.page}")


@app.command(epilog="Example: tinyloc model mdcsa --hidden 16 --access-points 11 --rooms 9")
def model(
    family: Annotated[
        str, typer.Argument(help="mamba, mdcsa, transformer, statnet, mlp, forest or ensemble.")
    ],
    access_points: Annotated[int, typer.Option(help="Access points P.")],
    rooms: Annotated[int, typer.Option(help="Rooms K.")],
    hidden: Hidden = 8,
    layers: Layers = 1,
    trees: Trees = 10,
    leaves: Leaves = 64,
    members: Members = None,
    steps: Annotated[int, typer.Option(help="Steps T of a window (transformer).")] = 20,
    json: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False,
) -> None:
    """How many weights a model of that shape has, here and as the paper counts them.

    A forest has trees and leaves, no width or layers. It is counted with all the leaves that it may have: a
    feature and a threshold for each inner node, a room for each leaf.
    """
    from json import dumps

    from tinyloc.models.config import CONFIGS, EnsembleConfig, StatnetConfig, describe

    choice("family", family, tuple(CONFIGS))
    together = members_of(members)
    if bool(together) != (family == EnsembleConfig.family):
        raise UsageError("--members: expected with the family ensemble, and only there")

    def config(family: str, **shape: int) -> Any:
        kind: Any = CONFIGS[family]
        known = {field.name for field in dataclasses.fields(kind)}
        given = {"access_points": access_points, "rooms": rooms, "steps": steps, "crf": not together, **shape}
        return kind(**{name: value for name, value in given.items() if name in known})

    if together:
        shapes = tuple(config(**vars(one)) for one in together)
        shape = EnsembleConfig(access_points, rooms, shapes, ("minmax",) * len(shapes))
    else:
        if family == StatnetConfig.family and layers != 1:
            raise UsageError(f"--layers {layers}: the statistics network has one hidden layer")
        shape = config(family, hidden=hidden, layers=layers, trees=trees, leaves=leaves)
    facts = describe(shape)
    if json:
        print(dumps(facts))
        return
    paper = facts["parameters_paper"]
    crf = ", its CRF included" if facts.get("crf") else ""
    say(f"{family} {facts['size']}: {facts['parameters']:,} parameters{crf}")
    say("the paper has no such model" if paper is None else f"as arXiv 2412.09289 counts them: {paper:,}")
