"""Normalizations by an input's own statistics in TFLite's words: means, differences, RSQRT."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from edgekit.exporters.tflite.layout import channels_last, order
from edgekit.exporters.tflite.lowering import Lowering, Value
from edgekit.exporters.tflite.ops_binary import broadcast, operand
from edgekit.exporters.tflite.ops_shapes import few_axes
from edgekit.ir.graph import Op


def layer_norm(to: Lowering, op: Op) -> Value:
    """Over the last axes of torch's, wherever these lie."""
    x = to.read(op, real=True)
    own = to.graph.tensors(op)
    flat, places = few_axes(to, x, op.attrs["dims"], op.name)
    y = to.reshaped(_normalized(to, op, flat, places), x, op.name)
    return _affine(to, op, y, own)


def group_norm(to: Lowering, op: Op) -> Value:
    """Over the places and the channels of each group: the channels are split in two axes for it where they lie."""
    x, groups = to.read(op, real=True), op.attrs["groups"]
    rank, (n, channels, *sizes) = len(x.shape), x.shape
    own = {
        role: tensor.reshape(-1, *[1] * (rank - 2)) if role in ("weight", "bias") else tensor
        for role, tensor in to.graph.tensors(op).items()
    }
    if groups == 1:
        y = _normalized(to, op, x, range(1, len(x.layout)) if x.layout[0] == 0 else _places(x, range(1, rank)))
    elif groups == channels and rank > 2:
        y = _normalized(to, op, x, _places(x, range(2, rank)))
    else:
        y = _by_groups(to, op, x, n, channels, sizes)
    return _affine(to, op, y, own)


def _places(x: Value, dims: Sequence[int]) -> list[int]:
    return [x.layout.index(dim) for dim in dims]


def _by_groups(to: Lowering, op: Op, x: Value, n: int, channels: int, sizes: Sequence[int]) -> Value:
    groups, rank, count = op.attrs["groups"], len(x.shape), 1
    for size in sizes:
        count *= size
    split: tuple[int, ...]
    if order(x.shape, x.layout) == order(x.shape, tuple(range(rank))):
        split, axes = (n, groups, channels // groups * count), [2]
    else:
        x = to.arranged(x, channels_last(rank), op.name)
        split, axes = (n, count, groups, channels // groups), [1, 3]
    y = to.reshaped(x, Value(-1, split, tuple(range(len(split)))), f"{op.name}/groups")
    y = _normalized(to, op, y, axes)
    return to.reshaped(y, Value(-1, x.shape, x.layout), f"{op.name}/whole")


def _normalized(to: Lowering, op: Op, x: Value, axes: Sequence[int]) -> Value:
    """(x - mean) / sqrt(variance + eps) over stored axes."""
    name, where = op.name, to.program.integers(sorted(axes))
    gone = {x.layout[place] for place in axes}
    like = Value(-1, tuple(1 if axis in gone else size for axis, size in enumerate(x.shape)), x.layout)
    mean = to.emit("MEAN", f"{name}/mean", [x.tensor, where], like, keepDims=True)
    apart = to.emit("SUB", f"{name}/centered", [x.tensor, mean.tensor], x)
    square = to.emit("MUL", f"{name}/square", [apart.tensor, apart.tensor], x)
    variance = to.emit("MEAN", f"{name}/variance", [square.tensor, where], like, keepDims=True)
    eps = to.program.constant(f"{name}/eps", torch.tensor([float(op.attrs["eps"])]))
    root = to.emit("RSQRT", f"{name}/root", [to.emit("ADD", f"{name}/more", [variance.tensor, eps], like).tensor], like)
    return to.emit("MUL", f"{name}/normalized", [apart.tensor, root.tensor], x)


def _affine(to: Lowering, op: Op, y: Value, own: dict[str, Tensor]) -> Value:
    for role, builtin in (("weight", "MUL"), ("bias", "ADD")):
        if role in own:
            stored = operand(own[role].detach(), y.layout, len(op.shape))
            index = to.program.constant(f"{op.name}/{role}", stored)
            constant = Value(index, tuple(stored.shape), tuple(range(stored.dim())), source=stored)
            y = broadcast(to, builtin, f"{op.name}/{'scaled' if role == 'weight' else 'shifted'}", [y, constant], y)
    return y
