"""Pooling over windows, and over all places."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from edgekit.importers.onnx.node import Node
from edgekit.importers.onnx.operators.windows import padding, sizes
from edgekit.importers.padding import Pairs, flat
from edgekit.importers.pooling import mean

_MAX: tuple[Any, ...] = (F.max_pool1d, F.max_pool2d, F.max_pool3d)
_AVERAGE: tuple[Any, ...] = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)
_CONV: tuple[Any, ...] = (F.conv1d, F.conv2d, F.conv3d)


class _Window:
    """Where the windows of a pooling lie. `over` is what the last one has beyond the padding: it counts as nothing."""

    def __init__(self, n: Node, shape: Sequence[int]) -> None:
        self.kernel = tuple(n.get("kernel_shape"))
        self.rank = len(self.kernel)
        self.stride, self.dilation = sizes(n, "strides", self.rank), sizes(n, "dilations", self.rank)
        self.pads = padding(n, shape, self.kernel, self.stride, self.dilation)
        self.over = (0,) * self.rank
        if n.get("ceil_mode", 0) and n.get("auto_pad", "NOTSET") == "NOTSET":
            axes = zip(shape, self.kernel, self.stride, self.dilation, self.pads, strict=True)
            self.over = tuple(_over(*axis) for axis in axes)

    @property
    def whole(self) -> Pairs:
        """The padding with what is beyond it."""
        return tuple((low, high + over) for (low, high), over in zip(self.pads, self.over, strict=True))

    @property
    def is_even(self) -> bool:
        """Whether torch pads so: alike at both ends, and by less than half a window."""
        return all(low == high and 2 * low <= k for (low, high), k in zip(self.pads, self.kernel, strict=True))

    @property
    def is_plain(self) -> bool:
        """Whether that is all, and no window reaches beyond it."""
        return self.is_even and not any(self.over)


def _over(size: int, k: int, s: int, d: int, pads: tuple[int, int]) -> int:
    """What the last window needs beyond the padding; a window begins inside the input or in the padding before it."""
    reach, low = d * (k - 1) + 1, pads[0]
    count = math.ceil((size + sum(pads) - reach) / s) + 1
    if (count - 1) * s >= size + low:
        count -= 1
    return max((count - 1) * s + reach - size - sum(pads), 0)


def max_pool(n: Node, x: Tensor) -> Any:
    window = _Window(n, x.shape[2:])
    function, x, both = _MAX[window.rank - 1], *_padded(window, x, -math.inf)
    if not n.asks(1):
        return function(x, window.kernel, window.stride, both, window.dilation)
    if not window.is_plain or (n.get("storage_order", 0) and window.rank != 2):
        raise n.refusal("gives the places of what it finds in an order that torch does not have")
    y, places = function(x, window.kernel, window.stride, both, window.dilation, return_indices=True)
    if n.get("storage_order", 0):
        height, width = x.shape[2:]
        places = torch.remainder(places, width) * height + torch.div(places, width, rounding_mode="floor")
    offsets = torch.arange(x.shape[0] * x.shape[1]).reshape(x.shape[0], x.shape[1], *[1] * window.rank)
    return y, places + offsets * math.prod(x.shape[2:])


def _padded(window: _Window, x: Tensor, value: float) -> tuple[Tensor, Any]:
    """What is pooled, and the padding that torch is asked for."""
    if window.is_plain:
        return x, tuple(low for low, _ in window.pads)
    return F.pad(x, flat(window.whole), value=value), (0,) * window.rank


def average_pool(n: Node, x: Tensor) -> Tensor:
    window = _Window(n, x.shape[2:])
    if any(d > 1 for d in window.dilation):
        return _mean_by_weights(n, window, x)
    counted, pool = bool(n.get("count_include_pad", 0)), _AVERAGE[window.rank - 1]
    if window.is_even:
        both, beyond = tuple(low for low, _ in window.pads), any(window.over)
        y: Tensor = pool(x, window.kernel, window.stride, both, beyond, counted)
        return y
    if not counted:
        return mean(x, window.kernel, window.stride, window.whole)
    ones = torch.ones((1, 1, *x.shape[2:]))
    return _shared(window, x, ones, True, lambda value: pool(value, window.kernel, window.stride))


def _mean_by_weights(n: Node, window: _Window, x: Tensor) -> Tensor:
    """Windows with gaps: a convolution of each channel by itself, whose weights are all the same."""
    counted, convolve = bool(n.get("count_include_pad", 0)), _CONV[window.rank - 1]
    weight = torch.full((1, 1, *window.kernel), 1 / math.prod(window.kernel))

    def weighed(value: Tensor) -> Any:
        channels = value.shape[1]
        every = weight.expand(channels, *weight.shape[1:])
        return convolve(value, every, None, window.stride, 0, window.dilation, channels)

    return _shared(window, x, torch.ones((1, 1, *x.shape[2:])), counted, weighed)


def _shared(window: _Window, x: Tensor, ones: Tensor, counted: bool, total: Any) -> Tensor:
    """The mean over each window by the elements that count: those inside, and the padding where it is `counted`."""
    inside = F.pad(ones, flat(window.pads), value=float(counted))
    over = tuple((0, amount) for amount in window.over)
    part = total(F.pad(inside, flat(over)))
    y: Tensor = total(F.pad(x, flat(window.whole)))
    return y if bool((part == 1).all()) else y / part


def lp_pool(n: Node, x: Tensor) -> Tensor:
    """The p-norm of each window."""
    window, p = _Window(n, x.shape[2:]), n.get("p", 2)
    powers = x * x if p == 2 else x.abs() if p == 1 else torch.pow(x.abs(), float(p))
    count = math.prod(window.kernel)
    weight = torch.ones((1, 1, *window.kernel)).expand(x.shape[1], 1, *window.kernel)
    padded = F.pad(powers, flat(window.whole)) if any(map(any, window.whole)) else powers
    if any(d > 1 for d in window.dilation):
        total = _CONV[window.rank - 1](padded, weight, None, window.stride, 0, window.dilation, x.shape[1])
    else:
        total = _AVERAGE[window.rank - 1](padded, window.kernel, window.stride) * float(count)
    return root(total, p)


def root(x: Tensor, p: float) -> Tensor:
    """The p-th root."""
    return x if p == 1 else torch.sqrt(x) if p == 2 else torch.pow(x, 1 / p)


def _places(x: Tensor) -> tuple[int, ...]:
    return tuple(range(2, x.dim()))


def global_average_pool(n: Node, x: Tensor) -> Tensor:
    """The places go where `keepdims` is 0, which only edgekit.importers.onnx.own says."""
    return x.mean(_places(x), keepdim=bool(n.get("keepdims", 1)))


def global_max_pool(n: Node, x: Tensor) -> Tensor:
    return x.amax(_places(x), keepdim=True)


def global_lp_pool(n: Node, x: Tensor) -> Tensor:
    p = n.get("p", 2)
    powers = x * x if p == 2 else torch.pow(x.abs(), float(p))
    return root(powers.sum(_places(x), keepdim=True), p)
