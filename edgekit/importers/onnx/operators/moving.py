"""What only moves elements: shapes, orders of axes, parts, padding, blocks of pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from edgekit.importers.onnx.node import Node
from edgekit.importers.padding import flat


def reshape(n: Node, x: Tensor, shape: Tensor) -> Tensor:
    """0 keeps the size of before, -1 is what is left."""
    sizes = n.integers(shape, "shape") or []
    if not n.get("allowzero", 0):
        sizes = [x.shape[axis] if size == 0 else size for axis, size in enumerate(sizes)]
    return x.reshape(sizes)


def flatten(n: Node, x: Tensor) -> Tensor:
    """Two axes."""
    axis = n.get("axis", 1)
    axis += x.dim() if axis < 0 else 0
    if axis == 1 and x.dim() > 1:
        return x.flatten(1)
    return x.reshape(math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))


def squeeze(n: Node, x: Tensor, axes: Tensor | None = None) -> Tensor:
    chosen = n.integers(axes, "axes", "axes")
    if chosen is None:
        return x.squeeze()
    gone = {axis % x.dim() for axis in chosen}
    if any(x.shape[axis] != 1 for axis in gone):
        raise ValueError(f"it takes axes {sorted(gone)} of {tuple(x.shape)} away, which are not of size 1")
    return x.reshape([size for axis, size in enumerate(x.shape) if axis not in gone])


def unsqueeze(n: Node, x: Tensor, axes: Tensor | None = None) -> Tensor:
    chosen = n.integers(axes, "axes", "axes") or []
    rank = x.dim() + len(chosen)
    new, rest = {axis % rank for axis in chosen}, iter(x.shape)
    return x.reshape([1 if axis in new else next(rest) for axis in range(rank)])


def transpose(n: Node, x: Tensor) -> Tensor:
    return x.permute(tuple(n.get("perm") or reversed(range(x.dim()))))


def expand(n: Node, x: Tensor, shape: Tensor) -> Tensor:
    """Either may be repeated along axes of the other."""
    wanted = n.integers(shape, "shape") or []
    rank = max(x.dim(), len(wanted))
    pairs = zip((1,) * (rank - x.dim()) + tuple(x.shape), [1] * (rank - len(wanted)) + wanted, strict=True)
    return x.expand([have if want == 1 else want for have, want in pairs])


def tile(n: Node, x: Tensor, repeats: Tensor) -> Tensor:
    return x.repeat(n.integers(repeats, "repeats") or [])


def concat(n: Node, *values: Tensor) -> Tensor:
    return torch.cat(values, n.get("axis", 1))


def split(n: Node, x: Tensor, sizes: Tensor | None = None) -> Any:
    """In parts of given sizes; else in equal ones, of which the last may be smaller."""
    axis, given = n.get("axis", 0), n.integers(sizes, "sizes", "split")
    if given is None:
        count = n.get("num_outputs") or len(n.outputs)
        size = -(-x.shape[axis] // count)
        given = [size] * (count - 1) + [x.shape[axis] - size * (count - 1)]
    return torch.split(x, given, axis)


def slice_(
    n: Node,
    x: Tensor,
    starts: Tensor | None = None,
    ends: Tensor | None = None,
    axes: Tensor | None = None,
    steps: Tensor | None = None,
) -> Tensor:
    begin, end = n.integers(starts, "starts", "starts") or [], n.integers(ends, "ends", "ends") or []
    chosen = n.integers(axes, "axes", "axes") or list(range(len(begin)))
    pace = n.integers(steps, "steps") or [1] * len(begin)
    for axis, one, other, step in zip(chosen, begin, end, pace, strict=True):
        x = _cut(x, axis % x.dim(), one, other, step)
    return x


def _cut(x: Tensor, axis: int, start: int, end: int, step: int) -> Tensor:
    size = x.shape[axis]
    if step > 0:
        places = range(*slice(start, end, step).indices(size))
        if (places.start, places.step, len(places)) == (0, 1, size):
            return x
        index = [slice(None)] * axis + [slice(places.start, max(places.stop, places.start), step)]
        return x[tuple(index)]
    # An end before the first element is given as a very small number, or as one less than -size.
    last = min(start + size if start < 0 else start, size - 1)
    stop = max(end + size if end < 0 else end, -1)
    back = list(range(last, stop, step))
    if back == list(range(size - 1, -1, -1)):
        return x.flip(axis)
    return x.index_select(axis, torch.tensor(back, dtype=torch.int64))


def pad(
    n: Node, x: Tensor, pads: Tensor | None = None, value: Tensor | None = None, axes: Tensor | None = None
) -> Tensor:
    amounts = n.integers(pads, "pads", "pads") or []
    chosen = [axis % x.dim() for axis in n.integers(axes, "axes") or range(len(amounts) // 2)]
    pairs = [(0, 0)] * x.dim()
    for index, axis in enumerate(chosen):
        pairs[axis] = (amounts[index], amounts[index + len(chosen)])
    mode = n.get("mode", "constant")
    if mode == "constant":
        number = n.get("value", 0.0) if value is None or not value.numel() else n.numbers(value, "value")[0]
        return F.pad(x, _flat(pairs), value=number)
    return _continued(n, x, pairs, mode)


def _flat(pairs: Sequence[tuple[int, int]]) -> list[int]:
    """torch has the last axis first, and leaves out those that nothing is added to."""
    first = next((axis for axis, pair in enumerate(pairs) if any(pair)), len(pairs))
    return flat(pairs[first:])


def _continued(n: Node, x: Tensor, pairs: list[tuple[int, int]], mode: str) -> Tensor:
    """By what is inside: reflected, its edge, or its other end."""
    if not any(map(any, pairs)):
        return x
    spatial = x.dim() in (3, 4, 5) and not any(map(any, pairs[:2])) and min(map(min, pairs)) >= 0
    if spatial and mode in ("reflect", "edge"):
        return F.pad(x, flat(pairs[2:]), mode="replicate" if mode == "edge" else mode)
    for axis, (low, high) in enumerate(pairs):
        if low or high:
            x = x.index_select(axis, _places(n, x.shape[axis], low, high, mode))
    return x


def _places(n: Node, size: int, low: int, high: int, mode: str) -> Tensor:
    """Which element stands at each place."""
    places = torch.arange(-low, size + high)
    if mode == "edge":
        return places.clamp(0, size - 1)
    if mode == "wrap":
        return places % size
    if mode == "reflect":
        period = max(2 * (size - 1), 1)
        places = places % period
        return torch.where(places < size, places, period - places)
    raise n.refusal(f"pads in the mode {mode}")


# Blocks of pixels


def depth_to_space(n: Node, x: Tensor) -> Tensor:
    block = n.get("blocksize")
    if n.get("mode", "DCR") == "CRD":
        return F.pixel_shuffle(x, block)
    batch, c, h, w = x.shape
    parts = x.reshape(batch, block, block, c // block**2, h, w).permute(0, 3, 4, 1, 5, 2)
    return parts.reshape(batch, c // block**2, h * block, w * block)


def space_to_depth(n: Node, x: Tensor) -> Tensor:
    block = n.get("blocksize")
    batch, c, h, w = x.shape
    parts = x.reshape(batch, c, h // block, block, w // block, block)
    parts = parts.permute((0, 1, 3, 5, 2, 4) if n.get("mode", "DCR") == "CRD" else (0, 3, 5, 1, 2, 4))
    return parts.reshape(batch, c * block**2, h // block, w // block)


def trilu(n: Node, x: Tensor, k: Tensor | None = None) -> Tensor:
    """The upper or lower triangle: the rest is 0."""
    diagonal = 0 if k is None else n.integer(k, "k")
    rows, columns = x.shape[-2:]
    ones = torch.ones((rows, columns), dtype=torch.bool)
    kept = ones.triu(diagonal) if n.get("upper", 1) else ones.tril(diagonal)
    return torch.where(kept, x, torch.zeros((), dtype=x.dtype))


def col2im(n: Node, x: Tensor, image: Tensor, block: Tensor) -> Tensor:
    """Columns put back as windows, which add up: a transposed convolution whose weights put one element each."""
    sizes, kernel = n.integers(image, "image_shape") or [], n.integers(block, "block_shape") or []
    rank, count = len(kernel), math.prod(kernel)
    pads = n.get("pads") or [0] * 2 * rank
    stride, dilation = n.get("strides") or [1] * rank, n.get("dilations") or [1] * rank
    whole = [size + pads[axis] + pads[axis + rank] for axis, size in enumerate(sizes)]
    axes = list(zip(whole, kernel, stride, dilation, strict=True))
    grid = [(size - d * (k - 1) - 1) // s + 1 for size, k, s, d in axes]
    channels = x.shape[1] // count
    weight = torch.eye(count).reshape(count, 1, *kernel).repeat(channels, 1, *[1] * rank)
    rest = [size - ((g - 1) * s + d * (k - 1) + 1) for g, (size, k, s, d) in zip(grid, axes, strict=True)]
    function = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[rank - 1]
    y = function(x.reshape(x.shape[0], channels * count, *grid), weight, None, stride, 0, rest, channels, dilation)
    for axis, size in enumerate(sizes):
        y = y.narrow(axis + 2, pads[axis], size) if size != y.shape[axis + 2] else y
    return y


def center_crop_pad(n: Node, x: Tensor, shape: Tensor) -> Tensor:
    """The middle, or zeros around."""
    sizes = n.integers(shape, "shape") or []
    axes = n.get("axes") or range(len(sizes))
    for axis, size in zip(axes, sizes, strict=True):
        axis %= x.dim()
        less = x.shape[axis] - size
        if less > 0:
            x = x.narrow(axis, less // 2, size)
        elif less < 0:
            pairs = [(0, 0)] * x.dim()
            pairs[axis] = (-less // 2, -less - -less // 2)
            x = F.pad(x, _flat(pairs))
    return x
