"""Writing or adding to places that an index names: scatter, index_add and their kind."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from edgekit.frontend.builder import Builder
from edgekit.frontend.node import Node
from edgekit.frontend.operators.elementwise import pair, scaled
from edgekit.frontend.operators.indexing import setitem
from edgekit.frontend.operators.moving import cut, movedim, shaped
from edgekit.frontend.storage import put
from edgekit.ir.kernels import along_axis

MOST_PAIRS = 1 << 24  # of an index and a place that are compared with each other

_JOINS = {"sum": "add", "add": "add", "prod": "mul", "multiply": "mul", "amax": "maximum", "amin": "minimum"}


def scatter(
    b: Builder,
    name: str,
    input: Any,
    dim: int,
    index: Any,
    src: Any = None,
    *,
    value: Any = None,
    reduce: str | None = None,
) -> Any:
    source = value if src is None else src
    if not isinstance(source, (Node, Tensor)):
        source = torch.full(tuple(index.shape), source, dtype=input.dtype)
    if reduce is not None:
        return scatter_reduce(b, name, input, dim, index, source, reduce)
    x, dim = _target(b, name, input, index, source), dim % max(len(input.shape), 1)
    if isinstance(index, Node):
        return _one_by_one(b, name, x, dim, index, source, None)
    places = torch.arange(math.prod(x.shape)).reshape(x.shape).gather(dim, index)
    flat = shaped(b, f"{name}/flat", x, (math.prod(x.shape),))
    new = b.operand(f"{name}/source", _fitted(b, name, source, tuple(index.shape)), x)
    new = shaped(b, f"{name}/values", new, (places.numel(),))
    return shaped(b, name, put(b, f"{name}/put", flat, new, 0, places.reshape(-1)), x.shape)


def scatter_add(b: Builder, name: str, input: Any, dim: int, index: Any, src: Any) -> Any:
    return scatter_reduce(b, name, input, dim, index, src, "sum")


def scatter_reduce(
    b: Builder, name: str, input: Any, dim: int, index: Any, src: Any, reduce: str, *, include_self: bool = True
) -> Any:
    if reduce not in _JOINS or not include_self:
        return NotImplemented
    x, dim = _target(b, name, input, index, src), dim % max(len(input.shape), 1)
    if _JOINS[reduce] == "add" and _alike(index, dim) and _fits(x, dim, index):
        vector = index.movedim(dim, -1).reshape(-1, index.shape[dim])[0]
        return _summed(b, name, x, dim, vector, _fitted(b, name, src, tuple(index.shape)))
    return _one_by_one(b, name, x, dim, index, src, _JOINS[reduce])


def _target(b: Builder, name: str, input: Any, *others: Any) -> Node:
    """The tensor that is written to, which the network may own while it computes what is written."""
    like = next(x for x in (input, *others) if isinstance(x, Node))
    return b.operand(f"{name}/input", input, like)


def _alike(index: Any, dim: int) -> bool:
    """Whether an index that is known says the same along all axes but one."""
    if not isinstance(index, Tensor) or index.is_meta:
        return False
    rows = index.movedim(dim, -1).reshape(-1, index.shape[dim])
    return bool((rows == rows[:1]).all())


def _fits(x: Node, dim: int, index: Any) -> bool:
    return all(axis == dim or size == x.shape[axis] for axis, size in enumerate(index.shape))


def _fitted(b: Builder, name: str, source: Any, shape: tuple[int, ...]) -> Any:
    """As much of a source as the index has places for."""
    if isinstance(source, Tensor):
        return source.detach()[tuple(slice(size) for size in shape)]
    for axis, size in enumerate(shape):
        source = cut(b, f"{name}/part", source, axis, 0, size)
    return source


def _one_by_one(b: Builder, name: str, x: Node, dim: int, index: Any, source: Any, join: str | None) -> Any:
    """Each element of the index along the axis in turn, so that the last one that names a place is there."""
    shape = tuple(index.shape)
    if math.prod(shape) * x.shape[dim] > MOST_PAIRS:
        return NotImplemented
    whole, within = x, tuple(slice(None if axis == dim else size) for axis, size in enumerate(shape))
    for axis, size in enumerate(shape):
        x = x if axis == dim else cut(b, f"{name}/within", x, axis, 0, size)
    source = _fitted(b, name, source, shape)
    places = along_axis(torch.arange(x.shape[dim]), dim, x.rank)
    for at in range(shape[dim]):
        here, new = (_at(b, f"{name}/{part}", value, dim, at) for part, value in (("index", index), ("new", source)))
        hit = pair(b, f"{name}/hit", "equal", here, places) if isinstance(here, Node) else here == places
        new = b.operand(f"{name}/value", new, x) if join is None else pair(b, f"{name}/{join}", join, x, new)
        last = name if at == shape[dim] - 1 and x.shape == whole.shape else f"{name}/step"
        x = b.emit(last, "where", [b.operand(f"{name}/places", hit, x), new, x])
    return x if x.shape == whole.shape else setitem(b, name, whole, within, x)


def _at(b: Builder, name: str, value: Any, dim: int, at: int) -> Any:
    return cut(b, name, value, dim, at, at + 1) if isinstance(value, Node) else value.narrow(dim, at, 1)


# A vector of places along one axis


def index_add(b: Builder, name: str, input: Any, dim: int, index: Any, source: Any, *, alpha: float = 1) -> Any:
    x = _target(b, name, input, index, source)
    source = source if alpha == 1 else scaled(b, f"{name}/alpha", source, alpha)
    return _summed(b, name, x, dim % max(x.rank, 1), index, source)


def _summed(b: Builder, name: str, x: Node, dim: int, index: Any, source: Any) -> Any:
    """x plus the source times the matrix that says which of its elements goes where."""
    count, size = tuple(index.shape)[-1], x.shape[dim]
    if count * size > MOST_PAIRS or not x.dtype.is_floating_point:
        return NotImplemented
    rows = movedim(b, f"{name}/rows", b.operand(f"{name}/source", source, x), dim, -1)
    if isinstance(index, Tensor):
        wanted = (torch.arange(size)[:, None] == index.reshape(1, -1)).to(x.dtype)
        product = b.emit(f"{name}/sums", "linear", [_with_rows(b, name, rows)], {"weight": wanted})
    else:
        column = shaped(b, f"{name}/column", index, (count, 1))
        same = b.emit(f"{name}/same", "equal", [column], {"other": torch.arange(size)})
        matrix = b.emit(f"{name}/matrix", "cast", [same], dtype=x.dtype)
        product = b.emit(f"{name}/sums", "matmul", [_with_rows(b, name, rows), matrix])
    sums = shaped(b, f"{name}/shape", product, (*rows.shape[:-1], size))
    return b.emit(name, "add", [x, movedim(b, f"{name}/order", sums, -1, dim)])


def _with_rows(b: Builder, name: str, x: Node) -> Node:
    return shaped(b, f"{name}/row", x, (1, *x.shape)) if x.rank == 1 else x


def index_copy(b: Builder, name: str, input: Any, dim: int, index: Any, source: Any) -> Any:
    x = _target(b, name, input, index, source)
    dim %= max(x.rank, 1)
    if isinstance(index, Tensor):
        return setitem(b, name, x, tuple(index if axis == dim else slice(None) for axis in range(x.rank)), source)
    places = shaped(b, f"{name}/places", index, [index.shape[0] if axis == dim else 1 for axis in range(x.rank)])
    wide = b.emit(f"{name}/wide", "expand", [places], shape=tuple(source.shape))
    return _one_by_one(b, name, x, dim, wide, source, None)


def index_put(b: Builder, name: str, input: Any, indices: Any, values: Any, accumulate: bool = False) -> Any:
    """x[indices] = values, or with `accumulate` +=, where the same place may be named several times."""
    x = _target(b, name, input, *(i for i in indices if i is not None), values)
    parts = tuple(slice(None) if part is None else part for part in indices)
    if not accumulate:
        return setitem(b, name, x, parts, values)
    if any(isinstance(part, Node) for part in parts):
        return NotImplemented
    places = torch.arange(math.prod(x.shape)).reshape(x.shape)[parts]
    values = torch.as_tensor(values).expand(places.shape) if not isinstance(values, Node) else values
    source = b.operand(f"{name}/values", values, x)
    if source.shape != tuple(places.shape):
        source = b.emit(f"{name}/expand", "expand", [source], shape=tuple(places.shape))
    flat = shaped(b, f"{name}/flat", x, (math.prod(x.shape),))
    vector = shaped(b, f"{name}/vector", source, (places.numel(),))
    sums = _summed(b, f"{name}/sum", flat, 0, places.reshape(-1), vector)
    return sums if sums is NotImplemented else shaped(b, name, sums, x.shape)
