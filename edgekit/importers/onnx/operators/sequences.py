"""Sequences of tensors, as torch's exporter writes chunk, split and lists; which one is meant is known.

In `values` of a network a sequence is a list; what an operator gives is a tuple of what it gives.
"""

from __future__ import annotations

import torch
from torch import Tensor

from edgekit.importers.onnx.node import Node

Sequence = list[Tensor]


def construct(n: Node, *tensors: Tensor) -> tuple[Sequence]:
    return (list(tensors),)


def split(n: Node, x: Tensor, sizes: Tensor | None = None) -> tuple[Sequence]:
    """In parts of given sizes, in equal ones of which the last may be smaller, or in slices."""
    axis = n.get("axis", 0) % x.dim()
    if sizes is None:
        parts = torch.split(x, 1, axis)
        return (list(parts) if n.get("keepdims", 1) else [part.squeeze(axis) for part in parts],)
    given = n.integers(sizes, "sizes") or []
    return (list(torch.split(x, given if sizes.dim() else given[0], axis)),)


def at(n: Node, given: Sequence, position: Tensor) -> Tensor:
    return given[n.integer(position, "position")]


def length(n: Node, given: Sequence) -> Tensor:
    return torch.tensor(len(given), dtype=torch.int64)


def insert(n: Node, given: Sequence, new: Tensor, position: Tensor | None = None) -> tuple[Sequence]:
    place = len(given) if position is None else n.integer(position, "position")
    return ([*given[:place], new, *given[place:]],)


def erase(n: Node, given: Sequence, position: Tensor | None = None) -> tuple[Sequence]:
    place = (-1 if position is None else n.integer(position, "position")) % len(given)
    return (given[:place] + given[place + 1 :],)


def concat(n: Node, given: Sequence) -> Tensor:
    axis = n.get("axis")
    return torch.stack(given, axis) if n.get("new_axis", 0) else torch.cat(given, axis)
