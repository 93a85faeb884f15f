"""Training an ensemble: each member as it would be alone, kept as soon as it is there, never by the test."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from learn_windows import Interrupt, make_sets, walk

from tinyloc.errors import StoppedError, UsageError
from tinyloc.learn import ensemble as training
from tinyloc.learn import teachers
from tinyloc.learn.lessons import read_teacher
from tinyloc.learn.members import Member, read_members
from tinyloc.learn.options import (
    MEMBER_SEEDS,
    Augmentation,
    TrainOptions,
    facts,
    model_config,
    record,
)
from tinyloc.learn.predict import predict
from tinyloc.learn.refit import refit
from tinyloc.learn.score import cross_entropy, macro_f1
from tinyloc.learn.teachers import targets
from tinyloc.learn.train import train
from tinyloc.models import ensemble
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.models.compress import compress
from tinyloc.models.config import SINGLES, EnsembleConfig, ForestConfig, MambaConfig, MlpConfig, StatnetConfig
from tinyloc.pipeline import stages
from tinyloc.pipeline.folder import RunFolder
from tinyloc.quant.qat import fine_tune

SETS = make_sets()
SHORT = TrainOptions(
    state_size=4, steps=30, evaluations=2, batch=16, scaling="zscore", augmentation=Augmentation(0.2, 0.2)
)
MEMBERS = read_members("2 mamba H4L1 + statnet H6 + forest 4x6")
assert MEMBERS is not None
OPTIONS = dataclasses.replace(SHORT, family="ensemble", members=MEMBERS, seed=5)


@pytest.fixture(scope="module")
def trained() -> Checkpoint:
    return train(SETS, OPTIONS)


@pytest.fixture(scope="module")
def alone() -> list[Checkpoint]:
    """Each member trained by itself."""
    return [train(SETS, own) for own in OPTIONS.member_options()]


def same(a: Checkpoint, b: Checkpoint) -> bool:
    """Whether two models are one, to the byte."""
    return a.to_bytes() == b.to_bytes()


def all_same(a: Any, b: Any) -> bool:
    """The same of several."""
    return all(same(one, other) for one, other in zip(a, b, strict=True))


def test_every_member_is_what_it_would_be_alone(trained: Checkpoint, alone: list[Checkpoint]) -> None:
    found = ensemble.members(Checkpoint.from_bytes(trained.to_bytes()))
    assert all_same(found, alone)
    assert [one.family for one in found] == ["mamba", "mamba", "statnet", "forest"]
    assert trained.config.name == f"2 mamba H4L1 + statnet H6 + forest {found[-1].config.name}"
    assert same(trained, train(SETS, OPTIONS))


def test_two_of_one_shape_have_their_own_seeds(trained: Checkpoint) -> None:
    assert [own.seed for own in OPTIONS.member_options()] == [5, 5 + MEMBER_SEEDS, 5, 5]
    one, two = ensemble.members(trained)[:2]
    assert one.config == two.config
    assert not np.array_equal(one.weights["embed.weight"], two.weights["embed.weight"])
    assert (one.training["seed"], two.training["seed"]) == (5, 5 + MEMBER_SEEDS)
    other = train(SETS, dataclasses.replace(OPTIONS, seed=6))
    assert not any(
        same(a, b) for a, b in zip(ensemble.members(other), ensemble.members(trained), strict=True)
    )


def test_member_options_are_those_of_the_ensemble_but_for_shape_and_seed() -> None:
    own = OPTIONS.member_options()
    assert own[2] == dataclasses.replace(SHORT, family="statnet", hidden=6, seed=5)
    assert own[3] == dataclasses.replace(SHORT, family="forest", trees=4, leaves=6, seed=5)
    assert all(one.members == () for one in own)


def test_answers_are_the_weighed_sum(trained: Checkpoint, alone: list[Checkpoint]) -> None:
    shares = trained.weights["shares"]
    for i, one in enumerate(alone):
        ranked = np.sort(predict(one, SETS.validation), axis=1)
        assert shares[i] == pytest.approx(1 / np.median(ranked[:, -1] - ranked[:, -2]))
    wanted = sum(share * predict(one, SETS.test) for share, one in zip(shares, alone, strict=True))
    found = predict(trained, SETS.test)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
    assert macro_f1(SETS.test.room, found.argmax(axis=1)) > 0.8
    said = predict(trained, SETS.validation)
    assert trained.training["validation_macro_f1"] == macro_f1(SETS.validation.room, said.argmax(axis=1))
    assert trained.training["validation_cross_entropy"] == cross_entropy(said, SETS.validation.room)


def test_what_is_recorded(trained: Checkpoint) -> None:
    about = trained.training
    assert about["options"]["members"] == record(OPTIONS)["members"]
    assert [one["family"] for one in about["options"]["members"]] == [
        "mamba", "mamba", "statnet", "forest",
    ]  # fmt: skip
    assert (about["seed"], about["simulated"], len(about["members"])) == (5, True, 4)
    assert "members" not in facts(SHORT)
    assert "members" not in record(SHORT)
    config = model_config(OPTIONS, SETS.train)
    assert isinstance(config, EnsembleConfig)
    assert config.members[:3] == trained.config.members[:3]  # type: ignore[union-attr]
    assert config.scalings[:3] == ("zscore",) * 3


def blind(sets: Any) -> Any:
    """Other test windows."""
    return dataclasses.replace(sets, test=walk(7))


def test_test_windows_are_never_looked_at(trained: Checkpoint) -> None:
    assert same(train(blind(SETS), OPTIONS), trained)
    assert same(refit(blind(SETS), OPTIONS, trained), refit(SETS, OPTIONS, trained))


def test_the_rooms_of_validation_decide_no_share(trained: Checkpoint) -> None:
    """The members' choice may read them; how loud each is only reads the signals."""
    members = ensemble.members(trained)
    shuffled = dataclasses.replace(SETS.validation, room=np.roll(SETS.validation.room, 7))
    sets = dataclasses.replace(SETS, validation=shuffled)
    kept = iter(members)
    found = training.train(sets, OPTIONS, lambda *_: next(kept))
    assert np.array_equal(found.weights["shares"], trained.weights["shares"])
    assert found.training["validation_macro_f1"] < trained.training["validation_macro_f1"]


def test_a_refit_keeps_the_shares_and_refits_each(trained: Checkpoint, alone: list[Checkpoint]) -> None:
    again = refit(SETS, OPTIONS, Checkpoint.from_bytes(trained.to_bytes()))
    assert np.array_equal(again.weights["shares"], trained.weights["shares"])
    pairs = zip(OPTIONS.member_options(), alone, strict=True)
    assert all_same(ensemble.members(again), [refit(SETS, own, one) for own, one in pairs])
    assert again.training["refit"] is True
    for name in ("validation_macro_f1", "validation_cross_entropy"):
        assert again.training[name] == trained.training[name]
    assert not same(again, trained)


def test_a_state_that_is_carried_by_all_members(trained: Checkpoint) -> None:
    options = dataclasses.replace(
        OPTIONS, members=MEMBERS[:2], state="carried", chunk_steps=40, past_steps=20
    )
    found = train(SETS, options)
    alone = [train(SETS, own) for own in options.member_options()]
    assert [one.state for one in (found, *alone)] == ["carried"] * 3
    assert all_same(ensemble.members(Checkpoint.from_bytes(found.to_bytes())), alone)
    shares = found.weights["shares"]
    wanted = sum(share * predict(one, SETS.test) for share, one in zip(shares, alone, strict=True))
    np.testing.assert_allclose(predict(found, SETS.test), wanted, rtol=1e-5, atol=1e-5)
    again = refit(SETS, options, found)
    assert all_same(
        ensemble.members(again),
        [refit(SETS, own, one) for own, one in zip(options.member_options(), alone, strict=True)],
    )
    with pytest.raises(UsageError, match="keeps no state that could be carried"):
        dataclasses.replace(OPTIONS, state="carried")
    with pytest.raises(UsageError, match="keeps no state that could be carried"):
        dataclasses.replace(trained, state="carried")


def test_access_points_that_are_hardly_heard_are_left_out_of_every_member() -> None:
    rssi = SETS.train.rssi.copy()
    rssi[:, :, 1] = -128
    deaf = dataclasses.replace(SETS, train=dataclasses.replace(SETS.train, rssi=rssi))
    members = (Member("statnet", 4), Member("forest", trees=3, leaves=4))
    options = dataclasses.replace(SHORT, family="ensemble", members=members, least_heard=0.1)
    found = train(deaf, options)
    assert found.access_points == ("ap0", "ap2", "ap3")
    assert all_same(ensemble.members(found), [train(deaf, own) for own in options.member_options()])
    again = refit(deaf, options, found)
    assert again.access_points == found.access_points
    assert len(predict(again, deaf.test)) == len(deaf.test)


def test_single_samples() -> None:
    sets = make_sets(steps=1, hop=1, length=120)
    members = (Member("mlp", 4), Member("mlp", 4), Member("mamba", 2), Member("forest", trees=3, leaves=4))
    options = dataclasses.replace(SHORT, family="ensemble", members=members)
    found = train(sets, options)
    assert all_same(ensemble.members(found), [train(sets, own) for own in options.member_options()])
    assert predict(found, sets.test).shape == (120, 3)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"members": ()}, "an ensemble needs members"),
        ({"members": MEMBERS[:1]}, "2 to 16 members, not 1"),
        ({"members": MEMBERS[:1] * 17}, "2 to 16 members, not 17"),
        ({"family": "mamba"}, "the family 'mamba' has no members"),
        ({"family": "forest"}, "the family 'forest' has no members"),
        ({"state": "carried"}, "the family 'statnet' sees whole windows and keeps no state"),
        (
            {"state": "carried", "members": (Member("mamba", 2), Member("forest"))},
            "the family 'forest' sees whole windows",
        ),
        ({"crf": True}, "a CRF needs every step"),
        ({"crf": True, "members": MEMBERS[:2]}, "a CRF needs every step"),
        ({"accelerometer": True}, "no branch for an accelerometer"),
        ({"members": (Member("mdcsa", 4),) * 2, "accelerometer": True}, "no branch for an accelerometer"),
        ({"statistics": True}, "reads the statistics of whole windows"),
        ({"members": (*MEMBERS, Member("mamba", 0))}, "hidden"),
        ({"members": (*MEMBERS, Member("ensemble"))}, "needs members"),
        ({"members": (*MEMBERS, Member("lstm"))}, "'lstm' is none of"),
    ],
)
def test_options_that_cannot_be_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        dataclasses.replace(OPTIONS, **wrong)


def test_what_only_networks_can(trained: Checkpoint) -> None:
    for ask in (
        lambda: compress("static", trained),
        lambda: compress("dynamic", trained),
        lambda: fine_tune(trained, SETS),
        lambda: targets(trained, SETS.train, "soft"),
    ):
        with pytest.raises(UsageError, match="no network in floating point"):
            ask()
    with pytest.raises(UsageError, match="features are those of a network"):
        targets(trained, SETS.train, "features")
    assert read_teacher("ensemble H8L1") is None


SIZES = st.integers(1, 99)
ONE = st.one_of(
    st.builds(Member, st.sampled_from([f for f in SINGLES if f != "forest"]), SIZES, st.integers(1, 9)),
    st.builds(lambda t, n: Member("forest", trees=t, leaves=n), st.integers(1, 999), st.integers(2, 256)),
)


@given(st.lists(ONE, min_size=2, max_size=16), st.data())
def test_members_are_read_from_their_words(members: list[Member], data: st.DataObject) -> None:
    def words(one: Member) -> str:
        if one.family == "forest":
            return f"forest {one.trees}x{one.leaves}"
        short = one.layers == 1 and data.draw(st.booleans())
        return f"{one.family} H{one.hidden}" + ("" if short else f"L{one.layers}")

    space = st.sampled_from(["", " "])
    text = "+".join(data.draw(space) + words(one) + data.draw(space) for one in members)
    assert read_members(text) == tuple(members)


KINDS = (MambaConfig(4, 3, 2), MlpConfig(4, 3, 4, 2), StatnetConfig(4, 3), ForestConfig(4, 3))


@given(st.permutations(KINDS), st.lists(st.integers(1, 4), min_size=4, max_size=4))
def test_the_name_of_an_ensemble_is_what_makes_it(kinds: list[Any], counts: list[int]) -> None:
    members = tuple(one for one, many in zip(kinds, counts, strict=True) for _ in range(many))
    config = EnsembleConfig(4, 3, members, ("minmax",) * len(members))
    found = read_members(config.name)
    assert found is not None
    options = dataclasses.replace(SHORT, family="ensemble", members=found)
    made = model_config(options, SETS.train)
    assert made.name == config.name
    assert [one.family for one in made.members] == [one.family for one in members]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "words",
    [
        "", "+", "mamba", "mamba H8L1", "mamba H8L1 +", "mamba H8L1 + owl H2", "mamba H8L1 + mamba",
        "nonsense",
        "mamba H8L1 + ensemble H2", "mamba H8L1 + forest H2", "mamba 10x64 + mlp H2", "0 mamba H8 + mlp H2",
        "1 mamba H8", "17 mamba H8", "9 mamba H8 + 8 mlp H4", "-1 mamba H8 + mlp H4", "2mamba H8",
        "2 Mamba H8",
        "2 mamba H0", "2 mamba H8L0", "2 mamba  H8", "2 mamba H8, mlp H4", "2 forest 10x", "2 forest 0x64",
        "99999999999999 mamba H8",
    ],
)  # fmt: skip
def test_other_words_name_no_members(words: str) -> None:
    assert read_members(words) is None


@given(st.text("12 mabflophnetrs+HLx0", max_size=24))
def test_any_words_name_members_or_none(words: str) -> None:
    found = read_members(words)
    assert found is None or 2 <= len(found) <= 16


@pytest.mark.parametrize("again", [False, True])
def test_ctrl_c_keeps_the_members_that_are_trained(again: bool, tmp_path: Path) -> None:
    options = dataclasses.replace(OPTIONS, refit=again)
    whole, told = RunFolder(tmp_path / "whole"), []
    first, taken = stages.train(whole, SETS, options, told.append)
    assert not taken
    folder = RunFolder(tmp_path / "stopped")
    with pytest.raises(StoppedError, match="members that were trained are kept in"):
        stages.train(folder, SETS, options, Interrupt(OPTIONS.evaluations + 1))
    kept = {path.suffix: path for path in folder.members.iterdir()}
    assert set(kept) == {".safetensors", ".state"}, "the first member, and where the second stood"
    assert same(Checkpoint.load(kept[".safetensors"]), train(SETS, OPTIONS.member_options()[0]))
    assert not folder.checkpoint.exists()
    if again:  # once more in the refit of a member
        with pytest.raises(StoppedError, match="members that were trained are kept in"):
            stages.train(folder, SETS, options, Interrupt(len(told) - OPTIONS.evaluations - 3))
    left: list[object] = []
    found, taken = stages.train(folder, SETS, options, left.append)
    assert not taken
    assert 0 < len(left) < len(told)
    assert same(found, first)
    for one in (folder, whole):
        assert one.checkpoint.read_bytes() == first.to_bytes()
        assert one.chosen.exists() == again
        assert all(path.suffix == ".safetensors" for path in one.members.iterdir() if path.is_file())
    if again:
        assert folder.chosen.read_bytes() == whole.chosen.read_bytes() == train(SETS, options).to_bytes()
    third, taken = stages.train(folder, SETS, options, Interrupt(1))
    assert taken
    assert same(third, first)


def test_members_that_are_kept_are_not_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another ensemble of some of the same members takes them; one that is damaged is trained anew."""
    folder = RunFolder(tmp_path)
    whole, _ = stages.train(folder, SETS, OPTIONS)
    path = sorted(folder.members.iterdir())[0]
    path.write_bytes(path.read_bytes()[:-5])
    folder.forget(folder.checkpoint)
    assert same(stages.train(folder, SETS, OPTIONS)[0], whole)

    def never(*_: object, **__: object) -> None:
        raise AssertionError("a member that is kept was trained again")

    monkeypatch.setattr(teachers, "train", never)
    fewer = dataclasses.replace(OPTIONS, members=MEMBERS[1:])
    found, _ = stages.train(folder, SETS, fewer)
    assert [one.training["seed"] for one in ensemble.members(found)] == [5, 5, 5]


def test_ctrl_c_in_another_model_says_nothing_of_members(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    two = dataclasses.replace(OPTIONS, members=(Member("forest", trees=3, leaves=4),) * 2)
    stages.train(folder, SETS, two)
    with pytest.raises(StoppedError, match=r"where training stood is kept in .*training\.state"):
        stages.train(folder, SETS, dataclasses.replace(SHORT, hidden=2), Interrupt(1))
