"""What can be done to a trained model, by name, and what is there to do it.

`static` (LLM.int8()) and `dynamic` int8 are the paper's and run in PyTorch; `integer` is this project's graph
and runs on the emulated device; `distilled` is trained on a teacher's answers as well; `qat` is the integer
graph, trained on as such; `integer4` and `qat4` are the same with weights of 4 bits in the larger matrices.
What is distilled is distilled first, whichever way round the name has it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from tinyloc.errors import UsageError
from tinyloc.quant.packing import WeightBits


@dataclass(frozen=True)
class Compression:
    """`source`: what is trained ("float" or "distilled"); `form`: what is then made of it, and runs ("float",
    "static", "dynamic", "integer" or "qat"); `weight_bits` of the integers' larger matrices.
    """

    source: str
    form: str
    weight_bits: WeightBits = 8

    @property
    def on_device(self) -> bool:
        """Whether the emulated device answers."""
        return self.form in ("integer", "qat")


COMPRESSIONS: Final = {
    "float": Compression("float", "float"),
    "static": Compression("float", "static"),
    "dynamic": Compression("float", "dynamic"),
    "distilled": Compression("distilled", "float"),
    "distilled+static": Compression("distilled", "static"),
    "integer": Compression("float", "integer"),
    "integer+distilled": Compression("distilled", "integer"),
    "qat": Compression("float", "qat"),
    "qat+distilled": Compression("distilled", "qat"),
    "integer4": Compression("float", "integer", 4),
    "qat4": Compression("float", "qat", 4),
}
KNOWN: Final = tuple(COMPRESSIONS)

_NEEDS: Final = {
    "static": ("tinyloc.models.compress", "predict_compressed"),
    "dynamic": ("tinyloc.models.compress", "predict_compressed"),
    "distilled": ("tinyloc.learn.teachers", "distilled"),
    "qat": ("tinyloc.quant.qat", "fine_tune"),
}
"""What a source or a form needs: a module and a function in it."""


def is_distilled(name: str) -> bool:
    """Whether the compression of that name needs a teacher."""
    return COMPRESSIONS[name].source == "distilled"


def part(name: str) -> Callable[..., Any]:
    """The function behind a source or a form. Raises UsageError where this tinyloc does not have it."""
    module, function = _NEEDS[name]
    found = optional(module, function)
    if found is None:
        raise UsageError(
            f"the compression {name!r} is not there yet: this tinyloc has no {module}.{function}",
            hint="Leave it out of the grid's compressions.",
        )
    return found


def optional(module: str, function: str) -> Callable[..., Any] | None:
    """`module.function`, or None where there is none."""
    try:
        found = getattr(importlib.import_module(module), function, None)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        return None
    return found if callable(found) else None


def require(names: Iterable[str]) -> None:
    """Raise UsageError unless all these compressions can be done."""
    for name in dict.fromkeys(names):
        compression = COMPRESSIONS[name]
        for piece in (compression.source, compression.form):
            if piece in _NEEDS:
                part(piece)
