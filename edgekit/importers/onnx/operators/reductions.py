"""Sums, means, extremes and norms over axes, and where the extremes are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from edgekit.importers.onnx.node import Node
from edgekit.importers.onnx.operators.elementwise import Operator

Over = Callable[[Tensor, tuple[int, ...], bool], Tensor]


def reduction(function: Over) -> Operator:
    """A reduction whose axes are an attribute, or since opset 13 or 18 an input; all axes where neither is there."""

    def operator(n: Node, x: Tensor, axes: Tensor | None = None) -> Tensor:
        chosen = n.integers(axes, "axes", "axes")
        if not chosen and n.get("noop_with_empty_axes", 0):
            return function(x.unsqueeze(-1), (x.dim(),), False)
        dims = tuple(axis % max(x.dim(), 1) for axis in chosen) if chosen else tuple(range(x.dim()))
        return function(x, dims, bool(n.get("keepdims", 1)))

    return operator


def total(x: Tensor, dims: tuple[int, ...], keep: bool) -> Tensor:
    return x.sum(dims, keepdim=keep).to(x.dtype) if dims else x


def over(function: Callable[..., Tensor]) -> Over:
    """A function of torch that takes axes; without any there is nothing to do."""
    return lambda x, dims, keep: function(x, dims, keepdim=keep) if dims else x


def product(x: Tensor, dims: tuple[int, ...], keep: bool) -> Tensor:
    for dim in sorted(dims, reverse=True):
        x = x.prod(dim, keepdim=keep)
    return x


def absolute_sum(x: Tensor, dims: tuple[int, ...], keep: bool) -> Tensor:
    return total(x.abs(), dims, keep)


def length(x: Tensor, dims: tuple[int, ...], keep: bool) -> Tensor:
    return torch.sqrt(square_sum(x, dims, keep))


def square_sum(x: Tensor, dims: tuple[int, ...], keep: bool) -> Tensor:
    return total(x * x, dims, keep)


def log_sum(x: Tensor, dims: tuple[int, ...], keep: bool) -> Tensor:
    return torch.log(total(x, dims, keep))


def index_of(function: Callable[..., Tensor]) -> Operator:
    """ArgMax and ArgMin; of equal elements the first, or the last where the file says so."""

    def operator(n: Node, x: Tensor) -> Tensor:
        axis, keep = n.get("axis", 0), bool(n.get("keepdims", 1))
        if not n.get("select_last_index", 0):
            return function(x, axis, keepdim=keep)
        return torch.rsub(function(x.flip(axis), axis, keepdim=keep), x.shape[axis] - 1)

    return operator


def top_k(n: Node, x: Tensor, k: Tensor | None = None) -> Any:
    count = n.get("k") if k is None else n.integer(k, "k")
    return tuple(torch.topk(x, count, n.get("axis", -1), bool(n.get("largest", 1)), bool(n.get("sorted", 1))))


def cum_sum(n: Node, x: Tensor, axis: Tensor) -> Tensor:
    dim = n.integer(axis, "axis") % x.dim()
    if n.get("reverse", 0):
        x = x.flip(dim)
    y = x.cumsum(dim)
    if n.get("exclusive", 0):
        y = y - x
    return y.flip(dim) if n.get("reverse", 0) else y
