"""What only moves elements: views, concatenation, padding."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from edgekit.frontend.builder import Builder
from edgekit.frontend.node import Node
from edgekit.frontend.operators.elementwise import Converter


def kept(before: tuple[int, ...], after: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a reshape, whose batch stays free where it is kept."""
    return (-1, *after[1:]) if before[:1] == after[:1] and before else after


def shaped(b: Builder, name: str, x: Node, shape: Sequence[int]) -> Node:
    """The same elements under another shape; nothing where it is the same."""
    shape = tuple(shape)
    return x if shape == x.shape else b.emit(name, "reshape", [x], shape=kept(x.shape, shape))


def reshaped(change: Callable[..., torch.Tensor]) -> Converter:
    """Any view that keeps the order of the elements."""

    def convert(b: Builder, name: str, input: Node, *args: Any, **kwargs: Any) -> Node:
        args = tuple(a.meta() if isinstance(a, Node) else a for a in args)
        return shaped(b, name, input, change(input.meta(), *args, **kwargs).shape)

    return convert


def view(b: Builder, name: str, input: Node, *shape: Any, **kwargs: Any) -> Any:
    if any(isinstance(part, torch.dtype) for part in (*shape, *kwargs.values())):
        return NotImplemented
    sizes = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
    return reshaped(torch.reshape)(b, name, input, tuple(int(size) for size in (kwargs.get("size") or sizes)))


def permute(b: Builder, name: str, input: Node, *dims: Any, **kwargs: Any) -> Any:
    given = kwargs.get("dims", dims)
    order = given[0] if len(given) == 1 and isinstance(given[0], (tuple, list)) else given
    turned = tuple(d % input.rank for d in order)
    return input if turned == tuple(range(input.rank)) else b.emit(name, "permute", [input], dims=turned)


def transpose(b: Builder, name: str, input: Node, dim0: int, dim1: int) -> Any:
    order = list(range(input.rank))
    order[dim0], order[dim1] = order[dim1], order[dim0]
    return permute(b, name, input, order)


def turned(b: Builder, name: str, input: Node) -> Any:
    """The last two axes exchanged."""
    return input if input.rank < 2 else transpose(b, name, input, -2, -1)


def reversed_axes(b: Builder, name: str, input: Node) -> Any:
    return permute(b, name, input, tuple(reversed(range(input.rank))))


def diagonal(b: Builder, name: str, input: Node, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Node:
    """The elements whose places along two axes are the same, along a new last axis."""
    dims = dim1 % input.rank, dim2 % input.rank
    rest = [axis for axis in range(input.rank) if axis not in dims]
    x = permute(b, f"{name}/order", input, [*rest, *dims])
    rows, columns = x.shape[-2:]
    places = torch.arange(rows * columns).reshape(rows, columns).diagonal(offset).clone()
    flat = shaped(b, f"{name}/flat", x, (*x.shape[:-2], rows * columns))
    return b.emit(name, "gather", [flat], {"indices": places}, dim=flat.rank - 1)


def movedim(b: Builder, name: str, input: Node, source: Any, destination: Any) -> Any:
    sources, places = ((x,) if isinstance(x, int) else x for x in (source, destination))
    sources, places = [d % input.rank for d in sources], [d % input.rank for d in places]
    rest = iter(axis for axis in range(input.rank) if axis not in sources)
    put = dict(zip(places, sources, strict=True))
    return permute(b, name, input, [put[at] if at in put else next(rest) for at in range(input.rank)])


def cut(b: Builder, name: str, x: Node, dim: int, start: int, stop: int, step: int = 1) -> Node:
    """A part of an axis; nothing where it is the whole."""
    if (start, stop, step) == (0, x.shape[dim], 1):
        return x
    return b.emit(name, "slice", [x], dim=dim, start=start, stop=stop, step=step)


def split(b: Builder, name: str, tensor: Node, split_size_or_sections: Any = None, dim: int = 0, **k: Any) -> Any:
    sections = k.get("split_size", k.get("split_sizes", split_size_or_sections))
    dim %= tensor.rank
    return _parts(b, name, tensor, dim, [p.shape[dim] for p in torch.split(tensor.meta(), sections, dim)])


def chunk(b: Builder, name: str, input: Node, chunks: int, dim: int = 0) -> Any:
    dim %= input.rank
    return _parts(b, name, input, dim, [part.shape[dim] for part in torch.chunk(input.meta(), chunks, dim)])


def tensor_split(b: Builder, name: str, input: Node, indices_or_sections: Any = None, dim: int = 0, **k: Any) -> Any:
    given = k.get("sections", k.get("indices", indices_or_sections))
    dim %= input.rank
    return _parts(b, name, input, dim, [p.shape[dim] for p in torch.tensor_split(input.meta(), given, dim)])


def _parts(b: Builder, name: str, x: Node, dim: int, sizes: Sequence[int]) -> tuple[Node, ...]:
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    return tuple(
        b.emit(f"{name}.{i}", "slice", [x], dim=dim, start=end - size, stop=end, step=1)
        for i, (end, size) in enumerate(zip(ends, sizes, strict=True))
    )


def unbind(b: Builder, name: str, input: Node, dim: int = 0) -> tuple[Node, ...]:
    dim %= input.rank
    return tuple(select(b, f"{name}.{i}", input, dim, i) for i in range(input.shape[dim]))


def select(b: Builder, name: str, input: Node, dim: int, index: Any) -> Any:
    if isinstance(index, Node):
        return NotImplemented
    dim, index = dim % input.rank, int(index)
    if not -input.shape[dim] <= index < input.shape[dim]:
        raise IndexError(f"index {index} is out of range for axis {dim} of size {input.shape[dim]}")
    index %= input.shape[dim]
    part = cut(b, f"{name}/part", input, dim, index, index + 1)
    return shaped(b, name, part, (*input.shape[:dim], *input.shape[dim + 1 :]))


def narrow(b: Builder, name: str, input: Node, dim: int, start: Any, length: int) -> Any:
    dim, start = dim % input.rank, int(start)
    start += input.shape[dim] if start < 0 else 0
    return cut(b, name, input, dim, start, start + length)


def expand(b: Builder, name: str, input: Node, *sizes: Any, **kwargs: Any) -> Any:
    given = kwargs.get("size", sizes)
    shape = given[0] if len(given) == 1 and isinstance(given[0], (tuple, list)) else given
    after = tuple(torch.empty(input.shape, device="meta").expand(*map(int, shape)).shape)
    return expanded(b, name, input, after)


def expanded(b: Builder, name: str, x: Node, shape: tuple[int, ...]) -> Node:
    """Repeated along axes of size 1; nothing where the shape is the same."""
    if shape == x.shape:
        return x
    x = shaped(b, f"{name}/axes", x, (1,) * (len(shape) - x.rank) + x.shape)
    if shape == x.shape:
        return x
    return b.emit(name, "expand", [x], shape=tuple(-1 if a == c else a for a, c in zip(shape, x.shape, strict=True)))


def expand_as(b: Builder, name: str, input: Node, other: Any) -> Any:
    if not isinstance(input, Node):
        input = b.constant(f"{name}/input", input)
    return expand(b, name, input, tuple(other.shape))


def repeat(b: Builder, name: str, input: Node, *repeats: Any, **kwargs: Any) -> Node:
    given = kwargs.get("repeats", kwargs.get("dims", repeats))
    times = given[0] if len(given) == 1 and isinstance(given[0], (tuple, list)) else given
    times = (1,) * (input.rank - len(times)) + tuple(map(int, times))
    x = shaped(b, f"{name}/axes", input, (1,) * (len(times) - input.rank) + input.shape)
    return x if set(times) <= {1} else b.emit(name, "tile", [x], repeats=times)


def repeat_interleave(b: Builder, name: str, input: Node, repeats: Any, dim: Any = None, **kwargs: Any) -> Any:
    if isinstance(repeats, Node):
        return NotImplemented
    if dim is None:
        input, dim = shaped(b, f"{name}/flat", input, (math.prod(input.shape),)), 0
    dim %= input.rank
    places = torch.arange(input.shape[dim]).repeat_interleave(repeats)
    return b.emit(name, "gather", [input], {"indices": places}, dim=dim)


def cat(b: Builder, name: str, tensors: Sequence[Any], dim: int = 0, axis: int | None = None) -> Any:
    like = next(x for x in tensors if isinstance(x, Node))
    given = [x for x in tensors if 0 not in x.shape] or list(tensors)  # torch takes what is empty beside any shape
    nodes = [b.operand(f"{name}/{index}", x, like) for index, x in enumerate(given)]
    dtype = like.dtype
    for node in nodes:
        dtype = torch.promote_types(dtype, node.dtype)
    nodes = [x if x.dtype == dtype else b.emit(f"{name}/cast", "cast", [x], dtype=dtype) for x in nodes]
    if len(nodes) == 1:
        return nodes[0]
    return b.emit(name, "cat", nodes, dim=(dim if axis is None else axis) % like.rank)


def stack(b: Builder, name: str, tensors: Sequence[Any], dim: int = 0) -> Any:
    like = next(x for x in tensors if isinstance(x, Node))
    dim %= like.rank + 1
    rows = [b.operand(f"{name}/{index}", x, like) for index, x in enumerate(tensors)]
    shape = (*like.shape[:dim], 1, *like.shape[dim:])
    return cat(b, name, [shaped(b, f"{name}/axis", x, shape) for x in rows], dim)


def stacked(dim: int, view: Callable[..., torch.Tensor]) -> Converter:
    """hstack, vstack, dstack, column_stack: along an axis, of tensors with as many axes as `view` gives them."""

    def convert(b: Builder, name: str, tensors: Sequence[Any]) -> Any:
        like = next(x for x in tensors if isinstance(x, Node))
        rows = [b.operand(f"{name}/{index}", x, like) for index, x in enumerate(tensors)]
        rows = [shaped(b, f"{name}/axes", x, view(x.meta()).shape) for x in rows]
        return cat(b, name, rows, min(dim, rows[0].rank - 1))

    return convert


def column(x: torch.Tensor) -> torch.Tensor:
    """A vector as a column; what has more axes as it is."""
    return x.reshape(-1, 1) if x.dim() < 2 else x


def divided(dim: int) -> Converter:
    """hsplit, vsplit, dsplit: tensor_split along an axis."""

    def convert(b: Builder, name: str, input: Node, *args: Any, **kwargs: Any) -> Any:
        given = args[0] if args else next(iter(kwargs.values()))
        return tensor_split(b, name, input, given, min(dim, input.rank - 1))

    return convert


def pad(
    b: Builder, name: str, input: Node, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Any:
    pairs = [(int(pad[i]), int(pad[i + 1])) for i in range(0, len(pad), 2)][::-1]
    pads = (*[(0, 0)] * (input.rank - len(pairs)), *pairs)
    if mode == "circular":
        return _wrapped(b, name, input, pads)
    if mode == "constant":
        return b.emit(name, "pad", [input], pads=pads, value=float(value or 0.0))
    if input.rank < 3 or any(low or high for low, high in pads[:2]):
        return NotImplemented
    return b.emit(name, "pad", [input], pads=pads, value=0.0, mode=mode)


def _wrapped(b: Builder, name: str, x: Node, pads: Sequence[tuple[int, int]]) -> Node:
    """Each axis continued by what is at its other end."""
    axes = [axis for axis, pair in enumerate(pads) if any(pair)]
    for axis in axes:
        (low, high), size = pads[axis], x.shape[axis]
        if max(low, high) > size:
            raise ValueError("padding is larger than the axis that it continues")
        parts = [(size - low, size)] if low > 0 else []
        parts += [(max(-low, 0), size + min(high, 0))]
        parts += [(0, high)] if high > 0 else []
        last = name if axis == axes[-1] else f"{name}/axis{axis}"
        cuts = [cut(b, f"{name}/part", x, axis, start, stop) for start, stop in parts]
        x = b.emit(last, "cat", cuts, dim=axis)
    return x


def flip(b: Builder, name: str, input: Node, *dims: Any, **kwargs: Any) -> Any:
    given = kwargs.get("dims", dims)
    axes = given[0] if len(given) == 1 and isinstance(given[0], (tuple, list)) else given
    return b.emit(name, "flip", [input], dims=tuple(d % input.rank for d in axes))


def flip_axis(dim: int) -> Converter:
    return lambda b, name, input: flip(b, name, input, dim)


def roll(b: Builder, name: str, input: Node, shifts: Any, dims: Any = None) -> Any:
    if dims is None:
        return NotImplemented
    turns = [(d % input.rank, s) for s, d in zip(_tuple(shifts), _tuple(dims), strict=True)]
    x = input
    for index, (dim, shift) in enumerate(turns):
        size = x.shape[dim]
        shift %= size
        if shift:
            parts = [cut(b, f"{name}/part", x, dim, *ends) for ends in ((size - shift, size), (0, size - shift))]
            x = b.emit(name if index == len(turns) - 1 else f"{name}/axis{dim}", "cat", parts, dim=dim)
    return x


def _tuple(value: Any) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


# Blocks of pixels


def pixel_shuffle(b: Builder, name: str, input: Node, upscale_factor: int) -> Node:
    *front, c, h, w = input.shape
    r, n = upscale_factor, len(front)
    x = b.emit(f"{name}/blocks", "reshape", [input], shape=kept(input.shape, (*front, c // (r * r), r, r, h, w)))
    order = (*range(n), n, n + 3, n + 1, n + 4, n + 2)
    x = b.emit(f"{name}/order", "permute", [x], dims=order)
    return b.emit(name, "reshape", [x], shape=kept(input.shape, (*front, c // (r * r), h * r, w * r)))


def pixel_unshuffle(b: Builder, name: str, input: Node, downscale_factor: int) -> Node:
    *front, c, h, w = input.shape
    r, n = downscale_factor, len(front)
    x = b.emit(f"{name}/blocks", "reshape", [input], shape=kept(input.shape, (*front, c, h // r, r, w // r, r)))
    x = b.emit(f"{name}/order", "permute", [x], dims=(*range(n), n, n + 2, n + 4, n + 1, n + 3))
    return b.emit(name, "reshape", [x], shape=kept(input.shape, (*front, c * r * r, h // r, w // r)))


def channel_shuffle(b: Builder, name: str, input: Node, groups: int) -> Node:
    n, c, *sizes = input.shape
    x = b.emit(f"{name}/groups", "reshape", [input], shape=(-1, groups, c // groups, *sizes))
    x = b.emit(f"{name}/order", "permute", [x], dims=(0, 2, 1, *range(3, x.rank)))
    return b.emit(name, "reshape", [x], shape=(-1, *input.shape[1:]))


def view_as(b: Builder, name: str, input: Node, other: Any) -> Any:
    return shaped(b, name, input, tuple(other.shape)) if isinstance(input, Node) else input.view(tuple(other.shape))
