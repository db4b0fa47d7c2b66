"""Layers with weights in TFLite's words: convolutions, transposed convolutions, linear layers, per-channel scales."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from edgekit.exporters.int8.tflite_steps import scale_integers
from edgekit.exporters.tflite.layout import Shape, spatial, stored_shape
from edgekit.exporters.tflite.lowering import Lowering, Turned, Value
from edgekit.exporters.tflite.ops_shapes import few_axes, padded, sliced
from edgekit.exporters.tflite.program import Grid, channel_grid
from edgekit.ir.graph import Op
from edgekit.ir.quantized import QParams
from edgekit.ir.same_padding import padding_of


def conv(to: Lowering, op: Op) -> Value:
    """CONV_2D (grouped too) or DEPTHWISE_CONV_2D. A 1-D convolution is one of height 1."""
    rank = len(op.shape)
    x = to.read(op, layout=spatial(rank))
    x, options = windows(to, op, x, op.shape[2:])
    groups, channels = op.attrs["groups"], x.shape[1]
    like = Value(-1, op.shape, spatial(rank), to.wanted(op) if to.int8(op) else None)
    if groups == channels > 1:
        options["depthMultiplier"] = op.shape[1] // channels
        return layer(to, op, "DEPTHWISE_CONV_2D", x, (1, 2, 3, 0), 3, like, options)
    return layer(to, op, "CONV_2D", x, (0, 2, 3, 1), 0, like, options)


def windows(
    to: Lowering, op: Op, x: Value, outputs: Shape, weight: Shape | None = None
) -> tuple[Value, dict[str, Any]]:
    """The input, padded where TFLite's word for it is not enough, and the options that say how windows go over it.

    The PAD costs nothing where XNNPACK runs the file: it takes the padding into the convolution behind it.
    """
    a, axes = op.attrs, len(outputs)
    kernel = tuple((to.graph.params[op.params["weight"]].shape if weight is None else weight)[-axes:])
    stride, dilation, pads = (a[name][-axes:] for name in ("stride", "dilation", "padding"))
    padding = padding_of(x.shape[2:], outputs, kernel, stride, dilation, pads)
    if padding.explicit:
        x = padded(to, x, ((0, 0), (0, 0), *padding.explicit), f"{op.name}/pad")
    options: dict[str, Any] = {"padding": padding.word, "fusedActivationFunction": to.activation(op)}
    options |= dict(zip(("strideH", "strideW"), two_at_least(stride), strict=True))
    options |= dict(zip(("dilationHFactor", "dilationWFactor"), two_at_least(dilation), strict=True))
    return x, options


def two_at_least(values: Shape) -> Shape:
    """Return values for two spatial axes; those of one axis are for the second, beside a height of 1."""
    return (1, *values) if len(values) == 1 else values


def layer(
    to: Lowering,
    op: Op,
    builtin: str,
    x: Value,
    turn: Shape,
    axis: int,
    like: Value,
    options: dict[str, Any],
    shape: Shape | None = None,
) -> Value:
    """A convolution whose weight lies in the order `turn` of torch's (O, I, *kernel), output channels on `axis`."""

    def stored(weight: Tensor) -> Tensor:
        return (weight.unsqueeze(2) if weight.dim() == 3 else weight).permute(turn)

    weight, bias = weight_and_bias(to, op, x, stored, axis, op.shape[1], shape)
    return to.emit(builtin, to.label(op), [x.tensor, weight, bias], like, **options)


def weight_and_bias(
    to: Lowering, op: Op, x: Value, stored: Turned, axis: int, channels: int, shape: Shape | None = None
) -> tuple[int, int]:
    """Return the two constants of a layer, in float or as the quantized graph has them. `stored` turns torch's weight.

    Zeros that stand for no bias have a name of their own, so that the layer reads back without one.
    """
    if to.quantized is None or x.q is None:
        kernel, bias = to.weight(op, stored, axis, channels, shape), to.graph.tensors(op).get("bias")
        name, added = ("zeros", torch.zeros(channels)) if bias is None else ("bias", bias)
        return kernel, to.program.constant(f"{op.name}/{name}", added)
    weight = to.quantized.weights[op.name]
    grid = channel_grid(weight, channels, axis)
    integers = to.quantized.biases.get(op.name, torch.zeros(channels, dtype=torch.int32))
    steps = Grid(tuple(scale * x.q.scale for scale in grid.scales))
    return (
        to.program.constant(f"{op.name}/weight", stored(weight.values), shape, "int8", grid),
        to.program.constant(f"{op.name}/bias", integers, None, "int32", steps),
    )


def linear(to: Lowering, op: Op) -> Value:
    """FULLY_CONNECTED. Where a map was flattened as it lies, the weight's columns are read in that order."""
    x = to.read(op)
    columns, rank = x.columns, len(op.shape)
    if rank == 1:
        return _linear_of_vector(to, op, x)
    x = replace(x, columns=None) if columns else to.arranged(x, tuple(range(rank)), op.name)
    own = to.graph.params[op.params["weight"]]

    def stored(weight: Tensor) -> Tensor:
        if columns is None:
            return weight
        sizes, lying = columns
        return weight.reshape(-1, *sizes).permute(0, *(axis + 1 for axis in lying))

    weight, bias = weight_and_bias(to, op, x, stored, 0, op.shape[-1], tuple(own.shape))
    like = Value(-1, op.shape, tuple(range(rank)), to.wanted(op) if to.int8(op) else None)
    flat, _ = few_axes(to, x, (rank - 1,), op.name)
    form = like if flat is x else replace(like, shape=(*flat.shape[:-1], op.shape[-1]), layout=flat.layout)
    options = {"fusedActivationFunction": to.activation(op), "keepNumDims": rank != 2}
    return to.emit_joined("FULLY_CONNECTED", to.label(op), [flat.tensor, weight, bias], form, like, **options)


def _linear_of_vector(to: Lowering, op: Op, x: Value) -> Value:
    """The same of a row."""
    x = to.reshaped(x, Value(-1, (1, *x.shape), (0, 1), x.q), f"{op.name}/row")
    weight, bias = weight_and_bias(to, op, x, lambda weight: weight, 0, op.shape[0])
    like = Value(-1, (1, *op.shape), (0, 1), to.wanted(op) if to.int8(op) else None)
    options = {"fusedActivationFunction": to.activation(op), "keepNumDims": False}
    y = to.emit("FULLY_CONNECTED", f"{op.name}/product", [x.tensor, weight, bias], like, **options)
    return to.reshaped(y, Value(-1, op.shape, (0,), y.q), to.label(op))


def conv_transpose(to: Lowering, op: Op) -> Value:
    """TRANSPOSE_CONV. Where torch's padding is not SAME, the whole output is computed and cropped."""
    rank, a = len(op.shape), op.attrs
    x = to.read(op, layout=spatial(rank))
    dilation, groups = a["dilation"], a["groups"]
    weight = to.graph.params[op.params["weight"]]
    reach = tuple(d * (k - 1) + 1 for d, k in zip(dilation, weight.shape[2:], strict=True))
    low = tuple(p for p, _ in a["padding"])
    sizes, whole, same = op.shape[2:], [], []
    for size, n, r, s, p in zip(sizes, x.shape[2:], reach, a["stride"], low, strict=True):
        whole.append(max((n - 1) * s + r, p + size))
        total = max((n - 1) * s + r - size, 0)
        same.append(-(-size // s) == n and total // 2 == p)
    direct = all(same) or tuple(whole) == sizes
    shape = op.shape if direct else (*op.shape[:2], *whole)
    like = Value(-1, shape, spatial(rank), to.wanted(op) if to.int8(op) else None)
    stored = stored_shape(shape, like.layout)

    def turned(weight: Tensor) -> Tensor:
        weight = dense(dilated(weight, dilation), groups)
        return (weight.unsqueeze(2) if rank == 3 else weight).permute(1, 2, 3, 0)

    kernel, bias = weight_and_bias(to, op, x, turned, 0, op.shape[1])
    stride = two_at_least(a["stride"])
    y = to.emit(
        "TRANSPOSE_CONV",
        op.name if direct else f"{op.name}/whole",
        [to.program.integers(stored), kernel, x.tensor, bias],
        like,
        padding="SAME" if all(same) else "VALID",
        strideH=stride[0],
        strideW=stride[1],
    )
    for axis, (size, start) in enumerate(zip(sizes, low, strict=True), start=2):
        y = sliced(to, y, axis, start, start + size, 1, op.name) if y.shape[axis] != size else y
    return y


def dilated(weight: Tensor, dilation: Shape) -> Tensor:
    """Return the kernel with its gaps written out as zeros."""
    if all(d == 1 for d in dilation):
        return weight
    sizes = [d * (k - 1) + 1 for d, k in zip(dilation, weight.shape[2:], strict=True)]
    whole = weight.new_zeros((*weight.shape[:2], *sizes))
    steps = tuple(slice(None, None, d) for d in (1, 1, *dilation))
    whole[steps] = weight
    return whole


def dense(weight: Tensor, groups: int) -> Tensor:
    """(in, out / groups, ...) as (in, out, ...), zero between different groups."""
    if groups == 1:
        return weight
    each, out = weight.shape[0] // groups, weight.shape[1]
    whole = weight.new_zeros((weight.shape[0], out * groups, *weight.shape[2:]))
    for group in range(groups):
        rows = slice(group * each, (group + 1) * each)
        whole[rows, group * out : (group + 1) * out] = weight[rows]
    return whole


def scale(to: Lowering, op: Op) -> Value:
    """x * weight + bias per channel: a depthwise 1x1 convolution on maps, MUL and ADD on vectors.

    The convolution passes over the map once, two to four times faster than MUL and ADD, and in integers it keeps a
    scale for each channel's weight.
    """
    own, rank = to.graph.tensors(op), len(op.shape)
    weight, bias = own["weight"].detach(), own["bias"].detach()
    if rank not in (3, 4):
        return _scale_plainly(to, op, weight, bias)
    x = to.read(op, layout=spatial(rank))
    if x.q:
        kernel, added = _scale_constants_int8(to, op, x.q, weight.double(), bias.double())
    else:
        kernel = to.weight(op, lambda weight: weight, 3, len(weight), (1, 1, 1, len(weight)))
        added = to.program.constant(f"{op.name}/bias", bias)
    options: dict[str, Any] = {f"stride{axis}": 1 for axis in "HW"} | {f"dilation{axis}Factor": 1 for axis in "HW"}
    options |= {"padding": "VALID", "depthMultiplier": 1, "fusedActivationFunction": to.activation(op)}
    like = replace(x, q=to.wanted(op) if x.q else None)
    return to.emit("DEPTHWISE_CONV_2D", to.label(op), [x.tensor, kernel, added], like, **options)


def _scale_plainly(to: Lowering, op: Op, weight: Tensor, bias: Tensor) -> Value:
    x = to.read(op, real=True)
    shape = [op.shape[1] if axis == 1 else 1 for axis in x.layout]
    factor = to.program.constant(f"{op.name}/weight", weight, shape)
    added = to.program.constant(f"{op.name}/bias", bias, shape)
    y = to.emit("MUL", f"{op.name}/mul", [x.tensor, factor], x)
    return to.emit("ADD", to.label(op), [y.tensor, added], y, fusedActivationFunction=to.activation(op))


def _scale_constants_int8(to: Lowering, op: Op, q: QParams, weight: Tensor, bias: Tensor) -> tuple[int, int]:
    """Weight and bias in integers."""
    integers, added, scales = scale_integers(q, weight, bias)
    grid = Grid(tuple(scales.tolist()), 0, 3)
    steps = Grid(tuple((scales * q.scale).tolist()), 0, 0)
    return (
        to.program.constant(f"{op.name}/weight", integers, (1, 1, 1, len(integers)), "int8", grid),
        to.program.constant(f"{op.name}/bias", added, None, "int32", steps),
    )
