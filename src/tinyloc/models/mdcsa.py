"""MDCSA: dual convolutional self-attention, the paper's transformer.

Jovan et al., "Multimodal Indoor Localisation in Parkinson's Disease for Detecting Medication Use", KDD 2023,
arXiv 2308.02419, in the sizes "HxLy" of Suwannaphong et al., arXiv 2412.09289.

    B  batch     T  steps     P  access points     K  rooms     H  width     k  taps of a convolution

    x = sqrt(H) embed(signal) + sinusoid                                            [B, T, H]
    for each k (L1: 1; L3: 1, 4, 7), side by side, all from the same x:
        q = tanh(conv_k(x)),  y = tanh(conv'_k(x))                                  causal, over the past
        x1 = norm1(softmax(q y' / sqrt(H)) x + x)                                   values are x itself
        z = norm2(glu(gate(drop(mix(elu(expand(x1) [+ context(m1)]))))) + x1)       gated residual network
    tokens: the z of all k, interleaved per step                                    [B, T L, H]
    tokens = softmax(tokens tokens' / sqrt(H)) tokens                               no projections
    x = norm(conv(tokens))              3 taps, stride 3 for L3 (one output a step), stride 1 for L1
    logits = head(drop(x))

The gated residual network is that of the temporal fusion transformer (Lim et al., arXiv 1912.09363, equations
2-5); glu(a, b) = a sigmoid(b). With the accelerometer, the second modality m has its own embedding,
convolutions and norm (m1, made as x1 is), and enters as the context. Without it those weights are not built.

The papers leave open, and here stands: L1's last convolution is causal with stride 1; all attention sees the
whole window; there is no identity around the last attention; one rate serves both dropouts.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from tinyloc.models.base import RoomModel
from tinyloc.models.config import MdcsaConfig
from tinyloc.models.crf import Crf
from tinyloc.models.motion import MOTION_AXES
from tinyloc.models.running import columns
from tinyloc.models.sinusoid import positions


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q k' / sqrt(H)) v with one head, all [B, S, H]."""
    attended: Tensor = (q @ k.transpose(1, 2) / math.sqrt(q.shape[-1])).softmax(-1) @ v
    return attended


def causal(conv: nn.Conv1d, x: Tensor) -> Tensor:
    """[B, T, H] -> [B, T, H]: step t sees t - taps + 1 .. t, zeros before the window; the last tap is t."""
    past = functional.pad(x.transpose(1, 2), (conv.kernel_size[0] - 1, 0))  # [B, H, T + taps - 1]
    out: Tensor = conv(past)
    return out.transpose(1, 2)


class GatedResidual(nn.Module):
    """The gated residual network: [B, T, H] -> [B, T, H], inner width 4 H."""

    def __init__(self, width: int, dropout: float, context: bool) -> None:
        super().__init__()
        self.dropout = dropout
        self.expand = nn.Linear(width, 4 * width)
        self.context = nn.Linear(width, 4 * width, bias=False) if context else None
        self.mix = nn.Linear(4 * width, 4 * width)
        self.gate = nn.Linear(4 * width, 2 * width)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, context: Tensor | None) -> Tensor:
        """`x` and, where there is a second modality, `context`: [B, T, H] each."""
        eta = self.expand(x)  # [B, T, 4 H]
        if self.context is not None and context is not None:
            eta = eta + self.context(context)
        eta = self.mix(functional.elu(eta))
        eta = functional.dropout(eta, self.dropout, self.training)
        out: Tensor = self.norm(functional.glu(self.gate(eta), -1) + x)  # the gate is the second half
        return out


class Block(nn.Module):
    """One dual convolutional self-attention with kernels of k taps."""

    def __init__(self, width: int, taps: int, dropout: float, motion: bool) -> None:
        super().__init__()
        self.query = nn.Conv1d(width, width, taps)
        self.key = nn.Conv1d(width, width, taps)
        self.norm1 = nn.LayerNorm(width)
        self.grn = GatedResidual(width, dropout, motion)
        self.motion = motion
        if motion:
            self.motion_query = nn.Conv1d(width, width, taps)
            self.motion_key = nn.Conv1d(width, width, taps)
            self.motion_norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, motion: Tensor | None) -> Tensor:
        """`x` and, where it has the branch, `motion`: [B, T, H] each -> [B, T, H]."""
        q, k = torch.tanh(causal(self.query, x)), torch.tanh(causal(self.key, x))
        x = self.norm1(attend(q, k, x) + x)
        context = None
        if self.motion and motion is not None:
            q = torch.tanh(causal(self.motion_query, motion))
            k = torch.tanh(causal(self.motion_key, motion))
            context = self.motion_norm(attend(q, k, motion) + motion)
        out: Tensor = self.grn(x, context)
        return out


class Mdcsa(RoomModel):
    """The whole model. Inputs are scaled signals and, with the branch, acceleration; outputs are logits."""

    def __init__(self, config: MdcsaConfig, dropout: float = 0.0) -> None:
        super().__init__()
        self.config: MdcsaConfig = config
        self.dropout = dropout
        H, motion = config.hidden, config.accelerometer
        self.embed = nn.Linear(columns(config.access_points, config.statistics), H)
        self.embed_motion = nn.Linear(MOTION_AXES, H) if motion else None
        self.blocks = nn.ModuleList(Block(H, taps, dropout, motion) for taps in config.kernels)
        self.join = nn.Conv1d(H, H, 3, stride=config.layers)
        self.norm = nn.LayerNorm(H)
        self.head = nn.Linear(H, config.rooms)
        self.crf = Crf(config.rooms) if config.crf else None

    def forward(self, x: Tensor, acceleration: Tensor | None = None) -> Tensor:
        """`x` [B, T, P], `acceleration` [B, T, 3] in g -> logits [B, T, K]."""
        x = self._place(self.embed(x))  # [B, T, H]
        motion = None
        if self.embed_motion is not None:
            motion = self._place(self.embed_motion(acceleration))
        branches = [block(x, motion) for block in self.blocks]  # L of [B, T, H]
        tokens = torch.stack(branches, 2).flatten(1, 2)  # [B, T L, H]: step 0 of every k, step 1 of every k
        tokens = attend(tokens, tokens, tokens)
        x = self._join(tokens)  # [B, T, H]
        x = functional.dropout(self.norm(x), self.dropout, self.training)
        logits: Tensor = self.head(x)
        return logits

    def _place(self, x: Tensor) -> Tensor:
        """sqrt(H) x + sinusoid, [B, T, H]."""
        steps, width = x.shape[1:]
        return math.sqrt(width) * x + torch.from_numpy(positions(steps, width)).to(x.device)

    def _join(self, tokens: Tensor) -> Tensor:
        """[B, T L, H] -> [B, T, H]."""
        if self.config.layers == 1:
            return causal(self.join, tokens)
        out: Tensor = self.join(tokens.transpose(1, 2))
        return out.transpose(1, 2)
