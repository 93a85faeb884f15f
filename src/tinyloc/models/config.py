"""The shape of a model as numbers: what a checkpoint says before its weights. No torch here.

One frozen dataclass per family. Letters: P access points, K rooms, H model width, L layers, T steps of a
window. Every family's weights, by name, stand in a table at the head of `families.py`.
`statistics`: beside each sample the model reads what its window has said so far (`running.py`).
`stepwise`: the family runs sample by sample with a state. `per_step`: it answers at every step of a window,
not once for the window.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from tinyloc.errors import UsageError
from tinyloc.models.motion import MOTION_AXES
from tinyloc.models.running import columns

Shapes = dict[str, tuple[int, ...]]

MOST_TREES: Final = 1000
MOST_LEAVES: Final = 256
"""Leaves of one tree: its inner nodes are then counted in a byte."""
MOST_MEMBERS: Final = 16
"""Models that may answer together."""


@dataclass(frozen=True)
class MambaConfig:
    """Mamba "HxLy" of arXiv 2412.09289 (block: arXiv 2312.00752).

    `access_points` P, `rooms` K, `hidden` H, `layers` L, `state` N, `expand` E / H, `conv` taps of the causal
    convolution, `rank` R of the step size (0 means the paper's ceil(H / 16)). All at least 1. `crf`: a
    conditional random field over the steps' answers.
    """

    family: ClassVar[str] = "mamba"
    stepwise: ClassVar[bool] = True
    per_step: ClassVar[bool] = True

    access_points: int
    rooms: int
    hidden: int
    layers: int = 1
    state: int = 16
    expand: int = 2
    conv: int = 4
    rank: int = 0
    crf: bool = False
    statistics: bool = False

    def __post_init__(self) -> None:
        if type(self.hidden) is int and self.rank == 0:
            object.__setattr__(self, "rank", -(-self.hidden // 16))
        _check(self, "Mamba")

    @property
    def inner(self) -> int:
        """E, the width inside the block."""
        return self.expand * self.hidden

    @property
    def name(self) -> str:
        """The paper's name of the size: H8L1."""
        return f"H{self.hidden}L{self.layers}"

    def weight_shapes(self) -> Shapes:
        """Every weight's name and shape, in the order of the forward pass."""
        K, H, E, N, R = self.rooms, self.hidden, self.inner, self.state, self.rank
        shapes = _linear("embed", H, columns(self.access_points, self.statistics))
        for i in range(self.layers):
            layer = {
                "norm.weight": (H,),
                "in_proj.weight": (2 * E, H),
                "conv.weight": (E, self.conv),
                "conv.bias": (E,),
                "x_proj.weight": (R + 2 * N, E),
                "dt_proj.weight": (E, R),
                "dt_proj.bias": (E,),
                "A_log": (E, N),
                "D": (E,),
                "out_proj.weight": (H, E),
            }
            shapes |= _under(f"layers.{i}", layer)
        return shapes | {"head.weight": (K, H)} | _crf(self.crf, K)


@dataclass(frozen=True)
class MdcsaConfig:
    """MDCSA "HxLy" of arXiv 2412.09289 (model: arXiv 2308.02419).

    `access_points` P, `rooms` K, `hidden` H: at least 1. `layers` L: 1 (kernel 1) or 3 (kernels 1, 4, 7 side
    by side). `accelerometer`: the second modality's branch. `crf`: as in Mamba.
    """

    family: ClassVar[str] = "mdcsa"
    stepwise: ClassVar[bool] = False
    per_step: ClassVar[bool] = True

    access_points: int
    rooms: int
    hidden: int
    layers: int = 1
    accelerometer: bool = False
    crf: bool = False
    statistics: bool = False

    def __post_init__(self) -> None:
        _check(self, "MDCSA")
        if self.layers not in (1, 3):
            raise UsageError(f"MDCSA has 1 or 3 layers, not {self.layers}")

    @property
    def kernels(self) -> tuple[int, ...]:
        """The taps k of each block's convolutions."""
        return (1, 4, 7) if self.layers == 3 else (1,)

    @property
    def name(self) -> str:
        """The paper's name of the size: H8L1."""
        return f"H{self.hidden}L{self.layers}"

    def weight_shapes(self) -> Shapes:
        """Every weight's name and shape, in the order of the forward pass."""
        K, H, motion = self.rooms, self.hidden, self.accelerometer
        shapes = _linear("embed", H, columns(self.access_points, self.statistics))
        shapes |= _linear("embed_motion", H, MOTION_AXES) if motion else {}
        for j, taps in enumerate(self.kernels):
            block = _conv("query", H, taps) | _conv("key", H, taps) | _norm("norm1", H)
            if motion:
                block |= _conv("motion_query", H, taps) | _conv("motion_key", H, taps)
                block |= _norm("motion_norm", H) | {"grn.context.weight": (4 * H, H)}
            block |= _linear("grn.expand", 4 * H, H) | _linear("grn.mix", 4 * H, 4 * H)
            block |= _linear("grn.gate", 2 * H, 4 * H) | _norm("grn.norm", H)
            shapes |= _under(f"blocks.{j}", block)
        return shapes | _conv("join", H, 3) | _norm("norm", H) | _linear("head", K, H) | _crf(self.crf, K)


@dataclass(frozen=True)
class TransformerConfig:
    """A plain pre-norm encoder, mean over time (tfm1 and tfm2 are H 32, 2 heads, feed-forward 64, L 1 and 2).

    `access_points` P, `rooms` K, `steps` T (positions are learned), `hidden` H, `layers` L, `heads` that
    divide H, `feedforward` the inner width (0 means 2 H). All at least 1.
    """

    family: ClassVar[str] = "transformer"
    stepwise: ClassVar[bool] = False
    per_step: ClassVar[bool] = False

    access_points: int
    rooms: int
    steps: int
    hidden: int = 32
    layers: int = 1
    heads: int = 2
    feedforward: int = 0
    statistics: bool = False

    def __post_init__(self) -> None:
        if type(self.hidden) is int and self.feedforward == 0:
            object.__setattr__(self, "feedforward", 2 * self.hidden)
        _check(self, "the transformer")
        if self.hidden % self.heads:
            raise UsageError(
                f"the transformer's width {self.hidden} cannot be divided among {self.heads} heads"
            )

    @property
    def name(self) -> str:
        """The size: H32L1."""
        return f"H{self.hidden}L{self.layers}"

    def weight_shapes(self) -> Shapes:
        """Every weight's name and shape, in the order of the forward pass."""
        H, F = self.hidden, self.feedforward
        shapes = _linear("embed", H, columns(self.access_points, self.statistics))
        shapes |= {"position": (self.steps, H)}
        for i in range(self.layers):
            layer = _norm("norm1", H)
            for part in ("q", "k", "v", "out"):
                layer |= _linear(part, H, H)
            layer |= _norm("norm2", H) | _linear("ff1", F, H) | _linear("ff2", H, F)
            shapes |= _under(f"layers.{i}", layer)
        return shapes | _norm("norm", H) | _linear("head", self.rooms, H)


@dataclass(frozen=True)
class StatnetConfig:
    """A small network on a window's statistics (`statistics.py`): 6 P numbers -> H, ReLU -> K.

    `access_points` P, `rooms` K, `hidden` H: at least 1.
    """

    family: ClassVar[str] = "statnet"
    stepwise: ClassVar[bool] = False
    per_step: ClassVar[bool] = False
    layers: ClassVar[int] = 1

    access_points: int
    rooms: int
    hidden: int = 32

    def __post_init__(self) -> None:
        _check(self, "the statistics network")

    @property
    def features(self) -> int:
        """F, the numbers that one window becomes: 6 P."""
        return 6 * self.access_points

    @property
    def name(self) -> str:
        """The size: H32."""
        return f"H{self.hidden}"

    def weight_shapes(self) -> Shapes:
        """Every weight's name and shape, in the order of the forward pass."""
        F, H = self.features, self.hidden
        return {"offset": (F,), "gain": (F,)} | _linear("hidden", H, F) | _linear("head", self.rooms, H)


@dataclass(frozen=True)
class MlpConfig:
    """A small network on each sample, mean over time: P -> H, L times with LayerNorm and ReLU, -> K.

    `access_points` P, `rooms` K, `hidden` H, `layers` L: at least 1.
    """

    family: ClassVar[str] = "mlp"
    stepwise: ClassVar[bool] = False
    per_step: ClassVar[bool] = False

    access_points: int
    rooms: int
    hidden: int = 16
    layers: int = 1
    statistics: bool = False

    def __post_init__(self) -> None:
        _check(self, "the MLP")

    @property
    def name(self) -> str:
        """The size: H16L1."""
        return f"H{self.hidden}L{self.layers}"

    def weight_shapes(self) -> Shapes:
        """Every weight's name and shape, in the order of the forward pass."""
        H = self.hidden
        shapes = _linear("embed", H, columns(self.access_points, self.statistics)) | _norm("norm", H)
        for i in range(self.layers - 1):
            shapes |= _under(f"layers.{i}", _linear("linear", H, H) | _norm("norm", H))
        return shapes | _linear("head", self.rooms, H)


@dataclass(frozen=True)
class ForestConfig:
    """A small forest of decision trees on a window's statistics (`forest.py`): 6 P numbers -> votes for K
    rooms; P numbers where a window is one sample.

    `access_points` P, `rooms` K: at least 1. `trees` 1 to 1,000, each with at most `leaves` leaves, 2 to 256.
    `nodes` N: the inner nodes of all trees together (0 means all that there may be: trees x (leaves - 1));
    there are N + trees leaves. Its parameters are a feature and a threshold for each inner node and a room
    for each leaf: 3 N + trees.
    """

    family: ClassVar[str] = "forest"
    stepwise: ClassVar[bool] = False
    per_step: ClassVar[bool] = False

    access_points: int
    rooms: int
    trees: int = 10
    leaves: int = 64
    nodes: int = 0

    def __post_init__(self) -> None:
        whole = type(self.trees) is int and type(self.leaves) is int
        if whole and type(self.nodes) is int and self.nodes == 0:
            object.__setattr__(self, "nodes", max(1, self.trees * (self.leaves - 1)))
        _check(self, "the forest")
        if self.trees > MOST_TREES:
            raise UsageError(f"a forest has at most {MOST_TREES:,} trees, not {self.trees:,}")
        if not 2 <= self.leaves <= MOST_LEAVES:
            raise UsageError(f"a forest's trees have 2 to {MOST_LEAVES} leaves, not {self.leaves}")
        if self.nodes > self.trees * (self.leaves - 1):
            raise UsageError(f"{self.trees} trees of {self.leaves} leaves cannot have {self.nodes} nodes")

    @property
    def name(self) -> str:
        """The size, trees by leaves: 10x64."""
        return f"{self.trees}x{self.leaves}"

    def weight_shapes(self) -> Shapes:
        """Every array's name and shape."""
        N = self.nodes
        return {
            "feature": (N,),
            "threshold": (N,),
            "left": (N,),
            "inner": (self.trees,),
            "room": (N + self.trees,),
        }


Single = MambaConfig | MdcsaConfig | TransformerConfig | StatnetConfig | MlpConfig | ForestConfig
"""One model."""

SINGLES: Final[Mapping[str, type[Single]]] = {
    config.family: config
    for config in (MambaConfig, MdcsaConfig, TransformerConfig, StatnetConfig, MlpConfig, ForestConfig)
}


@dataclass(frozen=True)
class EnsembleConfig:
    """Several models that answer together: their scores are weighed and added (`ensemble.py`).

    `access_points` P, `rooms` K as in each of its `members`, 2 to 16 models of any other family without a CRF
    and without an accelerometer; `scalings`: the kind of each member's input scaling (`scaling.py`). Members
    may be given as a file has them: tables with a `family` and its fields.
    """

    family: ClassVar[str] = "ensemble"
    per_step: ClassVar[bool] = False

    access_points: int
    rooms: int
    members: tuple[Single, ...]
    scalings: tuple[str, ...]

    def __post_init__(self) -> None:
        members = tuple(_member(one) for one in self.members)
        object.__setattr__(self, "members", members)
        object.__setattr__(self, "scalings", tuple(self.scalings))
        if not 2 <= len(members) <= MOST_MEMBERS or len(self.scalings) != len(members):
            raise UsageError(
                f"an ensemble has 2 to {MOST_MEMBERS} members, each with a scaling, not {len(members)} with "
                f"{len(self.scalings)}"
            )
        for one in members:
            if (one.access_points, one.rooms) != (self.access_points, self.rooms):
                raise UsageError("the members of an ensemble hear the same access points in the same rooms")
            if getattr(one, "crf", False) or getattr(one, "accelerometer", False):
                raise UsageError(
                    f"a member of an ensemble ({one.family} {one.name}) has no CRF and no accelerometer"
                )

    @property
    def stepwise(self) -> bool:
        """Whether it runs sample by sample with a state: where all of its members do."""
        return all(one.stepwise for one in self.members)

    @property
    def name(self) -> str:
        """Its members, equal ones counted: "3 mamba H8L1 + statnet H32"."""
        names = [f"{one.family} {one.name}" for one in self.members]
        counted = {name: names.count(name) for name in names}
        return " + ".join(name if many == 1 else f"{many} {name}" for name, many in counted.items())

    def weight_shapes(self) -> Shapes:
        """Every array's name and shape: how much each member's scores count, then member by member its
        weights and its input scaling.
        """
        shapes: Shapes = {"shares": (len(self.members),)}
        for i, one in enumerate(self.members):
            wide = columns(self.access_points, reads_statistics(one))
            scaling = {"scaling.table": (256,), "scaling.offset": (wide,), "scaling.gain": (wide,)}
            shapes |= _under(f"members.{i}", one.weight_shapes() | scaling)
        return shapes


Config = Single | EnsembleConfig

CONFIGS: Final[Mapping[str, type[Config]]] = {**SINGLES, EnsembleConfig.family: EnsembleConfig}
"""Every family of models, by name."""

_FITTED: Final = {"offset", "gain", "left", "inner"}
"""Weights that are measured on training windows or say where a tree's branches lead: they do not count as
parameters."""


def is_network(family: str) -> bool:
    """Whether a family has a floating-point network, with gradients, under its integers."""
    return family not in (ForestConfig.family, EnsembleConfig.family)


def no_network(family: str, what: str, *, members: bool = False) -> UsageError:
    """The error for what only a network can have done to it; `members`: it, or one of its members."""
    who = f"no member of this {family} is a" if members else f"the family {family!r} is no"
    return UsageError(
        f"{who} network in floating point: {what}",
        hint=f"Take one of {', '.join(name for name in CONFIGS if is_network(name))}.",
    )


def facts(config: Config) -> dict[str, Any]:
    """The fields for a file; a CRF and running statistics are named only where there are any."""
    if isinstance(config, EnsembleConfig):
        members = [{"family": one.family, **facts(one)} for one in config.members]
        return {
            "access_points": config.access_points,
            "rooms": config.rooms,
            "members": members,
            "scalings": list(config.scalings),
        }
    fields = dataclasses.asdict(config)
    return {name: value for name, value in fields.items() if name not in ("crf", "statistics") or value}


def parameters(config: Config) -> int:
    """How many weights a model of this shape learns, its CRF included where it has one."""
    if isinstance(config, EnsembleConfig):
        return sum(parameters(one) for one in config.members)
    return sum(math.prod(size) for name, size in config.weight_shapes().items() if name not in _FITTED)


def parameters_paper(config: Config) -> int | None:
    """The count that arXiv 2412.09289 reports: with its CRF of K^2 transitions, K starts and K ends, whether
    `config` has one or not, and with the weights of each MDCSA block that signal strength alone never uses
    (a second modality's convolutions, norm and context: (2 k + 4) H^2 + 4 H); without running statistics,
    which the paper's models do not read. None for a family that the paper does not have.
    """
    crf = config.rooms**2 + 2 * config.rooms
    if isinstance(config, MdcsaConfig):
        P, K, H = config.access_points, config.rooms, config.hidden
        blocks = sum(32 * H**2 + 12 * H + 4 * (taps * H**2 + H) + 4 * H for taps in config.kernels)
        return P * H + H + blocks + 3 * H**2 + H + 2 * H + K * H + K + crf
    if isinstance(config, MambaConfig):
        return parameters(dataclasses.replace(config, crf=False, statistics=False)) + crf
    return None


def describe(config: Config) -> dict[str, Any]:
    """JSON-able facts about a shape: `family`, `size`, the config's fields, `parameters` and, None where the
    paper has no such family, `parameters_paper`.
    """
    fields = facts(config) if isinstance(config, EnsembleConfig) else dataclasses.asdict(config)
    return {
        "family": config.family,
        "size": config.name,
        **{name: value for name, value in fields.items() if name != "statistics" or value},
        "parameters": parameters(config),
        "parameters_paper": parameters_paper(config),
    }


def reads_motion(config: Config) -> bool:
    """Whether a model of this shape reads an accelerometer beside the signals."""
    return isinstance(config, MdcsaConfig) and config.accelerometer


def reads_statistics(config: Config) -> bool:
    """Whether a model of this shape reads running statistics beside the samples: 3 P numbers a step."""
    return not isinstance(config, StatnetConfig | ForestConfig | EnsembleConfig) and config.statistics


def no_statistics(family: str) -> UsageError:
    """The error for running statistics asked of a family that reads a whole window's."""
    return UsageError(
        f"the family {family!r} reads the statistics of whole windows as it is",
        hint="Leave statistics=true out, or take another family.",
    )


def remembers_for_ever() -> UsageError:
    """The error for running statistics where no window ever begins."""
    return UsageError(
        "running statistics begin anew with each window: a carried state would keep its maximum for ever",
        hint="Use the state 'reset', or leave statistics=true out.",
    )


def carries_no_state(family: str) -> UsageError:
    """The error for a state that is to be carried by a family that keeps none."""
    return UsageError(
        f"the family {family!r} sees whole windows and keeps no state that could be carried",
        hint="Use the state 'reset', or the family 'mamba', in an ensemble for every member.",
    )


def _member(value: Single | Mapping[str, Any]) -> Single:
    """A member of an ensemble, or what a file says of it."""
    if isinstance(value, Single):
        return value
    fields = dict(value) if isinstance(value, Mapping) else {}
    family = SINGLES.get(str(fields.pop("family", None)))
    if family is None:
        raise UsageError(f"a member of an ensemble is one of {', '.join(SINGLES)}")
    return family(**fields)


def _check(config: Single, who: str) -> None:
    """Raise UsageError unless every field is a whole number of at least 1, or a bool where that is asked."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.type == "bool":
            if type(value) is not bool:
                raise UsageError(f"{who}'s {field.name} must be true or false, not {value!r}")
        elif type(value) is not int or value < 1:
            raise UsageError(f"{who}'s {field.name} must be a whole number of at least 1, not {value!r}")


def _linear(name: str, out: int, into: int) -> Shapes:
    return {f"{name}.weight": (out, into), f"{name}.bias": (out,)}


def _conv(name: str, width: int, taps: int) -> Shapes:
    return {f"{name}.weight": (width, width, taps), f"{name}.bias": (width,)}


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _under(name: str, shapes: Shapes) -> Shapes:
    return {f"{name}.{part}": shape for part, shape in shapes.items()}


def _crf(wanted: bool, rooms: int) -> Shapes:
    parts = {"crf.transitions": (rooms, rooms), "crf.start": (rooms,), "crf.end": (rooms,)}
    return parts if wanted else {}
