"""A network whose weights are float16."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from edgekit.errors import UsageError
from edgekit.ir.graph import Graph, Op
from edgekit.ir.reference import LAYERS

LARGEST = torch.finfo(torch.float16).max
LEAST = 2.0**-24  # above zero
_HALVED = LAYERS | {"scale", "batch_norm", "lstm", "lstm_cell", "gru"}


def halved(graph: Graph) -> Graph:
    """Return the graph with its weights in float16. Raises UsageError for a layer that float16 cannot hold."""
    check(graph, lambda op, role: op.kind in _HALVED)
    return replace(graph, params={name: _within_half(tensor) for name, tensor in graph.params.items()})


def check(graph: Graph, is_halved: Callable[[Op, str], bool]) -> None:
    """Raise UsageError for a number that float16 cannot hold in a tensor that `is_halved`, by its operator and role."""
    for op in graph:
        for role, tensor in graph.tensors(op).items():
            has_numbers = tensor.is_floating_point() and not tensor.is_meta and tensor.numel()
            if has_numbers and is_halved(op, role) and (size := largest(tensor)) > LARGEST:
                raise UsageError(
                    f"the {role} of {op.name} is {size:.3g}, beyond what float16 can hold ({LARGEST:g})",
                    "choose --precision fp32",
                )


def _within_half(tensor: Tensor) -> Tensor:
    """In float16; what is beyond it, as masks of attention are, at its largest. Infinities stay."""
    if not tensor.is_floating_point():
        return tensor
    near = tensor.detach().clamp(-LARGEST, LARGEST)
    return torch.where(tensor.isfinite(), near, tensor.detach()).to(torch.float16)


def largest(tensor: Tensor) -> float:
    """Return the largest absolute value; nothing is copied for it, as weights can be large."""
    low, high = torch.aminmax(tensor.detach())
    return max(-float(low), float(high))


def within(value: float) -> float:
    """Return a number as near as float16 holds it: its largest or its smallest where it is beyond. Infinities stay.

    An epsilon that became zero would let a zero be divided by zero.
    """
    if not value or not math.isfinite(value):
        return value
    return math.copysign(min(max(abs(value), LEAST), LARGEST), value)
