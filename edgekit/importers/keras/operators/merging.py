"""Layers that merge several values, and Keras' operations on tensors and numbers (`x * 2`, `keras.ops.mean`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from edgekit.importers.held import Held, of_two, plain, plainly, reshaped, unflattened
from edgekit.importers.keras.node import Node
from edgekit.importers.keras.operators.activations import along
from edgekit.importers.keras.operators.moving import filled, joined, merged, turned
from edgekit.importers.keras.operators.norms import numbers

Operator = Callable[..., Any]


def merging(function: Callable[[Any, Any], Tensor]) -> Operator:
    """A layer that takes its inputs two by two."""
    return lambda n, *values: reduce(lambda a, b: of_two(function, a, b), merged(values))


def average(n: Node, *values: Held) -> Held:
    """Average."""
    total = reduce(lambda a, b: of_two(torch.add, a, b), merged(values))
    return total.to(total.tensor / len(values))


def scaled_sum(n: Node, a: Held, b: Held) -> Held:
    """CustomScaleLayer of Keras' InceptionResNetV2: a + scale * b."""
    return of_two(torch.add, a, b.to(b.tensor * n.number("scale", 1.0)))


# Operations


def binary(function: Callable[[Any, Any], Tensor]) -> Operator:
    """An operation of two operands, either of which may be a number."""
    return lambda n, *values, **named: of_two(function, *map(operand, (*values, *named.values())))


def operand(value: Any) -> Held:
    """An operand; numbers of the configuration become a constant."""
    return value if isinstance(value, Held) else plainly(numbers(value))


def unary(function: Callable[[Tensor], Tensor]) -> Operator:
    """An operation of one tensor."""
    return lambda n, x: x.to(function(x.tensor))


def _axes(x: Held, told: Any) -> list[int]:
    several = range(x.rank) if told is None else [told] if isinstance(told, int) else told
    return [int(one) % x.rank for one in several]


def reducing(function: Callable[..., Tensor]) -> Operator:
    """An operation that takes axes together, as its settings or its arguments say."""

    def operator(n: Node, x: Held, axis: Any = None, keepdims: bool = False) -> Held:
        x = unflattened(x)
        axes = _axes(x, n.get("axis", axis))
        dims = tuple(x.dims(axes))
        made = function(x.tensor, dims, True)
        if n.get("keepdims", keepdims):
            return x.to(made)
        left = [size for at, size in enumerate(x.shape) if at not in axes]
        return plainly(plain(x.to(made)).reshape(left))

    return operator


def _product(x: Tensor, dims: Sequence[int], keeps: bool) -> Tensor:
    for dim in dims:
        x = torch.prod(x, dim, True)
    return x


def reshape(n: Node, x: Held, newshape: Any = None) -> Held:
    """Reshape: the batch is 1, however it is written."""
    told = [-1 if one is None else int(one) for one in n.get("newshape", n.get("shape", newshape))]
    return reshaped(x, tuple(filled(n, told, x.tensor.numel())))


def transpose(n: Node, x: Held, axes: Any = None) -> Held:
    """Transpose."""
    order = n.get("axes", axes)
    return turned(x, list(reversed(range(x.rank))) if order is None else [int(one) % x.rank for one in order])


def concatenate(n: Node, *values: Any) -> Held:
    """Concatenate."""
    held = tuple(operand(one) for one in values if not isinstance(one, int))
    return joined(held, int(n.get("axis", next((one for one in values if isinstance(one, int)), 0))))


def clip(n: Node, x: Held, x_min: float | None = None, x_max: float | None = None) -> Held:
    """Clip."""
    return x.to(torch.clamp(x.tensor, n.get("x_min", x_min), n.get("x_max", x_max)))


def softmax(n: Node, x: Held, axis: int = -1) -> Held:
    """Softmax."""
    return along(x, torch.softmax, int(n.get("axis", axis)))


def get_item(n: Node, x: Held, key: Any = None, slice_spec: Any = None) -> Held:
    """x[key] of slices, whole numbers, None and ..."""
    key = key if slice_spec is None else slice_spec
    several = tuple(key) if isinstance(key, (list, tuple)) else (key,)
    return plainly(plain(x)[several])


def expand_dims(n: Node, x: Held, axis: Any = None) -> Held:
    """ExpandDims."""
    told = n.get("axis", axis)
    made = plain(x)
    for one in sorted(([told] if isinstance(told, int) else told), key=abs):
        made = made.unsqueeze(int(one))
    return plainly(made)


def squeeze(n: Node, x: Held, axis: Any = None) -> Held:
    """Squeeze."""
    told = n.get("axis", axis)
    axes = [at for at in range(1, x.rank) if x.shape[at] == 1] if told is None else _axes(x, told)
    left = [size for at, size in enumerate(x.shape) if at not in axes]
    return reshaped(x, tuple(left))


def split(n: Node, x: Held, indices_or_sections: Any = None, axis: int = 0) -> tuple[Held, ...]:
    """Split into so many parts, or at these places."""
    told, x = n.get("indices_or_sections", indices_or_sections), unflattened(x)
    at = int(n.get("axis", axis)) % x.rank
    parts = torch.tensor_split(x.tensor, told if isinstance(told, int) else tuple(told), x.axes[at])
    return tuple(x.to(one) for one in parts)


def matmul(n: Node, a: Held, b: Held) -> Held:
    """Matmul."""
    return plainly(torch.matmul(plain(a), plain(b)))


MERGING: dict[str, Operator] = {
    "Add": merging(torch.add),
    "Subtract": merging(torch.sub),
    "Multiply": merging(torch.mul),
    "Maximum": merging(torch.maximum),
    "Minimum": merging(torch.minimum),
    "Average": average,
    "CustomScaleLayer": scaled_sum,
}
OPERATIONS: dict[str, Operator] = {
    "Add": binary(torch.add),
    "Subtract": binary(torch.sub),
    "Multiply": binary(torch.mul),
    "Divide": binary(torch.div),
    "TrueDivide": binary(torch.div),
    "Power": binary(torch.pow),
    "Maximum": binary(torch.maximum),
    "Minimum": binary(torch.minimum),
    "Negative": unary(torch.neg),
    "Absolute": unary(torch.abs),
    "Abs": unary(torch.abs),
    "Exp": unary(torch.exp),
    "Log": unary(torch.log),
    "Sqrt": unary(torch.sqrt),
    "Rsqrt": unary(torch.rsqrt),
    "Square": unary(torch.square),
    "Reciprocal": unary(torch.reciprocal),
    "Mean": reducing(torch.mean),
    "Sum": reducing(torch.sum),
    "Max": reducing(torch.amax),
    "Min": reducing(torch.amin),
    "Prod": reducing(_product),
    "Reshape": reshape,
    "Transpose": transpose,
    "Concatenate": concatenate,
    "Clip": clip,
    "Softmax": softmax,
    "GetItem": get_item,
    "ExpandDims": expand_dims,
    "Squeeze": squeeze,
    "Matmul": matmul,
    "Split": split,
    "Relu": unary(torch.relu),
    "Relu6": unary(F.relu6),
    "Sigmoid": unary(torch.sigmoid),
    "Tanh": unary(torch.tanh),
    "Silu": unary(F.silu),
    "HardSigmoid": unary(F.hardsigmoid),
    "HardSilu": unary(F.hardswish),
    "Softplus": unary(F.softplus),
    "Gelu": lambda n, x: x.to(F.gelu(x.tensor, approximate="tanh" if n.get("approximate", True) else "none")),
}
