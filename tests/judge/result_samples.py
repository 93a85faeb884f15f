"""Example results, deterministic: a flat of 4 rooms and a campus of 60 areas."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinyloc.judge import result as r


def _confusion(K: int, right: float, windows: int, seed: int) -> list[list[int]]:
    generator = np.random.default_rng(seed)
    rows = []
    for room in range(K):
        share = generator.dirichlet(np.full(K, 4.0 / K)) * (1 - right)
        share[room] += right
        near = (room + 1) % K
        share[near] += 0.02
        total = int(generator.integers(windows // 3, windows))
        rows.append([int(n) for n in generator.multinomial(total, share / share.sum())])
    return rows


def _rooms(names: Sequence[str], confusion: list[list[int]]) -> tuple[r.Room, ...]:
    table = np.array(confusion)
    entries = []
    for i, name in enumerate(names):
        n, answered, hit = int(table[i].sum()), int(table[:, i].sum()), int(table[i, i])
        entries.append(
            r.Room(
                room=name,
                windows=n,
                f1=2 * hit / (n + answered) if n else None,
                precision=hit / answered if answered else None,
                recall=hit / n if n else None,
            )
        )
    return tuple(entries)


def _timeline(K: int, seed: int, sessions: Sequence[str]) -> tuple[r.Segment, ...]:
    generator = np.random.default_rng(seed)
    segments = []
    for session in sessions:
        at, room = 0.0, 0
        while at < 3600:
            room = int((room + generator.integers(1, K)) % K)
            end = at + float(generator.integers(120, 700))
            slip = float(generator.integers(10, 40))
            wrong = int((room + 1) % K)
            segments.append(r.Segment(session=session, start=at, end=at + slip, true=room, device=wrong))
            segments.append(r.Segment(session=session, start=at + slip, end=end, true=room, device=room))
            at = end
    return tuple(segments)


def small(
    rooms: Sequence[str] = ("bathroom", "bedroom", "kitchen", "living room"), **changes: object
) -> r.Result:
    """A flat of `rooms` on real data where the model wins and everything fits."""
    K = len(rooms)
    confusion = _confusion(K, 0.86, 420, 1)
    test = int(np.sum(confusion))
    scores = r.Scores(float_=0.873, integer=0.869, device=0.869)
    accuracy = r.Scores(float_=0.901, integer=0.898, device=0.898)
    tier = r.Tier(
        tier="pip",
        toolchain="zig cc 0.17.0",
        emulator="Unicorn 2.1.4",
        identical_windows=test,
        windows=test,
        flash_bytes=16690,
        ram_bytes=1464,
        stack_bytes=312,
        instructions_step=28410.0,
        instructions_window=568200.0,
    )
    other = tier.model_copy(
        update={
            "tier": "reference",
            "toolchain": "arm-none-eabi-gcc 12.2.1",
            "emulator": "QEMU 7.2.17 (mps2-an386)",
            "flash_bytes": 14912,
            "ram_bytes": 1440,
            "stack_bytes": 288,
            "instructions_step": 26904.0,
            "instructions_window": 538080.0,
        }
    )
    fields: dict[str, object] = {
        "created": "2026-01-15",
        "command": "tinyloc run --data flat --data-dir shared/data --out runs/flat",
        "versions": {"tinyloc": "0.1.0", "Python": "3.11.2", "numpy": "2.3.1", "torch": "2.9.0"},
        "seed": 1,
        "data": r.Data(
            name="flat",
            description="Scripted walks train, one walk validates, the unscripted days test.",
            licence="CC BY 4.0",
            citation="A. Author and B. Author, Rooms of a Flat, 2024",
            simulated=False,
            rooms=tuple(rooms),
            access_points=11,
            window_steps=20,
            seconds_per_step=1.0,
            state="reset",
        ),
        "windows": r.Windows(train=2210, validation=388, test=test),
        "model": r.Model(
            family="mamba",
            size="H8L1",
            scaling="zscore",
            precision="int8 weights, int16 activations",
            options={"state size": 16, "class weights": True, "learning rate": 0.003},
        ),
        "parameters": 2184,
        "f1_macro": scores,
        "accuracy": accuracy,
        "validation": r.Validation(
            f1_macro_float=0.902,
            f1_macro_integer=0.899,
            drop_points=0.3,
            costliest_operator=None,
            warning=False,
        ),
        "per_room": _rooms(rooms, confusion),
        "confusion": tuple(tuple(row) for row in confusion),
        "baselines": r.Baselines(
            forest300=r.Forest(
                f1_macro=0.779,
                accuracy=0.842,
                trees=300,
                flash_bytes=2_940_000,
                note="On each window's mean, spread, least and greatest RSSI.",
                ahead=r.Ahead(measured=0.09, low=0.0612, high=0.1208, block=20),
            ),
            forest_small=r.Forest(f1_macro=0.702, accuracy=0.788, trees=10, leaves=64, flash_bytes=11_200),
            knn=r.Neighbours(
                f1_macro=0.741,
                accuracy=0.811,
                k=5,
                ahead=r.Ahead(measured=0.128, low=-0.004, high=0.2, block=20),
            ),
        ),
        "device": r.Device(
            board="stm32l4",
            board_title="STM32L476 Nucleo",
            core="Cortex-M4F",
            tier="pip",
            identical_windows=test,
            windows=test,
            identical_steps=test * 20,
            steps=test * 20,
            tiers=(tier, other),
        ),
        "memory": r.Memory(
            flash_bytes=16690,
            text_bytes=9800,
            constants_bytes=5664,
            harness_bytes=1210,
            data_bytes=16,
            bss_bytes=1136,
            stack_bytes=312,
            ram_bytes=1464,
            state_bytes=1072,
            flash_budget_bytes=65536,
            ram_budget_bytes=32768,
        ),
        "instructions": r.Instructions(step=28410.0, window=568200.0),
        "cycles": r.Cycles(
            step=r.Bracket(low=31000, mid=36600, high=44100),
            window=r.Bracket(low=620000, mid=732000, high=882000),
        ),
        "energy": r.Energy(
            step_uj=r.Bracket(low=6.6, mid=11.0, high=18.5),
            average_uw=r.Bracket(low=6.6, mid=11.0, high=18.5),
            steps_per_second=1.0,
            assumptions=(
                "Cycle brackets from the Cortex-M4 technical reference manual, zero wait states.",
                "100 µA/MHz at 3 V (300 pJ a cycle), ±40 %.",
            ),
            battery="coin cell CR2032 of 225 mAh",
            battery_days=r.Bracket(low=1200, mid=2100, high=3600),
            radio=r.Radio(
                computing_ua=r.Bracket(low=2.6, mid=5.1, high=7.6),
                answering_ua=r.Bracket(low=0.3, mid=0.5, high=0.7),
                sending_ua=r.Bracket(low=3.0, mid=5.0, high=7.0),
                sending_together_ua=r.Bracket(low=3.0, mid=5.0, high=7.0),
                assumptions=("Radio: 0 dBm, ± 40 %.",),
            ),
        ),
        "fits": True,
        "room_changes": r.RoomChanges(true=21, predicted=34),
        "timeline": _timeline(K, 3, ("day 1", "day 2")),
    }
    return r.Result.model_validate({**fields, **changes})


def campus(**changes: object) -> r.Result:
    """60 areas, windows of one sample without order in time, a forest that wins, a costly quantisation."""
    names = [f"building {b} floor {f} cell {c}" for b in range(3) for f in range(4) for c in range(5)]
    confusion = _confusion(60, 0.78, 40, 2)
    base = small(names)
    test = int(np.sum(confusion))
    tier = base.device.tiers[0].model_copy(
        update={"identical_windows": test, "windows": test, "flash_bytes": 43_122, "ram_bytes": 2904}
    )
    fields: dict[str, object] = {
        "data": base.data.model_copy(
            update={
                "name": "uji",
                "description": "Rows of the training file train and validate, those of the second test.",
                "access_points": 520,
                "window_steps": 1,
                "seconds_per_step": 0.0,
            }
        ),
        "f1_macro": r.Scores(float_=0.794, integer=0.773, device=0.773),
        "accuracy": r.Scores(float_=0.832, integer=0.816, device=0.816),
        "validation": r.Validation(
            f1_macro_float=0.861,
            f1_macro_integer=0.840,
            drop_points=2.1,
            costliest_operator="embed (Linear 520 to 32)",
            warning=True,
        ),
        "per_room": _rooms(names, confusion),
        "confusion": tuple(tuple(row) for row in confusion),
        "windows": r.Windows(train=18012, validation=1925, test=test),
        "baselines": base.baselines.model_copy(
            update={
                "forest300": base.baselines.forest300.model_copy(
                    update={
                        "f1_macro": 0.891,
                        "accuracy": 0.921,
                        "ahead": r.Ahead(measured=-0.118, low=-0.15, high=-0.08, block=1),
                    }
                )
            }
        ),
        "device": base.device.model_copy(
            update={
                "identical_windows": test,
                "windows": test,
                "identical_steps": test,
                "steps": test,
                "tiers": (tier,),
            }
        ),
        "memory": base.memory.model_copy(
            update={"flash_bytes": 43_122, "constants_bytes": 32_096, "bss_bytes": 2576, "ram_bytes": 2904}
        ),
        "energy": base.energy.model_copy(update={"average_uw": None, "steps_per_second": None}),
        "room_changes": None,
        "timeline": (),
    }
    fields.update(changes)
    return r.Result.model_validate({**dict(base), **fields})
