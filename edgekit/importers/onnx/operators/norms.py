"""Normalizations other than BatchNormalization."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from edgekit.importers.onnx.node import Node


def instance_normalization(n: Node, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    return F.instance_norm(x, None, None, scale, bias, True, 0.0, n.get("epsilon", 1e-5))


def layer_normalization(n: Node, x: Tensor, scale: Tensor, bias: Tensor | None = None) -> Any:
    if n.asks(1) or n.asks(2):
        return _with_statistics(n, x, scale, bias)
    axis, eps = n.get("axis", -1) % x.dim(), n.get("epsilon", 1e-5)
    sizes = tuple(x.shape[axis:])
    if all(value is None or tuple(value.shape) == sizes for value in (scale, bias)):
        return F.layer_norm(x, sizes, scale, bias, eps)
    y = F.layer_norm(x, sizes, None, None, eps) * scale
    return y if bias is None else y + bias


def _with_statistics(n: Node, x: Tensor, scale: Tensor, bias: Tensor | None) -> Any:
    """The mean and the inverse deviation beside it."""
    axis = n.get("axis", -1) % x.dim()
    dims = tuple(range(axis, x.dim()))
    mean = x.mean(dims, keepdim=True)
    apart = x - mean
    inverse = torch.rsqrt((apart * apart).mean(dims, keepdim=True) + n.get("epsilon", 1e-5))
    y = apart * inverse * scale
    return (y if bias is None else y + bias), mean, inverse


def group_normalization(n: Node, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """A scale for each channel; before opset 21 for each group."""
    groups, eps = n.get("num_groups"), n.get("epsilon", 1e-5)
    channels = x.shape[1]
    if scale.numel() == groups != channels:
        scale, bias = (value.repeat_interleave(channels // groups) for value in (scale, bias))
    return F.group_norm(x, groups, scale, bias, eps)


def rms_normalization(n: Node, x: Tensor, scale: Tensor) -> Tensor:
    axis = n.get("axis", -1) % x.dim()
    return F.rms_norm(x, tuple(x.shape[axis:]), None, n.get("epsilon", 1e-5)) * scale


def lp_normalization(n: Node, x: Tensor) -> Tensor:
    """Over the norm along an axis; 0 stays 0."""
    return F.normalize(x, float(n.get("p", 2)), n.get("axis", -1))


def lrn(n: Node, x: Tensor) -> Tensor:
    size, alpha, beta, bias = n.get("size"), n.get("alpha", 1e-4), n.get("beta", 0.75), n.get("bias", 1.0)
    if size % 2 == 0:  # the odd channel of the window lies behind, and torch's before
        return F.local_response_norm(x.flip(1), size, alpha, beta, bias).flip(1)
    return F.local_response_norm(x, size, alpha, beta, bias)


def mean_variance_normalization(n: Node, x: Tensor) -> Tensor:
    dims = tuple(n.get("axes") or (0, 2, 3))
    mean = x.mean(dims, keepdim=True)
    apart = x - mean
    deviation = torch.sqrt((apart * apart).mean(dims, keepdim=True))
    return apart / (deviation + 1e-9)
