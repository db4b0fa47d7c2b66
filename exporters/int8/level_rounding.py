"""Rounding that keeps the sums of weights: what it does to a channel's mean needs no images to be undone.

Rounded to nearest, the errors of a channel add up to several steps, and inputs that are rectified multiply that sum by
a mean of one sign. Where it is over half a step, the weights that were rounded furthest that way go to their other
neighbor: first within each window of the kernel, whose inputs are one channel's, then within the whole output channel
(C. Guo et al., "SQuant: On-the-Fly Data-Free Quantization via Diagonal Hessian Approximation", ICLR 2022; its order of
choice within a channel is by window, ours by weight).
"""

from __future__ import annotations

import torch
from torch import Tensor

_ELEMENTS = 2**24  # at a time


def level(steps: Tensor, window: int, limit: int) -> Tensor:
    """Integers of at most `limit` for real steps (channels, weights); `window` neighbors are a window of the kernel.

    No weight is more than one step from where it was; each channel's errors sum to half a step at most, unless the
    limit is in the way.
    """
    found = torch.empty_like(steps)
    together = max(_ELEMENTS // max(steps.shape[1], 1), 1)
    for start in range(0, len(steps), together):
        block = steps[start : start + together]
        integers = block.round().clamp_(-limit, limit)
        if window > 1:
            integers = _summed(block.reshape(-1, window), integers.reshape(-1, window), limit).reshape(block.shape)
        found[start : start + together] = _summed(block, integers, limit)
    return found


def _summed(steps: Tensor, integers: Tensor, limit: int) -> Tensor:
    """The integers (rows, weights), moved by one where that brings the sum of a row nearest to that of its steps."""
    error = integers - steps
    total = error.sum(1, keepdim=True)
    counts, sign = total.abs().round().long(), total.sign()
    most = min(int(counts.max()), steps.shape[1]) if len(counts) else 0
    if most == 0:
        return integers
    gain = torch.where((integers - sign).abs() > limit, -torch.inf, error * sign)
    largest, places = gain.topk(most, 1)
    chosen = (torch.arange(most) < counts) & largest.isfinite()
    return integers.scatter_add(1, places, -sign * chosen)
