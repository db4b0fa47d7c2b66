"""Taking and setting parts by index."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from edgekit.frontend.builder import Builder
from edgekit.frontend.node import Node, leaves
from edgekit.frontend.operators.elementwise import Converter, pair
from edgekit.frontend.operators.moving import cut, expanded, movedim, shaped
from edgekit.frontend.refusals import by_key
from edgekit.frontend.storage import put

_CHOICES = frozenset({"argmax", "argmin", "topk_indices"})  # what gives places, none of them below 0
_MOVED = frozenset({"reshape", "permute", "slice"})


def getitem(b: Builder, name: str, x: Any, index: Any) -> Any:
    if isinstance(index, str):
        raise by_key(x.name, index)
    parts = _parts(index)
    if not isinstance(x, Node) or leaves(parts, Node):
        return _by_node(b, name, x, parts)
    if all(part is None or part is Ellipsis or isinstance(part, (int, slice)) for part in parts):
        return basic(b, name, x, parts)
    return _by_places(b, name, x, parts)


def _parts(index: Any) -> tuple[Any, ...]:
    """The index of each axis; numbers that numpy or a tensor of one element hold are numbers."""
    parts = index if isinstance(index, tuple) else (index,)
    return tuple(_plain(part) for part in parts)


def _plain(part: Any) -> Any:
    if isinstance(part, Tensor) and part.dim() == 0 and part.dtype != torch.bool and not part.is_meta:
        return int(part)
    if isinstance(part, slice):
        return slice(*(None if end is None else _end(end) for end in (part.start, part.stop, part.step)))
    return part.__index__() if hasattr(part, "__index__") and not isinstance(part, (Tensor, Node, bool)) else part


def _end(end: Any) -> Any:
    return end if isinstance(end, Node) else int(end)


def _whole(parts: Sequence[Any], rank: int) -> list[Any]:
    """The same index without an ellipsis, with one part for each axis."""
    taken = sum(_axes(part) for part in parts if part is not None and part is not Ellipsis)
    if taken > rank:
        raise IndexError(f"too many indices for a tensor of {rank} axes")
    found: list[Any] = []
    for part in parts:
        found += [slice(None)] * (rank - taken) if part is Ellipsis else [part]
    missing = rank - sum(_axes(part) for part in found if part is not None)
    return found + [slice(None)] * missing


def _axes(part: Any) -> int:
    """How many axes a part of an index takes: a mask as many as it has."""
    if isinstance(part, list):
        part = torch.as_tensor(part)
    return part.dim() if isinstance(part, Tensor) and part.dtype == torch.bool else 1


def basic(b: Builder, name: str, x: Node, parts: Sequence[Any]) -> Node:
    """Numbers, slices, None and an ellipsis."""
    dim, shape, start = 0, [], x
    for part in _whole(parts, x.rank):
        if part is None:
            shape.append(1)
            continue
        size = start.shape[dim]
        if isinstance(part, slice):
            begin, stop, step = part.indices(size)
            if step < 1:
                raise ValueError("a slice's step must be above 0")
            stop = max(begin, stop)
            x = cut(b, name, x, dim, begin, stop, step)
            shape.append(x.shape[dim])
        else:
            if not -size <= part < size:
                raise IndexError(f"index {part} is out of range for axis {dim} of size {size}")
            x = cut(b, name, x, dim, part % size, part % size + 1)
        dim += 1
    return shaped(b, name, x, shape)


def _by_places(b: Builder, name: str, x: Node, parts: Sequence[Any]) -> Node:
    """Lists, masks and tensors of constants: what they take is known."""
    whole = _whole(parts, x.rank)
    special = [axis for axis, part in enumerate(whole) if not (isinstance(part, slice) and part == slice(None))]
    one = whole[special[0]]
    if len(special) == 1 and None not in whole and not isinstance(one, slice):
        chosen = torch.arange(x.shape[special[0]])[_index(one)] if _axes(one) == 1 else None
        if chosen is not None and chosen.dim() == 1:
            return b.emit(name, "gather", [x], {"indices": chosen}, dim=special[0])
    places = [at for at, part in enumerate(whole) if part is not None and not isinstance(part, slice)]
    together = places[-1] - places[0] == len(places) - 1  # else torch puts what they take in front of all axes
    kept = together and isinstance(whole[0], slice) and whole[0] == slice(None) and x.rank > 1
    front, rest = (x.shape[:1], x.shape[1:]) if kept else ((), x.shape)
    chosen = torch.arange(math.prod(rest)).reshape(rest)[tuple(_index(part) for part in whole[len(front) :])]
    flat = shaped(b, f"{name}/flat", x, (*front, math.prod(rest)))
    taken = b.emit(f"{name}/taken", "gather", [flat], {"indices": chosen.reshape(-1)}, dim=len(front))
    return shaped(b, name, taken, (*front, *chosen.shape))


def _index(part: Any) -> Any:
    return torch.as_tensor(part) if isinstance(part, list) else part


def _by_node(b: Builder, name: str, x: Any, parts: Sequence[Any]) -> Any:
    """Whole numbers that the network computes, beside slices and numbers and lists that are known.

    torch takes single places first: only tensors of places that stand apart put their axes in front.
    """
    whole = [_index(part) for part in _whole(parts, len(x.shape))]
    if not all(isinstance(part, slice) or type(part) is int or _is_places(part) for part in whole):
        return NotImplemented
    like = next(part for part in (x, *whole) if isinstance(part, Node))
    known = [slice(None) if _is_places(part) else part for part in whole]
    node = basic(b, f"{name}/of", b.operand(f"{name}/of", x, like), known)
    left = [part for part in whole if not isinstance(part, int)]
    single = [axis for axis, part in enumerate(left) if isinstance(part, Node) and part.rank == 0]
    for axis in reversed(single):
        at = _from_the_front(b, f"{name}/at", left.pop(axis), node.shape[axis])
        node = take(b, f"{name}/single", node, axis, at)
    return _by_tensors(b, name, node, left)


def _is_places(part: Any) -> bool:
    return isinstance(part, (Node, Tensor)) and part.dtype != torch.bool


def _by_tensors(b: Builder, name: str, x: Node, parts: Sequence[Any]) -> Node:
    """What tensors of places take together; the other parts are whole axes."""
    special = [axis for axis, part in enumerate(parts) if _is_places(part)]
    if not special:
        return x
    first = special[0]
    if special[-1] - first != len(special) - 1:  # torch puts what they take in front of all axes
        x, first = movedim(b, f"{name}/front", x, special, list(range(len(special)))), 0
    sizes = x.shape[first : first + len(special)]
    numbers = [_from_the_front(b, f"{name}/at", parts[a], size) for a, size in zip(special, sizes, strict=True)]
    place: Any = numbers[0]
    for size, part in zip(sizes[1:], numbers[1:], strict=True):
        place = _plus(b, f"{name}/place", _times(b, f"{name}/row", place, size), part)
    shape = (*x.shape[:first], math.prod(sizes), *x.shape[first + len(special) :])
    flat = shaped(b, f"{name}/flat", x, shape)
    return take(b, name, flat, first, b.operand(f"{name}/places", place, x))


def _from_the_front(b: Builder, name: str, place: Any, size: int) -> Any:
    """Places below 0, which count from the end of their axis, as places from its front."""
    if not isinstance(place, Node):
        return place % size
    made = place
    while made.kind in _MOVED:
        made = made.inputs[0]
    return place if made.kind in _CHOICES else b.emit(name, "remainder", [place], other=size)


def _times(b: Builder, name: str, value: Any, factor: int) -> Any:
    return pair(b, name, "mul", value, factor) if isinstance(value, Node) else value * factor


def _plus(b: Builder, name: str, one: Any, other: Any) -> Any:
    return pair(b, name, "add", one, other) if isinstance(one, Node) or isinstance(other, Node) else one + other


def take(b: Builder, name: str, x: Node, dim: int, indices: Node) -> Node:
    """What indices of any shape take along an axis."""
    flat = shaped(b, f"{name}/indices", indices, (math.prod(indices.shape),))
    taken = b.emit(f"{name}/taken" if indices.rank != 1 else name, "gather", [x, flat], dim=dim)
    return shaped(b, name, taken, (*x.shape[:dim], *indices.shape, *x.shape[dim + 1 :]))


def index_select(b: Builder, name: str, input: Any, dim: int, index: Any) -> Any:
    dim %= len(input.shape)
    if isinstance(index, Tensor):
        return b.emit(name, "gather", [input], {"indices": index.reshape(-1)}, dim=dim)
    return b.emit(name, "gather", [b.operand(f"{name}/of", input, index), index], dim=dim)


def embedding(b: Builder, name: str, input: Any, weight: Any, *rest: Any, **kwargs: Any) -> Any:
    if not isinstance(input, Node):
        return NotImplemented
    return take(b, name, b.operand(f"{name}/weight", weight, input), 0, input)


def gather(b: Builder, name: str, input: Any, dim: int, index: Any, **kwargs: Any) -> Any:
    """torch.gather: an element for each of the index's, which is a constant or computed."""
    if isinstance(index, Node):
        return _gathered(b, name, b.operand(f"{name}/input", input, index), dim % index.rank, index)
    if not isinstance(index, Tensor) or index.is_meta or not isinstance(input, Node):
        return NotImplemented
    everything = torch.arange(math.prod(input.shape)).reshape(input.shape)
    places = everything.gather(dim, index)
    flat = shaped(b, f"{name}/flat", input, (math.prod(input.shape),))
    taken = b.emit(f"{name}/taken", "gather", [flat], {"indices": places.reshape(-1)}, dim=0)
    return shaped(b, name, taken, places.shape)


def _gathered(b: Builder, name: str, x: Node, dim: int, index: Node) -> Node:
    """Places along one axis as places in the flattened tensor: the other axes' are known."""
    strides = [math.prod(x.shape[axis + 1 :]) for axis in range(x.rank)]
    beside = torch.zeros(index.shape, dtype=torch.int64)
    for axis, size in enumerate(index.shape):
        if axis != dim:
            beside += (torch.arange(size) * strides[axis]).reshape(-1, *[1] * (x.rank - axis - 1))
    places = b.emit(f"{name}/steps", "mul", [index], other=strides[dim]) if strides[dim] != 1 else index
    places = b.emit(f"{name}/places", "add", [places], {"other": beside})
    flat = shaped(b, f"{name}/flat", x, (math.prod(x.shape),))
    vector = shaped(b, f"{name}/vector", places, (math.prod(index.shape),))
    return shaped(b, name, b.emit(f"{name}/taken", "gather", [flat, vector], dim=0), index.shape)


def take_along_dim(b: Builder, name: str, input: Any, indices: Any, dim: int | None = None) -> Any:
    """torch.gather with axes that are broadcast."""
    like = input if isinstance(input, Node) else indices
    x = b.operand(f"{name}/input", input, like)
    if dim is None:
        x, dim = shaped(b, f"{name}/flat", x, (math.prod(x.shape),)), 0
        is_known, count = isinstance(indices, Tensor), math.prod(indices.shape)
        indices = indices.reshape(-1) if is_known else shaped(b, f"{name}/vector", indices, (count,))
    dim %= x.rank
    pairs = list(enumerate(zip(x.shape, indices.shape, strict=True)))
    x = expanded(b, f"{name}/wide", x, tuple(a if at == dim else max(a, c) for at, (a, c) in pairs))
    shape = tuple(c if at == dim else max(a, c) for at, (a, c) in pairs)
    if isinstance(indices, Tensor):
        return gather(b, name, x, dim, indices.expand(shape))
    return gather(b, name, x, dim, expanded(b, f"{name}/indices", indices, shape))


def taken(b: Builder, name: str, input: Any, index: Any) -> Any:
    """torch.take: places in the flattened tensor."""
    like = input if isinstance(input, Node) else index
    x = b.operand(f"{name}/input", input, like)
    flat = shaped(b, f"{name}/flat", x, (math.prod(x.shape),))
    index = _from_the_front(b, f"{name}/at", index, flat.shape[0])
    if isinstance(index, Node):
        return take(b, name, flat, 0, index)
    found = b.emit(f"{name}/taken", "gather", [flat], {"indices": index.reshape(-1)}, dim=0)
    return shaped(b, name, found, tuple(index.shape))


def setitem(b: Builder, name: str, x: Node, index: Any, value: Any) -> Any:
    """The whole tensor with `value` at an index."""
    parts = _parts(index)
    masks = [part for part in parts if isinstance(part, Node)]
    if masks:
        return _masked(b, name, x, parts, value)
    if leaves(parts, Node):
        return NotImplemented
    everything = torch.arange(math.prod(x.shape)).reshape(x.shape)
    chosen = everything[tuple(_index(part) for part in _whole(parts, x.rank))]
    node = _fitting(b, name, value, x, tuple(chosen.shape))
    axis = _one_axis(parts, x)
    if axis is not None:
        dim, places = axis
        shape = (*x.shape[:dim], len(places), *x.shape[dim + 1 :])
        return put(b, name, x, shaped(b, f"{name}/axes", node, shape), dim, places)
    count = math.prod(x.shape)
    flat, new = shaped(b, f"{name}/flat", x, (count,)), shaped(b, f"{name}/values", node, (chosen.numel(),))
    return shaped(b, name, put(b, f"{name}/put", flat, new, 0, chosen.reshape(-1)), x.shape)


def _one_axis(parts: Sequence[Any], x: Node) -> tuple[int, Tensor] | None:
    """The only axis that a basic index takes less of than everything, and its places."""
    whole = _whole(parts, x.rank)
    if None in whole or not all(isinstance(part, (int, slice)) for part in whole):
        return None
    places = [torch.arange(size)[part].reshape(-1) for size, part in zip(x.shape, whole, strict=True)]
    less = [axis for axis, size in enumerate(x.shape) if len(places[axis]) < size]
    if len(less) > 1:
        return None
    return (less[0], places[less[0]]) if less else (0, places[0])


def _fitting(b: Builder, name: str, value: Any, x: Node, shape: tuple[int, ...]) -> Node:
    """A value in the type and shape of what it replaces."""
    if not isinstance(value, Node):
        constant = torch.as_tensor(value).detach().to(x.dtype)
        constant = constant.reshape(constant.shape[max(constant.dim() - len(shape), 0) :])
        return b.constant(f"{name}/value", constant.expand(shape).contiguous())
    node = value if value.dtype == x.dtype else b.emit(f"{name}/cast", "cast", [value], dtype=x.dtype)
    while node.rank > len(shape) and node.shape[0] == 1:
        node = shaped(b, f"{name}/axes", node, node.shape[1:])
    return expanded(b, f"{name}/expand", node, shape)


def _masked(b: Builder, name: str, x: Node, parts: Sequence[Any], value: Any) -> Any:
    """x[mask] = what every element, or every row, of those gets."""
    (mask, *more) = parts
    if more or mask.dtype != torch.bool:
        return NotImplemented
    row, shape = x.shape[mask.rank :], tuple(getattr(value, "shape", ()))
    if any(size != 1 for size in shape[: max(len(shape) - len(row), 0)]):
        return NotImplemented
    return by_mask(b, name, x, mask, _fitting(b, name, value, x, row) if shape else value)


def by_mask(b: Builder, name: str, x: Node, mask: Node, value: Any) -> Node:
    """`value` where the mask of the first axes holds, and `x` elsewhere."""
    mask = shaped(b, f"{name}/mask", mask, (*mask.shape, *[1] * (x.rank - mask.rank)))
    if not isinstance(value, Node):
        value = b.constant(f"{name}/value", torch.as_tensor(value).detach().to(x.dtype))
    elif value.dtype != x.dtype:
        value = b.emit(f"{name}/cast", "cast", [value], dtype=x.dtype)
    return b.emit(name, "where", [mask, value, x])


def index_fill(b: Builder, name: str, input: Node, dim: int, index: Any, value: Any) -> Any:
    if not isinstance(index, Tensor):
        return NotImplemented
    parts: list[Any] = [slice(None)] * input.rank
    parts[dim % input.rank] = index
    return setitem(b, name, input, tuple(parts), value)


def copied_into(b: Builder, name: str, input: Any, source: Any, *rest: Any) -> Any:
    """Tensor.copy_: the values of another, in this one's type and shape."""
    like = input if isinstance(input, Node) else Node("", "", (), tuple(input.shape), input.dtype)
    return _fitting(b, name, source, like, like.shape)


def filled(b: Builder, name: str, input: Node, value: Any = 0.0) -> Any:
    """Tensor.fill_ and zero_."""
    return _fitting(b, name, value, input, input.shape)


def scattered(dims: str) -> Converter:
    """select_scatter and slice_scatter."""

    def convert(b: Builder, name: str, input: Node, src: Any, dim: int = 0, *args: Any, **k: Any) -> Any:
        parts: list[Any] = [slice(None)] * input.rank
        if dims == "select":
            parts[dim] = k.get("index", args[0] if args else None)
        else:
            ends = dict(zip(("start", "end", "step"), args, strict=False)) | k
            parts[dim] = slice(ends.get("start"), ends.get("end"), ends.get("step"))
        return setitem(b, name, input, tuple(parts), src)

    return convert
