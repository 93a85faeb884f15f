from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
import torchcrf
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyloc.errors import UsageError
from tinyloc.models.crf import Crf
from tinyloc.models.decode import Chain, FixedLag, max_plus, viterbi

SMALL = {
    "seed": st.integers(0, 2**31),
    "batch": st.integers(1, 3),
    "steps": st.integers(1, 5),
    "rooms": st.integers(1, 4),
}


def make(seed, batch, steps, rooms, dtype=torch.float64):
    """A chain with random weights, and random scores [B, T, K]."""
    random = torch.Generator().manual_seed(seed)
    crf = Crf(rooms).to(dtype)
    with torch.no_grad():
        for weight in crf.parameters():
            weight.copy_(torch.randn(weight.shape, generator=random, dtype=dtype))
    return crf, 2 * torch.randn(batch, steps, rooms, generator=random, dtype=dtype)


def every_path(crf, scores):
    """All K^T paths [N, T] and the score of each under `scores` [T, K], [N]: by the definition."""
    transitions, start, end = (getattr(crf, n).detach().numpy() for n in ("transitions", "start", "end"))
    s, paths, values = scores.numpy(), [], []
    for path in itertools.product(range(s.shape[1]), repeat=len(s)):
        value = start[path[0]] + end[path[-1]] + sum(s[t, y] for t, y in enumerate(path))
        values.append(value + sum(transitions[a, b] for a, b in itertools.pairwise(path)))
        paths.append(path)
    return np.array(paths), np.array(values)


def chain_of(crf):
    arrays = {f"crf.{name}": value.detach().numpy() for name, value in crf.named_parameters()}
    return Chain.of(arrays)


@given(**SMALL)
@settings(deadline=None, max_examples=40, derandomize=True)
def test_against_all_paths(seed, batch, steps, rooms):
    crf, scores = make(seed, batch, steps, rooms)
    for b in range(batch):
        paths, values = every_path(crf, scores[b])
        chance = np.exp(values - np.logaddexp.reduce(values))
        marginals = np.stack([[chance[paths[:, t] == k].sum() for k in range(rooms)] for t in range(steps)])
        with torch.no_grad():
            np.testing.assert_allclose(crf.log_partition(scores)[b], np.logaddexp.reduce(values))
            np.testing.assert_allclose(crf.marginals(scores)[b], marginals, atol=1e-12)
            assert crf.viterbi(scores)[b].tolist() == paths[values.argmax()].tolist()
            answers = crf.answers(scores)[b]
            assert int(answers[-1].argmax()) == paths[values.argmax()][-1]
            wanted = [values[paths[:, -1] == k].max() for k in range(rooms)]
            np.testing.assert_allclose(answers[-1] - answers[-1].max(), np.array(wanted) - max(wanted))
            given_paths = torch.tensor(paths)
            ours = crf.score(scores[b].expand(len(paths), -1, -1), given_paths)
            np.testing.assert_allclose(ours, values)


@given(**SMALL, known=st.floats(0, 1))
@settings(deadline=None, max_examples=40, derandomize=True)
def test_the_loss_sums_over_what_nobody_annotated(seed, batch, steps, rooms, known):
    crf, scores = make(seed, batch, steps, rooms)
    random = np.random.default_rng(seed)
    truth = random.integers(0, rooms, (batch, steps))
    truth[random.random(truth.shape) > known] = -1
    loss = crf.loss(scores, torch.tensor(truth)).detach().numpy()
    for b in range(batch):
        paths, values = every_path(crf, scores[b])
        fits = ((paths == truth[b]) | (truth[b] < 0)).all(axis=1)
        wanted = np.logaddexp.reduce(values) - np.logaddexp.reduce(values[fits])
        np.testing.assert_allclose(loss[b], wanted, atol=1e-10)
    assert (loss[(truth < 0).all(axis=1)] == 0).all()


def test_gradients_are_those_of_finite_differences_and_never_nan():
    crf, scores = make(3, 2, 4, 3)
    truth = torch.tensor([[0, -1, 2, 1], [-1, -1, -1, -1]])
    weights = [scores.requires_grad_(), *crf.parameters()]
    assert torch.autograd.gradcheck(lambda s, *_: crf.loss(s, truth), weights)
    crf.loss(scores, truth).sum().backward()
    assert all(torch.isfinite(weight.grad).all() for weight in weights)
    assert (scores.grad[1] == 0).all()


def test_marginals_are_the_gradient_of_the_log_partition():
    crf, scores = make(4, 2, 12, 5)
    (slope,) = torch.autograd.grad(crf.log_partition(scores.requires_grad_()).sum(), scores)
    torch.testing.assert_close(crf.marginals(scores), slope)


def test_long_sequences_stay_finite():
    crf, scores = make(5, 1, 3000, 4, torch.float32)
    scores = scores * 100
    with torch.no_grad():
        assert torch.isfinite(crf.loss(scores, torch.zeros(1, 3000, dtype=torch.int64))).all()
        torch.testing.assert_close(crf.marginals(scores).sum(-1), torch.ones(1, 3000))
        assert crf.filter(scores).max() == 0
        path, best = crf.viterbi(scores), crf.viterbi(scores.double())
        assert torch.equal(path, best)


def test_against_an_independent_library():
    """pytorch-crf, on batches: loss, Viterbi, and marginals, which are the slope of its log-likelihood."""
    for seed in range(5):
        crf, scores = make(seed, 4, 9, 6)
        theirs, all_steps = torchcrf.CRF(6, batch_first=True).double(), torch.ones(4, 9, dtype=torch.bool)
        with torch.no_grad():
            theirs.transitions.copy_(crf.transitions)
            theirs.start_transitions.copy_(crf.start)
            theirs.end_transitions.copy_(crf.end)
            truth = torch.randint(0, 6, (4, 9), generator=torch.Generator().manual_seed(seed))
            torch.testing.assert_close(
                crf.loss(scores, truth), -theirs(scores, truth, all_steps, reduction="none")
            )
            assert crf.viterbi(scores).tolist() == theirs.decode(scores, all_steps)
        free = scores.clone().requires_grad_()
        (slope,) = torch.autograd.grad(
            theirs(free, truth, all_steps), free
        )  # 1 at what is true, less the marginals
        at_truth = torch.nn.functional.one_hot(truth, 6)
        torch.testing.assert_close(crf.marginals(scores), at_truth - slope)
        ours, their = (
            torch.autograd.grad(loss, weight)[0]
            for loss, weight in (
                (crf.loss(scores, truth).sum(), crf.transitions),
                (-theirs(scores, truth, all_steps), theirs.transitions),
            )
        )
        torch.testing.assert_close(ours, their)


@given(**(SMALL | {"steps": st.integers(1, 30)}))
@settings(deadline=None, max_examples=30, derandomize=True)
def test_decoding_as_it_arrives_is_decoding_the_whole(seed, batch, steps, rooms):
    crf, scores = make(seed, 1, steps, rooms)
    chain, values = chain_of(crf), scores[0].numpy()
    with torch.no_grad():
        np.testing.assert_allclose(max_plus(chain, values), crf.filter(scores)[0], atol=1e-5)
        assert viterbi(chain, values).tolist() == Viterbi(chain).path(values)
        crf.end.zero_()
    open_chain = chain._replace(end=np.zeros(rooms))
    for lag in (0, 1, 3, steps - 1, steps + 2):
        decoder = FixedLag(chain, lag)
        told = [decoder.step(step) for step in values]
        assert told[:lag] == [None] * min(lag, steps)
        for t in range(lag, steps):  # the best path over all that was heard, `lag` steps back
            assert told[t] == Viterbi(open_chain).path(values[: t + 1])[t - lag]
        late = decoder.finish()
        assert len(told[lag:]) + len(late) == steps
        assert late == viterbi(chain, values).tolist()[steps - len(late) :]


class Viterbi:
    """The textbook's form, with the whole table kept."""

    def __init__(self, chain):
        self.chain = chain

    def path(self, scores):
        table, before = [self.chain.start + scores[0]], []
        for s in scores[1:]:
            ways = table[-1][:, None] + self.chain.transitions
            before.append(ways.argmax(0))
            table.append(ways.max(0) + s)
        path = [int((table[-1] + self.chain.end).argmax())]
        for pointers in before[::-1]:
            path.append(int(pointers[path[-1]]))
        return path[::-1]


def test_between_equals_the_lower_room_wins():
    chain = Chain(np.zeros((3, 3)), np.zeros(3), np.zeros(3))
    assert viterbi(chain, np.zeros((4, 3))).tolist() == [0, 0, 0, 0]
    assert FixedLag(chain, 0).step(np.array([1.0, 2.0, 2.0])) == 1


def test_what_cannot_be_decoded_is_refused():
    chain = Chain(np.zeros((2, 2)), np.zeros(2), np.zeros(2))
    assert FixedLag(chain, 2).finish() == []
    assert len(viterbi(chain, np.zeros((0, 2)))) == 0
    with pytest.raises(UsageError, match="at least 0"):
        FixedLag(chain, -1)
    with pytest.raises(UsageError, match="no CRF"):
        Chain.of({})
