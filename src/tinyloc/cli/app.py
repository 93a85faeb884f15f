"""The command itself: its verbs in the order of the work, its version, its help."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from tinyloc import __version__

VERBS = ("run", "data", "train", "quantise", "emit", "verify", "report", "study", "model")
"""In the order in which a person meets them."""


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
