"""A value of the file while its network runs: a tensor in torch's order, and where the file's axes lie in it.

TFLite's operators read maps channels-last, torch's channels-first. A value keeps its tensor as the operator made it,
and an operator that moves axes only says where they are then. So a tensor is transposed only where an operator needs
another order of axes. The writer does the same in the other direction (edgekit.exporters.tflite.layout).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from edgekit.importers.tensors import is_known

Axes = tuple[int, ...]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Columns:
    """A map that was flattened as torch has it: its sizes there, and its axes in the order of the file's elements."""

    sizes: Shape
    order: Axes


@dataclass(frozen=True)
class Held:
    """`axes` has, for each axis of the file's tensor, the dimension of `tensor` that it is.

    With `columns` the last dimension is a flattened map whose elements lie in torch's order, not in the file's.
    """

    tensor: Tensor
    axes: Axes
    columns: Columns | None = None

    @property
    def rank(self) -> int:
        """How many axes it has."""
        return len(self.axes)

    @property
    def shape(self) -> Shape:
        """The sizes of the file's axes."""
        return tuple(self.tensor.shape[dim] for dim in self.axes)

    def to(self, tensor: Tensor) -> Held:
        """Another tensor that lies in the same way."""
        return replace(self, tensor=tensor)

    def dims(self, axes: Sequence[int]) -> list[int]:
        """The dimensions of the file's axes, of which negative ones count from the end."""
        return [self.axes[_at(axis, self.rank)] for axis in axes]


def _at(axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        raise ValueError(f"axis {axis} of {rank}")
    return axis % rank


def plainly(tensor: Tensor) -> Held:
    """A tensor whose dimensions are the file's axes."""
    return Held(tensor, tuple(range(tensor.dim())))


def channels_first(rank: int) -> Axes:
    """Where the file's (N, ..., C) lies in torch's (N, C, ...)."""
    return (0, *range(2, rank), 1) if rank >= 3 else tuple(range(rank))


def as_torch(sizes: Sequence[int | str]) -> tuple[int | str, ...]:
    """The sizes of a map or volume of the file channels-first; others as they are."""
    return (sizes[0], sizes[-1], *sizes[1:-1]) if len(sizes) in (4, 5) else tuple(sizes)


def maps(tensor: Tensor) -> Held:
    """A signal, map or volume as torch has it."""
    return Held(tensor, channels_first(tensor.dim()))


def plain(value: Held) -> Tensor:
    """The tensor in the file's order of axes."""
    return arranged(value, tuple(range(value.rank)))


def first(value: Held) -> Tensor:
    """The tensor channels-first."""
    return arranged(value, channels_first(value.rank))


def arranged(value: Held, axes: Axes) -> Tensor:
    """The tensor with the file's axes at these dimensions."""
    value = unflattened(value)
    dims = [0] * value.rank
    for axis, dim in enumerate(axes):
        dims[dim] = value.axes[axis]
    return value.tensor if dims == list(range(value.rank)) else value.tensor.permute(dims)


def in_columns(weight: Tensor, columns: Columns) -> Tensor:
    """The weight (O, I) of a layer that reads a flattened map, its columns in torch's order."""
    back = [1 + columns.order.index(dim) for dim in range(len(columns.order))]
    whole = weight.reshape(-1, *(columns.sizes[dim] for dim in columns.order))
    return whole.permute(0, *back).reshape(weight.shape)


def unflattened(value: Held) -> Held:
    """The value with the elements of a flattened map in the file's order."""
    if value.columns is None:
        return value
    own, t = value.columns, value.tensor
    whole = t.reshape(*t.shape[:-1], *own.sizes)
    front = t.dim() - 1
    turned = whole.permute(*range(front), *(front + dim for dim in own.order))
    return Held(turned.reshape(t.shape), value.axes)


def together(values: Sequence[Held]) -> tuple[list[Tensor], Held]:
    """Operands of one broadcast operation, all lying as the largest that is computed does, which is returned too."""
    rank = max(value.rank for value in values)
    whole = [value for value in values if value.rank == rank]
    computed = [value for value in whole if not is_known(value.tensor)] or whole
    leader = max(computed, key=lambda value: math.prod(value.shape))
    if any(value.columns != leader.columns and value.tensor.numel() > 1 for value in values):
        leader = unflattened(leader)
    return [_as(value, leader) for value in values], leader


def _as(value: Held, leader: Held) -> Tensor:
    if value.tensor.numel() == 1 and value.rank == 0:
        return value.tensor
    if value.columns is not None and value.columns == leader.columns and value.axes == leader.axes:
        return value.tensor
    more = leader.rank - value.rank
    if more:
        value = plainly(plain(value).reshape((1,) * more + value.shape))
    return arranged(value, leader.axes)


def of_two(function: Callable[[Any, Any], Tensor], a: Held, b: Held) -> Held:
    """A function of two values, which broadcast. A single number of the file is a number of the network."""
    (left, right), leader = together([a, b])
    return leader.to(function(_number(left, right), _number(right, left)))


def _number(value: Tensor, other: Tensor) -> Any:
    """A constant without axes as a number, where the other operand is computed."""
    is_number = value.dim() == 0 and is_known(value) and not is_known(other)
    return value.item() if is_number else value


def sloped(x: Held, slope: Held) -> Held:
    """PReLU with a slope for each element."""
    (data, factor), leader = together([x, slope])
    return leader.to(torch.relu(data) - factor * torch.relu(-data))


# Changes of shape


def reshaped(value: Held, shape: Shape) -> Held:
    """The same elements, in the file's order, under another shape; nothing is moved where each part stays together."""
    if value.shape == shape:
        return value
    value = unflattened(value)
    found = _followed(value, shape)
    if found is not None:
        return found
    if len(shape) == 2 and value.rank > 2 and shape[0] == value.shape[0] and value.axes[0] == 0:
        return _flattened(value, shape)
    return plainly(plain(value).reshape(shape))


def _flattened(value: Held, shape: Shape) -> Held:
    """A map as a row, its elements in torch's order: a linear layer can have its weight's columns so, too."""
    sizes = tuple(value.tensor.shape[1:])
    order = tuple(dim - 1 for dim in value.axes[1:])
    return Held(value.tensor.reshape(shape), (0, 1), Columns(sizes, order))


def _followed(value: Held, shape: Shape) -> Held | None:
    """The new shape where each of its parts lies together in torch's order; None where one does not."""
    parts = []
    for before, after in _parts(value.shape, shape):
        dims = [value.axes[axis] for axis in before]
        if dims != list(range(dims[0], dims[0] + len(dims))) and not _beside(value.tensor, dims):
            return None
        parts.append((dims[0], after))
    wanted = [axis for _, after in sorted(parts) for axis in after]  # the axes of more than one element, as they lie
    for axes in (channels_first(len(shape)), tuple(range(len(shape))), _with_units(wanted, len(shape))):
        lying = sorted(range(len(shape)), key=lambda axis: axes[axis])
        if [axis for axis in lying if axis in wanted] == wanted:
            return Held(value.tensor.reshape([shape[axis] for axis in lying]), axes)
    return None


def _beside(tensor: Tensor, dims: Sequence[int]) -> bool:
    """Whether only dimensions of size 1 lie between them, and they are in order."""
    between = [dim for dim in range(dims[0], dims[-1]) if dim not in dims]
    return list(dims) == sorted(dims) and all(tensor.shape[dim] == 1 for dim in between)


def _with_units(wanted: Sequence[int], rank: int) -> Axes:
    """Where each axis lies: the wanted ones in their order, those of size 1 where they are in the file."""
    order = list(wanted)
    for axis in range(rank):
        if axis not in wanted:
            order.insert(min(axis, len(order)), axis)
    return tuple(order.index(axis) for axis in range(rank))


def _parts(before: Shape, after: Shape) -> list[tuple[list[int], list[int]]]:
    """The smallest runs of axes of both shapes with the same number of elements; axes of size 1 are left out."""
    left = [axis for axis, size in enumerate(before) if size != 1]
    right = [axis for axis, size in enumerate(after) if size != 1]
    found, i, j = [], 0, 0
    while i < len(left) and j < len(right):
        run: tuple[list[int], list[int]] = ([left[i]], [right[j]])
        have, want = before[left[i]], after[right[j]]
        i, j = i + 1, j + 1
        while have != want:
            if have < want:
                run[0].append(left[i])
                have, i = have * before[left[i]], i + 1
            else:
                run[1].append(right[j])
                want, j = want * after[right[j]], j + 1
        found.append(run)
    return found
