"""Windows and places that no format has an operator for: adaptive pooling, dilated pooling, resizing."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from edgekit.ir.graph import Op

CUBIC = -0.75  # the parameter of cubic interpolation, as torch has it


def means(sizes: Sequence[int], wanted: Sequence[int]) -> Tensor:
    """What turns a flattened map of `sizes` into the flattened means of its windows: (prod(wanted), prod(sizes)).

    The i-th of n windows over a side goes from floor(i * side / n) to ceil((i + 1) * side / n), as torch's do.
    """
    matrix = torch.ones(1, 1)
    for size, count in zip(sizes, wanted, strict=True):
        rows = torch.zeros(count, size)
        for i in range(count):
            start, stop = _window(size, count, i)
            rows[i, start:stop] = 1 / (stop - start)
        matrix = torch.kron(matrix, rows)
    return matrix


def _window(size: int, count: int, index: int) -> tuple[int, int]:
    return index * size // count, -(-(index + 1) * size // count)


def adaptive_windows(size: int, count: int) -> tuple[list[int], int]:
    """Return the places that `count` windows over a side read, one window after the other, and how many each reads.

    Shorter windows read their last place again, which changes no maximum.
    """
    ends = [_window(size, count, i) for i in range(count)]
    longest = max(stop - start for start, stop in ends)
    return [min(start + k, stop - 1) for start, stop in ends for k in range(longest)], longest


def dilated_windows(count: int, kernel: int, stride: int, dilation: int) -> list[int]:
    """Return the places that `count` windows with gaps read, one window after the other."""
    return [i * stride + k * dilation for i in range(count) for k in range(kernel)]


def nearest_places(op: Op, before: Sequence[int], axis: int) -> list[int]:
    """Return the place that each element along `axis` takes in a resize to the nearest, as torch chooses."""
    scale, row = op.attrs.get("scale"), torch.arange(before[axis], dtype=torch.float32).reshape(1, 1, -1)
    if scale is None:
        taken = F.interpolate(row, size=op.shape[axis], mode=op.attrs["mode"])
    else:
        taken = F.interpolate(row, scale_factor=scale[axis - 2], mode=op.attrs["mode"])
    return [int(place) for place in taken.reshape(-1)]


def resize_matrix(op: Op, before: Sequence[int], axis: int) -> Tensor:
    """Return what a linear or cubic resize along `axis` multiplies by: (new size, old size)."""
    have, want, scale = before[axis], op.shape[axis], op.attrs.get("scale")
    mode = "bicubic" if op.attrs["mode"] == "bicubic" else "bilinear"
    size, factors = ((want, have), None) if scale is None else (None, (scale[axis - 2], 1.0))
    places = torch.eye(have).reshape(1, 1, have, have)
    weights = F.interpolate(places, size, factors, mode=mode, align_corners=op.attrs["align_corners"])
    return weights.reshape(want, have)
