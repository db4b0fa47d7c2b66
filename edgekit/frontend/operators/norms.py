"""Normalizations other than BatchNorm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from edgekit.frontend.builder import Builder
from edgekit.frontend.node import Node
from edgekit.frontend.operators.elementwise import pair
from edgekit.frontend.operators.layers import batch_norm


def _computed(*tensors: Any) -> bool:
    return any(isinstance(tensor, Node) for tensor in tensors)


def layer_norm(
    b: Builder,
    name: str,
    input: Node,
    normalized_shape: Sequence[int],
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-5,
    *rest: Any,
) -> Any:
    if _computed(weight, bias):
        y = layer_norm(b, f"{name}/norm", input, normalized_shape, None, None, eps)
        for kind, own in (("mul", weight), ("add", bias)):
            y = y if own is None else pair(b, name if kind == "add" or bias is None else f"{name}/{kind}", kind, y, own)
        return y
    sizes = tuple(normalized_shape)
    if input.shape[input.rank - len(sizes) :] != sizes:
        raise ValueError(f"it normalizes {sizes}")
    dims = tuple(range(input.rank - len(sizes), input.rank))
    return b.emit(name, "layer_norm", [input], {"weight": weight, "bias": bias}, dims=dims, eps=float(eps))


def group_norm(
    b: Builder,
    name: str,
    input: Node,
    num_groups: int,
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-5,
    *r: Any,
) -> Any:
    if _computed(weight, bias):
        return NotImplemented
    own = {"weight": weight, "bias": bias}
    return b.emit(name, "group_norm", [input], own, groups=int(num_groups), eps=float(eps))


def instance_norm(
    b: Builder,
    name: str,
    input: Node,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *rest: Any,
) -> Any:
    if not use_input_stats:
        return batch_norm(b, name, input, running_mean, running_var, weight, bias, False, momentum, eps)
    return group_norm(b, name, input, input.shape[1], weight, bias, eps)


def rms_norm(
    b: Builder, name: str, input: Node, normalized_shape: Sequence[int], weight: Any = None, eps: Any = None
) -> Any:
    """x over the root of its mean square."""
    dims = tuple(range(input.rank - len(tuple(normalized_shape)), input.rank))
    least = torch.finfo(input.dtype).eps if eps is None else float(eps)
    square = b.emit(f"{name}/square", "mul", [input, input])
    mean = b.emit(f"{name}/mean", "mean", [square], dims=dims, keepdim=True)
    root = b.emit(f"{name}/root", "rsqrt", [b.emit(f"{name}/more", "add", [mean], other=least)])
    y = b.emit(name if weight is None else f"{name}/normalized", "mul", [input, root])
    return y if weight is None else pair(b, name, "mul", y, weight)
