"""From instruction counts to cycles, time and energy: brackets, with every assumption in words.

Where an emulator keeps the chip's own time (AVR), its cycles are the figure. No other one here knows time;
Arm's Technical Reference Manuals of Cortex-M0, M0+, M3 and M4 do, up to what depends on neighbours and
operands. For the rest there is no public table. So each figure is a low, a mid and a high. Energy is cycles
times µA/MHz times volts, and data sheets' currents deserve ±40 %.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from tinyloc.device.boards import CURRENT_SPREAD, Board
from tinyloc.device.emulators import DeviceRun
from tinyloc.device.firmware import Firmware
from tinyloc.device.instructions import Instruction, decode

Three = tuple[float, float, float]


@dataclass(frozen=True)
class Timing:
    """Cycles of each kind of instruction, as low, mid and high; a block adds one for each word."""

    each: Mapping[str, Three]
    jump: Three
    """What refilling the pipeline adds to a taken branch."""
    words: tuple[str, ...]
    """The assumptions, for the page."""
    pipelined: bool = True
    """Whether a load behind another load or store takes one cycle less."""
    spread: float = 0.0
    """Where no table is public: low and high are mid, less and more this share of it."""


_M4: dict[str, Three] = {
    "alu": (1, 1, 1),
    "multiply": (1, 1, 1),
    "divide": (2, 7, 12),
    "load": (1, 2, 2),
    "store": (1, 1, 2),
    "block": (1, 1, 1),
    "branch": (1, 1, 1),
    "conditional branch": (1, 1, 1),
    "it": (0, 1, 1),
    "float": (1, 1, 1),
    "float multiply-add": (3, 3, 3),
    "float divide": (14, 14, 14),
    "other": (1, 1, 1),
}
_WAITS = "Flash without wait states: a chip that waits for its flash, or misses its cache, takes longer."
_TAKEN = "from the counts follow two bounds for how many were taken."
_M0_WORDS = (
    "Multiply 1 cycle (a chip may have the small multiplier: 32); load and store 2, several words 1 and 1 "
    "for each."
)
_M4_WORDS = (
    _WAITS,
    "Multiply and multiply-accumulate 1 cycle, divide 2 to 12 (mid 7), by operands.",
    "Load 2 cycles, 1 behind another load or store; low takes 1 and high 2 for all.",
    "Store 1 cycle, high 2; several words 1 and 1 for each.",
    f"A taken branch adds 1 to 3 cycles (mid 2); {_TAKEN}",
    "An instruction that an IT block skips takes 1 cycle; low assumes all skipped, high none, mid between.",
)
TIMINGS = {
    "cortex-m4": Timing(
        _M4,
        (1, 2, 3),
        (
            "Cycles by the table of the Arm Cortex-M4 Technical Reference Manual; not measured on silicon.",
            *_M4_WORDS,
        ),
    ),
    "cortex-m3": Timing(
        _M4 | {"multiply": (1, 1.5, 5)},
        (1, 2, 3),
        (
            "Cycles by the table of the Arm Cortex-M3 Technical Reference Manual; not measured on silicon.",
            "Multiply 1 cycle, long multiply 3 to 5, multiply-accumulate 2.",
            *_M4_WORDS,
        ),
    ),
    "cortex-m0+": Timing(
        _M4 | {"load": (2, 2, 2), "store": (2, 2, 2), "multiply": (1, 1, 1)},
        (1, 1, 2),
        (
            "Cycles by the table of the Arm Cortex-M0+ Technical Reference Manual; not measured on silicon.",
            _WAITS,
            _M0_WORDS,
            f"A taken branch adds 1 cycle, high 2 (a call or a return); {_TAKEN}",
        ),
        pipelined=False,
    ),
    "cortex-m0": Timing(
        _M4 | {"load": (2, 2, 2), "store": (2, 2, 2), "multiply": (1, 1, 1)},
        (2, 2, 3),
        (
            "Cycles by the table of the Arm Cortex-M0 Technical Reference Manual; not measured on silicon.",
            _WAITS,
            _M0_WORDS,
            f"A taken branch adds 2 cycles, high 3 (a call or a return); {_TAKEN}",
        ),
        pipelined=False,
    ),
    "unpublished": Timing(
        _M4,
        (1, 2, 3),
        (
            "No table of cycles is public for this core: the Cortex-M4's, and 30 % to either side.",
            *_M4_WORDS,
        ),
        spread=0.3,
    ),
    "rv32imc": Timing(
        _M4 | {"load": (1, 2, 2), "divide": (4, 20, 34)},
        (1, 2, 3),
        (
            "No table of cycles holds for every RV32IMC core: each instruction 1 cycle, load 2 (1 behind "
            "another), a taken branch 2 more, divide 20, and 30 % to either side.",
            _WAITS,
        ),
        spread=0.3,
    ),
}
COUNTED: tuple[str, ...] = (
    "Cycles counted by an emulator that keeps the chip's own time (simavr); not measured on silicon.",
)
NOT_IN_IT = "Harness, start-up, interrupts, radio, sensor and sleep are in none of these figures."


@dataclass(frozen=True)
class Bracket:
    """A figure known to lie between two others."""

    low: float
    mid: float
    high: float

    def scaled(self, factor: float) -> Bracket:
        """All three times `factor`."""
        return Bracket(self.low * factor, self.mid * factor, self.high * factor)


@dataclass(frozen=True)
class Cost:
    """What one step of the model costs on a board."""

    board: Board
    window_steps: int
    instructions_per_step: float
    mix: Mapping[str, float]
    """Instructions of each kind in one step, largest first."""
    functions: Mapping[str, float]
    """Instructions of each function in one step, largest first."""
    cycles_per_step: Bracket
    assumptions: tuple[str, ...]
    function_cycles: Mapping[str, float]
    """Cycles of each function in one step, largest first; empty where no emulator keeps the chip's time."""

    @property
    def cycles_per_window(self) -> Bracket:
        """Cycles of one window."""
        return self.cycles_per_step.scaled(self.window_steps)

    @property
    def seconds_per_step(self) -> Bracket:
        """Time of one step in s at the board's clock."""
        return self.cycles_per_step.scaled(1 / self.board.clock_hz)

    @property
    def joules_per_step(self) -> Bracket:
        """Energy of one step in J, the spread of the current included."""
        cycles, each = self.cycles_per_step, self.board.joules_per_cycle
        return Bracket(
            cycles.low * each * (1 - CURRENT_SPREAD),
            cycles.mid * each,
            cycles.high * each * (1 + CURRENT_SPREAD),
        )

    @property
    def joules_per_window(self) -> Bracket:
        """Energy of one window in J."""
        return self.joules_per_step.scaled(self.window_steps)

    def average_watts(self, steps_per_second: float) -> Bracket:
        """Average power in W of `steps_per_second` steps, the time between them counted as nothing."""
        return self.joules_per_step.scaled(steps_per_second)

    def busy_share(self, steps_per_second: float) -> Bracket:
        """Share of the time, 0 to 1, that the CPU is awake for the model; above 1 it cannot keep up."""
        return self.seconds_per_step.scaled(steps_per_second)


def estimate(firmware: Firmware, run: DeviceRun) -> Cost:
    """The cost of one step, from the counts of `run` on `firmware`'s board."""
    core = firmware.board.cpu
    instructions = decode(firmware.program, run.counts, core.family)
    board, steps = firmware.board, run.records_counted
    mix: Counter[str] = Counter()
    functions: Counter[str] = Counter()
    for address, count in run.counts.items():
        mix[instructions[address].kind] += count
        functions[firmware.program.function_at(address)] += count
    current = (
        f"Energy at {board.supply_volts:g} V and {board.microamps_per_mhz:g} µA/MHz ± {CURRENT_SPREAD:.0%} "
        f"({board.current_source})."
    )
    timed: Counter[str] = Counter()
    for address, count in (run.cycles or {}).items():
        timed[firmware.program.function_at(address)] += count
    if run.cycles is not None:
        total = float(sum(run.cycles.values()))
        cycles, words = Bracket(total, total, total), COUNTED
    else:
        timing = TIMINGS[core.cycles]
        cycles, words = count_cycles(instructions, run.counts, timing), timing.words
    return Cost(
        board=board,
        window_steps=run.window_steps,
        instructions_per_step=run.instructions_per_step,
        mix={kind: count / steps for kind, count in mix.most_common()},
        functions={name: count / steps for name, count in functions.most_common()},
        cycles_per_step=cycles.scaled(1 / steps),
        assumptions=(*words, NOT_IN_IT, current),
        function_cycles={name: count / steps for name, count in timed.most_common()},
    )


def count_cycles(
    instructions: Mapping[int, Instruction], counts: Mapping[int, int], timing: Timing = TIMINGS["cortex-m4"]
) -> Bracket:
    """Cycles of all counted instructions together."""
    targets = {i.target for i in instructions.values() if i.target is not None}
    low = mid = high = 0.0
    before: tuple[int, Instruction] | None = None
    shadowed = 0
    for address in sorted(counts):
        one, count = instructions[address], counts[address]
        adjacent = before is not None and before[0] + before[1].size == address
        shadowed = shadowed if adjacent else 0
        each = timing.each[one.kind]
        extra = float(one.words) if one.kind == "block" else 0.0
        bounds = [each[0] + extra, each[1] + extra, each[2] + extra]
        if (
            timing.pipelined
            and one.kind == "load"
            and adjacent
            and before is not None
            and before[1].kind in ("load", "store")
        ):
            bounds[1] = 1
        taken = _taken(one, address, counts, targets)
        costs = [count * bound + t * jump for bound, t, jump in zip(bounds, taken, timing.jump, strict=True)]
        if shadowed:
            costs = [float(count), (count + costs[1]) / 2, costs[2]]
        low, mid, high = low + costs[0], mid + costs[1], high + costs[2]
        shadowed = one.shadows if one.kind == "it" else max(shadowed - 1, 0)
        before = (address, one)
    if timing.spread:
        return Bracket(mid * (1 - timing.spread), mid, mid * (1 + timing.spread))
    return Bracket(low, mid, high)


def _taken(
    one: Instruction, address: int, counts: Mapping[int, int], targets: set[int]
) -> tuple[float, float, float]:
    """How often a branch was taken, at least, likely and at most.

    What does not fall through was taken. The next instruction's count is what fell through, plus what jumped
    there if something does.
    """
    count = counts[address]
    if not one.jumps:
        return 0, 0, 0
    if one.kind != "conditional branch":
        return count, count, count
    following = address + one.size
    least = max(count - counts.get(following, 0), 0)
    most = count if following in targets else least
    return least, (least + most) / 2, most
