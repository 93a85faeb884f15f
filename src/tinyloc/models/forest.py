"""A small forest of decision trees on window statistics: integers from end to end. No torch.

Every tree is a binary tree; a tree of n inner nodes has n + 1 leaves. Only inner nodes have a feature, a
threshold and a branch; a leaf is one byte, its room. Inner nodes of a tree stand in preorder (a node, all of
its left side, all of its right side), its leaves from left to right, tree after tree:

    feature   [N]      which of the features x the node asks for
    threshold [N]      x[feature] <= threshold goes left
    left      [N]      inner nodes on its left side, 0..254
    inner     [trees]  inner nodes of each tree, 0..255
    room      [N + trees]  the room each leaf votes for, 0..K - 1

So no node holds a pointer: the left side, if it has inner nodes, begins at the next node, and its leaves
begin where the node's own do; the right side begins `left` nodes and `left` + 1 leaves later. A side without
inner nodes is a leaf, and votes. The score of a room is the number of trees that vote for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyloc.errors import UsageError
from tinyloc.models.config import ForestConfig
from tinyloc.models.statistics import window_statistics

Arrays = Mapping[str, npt.NDArray[Any]]


def features(rssi: npt.NDArray[np.int8]) -> npt.NDArray[np.int16]:
    """`rssi` [W, T, P] int8 dBm, -128 = not heard -> x [W, F] int16: the statistics of `window_statistics`,
    F = 6 P; where a window is one sample (T = 1) the sample itself, F = P, -128 where not heard.
    """
    return rssi[:, 0].astype(np.int16) if rssi.shape[1] == 1 else window_statistics(rssi)


def feature_count(access_points: int, steps: int) -> int:
    """F of a window of `steps` samples."""
    return access_points if steps == 1 else 6 * access_points


def votes(parts: Arrays, x: npt.NDArray[Any], rooms: int) -> npt.NDArray[np.int64]:
    """`x` [W, F] -> how many trees vote for each room [W, K]. `parts`: the arrays of the head of this file,
    of any type, with whole numbers in them; they are taken as `check` has passed them.
    """
    feature, left, inner, room = (
        np.asarray(parts[name], np.int64) for name in ("feature", "left", "inner", "room")
    )
    threshold = parts["threshold"]
    scores, rows = np.zeros((len(x), rooms), np.int64), np.arange(len(x))
    first_node = first_leaf = 0
    for inside in inner:
        node, leaf, below = (np.full(len(x), int(n)) for n in (first_node, first_leaf, inside))
        while np.any(going := below > 0):
            at = np.where(going, node, 0)
            goes_left = x[rows, feature[at]] <= threshold[at]
            skipped = np.where(goes_left, 0, left[at])
            node = np.where(going, node + 1 + skipped, node)
            leaf = np.where(going & ~goes_left, leaf + skipped + 1, leaf)
            below = np.where(going, np.where(goes_left, left[at], below - 1 - skipped), 0)
        np.add.at(scores, (rows, room[leaf]), 1)
        first_node, first_leaf = first_node + int(inside), first_leaf + int(inside) + 1
    return scores


def fault(parts: Arrays, feature_total: int, rooms: int) -> str:
    """What is wrong with a forest's arrays, of any type, in a few words; empty where nothing is."""
    feature, threshold, left, inner, room = (
        np.asarray(parts[name]) for name in ("feature", "threshold", "left", "inner", "room")
    )
    if any(np.any(array != np.rint(array)) for array in (feature, threshold, left, inner, room)):
        return "holds a number that is not whole"
    if np.any(inner < 0) or np.any(inner > 255) or int(inner.sum()) != len(feature):
        return "has trees of other sizes than its nodes"
    if len(feature) != len(left) or len(room) != len(feature) + len(inner):
        return "has other leaves than its nodes have sides"
    if np.any(feature < 0) or np.any(feature >= feature_total):
        return "asks for a feature that is not there"
    if np.any(np.abs(threshold) > 32767):
        return "has a threshold beyond 16 bits"
    if np.any(room < 0) or np.any(room >= rooms):
        return "has a leaf of no room"
    at = 0
    for inside in inner.astype(np.int64):
        # a node stands for all that is below it: each must leave its left side no more than that
        below = [int(inside)]
        for side in left[at : at + int(inside)].astype(np.int64):
            size = below.pop()
            if not 0 <= side < size:
                return "has a branch that does not lead down"
            below += [part for part in (size - 1 - int(side), int(side)) if part]
        at += int(inside)
    return ""


def check(config: ForestConfig, weights: Arrays, steps: int) -> None:
    """Raise UsageError unless a checkpoint's weights are a forest for windows of `steps` samples."""
    found = fault(weights, feature_count(config.access_points, steps), config.rooms)
    if not found and weights["inner"].max() >= config.leaves:
        found = "has a tree of too many leaves"
    if not found and steps == 1 and np.abs(weights["threshold"]).max() > 127:
        found = "has a threshold that no sample reaches"
    if found:
        raise UsageError(f"the forest {found}")


def pack(trees: Sequence[Sequence[npt.NDArray[Any]]]) -> dict[str, npt.NDArray[np.float32]]:
    """The arrays of the head of this file, float32, from trees as (feature, threshold, left child, right
    child, room), one number a node, the root first; a left child below 0 marks a leaf.

    Thresholds go down to whole numbers: for whole x that changes no answer. A node whose two leaves have one
    room becomes that leaf.
    """
    parts: dict[str, list[int]] = {name: [] for name in ("feature", "threshold", "left", "inner", "room")}
    for feature, threshold, left, right, room in trees:
        size, answer = np.zeros(len(feature), np.int64), np.array(room, np.int64)
        below = [0]
        for node in below:  # parents first; the list grows as it is walked
            if left[node] >= 0:
                below += [int(left[node]), int(right[node])]
        for node in reversed(below):
            if left[node] >= 0:
                a, b = int(left[node]), int(right[node])
                if size[a] or size[b] or answer[a] != answer[b]:
                    size[node] = 1 + size[a] + size[b]
                else:
                    answer[node] = answer[a]
        parts["inner"].append(int(size[0]))
        open_nodes = [0]
        while open_nodes:
            node = open_nodes.pop()
            if not size[node]:
                parts["room"].append(int(answer[node]))
                continue
            parts["feature"].append(int(feature[node]))
            parts["threshold"].append(int(np.floor(threshold[node])))
            parts["left"].append(int(size[int(left[node])]))
            open_nodes += [int(right[node]), int(left[node])]
    return {name: np.array(values, np.float32) for name, values in parts.items()}


def full(config: ForestConfig, steps: int, seed: int = 0) -> dict[str, npt.NDArray[np.float32]]:
    """A forest of that shape with every leaf it may have, split at random: to know what its size costs."""
    rng = np.random.default_rng(seed)
    parts: dict[str, list[npt.NDArray[Any]]] = {"left": [], "inner": []}
    nodes = config.nodes
    for tree in range(config.trees):
        inside = nodes // config.trees + (tree < nodes % config.trees)
        left, below = [], [inside]
        for _ in range(inside):
            size = below.pop()
            left.append((size - 1) // 2)
            below += [part for part in (size // 2, (size - 1) // 2) if part]
        parts["left"].append(np.array(left, np.float32))
        parts["inner"].append(np.array([inside], np.float32))
    reach = (-110, -30) if steps == 1 else (-110 * 128, -30 * 128)
    return {
        "feature": rng.integers(0, feature_count(config.access_points, steps), nodes).astype(np.float32),
        "threshold": rng.integers(*reach, nodes).astype(np.float32),
        "left": np.concatenate(parts["left"]),
        "inner": np.concatenate(parts["inner"]),
        "room": rng.integers(0, config.rooms, nodes + config.trees).astype(np.float32),
    }
