"""Does it fit? Measured flash and RAM (stack included) against what was allowed.

KB = 1,024 bytes, MB = 1,024 KB.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tinyloc.errors import BudgetError


def kilobytes(size: int) -> str:
    """`size` bytes as a person reads it: "812 bytes", "15.1 KB", "64 KB", "2.8 MB"."""
    if abs(size) < 1024:
        return f"{size} byte{'' if abs(size) == 1 else 's'}"
    if abs(size) >= 1024 * 1024:
        return f"{size / (1024 * 1024):,.1f} MB"
    return f"{size // 1024:,} KB" if size % 1024 == 0 else f"{size / 1024:,.1f} KB"


def _exact(size: int) -> str:
    """As `kilobytes`, with the bytes behind it where that rounds: an overrun is never rounded away."""
    return (
        kilobytes(size)
        if size < 1024 or (size % 1024 == 0 and size < 1024 * 1024)
        else f"{kilobytes(size)} ({size:,} bytes)"
    )


@dataclass(frozen=True)
class Candidate:
    """What could be asked for instead: estimated flash and RAM (stack included) in bytes."""

    name: str
    flash_bytes: int
    ram_bytes: int


@dataclass(frozen=True)
class Fit:
    """Used and allowed memory in bytes; RAM includes the stack."""

    flash_bytes: int
    ram_bytes: int
    flash_budget_bytes: int
    ram_budget_bytes: int

    @property
    def flash_over(self) -> int:
        """Bytes of flash above the budget, 0 when it fits."""
        return max(0, self.flash_bytes - self.flash_budget_bytes)

    @property
    def ram_over(self) -> int:
        """Bytes of RAM above the budget, 0 when it fits."""
        return max(0, self.ram_bytes - self.ram_budget_bytes)

    @property
    def fits(self) -> bool:
        """True when neither is above its budget."""
        return not (self.flash_over or self.ram_over)

    def __str__(self) -> str:
        parts = []
        for name, used, allowed, over in (
            ("flash", self.flash_bytes, self.flash_budget_bytes, self.flash_over),
            ("RAM with stack", self.ram_bytes, self.ram_budget_bytes, self.ram_over),
        ):
            if over:
                parts.append(
                    f"{name} is {_exact(over)} over: {_exact(used)} used, {kilobytes(allowed)} allowed"
                )
            else:
                parts.append(f"{name} {kilobytes(used)} of {kilobytes(allowed)}")
        return "; ".join(parts)

    def require(self, candidates: Iterable[Candidate] = ()) -> None:
        """Raise `over_budget` unless it fits."""
        if not self.fits:
            raise over_budget(self, candidates)


def what_fits(
    candidates: Iterable[Candidate], *, flash_budget_bytes: int, ram_budget_bytes: int
) -> list[Candidate]:
    """The candidates within both budgets, in the order given."""
    return [
        candidate
        for candidate in candidates
        if candidate.flash_bytes <= flash_budget_bytes and candidate.ram_bytes <= ram_budget_bytes
    ]


def over_budget(fit: Fit, candidates: Iterable[Candidate] = (), *, what: str = "the model") -> BudgetError:
    """The error for a `fit` that does not: by how much, and which of the `candidates` would fit.

    Give the candidates best first; up to three that fit are named. If none does, the one whose need is
    nearest is named with the budgets it would take.
    """
    choices = list(candidates)
    good = what_fits(
        choices, flash_budget_bytes=fit.flash_budget_bytes, ram_budget_bytes=fit.ram_budget_bytes
    )
    if good:
        named = ", ".join(
            f"{c.name} (about {kilobytes(c.flash_bytes)} flash, {kilobytes(c.ram_bytes)} RAM)"
            for c in good[:3]
        )
        hint = f"Would fit: {named}."
    elif choices:
        least = min(
            choices,
            key=lambda c: max(
                c.flash_bytes / max(1, fit.flash_budget_bytes), c.ram_bytes / max(1, fit.ram_budget_bytes)
            ),
        )
        hint = (
            f"Nothing known would fit; the nearest, {least.name}, "
            f"needs about {kilobytes(least.flash_bytes)} flash and {kilobytes(least.ram_bytes)} RAM."
        )
    else:
        hint = "Give more with --flash and --ram, or take a smaller model."
    return BudgetError(f"{what} does not fit: {fit}", hint=hint)
