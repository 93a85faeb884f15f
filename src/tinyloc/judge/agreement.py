"""Does the chip answer as Python does? Every step's bytes are compared, and the first difference explained.

An answer is what the harness writes after one step: K scores as little-endian int16, then the room and the
settled room as one byte each, `2 * K + 2` bytes. W windows of T steps leave `W * T` answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinyloc.errors import DeviceError


def answer_bytes(K: int) -> int:
    """Bytes of one step's answer for K rooms."""
    return 2 * K + 2


def decode(
    answers: bytes, K: int
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Scores [n, K], rooms [n] and settled rooms [n] of n whole answers; a part of one at the end is a
    DeviceError.
    """
    size = answer_bytes(K)
    if len(answers) % size:
        raise DeviceError(f"{len(answers)} bytes are not whole answers of {size} bytes for {K} rooms")
    table = np.frombuffer(answers, dtype=np.uint8).reshape(-1, size)
    scores = np.ascontiguousarray(table[:, :-2]).view("<i2").astype(np.int16)
    return scores, table[:, -2].copy(), table[:, -1].copy()


def encode(scores: npt.ArrayLike, rooms: npt.ArrayLike, settled: npt.ArrayLike | None = None) -> bytes:
    """The bytes that the harness would write for `scores` [n, K] int16, `rooms` and `settled` [n] uint8 (by
    default the rooms).
    """
    numbers = np.ascontiguousarray(scores, dtype="<i2")
    room = np.asarray(rooms, dtype=np.uint8)
    held = room if settled is None else np.asarray(settled, dtype=np.uint8)
    return np.concatenate([numbers.view(np.uint8), room[:, None], held[:, None]], axis=1).tobytes()


@dataclass(frozen=True)
class Difference:
    """The first step whose answer differs. `window` and `step` count from 0; scores are int16."""

    window: int
    step: int
    rooms: tuple[str, ...]
    device_room: int | None
    reference_room: int
    device_scores: tuple[int, ...]
    reference_scores: tuple[int, ...]
    device_settled: int | None = None
    reference_settled: int | None = None

    def __str__(self) -> str:
        place = f"window {self.window}, step {self.step}"
        said = self._room(self.reference_room)
        if self.device_room is None:
            return f"{place}: the device gave no answer; the reference says {said}"
        pairs = list(zip(self.rooms, self.device_scores, self.reference_scores, strict=True))
        wrong = [pair for pair in pairs if pair[1] != pair[2]]
        shown = ", ".join(f"{name} {device} (reference {ours})" for name, device, ours in wrong[:3])
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        scores = f"scores differ in {shown}{more}" if wrong else "all scores are equal"
        if self.device_settled != self.reference_settled:
            held = [
                self._room(room) for room in (self.device_settled, self.reference_settled) if room is not None
            ]
            scores += f"; settled rooms differ, {held[0]} (reference {held[-1]})"
        if self.device_room == self.reference_room:
            return f"{place}: both say {said}; {scores}"
        return f"{place}: the device says {self._room(self.device_room)}, the reference {said}; {scores}"

    def _room(self, index: int) -> str:
        return self.rooms[index] if index < len(self.rooms) else f"room {index} of {len(self.rooms)}"


@dataclass(frozen=True)
class Agreement:
    """How many windows and steps answer alike, and where they first do not.

    A window is identical when every one of its steps is. `extra_bytes`: what the device wrote beyond the
    answers it was asked for.
    """

    windows: int
    identical_windows: int
    steps: int
    identical_steps: int
    difference: Difference | None = None
    extra_bytes: int = 0

    @property
    def identical(self) -> bool:
        """True when all bytes are equal, none missing and none too many."""
        return self.identical_steps == self.steps and not self.extra_bytes

    def __str__(self) -> str:
        if self.identical:
            return f"identical in all {self.windows:,} windows ({self.steps:,} steps)"
        text = f"identical in {self.identical_windows:,} of {self.windows:,} windows"
        if self.difference is not None:
            text += f"; first difference: {self.difference}"
        if self.extra_bytes:
            text += f"; the device wrote {self.extra_bytes:,} bytes too many"
        return text

    def require(self) -> None:
        """Raise a DeviceError that names the first difference unless all bytes are equal."""
        if not self.identical:
            raise DeviceError(
                f"the device does not answer as the reference does: {self}",
                hint="If the C is of an older model, `tinyloc emit` and `tinyloc verify` again.",
            )


def compare(device: bytes, reference: bytes, *, rooms: Sequence[str], window_steps: int) -> Agreement:
    """Compare the device's answers with the reference's, byte for byte.

    `reference` holds W * T whole answers for `rooms`, T = `window_steps`; `device` may be short (a chip that
    stopped) or long, which counts as a difference.
    """
    K, T = len(rooms), window_steps
    size = answer_bytes(K)
    if T < 1 or len(reference) % (size * T):
        raise ValueError(
            f"the reference's {len(reference)} bytes are not windows of {T} steps of {size} bytes"
        )
    truth = np.frombuffer(reference, dtype=np.uint8).reshape(-1, size)
    steps = len(truth)
    whole = min(len(device) // size, steps)
    said = np.frombuffer(device, dtype=np.uint8, count=whole * size).reshape(-1, size)
    equal = np.zeros(steps, dtype=bool)
    equal[:whole] = (said == truth[:whole]).all(axis=1)

    difference = None
    if not equal.all():
        first = int(np.argmin(equal))
        scores, room, settled = decode(truth[first].tobytes(), K)
        answered = first < whole
        device_scores, device_room, device_settled = decode(said[first].tobytes() if answered else b"", K)
        difference = Difference(
            window=first // T,
            step=first % T,
            rooms=tuple(rooms),
            device_room=int(device_room[0]) if answered else None,
            reference_room=int(room[0]),
            device_scores=tuple(device_scores[0].tolist()) if answered else (),
            reference_scores=tuple(scores[0].tolist()),
            device_settled=int(device_settled[0]) if answered else None,
            reference_settled=int(settled[0]),
        )
    return Agreement(
        windows=steps // T,
        identical_windows=int(np.count_nonzero(equal.reshape(-1, T).all(axis=1))),
        steps=steps,
        identical_steps=int(np.count_nonzero(equal)),
        difference=difference,
        extra_bytes=max(0, len(device) - steps * size),
    )
