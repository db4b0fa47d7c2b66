"""What moves, joins, cuts and repeats: axes, parts, borders, blocks of pixels."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from edgekit.importers.held import Held, arranged, first, maps, plain, plainly, reshaped, unflattened
from edgekit.importers.onnx.node import Node as OnnxNode
from edgekit.importers.onnx.operators.moving import depth_to_space as onnx_depth_to_space
from edgekit.importers.onnx.operators.moving import space_to_depth as onnx_space_to_depth
from edgekit.importers.padding import flat
from edgekit.importers.tflite.node import Node
from edgekit.importers.tflite.operators.elementwise import Operator
from edgekit.importers.tflite.operators.reductions import without
from edgekit.util.formatting import shape_text

_REFLECT = 0  # of the schema's MirrorPadMode


# Shapes


def reshape(n: Node, x: Held, shape: Held | None = None) -> Held:
    sizes = n.integers(shape, "shape") if shape is not None else n.listed("NewShape")
    if sizes.count(-1) == 1:
        rest = math.prod(size for size in sizes if size != -1)
        sizes[sizes.index(-1)] = x.tensor.numel() // rest if rest else 0
    if math.prod(sizes) != x.tensor.numel():
        told = shape_text(sizes)
        raise n.refusal(f"makes {told} of {x.tensor.numel()} elements", "give the sizes for which the file was made")
    return reshaped(x, tuple(sizes))


def squeeze(n: Node, x: Held) -> Held:
    gone = {axis % x.rank for axis in n.listed("SqueezeDims")} or {a for a, size in enumerate(x.shape) if size == 1}
    return reshaped(x, tuple(size for axis, size in enumerate(x.shape) if axis not in gone))


def expand_dims(n: Node, x: Held, axis: Held) -> Held:
    (at,) = n.integers(axis, "axis")
    at += x.rank + 1 if at < 0 else 0
    return reshaped(x, (*x.shape[:at], 1, *x.shape[at:]))


def transpose(n: Node, x: Held, order: Held) -> Held:
    """Nothing is moved: the axes are another way round."""
    turns = n.integers(order, "order of axes")
    if sorted(turns) != list(range(x.rank)):
        raise n.refusal(f"turns {x.rank} axes as {turns}", "get or export the file again")
    x = unflattened(x)
    return Held(x.tensor, tuple(x.dims(turns)))


def shape_of(n: Node, x: Held) -> Held:
    return plainly(torch.tensor(x.shape, dtype=torch.int64))


def rank_of(n: Node, x: Held) -> Held:
    return plainly(torch.tensor(x.rank, dtype=torch.int64))


# Joining and cutting


def concatenation(n: Node, *values: Held) -> Held:
    leader = unflattened(values[0])
    (dim,) = leader.dims([n.get("Axis")])
    return leader.to(torch.cat([arranged(value, leader.axes) for value in values], dim))


def pack(n: Node, *values: Held) -> Held:
    return plainly(torch.stack([plain(value) for value in values], n.get("Axis", 0) or 0))


def unpack(n: Node, x: Held) -> tuple[Held, ...]:
    x = unflattened(x)
    (dim,) = x.dims([n.get("Axis", 0) or 0])
    axes = without(x.axes, [dim])
    return tuple(Held(part, axes) for part in x.tensor.unbind(dim))


def split(n: Node, axis: Held, x: Held) -> tuple[Held, ...]:
    (dim,) = x.dims(n.integers(axis, "axis"))
    return _parts(x, dim, x.tensor.shape[dim] // max(int(n.get("NumSplits")), 1))


def split_v(n: Node, x: Held, sizes: Held, axis: Held) -> tuple[Held, ...]:
    (dim,), wanted = x.dims(n.integers(axis, "axis")), n.integers(sizes, "sizes")
    if wanted.count(-1) == 1:
        wanted[wanted.index(-1)] = x.tensor.shape[dim] - sum(wanted) - 1
    return _parts(x, dim, wanted)


def _parts(x: Held, dim: int, sizes: int | list[int]) -> tuple[Held, ...]:
    x = unflattened(x)
    return tuple(x.to(part) for part in torch.split(x.tensor, sizes, dim))


def slice_(n: Node, x: Held, begin: Held, size: Held) -> Held:
    x = unflattened(x)
    starts, sizes = n.integers(begin, "begin"), n.integers(size, "sizes")
    for axis, (start, count) in enumerate(zip(starts, sizes, strict=True)):
        stop = x.shape[axis] if count == -1 else start + count
        x = _cut(x, axis, start, stop, 1)
    return x


def strided_slice(n: Node, x: Held, begin: Held, end: Held, strides: Held) -> Held:
    """STRIDED_SLICE with its masks: as Python's x[begin:end:stride], axis by axis."""
    x = unflattened(x)
    starts, stops = n.integers(begin, "begin"), n.integers(end, "end")
    masks = {name: int(n.get(f"{name}Mask", 0) or 0) for name in ("Begin", "End", "Ellipsis", "NewAxis", "ShrinkAxis")}
    if masks["Ellipsis"] or masks["NewAxis"]:
        raise n.refusal("leaves axes out or adds some")
    gone: list[int] = []
    for axis, step in enumerate(n.integers(strides, "strides")):
        size = x.shape[axis]
        if masks["ShrinkAxis"] >> axis & 1:
            at = starts[axis] + (size if starts[axis] < 0 else 0)
            x, gone = _cut(x, axis, at, at + 1, 1), [*gone, axis]
            continue
        start = None if masks["Begin"] >> axis & 1 else starts[axis]
        stop = None if masks["End"] >> axis & 1 else _stop(n, starts[axis], stops[axis])
        x = _cut(x, axis, *slice(start, stop, step).indices(size))
    dims = x.dims(gone)
    return Held(x.tensor.squeeze(tuple(dims)), without(x.axes, dims)) if dims else x


def _stop(n: Node, start: int, stop: int) -> int:
    return start + stop if n.get("Offset", False) else stop


def _cut(x: Held, axis: int, start: int, stop: int, step: int) -> Held:
    (dim,), size = x.dims([axis]), x.shape[axis]
    if step < 0:
        taken = range(start, stop, step)
        x = x.to(x.tensor.flip(dim))
        start, stop, step = size - 1 - taken[0], size - taken[-1], -step
    if (start, stop, step) == (0, size, 1):
        return x
    if step == 1:
        return x.to(x.tensor.narrow(dim, start, stop - start))
    return x.to(x.tensor[(slice(None),) * dim + (slice(start, stop, step),)])


# Repeating and taking


def tile(n: Node, x: Held, repeats: Held) -> Held:
    x, times = unflattened(x), n.integers(repeats, "repeats")
    n.sized([size * count for size, count in zip(x.shape, times, strict=True)])
    by_dim = [count for _, count in sorted(zip(x.axes, times, strict=True))]
    return x.to(x.tensor.repeat(by_dim))


def broadcast_to(n: Node, x: Held, shape: Held) -> Held:
    wanted = n.sized(n.integers(shape, "shape"))
    if x.rank < len(wanted):
        x = reshaped(x, (1,) * (len(wanted) - x.rank) + x.shape)
    x = unflattened(x)
    return x.to(x.tensor.expand([size for _, size in sorted(zip(x.axes, wanted, strict=True))]))


def gather(n: Node, x: Held, indices: Held) -> Held:
    """GATHER along an axis, of places that the file has or the network computes."""
    if n.get("BatchDims", 0):
        return _gather_in_each(n, x, indices)
    x, places = unflattened(x), plain(indices)
    (dim,) = x.dims([n.get("Axis", 0)])
    if places.dim() == 1:
        return x.to(x.tensor.index_select(dim, places.long()))
    data, axis = plain(x), x.axes.index(dim)
    taken = data.index_select(axis, places.reshape(-1).long())
    return plainly(taken.reshape(*x.shape[:axis], *places.shape, *x.shape[axis + 1 :]))


def _gather_in_each(n: Node, x: Held, indices: Held) -> Held:
    """Other places for each part of the batch."""
    data, places, axis = plain(x), plain(indices), n.get("Axis", 0)
    if n.get("BatchDims", 0) != 1 or places.dim() != 2 or axis < 1:
        raise n.refusal("takes other elements along several axes of a batch")
    parts = [data[i].index_select(axis - 1, places[i].long()) for i in range(data.shape[0])]
    return plainly(torch.stack(parts))


def reverse(n: Node, x: Held, axes: Held) -> Held:
    x = unflattened(x)
    return x.to(x.tensor.flip(x.dims(n.integers(axes, "axes"))))


# Made of numbers


def fill(n: Node, shape: Held, value: Held) -> Held:
    return plainly(value.tensor.reshape(()).expand(n.sized(n.integers(shape, "shape"))))


def zeros_like(n: Node, x: Held) -> Held:
    return x.to(torch.zeros_like(x.tensor))


def range_(n: Node, start: Held, stop: Held, step: Held) -> Held:
    ends = [n.numbers(value, "ends")[0] for value in (start, stop, step)]
    n.sized([int(max((ends[1] - ends[0]) / (ends[2] or 1), 0))])
    return plainly(torch.arange(*ends, dtype=start.tensor.dtype))


# Borders


def pad(n: Node, x: Held, amounts: Held, value: Held | None = None) -> Held:
    """PAD with zeros, and PADV2 with a number of the file."""
    x, pairs = unflattened(x), _pairs(n, x, amounts)
    fill = n.fill if value is None else float(n.numbers(value, "value")[0])
    if not any(map(any, pairs)):
        return x
    return x.to(F.pad(x.tensor, flat(pairs), value=fill))


def mirror_pad(n: Node, x: Held, amounts: Held) -> Held:
    """MIRROR_PAD: without the edge (reflect), or with it (symmetric)."""
    x, pairs = unflattened(x), _pairs(n, x, amounts)
    if n.get("Mode", _REFLECT) == _REFLECT and x.rank in (3, 4, 5) and not any(map(any, pairs[:2])):
        return x.to(F.pad(x.tensor, flat(pairs[2:]), mode="reflect"))
    skipped, t = int(n.get("Mode", _REFLECT) == _REFLECT), x.tensor
    for dim, (low, high) in enumerate(pairs):
        if low or high:
            t = t.index_select(dim, _mirrored(t.shape[dim], low, high, skipped))
    return x.to(t)


def _mirrored(size: int, low: int, high: int, skipped: int) -> Tensor:
    """Which element stands at each place; `skipped`: 1 where the edge is not repeated."""
    places = [-one - 1 + skipped for one in range(-low, 0)] + list(range(size))
    return torch.tensor([*places, *(size - 1 - skipped - one for one in range(high))])


def _pairs(n: Node, x: Held, amounts: Held) -> list[tuple[int, int]]:
    """(low, high) of each dimension of the tensor."""
    given = n.integers(amounts, "paddings")
    pairs = list(zip(given[::2], given[1::2], strict=True))
    n.sized([size + low + high for size, (low, high) in zip(x.shape, pairs, strict=True)])
    if min(given, default=0) < 0:
        raise n.refusal("pads by less than nothing", "get or export the file again")
    return [pair for _, pair in sorted(zip(x.axes, pairs, strict=True))]


# Blocks of pixels


def blocks(function: Operator) -> Operator:
    """DEPTH_TO_SPACE and SPACE_TO_DEPTH, which order a block's channels as ONNX's DCR does."""

    def operator(n: Node, x: Held) -> Held:
        said = {"blocksize": int(n.get("BlockSize")), "mode": "DCR"}
        return maps(function(OnnxNode(n.name, n.kind, (), (), 21, attributes=said), first(x)))

    return operator


depth_to_space, space_to_depth = blocks(onnx_depth_to_space), blocks(onnx_space_to_depth)


def space_to_batch(n: Node, x: Held, block: Held, amounts: Held) -> Held:
    """Each place of a block becomes an image of its own; TensorFlow writes dilated convolutions so."""
    sizes = n.integers(block, "block")
    padded = plain(x)
    given = n.integers(amounts, "paddings")
    pairs = list(zip(given[::2], given[1::2], strict=True))
    padded = F.pad(padded, [0, 0] * (padded.dim() - 1 - len(sizes)) + flat(pairs))
    batch, *spatial = padded.shape[: 1 + len(sizes)]
    rest = list(padded.shape[1 + len(sizes) :])
    split = [part for size, by in zip(spatial, sizes, strict=True) for part in (size // by, by)]
    count = len(sizes)
    order = [*range(2, 2 * count + 1, 2), 0, *range(1, 2 * count, 2), *range(1 + 2 * count, 1 + 2 * count + len(rest))]
    turned = padded.reshape(batch, *split, *rest).permute(order)
    return plainly(turned.reshape(batch * math.prod(sizes), *split[::2], *rest))


def batch_to_space(n: Node, x: Held, block: Held, crops: Held) -> Held:
    """The way back."""
    sizes, cut, data = n.integers(block, "block"), n.integers(crops, "crops"), plain(x)
    count, batch = len(sizes), data.shape[0] // math.prod(sizes)
    spatial, rest = list(data.shape[1 : 1 + count]), list(data.shape[1 + count :])
    pairs = [at for axis in range(count) for at in (count + 1 + axis, axis)]
    tail = list(range(2 * count + 1, 2 * count + 1 + len(rest)))
    whole = data.reshape(*sizes, batch, *spatial, *rest).permute(count, *pairs, *tail)
    held = plainly(whole.reshape(batch, *(size * by for size, by in zip(spatial, sizes, strict=True)), *rest))
    for axis in range(count):
        held = _cut(held, axis + 1, cut[2 * axis], held.shape[axis + 1] - cut[2 * axis + 1], 1)
    return held
