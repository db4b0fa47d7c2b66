"""Masks: minus infinity, or a number as low, in the scores that a softmax must not see. No eight bits hold both."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from edgekit.ir.graph import Graph, Op

WIDER = 8  # times the scores beside it, from which on a range is a mask's: three of eight bits
# What hands an infinity on. The others make a finite number of it (softmax), or choose what is finite (max).
_HANDING_ON = frozenset(
    {"add", "sub", "mul", "div", "neg", "where", "minimum", "cat", "pad", "cast", "log_softmax", "expand", "tile"}
    | {"reshape", "permute", "slice", "gather", "flip"}
)
_TOWARDS_SCORES = frozenset({"add", "where", "reshape", "permute", "slice", "expand"})


def infinite(graph: Graph) -> frozenset[str]:
    """Return the operators whose values are infinite at places because a constant of forward() is."""
    found: set[str] = set()
    for op in graph:
        if (_owns_infinity(graph, op) and op.kind in ("constant", *_HANDING_ON)) or (
            op.kind in _HANDING_ON and any(name in found for name in op.inputs)
        ):
            found.add(op.name)
    return frozenset(found)


def _owns_infinity(graph: Graph, op: Op) -> bool:
    return any(_is_infinite(value) for value in (*graph.tensors(op).values(), op.attrs.get("other")))


def _is_infinite(value: object) -> bool:
    if isinstance(value, Tensor):
        return value.is_floating_point() and not value.is_meta and bool(value.isinf().any())
    return isinstance(value, float) and math.isinf(value)


def finite_extremes(y: Tensor) -> tuple[float, float]:
    """Return the extremes of the finite values: NaN where any value is NaN, and zeros where all are infinite."""
    kept = y if y.isnan().any() else y[y.isfinite()]
    low, high = torch.aminmax(kept) if kept.numel() else (torch.zeros(()), torch.zeros(()))
    return float(low), float(high)


def masked(graph: Graph, extremes: Mapping[str, tuple[float, float]]) -> dict[str, str]:
    """Return what carries a mask on its way to a softmax, with the softmax, and whatever else has an infinite constant.

    Infinite weights are no mask: they stay where they are refused.
    """
    carriers = infinite(graph)
    reason = "a mask's minus infinity is in no range of integers"
    owners = (op.name for op in graph if "weight" not in op.params and _owns_infinity(graph, op))
    found = dict.fromkeys(owners, "an infinite constant is in no range of integers") | dict.fromkeys(carriers, reason)
    found |= {op.name: reason for op in graph if any(name in carriers for name in op.inputs)}
    for op in graph:
        if op.kind == "softmax" and op.name not in found:
            path = _way_from_mask(graph, op, extremes)
            found |= dict.fromkeys(path, f"a mask makes the range {WIDER} times as wide as that of the scores")
    return found


def _way_from_mask(graph: Graph, softmax: Op, extremes: Mapping[str, tuple[float, float]]) -> list[str]:
    """The softmax and what lies between it and the first operator that masks; nothing where none does."""
    path, op = [softmax.name], graph[softmax.inputs[0]]
    while op.kind in _TOWARDS_SCORES:
        path.append(op.name)
        scores = [graph[name] for name in op.inputs if graph[name].kind != "constant"]
        op = next((one for one in scores if one.dtype.is_floating_point), op)
        if op.name == path[-1]:
            return []
    low, high = extremes.get(op.name, (0.0, 0.0))
    widths = [extremes[name][1] - extremes[name][0] if name in extremes else 0.0 for name in path]
    masking = [at for at, width in enumerate(widths) if at and high > low and width > WIDER * (high - low)]
    return path[: masking[-1] + 1] if masking else []
