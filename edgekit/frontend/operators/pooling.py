"""Pooling over windows of a fixed or of an adaptive size."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from edgekit.frontend.builder import Builder
from edgekit.frontend.node import Node, mapped, per_axis
from edgekit.frontend.operators.elementwise import Converter
from edgekit.frontend.operators.moving import shaped

WITH_INDICES = "max_pool with indices"


def over_axes(name: str, pool: Converter) -> dict[str, Converter]:
    """A pooling of one, two and three axes by torch's names, of which `name` is the pattern."""
    return {name.format(axes): _with_batch(pool, axes) for axes in (1, 2, 3)}


def _with_batch(pool: Converter, axes: int) -> Converter:
    """The pooling, for what has channels and `axes` more, too, without a batch."""

    def convert(b: Builder, name: str, input: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(input, Node) or input.rank != axes + 1:
            return pool(b, name, input, *args, **kwargs)
        found = pool(b, name, shaped(b, f"{name}/batch", input, (1, *input.shape)), *args, **kwargs)
        return mapped(found, lambda y: shaped(b, f"{name}/alone", y, y.shape[1:]) if isinstance(y, Node) else y)

    return convert


# Pooling. Ceil mode becomes padding at the high end, which every runtime agrees on.


def windows(
    x: Node, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[tuple[int, int], ...]]:
    """Kernel, stride, dilation and padding ((low, high)) of each axis."""
    rank = x.rank - 2
    kernel, dilation, padding = per_axis(kernel_size, rank), per_axis(dilation, rank), per_axis(padding, rank)
    stride = per_axis(kernel_size if stride in (None, [], ()) else stride, rank)
    pairs = []
    for size, k, s, p, d in zip(x.shape[2:], kernel, stride, padding, dilation, strict=True):
        reach = d * (k - 1) + 1
        steps = (size + 2 * p - reach) / s
        count = math.floor(steps) + 1
        if ceil_mode:
            count = math.ceil(steps) + 1
            if (count - 1) * s >= size + p:  # a window must start inside the input or its low padding
                count -= 1
        pairs.append((p, max((count - 1) * s + reach - size - p, p) if ceil_mode else p))
    return kernel, stride, dilation, tuple(pairs)


def max_pool(
    b: Builder,
    name: str,
    input: Node,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    if return_indices:
        return max_pool_with_indices(b, name, input, kernel_size, stride, padding, dilation, ceil_mode)
    kernel, stride, dilation, pairs = windows(input, kernel_size, stride, padding, dilation, ceil_mode)
    return b.emit(name, "max_pool", [input], kernel=kernel, stride=stride, dilation=dilation, padding=pairs)


def max_pool_with_indices(
    b: Builder,
    name: str,
    input: Node,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = True,
) -> tuple[Node, Node]:
    """The values, and where they were, which only torch tells."""
    pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[input.rank - 3]

    def indices(x: Tensor) -> Any:
        return pool(x, kernel_size, stride or None, padding, dilation, ceil_mode, return_indices=True)[1]

    values = max_pool(b, name, input, kernel_size, stride, padding, dilation, ceil_mode)
    found = b.call(f"{name}/indices", WITH_INDICES, indices, [input], {})
    found.attrs["windows"] = windows(input, kernel_size, stride, padding, dilation, ceil_mode)
    return values, found


def avg_pool(
    b: Builder,
    name: str,
    input: Node,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: Any = None,
) -> Any:
    kernel, stride, _, pairs = windows(input, kernel_size, stride, padding, 1, ceil_mode)
    if divisor_override == 0:
        return NotImplemented
    if divisor_override is not None:
        return _summed(b, name, input, kernel, stride, pairs, divisor_override)
    if count_include_pad and any(p for p in per_axis(padding, len(kernel))):
        own = tuple((p, p) for p in per_axis(padding, len(kernel)))
        input = b.emit(f"{name}.pad", "pad", [input], pads=((0, 0), (0, 0), *own), value=0.0)
        pairs = tuple((0, high - p) for (_, high), (p, _) in zip(pairs, own, strict=True))
    return b.emit(name, "avg_pool", [input], kernel=kernel, stride=stride, padding=pairs)


def _summed(b: Builder, name: str, x: Node, kernel: Any, stride: Any, pairs: Any, divisor: int) -> Any:
    """The sum over each window, zeros of its padding among it, over a divisor of its own."""
    if any(map(any, pairs)):
        x = b.emit(f"{name}/pad", "pad", [x], pads=((0, 0), (0, 0), *pairs), value=0.0)
    x = b.emit(f"{name}/mean", "avg_pool", [x], kernel=kernel, stride=stride, padding=((0, 0),) * len(kernel))
    return b.emit(name, "mul", [x], other=math.prod(kernel) / divisor)


def adaptive_avg_pool(b: Builder, name: str, input: Node, output_size: Any) -> Any:
    return _adaptive(b, name, "avg", input, output_size)


def adaptive_max_pool(b: Builder, name: str, input: Node, output_size: Any, return_indices: bool = False) -> Any:
    return NotImplemented if return_indices else _adaptive(b, name, "max", input, output_size)


def _adaptive(b: Builder, name: str, kind: str, input: Node, output_size: Any) -> Any:
    rank, sizes = input.rank - 2, input.shape[2:]
    if rank < 1 or len(per_axis(output_size, rank)) != rank:
        return NotImplemented
    wanted = tuple(
        have if want is None else want for want, have in zip(per_axis(output_size, rank), sizes, strict=True)
    )
    if wanted == sizes:
        return input
    if set(wanted) == {1} and kind == "avg":
        return b.emit(name, "mean", [input], dims=tuple(range(2, 2 + rank)), keepdim=True)
    if all(want > 0 and have % want == 0 for have, want in zip(sizes, wanted, strict=True)):
        step = tuple(have // want for have, want in zip(sizes, wanted, strict=True))
        return (avg_pool if kind == "avg" else max_pool)(b, name, input, step, step)
    return b.emit(name, f"adaptive_{kind}_pool", [input], size=wanted)


def lp_pool(
    b: Builder,
    name: str,
    input: Node,
    norm_type: float,
    kernel_size: Any,
    stride: Any = None,
    ceil_mode: bool = False,
) -> Any:
    """The sum of x^p over each window to the power of 1/p; of an infinite p the largest size."""
    if norm_type == math.inf:
        return max_pool(b, name, b.emit(f"{name}/size", "abs", [input]), kernel_size, stride, 0, 1, ceil_mode)
    kernel = per_axis(kernel_size, input.rank - 2)
    x = b.emit(f"{name}/power", "pow", [input], other=float(norm_type))
    x = avg_pool(b, f"{name}/mean", x, kernel, stride, 0, ceil_mode)
    x = b.emit(f"{name}/sum", "mul", [x], other=float(math.prod(kernel)))
    return b.emit(name, "pow", [x], other=1 / norm_type)
