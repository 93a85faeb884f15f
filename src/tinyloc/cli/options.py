"""The options that the verbs share, what they mean, and what is printed for a person."""

from __future__ import annotations

import dataclasses
import math
import shlex
import sys
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from rich.console import Console

from tinyloc.errors import DeviceError, UsageError

given_words: ContextVar[list[str]] = ContextVar("given_words")
"""The words of this command, for `result.json`."""

Folder = Annotated[Path, typer.Argument(metavar="RUN", help="The run folder that `tinyloc data --out` made.")]
DataName = Annotated[str, typer.Option("--data", help="A data set's name, or a .csv or .parquet file.")]
DataDir = Annotated[Path | None, typer.Option(help="Folder with the data sets [else TINYLOC_DATA, a cache].")]
Out = Annotated[Path | None, typer.Option(help="The run folder [runs/ and the data's name].")]
Tests = Annotated[str | None, typer.Option(help="Own file: sessions that test, with commas.")]
Validates = Annotated[str | None, typer.Option("--val-sessions", help="Own file: sessions that validate.")]
With = Annotated[
    list[str] | None,
    typer.Option("--with", metavar="NAME=VALUE", help="Any other option of the data (`data show --help`)."),
]
BoardName = Annotated[str, typer.Option("--board", help="The microcontroller, e.g. nrf52832, stm32l4.")]
Ram = Annotated[str | None, typer.Option(help="RAM that the model may use, e.g. 32K [all of the board's].")]
Flash = Annotated[str | None, typer.Option(help="Flash that the model may use [all of the board's].")]
TierName = Annotated[str, typer.Option("--tier", help="pip, reference, or all that are there.")]
Family = Annotated[
    str, typer.Option("--family", help="mamba, mdcsa, transformer, statnet, mlp, forest or ensemble.")
]
Tune = Annotated[
    list[str] | None,
    typer.Option("--tune", metavar="NAME=VALUE", help="Any other option of training (`train --help`)."),
]
Hidden = Annotated[int, typer.Option(help="Width H of the model.")]
Trees = Annotated[int, typer.Option(help="Trees of a forest, 1 to 1,000.")]
Leaves = Annotated[int, typer.Option(help="Most leaves of each of its trees, 2 to 256.")]
Layers = Annotated[int, typer.Option(help="Layers L of the model.")]
Members = Annotated[
    str | None,
    typer.Option(help='Who is in an ensemble: "3 mamba H8L1 + statnet H32".'),
]
Scaling = Annotated[str, typer.Option(help="auto (chosen on validation), minmax, zscore or power.")]
State = Annotated[str, typer.Option(help="reset (each window afresh) or carried (runs on).")]
Steps = Annotated[int, typer.Option("--train-steps", help="Updates of each training [0: by the data].")]
Restarts = Annotated[int, typer.Option(help="Trainings of each candidate; validation picks one.")]
SeedNumber = Annotated[int, typer.Option("--seed", help="Seed of everything random.")]
PrecisionName = Annotated[str, typer.Option("--precision", help="Activations: int16 or int8.")]
DecisionName = Annotated[
    str,
    typer.Option("--decision", help="A layer that holds a room: auto (validation decides), none, filter."),
]
Follows = Annotated[
    bool, typer.Option("--follow", help="Follow receivers as they drift, by the model's own answers.")
]
WeightBitsNumber = Annotated[
    int, typer.Option("--weight-bits", help="Weights: 8 bits, or 4 in the larger matrices.")
]
TeacherNames = Annotated[
    list[str] | None,
    typer.Option(
        "--teacher",
        metavar="WHO",
        help='Who teaches: "mamba H32L1", forest, boosting; several: an ensemble.',
    ),
]
TeachingKind = Annotated[
    str, typer.Option("--teaching", help="How: paper (rooms), soft, marginals (CRF) or features.")
]
Tau = Annotated[float, typer.Option(help="Temperature of --teaching soft.")]
Alpha = Annotated[float, typer.Option(help="The teacher's share of the loss.")]
QatSteps = Annotated[
    int, typer.Option("--qat-steps", help="Updates of quantisation-aware training, e.g. 200 [0: none].")
]
AsJson = Annotated[bool, typer.Option("--json", help="End with one line of JSON: result.json.")]

TimeColumn = Annotated[str | None, typer.Option("--time", help="Own file: column with the time [time].")]
RoomColumn = Annotated[str | None, typer.Option("--room", help="Own file: column with the room [room].")]
SessionColumn = Annotated[str | None, typer.Option("--session", help="Own file: column with the session.")]
PointColumns = Annotated[str | None, typer.Option("--access-points", help="Own file: RSSI columns, commas.")]
MotionColumns = Annotated[str | None, typer.Option("--acceleration", help="Own file: three columns, in g.")]
TimeUnit = Annotated[str | None, typer.Option(help="Own file: s, ms, us, ns or iso [auto].")]
NotHeard = Annotated[str | None, typer.Option(help="Own file: the number that means not heard.")]


def data_options(named: dict[str, str | None], more: list[str] | None) -> dict[str, Any]:
    """The options of the data that were given: flags of their own, and those of --with. Raises UsageError."""
    options: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
    for text in more or ():
        name, mark, value = text.partition("=")
        if not mark or not name:
            raise UsageError(f"--with {text}: expected NAME=VALUE", hint="For example --with phone=24.")
        options[name.replace("-", "_")] = value
    return options


def train_options(named: dict[str, Any], tuned: list[str] | None, lesson: Any = None) -> Any:
    """`TrainOptions` from flags and --tune; `offset`, `jitter`, `shadowing`, `packets` and `lost` make an
    augmentation.

    Raises UsageError for a name that training does not have, a value of another kind, and what neither the
    family reads nor the networks that teach it (`lesson`).
    """
    from tinyloc.learn.lessons import networks
    from tinyloc.learn.options import Augmentation, TrainOptions
    from tinyloc.learn.unread import unread

    shares = {name: name for name in ("offset", "jitter", "shadowing", "packets")} | {"lost": "access_points"}
    kinds = {field.name: field.type for field in dataclasses.fields(TrainOptions)}
    options, augmentation = dict(named), dict[str, float]()
    for text in tuned or ():
        name, mark, value = text.partition("=")
        name = name.replace("-", "_")
        if not mark:
            raise UsageError(f"--tune {text}: expected NAME=VALUE", hint="For example --tune rate=0.003.")
        if name in shares:
            augmentation[shares[name]] = _number(text, value)
        elif name in FLAGS:
            raise UsageError(f"--tune {text}: this is a flag of its own", hint=f"Say {FLAGS[name]} {value}.")
        elif name in named or name not in TUNABLE:
            raise UsageError(f"--tune {text}: expected one of {', '.join((*TUNABLE, *shares))}")
        elif "bool" in str(kinds[name]):
            options[name] = choice(f"tune {name}", value, ("true", "false")) == "true"
        elif "int" in str(kinds[name]):
            number = _number(text, value)
            if not math.isfinite(number) or number != int(number):
                raise UsageError(f"--tune {text}: expected a whole number")
            options[name] = int(number)
        else:
            options[name] = value if name in ("loss", "device") else _number(text, value)
    if augmentation:
        options["augmentation"] = Augmentation(**augmentation)
    found = TrainOptions(**options)
    teachers = () if lesson is None else lesson.teachers
    for name, why in unread(found, networks(teachers)).items():
        flag = FLAGS.get(name, f"--tune {name}")
        if name == "augmentation":
            flag = "--tune " + next(word for word, share in shares.items() if share in augmentation)
        raise UsageError(f"{flag}: {why}", hint="Leave it out.")
    return found


FLAGS = {"steps": "--train-steps"} | {
    name: f"--{name.replace('_', '-')}"
    for name in ("hidden", "layers", "trees", "leaves", "scaling", "state", "restarts", "seed", "train_steps")
}
"""Options of training that are flags, by the names that --tune may be given for them."""

TUNABLE = (
    "crf", "accelerometer", "heads", "feedforward", "dropout", "state_size", "expand", "rate", "batch",
    "weight_decay", "class_weights", "clip", "warmup", "loss", "evaluations", "patience", "chunk_steps",
    "past_steps", "piece_steps",
    "device", "refit", "least_heard", "statistics", "positions",
)  # fmt: skip
"""Options of training that --tune takes, beside the flags and the augmentation."""


def _number(text: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise UsageError(f"--tune {text}: expected a number") from None


def run_folder_of(out: Path | None, data: str) -> Path:
    """The run folder: --out, else below runs/ by the data's name."""
    return out or Path("runs") / (Path(data).stem if "." in data else data.replace(":", "-"))


def members_of(words: str | None) -> Any:
    """The members of --members. Raises UsageError."""
    from tinyloc.learn.members import members_known, read_members

    found = () if words is None else read_members(words)
    if found is None:
        raise UsageError(f"--members {words}: expected {members_known()}")
    return found


def choice(name: str, value: str, known: tuple[str, ...]) -> str:
    """`value`, if it is known. Raises UsageError that lists what is."""
    if value not in known:
        raise UsageError(f"--{name} {value}: expected one of {', '.join(known)}")
    return value


def command_line() -> str:
    """This command as it was typed."""
    return "tinyloc " + shlex.join(given_words.get(sys.argv[1:]))


def tiers_of(name: str, board: str) -> list[Any]:
    """The tiers of --tier for --board. Raises BoardError, and ToolchainError where one is not complete."""
    from tinyloc.device.boards import find_board
    from tinyloc.device.tiers import available_tiers, find_tier

    core = find_board(board).cpu
    if name == "all":
        return available_tiers(core)
    return [find_tier(choice("tier", name, ("pip", "reference", "all")), core)]


def limits_of(board: str, ram: str | None, flash: str | None) -> Any:
    """The board and its limits. Raises BoardError, UsageError."""
    from tinyloc.device.boards import budget, find_board, parse_size
    from tinyloc.pipeline.fits import Limits

    found = find_board(board)
    asked = [None if text is None else parse_size(text) for text in (ram, flash)]
    ram_bytes, flash_bytes = budget(found, *asked)
    return Limits(found, ram_bytes, flash_bytes)


def precision_of(name: str) -> Any:
    """The precision of --precision. Raises UsageError."""
    from tinyloc.quant.lower import Precision

    return choice("precision", name, get_args(Precision))


def decision_of(name: str) -> Any:
    """The decision layer of --decision. Raises UsageError."""
    from tinyloc.quant.decision import Decision

    return choice("decision", name, get_args(Decision))


def lesson_of(teachers: list[str] | None, kind: str, tau: float, alpha: float) -> Any:
    """Who teaches and how, or None where nobody does. Raises UsageError."""
    from tinyloc.learn.lessons import read_lesson
    from tinyloc.learn.options import Distil

    if not teachers:
        asked = {"--teaching": (kind, "paper"), "--tau": (tau, 1.0), "--alpha": (alpha, Distil.alpha)}
        for option, (value, usual) in asked.items():
            if value != usual:
                raise UsageError(f"{option} {value}: expected a teacher", hint='Add --teacher "mamba H32L1".')
        return None
    return read_lesson(teachers, kind, tau, alpha)


def qat_steps_of(steps: int, family: str) -> int:
    """The steps of --qat-steps. Raises UsageError."""
    from tinyloc.models.config import is_network

    if steps < 0:
        raise UsageError(f"--qat-steps {steps}: expected at least 0")
    if steps and not is_network(family):
        raise UsageError(f"--qat-steps {steps}: expected 0 for the family {family!r}, which is no network")
    return steps


def weight_bits_of(bits: int) -> Any:
    """The weights of --weight-bits. Raises UsageError."""
    from tinyloc.quant.packing import WeightBits

    if bits not in get_args(WeightBits):
        raise UsageError(f"--weight-bits {bits}: expected one of 8, 4")
    return bits


def say(text: str) -> None:
    """A line for the person, on standard error; nothing in it is markup."""
    Console(stderr=True, highlight=False).print(text, markup=False, soft_wrap=True)


def end(result: Any, *, json: bool) -> None:
    """Show the result. Raises DeviceError when the chip answered otherwise anywhere."""
    from tinyloc.report import console

    if json:
        print(result.to_line())
    else:
        console.show(result)
    for part in (*result.device.tiers, *result.seeds):
        if part.identical_windows < part.windows:
            name = getattr(part, "tier", None) or f"seed {part.seed}"
            first = result.device.first_difference or "result.json of that seed says where"
            raise DeviceError(
                f"the device differs from Python: {name}, {part.identical_windows:,} of {part.windows:,} "
                f"windows identical; {first}"
            )
