"""Convolutions of volumes, and with computed weights, in TFLite's words."""

from __future__ import annotations

import torch
from torch import Tensor

from edgekit.exporters.tflite import ops_layers
from edgekit.exporters.tflite.layout import channels_last
from edgekit.exporters.tflite.lowering import Lowering, Value
from edgekit.exporters.tflite.ops_layers import dense, dilated, layer, windows
from edgekit.exporters.tflite.ops_shapes import joined, padded, sliced
from edgekit.ir.graph import Op

_NHWC, _NDHWC = channels_last(4), channels_last(5)


def conv(to: Lowering, op: Op) -> Value:
    """Add a convolution of signals, maps or volumes."""
    if len(op.shape) < 5:
        return ops_layers.conv(to, op)
    return _conv_3d(to, op) if op.attrs["groups"] == 1 else _conv_3d_groups(to, op)


def _conv_3d(to: Lowering, op: Op) -> Value:
    """CONV_2D over each frame of the output, the frames that its window reads put together as channels.

    TFLite's CONV_3D has no int8 kernel and no delegate, and unfolds every window in memory. This is the same sum.
    """
    x = to.read(op, layout=_NDHWC)
    (n, _, _, h, w), (_, filters, depth, *sizes) = x.shape, op.shape
    parts = _frames(to, op, x)
    x = parts[0] if len(parts) == 1 else joined(to, parts, 1, f"{op.name}/join")
    x = to.reshaped(x, Value(-1, (n * depth, x.shape[1], h, w), _NHWC, x.q), f"{op.name}/frames")
    x, options = windows(to, op, x, tuple(sizes))
    rows, columns = to.graph.params[op.params["weight"]].shape[3:]
    like = Value(-1, (n * depth, filters, *sizes), x.layout, to.wanted(op) if to.int8(op) else None)
    shape = (filters, rows, columns, x.shape[1])
    y = layer(to, op, "CONV_2D", x, (0, 3, 4, 2, 1), 0, like, options, shape)
    return to.reshaped(y, Value(-1, op.shape, _NDHWC, y.q), f"{op.name}/volume")


def _frames(to: Lowering, op: Op, x: Value) -> list[Value]:
    """(N, C, D, H, W) as (N, C, output depth, H * W) for each place of the kernel's depth: what it reads, in order."""
    n, c, d, h, w = x.shape
    (step, *_), (gap, *_), ((low, _), *_) = (op.attrs[name] for name in ("stride", "dilation", "padding"))
    reach, depth = to.graph.params[op.params["weight"]].shape[2], op.shape[2]
    last = (depth - 1) * step + 1  # from a window's first frame in the first output to that in the last
    high = max((reach - 1) * gap + last - d - low, 0)
    x = to.reshaped(x, Value(-1, (n, c, d, h * w), _NHWC, x.q), f"{op.name}/pixels")
    if low or high:
        x = padded(to, x, ((0, 0), (0, 0), (low, high), (0, 0)), f"{op.name}/time")
    if (last, step) == (x.shape[2], 1):
        return [x]
    return [sliced(to, x, 2, at, at + last, step, f"{op.name}/frame") for at in range(0, reach * gap, gap)]


def _conv_3d_groups(to: Lowering, op: Op) -> Value:
    """One grouped CONV_2D or DEPTHWISE_CONV_2D for each place of the kernel's depth, added up, in float."""
    x = to.read(op, layout=_NDHWC, real=True)
    (n, channels, _, h, w), (_, filters, depth, *sizes) = x.shape, op.shape
    own = to.graph.tensors(op)
    reach, bias = own["weight"].shape[2], own.get("bias", torch.zeros(filters)).detach()
    depthwise = op.attrs["groups"] == channels
    order, axis = ((1, 2, 3, 0), 3) if depthwise else ((0, 2, 3, 1), 0)
    total: Value | None = None
    for at, frames in enumerate(_frames(to, op, x)):
        y = to.reshaped(frames, Value(-1, (n * depth, channels, h, w), _NHWC), f"{op.name}/frames")
        y, options = windows(to, op, y, tuple(sizes))
        options["fusedActivationFunction"] = "NONE"

        def plane(weight: Tensor, at: int = at) -> Tensor:
            return weight[:, :, at].permute(order)

        addend = to.program.constant(f"{op.name}/bias", bias if at == 0 else torch.zeros(filters))
        if depthwise:
            options["depthMultiplier"] = filters // channels
        like = Value(-1, (n * depth, filters, *sizes), _NHWC)
        builtin = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
        kernel = to.weight(op, plane, axis, filters)
        y = to.emit(builtin, f"{op.name}/plane{at}", [y.tensor, kernel, addend], like, **options)
        last = at == reach - 1
        fused = to.activation(op) if last else "NONE"
        total = y if total is None else to.emit(
            "ADD", f"{op.name}/sum{at}", [total.tensor, y.tensor], y, fusedActivationFunction=fused)  # fmt: skip
    assert total is not None
    if reach == 1 and to.activation(op) != "NONE":
        total = to.emit(to.activation(op), f"{op.name}/activation", [total.tensor], total)
    return to.reshaped(total, Value(-1, op.shape, _NDHWC), to.label(op))


def conv_transpose(to: Lowering, op: Op) -> Value:
    """CONV_3D_TRANSPOSE of volumes, computed whole and cropped, in float; TRANSPOSE_CONV of signals and maps."""
    if len(op.shape) < 5:
        return ops_layers.conv_transpose(to, op)
    x, a = to.read(op, layout=_NDHWC, real=True), op.attrs
    sizes, low = op.shape[2:], tuple(p for p, _ in a["padding"])
    own = to.graph.tensors(op)

    def turned(weight: Tensor) -> Tensor:
        return dense(dilated(weight, a["dilation"]), a["groups"]).permute(2, 3, 4, 1, 0)

    kernel = [d * (k - 1) + 1 for d, k in zip(a["dilation"], own["weight"].shape[2:], strict=True)]
    reaches = zip(x.shape[2:], kernel, a["stride"], low, sizes, strict=True)
    whole = tuple(max((n - 1) * s + r, p + size) for n, r, s, p, size in reaches)
    like = Value(-1, (*op.shape[:2], *whole), _NDHWC)
    inputs = [
        to.program.integers((op.shape[0], *whole, op.shape[1])),
        to.weight(op, turned, 3, op.shape[1]),
        x.tensor,
        to.program.constant(f"{op.name}/bias", own.get("bias", torch.zeros(op.shape[1]))),
    ]
    strides = dict(zip(("strideD", "strideH", "strideW"), a["stride"], strict=True))
    y = to.emit("CONV_3D_TRANSPOSE", f"{op.name}/whole", inputs, like, padding="VALID", **strides)
    for axis, (size, start) in enumerate(zip(sizes, low, strict=True), start=2):
        y = sliced(to, y, axis, start, start + size, 1, op.name) if y.shape[axis] != size else y
    return y


def conv_dynamic(to: Lowering, op: Op) -> Value:
    """CONV_2D with a weight that is computed, in float."""
    x, weight = to.read(op, 0, layout=_NHWC, real=True), to.read(op, 1, layout=(0, 2, 3, 1), real=True)
    own = to.graph.tensors(op)
    x, options = windows(to, op, x, op.shape[2:], weight.shape)
    bias = to.program.constant(f"{op.name}/bias", own.get("bias", torch.zeros(op.shape[1])))
    return to.emit("CONV_2D", op.name, [x.tensor, weight.tensor, bias], Value(-1, op.shape, _NHWC), **options)
