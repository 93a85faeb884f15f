"""The grid of a study: a small TOML file, read into frozen dataclasses.

    sets = ["flat", {name = "house", label = "one floor", floors = 1, validation_drift = 2}]
                                                # or files, here or beside the grid, with the options that
                                                # `run` takes: {name = "home.csv", test_sessions = ["fri"],
                                                # not_heard = 0, room = "where", position = ["x", "y"]}
                                                # validation_drift, dB: validation is also heard as by
                                                # receivers that have drifted so, and that chooses winners
    seeds = 5                                   # 0 to 4, or a list
    budgets = [16, 32, 64]                      # KB of flash and RAM together
    compressions = ["float", "static", "integer"]
    cross_validation = 0                        # for how many of the seeds what runs on the device is also
                                                # cross-validated (`data/folds.py`); winners are then chosen
                                                # by that instead of by validation; where a data set has a
                                                # recording that selects (`flat`), by that in any case
    decision = "none"                           # or "auto": validation may put a decision layer behind what
                                                # runs on the device, so that the room does not flap;
                                                # "filter": the best one in any case

    [train]                                     # any option of training, for all models
    steps = 0                                   # 0: as many as the windows suggest

    [[models]]
    family = "mamba"
    size = ["H4L1", "H8L1"]                     # one or several; of a forest "10x64", trees x leaves; of an
                                                # ensemble its members, "3 mamba H8L1 + statnet H32"
    crf = true                                  # any option of training, for this model
    variant = "crf"                             # tells it from the same size trained otherwise; "paper": by
                                                # the paper's recipe (min-max, no augmentation, CRF, no refit)
    sets = ["flat"]                             # default: all
    compressions = ["float", "distilled"]       # default: those above
    decision = "auto"                           # default: the one above
    follow = true                               # what runs on the device follows receivers as they drift
    teacher = "mamba H64L1"                     # who teaches what is distilled; or "forest", "boosting"; or
                                                # several: ["mamba H64L1", "mdcsa H64L1", "forest"]
    teaching = "soft"                           # how: paper (the default), soft, marginals, features; tau and
                                                # alpha 1 and 0.9 if not given
    tau = 2.0

Every mistake is one UsageError: file, key, value, what was expected.
"""

from __future__ import annotations

import dataclasses
import importlib.resources
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, get_args

from tinyloc.data.sources import ALL
from tinyloc.device.boards import find_board
from tinyloc.errors import BoardError, UsageError
from tinyloc.learn.lessons import Teacher, networks, read_teacher, teachers_known
from tinyloc.learn.members import members_known, read_members, read_size, read_trees
from tinyloc.learn.options import Augmentation, Teaching, TrainOptions
from tinyloc.learn.unread import unread
from tinyloc.models.config import CONFIGS, EnsembleConfig, ForestConfig, is_network
from tinyloc.quant.decision import Decision
from tinyloc.quant.lower import Precision
from tinyloc.study.baselines import BASELINES
from tinyloc.study.compressions import COMPRESSIONS, KNOWN, is_distilled
from tinyloc.study.entries import Grid, Model, Set
from tinyloc.study.paper import VARIANT
from tinyloc.study.values import Values

FOREST: Final = ForestConfig.family
TEACHINGS: Final = get_args(Teaching)
TIERS: Final = ("auto", "pip", "reference")
PAPER: Final = "paper.toml"
OWN: Final = "own.toml"

_NOT_FOR_TRAIN: Final = (
    "family", "hidden", "layers", "trees", "leaves", "members", "seed", "device", "distil",
)  # fmt: skip
_TRAIN: Final[dict[str, Any]] = {
    f.name: type(f.default) for f in dataclasses.fields(TrainOptions) if f.name not in _NOT_FOR_TRAIN
} | {"rate": float, "dropout": float, "class_weights": float, "augmentation": dict}
"""What `[train]` and a model may set, with its type."""

DRIFT: Final = "validation_drift"
MOST_DRIFT: Final = 30.0
DECISIONS: Final = get_args(Decision)
"""No decision layer; one where validation finds it better; the best one in any case."""

_TOP: Final = (
    "sets", "seeds", "budgets", "compressions", "baselines", "board", "precision", "tier", "decision",
    "cross_validation", "train", "models",
)  # fmt: skip
PAPER_TRAINING: Final[dict[str, Any]] = {
    "scaling": "minmax",
    "augmentation": Augmentation(),
    "crf": True,
    "refit": False,
    "statistics": False,
    "positions": 0.0,
    "class_weights": 0.0,
}
"""How a model of the variant "paper" is trained, whatever `[train]` says: as arXiv 2412.09289 does."""
_TAUGHT: Final[dict[str, Any]] = {"teaching": str, "tau": float, "alpha": float, "qat_steps": int}
_MODEL: Final = (
    "family",
    "size",
    "variant",
    "sets",
    "compressions",
    "teacher",
    "decision",
    "follow",
    *_TAUGHT,
)


def load_grid(path: Path) -> Grid:
    """The grid in the file `path`. Raises UsageError in one line."""
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file", hint="Name a grid, a small TOML file.") from None
    except OSError as error:
        raise UsageError(f"{path}: could not be read ({error.strerror or error})") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: is not a text in UTF-8", hint="Name a grid, a small TOML file.") from None
    grid = read_grid(text, str(path))
    return dataclasses.replace(grid, sets=tuple(_beside(one, path.parent) for one in grid.sets))


def _beside(entry: Set, folder: Path) -> Set:
    """A file that is not where the program runs, but beside the grid, is found there."""
    there = folder / entry.name
    if (
        entry.name in ALL
        or Path(entry.name).is_file()
        or Path(entry.name).is_absolute()
        or not there.is_file()
    ):
        return entry
    return dataclasses.replace(entry, name=str(there))


def paper_grid() -> Grid:
    """The grid of arXiv 2412.09289: its houses and UJIIndoorLoc, its models and compressions. Data sets that
    are not at hand are left out.
    """
    return dataclasses.replace(read_grid(_packaged(PAPER), PAPER), leave_out=("sets",))


def own_grid(names: Sequence[str], options: Mapping[str, Any], seeds: int = 0) -> Grid:
    """The grid for any recordings: data sets or files by `names`, read with `options`; `seeds` (0: the grid's
    own). Models that they cannot have are left out. Raises UsageError.
    """
    value = tomllib.loads(_packaged(OWN))
    for key in ("name", "label", "validation_drift"):
        if key in options:
            raise UsageError(f"--with {key}={options[key]}: this is of a grid, no option of the data")
    short = [Path(name).name for name in names]
    labels = short if len(set(short)) == len(short) else list(names)
    value["sets"] = [
        {**options, "name": name, "label": label} for name, label in zip(names, labels, strict=True)
    ]
    if seeds:
        value["seeds"] = seeds
    return dataclasses.replace(_Reader("--data").grid(value), leave_out=("models",))


def _packaged(name: str) -> str:
    return (importlib.resources.files("tinyloc.study") / name).read_text(encoding="utf-8")


def read_grid(text: str, where: str) -> Grid:
    """The grid written in `text`; `where` is named in errors."""
    try:
        value = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{where}: is not TOML: {error}") from None
    return _Reader(where).grid(value)


class _Reader(Values):
    """Reads the tables."""

    def grid(self, value: Mapping[str, Any]) -> Grid:
        self.known(value, _TOP, "")
        sets = tuple(self.set(f"sets[{i}]", one) for i, one in enumerate(self.some(value, "sets", "sets")))
        labels = tuple(one.label for one in sets)
        self.once("sets", labels)
        compressions = self.choices(value, "compressions", KNOWN, ("float", "integer"), "")
        base = self.train(value.get("train", {}), "train", {})
        decision = self.choice("decision", value.get("decision", "none"), DECISIONS)
        entries = self.some(value, "models", "[[models]] tables")
        models = tuple(
            model
            for i, entry in enumerate(entries)
            for model in self.models(f"models[{i}]", entry, labels, compressions, base, decision)
        )
        for label in labels:
            self.once(
                "models",
                [f"{m.family} {m.size} {m.variant}".strip() for m in models if label in m.sets],
                "; a `variant` tells them apart",
            )
        seeds = self.seeds(value.get("seeds", 5))
        return Grid(
            sets=sets,
            models=models,
            seeds=seeds,
            cross_validation=self.folded(value.get("cross_validation", Grid.cross_validation), len(seeds)),
            budgets=self.numbers("budgets", value.get("budgets", [16, 32, 64]), 1),
            baselines=self.choices(value, "baselines", BASELINES, BASELINES, "", empty=True),
            board=self.board(value.get("board", Grid.board)),
            precision=self.choice("precision", value.get("precision", Grid.precision), get_args(Precision)),
            refit=bool(base.get("refit", Grid.refit)),
            tier=self.choice("tier", value.get("tier", Grid.tier), TIERS),
            where=self.where,
        )

    def seeds(self, value: Any) -> tuple[int, ...]:
        if type(value) is int:
            if value < 1:
                raise self.wrong("seeds", value, "at least 1 seed, or a list of seeds")
            return tuple(range(value))
        return self.numbers("seeds", value, 0)

    def folded(self, value: Any, seeds: int) -> int:
        if type(value) is not int or not 0 <= value <= seeds:
            raise self.wrong("cross_validation", value, f"a number of seeds, 0 to {seeds}")
        return value

    def board(self, value: Any) -> str:
        if not isinstance(value, str):
            raise self.wrong("board", value, "a board's name")
        try:
            return find_board(value).name
        except BoardError as error:
            raise UsageError(f"{self.where}, board: {error.message}", hint=error.hint) from None

    def set(self, key: str, value: Any) -> Set:
        if isinstance(value, str) and value:
            return Set(value, value)
        if not isinstance(value, dict) or not isinstance(value.get("name"), str) or not value["name"]:
            raise self.wrong(key, value, 'a data set\'s name, a file, or {name = "...", option = ...}')
        options = {name: one for name, one in value.items() if name not in ("name", "label", DRIFT)}
        for name, one in options.items():
            if isinstance(one, list) and one and all(isinstance(part, str) for part in one):
                options[name] = ",".join(one)
            elif not isinstance(one, (str, int, float)):
                raise self.wrong(f"{key}.{name}", one, "a number, a text or a list of texts")
        label = value.get("label", value["name"])
        if not isinstance(label, str) or not label:
            raise self.wrong(f"{key}.label", label, "a text")
        drift = value.get(DRIFT, 0)
        if type(drift) not in (int, float) or not 0 <= drift <= MOST_DRIFT:
            raise self.wrong(f"{key}.{DRIFT}", drift, f"dB from 0 to {MOST_DRIFT:g}")
        return Set(value["name"], label, tuple(sorted(options.items())), float(drift))

    def train(self, value: Any, key: str, base: Mapping[str, Any]) -> dict[str, Any]:
        """The options of training in a table, on top of `base`."""
        if not isinstance(value, dict):
            raise self.wrong(key, value, "a table of training's options")
        self.known(value, tuple(_TRAIN), f"{key}.")
        found = dict(base)
        for name, one in value.items():
            if _TRAIN[name] is dict:
                found[name] = self.augmentation(f"{key}.{name}", one)
            else:
                found[name] = self.typed(f"{key}.{name}", one, _TRAIN[name])
        return found

    def augmentation(self, key: str, value: Any) -> Augmentation:
        names = tuple(f.name for f in dataclasses.fields(Augmentation))
        if not isinstance(value, dict) or any(type(one) not in (int, float) for one in value.values()):
            raise self.wrong(key, value, f"a table of shares: {', '.join(names)} ({{}} for none)")
        self.known(value, names, f"{key}.")
        try:
            return Augmentation(**{name: float(one) for name, one in value.items()})
        except UsageError as error:
            raise UsageError(f"{self.where}, {key}: {error}") from None

    def models(
        self,
        key: str,
        value: Any,
        labels: tuple[str, ...],
        compressions: tuple[str, ...],
        base: Mapping[str, Any],
        decision: Decision,
    ) -> list[Model]:
        if not isinstance(value, dict):
            raise self.wrong(key, value, "a [[models]] table")
        self.known(value, (*_MODEL, *_TRAIN), f"{key}.")
        family = self.choice(f"{key}.family", value.get("family"), tuple(CONFIGS))
        sizes = value.get("size")
        sizes = [sizes] if isinstance(sizes, str) else sizes
        if not isinstance(sizes, list) or not sizes:
            raise self.wrong(f"{key}.size", sizes, 'a size such as "H8L1", or a list of them')
        chosen = self.choices(value, "compressions", KNOWN, compressions, f"{key}.")
        sets = self.choices(value, "sets", labels, labels, f"{key}.")
        self.possible(f"{key}.compressions", family, chosen)
        teachers = self.teachers(f"{key}.teacher", value.get("teacher"))
        taught = [name for name in chosen if is_distilled(name)]
        if taught and not teachers:
            raise self.wrong(
                f"{key}.teacher", None, f'who teaches, such as "{family} H64L1", for {taught[0]!r}'
            )
        variant = self.typed(f"{key}.variant", value.get("variant", ""), str)
        taught_how = self.taught(key, value)
        how = taught_how.get("teaching")
        if how in ("marginals", "features") and any(one.trees for one in teachers):
            raise self.wrong(f"{key}.teacher", value["teacher"], f'networks, for teaching = "{how}"')
        settled = self.choice(f"{key}.decision", value.get("decision", decision), DECISIONS)
        follow = self.typed(f"{key}.follow", value.get("follow", False), bool)
        computed = [name for name in chosen if not COMPRESSIONS[name].on_device]
        if follow and computed:
            raise self.wrong(f"{key}.follow", follow, f"integers alone, which {computed[0]!r} is not")
        own = {name: one for name, one in value.items() if name in _TRAIN}
        if variant == VARIANT:
            for name in PAPER_TRAINING:
                if name in own:
                    expected = f'nothing: the variant "{VARIANT}" is trained as the paper trains'
                    raise self.wrong(f"{key}.{name}", own[name], expected)
            base = {**base, **PAPER_TRAINING}
        options = self.train(own, key, base)
        found = []
        for size in sizes:
            shape = self.shape(f"{key}.size", family, size)
            hidden, layers = shape.get("hidden", 0), shape.get("layers", 0)
            try:
                train = TrainOptions(**options, family=family, **shape)
            except UsageError as error:
                raise UsageError(f"{self.where}, {key}: {error.message}", hint=error.hint) from None
            for name, why in unread(train, networks(teachers if taught else ())).items():
                if name in own:
                    raise UsageError(f"{self.where}, {key}.{name}: {why}", hint="Leave it out.")
            model = Model(
                family,
                size,
                hidden,
                layers,
                chosen,
                sets,
                variant,
                train,
                teachers,
                **taught_how,
                decision=settled,
                follow=follow,
            )
            self.teachable(f"{key}.teacher", model)
            found.append(model)
        return found

    def teachable(self, key: str, model: Model) -> None:
        """Refuse a student that cannot be taught so, and a network that cannot be trained as its student is,
        but for the shape.
        """
        if any(map(is_distilled, model.compressions)):
            try:
                model.lesson.asked_of(model.train)
            except UsageError as error:
                where = key.removesuffix("teacher") + "teaching"
                raise UsageError(f"{self.where}, {where}: {error.message}", hint=error.hint) from None
        for teacher in model.teachers:
            if not teacher.trees:
                try:
                    model.teacher_options(teacher)
                except UsageError as error:
                    raise UsageError(f"{self.where}, {key}: {error.message}") from None

    def taught(self, key: str, value: Mapping[str, Any]) -> dict[str, Any]:
        """How a model is taught, and trained on as integers, where it says so."""
        found = {
            name: self.typed(f"{key}.{name}", value[name], kind)
            for name, kind in _TAUGHT.items()
            if name in value
        }
        self.choice(f"{key}.teaching", found.get("teaching", "paper"), TEACHINGS)
        tau, alpha, steps = found.get("tau", 1.0), found.get("alpha", 0.9), found.get("qat_steps", 1)
        if not 0 < tau < 1e6 or (tau != 1 and found.get("teaching") != "soft"):
            raise self.wrong(f"{key}.tau", tau, 'a number above 0, with teaching = "soft"')
        if not 0 < alpha <= 1:
            raise self.wrong(f"{key}.alpha", alpha, "a share above 0 and at most 1")
        if steps < 1:
            raise self.wrong(f"{key}.qat_steps", steps, "at least 1")
        return found

    def shape(self, key: str, family: str, value: Any) -> dict[str, Any]:
        """What a size says of a model of that family, as options of training."""
        text = value if isinstance(value, str) else ""
        if family == EnsembleConfig.family:
            members = read_members(text)
            if members is None:
                raise self.wrong(key, value, members_known())
            return {"members": members}
        trees = family == FOREST
        found = read_trees(text) if trees else read_size(text)
        if found is None:
            expected = (
                'a size such as "10x64" (10 trees of at most 64 leaves)'
                if trees
                else 'a size such as "H8L1" (width 8, 1 layer)'
            )
            raise self.wrong(key, value, expected)
        return dict(zip(("trees", "leaves") if trees else ("hidden", "layers"), found, strict=True))

    def possible(self, key: str, family: str, chosen: tuple[str, ...]) -> None:
        """Refuse what only a network can have done to it."""
        if is_network(family):
            return
        known = ("float", "integer", "distilled", "integer+distilled")
        for name in chosen:
            if name not in known:
                raise self.wrong(key, name, f"one of {', '.join(known)} for the family {family!r}")

    def teachers(self, key: str, value: Any) -> tuple[Teacher, ...]:
        if value is None:
            return ()
        if not isinstance(value, list):
            return (self.teacher(key, value),)
        if not value:
            raise self.wrong(key, value, "one teacher at least")
        found = tuple(self.teacher(f"{key}[{i}]", one) for i, one in enumerate(value))
        for one, name in zip(found, value, strict=True):
            if found.count(one) > 1:
                raise self.wrong(key, name, "each teacher only once")
        return found

    def teacher(self, key: str, value: Any) -> Teacher:
        found = read_teacher(value) if isinstance(value, str) else None
        if found is None:
            raise self.wrong(key, value, teachers_known())
        return found
