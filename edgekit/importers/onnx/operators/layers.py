"""Convolution, products with a weight, and BatchNormalization."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from edgekit.importers import transposed
from edgekit.importers.onnx.node import Node
from edgekit.importers.onnx.operators.windows import padding, sizes
from edgekit.importers.padding import padded

_CONV = (F.conv1d, F.conv2d, F.conv3d)


def conv(n: Node, x: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
    rank = w.dim() - 2
    stride, dilation = sizes(n, "strides", rank), sizes(n, "dilations", rank)
    pairs = padding(n, x.shape[2:], w.shape[2:], stride, dilation)
    x, both = padded(x, pairs)
    return _CONV[rank - 1](x, w, b, stride, both, dilation, n.get("group", 1))


def conv_transpose(n: Node, x: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
    """torch pads both ends alike: what the file takes away at one end only is cut off, or not added there."""
    rank = w.dim() - 2
    stride, dilation = sizes(n, "strides", rank), sizes(n, "dilations", rank)
    extra = tuple(n.get("output_padding") or (0,) * rank)
    axes = zip(x.shape[2:], w.shape[2:], stride, dilation, extra, strict=True)
    whole = [(size - 1) * s + d * (k - 1) + 1 + more for size, k, s, d, more in axes]
    pairs = _taken_away(n, whole, x.shape[2:], stride)
    return transposed.conv_transpose(x, w, b, stride, dilation, pairs, extra, n.get("group", 1))


def _taken_away(n: Node, whole: list[int], shape: torch.Size, stride: tuple[int, ...]) -> list[tuple[int, int]]:
    """What is cut off at both ends of each axis."""
    rule, rank = n.get("auto_pad", "NOTSET"), len(whole)
    wanted = n.get("output_shape")
    if wanted is None and rule in ("NOTSET", "VALID"):
        pads = n.get("pads") or (0,) * 2 * rank
        return [(pads[axis], pads[axis + rank]) if rule == "NOTSET" else (0, 0) for axis in range(rank)]
    target = list(wanted)[-rank:] if wanted else [size * s for size, s in zip(shape, stride, strict=True)]
    found = []
    for have, want in zip(whole, target, strict=True):
        total, half = have - want, (have - want) // 2
        found.append((half, total - half) if rule == "SAME_UPPER" else (total - half, half))
    return found


def gemm(n: Node, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    """alpha * a @ b + beta * c; a linear layer where that is one."""
    alpha, beta = n.get("alpha", 1.0), n.get("beta", 1.0)
    a = a.t() if n.get("transA", 0) else a
    w = b if n.get("transB", 0) else b.t()
    if alpha == 1 and beta == 1 and (c is None or _is_row(c, w.shape[0])):
        return F.linear(a, w, c if c is None or c.dim() == 1 else c.reshape(-1))
    y = F.linear(a, w) if alpha == 1 else F.linear(a, w) * alpha
    if c is None or beta == 0:
        return y
    return y + (c if beta == 1 else c * beta)


def _is_row(c: Tensor, columns: int) -> bool:
    return c.numel() == columns and c.dim() >= 1 and c.shape[-1] == columns and c.dim() <= 2


def matmul(n: Node, a: Tensor, b: Tensor) -> Tensor:
    return torch.matmul(a, b)


def batch_normalization(n: Node, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, var: Tensor) -> Tensor:
    if any(n.asks(index) for index in range(1, len(n.outputs))):
        raise n.refusal("gives statistics, as in training", "export the network in eval mode")
    if n.get("training_mode", 0):  # of weights that are standardized, say
        return F.batch_norm(x, None, None, scale, bias, True, 0.0, n.get("epsilon", 1e-5))
    if n.get("spatial", 1) != 1:
        raise n.refusal("normalizes each place by itself (spatial=0)")
    return F.batch_norm(x, mean, var, scale, bias, False, 0.0, n.get("epsilon", 1e-5))


def einsum(n: Node, *operands: Tensor) -> Tensor:
    return torch.einsum(n.get("equation"), *operands)
