"""What onnxruntime joins when it writes an optimized file (domain com.microsoft), as the operators that it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from edgekit.importers.onnx.node import Node
from edgekit.importers.onnx.operators import layers
from edgekit.importers.onnx.operators.elementwise import Operator

# By their name in an attribute: a function of a tensor and the numbers that stand beside the name.
_ACTIVATIONS: dict[str, Callable[..., Tensor]] = {
    "": lambda x: x,
    "Relu": torch.relu,
    "Tanh": torch.tanh,
    "Sigmoid": torch.sigmoid,
    "LeakyRelu": F.leaky_relu,
    "Clip": torch.clamp,
    "HardSigmoid": lambda x, slope=0.2, shift=0.5: torch.clamp(x * slope + shift, 0.0, 1.0),
    "HardSwish": lambda x, *numbers: F.hardswish(x),
}


def _activated(n: Node, x: Tensor, numbers: list[float]) -> Tensor:
    kind = n.get("activation", "")
    if kind not in _ACTIVATIONS:
        raise n.refusal(f"has the activation {kind}, which edgekit does not read")
    return _ACTIVATIONS[kind](x, *numbers)


def conv(n: Node, x: Tensor, w: Tensor, b: Tensor | None = None, more: Tensor | None = None) -> Tensor:
    """A convolution, what is added to it, and an activation."""
    y = layers.conv(n, x, w, b)
    return _activated(n, y if more is None else y + more, list(n.get("activation_params") or ()))


def gemm(n: Node, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    names = ("activation_alpha", "activation_beta", "activation_gamma")
    return _activated(n, layers.gemm(n, a, b, c), [n.get(name) for name in names if name in n.attributes])


def matmul(n: Node, a: Tensor, b: Tensor) -> Tensor:
    """A product of matrices that may be transposed, times a number."""
    if n.get("transBatchA", 0) or n.get("transBatchB", 0):
        raise n.refusal("transposes its batch")
    a = a.transpose(-2, -1) if n.get("transA", 0) and a.dim() > 1 else a
    b = b.transpose(-2, -1) if n.get("transB", 0) and b.dim() > 1 else b
    y, alpha = torch.matmul(a, b), n.get("alpha", 1.0)
    return y if alpha == 1 else y * alpha


def quick_gelu(n: Node, x: Tensor) -> Tensor:
    """x times the sigmoid of alpha x; silu where alpha is 1."""
    alpha = n.get("alpha", 1.702)
    return F.silu(x) if alpha == 1 else x * torch.sigmoid(x * alpha)


def biased_gelu(approximate: str) -> Operator:
    """GELU of a sum with a row of numbers, which may be left out."""

    def operator(n: Node, x: Tensor, bias: Tensor | None = None) -> Tensor:
        return F.gelu(x if bias is None else x + bias, approximate=approximate)

    return operator


def skip_layer_normalization(
    n: Node, x: Tensor, skip: Tensor, scale: Tensor, shift: Tensor | None = None, bias: Tensor | None = None
) -> Any:
    """A layer normalization of a sum, and the sum itself where somebody reads it."""
    if n.asks(1) or n.asks(2):
        raise n.refusal("gives the mean and the deviation")
    total = x + skip if bias is None else x + bias + skip
    y = F.layer_norm(total, tuple(scale.shape), scale, shift, n.get("epsilon", 1e-12))
    return (y, None, None, total) if n.asks(3) else y


def channels_last(operator: Operator) -> Operator:
    """An operator on maps whose channels are last."""
    return lambda n, x, *rest: operator(n, x.movedim(-1, 1), *rest).movedim(1, -1)


def channels_last_if_said(operator: Operator) -> Operator:
    """An operator on maps whose channels are last where its attribute says so."""
    turned = channels_last(operator)
    return lambda n, x, *rest: (turned if n.get("channels_last", 0) else operator)(n, x, *rest)
