"""Unpooling: the values of a max pooling back where they were. Windows may overlap, leave gaps and be padded."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from operator import floordiv, mod
from typing import Any

import torch
from torch import Tensor

from edgekit.frontend.builder import Builder
from edgekit.frontend.node import Node, per_axis
from edgekit.frontend.operators.moving import cut, shaped, stack
from edgekit.frontend.operators.pooling import WITH_INDICES

Sizes = tuple[int, ...]


def max_unpool(
    b: Builder,
    name: str,
    input: Any,
    indices: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    output_size: Any = None,
) -> Any:
    """Each value back where its window's largest was, zeros elsewhere; of two at one place the last, as torch does it.

    The indices are of the pooled tensor, so the output must have its size; NotImplemented where it has another.
    """
    if not isinstance(indices, Node) or indices.attrs.get("label") != WITH_INDICES or not isinstance(input, Node):
        return NotImplemented
    pooled, rank = indices.inputs[0], input.rank - 2
    given = (per_axis(x, rank) for x in (kernel_size, stride or kernel_size, padding))
    default = tuple((n - 1) * s - 2 * p + k for n, k, s, p in zip(input.shape[2:], *given, strict=True))
    if tuple(output_size or default)[-rank:] != pooled.shape[2:] or input.shape != indices.shape:
        return NotImplemented
    kernel, stride, dilation, pads = indices.attrs["windows"]
    offsets = [tuple(d * at for d, at in zip(dilation, place, strict=True)) for place in product(*map(range, kernel))]
    there = _places_of_largest(b, name, pooled, indices, offsets)
    sizes = tuple(low + size for size, (low, _) in zip(pooled.shape[2:], pads, strict=True))
    cells = tuple(
        max(n + reach // s, -(-size // s))
        for n, reach, s, size in zip(input.shape[2:], offsets[-1], stride, sizes, strict=True)
    )
    whole = _interleaved(b, name, _parts(b, name, input, there, offsets, stride, cells), stride)
    for axis, (size, (low, _)) in enumerate(zip(sizes, pads, strict=True), 2):
        whole = cut(b, f"{name}/axis{axis}", whole, axis, low, size)
    return whole


def _places_of_largest(b: Builder, name: str, x: Node, indices: Node, offsets: Sequence[Sizes]) -> list[Node]:
    """For each offset in a window the windows (N, C, *counts) whose first largest element is there: 1, else 0."""
    kernel, stride, dilation, pads = indices.attrs["windows"]
    how = {"kernel": kernel, "stride": stride, "dilation": dilation, "padding": pads}
    largest, found = b.emit(f"{name}/largest", "max_pool", [x], None, **how), list[Node]()
    counts, sizes = indices.shape[2:], x.shape[2:]
    if any(map(any, pads)):
        x = b.emit(f"{name}/pad", "pad", [x], pads=((0, 0), (0, 0), *pads), value=0.0)
    free = None
    for offset in offsets:
        there = b.emit(f"{name}/there", "equal", [_elements(b, f"{name}/element", x, offset, counts, stride), largest])
        inside = _inside(offset, counts, stride, sizes, pads)
        for role, condition in (("inside", inside), ("free", free)):
            if condition is not None:
                operand = b.operand(f"{name}/{role}", condition, there)
                there = b.emit(f"{name}/first", "logical_and", [there, operand])
        found.append(b.emit(f"{name}/share", "cast", [there], dtype=x.dtype))
        left = b.emit(f"{name}/else", "logical_not", [there])
        free = left if free is None else b.emit(f"{name}/free", "logical_and", [free, left])
    return found


def _elements(b: Builder, name: str, x: Node, offset: Sizes, counts: Sizes, stride: Sizes) -> Node:
    """The element at an offset of every window."""
    for axis, (at, n, s) in enumerate(zip(offset, counts, stride, strict=True), 2):
        x = cut(b, name, x, axis, at, at + (n - 1) * s + 1, s)
    return x


def _inside(offset: Sizes, counts: Sizes, stride: Sizes, sizes: Sizes, pads: Any) -> Tensor | None:
    """Which windows have an element of the tensor at an offset, not of its padding; None where all have."""
    inside = torch.ones(1, 1, *counts, dtype=torch.bool)
    for axis, (at, n, s, size, (low, _)) in enumerate(zip(offset, counts, stride, sizes, pads, strict=True)):
        place = torch.arange(n) * s + at - low
        inside &= ((place >= 0) & (place < size)).reshape(-1, *[1] * (len(counts) - 1 - axis))
    return None if bool(inside.all()) else inside


def _parts(
    b: Builder, name: str, values: Node, there: Sequence[Node], offsets: Sequence[Sizes], stride: Sizes, cells: Sizes
) -> dict[Sizes, Node]:
    """The output's elements by what their places are modulo the stride: (N, C, *cells) each."""
    parts: dict[Sizes, Node] = {}
    for index, offset in reversed(list(enumerate(offsets))):  # of the windows that reach a place the first comes first
        part, begin = (tuple(map(of, offset, stride)) for of in (mod, floordiv))
        parts[part] = _placed(b, f"{name}/{index}", values, there[index], parts.get(part), begin, cells)
    for part in product(*map(range, stride)):
        if part not in parts:
            nothing = b.emit(f"{name}/nothing", "mul", [values], other=0.0)
            parts[part] = _spread(b, f"{name}/gap", nothing, (0,) * len(stride), cells)
    return parts


def _placed(b: Builder, name: str, values: Node, there: Node, before: Node | None, begin: Sizes, cells: Sizes) -> Node:
    """What windows give to the places `begin` steps behind them, over what windows `before` these have given."""
    y = _spread(b, f"{name}/cells", b.emit(f"{name}/placed", "mul", [values, there]), begin, cells)
    if before is None:
        return y
    taken = _spread(b, f"{name}/taken", there, begin, cells)
    free = b.emit(f"{name}/free", "sub", [taken], other=1.0, reflected=True)
    return b.emit(f"{name}/joined", "add", [b.emit(f"{name}/kept", "mul", [before, free]), y])


def _spread(b: Builder, name: str, x: Node, begin: Sizes, cells: Sizes) -> Node:
    """`x` among as many places as `cells` has, from `begin` on; zeros elsewhere."""
    pads = tuple((at, n - at - size) for at, n, size in zip(begin, cells, x.shape[2:], strict=True))
    return b.emit(name, "pad", [x], pads=((0, 0), (0, 0), *pads), value=0.0) if any(map(any, pads)) else x


def _interleaved(b: Builder, name: str, parts: dict[Sizes, Node], stride: Sizes) -> Node:
    """The whole of its parts, which have every so many elements of each axis: axis by axis, from the last."""
    for axis in reversed(range(len(stride))):
        step, joined = stride[axis], dict[Sizes, Node]()
        for front in {at[:axis]: None for at in parts}:
            row = [parts[(*front, index)] for index in range(step)]
            shape = row[0].shape
            whole = (*shape[: axis + 2], shape[axis + 2] * step, *shape[axis + 3 :])
            joined[front] = shaped(b, f"{name}/whole{axis}", stack(b, f"{name}/axis{axis}", row, axis + 3), whole)
        parts = joined
    return parts[()]
