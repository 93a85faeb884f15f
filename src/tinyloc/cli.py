"""The command line: one verb per room, errors in one line, a traceback only with --debug."""

from __future__ import annotations

import errno
import shlex
import sys
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from rich.console import Console
from typer.core import TyperGroup

from tinyloc import __version__
from tinyloc.errors import DeviceError, OutputError, TinylocError, UsageError

VERBS = ("run", "data", "train", "quantise", "emit", "verify", "report")
"""In the order in which a person meets them."""
STOPPED = "stopped; the same command does again what was not done"
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

_given: ContextVar[list[str]] = ContextVar("given")


class _InOrder(TyperGroup):
    """Lists the verbs in the order of the work."""

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(super().list_commands(ctx), key=VERBS.index)


app = typer.Typer(
    name="tinyloc",
    cls=_InOrder,
    help="Which room a person is in, computed on the wearable itself.\n\nRecordings of signal strength in; "
    "an integer model in C, proven on an emulated microcontroller, out.",
    epilog="Example: tinyloc run --data house --out runs/house",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
data_app = typer.Typer(
    help="Look at recordings, or cut them into windows: the first stage of a run.",
    epilog="Example: tinyloc data --data my_home.csv --test-sessions tue,wed --out runs/home",
    invoke_without_command=True,
    rich_markup_mode=None,
)
app.add_typer(data_app, name="data")

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
Hidden = Annotated[int, typer.Option(help="Width H of the model.")]
Layers = Annotated[int, typer.Option(help="Layers L of the model.")]
Scaling = Annotated[str, typer.Option(help="auto (chosen on validation), minmax, zscore or power.")]
State = Annotated[str, typer.Option(help="reset (each window afresh) or carried (runs on).")]
Steps = Annotated[int, typer.Option("--train-steps", help="Updates of each training [0: by the data].")]
Restarts = Annotated[int, typer.Option(help="Trainings of each candidate; validation picks one.")]
SeedNumber = Annotated[int, typer.Option("--seed", help="Seed of everything random.")]
PrecisionName = Annotated[str, typer.Option("--precision", help="Activations: int16 or int8.")]
AsJson = Annotated[bool, typer.Option("--json", help="End with one line of JSON: result.json.")]

TimeColumn = Annotated[str | None, typer.Option("--time", help="Own file: column with the time [time].")]
RoomColumn = Annotated[str | None, typer.Option("--room", help="Own file: column with the room [room].")]
SessionColumn = Annotated[str | None, typer.Option("--session", help="Own file: column with the session.")]
PointColumns = Annotated[str | None, typer.Option("--access-points", help="Own file: RSSI columns, commas.")]
MotionColumns = Annotated[str | None, typer.Option("--acceleration", help="Own file: three columns, in g.")]
TimeUnit = Annotated[str | None, typer.Option(help="Own file: s, ms, us, ns or iso [auto].")]
NotHeard = Annotated[str | None, typer.Option(help="Own file: the number that means not heard.")]


def _data_options(named: dict[str, str | None], more: list[str] | None) -> dict[str, Any]:
    options: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
    for text in more or ():
        name, mark, value = text.partition("=")
        if not mark or not name:
            raise UsageError(f"--with {text}: expected NAME=VALUE", hint="For example --with phone=24.")
        options[name.replace("-", "_")] = value
    return options


def _out(out: Path | None, data: str) -> Path:
    return out or Path("runs") / (Path(data).stem if "." in data else data.replace(":", "-"))


def _choice(name: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise UsageError(f"--{name} {value}: expected one of {', '.join(known)}")
    return value


def _command() -> str:
    return "tinyloc " + shlex.join(_given.get(sys.argv[1:]))


def _tiers(name: str) -> list[Any]:
    from tinyloc.device.tiers import available_tiers, find_tier

    return (
        available_tiers()
        if name == "all"
        else [find_tier(_choice("tier", name, ("pip", "reference", "all")))]
    )


def _limits(board: str, ram: str | None, flash: str | None) -> Any:
    from tinyloc.device.boards import budget, find_board, parse_size
    from tinyloc.pipeline.fits import Limits

    found = find_board(board)
    asked = [None if text is None else parse_size(text) for text in (ram, flash)]
    ram_bytes, flash_bytes = budget(found, *asked)
    return Limits(found, ram_bytes, flash_bytes)


def _precision(name: str) -> Any:
    from tinyloc.quant.lower import Precision

    return _choice("precision", name, get_args(Precision))


def _say(text: str) -> None:
    Console(stderr=True, highlight=False).print(text, markup=False, soft_wrap=True)


def _end(result: Any, *, json: bool) -> None:
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


@app.command(epilog="Example: tinyloc run --data my_home.csv --ram 32K --flash 64K --board stm32l4")
def run(
    data: DataName,
    data_dir: DataDir = None,
    out: Out = None,
    board: BoardName = "stm32l4",
    ram: Ram = None,
    flash: Flash = None,
    tier: TierName = "all",
    hidden: Hidden = 8,
    layers: Layers = 1,
    precision: PrecisionName = "int16",
    scaling: Scaling = "auto",
    state: State = "reset",
    train_steps: Steps = 0,
    restarts: Restarts = 1,
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
    """All stages: recordings in, a proven integer room model out.

    Columns of an own file that have other names: see `tinyloc data --help`.
    """
    from tinyloc.learn.options import TrainOptions
    from tinyloc.pipeline.folder import RunFolder
    from tinyloc.pipeline.run import RunOptions, run_all

    if seeds < 1:
        raise UsageError(f"--seeds {seeds}: expected at least 1")
    given = _data_options(
        {
            "test_sessions": test_sessions, "val_sessions": val_sessions, "time": time, "room": room,
            "session": session, "access_points": access_points, "acceleration": acceleration,
            "time_unit": time_unit, "not_heard": not_heard,
        },
        options,
    )  # fmt: skip
    how = RunOptions(_limits(board, ram, flash), _tiers(tier), _precision(precision), _command(), seeds)
    training: Any = {"scaling": scaling, "state": state}
    train_options = TrainOptions(
        hidden=hidden, layers=layers, seed=seed, steps=train_steps, restarts=restarts, **training
    )
    result = run_all(
        RunFolder(_out(out, data)), data, data_dir, given, train_options, how, quiet=quiet or json
    )
    _end(result, json=json)


@data_app.callback()
def data_stage(
    context: typer.Context,
    data: Annotated[
        str | None, typer.Option("--data", help="A data set's name, a .csv or .parquet file.")
    ] = None,
    data_dir: DataDir = None,
    out: Out = None,
    test_sessions: Tests = None,
    val_sessions: Validates = None,
    time: TimeColumn = None,
    room: RoomColumn = None,
    session: SessionColumn = None,
    access_points: PointColumns = None,
    acceleration: MotionColumns = None,
    time_unit: TimeUnit = None,
    not_heard: NotHeard = None,
    options: With = None,
) -> None:
    """Cut recordings into windows (with --data), or look at them (list, show)."""
    if context.invoked_subcommand is not None:
        return
    if data is None:
        raise UsageError(
            "no data were named", hint="`tinyloc data list` shows what there is; --data names one."
        )
    from tinyloc.pipeline import stages
    from tinyloc.pipeline.folder import RunFolder
    from tinyloc.pipeline.run import windows_line

    given = _data_options(
        {
            "test_sessions": test_sessions, "val_sessions": val_sessions, "time": time, "room": room,
            "session": session, "access_points": access_points, "acceleration": acceleration,
            "time_unit": time_unit, "not_heard": not_heard,
        },
        options,
    )  # fmt: skip
    folder = RunFolder(_out(out, data))
    sets = stages.prepare(folder, data, data_dir=data_dir, options=given)
    for note in (windows_line(sets), sets.description, *sets.notes):
        _say(note)
    _say(f"{folder.windows} is there; next: tinyloc train {folder.path}")


@data_app.command("list", epilog="Example: tinyloc data list --data-dir ~/recordings")
def data_list(data_dir: DataDir = None) -> None:
    """What each data set holds, its licence and citation, and whether it is here."""
    from tinyloc.data import describe_sources, render_sources

    Console(markup=False, highlight=False).print(render_sources(describe_sources(data_dir)))


@data_app.command("show", epilog="Example: tinyloc data show flat --data-dir ~/recordings")
def data_show(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A data set's name, or a .csv or .parquet file.")
    ],
    data_dir: DataDir = None,
    picture: Annotated[Path | None, typer.Option(help="Where the picture goes [NAME.png].")] = None,
    options: With = None,
) -> None:
    """Rows, rates, rooms, how often each access point is heard, gaps; and a picture.

    Options of a data set for --with: walks have phone; house has floors, rooms, access_points, minutes, drift
    and house_seed; all have steps, hop, train_hop, seconds_per_step, fill_seconds and gap_seconds.
    """
    from tinyloc.data import draw_recordings, load_material, render_recordings
    from tinyloc.data.describe import facts_of

    material = load_material(name, data_dir=data_dir, **_data_options({}, options))
    facts = facts_of(material)
    Console(markup=False, highlight=False).print(render_recordings(facts))
    path = picture or Path(f"{_out(None, name).name}.png")
    draw_recordings(material, facts, path)
    _say(f"Picture: {path}")


@app.command(epilog="Example: tinyloc train runs/flat --hidden 16")
def train(
    folder: Folder,
    hidden: Hidden = 8,
    layers: Layers = 1,
    scaling: Scaling = "auto",
    state: State = "reset",
    train_steps: Steps = 0,
    restarts: Restarts = 1,
    seed: SeedNumber = 0,
) -> None:
    """Train a model on the windows of a run folder. Ctrl-C keeps what was done; the same command goes on."""
    from tinyloc.learn.options import TrainOptions
    from tinyloc.pipeline import stages
    from tinyloc.pipeline.folder import RunFolder
    from tinyloc.pipeline.run import Speaker

    run_folder = RunFolder(folder)
    sets = stages.windows_of(run_folder)
    kinds: Any = {"scaling": scaling, "state": state}
    options = TrainOptions(
        hidden=hidden, layers=layers, seed=seed, steps=train_steps, restarts=restarts, **kinds
    )
    Speaker().train(run_folder, sets, options)
    _say(f"{run_folder.checkpoint} is there; next: tinyloc quantise {folder}")


@app.command(epilog="Example: tinyloc quantise runs/flat --precision int8")
def quantise(folder: Folder, precision: PrecisionName = "int16") -> None:
    """Turn the trained model into integers, and say what that costs on validation."""
    from tinyloc.pipeline import stages
    from tinyloc.pipeline.folder import RunFolder
    from tinyloc.pipeline.run import quantised_line

    run_folder = RunFolder(folder)
    sets, checkpoint = stages.windows_of(run_folder), stages.checkpoint_of(run_folder)
    found = stages.quantise(run_folder, sets, checkpoint, _precision(precision))
    _say(quantised_line(found))
    for name, error in found.costliest:
        _say(f"  {name}: its integer form alone moves the scores by {100 * error:.2f} % of their spread")
    _say(f"{run_folder.integer_model} is there; next: tinyloc emit {folder}")


@app.command(epilog="Example: tinyloc emit runs/flat --to firmware/room_model")
def emit(
    folder: Folder, to: Annotated[Path | None, typer.Option(help="Folder for the C files [RUN/c].")] = None
) -> None:
    """Write the integer model as C99: tinyloc_init and tinyloc_step, no malloc, no float."""
    from tinyloc.pipeline import stages
    from tinyloc.pipeline.folder import RunFolder

    for path in stages.emit(RunFolder(folder), to):
        _say(f"{path}  {path.stat().st_size:,} bytes")
    _say(f"next: tinyloc verify {folder}")


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

    result = judge(RunFolder(folder), _limits(board, ram, flash), _tiers(tier), command=_command())
    _end(result, json=json)
    if not json:
        _say(f"{RunFolder(folder).result} is there; next: tinyloc report {folder}")


@app.command(epilog="Example: tinyloc report runs/flat")
def report(folder: Folder) -> None:
    """Write the page of a run from its result.json: one HTML file, no network."""
    from tinyloc.judge import result as verdict
    from tinyloc.pipeline.folder import RunFolder
    from tinyloc.report import page

    run_folder = RunFolder(folder)
    page.write(verdict.load(run_folder.need(run_folder.result, "verify")), run_folder.page)
    _say(f"{run_folder.page}")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"tinyloc {__version__}")
        raise typer.Exit


@app.callback()
def top(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show a traceback with an error; goes with every command.")
    ] = False,
) -> None:
    """Which room a person is in, computed on the wearable itself."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave the process with its exit code.

    0: done. 1: a fault of tinyloc. 2: an error that the user can mend. 3: over budget. 4: the device differs.
    130: Ctrl-C.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    words = [word for word in given if word != "--debug"]
    _given.set(words)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        code = app(words or ["--help"], standalone_mode=False, prog_name="tinyloc")
    except KeyboardInterrupt:
        _fail(STOPPED, 130)
    except Exception as error:
        if debug:
            raise
        _fail(*_in_a_line(error, words))
    else:
        if code == 130:
            _fail(STOPPED, 130)
        sys.exit(code if isinstance(code, int) else 0)


def _in_a_line(error: Exception, words: list[str]) -> tuple[str, int]:
    """What to print for `error`, and the exit code."""
    if isinstance(error, TinylocError):
        return str(error), error.exit_code
    if isinstance(error, OSError):
        full = error.errno in DISK_FULL
        hint = "Free some space; nothing half-written was left." if full else "--debug shows where."
        return str(OutputError(f"{error.filename or 'system'}: {error.strerror or error}", hint=hint)), 2
    message = getattr(error, "format_message", None)
    if message is not None:
        return _usage(error, message(), words), 2
    if type(error).__name__ == "Abort":
        return STOPPED, 130
    if isinstance(error, MemoryError):
        return f"the computer's memory is not enough ({error or 'out of memory'}). Take a smaller model.", 2
    fault = f"a fault in tinyloc ({type(error).__name__}: {error}). Please report it with --debug's output."
    return fault, 1


def _usage(error: Exception, message: str, words: list[str]) -> str:
    """A wrong command line: what was wrong with which value, and where the right one is told."""
    context, names = getattr(error, "ctx", None), getattr(getattr(error, "param", None), "opts", [])
    value = ""
    for word, following in zip(words, [*words[1:], ""], strict=True):
        name, mark, own = word.partition("=")
        if name in names and "Invalid value" in message:
            value = f" ({own if mark else following!r})"
    path = context.command_path if context else "tinyloc"
    return f"{message.rstrip('. ')}{value}. See `{path} --help`."


def _fail(message: str, code: int) -> None:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)
