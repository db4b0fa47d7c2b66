"""Resizing, sampling, and windows as columns."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.nn import functional as F

from edgekit.frontend.builder import Builder
from edgekit.frontend.node import Node, per_axis
from edgekit.frontend.operators.attention import matmul
from edgekit.frontend.operators.moving import movedim, shaped
from edgekit.frontend.operators.pooling import adaptive_avg_pool
from edgekit.util.formatting import shape_text

_SMOOTH = ("linear", "bilinear", "bicubic", "trilinear")


def interpolate(
    b: Builder,
    name: str,
    input: Node,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: Any = None,
    recompute_scale_factor: Any = None,
    antialias: bool = False,
) -> Any:
    rank, sizes = input.rank - 2, input.shape[2:]
    scales = None if scale_factor is None else tuple(float(s) for s in per_axis(scale_factor, rank))
    result = _sizes(sizes, size, scales, rank)
    if min(result) < 1:
        raise ValueError(f"it would make {shape_text(result)} of {shape_text(sizes)}")
    if antialias:
        return _antialiased(b, name, input, result, scales, mode, bool(align_corners))
    if mode == "area":
        return adaptive_avg_pool(b, name, input, result)
    attrs: dict[str, Any] = {"size": result, "mode": mode, "align_corners": align_corners}
    if scales is not None and not (align_corners or recompute_scale_factor):
        exact = zip(sizes, scales, result, strict=True)
        if not all(math.isclose(have * scale, made) for have, scale, made in exact):
            attrs["scale"] = scales
    if mode not in _SMOOTH:
        attrs["align_corners"] = None
    return b.emit(name, "upsample", [input], **attrs)


def _antialiased(
    b: Builder, name: str, x: Node, result: tuple[int, ...], scales: Any, mode: str, align_corners: bool
) -> Node:
    """A product of matrices along each axis. The weights are what torch makes of a one at each place of that axis."""
    axes = [axis for axis in range(2, x.rank) if x.shape[axis] != result[axis - 2] or scales is not None]
    for axis in axes:
        size = x.shape[axis]
        ones = torch.eye(size, dtype=x.dtype).reshape(1, 1, size, size)
        given: dict[str, Any] = {"size": (result[axis - 2], size)}
        if scales is not None:
            given = {"scale_factor": (scales[axis - 2], 1.0)}
        weight = F.interpolate(ones, **given, mode=mode, align_corners=align_corners, antialias=True)
        rows = movedim(b, f"{name}/rows{axis}", x, axis, -1)
        made = b.emit(f"{name}/axis{axis}", "linear", [rows], {"weight": weight[0, 0]})
        x = movedim(b, name if axis == axes[-1] else f"{name}/order{axis}", made, -1, axis)
    return x


def _sizes(sizes: tuple[int, ...], size: Any, scales: Any, rank: int) -> tuple[int, ...]:
    if size is not None:
        return tuple(int(one) for one in per_axis(size, rank))
    if scales is None:
        raise ValueError("one of size and scale_factor must be given")
    return tuple(math.floor(float(have) * scale) for have, scale in zip(sizes, scales, strict=True))


def upsample_nearest(b: Builder, name: str, input: Node, size: Any = None, scale_factor: Any = None) -> Any:
    return interpolate(b, name, input, size, scale_factor)


def upsample_bilinear(b: Builder, name: str, input: Node, size: Any = None, scale_factor: Any = None) -> Any:
    return interpolate(b, name, input, size, scale_factor, "bilinear", True)


def upsample(
    b: Builder,
    name: str,
    input: Node,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: Any = None,
) -> Any:
    return interpolate(b, name, input, size, scale_factor, mode, align_corners)


def grid_sample(
    b: Builder,
    name: str,
    input: Any,
    grid: Any,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: Any = None,
) -> Any:
    like = input if isinstance(input, Node) else grid
    nodes = [b.operand(f"{name}/{part}", x, like) for part, x in (("input", input), ("grid", grid))]
    return b.emit(name, "grid_sample", nodes, mode=mode, padding_mode=padding_mode, align_corners=bool(align_corners))


def affine_grid(b: Builder, name: str, theta: Any, size: Any, align_corners: Any = None) -> Any:
    """Places of pixels times a matrix for each image: torch's own grid of the matrix that changes nothing is theirs."""
    n, _, *sizes = size
    axes = len(sizes)
    nothing = torch.eye(axes, axes + 1, dtype=theta.dtype).expand(1, axes, axes + 1)
    places = F.affine_grid(nothing, [1, 1, *sizes], bool(align_corners)).reshape(1, -1, axes)
    places = torch.cat([places, torch.ones_like(places[..., :1])], 2)
    turned = b.emit(f"{name}/columns", "permute", [theta], dims=(0, 2, 1))
    grid = matmul(b, f"{name}/places", places, turned)
    return shaped(b, name, grid, (n, *sizes, axes))


def unfold(b: Builder, name: str, input: Any, *args: Any, **kwargs: Any) -> Any:
    """F.unfold: a convolution whose weights pick one element of the window each. Tensor.unfold: places by index."""
    if not isinstance(input, Node):
        return NotImplemented
    names = ("kernel_size", "dilation", "padding", "stride")
    if "size" in kwargs or (len(args) > 1 and all(isinstance(x, int) for x in args)):
        return _windows(b, name, input, *args, **kwargs)
    if input.rank == 3:
        y = unfold(b, name, shaped(b, f"{name}/batch", input, (1, *input.shape)), *args, **kwargs)
        return shaped(b, f"{name}/alone", y, y.shape[1:])
    given = dict(zip(names, args, strict=False)) | kwargs
    kernel = per_axis(given["kernel_size"], 2)
    channels, count = input.shape[1], math.prod(kernel)
    x = b.emit(
        f"{name}/windows",
        "conv",
        [input],
        {"weight": torch.eye(count, dtype=input.dtype).reshape(count, 1, *kernel).repeat(channels, 1, 1, 1)},
        stride=per_axis(given.get("stride", 1), 2),
        padding=tuple((p, p) for p in per_axis(given.get("padding", 0), 2)),
        dilation=per_axis(given.get("dilation", 1), 2),
        groups=channels,
    )
    return shaped(b, name, x, (x.shape[0], channels * count, math.prod(x.shape[2:])))


def _windows(b: Builder, name: str, input: Node, dimension: int, size: int, step: int) -> Any:
    dim = dimension % input.rank
    count = (input.shape[dim] - size) // step + 1
    places = (torch.arange(count)[:, None] * step + torch.arange(size)).reshape(-1)
    x = b.emit(f"{name}/places", "gather", [input], {"indices": places}, dim=dim)
    x = shaped(b, f"{name}/windows", x, (*input.shape[:dim], count, size, *input.shape[dim + 1 :]))
    order = [axis for axis in range(x.rank) if axis != dim + 1] + [dim + 1]
    return x if order == list(range(x.rank)) else b.emit(name, "permute", [x], dims=tuple(order))


def fold(
    b: Builder,
    name: str,
    input: Node,
    output_size: Any,
    kernel_size: Any,
    dilation: Any = 1,
    padding: Any = 0,
    stride: Any = 1,
) -> Any:
    """Columns put back as windows, which add up: a transposed convolution whose weights put one element each."""
    kernel, stride, dilation = (per_axis(value, 2) for value in (kernel_size, stride, dilation))
    padding, size = per_axis(padding, 2), per_axis(output_size, 2)
    if input.rank != 3:
        return NotImplemented
    count = math.prod(kernel)
    channels = input.shape[1] // count
    axes = list(zip(size, kernel, stride, dilation, padding, strict=True))
    grid = tuple((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, d, p in axes)
    made = [(g - 1) * s + d * (k - 1) + 1 - 2 * p for g, (_, k, s, d, p) in zip(grid, axes, strict=True)]
    x = shaped(b, f"{name}/windows", input, (input.shape[0], channels * count, *grid))
    weight = torch.eye(count, dtype=input.dtype).reshape(count, 1, *kernel).repeat(channels, 1, 1, 1)
    more = tuple(n - m for n, m in zip(size, made, strict=True))
    if any(extra >= max(s, d) for extra, s, d in zip(more, stride, dilation, strict=True)):
        return NotImplemented
    return b.emit(
        name,
        "conv_transpose",
        [x],
        {"weight": weight},
        stride=stride,
        padding=tuple((p, p) for p in padding),
        output_padding=more,
        dilation=dilation,
        groups=channels,
    )
