"""What is said: verdict, notices, baselines that win."""

import pytest
from result_samples import campus, small

from tinyloc.judge import result as r
from tinyloc.report import words


def _titles(result: r.Result) -> list[str]:
    return [notice.title for notice in words.notices(result)]


def _seeds(ours: float, forest: float) -> dict[str, object]:
    scores = r.Scores(float_=ours, integer=ours, device=ours)
    seeds = tuple(
        r.Seed(
            seed=n,
            validation_f1=ours,
            f1_macro=scores,
            accuracy=scores,
            identical_windows=5,
            windows=5,
            forest300_f1_macro=forest,
        )
        for n in (1, 2, 3)
    )
    return {"seeds": seeds, "seeds_summary": r.summarise_seeds(seeds)}


def test_a_good_result_has_no_notice() -> None:
    assert words.notices(small()) == []
    assert words.good(small())
    assert words.headline(small()) == "It fits, and the chip answers exactly as Python does."


def test_each_notice_appears_when_due() -> None:
    assert _titles(campus()) == ["Quantisation costs 2.1 points", "A simpler method is more accurate here"]
    simulated = small(data=small().data.model_copy(update={"simulated": True}))
    assert _titles(simulated) == ["Simulated data"]
    assert _titles(small(room_changes=r.RoomChanges(true=10, predicted=21))) == ["The room flaps"]
    assert _titles(small(room_changes=r.RoomChanges(true=10, predicted=20))) == []
    full = small(fits=False, memory=small().memory.model_copy(update={"ram_budget_bytes": 1024}))
    assert _titles(full) == ["Over budget"]
    assert "RAM with stack is 440 bytes over" in words.notices(full)[0].text
    assert "does not fit" in words.headline(full)


@pytest.mark.parametrize(
    "change", [{"identical_windows": 0}, {"identical_steps": 1}, {"windows": 0, "identical_windows": 0}]
)
def test_anything_short_of_all_is_not_identical(change: dict[str, int]) -> None:
    device = small().device.model_copy(update=change)
    result = small(device=device)
    assert not words.good(result)
    assert _titles(result)[0] == "Device and Python disagree"
    assert "does not answer as Python does" in words.headline(result)


def test_one_tier_that_differs_is_enough() -> None:
    device = small().device
    tiers = (device.tiers[0], device.tiers[1].model_copy(update={"identical_windows": 7}))
    assert not words.identical(small(device=device.model_copy(update={"tiers": tiers})))


def test_a_baseline_that_wins_is_named_with_its_figures() -> None:
    assert words.wins(small()) == []
    assert words.wins(campus()) == ["Forest of 300 (2.8 MB, too large): macro-F1 89.1 against 77.3."]


@pytest.mark.parametrize(
    ("ahead", "said"),
    [
        ((0.0112, -0.0061, 0.0289), "+1.1 (-0.6 to 2.9)"),
        ((-0.028, -0.0534, -0.0071), "-2.8 (-5.3 to -0.7)"),
        ((-0.0004, -0.0002, 0.0), "0.0 (0.0 to 0.0)"),
    ],
)
def test_how_far_the_device_is_ahead(ahead: tuple[float, float, float], said: str) -> None:
    measured, low, high = ahead
    found = r.Ahead(measured=measured, low=low, high=high, block=20)
    assert f"{words.lead(found)} ({words.drawn(found)})" == said


def test_a_test_too_small_to_tell_is_called_so() -> None:
    base = campus()
    forest = base.baselines.forest300
    close = forest.model_copy(update={"ahead": r.Ahead(measured=-0.118, low=-0.2, high=0.01, block=1)})
    (said,) = words.wins(campus(baselines=base.baselines.model_copy(update={"forest300": close})))
    assert said.endswith("89.1 against 77.3; these test windows cannot tell the two apart.")
    bare = campus(baselines=r.Baselines(forest300=forest.model_copy(update={"ahead": None})))
    for said in (words.leads, words.ahead):
        assert "(seed " not in said(base)
        assert "(seed " in said(small(**_seeds(0.80, 0.82)))
        assert said(bare) == ""
    assert "forest of 300 -11.8 (-15.0 to -8.0), nearest neighbours +12.8" in words.ahead(base)


def test_with_seeds_the_means_decide() -> None:
    # One seed where the forest loses, but over the seeds it wins.
    assert "mean of 3 seeds" in words.wins(small(**_seeds(0.80, 0.82)))[0]
    assert words.wins(campus(**_seeds(0.90, 0.89))) == []
    assert "80.0 on average (80.0 to 80.0), the forest of 300 82.0" in words.seeds(
        small(**_seeds(0.80, 0.82))
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.0421, "0.042"),
        (6.6, "6.6"),
        (18.4, "18"),
        (9400, "9,400"),
        (36_600, "37 k"),
        (999_999, "1.00 M"),
        (2.48e6, "2.48 M"),
    ],
)
def test_quantities(value: float, text: str) -> None:
    assert words.quantity(value) == text
