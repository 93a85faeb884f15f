"""Which options of training a family does not read: what would have no effect is refused, not ignored."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Final

from tinyloc.learn.options import TrainOptions
from tinyloc.models.config import (
    CONFIGS,
    EnsembleConfig,
    ForestConfig,
    MambaConfig,
    MdcsaConfig,
    MlpConfig,
    StatnetConfig,
    TransformerConfig,
    is_network,
)

_NETWORKS: Final = tuple(filter(is_network, CONFIGS))
_CARRIED: Final = tuple(name for name in _NETWORKS if CONFIGS[name].stepwise)

READ_BY: Final[dict[str, tuple[str, ...]]] = {
    "state_size": (MambaConfig.family,),
    "expand": (MambaConfig.family,),
    "heads": (TransformerConfig.family,),
    "feedforward": (TransformerConfig.family,),
    "dropout": (MdcsaConfig.family, TransformerConfig.family, StatnetConfig.family, MlpConfig.family),
    "trees": (ForestConfig.family,),
    "leaves": (ForestConfig.family,),
    "loss": tuple(name for name in _NETWORKS if CONFIGS[name].per_step),
    **dict.fromkeys(("chunk_steps", "past_steps", "piece_steps"), _CARRIED),
    **dict.fromkeys(
        (
            "hidden", "layers", "steps", "batch", "rate", "warmup", "weight_decay", "clip", "class_weights",
            "scaling", "evaluations", "patience", "augmentation", "device", "positions",
        ),
        _NETWORKS,
    ),
}  # fmt: skip
"""The families that read an option, for each option that not all do."""

_SHAPE: Final = ("hidden", "layers", "trees", "leaves")
"""What each member of an ensemble says of itself."""


def unread(options: TrainOptions, teachers: Iterable[str] = ()) -> dict[str, str]:
    """The options that are not as usual and that nothing reads, each with why: by their names in
    `TrainOptions`, in its order. What cannot be at all is refused by `TrainOptions` itself.

    `teachers`: the families of the networks that teach the model, and are trained as it is but for the shape.
    """
    found, families = {}, options.families
    shaped, trained = set(families), {*families, *teachers}
    for field in dataclasses.fields(TrainOptions):
        name = field.name
        if getattr(options, name) == field.default:
            continue
        if options.family == EnsembleConfig.family and name in _SHAPE:
            found[name] = "each member of an ensemble has its own"
        elif not set(READ_BY.get(name, families)) & (shaped if name in _SHAPE else trained):
            alone = f"the family {options.family!r} does not read it"
            found[name] = "no member of this ensemble reads it" if options.members else alone
        elif name in ("chunk_steps", "past_steps") and options.state != "carried":
            found[name] = "it is of a carried state, and this one is reset"
        elif name == "loss" and options.state == "carried":
            found[name] = "a carried state learns at every annotated step"
    return found
