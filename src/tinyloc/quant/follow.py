"""An integer model that follows its receivers as they drift: what it has to know, from training windows."""

from __future__ import annotations

import dataclasses
from typing import Final

import numpy as np
import numpy.typing as npt

from tinyloc.data.windows import Windows
from tinyloc.errors import UsageError
from tinyloc.models.scaling import NOT_HEARD
from tinyloc.quant.decision import hop_steps
from tinyloc.quant.follow_operators import FOLLOWED, MOST_RATE, UNITS, Follow
from tinyloc.quant.graph import Graph
from tinyloc.quant.operator import SAMPLE, Operator

SECONDS: Final = 256.0
"""How long it takes to learn 63 % of what a receiver is off by, s; with answers less than half a second apart
it takes 256 of them (docs/LOG.md).
"""
LEAST_HEARD: Final = 0.25
"""The share of a room's samples in which an access point must be heard to have a mean there."""


def impossible(state: str, windows: Windows) -> str:
    """Why a model of these windows, its `state` "reset" or "carried", cannot follow its receivers, in a
    sentence; empty where it can.
    """
    if windows.seconds_per_step <= 0:
        return "single samples have no order in time: no drift can be followed over them"
    if state == "carried" and hop_steps(windows) > windows.steps:
        return "windows that stand apart are no stream: no drift can be followed over them"
    return ""


def following(graph: Graph, train: Windows, hop: int) -> Graph:
    """`graph` as one that follows its receivers. `train`: the windows that it learned from; `hop`: the steps
    from one answer to the next, at most T where the state is carried. Raises UsageError for single samples.
    """
    if train.seconds_per_step <= 0:
        raise UsageError(f"follow: {impossible(graph.state, train)}", hint="Leave it out.")
    means, rate = room_means(train.only(graph.access_points)), rate_for(hop * train.seconds_per_step)
    first = Follow("follow", SAMPLE, FOLLOWED, means, rate, hop)
    sample = graph.tensor(SAMPLE)
    tensors = (sample, dataclasses.replace(sample, name=FOLLOWED))
    others = tuple(tensor for tensor in graph.tensors if tensor.name != SAMPLE)
    operators = (first, *map(_behind, graph.operators))
    return dataclasses.replace(graph, tensors=(*tensors, *others), operators=operators).check()


def rate_for(seconds: float) -> int:
    """The rate of a model that answers every so many seconds."""
    return int(np.clip(round(UNITS * seconds / SECONDS), 1, MOST_RATE))


def _behind(operator: Operator) -> Operator:
    """The operator, reading what is followed in place of the sample."""
    read = {
        field.name: FOLLOWED
        for field in dataclasses.fields(operator)
        if isinstance(value := getattr(operator, field.name), str) and value == SAMPLE
    }
    return dataclasses.replace(operator, **read) if read else operator


def room_means(train: Windows) -> npt.NDArray[np.int8]:
    """[K, P] dBm: the mean of what each access point is heard at in each room, rounded; -128 where it is
    heard there in less than a quarter of the samples, or nobody ever was there.
    """
    count, points = len(train.rooms), len(train.access_points)
    means = np.full((count, points), NOT_HEARD, np.int8)
    for room in range(count):
        there = train.rssi[train.rooms_at == room].astype(np.float64)  # [N, P]
        heard = there != NOT_HEARD
        enough = heard.sum(axis=0) > LEAST_HEARD * max(len(there), 1)
        total = np.where(heard, there, 0.0).sum(axis=0)
        found = np.rint(total / np.maximum(heard.sum(axis=0), 1))
        means[room] = np.where(enough, found, NOT_HEARD)
    return means
