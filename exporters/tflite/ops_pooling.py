"""Pooling, means and local response normalization in TFLite's words.

TFLite has no 3-D pooling. A maximum over a box is the maximum over its depth of the maxima over its planes, and the
number of elements inside the input is a product over the axes, so two 2-D poolings give exactly the same.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch

from edgekit.exporters.int8.tflite_constraints import mean_padding
from edgekit.exporters.tflite.layout import Shape, channels_last, spatial
from edgekit.exporters.tflite.lowering import Lowering, Unsupported, Value
from edgekit.exporters.tflite.ops_moving import taken
from edgekit.exporters.tflite.ops_shapes import padded
from edgekit.exporters.tflite.program import Grid
from edgekit.exporters.windows import adaptive_windows, dilated_windows, means
from edgekit.ir.graph import Op
from edgekit.ir.same_padding import padding_of

Pairs = tuple[tuple[int, int], ...]
_KEEPING = frozenset({"max_pool", "avg_pool", "adaptive_avg_pool", "mean", "reshape", "permute", "slice", "cat"})
_POSITIVE = frozenset({"relu", "sigmoid", "softmax", "hardsigmoid"})


def max_pool(to: Lowering, op: Op) -> Value:
    """MAX_POOL_2D. What is not SAME is padded with minus infinity, or with zeros where nothing is negative."""
    fill = 0.0 if _never_negative(to, op.inputs[0]) else -math.inf
    if any(d != 1 for d in op.attrs["dilation"]):
        return _max_pool_with_gaps(to, op, fill)
    return _pool(to, op, to.read(op, layout=spatial(len(op.shape))), fill)


def _max_pool_with_gaps(to: Lowering, op: Op, fill: float) -> Value:
    """What the windows read laid side by side, in float, then a pooling that goes from one window to the next."""
    rank, a = len(op.shape), op.attrs
    x = to.read(op, layout=spatial(rank), real=True)
    reaches = zip(x.shape[2:], op.shape[2:], a["kernel"], a["stride"], a["dilation"], a["padding"], strict=True)
    pads = []
    for size, count, k, s, d, (low, _) in reaches:
        pads.append((low, max((count - 1) * s + (k - 1) * d + 1 - size - low, 0)))
    if any(map(any, pads)):
        x = padded(to, x, ((0, 0), (0, 0), *pads), f"{op.name}/pad", fill)
    each = zip(op.shape[2:], a["kernel"], a["stride"], a["dilation"], strict=True)
    for axis, (count, k, s, d) in enumerate(each, start=2):
        x = taken(to, x, axis, dilated_windows(count, k, s, d), f"{op.name}/windows{axis}")
    return _side_by_side(to, op, x, a["kernel"])


def adaptive_max_pool(to: Lowering, op: Op) -> Value:
    """Add what the windows read laid side by side, then a pooling that goes from one window to the next."""
    x, kernel = to.read(op, layout=spatial(len(op.shape)), real=True), []
    for axis, (size, count) in enumerate(zip(x.shape[2:], op.shape[2:], strict=True), start=2):
        places, longest = adaptive_windows(size, count)
        kernel.append(longest)
        x = taken(to, x, axis, places, f"{op.name}/windows{axis}")
    return _side_by_side(to, op, x, tuple(kernel))


def _side_by_side(to: Lowering, op: Op, x: Value, kernel: Shape) -> Value:
    none = ((0, 0),) * len(kernel)
    apart = op.with_(attrs={"kernel": kernel, "stride": kernel, "padding": none, "dilation": (1,) * len(kernel)})
    return _pool(to, apart, x, -math.inf)


def adaptive_avg_pool(to: Lowering, op: Op) -> Value:
    """Windows of uneven sizes, as one FULLY_CONNECTED over the flattened map. Always in float."""
    x = to.read(op, real=True)
    sizes, wanted, rank = x.shape[2:], op.shape[2:], len(op.shape)
    x = to.arranged(x, tuple(range(rank)), op.name)
    matrix = means(sizes, wanted)
    flat = (*x.shape[:2], matrix.shape[1])
    x = to.reshaped(x, Value(-1, flat, (0, 1, 2)), f"{op.name}/flat")
    like = Value(-1, (*flat[:2], matrix.shape[0]), (0, 1, 2))
    inputs = [
        x.tensor,
        to.program.constant(f"{op.name}/windows", matrix),
        to.program.constant(f"{op.name}/zero", torch.zeros(len(matrix))),
    ]
    y = to.emit("FULLY_CONNECTED", f"{op.name}/means", inputs, like, fusedActivationFunction="NONE", keepNumDims=True)
    return to.reshaped(y, Value(-1, op.shape, tuple(range(rank))), op.name)


def avg_pool(to: Lowering, op: Op) -> Value:
    """AVERAGE_POOL_2D, which divides by the elements inside; what is not SAME is corrected by one MUL, in float."""
    x = to.read(op, layout=spatial(len(op.shape)))
    plain = mean_padding(to.graph, op)
    if x.q and plain.explicit:
        x = to.read(op, layout=spatial(len(op.shape)), real=True)
    elif x.q and plain.word == "VALID" and len(op.shape) < 5:
        return _average_integers(to, op, x)
    return _pool(to, op, x, None)


def _average_integers(to: Lowering, op: Op, x: Value) -> Value:
    """An average as a depthwise convolution with equal weights, as XNNPACK has no int8 AVERAGE_POOL_2D."""
    a, channels = op.attrs, op.shape[1]
    kernel, stride = (1, *a["kernel"])[-2:], (1, *a["stride"])[-2:]
    scale = 1 / (127 * math.prod(kernel))
    assert x.q is not None
    weight = torch.full((1, *kernel, channels), 127, dtype=torch.int8)
    constants = [
        to.program.constant(f"{op.name}/ones", weight, None, "int8", Grid((scale,) * channels, 0, 3)),
        to.program.constant(f"{op.name}/zeros", torch.zeros(channels, dtype=torch.int32), None, "int32",
                            Grid((scale * x.q.scale,) * channels, 0, 0)),
    ]  # fmt: skip
    options: dict[str, Any] = {"strideH": stride[0], "strideW": stride[1], "dilationHFactor": 1, "dilationWFactor": 1}
    options |= {"padding": "VALID", "depthMultiplier": 1}
    like = replace(x, shape=op.shape, q=to.wanted(op))
    return to.emit("DEPTHWISE_CONV_2D", op.name, [x.tensor, *constants], like, **options)


def _pool(to: Lowering, op: Op, x: Value, fill: float | None) -> Value:
    """Max-pooling that pads with `fill`, or average pooling where `fill` is None."""
    a, rank = op.attrs, len(op.shape)
    if rank == 5:
        return _pool_3d(to, op, x, fill)
    return _pool_2d(to, x, op.shape, a["kernel"], a["stride"], a["padding"], fill, op.name)


def _pool_2d(
    to: Lowering, x: Value, shape: Shape, kernel: Shape, stride: Shape, pads: Pairs, fill: float | None, name: str
) -> Value:
    padding = padding_of(x.shape[2:], shape[2:], kernel, stride, (1,) * len(kernel), pads)
    inside = x.shape[2:]
    if padding.explicit:
        x = padded(to, x, ((0, 0), (0, 0), *padding.explicit), f"{name}/pad", fill or 0.0)
    height, width = (1, *kernel)[-2:]
    options: dict[str, Any] = {"padding": padding.word, "filterHeight": height, "filterWidth": width}
    options |= dict(zip(("strideH", "strideW"), (1, *stride)[-2:], strict=True))
    like = replace(x, shape=shape)
    if fill is not None or not padding.explicit:
        builtin = "AVERAGE_POOL_2D" if fill is None else "MAX_POOL_2D"
        return to.emit(builtin, name, [x.tensor], like, fusedActivationFunction="NONE", **options)
    y = to.emit("AVERAGE_POOL_2D", f"{name}/average", [x.tensor], like, fusedActivationFunction="NONE", **options)
    factor = to.program.constant(f"{name}/factor", _correction(inside, shape[2:], kernel, stride, padding.explicit))
    return to.emit("MUL", name, [y.tensor, factor], y, fusedActivationFunction="NONE")


def _correction(sizes: Shape, outputs: Shape, kernel: Shape, stride: Shape, pads: Pairs) -> torch.Tensor:
    """All elements of a window over those inside the input, stored as (1, H, W, 1)."""
    factor = torch.ones(1, 1)
    for size, count, k, s, (low, _) in zip(sizes, outputs, kernel, stride, pads, strict=True):
        start = torch.arange(count) * s - low
        inside = (start + k).clamp_max(size) - start.clamp_min(0)
        factor = torch.kron(factor, (k / inside).unsqueeze(0))
    return factor.reshape(1, *((1, *outputs)[-2:]), 1)


def _pool_3d(to: Lowering, op: Op, x: Value, fill: float | None) -> Value:
    n, c, d, h, w = x.shape
    a, (_, _, depth, height, width) = op.attrs, op.shape
    nhwc = channels_last(4)
    if (a["kernel"][1:], a["stride"][1:]) != ((1, 1), (1, 1)) or any(map(any, a["padding"][1:])):
        x = to.reshaped(x, Value(-1, (n * d, c, h, w), nhwc, x.q), f"{op.name}/planes")
        x = _pool_2d(
            to, x, (n * d, c, height, width), a["kernel"][1:], a["stride"][1:], a["padding"][1:], fill, f"{op.name}/2d"
        )
    x = to.reshaped(x, Value(-1, (n, c, d, height * width), nhwc, x.q), f"{op.name}/columns")
    if (a["kernel"][0], a["stride"][0]) != (1, 1) or any(a["padding"][0]):
        kernel, stride, pads = (a["kernel"][0], 1), (a["stride"][0], 1), (a["padding"][0], (0, 0))
        x = _pool_2d(to, x, (n, c, depth, height * width), kernel, stride, pads, fill, f"{op.name}/depth")
    return to.reshaped(x, Value(-1, op.shape, channels_last(5), x.q), op.name)


def _never_negative(to: Lowering, name: str) -> bool:
    """Whether what `name` gives is known to be zero or more."""
    op = to.ops[name]
    if op.kind == "clip":
        return op.attrs["min"] is not None and op.attrs["min"] >= 0
    return op.kind in _POSITIVE or (op.kind in _KEEPING and all(_never_negative(to, i) for i in op.inputs))


def lrn(to: Lowering, op: Op) -> Value:
    """x / (k + alpha / size * sum of the neighbors' squares) ** beta, in float.

    TFLite's own operator takes a power for each element and runs on one thread outside XNNPACK. The sum over
    neighboring channels is a 1x1 convolution with a band matrix, and the usual powers are square roots: these run in
    XNNPACK, measured 10 to 30 times faster. Another beta takes the builtin operator.
    """
    a, rank = op.attrs, len(op.shape)
    if rank == 2:
        raise Unsupported("a vector as input")
    x = to.read(op, layout=spatial(rank), real=True)
    if rank == 5:
        n, c, d, h, w = x.shape
        x = to.reshaped(x, Value(-1, (n, c, d * h, w), channels_last(4)), f"{op.name}/planes")
    y = _lrn_by_roots(to, op, x) if a["beta"] in (0.5, 0.75, 1.0) else _lrn_builtin(to, op, x)
    return to.reshaped(y, Value(-1, op.shape, channels_last(rank)), f"{op.name}/volume") if rank == 5 else y


def _lrn_builtin(to: Lowering, op: Op, x: Value) -> Value:
    a = op.attrs
    if a["size"] % 2 == 0:
        raise Unsupported(f"an even window of {a['size']} channels with a beta of {a['beta']:g}")
    options = {"radius": a["size"] // 2, "alpha": a["alpha"] / a["size"], "beta": a["beta"], "bias": a["k"]}
    return to.emit("LOCAL_RESPONSE_NORMALIZATION", op.name, [x.tensor], x, **options)


def _lrn_by_roots(to: Lowering, op: Op, x: Value) -> Value:
    a, channels = op.attrs, op.shape[1]
    behind = torch.arange(channels).unsqueeze(0) - torch.arange(channels).unsqueeze(1)
    band = ((behind >= -(a["size"] // 2)) & (behind <= (a["size"] - 1) // 2)) * (a["alpha"] / a["size"])
    square = to.emit("MUL", f"{op.name}/square", [x.tensor, x.tensor], x)
    constants = [
        to.program.constant(f"{op.name}/band", band, (channels, 1, 1, channels)),
        to.program.constant(f"{op.name}/k", torch.full((channels,), float(a["k"]))),
    ]
    one = {f"{name}{axis}{end}": 1 for name, end in (("stride", ""), ("dilation", "Factor")) for axis in "HW"}
    y = to.emit("CONV_2D", f"{op.name}/sum", [square.tensor, *constants], x, padding="VALID", **one)
    if a["beta"] == 0.75:  # y ** 0.75 is the root of y * root of y
        root = to.emit("SQRT", f"{op.name}/root", [y.tensor], x)
        y = to.emit("MUL", f"{op.name}/cube", [y.tensor, root.tensor], x)
    if a["beta"] != 1.0:
        y = to.emit("SQRT", f"{op.name}/power", [y.tensor], x)
    return to.emit("DIV", op.name, [x.tensor, y.tensor], x)
