"""Taking and setting elements by their places, and what tells of a tensor's shape."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from edgekit.importers.onnx.node import Node
from edgekit.importers.onnx.operators.elementwise import REAL, TYPES
from edgekit.importers.tensors import is_known
from edgekit.ir.kernels import along_axis


def gather(n: Node, x: Tensor, indices: Tensor) -> Tensor:
    """What places of any shape take along an axis; places before 0 count from the end."""
    axis = n.get("axis", 0) % x.dim()
    size = x.shape[axis]
    if indices.dim() == 0 and is_known(indices):
        return x.select(axis, int(indices))
    flat = x.index_select(axis, _from_start(n, indices.reshape(-1), size))
    if indices.dim() == 1:
        return flat
    return flat.reshape(*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])


def _from_start(n: Node, indices: Tensor, size: int) -> Tensor:
    """Places counted from the start of their axis."""
    indices = indices.long()
    if is_known(indices):
        return torch.remainder(indices, size)
    return torch.where(indices < 0, indices + size, indices) if n.get("from_end") else indices


def gather_elements(n: Node, x: Tensor, indices: Tensor) -> Tensor:
    axis = n.get("axis", 0) % x.dim()
    return torch.gather(x, axis, _from_start(n, indices, x.shape[axis]))


def gather_nd(n: Node, x: Tensor, indices: Tensor) -> Tensor:
    """The last axis of `indices` has a place in each of the first axes behind the batch's."""
    return x[_index(n, x, indices, n.get("batch_dims", 0))]


def _index(n: Node, x: Tensor, indices: Tensor, batch: int = 0) -> tuple[Tensor, ...]:
    """One tensor of places for each axis that is taken from; those of the batch count through it."""
    given = [_from_start(n, indices[..., axis], x.shape[batch + axis]) for axis in range(indices.shape[-1])]
    rank = indices.dim() - 1
    counts = [along_axis(torch.arange(x.shape[axis]), axis, rank) for axis in range(batch)]
    return (*counts, *given)


_JOINED = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}


def scatter_nd(n: Node, x: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
    """A copy with new elements at some places, or with these joined to what is there."""
    places = torch.arange(x.numel()).reshape(x.shape)[_index(n, x, indices)].reshape(-1)
    return _scattered(n, x.reshape(-1), 0, places, updates.reshape(-1)).reshape(x.shape)


def scatter_elements(n: Node, x: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
    """The same with a place for each element along one axis."""
    axis = n.get("axis", 0) % x.dim()
    return _scattered(n, x, axis, _from_start(n, indices, x.shape[axis]), updates)


def _scattered(n: Node, x: Tensor, axis: int, places: Tensor, updates: Tensor) -> Tensor:
    reduction = n.get("reduction", "none")
    if reduction == "none":
        return x.scatter(axis, places, updates)
    return x.scatter_reduce(axis, places, updates, _JOINED[reduction])


def one_hot(n: Node, indices: Tensor, depth: Tensor, values: Tensor) -> Tensor:
    """The second of two values at the place that is given, the first elsewhere."""
    count, axis = n.integer(depth, "depth"), n.get("axis", -1) % (indices.dim() + 1)
    places = along_axis(torch.arange(count), axis, indices.dim() + 1)
    inside = indices.long().unsqueeze(axis)
    if is_known(inside) or n.get("from_end"):
        inside = torch.where(inside < 0, inside + count, inside)
    return torch.where(inside == places, values[1], values[0])


def compress(n: Node, x: Tensor, condition: Tensor) -> Tensor:
    """What known truth values choose along an axis."""
    chosen = [index for index, taken in enumerate(n.numbers(condition, "condition")) if taken]
    axis = n.get("axis")
    x = x.reshape(-1) if axis is None else x
    return x.index_select(0 if axis is None else axis % x.dim(), torch.tensor(chosen, dtype=torch.int64))


def non_zero(n: Node, x: Tensor) -> Tensor:
    if not is_known(x):
        raise n.refusal("gives a tensor whose size depends on the network's input")
    return x.nonzero().t()


def reverse_sequence(n: Node, x: Tensor, lengths: Tensor) -> Tensor:
    """The first elements of each sequence turned round, as many as it is long."""
    batch, time = n.get("batch_axis", 1), n.get("time_axis", 0)
    places = torch.arange(x.shape[time]).repeat(x.shape[batch], 1)
    for row, count in enumerate(n.integers(lengths, "sequence_lens") or []):
        places[row, :count] = torch.arange(count).flip(0)
    parts = [x.select(batch, row).index_select(time - (time > batch), places[row]) for row in range(x.shape[batch])]
    return torch.stack(parts, batch)


# Shapes, and what is made of numbers


def shape(n: Node, x: Tensor) -> Tensor:
    start, end = n.get("start", 0), n.get("end")
    return torch.tensor(list(x.shape)[start:end], dtype=torch.int64)


def size(n: Node, x: Tensor) -> Tensor:
    return torch.tensor(x.numel(), dtype=torch.int64)


def constant(n: Node) -> Any:
    raise n.refusal("holds a value that is no tensor of numbers")


def constant_of_shape(n: Node, sizes: Tensor) -> Tensor:
    value = n.get("value")
    number = 0.0 if value is None else value.reshape(-1)[0].item()
    dtype = torch.float32 if value is None or value.dtype.kind == "f" else _NUMPY[value.dtype.name]
    return torch.full(tuple(n.integers(sizes, "shape") or []), number, dtype=dtype)


_NUMPY = {
    "bool": torch.bool,
    "uint8": torch.uint8,
    "int8": torch.int8,
    "int16": torch.int16,
    "uint16": torch.int32,
    "int32": torch.int32,
    "int64": torch.int64,
    "uint32": torch.int64,
    "uint64": torch.int64,
}


def range_(n: Node, start: Tensor, limit: Tensor, delta: Tensor) -> Tensor:
    ends = [n.numbers(value, "ends")[0] for value in (start, limit, delta)]
    return torch.arange(*ends, dtype=start.dtype)


def eye_like(n: Node, x: Tensor) -> Tensor:
    kind = n.get("dtype", 1)
    rows, columns = x.shape
    ones = torch.eq(torch.arange(columns) - torch.arange(rows)[:, None], n.get("k", 0))
    return ones.to(torch.float32 if kind in REAL else TYPES[kind])
