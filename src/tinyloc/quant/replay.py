"""What the device is fed: windows as one stream of samples, with the moments at which its state is reset.

A model with its state "reset" hears each window from zeros: W windows are W * T steps; what its decision
layer keeps is forgotten only where a session begins, or after a gap. One with its state "carried" hears each
unbroken stretch of a session once, sample by sample, and is read where windows end.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinyloc.data.order import begins
from tinyloc.data.windows import Windows
from tinyloc.errors import UsageError
from tinyloc.learn.streams import streams
from tinyloc.models.motion import to_int8
from tinyloc.quant.decision_operators import Filter
from tinyloc.quant.reference import Reference, answers, rooms_of

GOES_ON, INIT, RESTART = 0, 1, 2
"""The harness's flags: the sample goes on; the state is set up first; a window is begun first."""


@dataclass(frozen=True)
class Replay:
    """`samples` [S, P], or [S, P + 3] with an accelerometer, int8 in order; `flags` [S] int8, what comes
    before each (see above); `ends` [W] the step at which each window ends; `steps` T of a window.
    """

    samples: npt.NDArray[np.int8]
    flags: npt.NDArray[np.int8]
    ends: npt.NDArray[np.int64]
    steps: int

    @property
    def resets(self) -> npt.NDArray[np.bool_]:
        """[S] True where the model's state starts from zeros."""
        return np.asarray(self.flags != GOES_ON)

    def records(self) -> bytes:
        """As the harness reads them: before each sample its flag, one byte."""
        return np.concatenate([self.flags[:, None], self.samples], axis=1).tobytes()

    def scores(self, reference: Reference) -> npt.NDArray[np.int16]:
        """The reference's scores after every step, [S, K]. Stretches of one length run side by side; where
        receivers are followed from window to window, sessions do, and their windows one after the other.
        """
        if reference.graph.follower is not None and reference.graph.state == "reset":
            return self._in_order(reference)
        starts = np.flatnonzero(self.resets)
        lengths = np.diff([*starts, len(self.samples)])
        rooms = len(reference.graph.rooms)
        result = np.zeros((len(self.samples), rooms), np.int16)
        for length in np.unique(lengths):
            rows = starts[lengths == length][:, None] + np.arange(length)
            result[rows] = reference.run(self.samples[rows])
        return result

    def _in_order(self, reference: Reference) -> npt.NDArray[np.int16]:
        """As `scores`, of a graph that keeps something from one window to the next."""
        starts = np.flatnonzero(self.resets)
        first = np.flatnonzero(self.flags[starts] == INIT)
        counts = np.diff([*first, len(starts)])  # windows of each session
        longest = np.argsort(-counts, kind="stable")
        first, counts = first[longest], counts[longest]
        result = np.zeros((len(self.samples), len(reference.graph.rooms)), np.int16)
        states = reference.initial_state(len(first))
        for window in range(int(counts.max(initial=0))):
            live = int(np.count_nonzero(counts > window))
            states = {name: kept[:live] for name, kept in states.items()}
            if window:
                reference.restart(states)
            rows = starts[first[:live] + window][:, None] + np.arange(self.steps)
            result[rows] = reference.run(self.samples[rows], states)
        return result

    def settled(self, reference: Reference, scores: npt.NDArray[np.int16]) -> npt.NDArray[np.uint8]:
        """The settled room after every step [S], of what `scores` gave: the room where no layer decides."""
        rooms, decision = rooms_of(scores), reference.graph.decision
        if decision is None:
            return rooms
        due = self.decisions(decision)
        if not due.any():
            return rooms
        order = np.cumsum(due) - 1  # the last decision at or before each step
        session = np.cumsum(self.flags == INIT)
        decided = reference.decide(scores[due], _first_of(session[due]))
        last = np.maximum(order, 0)
        known = (order >= 0) & (session[due][last] == session)
        return np.where(known, decided[last], rooms).astype(np.uint8)

    def decisions(self, decision: Filter) -> npt.NDArray[np.bool_]:
        """[S] the steps after which a decision layer decides."""
        starts = np.flatnonzero(self.resets)
        steps = np.arange(len(self.samples)) - np.repeat(starts, np.diff([*starts, len(self.samples)])) + 1
        return np.asarray((steps >= decision.first) & ((steps - decision.first) % decision.hop == 0))

    def answers(self, reference: Reference) -> bytes:
        """All that the device has to write, byte for byte."""
        scores = self.scores(reference)
        return answers(scores, self.settled(reference, scores))

    def identical_windows(self, same: npt.NDArray[np.bool_]) -> int:
        """How many windows have all their T steps in `same` [S]."""
        wrong = np.concatenate([[0], np.cumsum(~same)])
        first = np.maximum(self.ends - self.steps + 1, 0)
        return int(np.count_nonzero(wrong[self.ends + 1] == wrong[first]))


def samples_of(windows: Windows, motion: bool) -> npt.NDArray[np.int8]:
    """What a device is fed of `windows`, [W, T, P] int8 dBm; with `motion` [W, T, P + 3], the last three the
    acceleration in 1/32 g. Raises UsageError where that is asked for and was not recorded.
    """
    if not motion:
        return windows.rssi
    if windows.acceleration is None:
        raise UsageError("this model reads an accelerometer, and the recording has none")
    return np.concatenate([windows.rssi, to_int8(windows.acceleration)], axis=2)


def replay(windows: Windows, state: str, motion: bool = False) -> Replay:
    """The stream of `windows` for a model of that state ("reset" or "carried"), `motion` as in `samples_of`.

    Raises UsageError for an accelerometer where there is none, and where the state is carried.
    """
    if motion and state != "reset":
        raise UsageError("a model that reads an accelerometer starts every window anew")
    count, steps, _ = windows.rssi.shape
    if state == "reset":
        heard = samples_of(windows, motion)
        flags = np.full(count * steps, GOES_ON, np.int8)
        timed = windows.seconds_per_step > 0
        flags[::steps] = np.where(begins(windows), INIT, RESTART) if timed else INIT
        ends = np.arange(count, dtype=np.int64) * steps + steps - 1
        return Replay(heard.reshape(count * steps, -1), flags, ends, steps)
    samples, resets_at, ends = [], [], np.zeros(count, np.int64)
    length = 0
    for stream in streams(windows):
        samples.append(stream.rssi)
        resets_at.append(length)
        ends[stream.windows] = length + stream.ends
        length += len(stream.rssi)
    flags = np.full(length, GOES_ON, np.int8)
    flags[resets_at] = INIT
    return Replay(np.concatenate(samples), flags, ends, steps)


def _first_of(session: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """[N] True where the number differs from the one before."""
    new = np.ones(len(session), np.bool_)
    new[1:] = np.diff(session) != 0
    return new
