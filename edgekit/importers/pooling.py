"""Pooling over windows whose padding counts for nothing, as TensorFlow has it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from edgekit.importers.padding import Pairs, flat

_MAX = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
_MEAN = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


def largest(x: Tensor, kernel: Sequence[int], stride: Sequence[int], pairs: Pairs) -> Tensor:
    """Return the largest element of each window of (N, C, ...); `pairs` pads each spatial axis."""
    if any(map(any, pairs)):
        x = F.pad(x, flat(pairs), value=-math.inf)
    return _MAX[len(kernel)](x, tuple(kernel), tuple(stride))


def mean(x: Tensor, kernel: Sequence[int], stride: Sequence[int], pairs: Pairs) -> Tensor:
    """Return the mean of the elements of each window that lie inside."""
    kernel, stride, pool = tuple(kernel), tuple(stride), _MEAN[len(kernel)]
    low = tuple(pair[0] for pair in pairs)
    if all(pair == (one, one) and 2 * one <= k for pair, one, k in zip(pairs, low, kernel, strict=True)):
        return pool(x, kernel, stride, low, False, False)
    axes = zip(x.shape[2:], pairs, stride, kernel, strict=True)
    if all(b - a in (0, 1) and s > 1 and 2 * a <= k and (n + a + b - k) % s == 0 for n, (a, b), s, k in axes):
        return pool(x, kernel, stride, low, True, False)  # the last window may reach beyond the padding
    inside = pool(F.pad(torch.ones((1, 1, *x.shape[2:])), flat(pairs)), kernel, stride)
    return pool(F.pad(x, flat(pairs)), kernel, stride) / inside
