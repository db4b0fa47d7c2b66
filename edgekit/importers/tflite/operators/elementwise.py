"""What treats every element alike: activations, arithmetic, comparisons, conversions; and softmax."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from edgekit.importers.held import Held, of_two, sloped, together, unflattened
from edgekit.importers.tensors import is_known
from edgekit.importers.tflite.node import TYPES, Node

Operator = Callable[..., Any]  # (node, its inputs) -> a Held, or several


def unary(function: Callable[[Tensor], Tensor]) -> Operator:
    """An operator of one tensor that torch has."""
    return lambda n, x, *rest: x.to(function(x.tensor))


def paired(function: Callable[[Any, Any], Tensor]) -> Operator:
    """An operator of two tensors, which broadcast."""

    def operator(n: Node, a: Held, b: Held) -> Held:
        (left, right), leader = together([a, b])
        return leader.to(function(left, right))

    return operator


def binary(function: Callable[[Any, Any], Tensor]) -> Operator:
    """The same for a function that takes numbers, too: a single number of the file is a number of the network."""
    return lambda n, a, b: of_two(function, a, b)


def variadic(function: Callable[[Any, Any], Tensor]) -> Operator:
    """An operator of any number of tensors, taken two by two."""
    return lambda n, *values: reduce(lambda a, b: of_two(function, a, b), values)


def select(n: Node, condition: Held, a: Held, b: Held) -> Held:
    """SELECT and SELECT_V2. SELECT takes whole rows where its condition has one axis."""
    if n.kind == "SELECT" and condition.rank == 1 and a.rank > 1:
        condition = Held(condition.tensor.reshape(-1, *[1] * (a.rank - 1)), tuple(range(a.rank)))
    (chosen, left, right), leader = together([condition, a, b])
    return leader.to(torch.where(chosen, left, right))


def floor_div(a: Any, b: Any) -> Tensor:
    return torch.floor_divide(a, b)


def atan2(y: Any, x: Any) -> Tensor:
    """The angle of (x, y); of (1, y) as torch.atan has it."""
    is_one = isinstance(x, Tensor) and is_known(x) and bool((x == 1).all())
    return torch.atan(y) if is_one else torch.atan2(y, x)


def squared_difference(a: Any, b: Any) -> Tensor:
    apart = torch.sub(a, b)
    return apart * apart


def cast(n: Node, x: Held) -> Held:
    kind = TYPES.get(n.get("OutDataType", 0))
    if kind is None:
        raise n.refusal("converts to a type that is not read")
    return x.to(x.tensor.to(getattr(torch, kind)))


def same(n: Node, x: Held, *rest: Any) -> Held:
    """QUANTIZE and DEQUANTIZE: what integers stand for is carried already."""
    return x


# Activations

# What LiteRT's kernels compute on their results; the schema has others, which they pass over.
FUSED: dict[str, Callable[[Tensor], Tensor]] = {"RELU": torch.relu, "RELU6": F.relu6, "RELU_N1_TO_1": F.hardtanh}


def leaky_relu(n: Node, x: Held) -> Held:
    return x.to(F.leaky_relu(x.tensor, n.get("Alpha")))


def gelu(n: Node, x: Held) -> Held:
    return x.to(F.gelu(x.tensor, approximate="tanh" if n.get("Approximate", False) else "none"))


def prelu(n: Node, x: Held, slope: Held) -> Held:
    """A slope for each channel, or one; else for each element."""
    channels = x.shape[-1] if x.rank > 1 else 1
    if slope.tensor.numel() in (1, channels) and slope.shape[-1:] in ((1,), (channels,)) and x.axes[-1] == 1:
        return x.to(F.prelu(x.tensor, slope.tensor.reshape(-1)))
    return sloped(x, slope)


def softmax(n: Node, x: Held) -> Held:
    """SOFTMAX over the last axis."""
    x, beta = unflattened(x), n.get("Beta", 1.0) or 1.0
    return x.to(torch.softmax(x.tensor if beta == 1 else x.tensor * beta, x.axes[-1]))


def log_softmax(n: Node, x: Held) -> Held:
    x = unflattened(x)
    return x.to(torch.log_softmax(x.tensor, x.axes[-1]))
