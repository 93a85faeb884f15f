"""What the device is fed: windows as one stream of samples, with the moments at which its state is reset.

A model with its state "reset" hears each window from zeros: W windows are W * T steps. One with its state
"carried" hears each unbroken stretch of a session once, sample by sample, and is read where windows end.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinyloc.data.windows import Windows
from tinyloc.errors import UsageError
from tinyloc.learn.streams import streams
from tinyloc.models.motion import to_int8
from tinyloc.quant.reference import Reference


@dataclass(frozen=True)
class Replay:
    """`samples` [S, P], or [S, P + 3] with an accelerometer, int8 in order; `resets` [S] bool, True where the
    state starts from zeros; `ends` [W] the step at which each window ends; `steps` T of a window.
    """

    samples: npt.NDArray[np.int8]
    resets: npt.NDArray[np.bool_]
    ends: npt.NDArray[np.int64]
    steps: int

    def records(self) -> bytes:
        """As the harness reads them: before each sample one byte, 1 where the state is reset."""
        flags = self.resets.astype(np.int8)[:, None]
        return np.concatenate([flags, self.samples], axis=1).tobytes()

    def scores(self, reference: Reference) -> npt.NDArray[np.int16]:
        """The reference's scores after every step, [S, K]. Stretches of one length run side by side."""
        starts = np.flatnonzero(self.resets)
        lengths = np.diff([*starts, len(self.samples)])
        rooms = len(reference.graph.rooms)
        result = np.zeros((len(self.samples), rooms), np.int16)
        for length in np.unique(lengths):
            rows = starts[lengths == length][:, None] + np.arange(length)
            result[rows] = reference.run(self.samples[rows])
        return result

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
        resets = np.zeros((count, steps), np.bool_)
        resets[:, 0] = True
        ends = np.arange(count, dtype=np.int64) * steps + steps - 1
        return Replay(heard.reshape(count * steps, -1), resets.ravel(), ends, steps)
    samples, resets_at, ends = [], [], np.zeros(count, np.int64)
    length = 0
    for stream in streams(windows):
        samples.append(stream.rssi)
        resets_at.append(length)
        ends[stream.windows] = length + stream.ends
        length += len(stream.rssi)
    flags = np.zeros(length, np.bool_)
    flags[resets_at] = True
    return Replay(np.concatenate(samples), flags, ends, steps)
