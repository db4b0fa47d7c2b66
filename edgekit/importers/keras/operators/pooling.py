"""Pooling over windows and over whole maps."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from edgekit.importers import pooling
from edgekit.importers.held import Held, plainly
from edgekit.importers.keras.node import Node
from edgekit.importers.keras.operators.layers import padding

_ADAPTIVE: dict[str, tuple[Callable[..., Tensor], ...]] = {
    "Average": (F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d),
    "Max": (F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d),
}


def windows(pool: Callable[..., Tensor]) -> Callable[[Node, Held], Held]:
    """MaxPooling or AveragePooling of 1 to 3 axes; what it pads counts for nothing."""

    def operator(n: Node, x: Held) -> Held:
        data = n.maps(x)
        kernel = n.sizes("pool_size", n.rank, 2)
        stride = n.sizes("strides", n.rank, list(kernel))
        pairs = padding(n, tuple(data.shape[2:]), kernel, stride, (1,) * n.rank)
        return n.held(pool(data, kernel, stride, pairs))

    return operator


def whole(reduce: Callable[..., Tensor]) -> Callable[[Node, Held], Held]:
    """GlobalAveragePooling or GlobalMaxPooling of 1 to 3 axes."""

    def operator(n: Node, x: Held) -> Held:
        data = n.maps(x)
        keeps = bool(n.get("keepdims", False))
        made = reduce(data, tuple(range(2, data.dim())), keeps)
        return n.held(made) if keeps else plainly(made)

    return operator


def adaptive(n: Node, x: Held) -> Held:
    """AdaptiveAveragePooling and AdaptiveMaxPooling of 1 to 3 axes."""
    kind = "Average" if "Average" in n.kind else "Max"
    return n.held(_ADAPTIVE[kind][n.rank - 1](n.maps(x), n.sizes("output_size", n.rank)))


largest, average = windows(pooling.largest), windows(pooling.mean)
whole_largest, whole_average = whole(torch.amax), whole(torch.mean)
