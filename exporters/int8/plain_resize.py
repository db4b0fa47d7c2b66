"""RESIZE_BILINEAR of integers by LiteRT's plain kernel, whose places have ten bits behind the point.

XNNPACK counts places in float32. The plain kernel's step from one element of the output to the next is off by up to a
2048th of an element of the input, which adds up: to an eighth of an element where 256 are made.
"""

from __future__ import annotations

import torch
from torch import Tensor

from edgekit.ir.graph import Op

ONE = 1 << 10  # an element of the input, in the kernel's places
LINEAR = ("linear", "bilinear", "trilinear")


def is_resize_bilinear(op: Op) -> bool:
    """Return whether a resize follows a rule that RESIZE_BILINEAR has: linear, by the sizes and by no other factor."""
    return op.kind == "upsample" and op.attrs["mode"] in LINEAR and op.attrs.get("scale") is None


def plain_resize(op: Op, x: Tensor) -> Tensor | None:
    """Return what the kernel makes of x (N, C, *spatial), not rounded yet; None where a file has another operator."""
    if not is_resize_bilinear(op):
        return None
    for axis in range(2, x.dim()):
        matrix = _weights(x.shape[axis], op.shape[axis], bool(op.attrs["align_corners"]))
        x = torch.tensordot(x, matrix.to(x.dtype), dims=([axis], [1])).movedim(-1, axis)
    return x


def _weights(have: int, want: int, corners: bool) -> Tensor:
    """The weight of each element of an axis in each that is made of them: (want, have)."""
    pair = (have - 1, want - 1) if corners and want > 1 else (have, want)
    step = (ONE * pair[0] + pair[1] // 2) // pair[1]
    rows = torch.arange(want)
    places = rows * step if corners else (rows * step + step // 2 - ONE // 2).clamp(min=0)
    low = places // ONE
    share = (places - ONE * low) / ONE
    matrix = torch.zeros(want, have)
    matrix.index_put_((rows, low.clamp(max=have - 1)), 1 - share, accumulate=True)
    return matrix.index_put_((rows, (low + 1).clamp(max=have - 1)), share, accumulate=True)
