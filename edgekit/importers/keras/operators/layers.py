"""Layers with weights: convolutions, transposed convolutions, dense layers."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from edgekit.importers.held import Held, in_columns, plain, plainly
from edgekit.importers.keras.node import Node
from edgekit.importers.keras.operators.activations import activated
from edgekit.importers.padding import Pairs, padded, same
from edgekit.importers.transposed import conv_transpose

_CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


def padding(
    n: Node, sizes: tuple[int, ...], kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]
) -> Pairs:
    """Return (low, high) of each spatial axis."""
    told = n.get("padding", "valid")
    if told == "causal" and len(kernel) == 1:
        return ((dilation[0] * (kernel[0] - 1), 0),)
    if told not in ("same", "valid"):
        raise n.refusal(f"has the padding {told}")
    return (
        tuple(same(*one) for one in zip(sizes, kernel, stride, dilation, strict=True))
        if told == "same"
        else ((0, 0),) * len(kernel)
    )


def conv(n: Node, x: Held) -> Held:
    """Conv1D to Conv3D: kernels are (..., in / groups, out)."""
    kernel = n.weights["kernel"]
    weight = kernel.permute(n.rank + 1, n.rank, *range(n.rank))
    return activated(n, n.held(_convolved(n, n.maps(x), weight, n.weights.get("bias"), int(n.get("groups", 1)))))


def depthwise(n: Node, x: Held) -> Held:
    """DepthwiseConv1D and 2D: kernels are (..., in, multiplier)."""
    data = n.maps(x)
    return activated(
        n, n.held(_convolved(n, data, _depthwise(n.weights["kernel"]), n.weights.get("bias"), data.shape[1]))
    )


def separable(n: Node, x: Held) -> Held:
    """SeparableConv1D and 2D: a depthwise convolution, then one of a single place."""
    data = n.maps(x)
    made = _convolved(n, data, _depthwise(n.weights["depthwise_kernel"]), None, data.shape[1])
    kernel = n.weights["pointwise_kernel"]
    weight = kernel.permute(n.rank + 1, n.rank, *range(n.rank))
    return activated(n, n.held(_CONV[n.rank](made, weight, n.weights.get("bias"))))


def _depthwise(kernel: Tensor) -> Tensor:
    rank = kernel.dim() - 2
    return kernel.permute(rank, rank + 1, *range(rank)).reshape(-1, 1, *kernel.shape[:rank])


def _convolved(n: Node, x: Tensor, weight: Tensor, bias: Tensor | None, groups: int) -> Tensor:
    kernel = tuple(weight.shape[2:])
    stride, dilation = n.sizes("strides", n.rank), n.sizes("dilation_rate", n.rank)
    pairs = padding(n, tuple(x.shape[2:]), kernel, stride, dilation)
    x, both = padded(x, pairs)
    return _CONV[n.rank](x, weight, bias, stride, both, dilation, groups)


def transposed(n: Node, x: Held) -> Held:
    """Conv1DTranspose to Conv3DTranspose: kernels are (..., out, in)."""
    rank, data = n.rank, n.maps(x)
    kernel = n.weights["kernel"]
    weight, bias = kernel.permute(rank + 1, rank, *range(rank)), n.weights.get("bias")
    stride, dilation = n.sizes("strides", rank), n.sizes("dilation_rate", rank)
    spans = [d * (k - 1) + 1 for k, d in zip(weight.shape[2:], dilation, strict=True)]
    more = [None] * rank if n.get("output_padding") is None else _added(n, rank)
    pairs = tuple(_taken(n, *one) for one in zip(data.shape[2:], spans, stride, more, strict=True))
    return activated(n, n.held(conv_transpose(data, weight, bias, stride, dilation, pairs)))


def _added(n: Node, rank: int) -> list[int]:
    """`output_padding` of each axis."""
    found = n.config["output_padding"]
    return [int(one) for one in ([found] * rank if isinstance(found, int) else found)]


def _taken(n: Node, size: int, span: int, stride: int, more: int | None) -> tuple[int, int]:
    """What is cut off at both ends of an axis, as TensorFlow does. Keras on torch shifts some results by an element."""
    whole = (size - 1) * stride + span
    if n.get("padding", "valid") != "same":
        return 0, -max(stride - span, 0) if more is None else -more
    wanted = size * stride if more is None else (size - 1) * stride + span % 2 + more
    low = max(whole - wanted, 0) // 2
    return low, whole - wanted - low


def dense(n: Node, x: Held) -> Held:
    """A product with the last axis. A map that was flattened has its columns in torch's order in the weight."""
    weight, bias = n.weights["kernel"].t(), n.weights.get("bias")
    if x.columns is None:
        return activated(n, plainly(F.linear(plain(x), weight, bias)))
    return activated(n, plainly(F.linear(x.tensor, in_columns(weight, x.columns), bias)))
