"""One row of a study: one model of one seed on one data set, and what was found of it."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import Any, Final

from tinyloc.study.compressions import KNOWN

BASELINE: Final = "baseline"
"""The family of the methods that every model has to beat."""
_IDENTITY: Final = ("set", "family", "size", "variant", "compression", "seed", "simulated")


@dataclass(frozen=True)
class Row:
    """Which cell it is, and its figures; None where a figure does not exist for it.

    `validation_f1`, `f1_macro`, `accuracy` 0 to 1, of the device's own answers where a device answered.
    `cross_validation_f1` 0 to 1: over the windows of all folds together (`data/folds.py`), each answered by
    the integer model, decision layer included, that the other folds trained as validation had chosen.
    `drift_f1` 0 to 1: on validation windows as they are heard when every access point has drifted
    (`data/drift.py`), decision layer included.
    `selection_f1` 0 to 1: on windows of recordings that nothing but the choice among models reads, by the
    integer model that is judged on test, decision layer included.
    `parameters_paper`: as arXiv 2412.09289 counts. `state_dict_kb`: a saved PyTorch state dict in units of
    1,000 bytes, as that paper measures size. `flash_bytes` and `ram_bytes` (stack included) are measured on
    the emulated `board`, with the tier named. `instructions_answer`: executed for one answer, a whole window
    where each starts from zeros, one step where the state is carried. `flash_estimate_bytes`: a forest's
    nodes at 8 bytes each.
    `room_changes` of the answers and `room_changes_true`: None where windows have no order in time.
    `f1_rooms`: F1 of each room (0 to 1) on test in the order of the data set's rooms, None for a room that
    test never enters; empty without figures.
    `decision`: the decision layer that validation chose ("none": no layer was better), empty where none was
    tried. With one, `validation_f1`, `f1_macro`, `accuracy` and `room_changes` are those of the settled room,
    and `validation_f1_room`, `f1_macro_room`, `accuracy_room` and `room_changes_room` those of the same model
    without it.
    `error`: why there are no figures; empty where there are.
    """

    set: str
    family: str
    size: str
    variant: str
    compression: str
    seed: int
    simulated: bool = False
    validation_f1: float | None = None
    cross_validation_f1: float | None = None
    drift_f1: float | None = None
    selection_f1: float | None = None
    f1_macro: float | None = None
    accuracy: float | None = None
    parameters: int | None = None
    parameters_paper: int | None = None
    state_dict_kb: float | None = None
    flash_bytes: int | None = None
    ram_bytes: int | None = None
    flash_estimate_bytes: int | None = None
    board: str = ""
    tier: str = ""
    instructions_answer: float | None = None
    identical_windows: int | None = None
    windows: int = 0
    room_changes: int | None = None
    room_changes_true: int | None = None
    f1_rooms: tuple[float | None, ...] = ()
    decision: str = ""
    validation_f1_room: float | None = None
    f1_macro_room: float | None = None
    accuracy_room: float | None = None
    room_changes_room: int | None = None
    error: str = ""

    @property
    def key(self) -> tuple[Any, ...]:
        """Where it stands in the table: models before baselines, H8 before H16, float first."""
        names = (self.set, self.family == BASELINE, self.family, _natural(self.size), self.variant)
        known = self.compression in KNOWN
        return (*names, KNOWN.index(self.compression) if known else len(KNOWN), self.compression, self.seed)

    @property
    def identity(self) -> dict[str, Any]:
        """Which cell it is, without figures."""
        return {name: getattr(self, name) for name in _IDENTITY}

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values, by name; `f1_rooms` is a list."""
        return {**dataclasses.asdict(self), "f1_rooms": list(self.f1_rooms)}


def _natural(name: str) -> tuple[str | int, ...]:
    """The name with its numbers as numbers; texts and numbers take turns, so any two compare."""
    return tuple(int(part) if i % 2 else part for i, part in enumerate(re.split(r"(\d+)", name)))


FIELDS: Final = tuple(f.name for f in dataclasses.fields(Row))

SHARES: Final = "tuple"
"""The `kind` of a field that holds a list of shares, any of which may be None."""


def kind(field: dataclasses.Field[Any]) -> str:
    """What a field holds: "str", "int", "bool", "float", or `SHARES`."""
    return re.split(r"[ \[]", str(field.type))[0]


def _is(value: Any, kind: str) -> bool:
    """Whether a JSON value is of that kind; a whole number is a number too, a truth value is none."""
    if kind == SHARES:
        return isinstance(value, list) and all(one is None or _is(one, "float") for one in value)
    right = {"str": (str,), "int": (int,), "bool": (bool,), "float": (float, int)}[kind]
    return isinstance(value, right) and (kind == "bool" or not isinstance(value, bool))


def from_json(value: dict[str, Any]) -> Row:
    """The row that `to_json` wrote. Raises ValueError where names or types differ."""
    if not isinstance(value, dict) or tuple(value) != FIELDS:
        raise ValueError("these are not the fields of a row")
    found = dict(value)
    for f in dataclasses.fields(Row):
        one, wanted = value[f.name], kind(f)
        if wanted == SHARES:
            found[f.name] = tuple(one) if _is(one, wanted) else None
        if not _is(one, wanted) and not (one is None and str(f.type).endswith("| None")):
            raise ValueError(f"{f.name} is not {wanted}")
    return Row(**found)
