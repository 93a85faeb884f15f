"""How to train: one frozen set of options, and the defaults that the training windows themselves suggest."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from tinyloc.data.windows import Windows
from tinyloc.errors import UsageError
from tinyloc.learn.members import Member, members_known
from tinyloc.models.checkpoint import State
from tinyloc.models.config import (
    CONFIGS,
    MOST_MEMBERS,
    Config,
    EnsembleConfig,
    ForestConfig,
    MambaConfig,
    MdcsaConfig,
    MlpConfig,
    StatnetConfig,
    TransformerConfig,
    carries_no_state,
    is_network,
    no_network,
    no_statistics,
    remembers_for_ever,
)
from tinyloc.models.scaling import KINDS, NOT_HEARD, Kind, heard_fraction

SPARSE_BELOW: Final = 0.3
"""Windows are sparse (Wi-Fi of a whole campus) when less than this share of their samples is heard."""

Loss = Literal["all", "last"]
Device = Literal["cpu", "cuda", "auto"]
Teaching = Literal["paper", "soft", "marginals", "features"]


@dataclass(frozen=True)
class Augmentation:
    """What is done to training windows, anew each time one is drawn. All 0: nothing.

    `offset`: one draw per window for all access points, `jitter`: one per sample, `shadowing`: slow fading,
    for each access point by itself (`augment.shadows`), all normal, in shares of each access point's own
    spread (standard deviation in dB over the training windows). `packets`: chance of each sample to be lost.
    `access_points`: chance of each access point to be lost for a whole window.
    """

    offset: float = 0.0
    jitter: float = 0.0
    packets: float = 0.0
    access_points: float = 0.0
    shadowing: float = 0.0

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if not 0 <= value < np.inf:
                name = name.replace("_", " ")
                raise UsageError(f"augmentation by {name} is {value:g}: expected a number of at least 0")
        if self.packets >= 1 or self.access_points >= 1:
            raise UsageError("the chance to lose a packet or an access point must be below 1")


@dataclass(frozen=True)
class Distil:
    """Learning from a teacher as well (`distil.py` has the equations).

    `kind`: "paper" from its rooms, "soft" from its softened probabilities, "marginals" from those of its CRF,
    "features" from what stands before its last layer.
    `teacher`: its digest (`teachers.digest`). `tau`: the temperature of "soft", above 0; 1 for the others.
    `alpha`: the teacher's share of the loss, above 0 and at most 1; the paper's is 0.9.
    """

    kind: Teaching
    teacher: str
    tau: float = 1.0
    alpha: float = 0.9

    def __post_init__(self) -> None:
        if self.kind not in get_args(Teaching):
            raise UsageError(f"distillation {self.kind!r} is none of {', '.join(get_args(Teaching))}")
        if not (0 < self.tau < np.inf and 0 < self.alpha <= 1):
            raise UsageError("distillation needs a tau above 0 and an alpha above 0 and at most 1")
        if self.tau != 1 and self.kind != "soft":
            raise UsageError(f"distillation {self.kind!r} has no temperature: its tau is 1")


RATES: Final = {
    "mamba": 1e-2, "mdcsa": 1e-2, "transformer": 3e-3, "statnet": 1e-2, "mlp": 1e-2, "forest": 1.0,
    "ensemble": 1.0,
}  # fmt: skip
"""Each family's rate of AdamW, where nothing else is asked; an ensemble's members have their own."""

DROPOUTS: Final = {
    "mamba": 0.0, "mdcsa": 0.3, "transformer": 0.1, "statnet": 0.0, "mlp": 0.0, "forest": 0.0,
    "ensemble": 0.0,
}  # fmt: skip
"""Each family's dropout, where nothing else is asked."""

# The defaults, chosen on validation windows (docs/LOG.md has the tables).
DENSE_STEPS: Final = 800
DENSE_BATCH: Final = 64
DENSE_AUGMENTATIONS: Final = tuple(Augmentation(offset=share, jitter=share) for share in (0.0, 0.25, 0.5))
MAMBA_AUGMENTATIONS: Final = (*DENSE_AUGMENTATIONS, Augmentation(offset=0.25, jitter=0.25, shadowing=0.5))
SPARSE_EPOCHS: Final = 40
SPARSE_BATCH: Final = 128
SPARSE_AUGMENTATION: Final = Augmentation(offset=0.5, jitter=0.4, access_points=0.25)
SPARSE_CLASS_WEIGHTS: Final = 0.5
STATNET_CLASS_WEIGHTS: Final = 1.0
MEMBER_SEEDS: Final = 1000
"""Between the seeds of an ensemble's members of one shape: beyond those that a study repeats itself with."""


@dataclass(frozen=True)
class TrainOptions:
    """Everything that decides what training yields, beside the windows.

    Model: its `family`, `hidden` H, `layers` L; Mamba's `state_size` N and `expand` E / H; the transformer's
    `heads` and `feedforward` width (0: 2 H); MDCSA's `accelerometer` branch; `crf`: a chain over the steps'
    answers, trained by its likelihood, with Viterbi's last room as the answer. `seed` of everything random.
    `steps` updates of each trial, `batch` windows each (0: chosen by the windows). AdamW at `rate` (None: the
    family's), warmed up over the share `warmup` of the steps, then along a cosine to 0; `weight_decay`;
    gradients clipped to the norm `clip`; `dropout` 0 to below 1 (None: the family's). `class_weights`: 0
    counts windows alike, 1 counts rooms alike, between is between (None: 0.5 where windows are sparse, else 1
    for the statistics network and 0 for the others; 0 with a CRF); a teacher's rooms count so too. `loss`: at
    "all" annotated steps or at the "last" one. `scaling`: one kind, or "auto": candidates by the windows,
    each `restarts` times, and validation macro-F1 decides. `evaluations`: how often a trial is validated on
    its way; the best of them is kept; `patience`: a trial ends after so many without a better one (0: never).
    `augmentation`: None for candidates by the windows, of which validation picks one. `state`: "reset" trains
    windows, "carried" trains stretches of `chunk_steps` steps of a session, for a device that never resets;
    each is preceded by the first `past_steps` (at most `chunk_steps`) of another, which count for nothing but
    for the state that they leave. With `piece_steps` above 0 each stretch, and what precedes it, is put
    together anew at every update from pieces of so many steps, each from anywhere in the sessions and
    augmented by itself, so that no route through the home can be learned by heart.
    `distil`: learn from a teacher too; `train` is then given the teacher's `targets`. `refit`: whoever keeps
    the model trains it once more as validation chose, on training and validation windows (`refit.py`; `train`
    itself never does). `least_heard`: the share, 0 to below 1, of the training samples in which an access
    point must be heard for the model to read it; one that is never heard is not read at any share.
    `statistics`: beside each sample the model reads what its window has said so far, the running maximum and
    mean of each access point (`running.py`), made after the augmentation; for a state "reset" alone.
    `positions`: the share, 0 to below 1, of the loss that is where a step was, in place of its room; only
    training knows of it (`place.py`).
    A forest has `trees` of at most `leaves` leaves each; of all else it reads `seed`, `restarts`,
    `least_heard` and `distil` alone. An "ensemble" has `members`, each trained as these options say, but for
    its shape and its seed (`member_options`).
    """

    hidden: int = 8
    layers: int = 1
    state_size: int = 16
    expand: int = 2
    seed: int = 0
    steps: int = 0
    batch: int = 0
    rate: float | None = None
    warmup: float = 0.1
    weight_decay: float = 1e-2
    clip: float = 1.0
    class_weights: float | None = None
    loss: Loss = "all"
    scaling: Kind | Literal["auto"] = "auto"
    restarts: int = 1
    evaluations: int = 20
    patience: int = 0
    augmentation: Augmentation | None = None
    state: State = "reset"
    chunk_steps: int = 200
    past_steps: int = 100
    piece_steps: int = 0
    device: Device = "cpu"
    family: str = "mamba"
    heads: int = 2
    feedforward: int = 0
    dropout: float | None = None
    accelerometer: bool = False
    crf: bool = False
    distil: Distil | None = None
    refit: bool = False
    trees: int = ForestConfig.trees
    leaves: int = ForestConfig.leaves
    least_heard: float = 0.0
    statistics: bool = False
    positions: float = 0.0
    members: tuple[Member, ...] = ()

    def __post_init__(self) -> None:
        for name in (
            "restarts",
            "evaluations",
            "chunk_steps",
            "hidden",
            "layers",
            "heads",
            "trees",
            "leaves",
        ):
            if getattr(self, name) < 1:
                raise UsageError(f"training needs {name.replace('_', ' ')} of at least 1")
        whole = ("seed", "steps", "batch", "patience", "feedforward", "past_steps", "piece_steps")
        for name in (*whole, "weight_decay", "class_weights"):
            if (getattr(self, name) or 0) < 0:
                raise UsageError(f"training needs {name.replace('_', ' ')} of at least 0")
        rate = 1.0 if self.rate is None else self.rate
        if not (0 < rate < np.inf and self.clip > 0 and 0 <= self.warmup < 1):
            raise UsageError("training needs a rate and a clip above 0 and a warm-up share from 0 to below 1")
        if self.dropout is not None and not 0 <= self.dropout < 1:
            raise UsageError("training needs a dropout from 0 to below 1")
        if not 0 <= self.least_heard < 1:
            raise UsageError("training needs a least heard share from 0 to below 1")
        if not 0 <= self.positions < 1:
            raise UsageError("training needs a share of positions from 0 to below 1")
        choices = {"loss": get_args(Loss), "state": get_args(State), "scaling": (*KINDS, "auto")}
        for name, known in (choices | {"device": get_args(Device), "family": tuple(CONFIGS)}).items():
            if getattr(self, name) not in known:
                raise UsageError(f"{name} {getattr(self, name)!r} is none of {', '.join(known)}")
        self._check_ensemble()
        if self.distil is not None and not any(_learns(one, self.distil.kind) for one in self.families):
            what = "it has no features that a teacher's could be compared with"
            raise no_network(self.family, what, members=bool(self.members))
        forgetful = [one for one in self.families if not CONFIGS[one].stepwise]
        if self.state == "carried" and forgetful:
            raise carries_no_state(forgetful[0])
        if self.piece_steps and self.state != "carried":
            raise UsageError(
                "pieces are of the stretches of a carried state: windows have none",
                hint="Train with the state 'carried', or leave piece_steps out.",
            )
        if self.piece_steps and self.crf:
            raise UsageError(
                "a CRF learns which room follows which: pieces from anywhere do not go with it",
                hint="Leave crf or piece_steps out.",
            )
        if self.crf and not CONFIGS[self.family].per_step:
            raise UsageError(f"the family {self.family!r} answers once a window: a CRF needs every step")
        if self.crf and self.class_weights:
            raise UsageError("a CRF weighs whole sequences: class weights do not go with it")
        if self.accelerometer and self.family != MdcsaConfig.family:
            raise UsageError(f"the family {self.family!r} has no branch for an accelerometer")
        if self.statistics and self.family in (StatnetConfig.family, ForestConfig.family):
            raise no_statistics(self.family)
        if self.statistics and self.state == "carried":
            raise remembers_for_ever()

    @property
    def families(self) -> tuple[str, ...]:
        """Its own, or those of an ensemble's members."""
        return tuple(one.family for one in self.members) or (self.family,)

    @property
    def taught_trees(self) -> bool:
        """Whether trees among an ensemble's members learn from its teacher."""
        return self.distil is not None and trees_learn(self.members, self.distil.kind)

    def _check_ensemble(self) -> None:
        """Raise UsageError unless an ensemble has members, it alone, and they can be trained so."""
        whole = self.family == EnsembleConfig.family
        if whole != bool(self.members):
            raise UsageError(
                "an ensemble needs members" if whole else f"the family {self.family!r} has no members",
                hint=f"Members are {members_known()}.",
            )
        if not whole:
            return
        if not 2 <= len(self.members) <= MOST_MEMBERS:
            raise UsageError(f"an ensemble has 2 to {MOST_MEMBERS} members, not {len(self.members)}")
        self.member_options()  # each refuses what it cannot be

    def member_options(self) -> tuple[TrainOptions, ...]:
        """How each member of an ensemble is trained. Where several have one shape, the first has the seed
        of the ensemble, and each further one a seed that is `MEMBER_SEEDS` larger. All learn from a teacher,
        but trees from features.
        """
        found: list[TrainOptions] = []
        for i, member in enumerate(self.members):
            seed = self.seed + MEMBER_SEEDS * self.members[:i].count(member)
            distil = self.distil if self.distil and _learns(member.family, self.distil.kind) else None
            own = {**dataclasses.asdict(member), "members": (), "seed": seed, "distil": distil}
            found.append(dataclasses.replace(self, **own))
        return tuple(found)


def _learns(family: str, kind: Teaching) -> bool:
    """Whether a model of that family can be taught so: trees have nothing that features would teach."""
    return is_network(family) or kind != "features"


def trees_learn(members: Sequence[Member], kind: Teaching) -> bool:
    """Whether there are trees among the members that are taught in this way."""
    return any(one.family == ForestConfig.family and _learns(one.family, kind) for one in members)


def read(options: TrainOptions, train: Windows) -> tuple[str, ...]:
    """The access points that a model trained with these options on these windows reads, in their order.

    Raises UsageError where `least_heard` leaves none.
    """
    heard = (train.rssi != NOT_HEARD).reshape(-1, train.rssi.shape[-1]).mean(axis=0)
    kept = tuple(
        name
        for name, share in zip(train.access_points, heard, strict=True)
        if share > 0 and share >= options.least_heard
    )
    if not kept and options.least_heard:
        raise UsageError(
            f"no access point is heard in {options.least_heard:.3g} of the training samples; "
            f"the one heard most, in {heard.max():.3g}",
            hint="Lower least_heard.",
        )
    return kept or train.access_points  # where nothing was ever heard, nothing is left out


def is_sparse(train: Windows) -> bool:
    """Whether most access points are silent most of the time, as in Wi-Fi of a whole campus."""
    return heard_fraction(train) < SPARSE_BELOW


def _placed(train: Windows) -> bool:
    """Whether the position of any step was noted, along both axes."""
    where = train.positions_at
    return where is not None and bool(np.isfinite(where).all(axis=-1).any())


def resolve(options: TrainOptions, train: Windows) -> TrainOptions:
    """The options with every "by the windows" answered, from the training windows alone. Raises UsageError
    where they ask for positions that these windows do not have.
    """
    if options.positions and any(map(is_network, options.families)) and not _placed(train):
        raise UsageError(
            "learning positions needs recordings that have them",
            hint="Leave positions out; for an own file, name its columns with --with position=x,y.",
        )
    sparse = is_sparse(train)
    batch = options.batch or (SPARSE_BATCH if sparse else DENSE_BATCH)
    by_epochs = SPARSE_EPOCHS * max(1, len(train) // batch)
    steps = options.steps or (max(DENSE_STEPS, by_epochs) if sparse else DENSE_STEPS)
    rate = RATES[options.family] if options.rate is None else options.rate
    dropout = DROPOUTS[options.family] if options.dropout is None else options.dropout
    weights = options.class_weights
    if weights is None:
        usual = STATNET_CLASS_WEIGHTS if options.family == StatnetConfig.family else 0.0
        weights = 0.0 if options.crf else SPARSE_CLASS_WEIGHTS if sparse else usual
    return dataclasses.replace(
        options, steps=steps, batch=batch, rate=rate, dropout=dropout, class_weights=weights
    )


def facts(options: TrainOptions) -> dict[str, Any]:
    """All options, for the names of what is kept: `statistics` only where it is on, `past_steps` only where a
    state is carried, `piece_steps`, `positions` and `members` only where there are any, so that what was
    kept before there were such options is found.
    """
    fields = dataclasses.asdict(options)
    if not options.members:
        del fields["members"]
    if not options.statistics:
        del fields["statistics"]
    if options.state != "carried":
        del fields["past_steps"]
    if not options.piece_steps:
        del fields["piece_steps"]
    if not options.positions:
        del fields["positions"]
    return fields


def record(options: TrainOptions) -> dict[str, Any]:
    """The options of `train` for a file: for Mamba without those of other families, and `crf` only where it
    is on; `distil` only where there is a teacher, `least_heard` only where it is not 0, `statistics` only
    where it is on; of a forest those that it reads.
    """
    fields = facts(options)
    if options.family == ForestConfig.family:
        names = ("family", "trees", "leaves", "seed", "restarts")
        more = [name for name in ("least_heard", "distil") if getattr(options, name)]
        return {name: fields[name] for name in (*names, *more)}
    del fields["trees"], fields["leaves"]
    del fields["refit"]  # nothing that `train` does depends on it
    if options.distil is None:
        del fields["distil"]
    if not options.least_heard:
        del fields["least_heard"]
    if options.family == MambaConfig.family:
        others = ("family", "heads", "feedforward", "dropout", "accelerometer")
        fields = {name: value for name, value in fields.items() if name not in others}
        if not options.crf:
            del fields["crf"]
    return fields


def model_config(options: TrainOptions, train: Windows) -> Config:
    """The shape of the model that training with these options on these windows yields. Raises UsageError."""
    points, rooms = len(train.access_points), len(train.rooms)
    if options.family == EnsembleConfig.family:
        members = tuple(model_config(own, train) for own in options.member_options())
        kinds = tuple(candidates(own, train)[0].scaling for own in options.member_options())
        return EnsembleConfig(points, rooms, members, kinds)  # type: ignore[arg-type]
    if options.statistics and train.steps == 1:
        raise UsageError(
            "a window of one sample has no maximum and no mean beside the sample itself",
            hint="Leave statistics=true out.",
        )
    if options.family == TransformerConfig.family:
        return TransformerConfig(
            access_points=points,
            rooms=rooms,
            steps=train.steps,
            hidden=options.hidden,
            layers=options.layers,
            heads=options.heads,
            feedforward=options.feedforward,
            statistics=options.statistics,
        )
    if options.accelerometer and train.acceleration is None:
        raise UsageError(
            "the accelerometer's branch needs acceleration, and these recordings have none",
            hint="Train without accelerometer=true, or name the columns with --acceleration.",
        )
    if options.family == MdcsaConfig.family:
        return MdcsaConfig(
            access_points=points,
            rooms=rooms,
            hidden=options.hidden,
            layers=options.layers,
            accelerometer=options.accelerometer,
            crf=options.crf,
            statistics=options.statistics,
        )
    if options.family == StatnetConfig.family:
        if options.layers != 1:
            raise UsageError("the statistics network has one hidden layer: layers must be 1")
        return StatnetConfig(access_points=points, rooms=rooms, hidden=options.hidden)
    if options.family == ForestConfig.family:
        return ForestConfig(points, rooms, options.trees, options.leaves)
    if options.family == MlpConfig.family:
        return MlpConfig(
            access_points=points,
            rooms=rooms,
            hidden=options.hidden,
            layers=options.layers,
            statistics=options.statistics,
        )
    return MambaConfig(
        access_points=points,
        rooms=rooms,
        hidden=options.hidden,
        layers=options.layers,
        state=options.state_size,
        expand=options.expand,
        crf=options.crf,
        statistics=options.statistics,
    )


@dataclass(frozen=True)
class Candidate:
    """One way of training; validation chooses among several."""

    scaling: Kind
    augmentation: Augmentation


def candidates(options: TrainOptions, train: Windows) -> tuple[Candidate, ...]:
    """What to try: what the options say, else, by the training windows alone, several.

    Sparse windows: the power law and one augmentation. Others: min-max and z-score, each without
    augmentation and with offset and jitter of a quarter and of half of each access point's spread; Mamba
    also with a quarter and shadowing of half of it.
    """
    sparse = is_sparse(train)
    kinds: tuple[Kind, ...] = ("power",) if sparse else ("minmax", "zscore")
    if options.family == StatnetConfig.family:
        kinds = ("minmax",)  # it reads the dBm themselves: one is as good as another
    if options.scaling != "auto":
        kinds = (options.scaling,)
    dense = MAMBA_AUGMENTATIONS if options.family == MambaConfig.family else DENSE_AUGMENTATIONS
    augmentations = (SPARSE_AUGMENTATION,) if sparse else dense
    if options.augmentation is not None:
        augmentations = (options.augmentation,)
    return tuple(Candidate(kind, augmentation) for kind in kinds for augmentation in augmentations)


def spread(train: Windows) -> npt.NDArray[np.float32]:
    """[P] dB: standard deviation of what each access point was heard at; 0 where it never was."""
    rssi = train.rssi.reshape(-1, train.rssi.shape[-1])
    heard = rssi != NOT_HEARD
    count = np.maximum(heard.sum(axis=0), 1)
    dbm = np.where(heard, rssi, 0).astype(np.float64)
    mean = dbm.sum(axis=0) / count
    variance = np.where(heard, (dbm - mean) ** 2, 0).sum(axis=0) / count
    return np.asarray(np.sqrt(variance), dtype=np.float32)
