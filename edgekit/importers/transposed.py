"""Transposed convolutions that take away another number of elements at each end, which torch's cannot."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F

_OF_RANK = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


def conv_transpose(
    x: Tensor,
    w: Tensor,
    b: Tensor | None,
    stride: Sequence[int],
    dilation: Sequence[int],
    taken: Sequence[tuple[int, int]],
    extra: Sequence[int] | None = None,
    groups: int = 1,
) -> Tensor:
    """Return the result for (N, C, ...) and a weight of (C, O / groups, ...).

    `taken` is cut off at both ends of each spatial axis; below 0 adds zeros at the high end, as `extra` does.
    Raises ValueError for a larger output than the windows reach.
    """
    extra = extra or (0,) * len(stride)
    ends = [_ends(*pair, *one) for pair, one in zip(taken, zip(extra, stride, dilation, strict=True), strict=True)]
    both, more = tuple(end[0] for end in ends), tuple(end[1] for end in ends)
    y: Tensor = _OF_RANK[len(stride)](x, w, b, tuple(stride), both, more, groups, tuple(dilation))
    for axis, (_, _, low, high) in enumerate(ends):
        if low < 0 or high < 0:
            raise ValueError("it asks for a larger output than its windows reach")
        if low or high:
            y = y.narrow(axis + 2, low, y.shape[axis + 2] - low - high)
    return y


def _ends(low: int, high: int, extra: int, stride: int, dilation: int) -> tuple[int, int, int, int]:
    """torch's padding and output padding, and what is still to be cut off at the low and the high end."""
    if low >= 0 and high <= low and extra + low - high < max(stride, dilation):
        return low, extra + low - high, 0, 0
    both = max(min(low, high), 0)
    return both, extra, low - both, high - both
