"""Several models in one checkpoint: read back as they were, refused where one is not what it should be."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from ensemble_models import KINDS, member, together
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tinyloc.errors import ModelFileError, TrainingError, UsageError
from tinyloc.models import ensemble, families
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.models.config import (
    Config,
    EnsembleConfig,
    ForestConfig,
    MambaConfig,
    MdcsaConfig,
    MlpConfig,
    StatnetConfig,
    TransformerConfig,
    describe,
    is_network,
    parameters,
    parameters_paper,
    reads_statistics,
)

P, K, T = 5, 3, 8
MAMBA, TREES = MambaConfig(P, K, 4), ForestConfig(P, K, 4, 8)
EVERY: list[Config] = [
    MAMBA,
    MambaConfig(P, K, 4, statistics=True),
    MdcsaConfig(P, K, 4),
    TransformerConfig(P, K, T, 8),
    StatnetConfig(P, K, 6),
    MlpConfig(P, K, 6, layers=2),
    TREES,
    MAMBA,
]


def same(a: Checkpoint, b: Checkpoint) -> bool:
    """Whether two models are one, to the byte."""
    return a.to_bytes() == b.to_bytes()


def test_what_is_saved_is_what_is_loaded() -> None:
    made = together(EVERY, T)
    loaded = Checkpoint.from_bytes(made.to_bytes())
    assert same(loaded, made)
    assert loaded.config == made.config
    assert loaded.family == "ensemble"
    assert loaded.weights["shares"].tolist() == [1 + i / 4 for i in range(8)]
    alone = [member(one, T, KINDS[i % 3], i) for i, one in enumerate(EVERY)]
    found = ensemble.members(loaded)
    assert [one.config for one in found] == EVERY
    assert [one.scaling.kind for one in found] == [KINDS[i % 3] for i in range(8)]
    assert all(same(one, other) for one, other in zip(found, alone, strict=True))
    assert not same(found[0], found[-1])


def test_what_is_counted_and_called() -> None:
    config = together(EVERY, T).config
    assert parameters(config) == sum(parameters(one) for one in EVERY)
    assert parameters_paper(config) is None
    assert config.name == (
        "3 mamba H4L1 + mdcsa H4L1 + transformer H8L1 + statnet H6 + mlp H6L2 + forest 4x8"
    )
    about = describe(config)
    assert (about["family"], about["size"], about["parameters"]) == (
        "ensemble", config.name, parameters(config),
    )  # fmt: skip
    assert [one["family"] for one in about["members"]] == [one.family for one in EVERY]
    assert "crf" not in about["members"][0]
    assert EnsembleConfig(P, K, (MAMBA, TREES), ("power",) * 2).name == "mamba H4L1 + forest 4x8"
    assert not reads_statistics(config)
    assert not is_network("ensemble")
    with pytest.raises(UsageError, match="no network in floating point"):
        families.build(config)


@pytest.mark.parametrize(
    ("members", "scalings", "said"),
    [
        ([], [], "2 to 16 members, each with a scaling, not 0"),
        ([MAMBA], ["power"], "2 to 16 members, each with a scaling, not 1"),
        ([MAMBA] * 17, ["power"] * 17, "2 to 16 members, each with a scaling, not 17"),
        ([MAMBA] * 2, ["power"], "not 2 with 1"),
        ([MAMBA, MambaConfig(P, K, 4, crf=True)], ["power"] * 2, "no CRF and no accelerometer"),
        ([MAMBA, MdcsaConfig(P, K, 4, accelerometer=True)], ["power"] * 2, "no CRF and no accelerometer"),
        ([MAMBA, MambaConfig(P + 1, K, 4)], ["power"] * 2, "the same access points in the same rooms"),
        ([MAMBA, MambaConfig(P, K + 1, 4)], ["power"] * 2, "the same access points in the same rooms"),
        ([MAMBA, {"family": "mamba", "access_points": P, "rooms": K, "hidden": 0}], ["power"] * 2, "hidden"),
        ([MAMBA, {"family": "lstm", "access_points": P, "rooms": K}], ["power"] * 2, "is one of mamba,"),
        ([MAMBA, {"access_points": P, "rooms": K}], ["power"] * 2, "is one of mamba,"),
        ([MAMBA, 3], ["power"] * 2, "is one of mamba,"),
        ([MAMBA, EnsembleConfig(P, K, (MAMBA, TREES), ("power",) * 2)], ["power"] * 2, "is one of mamba,"),
    ],
)
def test_an_ensemble_that_cannot_be_is_refused(members: list[Any], scalings: list[Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        EnsembleConfig(P, K, tuple(members), tuple(scalings))


def spoilt(made: Checkpoint, path: tuple[Any, ...], value: Any) -> bytes:
    """The file of a model of whose head one entry says something else, with a checksum that fits."""
    data, zeros = made.to_bytes(), "0" * 64
    size = int.from_bytes(data[:8], "little")
    about = json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["tinyloc"])
    where = about
    for step in path[:-1]:
        where = where[step]
    where[path[-1]] = value
    about["sha256"] = zeros
    changed = safetensors.numpy.save(safetensors.numpy.load(data), {"tinyloc": json.dumps(about)})
    return changed.replace(zeros.encode(), hashlib.sha256(changed).hexdigest().encode(), 1)


def test_the_file_with_nothing_changed_is_read() -> None:
    made = together([MAMBA, TREES], T)
    assert same(Checkpoint.from_bytes(spoilt(made, ("state",), "reset")), made)


WITHIN = {"family": "ensemble", "access_points": P, "rooms": K, "members": [], "scalings": []}


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("config", "members", 0), WITHIN, "is one of mamba"),
        (("config", "members", 0, "family"), "lstm", "is one of mamba"),
        (("config", "members", 0, "family"), None, "is one of mamba"),
        (("config", "members", 0), 7, "is one of mamba"),
        (("config", "members", 0, "crf"), True, "no CRF"),
        (("config", "members", 0, "hidden"), 5, "members.0"),
        (("config", "members", 0, "rooms"), 4, "the same access points"),
        (("config", "members", 0, "depth"), 4, "depth"),
        (("config", "members"), [], "2 to 16 members"),
        (("config", "members"), 7, "int"),
        (("config", "scalings"), ["minmax"], "not 2 with 1"),
        (("config", "scalings", 0), "log", "input scaling 'log'"),
        (("config", "access_points"), 4, "the same access points"),
        (("state",), "carried", "keeps no state"),
        (("training", "members"), [{}], "each of its members"),
        (("training", "members"), 7, "each of its members"),
        (("training", "members"), [{}, 7], "each of its members"),
        (("training",), [], "each of its members"),
    ],
)
def test_a_file_that_says_something_else_is_refused(path: tuple[Any, ...], value: Any, said: str) -> None:
    with pytest.raises(ModelFileError, match=said):
        Checkpoint.from_bytes(spoilt(together([MAMBA, TREES], T), path, value))


@pytest.mark.parametrize(
    ("name", "at", "value", "said"),
    [
        ("shares", 0, 0.0, "shares are above 0"),
        ("shares", 1, -1.0, "shares are above 0"),
        ("shares", 1, np.nan, "not finite"),
        ("members.1.left", 0, 7, "does not lead down"),
        ("members.1.feature", 2, 30, "feature that is not there"),
        ("members.1.room", 5, 3, "leaf of no room"),
        ("members.0.head.weight", 0, np.inf, "not finite"),
        ("members.0.scaling.gain", 0, np.nan, "not finite"),
    ],
)
def test_a_damaged_member_is_refused(name: str, at: int, value: float, said: str) -> None:
    made = together([MAMBA, TREES], T)
    weights = {key: array.copy() for key, array in made.weights.items()}
    weights[name][at] = value
    with pytest.raises(UsageError, match=said):
        dataclasses.replace(made, weights=weights)


def test_a_member_of_windows_of_another_length_is_refused() -> None:
    made = together([TransformerConfig(P, K, T, 8), MAMBA], T)
    with pytest.raises(UsageError, match="positions"):
        dataclasses.replace(made, window_steps=T + 1)


def test_weights_that_are_not_there_are_named() -> None:
    made = together([MAMBA, TREES], T)
    for gone in ("shares", "members.0.head.weight", "members.1.scaling.table", "members.1.left"):
        weights = {name: value for name, value in made.weights.items() if name != gone}
        with pytest.raises(UsageError, match=f"weight '{gone}' is missing"):
            dataclasses.replace(made, weights=weights)
    with pytest.raises(UsageError, match="not one of this family"):
        dataclasses.replace(made, weights={**made.weights, "members.2.left": made.weights["shares"]})


HALVES = st.integers(-400, 400).map(lambda value: value / 2)
SCORES = arrays.arrays(np.float64, st.tuples(st.integers(1, 9), st.integers(2, 5)), elements=HALVES)


@given(SCORES, st.sampled_from([2.0**-12, 0.25, 1.0, 3.0, 2.0**20]), st.integers(-1000, 1000))
def test_a_share_is_one_over_a_typical_margin(scores: np.ndarray, louder: float, more: int) -> None:
    ranked = np.sort(scores, axis=1)
    margins = ranked[:, -1] - ranked[:, -2]
    if not margins.any():
        with pytest.raises(TrainingError, match="scores all rooms alike"):
            ensemble.share(scores)
        return
    found = ensemble.share(scores)
    assert found > 0
    assert found == 1 / (np.median(margins) or np.mean(margins))
    assert ensemble.share(scores * louder) == pytest.approx(found / louder)
    assert ensemble.share(scores + more) == pytest.approx(found)
    assert ensemble.share(scores[:, ::-1]) == found
    assert ensemble.share(scores[::-1]) == pytest.approx(found)


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_scores_that_are_no_numbers_have_no_share(bad: float) -> None:
    with pytest.raises(TrainingError), np.errstate(invalid="ignore"):
        ensemble.share(np.array([[bad, 0.0]]))


@given(
    st.lists(arrays.arrays(np.float32, (4, 3), elements=st.integers(-1000, 1000)), min_size=1, max_size=5),
    st.data(),
)
def test_scores_are_weighed_and_added(scores: list[np.ndarray], data: st.DataObject) -> None:
    each = st.floats(2.0**-10, 2.0**10, width=32)
    shares = np.array([data.draw(each) for _ in scores], np.float32)
    found = ensemble.together(scores, shares)
    assert (found.dtype, found.shape) == (np.float32, (4, 3))
    wanted = np.einsum("i,iwk->wk", shares.astype(np.float64), np.stack(scores).astype(np.float64))
    scale = np.einsum("i,iwk->wk", shares.astype(np.float64), np.abs(np.stack(scores)).astype(np.float64))
    assert (np.abs(found - wanted) <= 1e-6 * scale).all()
    order = list(data.draw(st.permutations(range(len(scores)))))
    other = ensemble.together([scores[i] for i in order], shares[order])
    assert (np.abs(found - other) <= 1e-6 * scale).all()


def test_no_member_is_louder_than_another() -> None:
    """A member whose scores are a thousand times as large counts as much as before."""
    scores = np.random.default_rng(0).normal(size=(2, 40, 4))
    quiet = ensemble.together(scores, np.array([ensemble.share(one) for one in scores], np.float32))
    loud = [scores[0], 1000 * scores[1]]
    found = ensemble.together(loud, np.array([ensemble.share(one) for one in loud], np.float32))
    np.testing.assert_allclose(found, quiet, rtol=1e-5, atol=1e-5)
