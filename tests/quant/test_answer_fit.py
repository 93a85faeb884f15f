"""What probabilities and "unknown" are fitted to: validation windows alone, and at the stated share."""

from dataclasses import replace

import numpy as np
import pytest
from test_decision import STEPS, graph, windows

from tinyloc.data.windows import WindowSets
from tinyloc.errors import UsageError
from tinyloc.quant.answer_fit import fit_novelty, fit_sharpness, levels_of, probability_factor
from tinyloc.quant.stream import Stream, streaming


def sets(noise: float = 0.1) -> WindowSets:
    """Two rooms, one loud and one quiet."""
    train, validation, test = (windows(seed, noise) for seed in range(3))
    return WindowSets("test", train, validation, test, "made up", "none", "none")


@pytest.mark.parametrize("share", [0.0, 0.05, 0.3])
def test_no_more_than_the_stated_share_of_validation_is_unknown(share: float) -> None:
    known = sets()
    operator = fit_novelty(known, share)
    assert operator.centre.tolist() == [[pytest.approx(-62, abs=3)], [pytest.approx(-78, abs=3)]]
    unknown = levels_of(operator, known.validation) > operator.threshold
    assert unknown.mean() <= share
    lower = replace(operator, threshold=operator.threshold - 1)
    assert operator.threshold == 0 or (levels_of(lower, known.validation) > lower.threshold).mean() > share


def test_the_levels_are_the_devices() -> None:
    known = sets()
    operator = fit_novelty(known)
    twin = Stream(streaming(graph(), novelty=operator))
    first = known.validation.rssi[:1].reshape(-1, 1)
    for sample in first:
        twin.step(sample)
    level = int(twin.states["novelty_level"][0, 0]) - 1
    assert level == levels_of(operator, known.validation)[0]
    silent = [twin.step(np.array([-128], np.int8)).unknown for _ in range(20 * STEPS)]
    assert silent[-1], "an access point that is heard no more is not what was learned"


def test_the_noisier_the_rooms_the_flatter_the_probabilities() -> None:
    sharp, flat = (fit_sharpness(graph(), sets(noise).validation) for noise in (0.01, 0.4))
    assert sharp > flat > 0
    multiplier, shift = probability_factor(graph(), flat)
    assert multiplier * 2.0**-shift == pytest.approx(flat * 0.25 * np.log2(np.e) * 65536, rel=1e-6)


def test_an_impossible_share_is_refused() -> None:
    with pytest.raises(UsageError, match="is not one of 0 to below 1"):
        fit_novelty(sets(), 1.0)
