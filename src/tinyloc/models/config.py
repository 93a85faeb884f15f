"""The shape of a model as numbers: what a checkpoint says before its weights. No torch here."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

from tinyloc.errors import UsageError


@dataclass(frozen=True)
class MambaConfig:
    """Mamba "HxLy" of arXiv 2412.09289 (block: arXiv 2312.00752).

    `access_points` P, `rooms` K, `hidden` H, `layers` L, `state` N, `expand` E / H, `conv` taps of the causal
    convolution, `rank` R of the step size (0 means the paper's ceil(H / 16)). All at least 1.
    """

    family: ClassVar[str] = "mamba"

    access_points: int
    rooms: int
    hidden: int
    layers: int = 1
    state: int = 16
    expand: int = 2
    conv: int = 4
    rank: int = 0

    def __post_init__(self) -> None:
        if type(self.hidden) is int and self.rank == 0:
            object.__setattr__(self, "rank", -(-self.hidden // 16))
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if type(value) is not int or value < 1:
                raise UsageError(f"Mamba's {field.name} must be a whole number of at least 1, not {value!r}")

    @property
    def inner(self) -> int:
        """E, the width inside the block."""
        return self.expand * self.hidden

    @property
    def name(self) -> str:
        """The paper's name of the size: H8L1."""
        return f"H{self.hidden}L{self.layers}"

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Every weight's name and shape, in the order of the forward pass."""
        P, K, H, E, N, R = self.access_points, self.rooms, self.hidden, self.inner, self.state, self.rank
        shapes: dict[str, tuple[int, ...]] = {"embed.weight": (H, P), "embed.bias": (H,)}
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
            shapes |= {f"layers.{i}.{name}": shape for name, shape in layer.items()}
        return shapes | {"head.weight": (K, H)}


def parameters(config: MambaConfig) -> int:
    """How many weights a model of this shape has."""
    total = 0
    for shape in config.weight_shapes().values():
        count = 1
        for size in shape:
            count *= size
        total += count
    return total


def parameters_paper(config: MambaConfig) -> int:
    """The count that arXiv 2412.09289 reports: with its CRF of K^2 transitions, K starts and K ends."""
    return parameters(config) + config.rooms**2 + 2 * config.rooms
