"""Convolution, linear layers and BatchNorm."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from edgekit.errors import UsageError
from edgekit.frontend import scope
from edgekit.frontend.builder import Builder
from edgekit.frontend.node import Node, per_axis
from edgekit.frontend.operators.moving import cut, shaped
from edgekit.frontend.refusals import at, in_training

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
    rank = len(input.shape) - 2
    if isinstance(weight, Node) or isinstance(bias, Node) or isinstance(input, Tensor):
        input = b.operand(f"{name}/input", input, weight if isinstance(weight, Node) else bias)
        how = (per_axis(each, rank) for each in (stride, padding, output_padding, dilation))
        return _spread_out(b, name, input, weight, bias, groups, *how)
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


def _spread_out(
    b: Builder,
    name: str,
    x: Node,
    weight: Any,
    bias: Any,
    groups: int,
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    output_padding: tuple[int, ...],
    dilation: tuple[int, ...],
) -> Any:
    """A transposed convolution whose weight is computed: the turned weight over the input with zeros in between."""
    weight, rank = b.operand(f"{name}/weight", weight, x), len(stride)
    (_, columns, *kernel), inner = weight.shape, weight.shape[0] // groups
    for axis, step in enumerate(stride, 2):
        if step > 1:
            apart = shaped(b, f"{name}/apart", x, (*x.shape[: axis + 1], 1, *x.shape[axis + 1 :]))
            pads = tuple((0, step - 1 if at == axis + 1 else 0) for at in range(apart.rank))
            apart = b.emit(f"{name}/zeros", "pad", [apart], pads=pads, value=0.0)
            wide = shaped(b, f"{name}/wide", apart, (*x.shape[:axis], x.shape[axis] * step, *x.shape[axis + 1 :]))
            x = cut(b, f"{name}/spread", wide, axis, 0, (x.shape[axis] - 1) * step + 1)
    around = [d * (k - 1) - p for d, k, p in zip(dilation, kernel, padding, strict=True)]
    ends = tuple((low, low + more) for low, more in zip(around, output_padding, strict=True))
    x = b.emit(f"{name}/around", "pad", [x], pads=((0, 0), (0, 0), *ends), value=0.0)
    turned = b.emit(f"{name}/turned", "flip", [weight], dims=tuple(range(2, rank + 2)))
    turned = shaped(b, f"{name}/groups", turned, (groups, inner, columns, *kernel))
    turned = b.emit(f"{name}/order", "permute", [turned], dims=(0, 2, 1, *range(3, rank + 3)))
    turned = shaped(b, f"{name}/kernel", turned, (groups * columns, inner, *kernel))
    return conv(b, name, x, turned, bias, 1, 0, dilation, groups)


def linear(b: Builder, name: str, input: Any, weight: Any, bias: Any = None) -> Any:
    input = b.operand(f"{name}/input", input, weight)
    if len(weight.shape) == 1:
        return _to_one(b, name, input, weight, bias)
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


def _to_one(b: Builder, name: str, input: Node, weight: Any, bias: Any) -> Node:
    """A linear layer whose weight is a vector: it has one output, whose axis torch leaves out."""

    def row(role: str, value: Any, shape: tuple[int, ...]) -> Any:
        known = not isinstance(value, Node)
        return value.reshape(shape) if known else b.emit(f"{name}/{role}", "reshape", [value], shape=shape)

    bias = None if bias is None else row("bias_row", bias, (1,))
    y = linear(b, f"{name}/linear", input, row("weight_row", weight, (1, *weight.shape)), bias)
    return b.emit(name, "reshape", [y], shape=y.shape[:-1])


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
    if training and running_mean is not None:
        raise in_training(name)
    if training or running_mean is None or running_var is None:
        return _own_statistics(b, name, input, weight, bias, eps)
    own = {"weight": weight, "bias": bias, "mean": running_mean, "var": running_var}
    return b.emit(name, "batch_norm", [input], own, eps=eps)


def _own_statistics(b: Builder, name: str, x: Node, weight: Any, bias: Any, eps: float) -> Node:
    """Normalized by the mean and variance of the batch itself, over all axes but the channels."""
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
