"""Layers with weights: convolutions, transposed convolutions, products with a matrix."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from edgekit.importers import transposed
from edgekit.importers.held import Held, first, in_columns, maps, plain, plainly, reshaped
from edgekit.importers.padding import Pairs, padded, same
from edgekit.importers.tensors import is_known
from edgekit.importers.tflite.node import Node

_SAME = 0  # of the schema's Padding
_CONV = {2: F.conv2d, 3: F.conv3d}


def axes_of(n: Node, rank: int, option: str, ending: str = "") -> tuple[int, ...]:
    """strides or dilations of each spatial axis, from options such as StrideH; 1 at least."""
    found = tuple(int(n.get(f"{option}{axis}{ending}", 1)) for axis in "DHW"[-rank:])
    if min(found) < 1:
        raise n.refusal(f"has the {option.lower()} {min(found)}", "get or export the file again")
    return found


def padding(n: Node, shape: Any, kernel: Any, stride: Any, dilation: Any) -> Pairs:
    """(low, high) of each spatial axis: SAME as TensorFlow pads, else none."""
    if n.get("Padding", _SAME) != _SAME:
        return ((0, 0),) * len(kernel)
    return tuple(same(*one) for one in zip(shape, kernel, stride, dilation, strict=True))


def conv(n: Node, x: Held, w: Held, b: Held | None = None) -> Held:
    """CONV_2D, grouped where the weight has fewer channels than the input: (O, H, W, I); CONV_3D: (D, H, W, I, O)."""
    order = (4, 3, 0, 1, 2) if n.kind == "CONV_3D" else (0, 3, 1, 2)
    weight = plain(w).permute(order)
    data = first(x)
    groups, rest = divmod(data.shape[1], weight.shape[1])
    if rest:
        raise n.refusal(
            f"has {data.shape[1]} channels and weights of {weight.shape[1]}", "get or export the file again"
        )
    return _convolved(n, data, weight, b, groups)


def depthwise_conv(n: Node, x: Held, w: Held, b: Held | None = None) -> Held:
    """(1, H, W, channels * multiplier). A window of one element is a factor and an addend for each channel.

    Of one that steps, ones alone take every so many rows or columns.
    """
    weight, data = plain(w).permute(3, 0, 1, 2), first(x)
    if n.blocks is not None:
        return _convolved(n, data, weight, b, data.shape[1])
    bias, steps = _bias(b, weight), axes_of(n, 2, "Stride")
    if weight.shape[2:] == (1, 1) and weight.shape[0] == data.shape[1] and is_known(weight):
        if steps == (1, 1):
            return _scaled(data, weight.reshape(-1), bias)
        if bool((weight == 1).all()) and (bias is None or not bool(bias.any())):
            return maps(data[:, :, :: steps[0], :: steps[1]])
    if _is_mean(n, weight, bias):
        return maps(F.avg_pool2d(data, tuple(weight.shape[2:]), steps))
    return _convolved(n, data, weight, b, data.shape[1])


def _is_mean(n: Node, weight: Tensor, bias: Tensor | None) -> bool:
    """Whether all weights are one over their number: an average, which XNNPACK computes so in integers."""
    if not is_known(weight) or n.get("Padding", _SAME) == _SAME or axes_of(n, 2, "Dilation", "Factor") != (1, 1):
        return False
    count = weight.shape[2] * weight.shape[3]
    return count > 1 and bool(((weight * count - 1).abs() < 1e-6).all()) and (bias is None or not bool(bias.any()))


def _scaled(x: Tensor, weight: Tensor, bias: Tensor | None) -> Held:
    """A normalization that nothing could take up, as it is written to TFLite."""
    zero, one = torch.zeros(len(weight)), torch.ones(len(weight))
    return maps(F.batch_norm(x, zero, one, weight, zero if bias is None else bias, False, 0.0, 0.0))


def _convolved(n: Node, x: Tensor, weight: Tensor, b: Held | None, groups: int) -> Held:
    rank = weight.dim() - 2
    stride, dilation = axes_of(n, rank, "Stride"), axes_of(n, rank, "Dilation", "Factor")
    pairs = padding(n, x.shape[2:], weight.shape[2:], stride, dilation)
    if n.blocks is not None:
        dilation, pairs = n.blocks.dilation, n.blocks.padding
    x, both = padded(x, pairs)
    return maps(_CONV[rank](x, weight, _bias(b, weight), stride, both, dilation, groups))


def _bias(b: Held | None, weight: Tensor) -> Tensor | None:
    """The addend; None where there is none, or one that adds nothing."""
    return None if b is None or not b.tensor.numel() else b.tensor.to(weight.dtype)


def transpose_conv(n: Node, size: Held, w: Held, x: Held, b: Held | None = None) -> Held:
    """TRANSPOSE_CONV: (O, H, W, I); CONV_3D_TRANSPOSE: (D, H, W, O, I). `size` is the output's shape."""
    volume = n.kind == "CONV_3D_TRANSPOSE"
    weight, data = plain(w).permute((4, 3, 0, 1, 2) if volume else (3, 0, 1, 2)), first(x)
    rank = weight.dim() - 2
    stride, dilation = axes_of(n, rank, "Stride"), axes_of(n, rank, "Dilation", "Factor") if volume else (1,) * rank
    wanted = n.sized(n.integers(size, "output shape"))[1:-1]
    pairs = []
    for have, out, k, s, d in zip(data.shape[2:], wanted, weight.shape[2:], stride, dilation, strict=True):
        total = (have - 1) * s + d * (k - 1) + 1 - out
        low = max(total, 0) // 2 if n.get("Padding", _SAME) == _SAME else 0
        pairs.append((low, total - low))
    return maps(transposed.conv_transpose(data, weight, _bias(b, weight), stride, dilation, tuple(pairs)))


def fully_connected(n: Node, x: Held, w: Held, b: Held | None = None) -> Held:
    """x @ w.T + b on the last axis; w is (O, I). A map that was flattened has its columns in torch's order in w."""
    if n.get("WeightsFormat", 0):
        raise n.refusal("has its weights shuffled")
    weight = plain(w)
    if weight.dim() != 2:
        raise n.refusal(f"has weights of {weight.dim()} axes", "get or export the file again")
    bias = _bias(b, weight)
    if x.columns is not None and is_known(weight):
        return plainly(F.linear(x.tensor, in_columns(weight, x.columns), bias))
    if not n.get("KeepNumDims", False) and x.rank != 2:
        x = reshaped(x, (-1 if not x.shape else _rows(n, x, weight.shape[1]), weight.shape[1]))
    data = plain(x)
    if not is_known(weight):
        product = torch.matmul(data, weight.t())
        return plainly(product if bias is None else product + bias)
    return plainly(F.linear(data, weight, bias))


def _rows(n: Node, x: Held, columns: int) -> int:
    rows, rest = divmod(x.tensor.numel(), columns)
    if rest:
        raise n.refusal(f"reads {x.tensor.numel()} elements in rows of {columns}", "get or export the file again")
    return rows


def batch_matmul(n: Node, a: Held, b: Held) -> Held:
    """a @ b over the last two axes, either turned where the file says so."""
    left, right = plain(a), plain(b)
    left = left.transpose(-1, -2) if n.get("AdjX", False) else left
    right = right.transpose(-1, -2) if n.get("AdjY", False) else right
    return plainly(torch.matmul(left, right))
