"""Teachers: networks, ensembles, forests and boosted trees; what they say, and where they are kept.

A teacher is trained once for the same data, protocol and options, and kept in a folder under their digest. It
sees what any model sees: training windows, and validation windows to choose and to stop by; never the test.
`distil.py` has the equations of learning from one.

    W windows     T steps     P access points     K rooms
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import sklearn
import torch
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from torch.nn import functional

import tinyloc
from tinyloc.data.windows import Windows, WindowSets
from tinyloc.errors import ModelFileError, UsageError
from tinyloc.files import write_bytes
from tinyloc.learn import ensemble
from tinyloc.learn.distil import with_hidden
from tinyloc.learn.options import Distil, Teaching, TrainOptions, read, record, resolve
from tinyloc.learn.refit import refit, retrain
from tinyloc.learn.state import fingerprint
from tinyloc.learn.streams import streams
from tinyloc.learn.train import Progress, train
from tinyloc.models import checkpoint as files
from tinyloc.models import families
from tinyloc.models.checkpoint import Checkpoint
from tinyloc.models.classic import statistics
from tinyloc.models.config import is_network

Floats = npt.NDArray[np.float32]

_BATCH: Final = 512

_STILL: Final = 1e-6
"""A feature that spreads less over the training windows says nothing."""


@dataclass(frozen=True, eq=False)
class Trees:
    """A forest or boosted trees of scikit-learn on `classic.statistics`, as a teacher at the last step.

    `model`: with `predict_proba` and `classes_`, indices into the rooms, grown when it is first needed;
    `train` the windows it is grown on. `own` [W, K]: what it says of these, None where it was not asked yet.
    A forest says of each what the trees say that were grown without it (out of bag): trees know the windows
    they were grown on by heart, and would only repeat their labels.
    """

    model: Any
    train: Windows
    own: Floats | None = None

    @property
    def rooms(self) -> tuple[str, ...]:
        """The K names."""
        return self.train.rooms

    @property
    def access_points(self) -> tuple[str, ...]:
        """The P names."""
        return self.train.access_points

    def probabilities(self, windows: Windows) -> Floats:
        """[W, K], out of bag where these are the windows that a forest was grown on."""
        if self.own is not None and np.array_equal(windows.rssi, self.train.rssi):
            return self.own
        if not hasattr(self.model, "classes_"):
            self.model.fit(statistics(self.train), self.train.room)
        return self._all_rooms(self.model.predict_proba(statistics(windows)))

    def _all_rooms(self, known: npt.NDArray[np.floating]) -> Floats:
        """[W, classes] -> [W, K]: 0 for a room that training never saw at a last step."""
        result = np.zeros((len(known), len(self.rooms)), np.float32)
        result[:, self.model.classes_] = known
        return result


Teacher = Checkpoint | Trees

Keep = Callable[[TrainOptions, Callable[[], Checkpoint]], Checkpoint]
"""Gives the model of these options from where it is kept, or makes it."""


def forest(train: Windows, *, trees: int = 300, seed: int = 0) -> Trees:
    """A random forest that teaches the windows it was grown on by their trees out of bag."""
    return _grown(_forest(trees, seed), train)


def boosting(train: Windows, *, rounds: int = 100, seed: int = 0) -> Trees:
    """Boosted trees (Friedman 2001, in the histogram form); they speak as surely as they were fitted."""
    return _grown(_boosting(rounds, seed), train)


def grow_or_load(cache_dir: Path, family: str, train: Windows, *, seed: int = 0) -> Trees:
    """The "forest" or "boosting" that is grown on these windows; what it says of them is kept in `cache_dir`,
    and taken from there where it was grown before. A damaged file is written anew. Raises OutputError.
    """
    model = {"forest": _forest, "boosting": _boosting}[family](seed=seed)
    about = f"{tinyloc.__version__} {sklearn.__version__} {digest(Trees(model, train))}"
    path = cache_dir / f"teacher-{hashlib.sha256(about.encode()).hexdigest()}.npy"
    own = _said(path, (len(train), len(train.rooms)))
    if own is not None:
        return Trees(model, train, own)
    grown = _grown(model, train)
    stream = io.BytesIO()
    np.save(stream, grown.probabilities(train))
    write_bytes(path, stream.getvalue())
    return grown


def _forest(trees: int = 300, seed: int = 0) -> Any:
    return RandomForestClassifier(trees, random_state=seed, oob_score=True, n_jobs=1)


def _boosting(rounds: int = 100, seed: int = 0) -> Any:
    return HistGradientBoostingClassifier(max_iter=rounds, early_stopping=False, random_state=seed)


def _grown(model: Any, train: Windows) -> Trees:
    """The trees grown on these windows, with what they say of them."""
    read = statistics(train)
    model.fit(read, train.room)
    plain = Trees(model, train)
    if not isinstance(model, RandomForestClassifier):
        return dataclasses.replace(plain, own=plain.probabilities(train))
    votes = np.asarray(model.oob_decision_function_, dtype=np.float64)
    always = ~np.isfinite(votes).all(axis=1) | (votes.sum(axis=1) < 0.5)  # in every tree's bag
    if always.any():
        votes[always] = model.predict_proba(read[always])
    return dataclasses.replace(plain, own=plain._all_rooms(votes))


def _said(path: Path, shape: tuple[int, int]) -> Floats | None:
    """The probabilities in the file, or None where it is not there or not whole."""
    try:
        said = np.load(path, allow_pickle=False)
    except Exception:  # whatever the parser of a spoilt header fails with
        return None
    whole = isinstance(said, np.ndarray) and said.shape == shape and said.dtype == np.float32
    return said if whole and np.isfinite(said).all() else None


def digest(teacher: Teacher | Sequence[Teacher]) -> str:
    """SHA-256 of a teacher or an ensemble: of a network its file, of trees their kind, options and data."""
    if isinstance(teacher, Checkpoint):
        return hashlib.sha256(teacher.to_bytes()).hexdigest()
    if isinstance(teacher, Trees):
        about = repr((type(teacher.model).__name__, sorted(teacher.model.get_params().items())))
        sha = hashlib.sha256((about + repr((teacher.train.rssi.shape, teacher.rooms))).encode())
        sha.update(teacher.train.rssi.tobytes() + teacher.train.room.tobytes())
        return sha.hexdigest()
    return hashlib.sha256(" ".join(digest(member) for member in teacher).encode()).hexdigest()


def targets(
    teacher: Teacher | Sequence[Teacher], windows: Windows, kind: Teaching, tau: float = 1.0
) -> Floats:
    """What a teacher, or an ensemble, says of `windows`: probabilities [W, T, K], or [W, K] at the last step
    where it, or a member, answers once a window. For "paper", of a CRF alone: 1 along Viterbi's path. For
    "features" what stands before its last layer, [W, T, F] or [W, F], each of the F by its own mean and
    spread over these windows; an ensemble's stand side by side.

    An ensemble's probabilities are those p whose softened form at the temperature `tau` is the mean of its
    members' softened forms: at 1, their mean.

    Raises UsageError for no teacher, for one of other rooms or access points, for "marginals" of one without
    a CRF, and for "features" of trees.
    """
    members = [teacher] if isinstance(teacher, Checkpoint | Trees) else list(teacher)
    if not members:
        raise UsageError("an ensemble needs at least one teacher")
    for member in members:
        _check(member, windows, kind)
    alone = len(members) == 1
    said = [_say(member, windows, kind, path=alone and kind == "paper") for member in members]
    if any(part.ndim == 2 for part in said):
        said = [part if part.ndim == 2 else part[:, -1] for part in said]
    if kind == "features":
        return _evenly(np.concatenate(said, axis=-1))
    if alone or kind != "soft" or tau == 1:
        return np.asarray(np.mean(said, axis=0, dtype=np.float64), dtype=np.float32)
    mean = np.mean([_power(part, 1 / tau) for part in said], axis=0)
    return _power(mean, tau).astype(np.float32)


def _power(said: npt.NDArray[np.floating], exponent: float) -> npt.NDArray[np.float64]:
    """Probabilities [..., K] to that power, again 1 in sum; their largest is taken out, so none overflows."""
    raised = (said / said.max(axis=-1, keepdims=True)).astype(np.float64) ** exponent
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True))


def _evenly(features: Floats) -> Floats:
    """[..., F] each by its own mean and spread, so that all teachers have one scale; 0 where it stands."""
    flat = features.reshape(-1, features.shape[-1]).astype(np.float64)
    spread = flat.std(axis=0)
    even = (flat - flat.mean(axis=0)) / np.where(spread > _STILL, spread, np.inf)
    return np.asarray(even.reshape(features.shape), dtype=np.float32)


def _check(teacher: Teacher, windows: Windows, kind: Teaching) -> None:
    """Raise UsageError where that teacher cannot teach these windows in this way."""
    if teacher.rooms != windows.rooms or not set(teacher.access_points) <= set(windows.access_points):
        raise UsageError("the teacher knows other rooms or access points than these windows have")
    if kind == "marginals" and (isinstance(teacher, Trees) or "crf.start" not in teacher.weights):
        raise UsageError("marginals are those of a CRF, and this teacher has none")
    if kind == "features" and (isinstance(teacher, Trees) or not is_network(teacher.family)):
        raise UsageError("features are those of a network, and trees have none")


def _say(teacher: Teacher, windows: Windows, kind: Teaching, path: bool) -> Floats:
    """One teacher's probabilities, [W, T, K] or [W, K]; `path`: 1 along Viterbi's where it has a CRF. For
    "features" what its last layer reads, [W, T, H] or [W, H].
    """
    windows, rooms = windows.only(teacher.access_points), len(windows.rooms)
    if isinstance(teacher, Trees):
        return teacher.probabilities(windows)
    model = families.from_weights(teacher.config, teacher.weights)

    def run(rssi: npt.NDArray[np.int8], acceleration: Floats | None) -> Floats:
        given = families.inputs(teacher.config, teacher.scaling, rssi, acceleration)
        logits, hidden = with_hidden(model, [torch.from_numpy(part) for part in given])  # [B, S, K]
        if kind == "features":
            said = hidden
        elif model.crf is None or kind == "soft":
            said = logits.softmax(-1)
        elif path:
            said = functional.one_hot(model.crf.viterbi(logits), rooms).float()
        else:
            said = model.crf.marginals(logits)
        return np.asarray(said.numpy(), dtype=np.float32)

    with torch.no_grad():
        if teacher.state == "carried":
            width = model.head.in_features if kind == "features" else rooms
            result = np.zeros((*windows.rooms_at.shape, width), np.float32)
            for stream in streams(windows):
                steps = stream.ends[:, None] + np.arange(1 - windows.steps, 1)  # [V, T]
                result[stream.windows] = run(stream.rssi[None], None)[0][steps]
            return result
        parts = []
        for start in range(0, len(windows), _BATCH):
            part = slice(start, start + _BATCH)
            moved = None if windows.acceleration is None else windows.acceleration[part]
            parts.append(run(windows.rssi[part], moved))
    said = np.concatenate(parts)
    return said if teacher.config.per_step else said[:, -1]


def fit_or_load(
    cache_dir: Path,
    sets: WindowSets,
    options: TrainOptions,
    *,
    targets: Floats | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Checkpoint:
    """The model that `train(sets, options)` gives, from `cache_dir` where it was trained before.

    `targets`: of its own teacher, whose digest the options have. A file that is damaged, or not of this data
    and these options, is trained and written anew, whole or not at all. Raises what `train` raises, and
    OutputError.
    """
    key = cache_key(sets, options)
    kept = _kept(cache_dir / f"teacher-{key}.safetensors")
    wanted = json.loads(json.dumps(record(resolve(options, sets.train))))
    names = (sets.train.rooms, read(options, sets.train))
    if kept and kept.training.get("options") == wanted and (kept.rooms, kept.access_points) == names:
        return kept
    how: dict[str, Any] = {"targets": targets, "progress": progress}
    return _resumed(cache_dir, key, lambda **going: train(sets, options, **how, **going))


def refit_or_load(
    cache_dir: Path,
    sets: WindowSets,
    options: TrainOptions,
    chosen: Checkpoint,
    *,
    targets: Floats | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Checkpoint:
    """The model that `refit(sets, options, chosen)` gives, kept and taken likewise; `chosen` as `fit_or_load`
    gave it; `targets` for `merged(sets).train`.
    """
    key = hashlib.sha256(f"{cache_key(sets, options)} refit of {digest(chosen)}".encode()).hexdigest()
    kept = _kept(cache_dir / f"teacher-{key}.safetensors")
    names = (chosen.rooms, chosen.access_points)
    if kept and kept.training.get("refit") and (kept.rooms, kept.access_points) == names:
        return kept
    how: dict[str, Any] = {"targets": targets, "progress": progress}
    return _resumed(cache_dir, key, lambda **going: refit(sets, options, chosen, **how, **going))


def _resumed(cache_dir: Path, key: str, fit: Callable[..., Checkpoint]) -> Checkpoint:
    """What `fit` gives, written into the cache; where its training was stopped it goes on from there."""
    path, state = (cache_dir / f"teacher-{key}.{end}" for end in ("safetensors", "state"))
    try:
        fitted = fit(resume_from=state if state.exists() else None, interrupt_to=state)
    except ModelFileError:
        state.unlink(missing_ok=True)  # damaged: a cache starts anew
        fitted = fit(interrupt_to=state)
    fitted.save(path)
    state.unlink(missing_ok=True)
    return fitted


def _kept(path: Path) -> Checkpoint | None:
    """The checkpoint there, or None where there is none, or none that is whole."""
    try:
        return Checkpoint.load(path)
    except ModelFileError:
        return None


def cache_key(sets: WindowSets, options: TrainOptions) -> str:
    """SHA-256 of all that decides a teacher: the version, data, protocol, options; not the test windows."""
    about: list[object] = [tinyloc.__version__, files.VERSION, sets.name, sets.simulated, sets.description]
    about += [fingerprint(sets, resolve(options, sets.train)), sets.train.seconds_per_step]
    sha = hashlib.sha256(repr(about).encode())
    for windows in (sets.train, sets.validation):
        sha.update(windows.session.tobytes() + windows.end_time.tobytes())
    return sha.hexdigest()


def distilled(
    sets: WindowSets,
    options: TrainOptions,
    teacher: Teacher | Sequence[Teacher],
    kind: Teaching,
    *,
    tau: float = 1.0,
    alpha: float = 0.9,
    chosen: Checkpoint | None = None,
    keep: Keep = lambda _, make: make(),
    progress: Callable[[Progress], None] | None = None,
) -> Checkpoint:
    """A student of these options, taught on `sets.train` in that way (`Distil` explains the numbers).

    `chosen`: the student that validation chose; the one returned is then taught like it, and nothing is
    picked (`refit.retrain`): for a refit on `merged(sets)`, by a teacher that has learned from both. `keep`:
    asked for each member of an ensemble.
    """
    options = dataclasses.replace(options, distil=Distil(kind, digest(teacher), tau, alpha))
    said = targets(teacher, sets.train, kind, tau)

    def taught(some: WindowSets, own: TrainOptions, before: Checkpoint | None) -> Checkpoint:
        heard = ensemble.said_to(own, said)
        if before is None:
            return train(some, own, targets=heard, progress=progress)
        return retrain(some, own, before, targets=heard, progress=progress)

    def member(some: WindowSets, own: TrainOptions, before: Checkpoint | None = None) -> Checkpoint:
        return keep(own, lambda: taught(some, own, before))

    if not options.members:
        return taught(sets, options, chosen)
    if chosen is None:
        return ensemble.train(sets, options, member)
    return ensemble.refit(sets, options, chosen, member)
