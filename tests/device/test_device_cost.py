from __future__ import annotations

import pytest
import toy_twin

from tinyloc.device.cost import Bracket, Cost, count_cycles, estimate
from tinyloc.device.elf import Program
from tinyloc.device.firmware import Firmware
from tinyloc.device.instructions import KINDS, decode
from tinyloc.device.tiers import Tier


def program(code: str) -> Program:
    return Program(((0, bytes.fromhex(code)),), {}, {}, ())


def cycles(code: str, counts: dict[int, int]) -> Bracket:
    return count_cycles(decode(program(code), counts), counts)


@pytest.fixture(scope="module")
def cost(tier: Tier, toy: Firmware) -> Cost:
    return estimate(toy, tier.run(toy, toy_twin.make_records(40)))


@pytest.mark.parametrize(
    ("code", "kind", "bracket"),
    [
        ("0844", "alu", (1, 1, 1)),  # add r0, r1
        ("4843", "multiply", (1, 1, 1)),  # muls r0, r1, r0
        ("21fb0200", "multiply", (1, 1, 1)),  # smlad r0, r1, r2, r0
        ("90fbf1f0", "divide", (2, 7, 12)),  # sdiv r0, r0, r1
        ("0868", "load", (1, 2, 2)),  # ldr r0, [r1]
        ("0860", "store", (1, 1, 2)),  # str r0, [r1]
        ("30b5", "block", (4, 4, 4)),  # push {r4, r5, lr}
        ("30bd", "block", (5, 6, 7)),  # pop {r4, r5, pc}
        ("d2e90001", "block", (3, 3, 3)),  # ldrd r0, r1, [r2]
        ("7047", "branch", (2, 3, 4)),  # bx lr
        ("30ee200a", "float", (1, 1, 1)),  # vadd.f32 s0, s0, s1
        ("a0ee200a", "float multiply-add", (3, 3, 3)),  # vfma.f32 s0, s0, s1
        ("80ee200a", "float divide", (14, 14, 14)),  # vdiv.f32 s0, s0, s1
    ],
)
def test_cycles_of_one_instruction(code: str, kind: str, bracket: tuple[float, float, float]) -> None:
    assert decode(program(code), [0])[0].kind == kind
    assert cycles(code, {0: 10}) == Bracket(*bracket).scaled(10)


def test_a_loops_branch_is_taken_all_times_but_the_last() -> None:
    # 0: subs r0, #1; 2: bne 0; 4: nop
    assert cycles("0138 fdd1 00bf", {0: 100, 2: 100, 4: 1}) == Bracket(201 + 99, 201 + 198, 201 + 297)


def test_a_branch_to_a_join_is_known_between_bounds() -> None:
    # 0: cbz r0, 4 (over one); 2: nop; 4: b 2, so that 2 has another way in
    bracket = cycles("00b1 00bf fde7", {0: 10, 2: 10, 4: 5})
    assert bracket.low == 25 + 5
    assert bracket.high == 25 + 3 * (10 + 5)


def test_a_load_behind_a_load_takes_one() -> None:
    assert cycles("0868 4868", {0: 1, 2: 1}) == Bracket(2, 3, 4)  # ldr r0, [r1]; ldr r0, [r1, #4]


def test_what_an_it_block_skips_takes_one() -> None:
    # it eq; ldreq r0, [r1]; ldr r0, [r1]
    assert cycles("08bf 0868 0868", {0: 1, 2: 1, 4: 1}) == Bracket(0 + 1 + 1, 1 + 1.5 + 1, 1 + 2 + 2)


def test_the_toys_cost_adds_up(cost: Cost) -> None:
    assert sum(cost.mix.values()) == pytest.approx(cost.instructions_per_step)
    assert sum(cost.functions.values()) == pytest.approx(cost.instructions_per_step)
    assert set(cost.mix) <= set(KINDS)
    assert "other" not in cost.mix
    assert "?" not in cost.functions
    assert cost.mix["divide"] > 1
    step = cost.cycles_per_step
    assert cost.instructions_per_step * 0.9 < step.low < step.mid < step.high < 4 * cost.instructions_per_step
    assert cost.cycles_per_window == step.scaled(4)


def test_energy_follows_from_cycles(cost: Cost) -> None:
    # 58 µA/MHz at 3 V: 174 pJ a cycle.
    energy = cost.joules_per_step
    assert energy.mid == pytest.approx(cost.cycles_per_step.mid * 174e-12)
    assert energy.low == pytest.approx(cost.cycles_per_step.low * 174e-12 * 0.6)
    assert energy.high == pytest.approx(cost.cycles_per_step.high * 174e-12 * 1.4)
    assert cost.joules_per_window.mid == pytest.approx(4 * energy.mid)
    assert cost.average_watts(5).mid == pytest.approx(5 * energy.mid)
    assert cost.busy_share(5).mid == pytest.approx(5 * cost.cycles_per_step.mid / 64e6)
    assert cost.seconds_per_step.high == pytest.approx(cost.cycles_per_step.high / 64e6)


def test_every_assumption_is_said(cost: Cost) -> None:
    text = " ".join(cost.assumptions)
    for word in ("Technical Reference Manual", "wait states", "divide 2 to 12", "58 µA/MHz", "40%", "sleep"):
        assert word in text
