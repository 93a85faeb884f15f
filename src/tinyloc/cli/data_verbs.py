"""The verbs about data: cut them into windows, list what there is, show what it holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperCommand

from tinyloc.cli.app import data_app
from tinyloc.cli.options import (
    DataDir,
    MotionColumns,
    NotHeard,
    Out,
    PointColumns,
    RoomColumn,
    SessionColumn,
    Tests,
    TimeColumn,
    TimeUnit,
    Validates,
    With,
    data_options,
    run_folder_of,
    say,
)
from tinyloc.errors import UsageError


class _WithOptions(TyperCommand):
    """A command whose help lists the options that each data set knows, taken from the sources themselves."""

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """The help's text, then the options."""
        super().format_help_text(ctx, formatter)
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(f"Options of a data set, for --with: {_known_options()}.")


def _known_options() -> str:
    from tinyloc.data.load import PROTOCOL_OPTIONS
    from tinyloc.data.sources import ALL

    families: dict[str, list[str]] = {}
    for source in ALL.values():
        names = families.setdefault(source.name.split(":")[0], [])
        names.extend(name for name in source.options if name not in names)
    each = [f"{family} has {', '.join(names)}" for family, names in families.items() if names]
    each += ["a file has position, select_sessions", f"all have {', '.join(PROTOCOL_OPTIONS)}"]
    return "; ".join(each)


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
    named = {
        "test_sessions": test_sessions, "val_sessions": val_sessions, "time": time, "room": room,
        "session": session, "access_points": access_points, "acceleration": acceleration,
        "time_unit": time_unit, "not_heard": not_heard,
    }  # fmt: skip
    if context.invoked_subcommand is not None:
        given = data_options({**named, "data": data}, options)
        if given or data_dir or out:
            verb = context.invoked_subcommand
            raise UsageError(f"options of `{verb}` stand behind it: tinyloc data {verb} ...")
        return
    if data is None:
        raise UsageError(
            "no data were named", hint="`tinyloc data list` shows what there is; --data names one."
        )
    from tinyloc.pipeline import stages
    from tinyloc.pipeline.folder import RunFolder
    from tinyloc.pipeline.run import windows_line

    given = data_options(named, options)
    folder = RunFolder(run_folder_of(out, data))
    sets = stages.prepare(folder, data, data_dir=data_dir, options=given)
    for note in (windows_line(sets), sets.description, *sets.notes):
        say(note)
    say(f"{folder.windows} is there; next: tinyloc train {folder.path}")


@data_app.command("list", epilog="Example: tinyloc data list --data-dir ~/recordings")
def data_list(data_dir: DataDir = None) -> None:
    """What each data set holds, its licence and citation, and whether it is here."""
    from tinyloc.data import describe_sources, render_sources

    Console(markup=False, highlight=False).print(render_sources(describe_sources(data_dir)))


@data_app.command("show", cls=_WithOptions, epilog="Example: tinyloc data show flat --data-dir ~/recordings")
def data_show(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A data set's name, or a .csv or .parquet file.")
    ],
    data_dir: DataDir = None,
    picture: Annotated[Path | None, typer.Option(help="Where the picture goes [NAME.png].")] = None,
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
    """Rows, rates, rooms, how often each access point is heard, gaps; and a picture."""
    from tinyloc.data import draw_recordings, load_material, render_recordings
    from tinyloc.data.describe import facts_of

    given = data_options(
        {
            "test_sessions": test_sessions, "val_sessions": val_sessions, "time": time, "room": room,
            "session": session, "access_points": access_points, "acceleration": acceleration,
            "time_unit": time_unit, "not_heard": not_heard,
        },
        options,
    )  # fmt: skip
    material = load_material(name, data_dir=data_dir, **given)
    facts = facts_of(material)
    Console(markup=False, highlight=False).print(render_recordings(facts))
    path = picture or Path(f"{run_folder_of(None, name).name}.png")
    draw_recordings(material, facts, path)
    say(f"Picture: {path}")
