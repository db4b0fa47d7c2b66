"""Inputs that are whole numbers or truth values, such as pixels of 8 bits and indices: which values they take.

Real numbers that a network converts to whole ones, by which it chooses rows of a tensor, are among them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from edgekit.ir.graph import Graph, Op

_PIXELS = (0, 255)  # what an input of more than 8 bits gets that chooses no rows
_KEPT = frozenset(  # what leaves a whole number what it is, or brings it nearer
    {"cast", "reshape", "permute", "slice", "flip", "expand", "tile", "cat", "gather"}
    | {"floor", "round", "ceil", "clip", "relu", "abs", "maximum", "minimum"}
)
Range = tuple[float, float]


@dataclass(frozen=True)
class WholeNumbers:
    """The type of an input, by numpy's name, and the least and the largest value that it is given at random.

    With `chooses` the network takes no others: they are rows of a tensor. Of a real type only what they are without
    their fraction counts.
    """

    dtype: str
    low: int
    high: int
    chooses: bool = False


def whole_numbers(graph: Graph) -> dict[str, WholeNumbers]:
    """Return what each input takes that is no real number, by the input's name.

    Types of 8 bits take all their values, wider ones those of pixels. An input that chooses rows of a tensor stays
    within these, and one of real numbers, too, where it is converted for that.
    """
    wanted = _wanted(graph)
    found = {op.name: _taken(op, wanted.get(op.name)) for op in graph.inputs}
    return {name: one for name, one in found.items() if one is not None}


def drawn(graph: Graph, batch: int, spread: float = 1.0) -> list[Tensor]:
    """Return a random tensor (batch, *shape) for each input, the same at each call.

    Real numbers are normal with a standard deviation of `spread`, whole ones those that the input takes.
    """
    generator, whole = torch.Generator().manual_seed(0), whole_numbers(graph)
    found = []
    for op in graph.inputs:
        shape = (batch, *op.shape[1:])
        if op.name in whole:
            one = whole[op.name]
            found.append(torch.randint(one.low, one.high + 1, shape, generator=generator).to(op.dtype))
        else:
            found.append(spread * torch.randn(shape, generator=generator))
    return found


def _taken(op: Op, wanted: Range | None) -> WholeNumbers | None:
    name = str(op.dtype).removeprefix("torch.")
    if op.dtype == torch.bool:
        return WholeNumbers(name, 0, 1)
    if op.dtype.is_floating_point:
        return None if wanted is None else WholeNumbers(name, int(wanted[0]), int(wanted[1]), True)
    ends = torch.iinfo(op.dtype)
    if wanted is not None:
        return WholeNumbers(name, int(max(wanted[0], ends.min)), int(min(wanted[1], ends.max)), True)
    low, high = _PIXELS if op.dtype.itemsize > 1 else (ends.min, ends.max)
    return WholeNumbers(name, low, high)


def _wanted(graph: Graph) -> dict[str, Range]:
    """Between which whole numbers each tensor must lie that chooses rows, as it is or by what is made of it."""
    found: dict[str, Range] = {}

    def narrow(name: str, low: float, high: float) -> None:
        before = found.get(name, (-math.inf, math.inf))
        both = max(low, before[0]), min(high, before[1])
        if both[0] <= both[1]:
            found[name] = both

    for op in reversed(graph.ops):
        if op.kind == "gather" and "indices" not in op.params:
            narrow(op.inputs[-1], 0, graph[op.inputs[0]].shape[op.attrs["dim"]] - 1)
        before = _before(graph, op, *found[op.name]) if op.name in found else None
        if before is not None:
            for name in op.inputs[:1] if op.kind == "gather" else op.inputs:
                narrow(name, *before)
    return found


def _before(graph: Graph, op: Op, low: float, high: float) -> Range | None:
    """Between which whole numbers the inputs of an operator must lie for what it gives to lie between two."""
    other = graph.params[op.params["other"]] if "other" in op.params else op.attrs.get("other")
    if op.kind in ("add", "sub", "mul") and other is not None and not op.attrs.get("reflected"):
        least, most = (float(end) for end in torch.aminmax(torch.as_tensor(other)))
        if op.kind == "mul":
            ends = (math.ceil(low / least), math.floor(high / most)) if least > 0 else (low, high)
        else:
            sign = 1 if op.kind == "add" else -1
            shift = sorted((sign * least, sign * most))
            ends = math.ceil(low - shift[0]), math.floor(high - shift[1])
        return ends if ends[0] <= ends[1] else None
    is_whole = not any(graph[name].dtype.is_floating_point for name in (op.name, *op.inputs))
    return (low, high) if is_whole or op.kind in _KEPT else None
