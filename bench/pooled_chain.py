"""Would a chain over several models' summed scores be better than each with a chain of its own?

`python bench/pooled_chain.py --data flat --data-dir DIR [--paper]` trains Mambas H8L1 with a CRF and
compares, in floating point, macro-F1 of one, and of three together: the scores of each one's best paths added
(what an ensemble could do of them), one CRF whose every score is the weighed sum of theirs (Smith, Cohn,
Osborne, "Logarithmic opinion pools for conditional random fields", ACL 2005), and their logits added without
a chain.
On validation, and on the recordings that select where the data set has some: no test window is answered.
`--paper` trains as arXiv 2412.09289 does, without a teacher.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tinyloc.data import load_material
from tinyloc.data.folds import build_selection
from tinyloc.data.splits import build_sets
from tinyloc.data.windows import Windows
from tinyloc.learn.options import Augmentation, TrainOptions
from tinyloc.learn.train import train
from tinyloc.metrics import macro_f1
from tinyloc.models import families
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.models.crf import Crf
from tinyloc.models.ensemble import share

WAYS = ("path scores added", "one chain, pooled", "no chain")


def said(model: Checkpoint, windows: Windows) -> tuple[torch.Tensor, Crf]:
    """The logits [W, T, K] of a model with a CRF, and that."""
    network = families.from_weights(model.config, model.weights).eval()
    given = families.inputs(model.config, model.scaling, windows.only(model.access_points).rssi)
    logits = network(*(torch.from_numpy(part) for part in given))
    assert network.crf is not None
    return logits, network.crf


def together(
    parts: list[tuple[torch.Tensor, Crf]], shares: list[float]
) -> dict[str, npt.NDArray[np.floating[Any]]]:
    """The scores [W, K] at the last step, by each way."""
    pooled = Crf(parts[0][0].shape[-1])
    for name in ("transitions", "start", "end"):
        own = sum(one * getattr(crf, name) for one, (_, crf) in zip(shares, parts, strict=True))
        setattr(pooled, name, torch.nn.Parameter(own))
    logits = sum(one * scores for one, (scores, _) in zip(shares, parts, strict=True))
    paths = sum(one * crf.answers(scores)[:, -1] for one, (scores, crf) in zip(shares, parts, strict=True))
    assert isinstance(logits, torch.Tensor)
    assert isinstance(paths, torch.Tensor)
    found = (paths, pooled.answers(logits)[:, -1], logits[:, -1])
    return {way: scores.numpy() for way, scores in zip(WAYS, found, strict=True)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="flat")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--paper", action="store_true")
    given = parser.parse_args()
    torch.set_grad_enabled(False)
    material = load_material(given.data, data_dir=given.data_dir)
    sets, selecting = build_sets(material), build_selection(material)
    asked = {"validation": sets.validation} | ({"select": selecting.validation} if selecting else {})
    how: dict[str, Any] = {"scaling": "zscore", "augmentation": Augmentation(0.25, 0.25)}
    if given.paper:
        how = {"scaling": "minmax", "augmentation": Augmentation()}
    with torch.enable_grad():
        models = [train(sets, TrainOptions(crf=True, seed=seed, **how)) for seed in range(given.seeds)]
    shares = []
    for model in models:
        logits, crf = said(model, sets.validation)
        shares.append(share(crf.answers(logits)[:, -1].numpy()))
    print("| windows | models | " + " | ".join(WAYS) + " |\n|---|---|" + "---|" * len(WAYS))
    for where, windows in asked.items():
        parts = [said(model, windows) for model in models]
        for many in (1, 3):
            rows = []
            for chosen in itertools.combinations(range(len(models)), many):
                found = together([parts[i] for i in chosen], [shares[i] for i in chosen])
                rows.append([100 * macro_f1(windows.room, found[way].argmax(axis=1)) for way in WAYS])
            means = " | ".join(f"{mean:.1f}" for mean in np.mean(rows, axis=0))
            print(f"| {where} | {many} | {means} |", flush=True)


if __name__ == "__main__":
    main()
