"""Convolution, linear layers and pooling."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from edgekit.errors import UsageError
from edgekit.frontend import scope
from edgekit.frontend.builder import Builder, at
from edgekit.frontend.node import Node


def per_axis(value: Any, rank: int) -> tuple[int, ...]:
    """torch's "a number or one for each axis" as one for each axis."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    return values * rank if len(values) == 1 else values


# Convolution and linear. A weight that forward() computes from its input is none that a layer can own.


def conv(
    b: Builder,
    name: str,
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    rank = len(weight.shape) - 2
    input = b.operand(f"{name}/input", input, input)
    _refuse_other_rank(name, input, rank)
    dilation, stride = per_axis(dilation, rank), per_axis(stride, rank)
    if padding == "same":
        total = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
        pairs = tuple((t // 2, t - t // 2) for t in total)
    else:
        pairs = tuple((p, p) for p in per_axis(0 if padding == "valid" else padding, rank))
    attrs = {"stride": stride, "padding": pairs, "dilation": dilation, "groups": groups}
    if isinstance(weight, Node):
        if any(pairs) and any(low or high for low, high in pairs):
            input = b.emit(f"{name}/pad", "pad", [input], pads=((0, 0), (0, 0), *pairs), value=0.0)
        attrs["padding"] = ((0, 0),) * rank
        y = b.emit(name if bias is None else f"{name}/product", "conv_dynamic", [input, weight], **attrs)
        return y if bias is None else _plus(b, name, y, bias, rank)
    if isinstance(bias, Node):
        return _plus(b, name, b.emit(f"{name}/product", "conv", [input], {"weight": weight}, **attrs), bias, rank)
    return b.emit(name, "conv", [input], {"weight": weight, "bias": bias}, **attrs)


def _plus(b: Builder, name: str, y: Node, bias: Any, rank: int) -> Node:
    """A bias per channel that the network computes, or that no layer can own."""
    if isinstance(bias, Tensor):
        return b.emit(name, "add", [y], {"other": bias.reshape(-1, *[1] * rank)})
    shaped = b.emit(f"{name}/bias", "reshape", [bias], shape=(1, -1, *[1] * rank))
    return b.emit(name, "add", [y, shaped])


def _refuse_other_rank(name: str, x: Node, axes: int) -> None:
    if x.rank - 2 != axes:
        raise UsageError(
            at(scope.line(), f"layer {name} is a {axes}-D convolution and cannot take an input of {x.shape}"),
            f"give an input shape of batch, channels and {axes} size{'s' * (axes > 1)}",
        )


def conv_transpose(
    b: Builder,
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
    if isinstance(weight, Node) or isinstance(bias, Node) or isinstance(input, Tensor):
        return NotImplemented
    rank = input.rank - 2
    return b.emit(
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


def linear(b: Builder, name: str, input: Any, weight: Any, bias: Any = None) -> Any:
    input = b.operand(f"{name}/input", input, weight)
    if not isinstance(weight, Node) and not isinstance(bias, Node):
        if input.rank == 1:
            row = b.emit(f"{name}/row", "reshape", [input], shape=(1, *input.shape))
            y = b.emit(f"{name}/linear", "linear", [row], {"weight": weight, "bias": bias})
            return b.emit(name, "reshape", [y], shape=y.shape[1:])
        return b.emit(name, "linear", [input], {"weight": weight, "bias": bias})
    weight = b.operand(f"{name}/weight", weight, input)
    columns = b.emit(f"{name}/columns", "permute", [weight], dims=(1, 0))
    product = b.emit(name if bias is None else f"{name}/product", "matmul", [input, columns])
    if bias is None:
        return product
    if isinstance(bias, Tensor):
        return b.emit(name, "add", [product], {"other": bias})
    return b.emit(name, "add", [product, bias])


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
    if return_indices or input.rank - 2 != len(per_axis(kernel_size, input.rank - 2)):
        return NotImplemented
    kernel, stride, dilation, pairs = windows(input, kernel_size, stride, padding, dilation, ceil_mode)
    return b.emit(name, "max_pool", [input], kernel=kernel, stride=stride, dilation=dilation, padding=pairs)


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
    """sign(s) * (|s|)^(1/p) of the sum s of x^p over each window."""
    kernel = per_axis(kernel_size, input.rank - 2)
    x = b.emit(f"{name}/power", "pow", [input], other=float(norm_type))
    x = avg_pool(b, f"{name}/mean", x, kernel, stride, 0, ceil_mode)
    x = b.emit(f"{name}/positive", "relu", [x])
    x = b.emit(f"{name}/sum", "mul", [x], other=float(math.prod(kernel)))
    return b.emit(name, "pow", [x], other=1 / norm_type)


def batch_norm(
    b: Builder,
    name: str,
    input: Node,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *rest: Any,
) -> Any:
    if any(isinstance(tensor, Node) for tensor in (running_mean, running_var, weight, bias)):
        return NotImplemented
    if training or running_mean is None or running_var is None:
        return _own_statistics(b, name, input, weight, bias, eps)
    own = {"weight": weight, "bias": bias, "mean": running_mean, "var": running_var}
    return b.emit(name, "batch_norm", [input], own, eps=eps)


def _own_statistics(b: Builder, name: str, x: Node, weight: Any, bias: Any, eps: float) -> Node:
    """Normalised by the mean and variance of the batch itself, over all axes but the channels."""
    dims = tuple(axis for axis in range(x.rank) if axis != 1)
    mean = b.emit(f"{name}/mean", "mean", [x], dims=dims, keepdim=True)
    apart = b.emit(f"{name}/apart", "sub", [x, mean])
    square = b.emit(f"{name}/square", "mul", [apart, apart])
    variance = b.emit(f"{name}/variance", "mean", [square], dims=dims, keepdim=True)
    more = b.emit(f"{name}/more", "add", [variance], other=float(eps))
    root = b.emit(f"{name}/root", "rsqrt", [more])
    shape = (-1, *[1] * (x.rank - 2))
    after = [("mul", weight), ("add", bias)]
    steps = [("mul", root), *((kind, own.detach().reshape(shape)) for kind, own in after if own is not None)]
    for index, (kind, other) in enumerate(steps):
        last: dict[str, Any] = {"label": "batch_norm without running statistics"} if index == len(steps) - 1 else {}
        part = name if last else f"{name}/{kind}"
        inputs, own = ([apart, other], {}) if isinstance(other, Node) else ([apart], {"other": other})
        apart = b.emit(part, kind, inputs, own, **last)
    return apart


def convolution(
    b: Builder,
    name: str,
    input: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    output_padding: Any,
    groups: int,
    *rest: Any,
) -> Any:
    if transposed:
        return conv_transpose(b, name, input, weight, bias, stride, padding, output_padding, groups, dilation)
    return conv(b, name, input, weight, bias, stride, padding, dilation, groups)


def lrn(b: Builder, name: str, input: Node, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Node:
    return b.emit(name, "lrn", [input], size=size, alpha=alpha, beta=beta, k=k)


def prelu(b: Builder, name: str, input: Node, weight: Any) -> Any:
    return NotImplemented if isinstance(weight, Node) else b.emit(name, "prelu", [input], {"weight": weight})
