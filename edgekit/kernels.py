"""What each kind of operator computes, in torch.

Attributes, all static:
  conv            stride, dilation (per spatial axis), padding ((low, high) per spatial axis, zeros), groups
  conv_transpose  stride, dilation, padding ((p, p)), output_padding, groups
  linear          -                       weight (out, in), bias
  batch_norm      eps                     mean, var, and weight and bias where affine
  scale           -                       per channel (axis 1): x * weight + bias
  max_pool        kernel, stride, dilation, padding ((low, high), minus infinity)
  avg_pool        kernel, stride, padding ((low, high)); divides by the elements that are inside the input
  mean            dims, keepdim
  adaptive_avg_pool, adaptive_max_pool   size
  lrn             size, alpha, beta, k    as torch's LocalResponseNorm: alpha is divided by size
  clip            min, max                relu6 is a clip of 0 and 6
  softmax, argmax dim; argmax gives int64
  leaky_relu      slope;   elu  alpha
  add sub mul div                         two inputs; or one, and a tensor "other", or a number attrs["other"];
                                          `reflected` for other - x and other / x
  cat             dim
  pad             pads ((low, high) for every axis), value
  reshape         shape, -1 first where the batch is kept
  permute         dims
  slice           dim, start, stop, step
  upsample        size, mode (nearest or bilinear), align_corners
  call            function(*inputs): anything else that torch can run; exported to ONNX only
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from edgekit.graph import Op

Tensors = Mapping[str, Tensor]
Kernel = Callable[["Op", list[Tensor], Tensors], Tensor]
_CONV: list[Callable[..., Tensor]] = [F.conv1d, F.conv2d, F.conv3d]
_CONV_TRANSPOSE: list[Callable[..., Tensor]] = [F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d]
_MAX_POOL: list[Callable[..., Tensor]] = [F.max_pool1d, F.max_pool2d, F.max_pool3d]
_AVG_POOL: list[Callable[..., Tensor]] = [F.avg_pool1d, F.avg_pool2d, F.avg_pool3d]
_ADAPTIVE_AVG: list[Callable[..., Tensor]] = [F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d]
_ADAPTIVE_MAX: list[Callable[..., Tensor]] = [F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d]


def _by_rank(table: list[Callable[..., Tensor]], x: Tensor) -> Callable[..., Tensor]:
    return table[x.dim() - 3]


def pad_argument(padding: tuple[tuple[int, int], ...]) -> list[int]:
    """((low, high), ...) per axis, first axis first, in the order of torch's F.pad (last axis first)."""
    return [amount for pair in reversed(padding) for amount in pair]


def _conv(op: Op, inputs: list[Tensor], own: Tensors) -> Tensor:
    (x,), padding = inputs, op.attrs["padding"]
    if any(low != high for low, high in padding):
        x, padding = F.pad(x, pad_argument(padding)), ((0, 0),) * len(padding)
    return _by_rank(_CONV, x)(
        x,
        own["weight"],
        own.get("bias"),
        op.attrs["stride"],
        tuple(p for p, _ in padding),
        op.attrs["dilation"],
        op.attrs["groups"],
    )


def _conv_transpose(op: Op, inputs: list[Tensor], own: Tensors) -> Tensor:
    x, a = inputs[0], op.attrs
    return _by_rank(_CONV_TRANSPOSE, x)(
        x,
        own["weight"],
        own.get("bias"),
        a["stride"],
        tuple(p for p, _ in a["padding"]),
        a["output_padding"],
        a["groups"],
        a["dilation"],
    )


def _batch_norm(op: Op, inputs: list[Tensor], own: Tensors) -> Tensor:
    return F.batch_norm(
        inputs[0], own["mean"], own["var"], own.get("weight"), own.get("bias"), False, 0.0, op.attrs["eps"]
    )


def _scale(op: Op, inputs: list[Tensor], own: Tensors) -> Tensor:
    shape = (1, -1, *[1] * (inputs[0].dim() - 2))
    return inputs[0] * own["weight"].reshape(shape) + own["bias"].reshape(shape)


def _max_pool(op: Op, inputs: list[Tensor], own: Tensors) -> Tensor:
    x, a = inputs[0], op.attrs
    padding = a["padding"]
    if any(low != high or 2 * low > k for (low, high), k in zip(padding, a["kernel"], strict=True)):
        x, padding = F.pad(x, pad_argument(padding), value=-math.inf), ((0, 0),) * len(padding)
    return _by_rank(_MAX_POOL, x)(x, a["kernel"], a["stride"], tuple(p for p, _ in padding), a["dilation"])


def _avg_pool(op: Op, inputs: list[Tensor], own: Tensors) -> Tensor:
    x, a = inputs[0], op.attrs
    pool = _by_rank(_AVG_POOL, x)
    if all(low == high for low, high in a["padding"]):
        return pool(x, a["kernel"], a["stride"], tuple(p for p, _ in a["padding"]), count_include_pad=False)
    pads = pad_argument(a["padding"])
    inside = F.pad(torch.ones_like(x[:1, :1]), pads)
    return pool(F.pad(x, pads), a["kernel"], a["stride"]) / pool(inside, a["kernel"], a["stride"])


def _binary(function: Callable[[Any, Any], Tensor]) -> Kernel:
    def kernel(op: Op, inputs: list[Tensor], own: Tensors) -> Tensor:
        left: Any = inputs[0]
        right: Any = inputs[1] if len(inputs) > 1 else own.get("other", op.attrs.get("other"))
        return function(right, left) if op.attrs.get("reflected") else function(left, right)

    return kernel


def _unary(function: Callable[..., Tensor], **names: str) -> Kernel:
    """A function of one tensor; `names` maps its keyword arguments to attributes."""

    def kernel(op: Op, inputs: list[Tensor], own: Tensors) -> Tensor:
        return function(inputs[0], **{keyword: op.attrs[attribute] for keyword, attribute in names.items()})

    return kernel


def _reshape(op: Op, inputs: list[Tensor], own: Tensors) -> Tensor:
    return inputs[0].reshape(op.attrs["shape"])


def _slice(op: Op, inputs: list[Tensor], own: Tensors) -> Tensor:
    a = op.attrs
    index = [slice(None)] * a["dim"] + [slice(a["start"], a["stop"], a["step"])]
    return inputs[0][tuple(index)]


def _upsample(op: Op, inputs: list[Tensor], own: Tensors) -> Tensor:
    a = op.attrs
    return F.interpolate(inputs[0], size=a["size"], mode=a["mode"], align_corners=a["align_corners"])


KERNELS: dict[str, Kernel] = {
    "conv": _conv,
    "conv_transpose": _conv_transpose,
    "linear": lambda op, inputs, own: F.linear(inputs[0], own["weight"], own.get("bias")),
    "batch_norm": _batch_norm,
    "scale": _scale,
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
    "mean": lambda op, inputs, own: inputs[0].mean(op.attrs["dims"], op.attrs["keepdim"]),
    "adaptive_avg_pool": lambda op, inputs, own: _by_rank(_ADAPTIVE_AVG, inputs[0])(inputs[0], op.attrs["size"]),
    "adaptive_max_pool": lambda op, inputs, own: _by_rank(_ADAPTIVE_MAX, inputs[0])(inputs[0], op.attrs["size"]),
    "lrn": _unary(F.local_response_norm, size="size", alpha="alpha", beta="beta", k="k"),
    "relu": _unary(F.relu),
    "clip": _unary(torch.clamp, min="min", max="max"),
    "hardswish": _unary(F.hardswish),
    "hardsigmoid": _unary(F.hardsigmoid),
    "sigmoid": _unary(torch.sigmoid),
    "tanh": _unary(torch.tanh),
    "silu": _unary(F.silu),
    "gelu": _unary(F.gelu, approximate="approximate"),
    "leaky_relu": _unary(F.leaky_relu, negative_slope="slope"),
    "elu": _unary(F.elu, alpha="alpha"),
    "prelu": lambda op, inputs, own: F.prelu(inputs[0], own["weight"]),
    "softmax": _unary(F.softmax, dim="dim"),
    "log_softmax": _unary(F.log_softmax, dim="dim"),
    "argmax": _unary(torch.argmax, dim="dim"),
    "add": _binary(torch.add),
    "sub": _binary(lambda a, b: a - b),
    "mul": _binary(torch.mul),
    "div": _binary(lambda a, b: a / b),
    "cat": lambda op, inputs, own: torch.cat(inputs, op.attrs["dim"]),
    "pad": lambda op, inputs, own: F.pad(inputs[0], pad_argument(op.attrs["pads"]), value=op.attrs["value"]),
    "reshape": _reshape,
    "permute": lambda op, inputs, own: inputs[0].permute(op.attrs["dims"]),
    "slice": _slice,
    "upsample": _upsample,
    "call": lambda op, inputs, own: op.attrs["function"](*inputs, **own),
}
