"""What a result means, in words: the console and the page both say it from here, so they agree.

Shares are printed in per cent with one decimal (0.869 -> "86.9"), memory in KB of 1,024 bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

from tinyloc.judge.budget import Fit, kilobytes
from tinyloc.judge.result import Ahead, Result
from tinyloc.models.config import EnsembleConfig

DRAWN = (
    "where 95 % of test sets lie that are drawn anew from these windows; with 0 between, they cannot tell "
    "the two apart."
)
"""What `drawn` says."""

FLAPPING = 2.0
"""Answered room changes for each true one from which a notice is due."""


@dataclass(frozen=True)
class Row:
    """One method in the comparison. `f1` and `accuracy` from 0 to 1; `ours` for the model's three forms;
    `ahead`: the device beside it.
    """

    name: str
    f1: float
    accuracy: float
    where: str
    ours: bool = False
    note: str = ""
    ahead: Ahead | None = None


@dataclass(frozen=True)
class Notice:
    """Something the reader must not miss. `level`: "bad", "warn" or "note"."""

    level: str
    title: str
    text: str


def model(family: str, size: str) -> str:
    """What answers, with its article: "A mamba H8L1 model", "An ensemble of 2 mamba H8L1 + statnet H32"."""
    if family == EnsembleConfig.family:
        return f"An ensemble of {size}"
    return f"{'An' if family.startswith('m') and family[1] not in 'aeiou' else 'A'} {family} {size} model"


def percent(share: float | None) -> str:
    """0.869 -> "86.9"; None -> "–"."""
    return "–" if share is None else f"{100 * share:.1f}"


def lead(ahead: Ahead) -> str:
    """By how many points the device is ahead: "+1.1"."""
    points = _points(ahead.measured)
    return f"+{points}" if float(points) > 0 else points


def drawn(ahead: Ahead) -> str:
    """Between which points 95 % of test sets drawn anew lie: "-0.6 to 2.9"."""
    return f"{_points(ahead.low)} to {_points(ahead.high)}"


def _points(share: float) -> str:
    return f"{round(100 * share, 1) or 0.0:.1f}"


def count(value: float) -> str:
    """1234.4 -> "1,234"."""
    return f"{value:,.0f}"


def quantity(value: float) -> str:
    """An estimate with no more digits than it deserves: 0.042, 6.6, 18, 732 k, 2.48 M."""
    if value >= 999_500:
        return f"{value / 1e6:,.2f} M"
    if value >= 1e4:
        return f"{value / 1e3:.0f} k"
    return f"{value:,.0f}" if value >= 10 or value == 0 else f"{value:.1f}" if value >= 1 else f"{value:.2g}"


def fit(result: Result) -> Fit:
    """The budgets of `result` as judge.budget sees them."""
    memory = result.memory
    return Fit(memory.flash_bytes, memory.ram_bytes, memory.flash_budget_bytes, memory.ram_budget_bytes)


def identical(result: Result) -> bool:
    """True when every step of every window in every tier equals the reference, and there was one."""
    device = result.device
    return (
        0 < device.windows == device.identical_windows
        and device.steps == device.identical_steps
        and all(tier.identical_windows == tier.windows for tier in device.tiers)
    )


def good(result: Result) -> bool:
    """True when it fits and every answer is identical."""
    return result.fits and identical(result)


def badge(result: Result) -> str:
    """The verdict in three or four words."""
    if not identical(result):
        return "Differs from Python"
    return "Verified on the emulated chip" if result.fits else "Over budget"


def headline(result: Result) -> str:
    """The verdict in one sentence."""
    if good(result):
        return "It fits, and the chip answers exactly as Python does."
    if identical(result):
        return "It does not fit. The chip answers exactly as Python does."
    if result.fits:
        return "The chip does not answer as Python does. It fits."
    return "It does not fit, and the chip does not answer as Python does."


def proof(result: Result) -> str:
    """How far the proof reaches, in one sentence."""
    device = result.device
    if not device.windows:
        return "No window was run on the device."
    tiers = " and ".join(tier.tier for tier in device.tiers)
    by = f" ({tiers} toolchain{'s' if len(device.tiers) > 1 else ''})" if tiers else ""
    if identical(result):
        one = "the one test window" if device.windows == 1 else f"all {count(device.windows)} test windows"
        return f"Identical byte for byte in {one}, {count(device.steps)} steps{by}."
    return (
        f"Identical in {count(device.identical_windows)} of {count(device.windows)} test windows, "
        f"{count(device.identical_steps)} of {count(device.steps)} steps{by}."
    )


def rows(result: Result) -> list[Row]:
    """Model and baselines, in the order they are shown."""
    forms = result.f1_macro, result.accuracy
    simple = result.baselines
    as_trained = "as trained, follows nothing" if result.model.options.get("follow") else "as trained"
    if result.decision is not None and result.decision.chosen != "none":
        as_trained += ", without the decision layer"
    found = [
        Row("Float", forms[0].float_, forms[1].float_, as_trained, ours=True),
        Row("Integer", forms[0].integer, forms[1].integer, "Python, the reference", ours=True),
        Row("Device", forms[0].device, forms[1].device, result.device.core, ours=True),
        Row(
            "Forest of 300",
            simple.forest300.f1_macro,
            simple.forest300.accuracy,
            _size(simple.forest300.flash_bytes, result),
            note=simple.forest300.note,
            ahead=simple.forest300.ahead,
        ),
    ]
    small, knn = simple.forest_small, simple.knn
    if small is not None:
        trees = f"{small.trees} trees" if small.trees else "Small forest"
        leaves = f", {small.leaves} leaves" if small.leaves else ""
        where = ", ".join(part for part in (f"{trees}{leaves}", _size(small.flash_bytes, result)) if part)
        found.append(
            Row("Small forest", small.f1_macro, small.accuracy, where, note=small.note, ahead=small.ahead)
        )
    if knn is not None:
        where = f"k = {knn.k}"
        found.append(
            Row("Nearest neighbours", knn.f1_macro, knn.accuracy, where, note=knn.note, ahead=knn.ahead)
        )
    return found


def _size(flash: int | None, result: Result) -> str:
    if flash is None:
        return ""
    over = flash > result.memory.flash_budget_bytes
    return kilobytes(flash) + (", too large" if over else "")


def wins(result: Result) -> list[str]:
    """A plain sentence for each baseline that is better than the device on macro-F1."""
    said = []
    ours = result.f1_macro.device
    summary = result.seeds_summary
    for row in rows(result)[3:]:
        mine, theirs, over = ours, row.f1, ""
        if row.name == "Forest of 300" and summary is not None and summary.forest300_f1_macro is not None:
            mine, theirs = summary.f1_macro.mean, summary.forest300_f1_macro.mean
            over = f", mean of {summary.count} seeds"
        if theirs > mine:
            where = f" ({row.where})" if row.where else ""
            close = ""
            if not over and row.ahead is not None and row.ahead.low <= 0 <= row.ahead.high:
                close = "; these test windows cannot tell the two apart"
            said.append(
                f"{row.name}{where}: macro-F1 {percent(theirs)} against {percent(mine)}{over}{close}."
            )
    return said


def ahead(result: Result) -> str:
    """The device beside each simpler method, in one sentence, or nothing."""
    found = [
        f"{row.name.lower()} {lead(row.ahead)} ({drawn(row.ahead)})"
        for row in rows(result)
        if row.ahead is not None
    ]
    if not found:
        return ""
    unit = f"points of macro-F1{_whose(result)}"
    return f"The device less each, in {unit}: {', '.join(found)}. In brackets: {DRAWN}"


def leads(result: Result) -> str:
    """What `lead` means in a table, or nothing where no row has one."""
    if all(row.ahead is None for row in rows(result)):
        return ""
    whose = f"the device's macro-F1{_whose(result)} less theirs"
    return f"Ahead by: {whose}, in points. Below it: {DRAWN}"


def _whose(result: Result) -> str:
    return f" (seed {result.seed})" if result.seeds_summary is not None else ""


def seeds(result: Result) -> str:
    """All seeds in one sentence, or nothing."""
    summary = result.seeds_summary
    if summary is None:
        return ""
    ours, forest = summary.f1_macro, summary.forest300_f1_macro
    text = (
        f"Over {summary.count} seeds the device reaches a macro-F1 of {percent(ours.mean)} on average "
        f"({percent(ours.min)} to {percent(ours.max)})"
    )
    if forest is not None:
        text += f", the forest of 300 {percent(forest.mean)} ({percent(forest.min)} to {percent(forest.max)})"
    return text + "."


def changes(result: Result) -> str:
    """How often the room changes, with and without a decision layer, or nothing."""
    both = result.room_changes
    if both is None:
        return ""
    ratio = f", {both.predicted / both.true:.1f} for each true one" if both.true else ""
    text = f"The true room changes {count(both.true)} times, the answer {count(both.predicted)} times{ratio}."
    return " ".join(part for part in (text, settled(result)) if part)


def settled(result: Result) -> str:
    """What the decision layer is worth, or why there is none; nothing where none was tried."""
    found = result.decision
    if found is None:
        return ""
    tried = {candidate.name: candidate for candidate in found.candidates}
    none, chosen = tried.get("none"), tried.get(found.chosen)
    if found.chosen == "none" or none is None or chosen is None:
        others = len(found.candidates) - 1
        return (
            f"None of {others} decision layers that hold a room was better on validation, so there is none."
        )
    both = result.room_changes
    true = both.true if both is not None else 0
    ratio = f", {found.room_changes_without / true:.1f} for each true one" if true else ""
    return (
        f"A decision layer ({found.chosen}, chosen on validation: macro-F1 {percent(chosen.f1_macro)} with "
        f"it, {percent(none.f1_macro)} without) holds the room; without it the device's macro-F1 is "
        f"{percent(found.f1_macro_without)}, its accuracy {percent(found.accuracy_without)}, and the answer "
        f"changes {count(found.room_changes_without)} times{ratio}."
    )


def _sentence(text: str) -> str:
    """With a capital and a full stop."""
    return f"{text[0].upper()}{text[1:].rstrip('.')}."


def notices(result: Result) -> list[Notice]:
    """Everything the reader must not miss, worst first."""
    found = []
    if not identical(result):
        text = "Do not flash this model."
        if result.device.first_difference:
            text += f" First difference: {result.device.first_difference}."
        found.append(Notice("bad", "Device and Python disagree", text))
    if not result.fits:
        found.append(Notice("bad", "Over budget", f"{str(fit(result))[0].upper()}{str(fit(result))[1:]}."))
    if result.data.simulated:
        found.append(
            Notice(
                "warn",
                "Simulated data",
                "These recordings come from the simulator, not from a radio. The figures show that the way "
                "works from end to end; they say nothing about a real home.",
            )
        )
    if result.data.notes:
        found.append(Notice("warn", "About the recordings", " ".join(map(_sentence, result.data.notes))))
    loss = result.validation
    if loss.warning:
        where = (
            f" The operator that costs most: {loss.costliest_operator}." if loss.costliest_operator else ""
        )
        found.append(
            Notice(
                "warn",
                f"Quantisation costs {loss.drop_points:.1f} points",
                f"Macro-F1 on validation falls from {percent(loss.f1_macro_float)} to "
                f"{percent(loss.f1_macro_integer)}.{where}",
            )
        )
    better = wins(result)
    if better:
        title = (
            "A simpler method is more accurate here"
            if len(better) == 1
            else "Simpler methods are more accurate here"
        )
        found.append(Notice("warn", title, " ".join(better)))
    both = result.room_changes
    if both is not None and both.predicted > max(both.true, 1) * FLAPPING:
        found.append(Notice("warn", "The room flaps", changes(result)))
    return found
