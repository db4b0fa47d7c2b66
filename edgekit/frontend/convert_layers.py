"""Canonical forms of convolution, linear, normalisation and pooling: calls under torch's names become operators."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from torch.nn import functional as F

from edgekit.errors import UsageError

if TYPE_CHECKING:
    from edgekit.frontend.tracer import Walk

Form = Callable[..., Any]  # (walk, name, the call's own arguments) -> what the call stands for, or NotImplemented


def per_axis(value: Any, rank: int) -> tuple[int, ...]:
    """torch's "a number or one for each axis" as one for each axis."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    return values * rank if len(values) == 1 else values


def spatial_rank(walk: Walk, x: Any) -> int:
    """The number of spatial axes."""
    return len(walk.shape(x)) - 2


# Convolution and linear. A weight that forward() computes from its input is none that a layer can own.


def _computed(walk: Walk, *tensors: Any) -> bool:
    return any(walk.is_ref(tensor) for tensor in tensors)


def _refuse_other_rank(walk: Walk, name: str, x: Any, weight: Any) -> None:
    axes = len(walk.kernel(weight)) if walk.is_own(weight) else spatial_rank(walk, x)
    if axes != spatial_rank(walk, x):
        raise UsageError(
            f"layer {name} is a {axes}-D convolution and cannot take an input of {walk.shape(x)}",
            f"give an input shape of batch, channels and {axes} size{'s' * (axes > 1)}",
        )


def conv(
    walk: Walk,
    name: str,
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    if _computed(walk, weight, bias):
        return NotImplemented
    _refuse_other_rank(walk, name, input, weight)
    rank = spatial_rank(walk, input)
    dilation, stride = per_axis(dilation, rank), per_axis(stride, rank)
    if padding == "same":
        kernel = walk.kernel(weight)
        total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        pairs = tuple((t // 2, t - t // 2) for t in total)
    else:
        pairs = tuple((p, p) for p in per_axis(0 if padding == "valid" else padding, rank))
    return walk.emit(
        name,
        "conv",
        [input],
        {"weight": weight, "bias": bias},
        stride=stride,
        padding=pairs,
        dilation=dilation,
        groups=groups,
    )


def conv_module(walk: Walk, name: str, module: Any, own: dict[str, Any], x: Any) -> Any:
    if module.padding_mode != "zeros":
        return NotImplemented
    return conv(
        walk, name, x, own["weight"], own.get("bias"), module.stride, module.padding, module.dilation, module.groups
    )


def conv_transpose(
    walk: Walk,
    name: str,
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Any:
    if _computed(walk, weight, bias):
        return NotImplemented
    rank = spatial_rank(walk, input)
    return walk.emit(
        name,
        "conv_transpose",
        [input],
        {"weight": weight, "bias": bias},
        stride=per_axis(stride, rank),
        padding=tuple((p, p) for p in per_axis(padding, rank)),
        groups=groups,
        output_padding=per_axis(output_padding, rank),
        dilation=per_axis(dilation, rank),
    )


def linear(walk: Walk, name: str, input: Any, weight: Any, bias: Any = None) -> Any:
    if _computed(walk, weight, bias):
        return NotImplemented
    return walk.emit(name, "linear", [input], {"weight": weight, "bias": bias})


def batch_norm(
    walk: Walk,
    name: str,
    input: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    if _computed(walk, running_mean, running_var, weight, bias):
        return NotImplemented
    if training or running_mean is None or running_var is None:

        def own_statistics(x: Any, weight: Any, bias: Any) -> Any:
            return F.batch_norm(x, None, None, weight, bias, True, 0.0, eps)

        own_statistics.__name__ = "batch_norm without running statistics"
        return walk.call(name, own_statistics, (input, weight, bias), {})
    return walk.emit(
        name, "batch_norm", [input], {"weight": weight, "bias": bias, "mean": running_mean, "var": running_var}, eps=eps
    )


# Pooling. Ceil mode becomes padding at the high end, which every runtime agrees on.


def _windows(
    walk: Walk, x: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[tuple[int, int], ...]]:
    rank = spatial_rank(walk, x)
    kernel, dilation, padding = per_axis(kernel_size, rank), per_axis(dilation, rank), per_axis(padding, rank)
    stride = per_axis(kernel_size if stride in (None, []) else stride, rank)
    pairs = []
    for size, k, s, p, d in zip(walk.shape(x)[2:], kernel, stride, padding, dilation, strict=True):
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
    walk: Walk,
    name: str,
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    if return_indices:
        return NotImplemented
    kernel, stride, dilation, pairs = _windows(walk, input, kernel_size, stride, padding, dilation, ceil_mode)
    return walk.emit(name, "max_pool", [input], kernel=kernel, stride=stride, dilation=dilation, padding=pairs)


def avg_pool(
    walk: Walk,
    name: str,
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: Any = None,
) -> Any:
    kernel, stride, _, pairs = _windows(walk, input, kernel_size, stride, padding, 1, ceil_mode)
    if divisor_override == 0:
        return NotImplemented
    if divisor_override is not None:
        return _summed(walk, name, input, kernel, stride, pairs, divisor_override)
    if count_include_pad and any(p for p in per_axis(padding, len(kernel))):
        own = tuple((p, p) for p in per_axis(padding, len(kernel)))
        input = walk.emit(f"{name}.pad", "pad", [input], pads=((0, 0), (0, 0), *own), value=0.0)
        pairs = tuple((0, high - p) for (_, high), (p, _) in zip(pairs, own, strict=True))
    return walk.emit(name, "avg_pool", [input], kernel=kernel, stride=stride, padding=pairs)


def _summed(walk: Walk, name: str, x: Any, kernel: Any, stride: Any, pairs: Any, divisor: int) -> Any:
    """The sum over each window, zeros of its padding among it, over a divisor of its own."""
    if any(map(any, pairs)):
        x = walk.emit(f"{name}.pad", "pad", [x], pads=((0, 0), (0, 0), *pairs), value=0.0)
    x = walk.emit(f"{name}.mean", "avg_pool", [x], kernel=kernel, stride=stride, padding=((0, 0),) * len(kernel))
    return walk.emit(name, "mul", [x], other=math.prod(kernel) / divisor)


def adaptive(kind: str) -> Form:
    def form(walk: Walk, name: str, input: Any, output_size: Any, return_indices: bool = False) -> Any:
        if return_indices:
            return NotImplemented
        rank, sizes = spatial_rank(walk, input), walk.shape(input)[2:]
        wanted = tuple(
            have if want is None else want for want, have in zip(per_axis(output_size, rank), sizes, strict=True)
        )
        if wanted == sizes:
            return walk.copied(input)
        if kind == "avg" and set(wanted) == {1}:
            return walk.emit(name, "mean", [input], dims=tuple(range(2, 2 + rank)), keepdim=True)
        if all(have % want == 0 for have, want in zip(sizes, wanted, strict=True)):
            step = tuple(have // want for have, want in zip(sizes, wanted, strict=True))
            return (avg_pool if kind == "avg" else max_pool)(walk, name, input, step, step)
        return walk.emit(name, f"adaptive_{kind}_pool", [input], size=wanted)

    return form


def mean(walk: Walk, name: str, input: Any, dim: Any = None, keepdim: bool = False, **rest: Any) -> Any:
    rank = len(walk.shape(input))
    dims = range(rank) if dim is None else (dim if isinstance(dim, (tuple, list)) else (dim,))
    return walk.emit(name, "mean", [input], dims=tuple(sorted(d % rank for d in dims)), keepdim=keepdim)


def batch_norm_module(walk: Walk, name: str, module: Any, own: dict[str, Any], x: Any) -> Any:
    return batch_norm(
        walk,
        name,
        x,
        own.get("running_mean"),
        own.get("running_var"),
        own.get("weight"),
        own.get("bias"),
        eps=module.eps,
    )
