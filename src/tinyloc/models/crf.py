"""A linear-chain conditional random field over the steps' answers.

Lafferty, McCallum, Pereira, "Conditional random fields", ICML 2001; as the last layer of MDCSA and Mamba in
arXiv 2412.09289: K^2 transitions, K starts, K ends.

    score(y) = start[y_1] + sum_t s[t, y_t] + sum_t transitions[y_t-1, y_t] + end[y_T]
    p(y) = exp(score(y)) / Z

B batch, T steps, K rooms; s [B, T, K] are a model's logits. A step that nobody annotated (-1) is summed over
in the loss: every room it may have been counts. `decode.py` has the streaming decoders, without torch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Crf(nn.Module):
    """`transitions` [K, K] from, to; `start` [K]; `end` [K]: in nats, all 0 at first (no opinion)."""

    def __init__(self, rooms: int) -> None:
        super().__init__()
        self.transitions = nn.Parameter(torch.zeros(rooms, rooms))
        self.start = nn.Parameter(torch.zeros(rooms))
        self.end = nn.Parameter(torch.zeros(rooms))

    def loss(self, scores: Tensor, rooms: Tensor) -> Tensor:
        """-ln p of what was annotated, in nats, for each sequence [B].

        `scores` [B, T, K]; `rooms` [B, T] int64, -1 = not annotated: then every room at that step counts. 0
        for a sequence without any annotation.
        """
        known = (rooms >= 0).unsqueeze(-1)
        chosen = torch.arange(scores.shape[-1], device=rooms.device) == rooms.unsqueeze(-1)  # [B, T, K]
        consistent = scores.masked_fill(known & ~chosen, -torch.inf)
        free, bound = self.log_partition(torch.cat([scores, consistent])).chunk(2)
        return free - bound

    def log_partition(self, scores: Tensor) -> Tensor:
        """ln of the sum of exp(score) over all K^T paths: [B, T, K] -> [B] nats."""
        *_, alpha = self._forward(scores)
        return torch.logsumexp(alpha + self.end, -1)

    def marginals(self, scores: Tensor) -> Tensor:
        """p(y_t = k) given the whole sequence: [B, T, K] -> [B, T, K], each step sums to 1."""
        beta = self.end.expand(scores.shape[0], -1)  # [B, K]
        backward = [beta]
        for s in reversed(scores.unbind(1)[1:]):
            beta = torch.logsumexp(self.transitions + (s + beta).unsqueeze(1), -1)
            backward.append(beta)
        forward = torch.stack(self._forward(scores), 1)  # [B, T, K]
        return (forward + torch.stack(backward[::-1], 1)).softmax(-1)

    def filter(self, scores: Tensor) -> Tensor:
        """The best path into each room at each step, from the past alone: [B, T, K] -> [B, T, K] nats.

        Every step's best is moved to 0, so that numbers stay small however long the sequence.
        """
        steps = scores.unbind(1)
        delta = self.start + steps[0]
        filtered = [delta - delta.amax(-1, keepdim=True)]
        for s in steps[1:]:
            delta = (filtered[-1].unsqueeze(-1) + self.transitions).amax(1) + s
            filtered.append(delta - delta.amax(-1, keepdim=True))
        return torch.stack(filtered, 1)

    def answers(self, scores: Tensor) -> Tensor:
        """For each step, the scores of the rooms if the sequence ended there: [B, T, K] -> [B, T, K] nats.

        The best room is the last one on Viterbi's path over the steps so far.
        """
        return self.filter(scores) + self.end

    def viterbi(self, scores: Tensor) -> Tensor:
        """The best path: [B, T, K] -> rooms [B, T] int64."""
        filtered = self.filter(scores)
        room = (filtered[:, -1] + self.end).argmax(-1)  # [B]
        path = [room]
        for delta in reversed(filtered.unbind(1)[:-1]):
            room = (delta + self.transitions.t()[room]).argmax(-1)
            path.append(room)
        return torch.stack(path[::-1], 1)

    def score(self, scores: Tensor, rooms: Tensor) -> Tensor:
        """score(y) in nats of whole paths: `scores` [B, T, K], `rooms` [B, T], none of them -1 -> [B]."""
        total = scores.gather(-1, rooms.unsqueeze(-1)).squeeze(-1).sum(-1)
        total = total + self.start[rooms[:, 0]] + self.end[rooms[:, -1]]
        return total + self.transitions[rooms[:, :-1], rooms[:, 1:]].sum(-1)

    def _forward(self, scores: Tensor) -> list[Tensor]:
        """For each step, ln of the sum over all paths that end in each room: T of [B, K]."""
        steps = scores.unbind(1)
        alphas = [self.start + steps[0]]
        for s in steps[1:]:
            alphas.append(torch.logsumexp(alphas[-1].unsqueeze(-1) + self.transitions, 1) + s)
        return alphas
