"""Inputs that are whole numbers or truth values, such as pixels of 8 bits and indices: which values they take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from edgekit.ir.graph import Graph, Op

_PIXELS = (0, 255)  # what an input of more than 8 bits gets that chooses no rows


@dataclass(frozen=True)
class WholeNumbers:
    """The type of an input, by numpy's name, and the least and the largest value that it is given at random.

    With `chooses` the network takes no others: they are rows of a tensor.
    """

    dtype: str
    low: int
    high: int
    chooses: bool = False


def whole_numbers(graph: Graph) -> dict[str, WholeNumbers]:
    """Return what each input takes that is no real number, by the input's name.

    Types of 8 bits take all their values, wider ones those of pixels. An input that chooses rows of a tensor
    stays within these.
    """
    return {op.name: _taken(graph, op) for op in graph.inputs if not op.dtype.is_floating_point}


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


def _taken(graph: Graph, op: Op) -> WholeNumbers:
    name = str(op.dtype).removeprefix("torch.")
    if op.dtype == torch.bool:
        return WholeNumbers(name, 0, 1)
    ends = torch.iinfo(op.dtype)
    low, high = _PIXELS if op.dtype.itemsize > 1 else (ends.min, ends.max)
    rows = _rows(graph, op)
    return WholeNumbers(name, low, high) if rows is None else WholeNumbers(name, 0, min(rows - 1, ends.max), True)


def _rows(graph: Graph, op: Op) -> int | None:
    """The fewest rows among which the input chooses, as it is or changed to other whole numbers; None: among none."""
    shapes, reached, found = {one.name: one.shape for one in graph}, {op.name}, []
    for reader in graph:
        if reader.kind == "gather" and reader.inputs[-1] in reached and "indices" not in reader.params:
            found.append(shapes[reader.inputs[0]][reader.attrs["dim"]])
        elif not reader.dtype.is_floating_point and reached.intersection(reader.inputs):
            reached.add(reader.name)
    return min(found, default=None)
