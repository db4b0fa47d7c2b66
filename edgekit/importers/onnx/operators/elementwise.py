"""What treats every element alike: activations, arithmetic, comparisons, conversions."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from edgekit.importers.onnx.node import Node
from edgekit.ir.kernels import along_axis

Operator = Callable[..., Any]  # (node, its inputs) -> a tensor, or several

# Types of TensorProto. Real numbers are float32 here, whatever the file has.
TYPES = {
    2: torch.uint8,
    3: torch.int8,
    4: torch.int32,
    5: torch.int16,
    6: torch.int32,
    7: torch.int64,
    9: torch.bool,
    12: torch.int64,
    13: torch.int64,
}
REAL = frozenset({1, 10, 11, 16})


def plain(function: Callable[..., Any]) -> Operator:
    """An operator without attributes that torch has."""
    return lambda n, *values: function(*values)


def given(function: Callable[..., Any], **names: Any) -> Operator:
    """A function of one tensor; `names` maps its keyword arguments to (attribute, default)."""

    def operator(n: Node, x: Tensor) -> Any:
        return function(x, **{keyword: n.get(name, default) for keyword, (name, default) in names.items()})

    return operator


def variadic(function: Callable[[Any, Any], Any]) -> Operator:
    """An operator of any number of tensors, taken two by two."""
    return lambda n, *values: reduce(function, values)


def mean(n: Node, *values: Tensor) -> Tensor:
    total: Tensor = reduce(torch.add, values)
    return total if len(values) == 1 else total / float(len(values))


def identity(n: Node, x: Tensor, *rest: Any) -> Tensor:
    return x


def dropout(n: Node, x: Tensor, ratio: Tensor | None = None, training: Tensor | None = None) -> Any:
    """Nothing, unless the file trains."""
    if training is not None and n.numbers(training, "training_mode")[0]:
        raise n.refusal("drops at random, as in training", "export the network in eval mode")
    return (x, torch.ones_like(x, dtype=torch.bool)) if n.asks(1) else x


# Activations


def clip(n: Node, x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    least = n.get("min") if low is None else low
    most = n.get("max") if high is None else high
    if least is None and most is None:
        return x
    if isinstance(least, float) and least <= torch.finfo(torch.float32).min:
        least = None
    if isinstance(most, float) and most >= torch.finfo(torch.float32).max:
        most = None
    if least is None and most is None:
        return x
    if any(isinstance(end, Tensor) for end in (least, most)):
        least, most = (end if end is None or isinstance(end, Tensor) else torch.tensor(end) for end in (least, most))
    return torch.clamp(x, least, most)


def hard_sigmoid(n: Node, x: Tensor) -> Tensor:
    alpha, beta = n.get("alpha", 0.2), n.get("beta", 0.5)
    if math.isclose(alpha, 1 / 6, rel_tol=1e-5) and beta == 0.5:
        return F.hardsigmoid(x)
    return torch.clamp(x * alpha + beta, 0.0, 1.0)


def prelu(n: Node, x: Tensor, slope: Tensor) -> Tensor:
    """A slope for each channel, or one; else for each element."""
    channels = x.shape[1] if x.dim() > 1 else 1
    shape = (1,) * (x.dim() - slope.dim()) + tuple(slope.shape)
    per_channel = slope.numel() == channels and (x.dim() == 1 or shape[1] == channels)
    if slope.numel() == 1 or per_channel:
        return F.prelu(x, slope.reshape(-1))
    return torch.relu(x) - slope * torch.relu(-x)


def selu(n: Node, x: Tensor) -> Tensor:
    alpha, gamma = n.get("alpha", 1.6732632423543772), n.get("gamma", 1.0507009873554805)
    if math.isclose(alpha, 1.6732632423543772, rel_tol=1e-6) and math.isclose(gamma, 1.0507009873554805, rel_tol=1e-6):
        return F.selu(x)
    return torch.mul(F.elu(x, alpha), gamma)


def softmax(n: Node, x: Tensor) -> Tensor:
    return _along(n, x, torch.softmax)


def log_softmax(n: Node, x: Tensor) -> Tensor:
    return _along(n, x, torch.log_softmax)


def hardmax(n: Node, x: Tensor) -> Tensor:
    """1 at the first largest element, 0 elsewhere."""

    def function(value: Tensor, dim: int) -> Tensor:
        places = along_axis(torch.arange(value.shape[dim]), dim, value.dim())
        return (places == value.argmax(dim, keepdim=True)).to(value.dtype)

    return _along(n, x, function)


def _along(n: Node, x: Tensor, function: Callable[[Tensor, int], Tensor]) -> Tensor:
    """Over one axis; before opset 13 over all axes from that one on together."""
    if n.opset >= 13:
        return function(x, n.get("axis", -1))
    axis = n.get("axis", 1)
    axis += x.dim() if axis < 0 else 0
    if math.prod(x.shape[axis + 1 :]) == 1:
        return function(x, axis)
    rows = x.reshape(*x.shape[:axis], -1)
    return function(rows, axis).reshape(x.shape)


def gelu(n: Node, x: Tensor) -> Tensor:
    return F.gelu(x, approximate=n.get("approximate", "none"))


def swish(n: Node, x: Tensor) -> Tensor:
    alpha = n.get("alpha", 1.0)
    return F.silu(x) if alpha == 1 else x * torch.sigmoid(x * alpha)


def thresholded_relu(n: Node, x: Tensor) -> Tensor:
    return F.threshold(x, n.get("alpha", 1.0), 0.0)


def shrink(n: Node, x: Tensor) -> Tensor:
    bias, limit = n.get("bias", 0.0), n.get("lambd", 0.5)
    zero = torch.zeros((), dtype=x.dtype)
    return torch.where(x > limit, x - bias, torch.where(x < -limit, x + bias, zero))


# Arithmetic


def divide(n: Node, a: Tensor, b: Tensor) -> Tensor:
    """Whole numbers towards zero."""
    if a.dtype.is_floating_point:
        return a / b
    return torch.div(a, b, rounding_mode="trunc").to(a.dtype)


def power(n: Node, a: Tensor, b: Tensor) -> Tensor:
    """In the type of the base."""
    y = torch.pow(a, b)
    return y if y.dtype == a.dtype else y.to(a.dtype)


def modulo(n: Node, a: Tensor, b: Tensor) -> Tensor:
    """The sign of the divisor; with fmod that of what is divided."""
    return torch.fmod(a, b) if n.get("fmod", 0) else torch.remainder(a, b)


def is_inf(n: Node, x: Tensor) -> Tensor:
    """Infinities of the signs that are asked for."""
    wanted = [sign for sign, name in ((1, "detect_positive"), (-1, "detect_negative")) if n.get(name, 1)]
    if len(wanted) == 2:
        return torch.isinf(x)
    return torch.eq(x, math.inf * wanted[0]) if wanted else torch.zeros_like(x, dtype=torch.bool)


def bit_shift(n: Node, a: Tensor, b: Tensor) -> Tensor:
    return torch.bitwise_left_shift(a, b) if n.get("direction") == "LEFT" else torch.bitwise_right_shift(a, b)


def cast(n: Node, x: Tensor, *rest: Any) -> Tensor:
    return converted(n, x, n.get("to"))


def cast_like(n: Node, x: Tensor, like: Tensor) -> Tensor:
    return x if x.dtype == like.dtype else x.to(like.dtype)


def converted(n: Node, x: Tensor, to: int) -> Tensor:
    """Another type: real numbers stay what they are, whatever their precision."""
    if to in REAL:
        return x if x.dtype.is_floating_point else x.to(torch.float32)
    if to not in TYPES:
        raise n.refusal(f"makes a tensor of the type {to}, which edgekit does not read")
    if x.dtype.is_floating_point and TYPES[to] == torch.bool:
        return torch.ne(x, 0.0)
    return x if x.dtype == TYPES[to] else x.to(TYPES[to])


def where(n: Node, condition: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return torch.where(condition, x, y)


def either(n: Node, condition: Tensor, *values: Tensor) -> tuple[Tensor, ...]:
    """What the first branch gives where a computed condition holds, and the second elsewhere; both are computed."""
    pairs = list(zip(values[: len(values) // 2], values[len(values) // 2 :], strict=True))
    if any((a.shape, a.dtype) != (b.shape, b.dtype) for a, b in pairs):
        raise n.refusal(
            "has branches that give other shapes or types, and its condition depends on the network's input",
            "fix the condition when the file is made",
        )
    return tuple(torch.where(condition.reshape(()), a, b) for a, b in pairs)
