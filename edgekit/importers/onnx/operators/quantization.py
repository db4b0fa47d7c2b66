"""Operators of quantized files, as what they compute in real numbers.

What the network computes is carried as the real numbers that its integers stand for; what the file owns are integers,
which these operators turn into real numbers.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from edgekit.importers.onnx.node import Node
from edgekit.importers.onnx.operators import layers
from edgekit.importers.onnx.operators.elementwise import Operator, softmax
from edgekit.ir.kernels import along_axis


def _along(n: Node, value: Tensor, x: Tensor) -> Tensor:
    """A scale or zero point for each element: one, one for each place of an axis, or one for each block of that."""
    if value.numel() == 1:
        return value.reshape(())
    axis, block = n.get("axis", 1) % x.dim(), n.get("block_size", 0)
    if block:
        return value.repeat_interleave(block, axis).narrow(axis, 0, x.shape[axis])
    return along_axis(value, axis, x.dim())


def dequantize(n: Node, x: Tensor, scale: Tensor, zero: Tensor | None = None) -> Tensor:
    """Real numbers of integers that the file owns; what is carried as real numbers stays."""
    if x.dtype.is_floating_point:
        return x
    whole = x.to(torch.float32)
    if zero is not None:
        whole = whole - _along(n, zero, x).to(torch.float32)
    return whole * _along(n, scale, x)


def rounded(n: Node, x: Tensor, scale: Any, zero: Tensor | None = None) -> Tensor:
    """What integers can say of real numbers that the file owns, as real numbers."""
    step = _along(n, scale, x)
    shift = torch.zeros((), dtype=torch.uint8) if zero is None else zero
    ends, at = torch.iinfo(shift.dtype), _along(n, shift, x).to(torch.float32)
    return (torch.clamp(torch.round(x / step) + at, ends.min, ends.max) - at) * step


def carried(n: Node, x: Tensor, *rest: Any) -> Tensor:
    """What the network computes, where its integers were cut off: below 0, or to 0 .. 6."""
    ends = n.get("ends")
    if ends is None:
        return x
    return torch.relu(x) if ends[1] is None else torch.clamp(x, *ends)


def dynamic(n: Node, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Integers whose scale each input decides, as real numbers of the scale 1."""
    return x, torch.ones(()), torch.zeros((), dtype=torch.uint8)


def _real(x: Tensor, scale: Tensor, zero: Tensor | None, axis: int = 0) -> Tensor:
    """A tensor and its grid in real numbers; `axis` is that of several scales."""
    return dequantize(Node("", "", (), (), 21, attributes={"axis": axis}), x, scale, zero)


def qlinear_conv(
    n: Node,
    x: Tensor,
    x_scale: Tensor,
    x_zero: Tensor,
    w: Tensor,
    w_scale: Tensor,
    w_zero: Tensor,
    y_scale: Tensor,
    y_zero: Tensor,
    b: Tensor | None = None,
) -> Tensor:
    bias = None if b is None else b.to(torch.float32) * (x_scale * w_scale)
    y = layers.conv(n, _real(x, x_scale, x_zero), _real(w, w_scale, w_zero), bias)
    return carried(n, y)


def qlinear_matmul(
    n: Node,
    a: Tensor,
    a_scale: Tensor,
    a_zero: Tensor,
    b: Tensor,
    b_scale: Tensor,
    b_zero: Tensor,
    y_scale: Tensor,
    y_zero: Tensor,
) -> Tensor:
    return carried(n, torch.matmul(_real(a, a_scale, a_zero, -2), _real(b, b_scale, b_zero, -1)))


def qgemm(
    n: Node,
    a: Tensor,
    a_scale: Tensor,
    a_zero: Tensor,
    b: Tensor,
    b_scale: Tensor,
    b_zero: Tensor,
    c: Tensor | None = None,
    y_scale: Tensor | None = None,
    y_zero: Tensor | None = None,
) -> Tensor:
    real = _real(b, b_scale, b_zero, 0 if n.get("transB", 0) else 1)
    bias = None if c is None else c.to(torch.float32) * (a_scale * b_scale * n.get("alpha", 1.0))
    return carried(n, layers.gemm(n, _real(a, a_scale, a_zero), real, bias))


def qlinear_pair(function: Any) -> Operator:
    """An addition or product of two tensors, each with its grid."""

    def operator(n: Node, a: Tensor, a_scale: Tensor, a_zero: Tensor, b: Tensor, b_scale: Tensor, *r: Any) -> Tensor:
        b_zero = r[0]
        return carried(n, function(_real(a, a_scale, a_zero), _real(b, b_scale, b_zero)))

    return operator


def qlinear_one(function: Any) -> Operator:
    """An operator of one tensor with its grid."""

    def operator(n: Node, x: Tensor, x_scale: Tensor, x_zero: Tensor, *rest: Any) -> Tensor:
        return carried(n, function(n, _real(x, x_scale, x_zero)))

    return operator


def qlinear_concat(n: Node, y_scale: Tensor, y_zero: Tensor, *given: Tensor) -> Tensor:
    parts = [_real(given[at], given[at + 1], given[at + 2]) for at in range(0, len(given), 3)]
    return carried(n, torch.cat(parts, n.get("axis", 1)))


def qlinear_softmax(n: Node, x: Tensor, x_scale: Tensor, x_zero: Tensor, *rest: Any) -> Tensor:
    """Its `opset` is that of the Softmax which it stands for."""
    return carried(n, softmax(replace(n, opset=n.get("opset", 13)), _real(x, x_scale, x_zero)))


def conv_integer(n: Node, x: Tensor, w: Tensor, x_zero: Tensor | None = None, w_zero: Tensor | None = None) -> Tensor:
    one = torch.ones(())
    return layers.conv(n, _real(x, one, x_zero), _real(w, one, w_zero))


def matmul_integer(n: Node, a: Tensor, b: Tensor, a_zero: Tensor | None = None, b_zero: Tensor | None = None) -> Tensor:
    one = torch.ones(())
    return torch.matmul(_real(a, one, a_zero), _real(b, one, b_zero, -1))


def dynamic_quantize_matmul(
    n: Node, a: Tensor, b: Tensor, b_scale: Tensor, b_zero: Tensor | None = None, bias: Tensor | None = None
) -> Tensor:
    y = torch.matmul(a, _real(b, b_scale, b_zero, -1))
    return y if bias is None else y + bias


def matmul_integer_to_float(
    n: Node,
    a: Tensor,
    b: Tensor,
    a_scale: Tensor,
    b_scale: Tensor,
    a_zero: Tensor | None = None,
    b_zero: Tensor | None = None,
    bias: Tensor | None = None,
) -> Tensor:
    return dynamic_quantize_matmul(n, _real(a, a_scale, a_zero), b, b_scale, b_zero, bias)
