"""emlearn and tinyloc on the emulated chip: the same trees, of one scikit-learn forest, on single samples."""

from __future__ import annotations

import pickle
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from peers_common import PeerError, Row, chip_row, in_peers
from sklearn.ensemble import RandomForestClassifier

from tinyloc.emit import emit
from tinyloc.errors import TinylocError
from tinyloc.learn.forest import arrays
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.models.config import ForestConfig
from tinyloc.models.scaling import InputScaling
from tinyloc.quant.lower import lower

POINTS, ROOMS, TREES, LEAVES = 11, 9, 10, 64

ADAPTER = """\
/* A peer's model behind the calls that the harness makes. */
#include "peer_quietly.h"
#include "tinyloc_model.h"

void tinyloc_init(tinyloc_state *state) {{ state->nothing = 0; }}
void tinyloc_restart(tinyloc_state *state) {{ state->nothing = 0; }}

void tinyloc_step(tinyloc_state *state, const int8_t *sample, tinyloc_result *result)
{{
    int16_t features[{count}];
    int room = 0;
    (void)state;
    for (int i = 0; i < {count}; i++) {{
        features[i] = sample[i];
    }}
    room = {call};
    for (int i = 0; i < TINYLOC_ROOMS; i++) {{
        result->scores[i] = (int16_t)(i == room);
    }}
    result->room = (uint8_t)room;
    result->settled = (uint8_t)room;
}}
"""
HEADER = """\
#ifndef TINYLOC_MODEL_H
#define TINYLOC_MODEL_H
#include <stdint.h>
#define TINYLOC_SAMPLE_BYTES {points}
#define TINYLOC_ROOMS {rooms}
#define TINYLOC_WINDOW_STEPS 1
typedef struct {{ int32_t nothing; }} tinyloc_state;
typedef struct {{ int16_t scores[TINYLOC_ROOMS]; uint8_t room; uint8_t settled; }} tinyloc_result;
void tinyloc_init(tinyloc_state *state);
void tinyloc_restart(tinyloc_state *state);
void tinyloc_step(tinyloc_state *state, const int8_t *sample, tinyloc_result *result);
#endif
"""


def emlearn_c(model: Any, way: str, call: str, folder: Path) -> Path:
    """What emlearn makes of a scikit-learn model, with the adapter, in one folder."""
    folder.mkdir()
    (folder / "model.pickle").write_bytes(pickle.dumps(model))
    in_peers("peers_emlearn.py", str(folder / "model.pickle"), str(folder / "peer.h"), way)
    include = Path((folder / "peer.h.include").read_text())
    for header in include.glob("*.h"):
        shutil.copy(header, folder)
    quietly = '#pragma GCC system_header\n#include "peer.h"\n'  # our warnings are not a peer's
    (folder / "peer_quietly.h").write_text(quietly)
    (folder / "tinyloc_model.h").write_text(HEADER.format(points=POINTS, rooms=ROOMS))
    (folder / "tinyloc_model.c").write_text(ADAPTER.format(count=POINTS, call=call))
    for leftover in ("model.pickle", "peer.h.include"):
        (folder / leftover).unlink()
    return folder


def forests(count: int) -> list[Row]:
    """Ten trees on single samples, grown once: ours and emlearn's two forms of them."""
    rng = np.random.default_rng(0)
    places = rng.uniform(-95, -45, (ROOMS, POINTS))
    room = rng.integers(0, ROOMS, 4000)
    x = np.clip(np.rint(places[room] + rng.normal(0, 9, (4000, POINTS))), -120, -20).astype(np.int8)
    model = RandomForestClassifier(TREES, max_leaf_nodes=LEAVES, random_state=0).fit(x.astype("f4"), room)
    fresh = np.clip(np.rint(places[room] + rng.normal(0, 9, (4000, POINTS))), -120, -20).astype(np.int8)
    rssi = fresh[:count, None, :]
    votes = np.stack([tree.predict(fresh[:count].astype("f4")) for tree in model.estimators_])
    wanted = np.array([np.bincount(column.astype(int), minlength=ROOMS).argmax() for column in votes.T])
    weights = arrays(model)
    config = ForestConfig(POINTS, ROOMS, TREES, LEAVES, nodes=len(weights["feature"]))
    names = tuple(f"room {i}" for i in range(ROOMS)), tuple(f"ap {i}" for i in range(POINTS))
    table = np.arange(-128, 128, dtype=np.float32)
    scaling = InputScaling("minmax", table, np.zeros(POINTS, "f4"), np.ones(POINTS, "f4"))
    ours = Checkpoint(config, scaling, weights, *names, 1, 0.2, "reset", {})
    graph = lower(ours, x[:500, None, :], "int16")
    leaves, note = sum(tree.get_n_leaves() for tree in model.estimators_), "one tree, one vote"
    name = f"forest, {TREES} trees, {leaves} leaves, {POINTS} features"
    with tempfile.TemporaryDirectory(prefix="tinyloc-peers-") as scratch:
        emit(graph, Path(scratch) / "ours")
        rows = [chip_row(name, "tinyloc", Path(scratch) / "ours", rssi, wanted, note)]
        for way, call in (
            ("inline", f"peer_predict(features, {POINTS})"),
            ("loadable", f"eml_trees_predict(&peer, features, {POINTS})"),
        ):
            tool = f"emlearn 0.23.2, {way}, int16"
            try:
                folder = emlearn_c(model, way, call, Path(scratch) / way)
                rows.append(chip_row(name, tool, folder, rssi, wanted, note))
            except (PeerError, TinylocError) as error:
                rows.append(Row(name, tool, note=f"failed: {error}"))
    return rows
