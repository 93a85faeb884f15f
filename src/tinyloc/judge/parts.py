"""The parts of a `Result`: one frozen model per section, every field with its meaning and its unit.

A field is declared with `field("meaning", "unit")`. The unit is text as it is printed: "bytes", "0 to 1",
"s", "windows"; "" where a field has none (a name, a sentence). `docs/RESULT.md` is generated from these.
Shares (F1, accuracy) run from 0 to 1; memory is in bytes; energy in microjoules.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Count = Annotated[int, Field(ge=0)]
NonNegative = Annotated[float, Field(ge=0.0)]

SHARE = "0 to 1"


def field(description: str, unit: str = "", **options: Any) -> Any:
    """A pydantic field with its `description` and the `unit` its value is in."""
    return Field(description=description, json_schema_extra={"unit": unit}, **options)


class Part(BaseModel):
    """Root of all parts: frozen, no unknown fields, no NaN, JSON names are the aliases."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        populate_by_name=True,
        json_schema_serialization_defaults_required=True,
        protected_namespaces=(),
    )


class Data(Part):
    """Where the recordings come from and what they look like once they are windows."""

    name: str = field("Name of the data set, or the file's name for the user's own")
    description: str = field("One sentence: who trains, who validates, who tests")
    licence: str = field("Licence of the data")
    citation: str = field("How the data ask to be cited; empty for the user's own")
    simulated: bool = field("True when the recordings were made by the simulator and not by a radio")
    rooms: tuple[str, ...] = field("Room names; a room's index anywhere in this file is its place here")
    access_points: Count = field("Access points in one sample", "access points")
    window_steps: Annotated[int, Field(ge=1)] = field("Samples in one window", "steps")
    seconds_per_step: NonNegative = field("Time between two samples; 0 where a window is one sample", "s")
    notes: tuple[str, ...] = field(
        "What was joined, left out, assumed or doubtful when the recordings were read", default=()
    )
    state: str = field('"reset": each window starts afresh; "carried": the state lasts from window to window')


class Windows(Part):
    """How many windows each set holds."""

    train: Count = field("Windows that trained the model", "windows")
    validation: Count = field("Windows that every choice was made on", "windows")
    test: Count = field("Windows that are scored; used for nothing else", "windows")


class Model(Part):
    """What was trained."""

    family: str = field('Kind of model, e.g. "mamba"')
    size: str = field('Its size, e.g. "H8L1" for width 8 and 1 layer')
    scaling: str = field('How the input is scaled: "minmax", "zscore" or "power"; "none" for a forest')
    precision: str = field('Arithmetic of the integer model, e.g. "int8 weights, int16 activations"')
    options: dict[str, str | bool | int | float] = field(
        "Further settings of model and training, by name", default_factory=dict
    )


class Scores(Part):
    """One figure for the three forms of the model."""

    float_: Share = field("The trained floating-point model", SHARE, alias="float")
    integer: Share = field("The integer model in Python, the reference", SHARE)
    device: Share = field("The C code on the emulated microcontroller", SHARE)


class Validation(Part):
    """What quantisation cost, measured where choices are made: on validation."""

    f1_macro_float: Share = field("Macro-F1 of the floating-point model on validation", SHARE)
    f1_macro_integer: Share = field(
        "Macro-F1 of the integer model on validation, before it follows receivers, without a decision layer",
        SHARE,
    )
    f1_macro_followed: Share | None = field(
        "The same where it follows receivers as they drift; null where it follows nothing",
        SHARE,
        default=None,
    )
    drop_points: float = field("Macro-F1 lost by quantisation; negative when it gained", "points of 100")
    costliest_operator: str | None = field(
        "The integer operator that costs most of the loss; null when not searched", default=None
    )
    warning: bool = field("True when more than 1 point was lost")


class DecisionCandidate(Part):
    """A decision layer that was tried, on validation."""

    name: str = field('"none", or its form and strength')
    f1_macro: Share = field("Macro-F1 of the integer model with it on validation", SHARE)
    room_changes: Count = field("Changes of its room along the validation recordings", "changes")


class Decision(Part):
    """The decision layer that holds a room until the evidence moves it: chosen on validation, or left out.

    With one, every figure of the integer model and the device but these is that of the settled room.
    """

    chosen: str = field('The candidate with the best macro-F1, then the fewest changes; "none" for no layer')
    candidates: tuple[DecisionCandidate, ...] = field("All that were tried", default=())
    validation_room_changes_true: Count = field(
        "Changes of the true room along the validation recordings", "changes"
    )
    f1_macro_without: Share = field("Macro-F1 of the device's unsettled room on the test windows", SHARE)
    accuracy_without: Share = field("Accuracy of the device's unsettled room on the test windows", SHARE)
    room_changes_without: Count = field("Changes of the device's unsettled room on test", "changes")


class Room(Part):
    """One room's figures for the device's answers on the test windows."""

    room: str = field("Name of the room")
    windows: Count = field("Test windows that are truly in it", "windows")
    f1: Share | None = field("F1; null when the room is not in the test windows", SHARE, default=None)
    precision: Share | None = field(
        "Of its answers, the share that is right; null when never answered", SHARE, default=None
    )
    recall: Share | None = field(
        "Of its windows, the share that is found; null when it has none", SHARE, default=None
    )


Lead = Annotated[float, Field(ge=-1.0, le=1.0)]


class Ahead(Part):
    """The device's macro-F1 less a simpler method's, and how much of that is these test windows' own: an
    interval over test sets drawn anew from them (`judge/interval.py`).
    """

    measured: Lead = field("As measured; below 0 where the simpler method is better", "-1 to 1")
    low: Lead = field("2.5 % of the drawn test sets are below this", "-1 to 1")
    high: Lead = field("2.5 % of the drawn test sets are above this", "-1 to 1")
    block: Annotated[int, Field(ge=1)] = field(
        "Neighbouring windows drawn together; 1 where windows have no order in time", "windows"
    )


AHEAD = "The device beside it; null in a file of before there was such a figure"


class Forest(Part):
    """A random forest on window statistics, for comparison."""

    f1_macro: Share = field("Macro-F1 on the test windows", SHARE)
    accuracy: Share = field("Accuracy on the test windows", SHARE)
    note: str = field("What it was trained on and what it would need", default="")
    flash_bytes: Count | None = field(
        "Flash its tables would take; null when not estimated", "bytes", default=None
    )
    trees: Count | None = field("Trees", "trees", default=None)
    leaves: Count | None = field("Most leaves a tree may have; null for no limit", "leaves", default=None)
    ahead: Ahead | None = field(AHEAD, default=None)


class Neighbours(Part):
    """k nearest neighbours, for comparison."""

    f1_macro: Share = field("Macro-F1 on the test windows", SHARE)
    accuracy: Share = field("Accuracy on the test windows", SHARE)
    k: Annotated[int, Field(ge=1)] = field("Neighbours that vote", "neighbours")
    note: str = field("What it was trained on and what it would need", default="")
    ahead: Ahead | None = field(AHEAD, default=None)


class Baselines(Part):
    """What simpler methods reach on the same windows."""

    forest300: Forest = field("A random forest of 300 trees, as large as it likes")
    forest_small: Forest | None = field(
        "A forest that fits the same flash; null when none was tried", default=None
    )
    knn: Neighbours | None = field("Nearest neighbours; null when not tried", default=None)


class Tier(Part):
    """One way of building and emulating the chip, and what it measured."""

    tier: str = field('"pip" (ziglang and Unicorn) or "reference" (gcc-arm-none-eabi and QEMU)')
    toolchain: str = field("Compiler and version")
    emulator: str = field("Emulator and version")
    identical_windows: Count = field("Windows of which every step's answer equals the reference", "windows")
    windows: Count = field("Windows run", "windows")
    flash_bytes: Count = field("Flash in this build, as in memory.flash_bytes", "bytes")
    ram_bytes: Count = field("RAM in this build, as in memory.ram_bytes", "bytes")
    stack_bytes: Count = field("Deepest stack measured in this build", "bytes")
    instructions_step: NonNegative = field("Mean instructions of one streamed step", "instructions")
    instructions_window: NonNegative = field("Mean instructions of one window", "instructions")


class Device(Part):
    """Whether the chip answers as Python does, byte for byte."""

    board: str = field("Short name of the board, as given to --board")
    board_title: str = field("Full name of the board")
    core: str = field('Processor core, e.g. "Cortex-M4F"')
    tier: str = field("The tier that memory, instructions and the device's scores are taken from")
    identical_windows: Count = field("Windows of which every step's answer equals the reference", "windows")
    windows: Count = field("Windows run", "windows")
    identical_steps: Count = field("Steps whose scores, room and settled room equal the reference", "steps")
    steps: Count = field("Steps run", "steps")
    tiers: tuple[Tier, ...] = field("Each tier that was run", default=())
    first_difference: str = field("Where device and reference first differ; empty when nowhere", default="")


class Memory(Part):
    """Memory on the device. flash_bytes = text + constants + initial values of data + harness + padding."""

    flash_bytes: Count = field("All that is linked into flash: model, runtime, start-up and harness", "bytes")
    text_bytes: Count = field("Code, part of flash_bytes", "bytes")
    constants_bytes: Count = field("Weights and tables, part of flash_bytes", "bytes")
    harness_bytes: Count = field(
        "Vectors, start-up and test harness, part of flash_bytes: what a product replaces by its own", "bytes"
    )
    data_bytes: Count = field("Initialised variables: in RAM, with their initial values in flash", "bytes")
    bss_bytes: Count = field("Zeroed variables, the model's state among them", "bytes")
    stack_bytes: Count = field("Deepest stack measured over all windows", "bytes")
    ram_bytes: Count = field("data_bytes + bss_bytes + stack_bytes", "bytes")
    state_bytes: Count = field("The model's state between steps, part of bss_bytes", "bytes")
    flash_budget_bytes: Count = field("Flash that was allowed", "bytes")
    ram_budget_bytes: Count = field("RAM that was allowed and that the emulated chip has", "bytes")


class Instructions(Part):
    """Instructions counted by the emulator."""

    step: NonNegative = field("Mean of one streamed step", "instructions")
    window: NonNegative = field("Mean of one window", "instructions")


class Bracket(Part):
    """A figure that is known to lie in a range."""

    low: NonNegative = field("At best", "as the figure it brackets")
    mid: NonNegative = field("Most likely", "as the figure it brackets")
    high: NonNegative = field("At worst", "as the figure it brackets")


class Cycles(Part):
    """Clock cycles, estimated from counted instructions."""

    step: Bracket = field("One streamed step", "cycles")
    window: Bracket = field("One window", "cycles")


class Radio(Part):
    """Mean currents that judge whether computing pays: the model on the chip, and a radio link that sends."""

    computing_ua: Bracket = field("The model at steps_per_second, the chip asleep in between", "µA")
    answering_ua: Bracket = field("Sending one room every 10 s by Bluetooth Low Energy", "µA")
    sending_ua: Bracket = field("Instead of both: sending the readings of every step", "µA")
    sending_together_ua: Bracket = field("The same, with the readings of 1 s in one packet", "µA")
    assumptions: tuple[str, ...] = field("What these currents rest on", default=())


class Energy(Part):
    """Energy of the computation alone, estimated from cycles; `radio` sets it beside what it saves."""

    step_uj: Bracket = field("One streamed step", "µJ")
    average_uw: Bracket | None = field(
        "Mean power at steps_per_second; null where there is no rate", "µW", default=None
    )
    steps_per_second: NonNegative | None = field(
        "Steps a second; null where there is no rate", "1/s", default=None
    )
    assumptions: tuple[str, ...] = field("What the estimate of cycles and energy rests on", default=())
    battery: str = field("The battery that battery_days are of", default="")
    battery_days: Bracket | None = field(
        "How long it feeds the model alone at steps_per_second; null where there is no rate",
        "days",
        default=None,
    )
    radio: Radio | None = field(
        "What sending the readings would cost instead; null where there is no rate", default=None
    )


class RoomChanges(Part):
    """How often the room changes along the test recordings: flapping shows as predicted far above true."""

    true: Count = field("Changes of the true room between neighbouring windows", "changes")
    predicted: Count = field("Changes of the device's room between neighbouring windows", "changes")


class Segment(Part):
    """A stretch of one test session in which neither the true nor the answered room changes."""

    session: str = field("Session name")
    start: float = field("Start, from the session's first scored moment", "s")
    end: float = field("End, from the session's first scored moment", "s")
    true: Count = field("True room, index into data.rooms")
    device: Count = field("The device's room, index into data.rooms")


class Seed(Part):
    """One repetition of the run with another seed."""

    seed: int = field("The seed")
    validation_f1: Share = field("Macro-F1 of the floating-point model on validation", SHARE)
    f1_macro: Scores = field("Macro-F1 on the test windows", SHARE)
    accuracy: Scores = field("Accuracy on the test windows", SHARE)
    identical_windows: Count = field("Windows of which every step's answer equals the reference", "windows")
    windows: Count = field("Windows run", "windows")
    forest300_f1_macro: Share | None = field(
        "Macro-F1 of the forest of 300 with this seed", SHARE, default=None
    )


class Spread(Part):
    """Mean and extremes over the seeds."""

    mean: Share = field("Mean", SHARE)
    min: Share = field("Smallest", SHARE)
    max: Share = field("Largest", SHARE)


class SeedsSummary(Part):
    """All seeds in one line."""

    count: Count = field("Seeds", "seeds")
    f1_macro: Spread = field("Macro-F1 of the device on the test windows", SHARE)
    accuracy: Spread = field("Accuracy of the device on the test windows", SHARE)
    forest300_f1_macro: Spread | None = field(
        "Macro-F1 of the forest of 300; null when not run", SHARE, default=None
    )
