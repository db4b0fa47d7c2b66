"""What makes fewer elements of many: means, sums, extremes, where these are, running sums."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from edgekit.importers.held import Axes, Held, unflattened
from edgekit.importers.tflite.node import Node
from edgekit.importers.tflite.operators.elementwise import Operator


def without(axes: Axes, gone: Sequence[int]) -> Axes:
    """Where the axes lie when these dimensions are gone."""
    return tuple(dim - sum(one < dim for one in gone) for dim in axes if dim not in gone)


def reduction(function: Callable[[Tensor, tuple[int, ...], bool], Tensor]) -> Operator:
    """MEAN and its like over the axes of the second input."""

    def operator(n: Node, x: Held, axes: Held) -> Held:
        x, keep = unflattened(x), bool(n.get("KeepDims", False))
        dims = tuple(sorted(set(x.dims(n.integers(axes, "axes")))))
        if not dims:
            return x
        return Held(function(x.tensor, dims, keep), x.axes if keep else without(x.axes, dims))

    return operator


def one_by_one(function: Callable[[Tensor, int, bool], Tensor]) -> Operator:
    """A reduction that torch has for one axis at a time."""

    def each(x: Tensor, dims: tuple[int, ...], keep: bool) -> Tensor:
        for dim in sorted(dims, reverse=True):
            x = function(x, dim, keep)
        return x

    return reduction(each)


def index_of(function: Callable[..., Tensor]) -> Operator:
    """ARG_MAX and ARG_MIN."""

    def operator(n: Node, x: Held, axis: Held) -> Held:
        x = unflattened(x)
        (dim,) = x.dims(n.integers(axis, "axis"))
        return Held(function(x.tensor, dim), without(x.axes, [dim]))

    return operator


def top_k(n: Node, x: Held, k: Held) -> tuple[Held, Held]:
    """TOPK_V2: the largest of the last axis, and where they are."""
    x = unflattened(x)
    (count,) = n.integers(k, "count")
    values, places = torch.topk(x.tensor, count, x.axes[-1])
    return x.to(values), x.to(places)


def cumsum(n: Node, x: Held, axis: Held) -> Held:
    x = unflattened(x)
    (dim,) = x.dims(n.integers(axis, "axis"))
    value = x.tensor.flip(dim) if n.get("Reverse", False) else x.tensor
    total = value.cumsum(dim)
    total = total - value if n.get("Exclusive", False) else total
    return x.to(total.flip(dim) if n.get("Reverse", False) else total)
