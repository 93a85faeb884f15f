from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from learn_windows import Interrupt, make_sets

from tinyloc.errors import ModelFileError, OutputError, TrainingError, UsageError
from tinyloc.learn import options as options_of_training
from tinyloc.learn import state as saved
from tinyloc.learn import train as training
from tinyloc.learn.draw import Draws
from tinyloc.learn.options import Augmentation, TrainOptions
from tinyloc.learn.predict import predict
from tinyloc.learn.score import macro_f1
from tinyloc.learn.train import train
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.models.mamba import Mamba

SETS = make_sets()
SHORT = TrainOptions(
    hidden=4,
    state_size=4,
    steps=30,
    evaluations=6,
    batch=16,
    augmentation=Augmentation(0.2, 0.2, 0.05, 0.05),
)


def test_it_learns_and_is_read_back(tmp_path):
    told = []
    trained = train(SETS, dataclasses.replace(SHORT, steps=120), progress=told.append)
    assert len(told) == 12
    assert told[-1].step == told[-1].steps == 120
    assert {line["scaling"] for line in trained.training["trials"]} == {"minmax", "zscore"}
    best = max(trained.training["trials"], key=lambda line: line["macro_f1"])
    assert trained.training["validation_macro_f1"] == best["macro_f1"]
    assert trained.scaling.kind == best["scaling"]
    assert (trained.state, trained.window_steps, trained.seconds_per_step) == ("reset", 8, 0.2)
    trained.save(tmp_path / "model")
    logits = predict(Checkpoint.load(tmp_path / "model"), SETS.test)
    assert logits.dtype == np.float32
    assert logits.shape == (len(SETS.test), 3)
    assert macro_f1(SETS.test.room, logits.argmax(axis=1)) > 0.9
    logits = predict(trained, SETS.validation)
    assert macro_f1(SETS.validation.room, logits.argmax(axis=1)) == best["macro_f1"]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others():
    one, two = (train(SETS, SHORT).to_bytes() for _ in range(2))
    assert one == two
    assert train(SETS, dataclasses.replace(SHORT, seed=1)).to_bytes() != one


def test_training_leaves_the_global_random_state_alone():
    torch.manual_seed(3)
    expected = torch.randn(2)
    torch.manual_seed(3)
    train(SETS, dataclasses.replace(SHORT, steps=2, scaling="minmax"))
    assert torch.equal(torch.randn(2), expected)


def test_the_test_set_decides_nothing():
    other = dataclasses.replace(SETS, test=dataclasses.replace(SETS.test, rssi=SETS.test.rssi[::-1].copy()))
    assert train(other, SHORT).to_bytes() == train(SETS, SHORT).to_bytes()


def test_a_training_that_is_killed_goes_on_from_its_last_save(tmp_path, monkeypatch):
    class KilledError(Exception):
        pass

    told = []

    def kill(now):
        told.append((now.trial, now.step))
        if len(told) == 3:
            raise KilledError

    monkeypatch.setattr("tinyloc.learn.train.SAVE_SECONDS", 0.0)
    state = tmp_path / "state"
    with pytest.raises(KilledError):
        train(SETS, SHORT, interrupt_to=state, progress=kill)
    again = []
    resumed = train(SETS, SHORT, resume_from=state, progress=lambda now: again.append((now.trial, now.step)))
    assert again[0] > told[-1]
    assert resumed.to_bytes() == train(SETS, SHORT).to_bytes()


def test_a_training_that_nothing_evaluates_on_its_way_is_kept_too(tmp_path, monkeypatch):
    """A refit has one evaluation, its last step: what is kept is by the clock."""

    class KilledError(Exception):
        pass

    def kill(*args: object) -> float:
        calls.append(1)
        if len(calls) == 6:
            raise KilledError
        return clip(*args)

    once = dataclasses.replace(SHORT, evaluations=1)
    clip, calls, state = torch.nn.utils.clip_grad_norm_, [], tmp_path / "state"
    monkeypatch.setattr("tinyloc.learn.train.SAVE_SECONDS", 0.0)
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", kill)
    with pytest.raises(KilledError):
        train(SETS, once, interrupt_to=state)
    monkeypatch.undo()
    calls.clear()
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", lambda *args: calls.append(1) or clip(*args))
    resumed, went_on = train(SETS, once, resume_from=state), len(calls)
    calls.clear()
    assert resumed.to_bytes() == train(SETS, once).to_bytes()
    assert went_on == len(calls) - 5


def test_a_full_disk_ends_no_training(tmp_path, monkeypatch):
    def full(*args: object) -> None:
        raise OutputError("no space left")

    monkeypatch.setattr("tinyloc.learn.train.SAVE_SECONDS", 0.0)
    monkeypatch.setattr("tinyloc.learn.state.save", full)
    kept = train(SETS, SHORT, interrupt_to=tmp_path / "state").to_bytes()
    monkeypatch.undo()
    assert kept == train(SETS, SHORT).to_bytes()


@pytest.mark.parametrize("after", [1, 4, 6, 9, 12])
def test_interrupted_and_resumed_is_uninterrupted(tmp_path, after):
    state = tmp_path / "training.state"
    with pytest.raises(KeyboardInterrupt):
        train(SETS, SHORT, interrupt_to=state, progress=Interrupt(after))
    resumed = train(SETS, SHORT, resume_from=state)
    assert resumed.to_bytes() == train(SETS, SHORT).to_bytes()


def test_interrupted_twice_is_uninterrupted_too(tmp_path):
    state = tmp_path / "training.state"
    with pytest.raises(KeyboardInterrupt):
        train(SETS, SHORT, interrupt_to=state, progress=Interrupt(2))
    with pytest.raises(KeyboardInterrupt):
        train(SETS, SHORT, resume_from=state, interrupt_to=state, progress=Interrupt(3))
    assert train(SETS, SHORT, resume_from=state).to_bytes() == train(SETS, SHORT).to_bytes()


def test_interrupted_in_the_middle_of_a_step(tmp_path, monkeypatch):
    state, calls = tmp_path / "training.state", []

    def press(*args: object) -> float:
        calls.append(1)
        if len(calls) == 18:
            raise KeyboardInterrupt
        return clip(*args)

    clip = torch.nn.utils.clip_grad_norm_
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", press)
    with pytest.raises(KeyboardInterrupt):
        train(SETS, SHORT, interrupt_to=state)
    monkeypatch.undo()
    assert train(SETS, SHORT, resume_from=state).to_bytes() == train(SETS, SHORT).to_bytes()


def test_a_state_from_before_other_ways_were_tried_is_refused(tmp_path, monkeypatch):
    """Its trials are others: what validation chose among would be of both."""
    state, left_open = tmp_path / "training.state", dataclasses.replace(SHORT, augmentation=None)
    with pytest.raises(KeyboardInterrupt):
        train(SETS, left_open, interrupt_to=state, progress=Interrupt(2))
    monkeypatch.setattr(
        options_of_training, "MAMBA_AUGMENTATIONS", (Augmentation(), Augmentation(jitter=0.1))
    )
    with pytest.raises(TrainingError, match="other data or options"):
        train(SETS, left_open, resume_from=state)


def test_a_state_knows_what_is_tried_on_the_access_points_that_are_read(monkeypatch):
    """Of all access points the windows are sparse, and one way is tried; of those that are read, several."""
    silent = np.full((*SETS.train.rssi.shape[:2], 60), -128, np.int8)
    silent[::10] = -90
    names = tuple(f"far {number}" for number in range(60))

    def with_far(windows):
        rssi = np.concatenate([windows.rssi, silent[: len(windows)]], axis=2)
        return dataclasses.replace(windows, rssi=rssi, access_points=(*windows.access_points, *names))

    train_set, validation = with_far(SETS.train), with_far(SETS.validation)
    sets = dataclasses.replace(SETS, train=train_set, validation=validation, test=validation)
    left_open = dataclasses.replace(SHORT, augmentation=None, least_heard=0.3)
    assert len(options_of_training.candidates(left_open, sets.train)) == 1
    before = saved.fingerprint(sets, left_open), saved.fingerprint(sets, SHORT)
    monkeypatch.setattr(
        options_of_training, "MAMBA_AUGMENTATIONS", (Augmentation(), Augmentation(jitter=0.1))
    )
    assert saved.fingerprint(sets, left_open) != before[0]
    assert saved.fingerprint(sets, SHORT) == before[1], "nothing is left open there"


def test_other_options_or_a_damaged_state_are_refused(tmp_path):
    state = tmp_path / "training.state"
    with pytest.raises(KeyboardInterrupt):
        train(SETS, SHORT, interrupt_to=state, progress=Interrupt(2))
    with pytest.raises(TrainingError, match="other data or options"):
        train(SETS, dataclasses.replace(SHORT, rate=0.5), resume_from=state)
    data = state.read_bytes()
    for place in range(0, len(data), 211):
        state.write_bytes(data[:place] + bytes([data[place] ^ 0x15]) + data[place + 1 :])
        with pytest.raises((ModelFileError, TrainingError)) as caught:
            train(SETS, SHORT, resume_from=state)
        assert "\n" not in str(caught.value)
    state.write_bytes(data[: len(data) // 2])
    with pytest.raises(ModelFileError, match="damaged"):
        train(SETS, SHORT, resume_from=state)
    with pytest.raises(ModelFileError, match="cannot be read"):
        train(SETS, SHORT, resume_from=tmp_path / "none")


@pytest.mark.parametrize("loss", ["all", "last"])
def test_steps_that_nobody_annotated_do_not_count(loss):
    rooms_at = SETS.train.rooms_at.copy()
    rooms_at[:, :4] = -1
    rooms_at[::3] = -1
    sets = dataclasses.replace(SETS, train=dataclasses.replace(SETS.train, rooms_at=rooms_at))
    trained = train(sets, dataclasses.replace(SHORT, loss=loss, class_weights=1.0, scaling="zscore"))
    assert trained.training["validation_macro_f1"] > 0.3


def test_early_stopping_ends_a_trial_and_outlives_an_interruption(tmp_path):
    told = []
    options = dataclasses.replace(SHORT, rate=1e-9, patience=2, scaling="minmax", steps=60, evaluations=20)
    whole = train(SETS, options, progress=told.append)
    assert told[-1].step < 60
    state = tmp_path / "training.state"
    with pytest.raises(KeyboardInterrupt):
        train(SETS, options, interrupt_to=state, progress=Interrupt(len(told)))
    assert train(SETS, options, resume_from=state).to_bytes() == whole.to_bytes()


def test_single_samples_train():
    sets = make_sets(steps=1, hop=1)
    assert train(sets, SHORT).training["validation_macro_f1"] > 0.5


def test_training_that_diverges_says_so():
    weights = Mamba.forward

    def broken(self: Mamba, x: torch.Tensor) -> torch.Tensor:
        return weights(self, x) * float("nan")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Mamba, "forward", broken)
        with pytest.raises(TrainingError, match="diverged at step 0"):
            train(SETS, SHORT)


def test_one_room_or_no_windows_cannot_be_trained_on():
    room = np.zeros_like(SETS.train.room)
    with pytest.raises(TrainingError, match="two rooms"):
        train(dataclasses.replace(SETS, train=dataclasses.replace(SETS.train, room=room)), SHORT)
    nothing = dataclasses.replace(SETS.train, rssi=SETS.train.rssi[:0], room=room[:0])
    with pytest.raises(TrainingError, match="at least one window"):
        train(dataclasses.replace(SETS, validation=nothing), SHORT)


def test_state_carried_is_trained_written_down_and_run_that_way():
    options = dataclasses.replace(SHORT, state="carried", chunk_steps=40, scaling="zscore", steps=60)
    trained = train(SETS, options)
    assert trained.state == "carried"
    logits = predict(trained, SETS.test)
    model = Mamba.from_weights(trained.config, trained.weights)
    state = model.initial_state(1)
    samples = np.concatenate([SETS.test.rssi[0], *(window[-4:] for window in SETS.test.rssi[1:])])
    streamed = []
    with torch.no_grad():
        for sample in trained.scaling.apply(samples):
            answer, state = model.step(torch.from_numpy(sample)[None], state)
            streamed.append(answer[0].numpy())
    np.testing.assert_allclose(logits, np.array(streamed)[7::4], atol=1e-4)
    fresh = predict(dataclasses.replace(trained, state="reset"), SETS.test)
    np.testing.assert_allclose(logits[0], fresh[0], atol=1e-4)
    assert not np.allclose(logits[5:], fresh[5:], atol=1e-3)


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": -1},
        {"batch": -1},
        {"rate": 0.0},
        {"warmup": 1.0},
        {"loss": "first"},
        {"state": "kept"},
        {"scaling": "log"},
        {"device": "tpu"},
        {"restarts": 0},
    ],
)
def test_options_that_cannot_be_are_refused(wrong):
    with pytest.raises(UsageError):
        TrainOptions(**wrong)


def test_cuda_asked_for_and_not_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(TrainingError, match="CUDA"):
        train(SETS, dataclasses.replace(SHORT, device="cuda"))


def test_a_carried_stretch_is_heard_after_another_which_is_not_scored(monkeypatch):
    """The past lengthens what the model hears, and its rooms count for nothing."""
    options = dataclasses.replace(
        SHORT, state="carried", chunk_steps=40, past_steps=25, scaling="zscore", steps=3
    )
    seen: list[tuple[tuple[int, ...], bool]] = []
    real = training._Run.loss

    def watched(run, model, logits, rooms):
        seen.append((tuple(logits.shape[:2]), bool((rooms[:, :25] == -1).all())))
        return real(run, model, logits, rooms)

    monkeypatch.setattr(training._Run, "loss", watched)
    with_past = train(SETS, options)
    assert seen
    assert all(shape[1] == 65 and unscored for shape, unscored in seen)
    seen.clear()
    without = train(SETS, dataclasses.replace(options, past_steps=0))
    assert all(shape[1] == 40 for shape, _ in seen)
    assert any(not np.array_equal(with_past.weights[n], without.weights[n]) for n in without.weights)
    assert with_past.training["options"]["past_steps"] == 25


def test_pieces_are_augmented_each_by_itself(monkeypatch):
    """Nothing but an offset: in a piece it is one number for each access point, between pieces it is not."""
    how = Augmentation(offset=0.5)
    options = dataclasses.replace(
        SHORT, state="carried", chunk_steps=40, past_steps=0, piece_steps=10, scaling="zscore", steps=3
    )
    options, seen = dataclasses.replace(options, augmentation=how), []
    real = Draws.draw

    def watched(draws, *which):
        drawn = real(draws, *which)
        seen.append((drawn.rssi.astype(int), draws.rssi[drawn.chosen].astype(int)))
        return drawn

    monkeypatch.setattr(Draws, "draw", watched)
    assert train(SETS, options).training["options"]["piece_steps"] == 10
    altered, plain = (np.concatenate(part) for part in zip(*seen, strict=True))
    off = np.where((plain != -128) & (altered < 0) & (altered > -127), altered - plain, -999)
    pieces = off.reshape(-1, 10, off.shape[-1])
    heard = np.where(pieces == -999, -10_000, pieces).max(axis=1)
    least = np.where(pieces == -999, 10_000, pieces).min(axis=1)
    assert (heard[heard > -10_000] == least[heard > -10_000]).all()
    assert len(np.unique(heard[heard > -10_000])) > 3


def test_the_same_seed_draws_the_same_pieces():
    options = dataclasses.replace(
        SHORT, state="carried", chunk_steps=40, piece_steps=15, scaling="zscore", steps=6, evaluations=2
    )
    assert train(SETS, options).to_bytes() == train(SETS, options).to_bytes()
    whole = dataclasses.replace(options, piece_steps=0)
    assert "piece_steps" not in train(SETS, whole).training["options"]
    with pytest.raises(UsageError, match="pieces are of the stretches of a carried state"):
        dataclasses.replace(options, state="reset")
    with pytest.raises(UsageError, match="which room follows which"):
        dataclasses.replace(options, crf=True)


def test_a_reset_model_has_no_past():
    windows = train(SETS, SHORT)
    assert "past_steps" not in windows.training["options"]
    same = train(SETS, dataclasses.replace(SHORT, past_steps=0))
    assert windows.to_bytes() == same.to_bytes()
