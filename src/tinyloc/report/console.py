"""The end of `tinyloc run` on the console: verdict, figures, memory, cost. Reads well without colour."""

from __future__ import annotations

from rich import box
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tinyloc.judge.budget import kilobytes
from tinyloc.judge.result import Bracket, Result
from tinyloc.report import words

STYLES = {"bad": "bold red", "warn": "bold yellow", "note": "bold"}


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for i, name in enumerate(columns):
        table.add_column(name, justify="left" if i == 0 or not name else "right", no_wrap=bool(name))
    return table


def _scores(result: Result) -> Table:
    table = _table("", "macro-F1 %", "accuracy %", "")
    rows = words.rows(result)
    best = max(row.f1 for row in rows[2:])
    for i, row in enumerate(rows):
        mark = "* " if row.f1 == best and i >= 2 else ""
        table.add_row(
            escape(row.name),
            mark + words.percent(row.f1),
            words.percent(row.accuracy),
            escape(row.where),
            style="bold" if row.name == "Device" else "",
            end_section=i == 2,
        )
    return table


def _memory(result: Result) -> Table:
    memory = result.memory
    table = _table("Memory", "used", "allowed", "of it", "")
    for name, used, allowed, parts in (
        (
            "Flash",
            memory.flash_bytes,
            memory.flash_budget_bytes,
            f"code {kilobytes(memory.text_bytes)}, constants {kilobytes(memory.constants_bytes)}",
        ),
        (
            "RAM with stack",
            memory.ram_bytes,
            memory.ram_budget_bytes,
            f"variables {kilobytes(memory.data_bytes + memory.bss_bytes)}, "
            f"stack {kilobytes(memory.stack_bytes)}",
        ),
    ):
        share = f"{100 * used / allowed:.0f} %" if allowed else "–"
        style = "bold red" if used > allowed else ""
        table.add_row(name, kilobytes(used), kilobytes(allowed), share, parts, style=style)
    return table


def _bracket(bracket: Bracket, unit: str = "") -> str:
    quantity = words.quantity
    return f"{quantity(bracket.mid)}{unit} ({quantity(bracket.low)}–{quantity(bracket.high)})"


def _cost(result: Result) -> Table:
    table = _table("Cost", "instructions", "cycles, about", "energy, about")
    table.add_row(
        "Step",
        words.count(result.instructions.step),
        _bracket(result.cycles.step),
        _bracket(result.energy.step_uj, " µJ"),
    )
    steps = result.data.window_steps
    table.add_row(
        f"Window of {steps} step{'s' if steps != 1 else ''}",
        words.count(result.instructions.window),
        _bracket(result.cycles.window),
        "",
    )
    return table


def render(result: Result) -> RenderableType:
    """`result` as something rich can print, at home in 80 columns."""
    fine = words.good(result)
    data, model = result.data, result.model
    lines: list[RenderableType] = [
        Text(words.headline(result), style="bold green" if fine else "bold red"),
        Text(words.proof(result)),
        Text(
            f"{model.family} {model.size}, {words.count(result.parameters)} parameters: {data.name}, "
            f"{len(data.rooms)} rooms, {data.access_points} access points, on {result.device.board_title} "
            f"({result.device.core})."
        ),
    ]
    notices = words.notices(result)
    for notice in notices:
        lines.append(Text.assemble((f"! {notice.title}. ", STYLES[notice.level]), notice.text))
    lines.append(Padding(_scores(result), (1, 0, 0, 0)))
    lines.append(Text("* best of device and baselines, on the same test windows", style="dim"))
    said = ("", *(notice.text for notice in notices))
    more = words.ahead(result), words.seeds(result), words.changes(result)
    lines.extend(Text(text) for text in more if text not in said)
    lines.append(Padding(_memory(result), (1, 0, 1, 0)))
    lines.append(_cost(result))
    power = result.energy.average_uw
    if power is not None and result.energy.steps_per_second is not None:
        rate = result.energy.steps_per_second
        pace = f"At {rate:g} step{'' if rate == 1 else 's'} a second"
        lines.append(Text(f"{pace}: {_bracket(power, ' µW')} on average, radio not counted."))
    radio, days = result.energy.radio, result.energy.battery_days
    if radio is not None and days is not None:
        own, sent, together = radio.computing_ua, radio.sending_ua, radio.sending_together_ua
        lines.append(Text(f"A {result.energy.battery} feeds the model for {_bracket(days)} days."))
        lines.append(
            Text(
                f"Computing takes {_bracket(own, ' µA')}, sending every reading by BLE "
                f"{_bracket(sent, ' µA')}, a second of them at once {_bracket(together, ' µA')}."
            )
        )
    return Group(*lines)


def show(result: Result, console: Console | None = None) -> None:
    """Print `result` on `console` (standard output by default)."""
    (console or Console()).print(render(result))
