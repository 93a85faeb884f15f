"""Budgets: by how much, and what would fit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyloc.errors import BudgetError
from tinyloc.judge.budget import Candidate, Fit, kilobytes, over_budget, what_fits

CANDIDATES = [
    Candidate("H32L1", 40_000, 6000),
    Candidate("H16L1", 22_000, 3000),
    Candidate("H8L1", 12_000, 1500),
]


def test_exactly_full_still_fits() -> None:
    Fit(65_536, 32_768, 65_536, 32_768).require()
    assert not Fit(65_537, 32_768, 65_536, 32_768).fits


def test_an_overrun_of_one_byte_is_not_rounded_away() -> None:
    with pytest.raises(
        BudgetError, match=r"flash is 1 byte over: 64\.0 KB \(65,537 bytes\) used, 64 KB allowed"
    ):
        Fit(65_537, 10, 65_536, 32_768).require()


def test_what_fits_is_named() -> None:
    error = over_budget(Fit(40_000, 6000, 24 * 1024, 4096), CANDIDATES)
    assert "RAM with stack is 1.9 KB (1,904 bytes) over" in str(error)
    assert "Would fit: H16L1 (about 21.5 KB flash, 2.9 KB RAM), H8L1" in str(error)
    assert error.exit_code == 3
    assert "\n" not in str(error)


def test_a_budget_of_1_kb_names_the_nearest() -> None:
    error = over_budget(Fit(12_000, 1500, 1024, 1024), CANDIDATES)
    assert "Nothing known would fit; the nearest, H8L1, needs about 11.7 KB flash and 1.5 KB RAM." in str(
        error
    )
    assert "--flash" in str(over_budget(Fit(12_000, 1500, 0, 0)))


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_fit_and_what_fits_agree(flash: int, ram: int, most_flash: int, most_ram: int) -> None:
    fit = Fit(flash, ram, most_flash, most_ram)
    good = what_fits([Candidate("x", flash, ram)], flash_budget_bytes=most_flash, ram_budget_bytes=most_ram)
    assert fit.fits == bool(good)
    assert fit.fits != ("over" in str(fit))


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (812, "812 bytes"),
        (1024, "1 KB"),
        (15_480, "15.1 KB"),
        (2_940_000, "2.8 MB"),
    ],
)
def test_kilobytes(size: int, text: str) -> None:
    assert kilobytes(size) == text
