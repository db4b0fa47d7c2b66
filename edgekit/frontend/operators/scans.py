"""Running products and extremes, orders, and the intervals that numbers fall into."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from edgekit.frontend.builder import Builder
from edgekit.frontend.node import Node
from edgekit.frontend.operators.compositions import logaddexp
from edgekit.frontend.operators.elementwise import Converter, lerp
from edgekit.frontend.operators.moving import cut, movedim, shaped
from edgekit.frontend.operators.reductions import sort
from edgekit.ir.kernels import along_axis

Joined = Callable[[str, Node, Node], Node]


def _running(b: Builder, name: str, x: Node, dim: int, join: Joined) -> Node:
    """Each element with all before it: runs of 1, 2, 4 ... elements are joined with the runs in front of them."""
    dim, step = dim % max(x.rank, 1), 1
    size = x.shape[dim] if x.rank else 1
    while step < size:
        first = cut(b, f"{name}/first", x, dim, 0, step)
        later, earlier = cut(b, f"{name}/later", x, dim, step, size), cut(b, f"{name}/before", x, dim, 0, size - step)
        more = join(f"{name}/joined", earlier, later)
        x = b.emit(name if 2 * step >= size else f"{name}/run", "cat", [first, more], dim=dim)
        step *= 2
    return x


def cumprod(b: Builder, name: str, input: Node, dim: int, *, dtype: Any = None) -> Node:
    x = input if dtype in (None, input.dtype) else b.emit(f"{name}/cast", "cast", [input], dtype=dtype)
    return _running(b, name, x, dim, lambda part, *both: b.emit(part, "mul", both))


def logcumsumexp(b: Builder, name: str, input: Node, dim: int) -> Node:
    return _running(b, name, input, dim, lambda part, *both: logaddexp(b, part, *both))


def running_extreme(kind: str) -> Converter:
    """cummax and cummin: values, and the last places that have them."""

    def convert(b: Builder, name: str, input: Node, dim: int) -> Any:
        dim %= input.rank
        values = _running(b, f"{name}/values", input, dim, lambda part, *both: b.emit(part, kind, both))
        here = b.emit(f"{name}/here", "equal", [input, values])
        places = along_axis(torch.arange(input.shape[dim], dtype=torch.float32), dim, input.rank)
        number = b.emit(f"{name}/number", "cast", [here], dtype=torch.float32)
        found = b.emit(f"{name}/found", "mul", [number], {"other": places})
        last = _running(b, f"{name}/last", found, dim, lambda part, *both: b.emit(part, "maximum", both))
        parts: Any = (values, b.emit(f"{name}/indices", "cast", [last], dtype=torch.int64))
        return getattr(torch.return_types, {"maximum": "cummax", "minimum": "cummin"}[kind])(parts)

    return convert


def argsort(b: Builder, name: str, input: Node, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
    return sort(b, name, input, dim, descending, stable)[1]


def msort(b: Builder, name: str, input: Node) -> Any:
    return sort(b, name, input, 0)[0]


def quantile(
    b: Builder,
    name: str,
    input: Node,
    q: Any,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
) -> Any:
    """The sorted values at q of the way through them, between two of them in proportion."""
    if isinstance(q, Node) or interpolation != "linear" or (keepdim and dim is None):
        return NotImplemented
    x = shaped(b, f"{name}/flat", input, (math.prod(input.shape),)) if dim is None else input
    dim, several = (dim or 0) % x.rank, torch.as_tensor(q).dim() > 0
    values = sort(b, f"{name}/sorted", x, dim)[0]
    places = torch.as_tensor(q, dtype=torch.float64).reshape(-1) * (x.shape[dim] - 1)
    low, high = (
        b.emit(f"{name}/{end}", "gather", [values], {"indices": at.long()}, dim=dim)
        for end, at in (("low", places.floor()), ("high", places.ceil()))
    )
    shares = along_axis((places - places.floor()).to(x.dtype), dim, x.rank)
    found = movedim(b, f"{name}/front", lerp(b, f"{name}/between", low, high, shares), dim, 0)
    kept = tuple(1 if axis == dim else size for axis, size in enumerate(x.shape) if keepdim or axis != dim)
    return shaped(b, name, found, (len(places), *kept) if several else kept)


def bucketize(
    b: Builder, name: str, input: Any, boundaries: Any, *, out_int32: bool = False, right: bool = False
) -> Any:
    """How many boundaries are below a number (with `right`: below or at it)."""
    if not isinstance(input, Node) or not isinstance(boundaries, torch.Tensor) or boundaries.dim() != 1:
        return NotImplemented
    column = shaped(b, f"{name}/column", input, (*input.shape, 1))
    limits: dict[str, torch.Tensor | None] = {"other": boundaries.detach().to(input.dtype)}
    past = b.emit(f"{name}/past", "greater_equal" if right else "greater", [column], limits)
    number = b.emit(f"{name}/number", "cast", [past], dtype=torch.float32)
    total = b.emit(f"{name}/sum", "sum", [number], dims=(input.rank,), keepdim=False)
    return b.emit(name, "cast", [total], dtype=torch.int32 if out_int32 else torch.int64)


def searchsorted(
    b: Builder,
    name: str,
    sorted_sequence: Any,
    input: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Any = None,
) -> Any:
    if sorter is not None:
        return NotImplemented
    return bucketize(b, name, input, sorted_sequence, out_int32=out_int32, right=right or side == "right")
