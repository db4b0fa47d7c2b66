"""What moves elements and computes nothing: pad, crop, slice, reshape, permute, concatenate."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import replace
from itertools import groupby
from typing import Any

import torch

from edgekit.exporters.tflite.layout import reshaping, spatial, stored_shape
from edgekit.exporters.tflite.lowering import Lowering, Unsupported, Value
from edgekit.exporters.tflite.program import Grid
from edgekit.ir.graph import Op
from edgekit.ir.reference import ELEMENTWISE

Pairs = tuple[tuple[int, int], ...]
_MOST_AXES = 6  # of a tensor that XNNPACK's operators read
_SLICED = 5  # axes that STRIDED_SLICE has at most
_MOST_JOINED = 5  # inputs of one concatenation that XNNPACK runs


def few_axes(to: Lowering, x: Value, dims: Collection[int], name: str) -> tuple[Value, tuple[int, ...]]:
    """`x` with as many axes as XNNPACK takes, and where torch's axes `dims` lie: neighbors on both sides are joined."""
    if len(x.layout) <= _MOST_AXES:
        return x, tuple(sorted(x.layout.index(dim) for dim in dims))
    stored = stored_shape(x.shape, x.layout)
    runs = [(inside, list(places)) for inside, places in groupby(range(len(stored)), lambda at: x.layout[at] in dims)]
    shape = tuple(math.prod(stored[place] for place in places) for _, places in runs)
    flat = replace(x, shape=shape, layout=tuple(range(len(shape))), source=None)
    if len(shape) > _MOST_AXES:
        raise Unsupported(f"an operator over {len(dims)} of {len(x.shape)} axes (XNNPACK's have {_MOST_AXES})")
    return to.reshaped(x, flat, f"{name}/joined"), tuple(at for at, (inside, _) in enumerate(runs) if inside)


def padded(to: Lowering, x: Value, pads: Pairs, name: str, fill: float = 0.0) -> Value:
    """`x` with (low, high) more elements on each of torch's axes; integers are padded with what stands for `fill`."""
    if len(x.layout) > _MOST_AXES:
        for axis, pair in enumerate(pads):
            x = _padded_axis(to, x, axis, pair, f"{name}/axis{axis}", fill) if any(pair) else x
        return x
    like, amounts = grown(to, x, pads, name)
    if fill == 0:
        return to.emit("PAD", name, [x.tensor, amounts], like)
    return to.emit("PADV2", name, [x.tensor, amounts, _filling(to, x, fill, name)], like)


def _padded_axis(to: Lowering, x: Value, axis: int, pair: tuple[int, int], name: str, fill: float) -> Value:
    """The same on one axis of more than XNNPACK takes."""
    flat, (place,) = few_axes(to, x, (axis,), name)
    y = padded(to, flat, tuple(pair if at == place else (0, 0) for at in range(len(flat.shape))), f"{name}/flat", fill)
    return to.reshaped(y, replace(x, shape=(*x.shape[:axis], y.shape[place], *x.shape[axis + 1 :]), source=None), name)


def grown(to: Lowering, x: Value, pads: Pairs, name: str) -> tuple[Value, int]:
    """The form of `x` with (low, high) more elements on each of torch's axes, and the constant that says how many."""
    shape = tuple(size + low + high for size, (low, high) in zip(x.shape, pads, strict=True))
    pairs = torch.tensor([(0, 0) if axis is None else pads[axis] for axis in x.layout], dtype=torch.int32)
    return replace(x, shape=shape), to.program.constant(f"{name}/amounts", pairs, None, "int32")


def _filling(to: Lowering, x: Value, fill: float, name: str) -> int:
    if x.q is None:
        return to.program.constant(f"{name}/value", torch.tensor([fill]))
    integer = max(x.q.low, min(x.q.high, fill / x.q.scale + x.q.zero_point))
    stored = torch.tensor([round(integer)], dtype=torch.int8)
    return to.program.constant(f"{name}/value", stored, None, "int8", Grid((x.q.scale,), x.q.zero_point))


def cropped(to: Lowering, x: Value, pads: Pairs, name: str) -> tuple[Value, Pairs]:
    """`x` with what is negative cut off, and the pairs that are left."""
    for axis, (low, high) in enumerate(pads):
        if low < 0 or high < 0:
            x = sliced(to, x, axis, max(-low, 0), x.shape[axis] + min(high, 0), 1, f"{name}/crop")
    return x, tuple((max(low, 0), max(high, 0)) for low, high in pads)


def sliced(to: Lowering, x: Value, axis: int, start: int, stop: int, step: int, name: str) -> Value:
    """STRIDED_SLICE of one of torch's axes; all others are kept whole, whatever their size."""
    place, rank = x.layout.index(axis), len(x.layout)
    if rank > _SLICED:
        return _sliced_flat(to, x, axis, (start, stop, step), name)
    others = (1 << rank) - 1 - (1 << place)
    ends = [
        [value if i == place else other for i in range(rank)] for value, other in ((start, 0), (stop, 0), (step, 1))
    ]
    size = len(range(start, stop, step))
    like = replace(x, shape=(*x.shape[:axis], size, *x.shape[axis + 1 :]))
    inputs = [x.tensor, *(to.program.integers(values) for values in ends)]
    return to.emit("STRIDED_SLICE", name, inputs, like, beginMask=others, endMask=others)


def _sliced_flat(to: Lowering, x: Value, axis: int, ends: tuple[int, int, int], name: str) -> Value:
    """The same of a tensor with more axes than STRIDED_SLICE takes: those in front and behind as one each."""
    stored, place = stored_shape(x.shape, x.layout), x.layout.index(axis)
    three = (math.prod(stored[:place]), stored[place], math.prod(stored[place + 1 :]))
    flat = replace(x, shape=three, layout=(0, 1, 2), source=None)
    y = sliced(to, to.reshaped(x, flat, f"{name}/flat"), 1, *ends, f"{name}/part")
    like = replace(x, shape=(*x.shape[:axis], y.shape[1], *x.shape[axis + 1 :]), source=None)
    return to.reshaped(y, like, name)


def slice_(to: Lowering, op: Op) -> Value:
    """STRIDED_SLICE; of every so many rows or columns of a map a depthwise convolution, as XNNPACK slices no steps."""
    a, x = op.attrs, to.read(op)
    if a["step"] == 1 or a["dim"] not in (2, 3) or x.layout != spatial(4):
        return sliced(to, x, a["dim"], a["start"], a["stop"], a["step"], op.name)
    if (a["start"], a["stop"]) != (0, x.shape[a["dim"]]):
        x = sliced(to, x, a["dim"], a["start"], a["stop"], 1, f"{op.name}/part")
    return _every(to, x, a["dim"], a["step"], op)


def _every(to: Lowering, x: Value, dim: int, step: int, op: Op) -> Value:
    """Each `step`-th row or column, times one. In integers the factor is 64 / 64, which no rounding can touch."""
    channels, name = x.shape[1], f"{op.name}/one"
    shape, one, zero = (1, 1, 1, channels), torch.ones(channels), torch.zeros(channels)
    if x.q is None:
        constants = [to.program.constant(name, one, shape), to.program.constant(f"{op.name}/zero", zero)]
    else:
        grid, steps = Grid((1 / 64,) * channels, 0, 3), Grid((x.q.scale / 64,) * channels, 0, 0)
        constants = [
            to.program.constant(name, one.mul(64).to(torch.int8), shape, "int8", grid),
            to.program.constant(f"{op.name}/zero", zero.to(torch.int32), None, "int32", steps),
        ]
    options: dict[str, Any] = {"strideH": step if dim == 2 else 1, "strideW": step if dim == 3 else 1}
    options |= {"dilationHFactor": 1, "dilationWFactor": 1, "depthMultiplier": 1, "padding": "VALID"}
    like = replace(x, shape=op.shape)
    return to.emit(
        "DEPTHWISE_CONV_2D", op.name, [x.tensor, *constants], like, fusedActivationFunction="NONE", **options
    )


def cat(to: Lowering, op: Op) -> Value:
    """CONCATENATION; in integers every input is brought to the output's scale first.

    What an earlier one has put together already is taken from there: a dense block joins a growing list again and
    again, and each then copies as much but has two inputs (XNNPACK takes five at most).
    """
    first = to.read(op)
    if len(op.inputs) == 1:
        return first
    axis, wanted = first.layout.index(op.attrs["dim"]), to.wanted(op) if to.int8(op) else None
    known = ((to.joined.get((axis, wanted, op.inputs[:end])), end) for end in range(len(op.inputs) - 1, 1, -1))
    values, done = next((([value], end) for value, end in known if value), ([], 0))
    for index in range(done, len(op.inputs)):
        value = to.read(op, index, first.layout)
        values.append(to.requantized(value, wanted, f"{op.inputs[index]}/quantize") if wanted else value)
    values = [to.arranged(value, first.layout, op.name) for value in values]
    dim = op.attrs["dim"]
    while len(values) > _MOST_JOINED:  # the smallest neighbors first, which are then copied twice
        at = min(range(len(values) - 1), key=lambda i: values[i].shape[dim] + values[i + 1].shape[dim])
        values[at : at + 2] = [joined(to, values[at : at + 2], dim, f"{op.name}/part")]
    y = to.joined[axis, wanted, op.inputs] = joined(to, values, dim, op.name)
    return y


def joined(to: Lowering, values: list[Value], dim: int, name: str) -> Value:
    """CONCATENATION along one of torch's axes of values that are stored alike; nothing where there is one."""
    first = values[0]
    if len(values) == 1:
        return first
    size = sum(value.shape[dim] for value in values)
    like = replace(first, shape=(*first.shape[:dim], size, *first.shape[dim + 1 :]), source=None)
    parts = [few_axes(to, value, (dim,), name) for value in values]
    flat, (axis,) = parts[0]
    whole = replace(flat, shape=(*flat.shape[:axis], size, *flat.shape[axis + 1 :])) if flat is not first else like
    return to.emit_joined("CONCATENATION", name, [part.tensor for part, _ in parts], whole, like, axis=axis)


def permute(to: Lowering, op: Op) -> Value:
    """Nothing is moved: only where torch's axes lie changes. A reader that needs another order says so."""
    x, dims = to.read(op), op.attrs["dims"]
    layout = tuple(None if axis is None else dims.index(axis) for axis in x.layout)
    return replace(x, shape=op.shape, layout=layout, source=None if x.source is None else x.source.permute(dims))


def reshape(to: Lowering, op: Op) -> Value:
    """RESHAPE, and a TRANSPOSE before it only where elements that must be neighbors are not."""
    x = to.read(op)
    way = reshaping(x.shape, op.shape, x.layout)
    if not way.direct:
        if len(op.shape) == 2 and x.shape[0] == op.shape[0] and way.stored[0] == 0 and _read_by_linears(to, op):
            sizes = tuple(x.shape[axis] for axis in range(1, len(x.shape)))
            lying = tuple(axis - 1 for axis in x.layout if axis)
            return to.reshaped(x, Value(-1, op.shape, (0, 1), x.q, (sizes, lying)), op.name)
        left = tuple(axis for axis in range(len(x.shape)) if axis not in way.target)
        x = to.arranged(x, (*way.target[:1], *left, *way.target[1:]), op.name)
    return to.reshaped(x, Value(-1, op.shape, way.layout, x.q, dtype=x.dtype), op.name)


def _read_by_linears(to: Lowering, op: Op) -> bool:
    """Whether only linear layers read it, perhaps behind operators that treat every element alike."""
    readers = to.readers[op.name]
    return (
        not to.graph.is_output(op.name)
        and bool(readers)
        and all(r.kind == "linear" or (r.kind in ELEMENTWISE and _read_by_linears(to, r)) for r in readers)
    )


def lifted(x: Value, rank: int) -> Value:
    """`x` as torch broadcasts it: more axes of size 1 in front."""
    more = rank - len(x.shape)
    if not more:
        return x
    layout = (*range(more), *(None if axis is None else axis + more for axis in x.layout))
    shape = (*(1,) * more, *x.shape)
    return replace(x, shape=shape, layout=layout, source=None if x.source is None else x.source.reshape(shape))
