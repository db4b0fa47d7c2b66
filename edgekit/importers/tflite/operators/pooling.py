"""Pooling over windows, and normalization over channels."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from edgekit.importers import pooling
from edgekit.importers.held import Held, first, maps
from edgekit.importers.padding import Pairs
from edgekit.importers.tflite.node import Node
from edgekit.importers.tflite.operators.layers import axes_of, padding


def _window(n: Node, x: Tensor) -> tuple[tuple[int, int], tuple[int, ...], Pairs]:
    """Its sizes, strides and padding."""
    kernel = (int(n.get("FilterHeight")), int(n.get("FilterWidth")))
    if min(kernel) < 1:
        raise n.refusal(f"has a window of {kernel[0]}x{kernel[1]}", "get or export the file again")
    stride = axes_of(n, 2, "Stride")
    return kernel, stride, padding(n, x.shape[2:], kernel, stride, (1, 1))


def max_pool(n: Node, x: Held) -> Held:
    """MAX_POOL_2D."""
    data = first(x)
    return maps(pooling.largest(data, *_window(n, data)))


def average_pool(n: Node, x: Held) -> Held:
    """AVERAGE_POOL_2D: over the elements inside."""
    return maps(_mean(n, first(x)))


def l2_pool(n: Node, x: Held) -> Held:
    """L2_POOL_2D: the root of the mean square."""
    data = first(x)
    return maps(torch.sqrt(_mean(n, data * data)))


def _mean(n: Node, x: Tensor) -> Tensor:
    return pooling.mean(x, *_window(n, x))


def local_response_normalization(n: Node, x: Held) -> Held:
    """LOCAL_RESPONSE_NORMALIZATION over the last axis; torch divides alpha by the window's size."""
    size = 2 * int(n.get("Radius")) + 1
    return maps(F.local_response_norm(first(x), size, n.get("Alpha") * size, n.get("Beta"), n.get("Bias")))


def l2_normalization(n: Node, x: Held) -> Held:
    """L2_NORMALIZATION over the last axis."""
    return x.to(F.normalize(x.tensor, 2.0, x.axes[-1], 1e-6))
