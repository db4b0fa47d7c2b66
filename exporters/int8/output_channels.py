"""Outputs whose channels mean different things, which one scale for all would ruin.

A detector's boxes (0 .. 248) and scores (0 .. 1) are an example: in integers scores would have two values left. They
may be joined, be made by one layer, or differ by a constant that multiplies them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from torch import Tensor

from edgekit.ir.graph import Graph, Op
from edgekit.ir.passes.fused_activations import fused_activations
from edgekit.ir.reference import ELEMENTWISE, LAYERS

MAX_APART = 8  # times, between the ranges of what shares a scale: three of eight bits
NOTHING = 1e-6  # of the largest channel: what is smaller says nothing
_WITH_CONSTANT = frozenset({"add", "sub", "mul", "div", "scale", "prelu", "pow", "maximum", "minimum"})
_KEEPING = frozenset({"slice", "pad", "flip", "expand", "tile", "max_pool", "upsample"}) | ELEMENTWISE | _WITH_CONSTANT
_PASSING = _KEEPING | {"cat", "reshape", "permute"}


def channel_axes(graph: Graph) -> dict[str, tuple[int, ...]]:
    """Return the axes on which channels lie, for the makers of the outputs and for what is between, by name.

    A maker is a layer, or whatever computes one tensor of several. Behind it only constants take part, and what is
    joined.
    """
    near = _near(graph)
    found: dict[str, tuple[int, ...]] = {}
    for op in graph:
        if op.name not in near:
            continue
        sources = [name for name in _computed(graph, op) if name in found]
        passing = _passes(graph, op) and sources
        axes = [axis for name in sources for axis in _carried(graph, op, name, found[name])] if passing else _made(op)
        if op.kind == "cat" and not axes:  # single channels become several
            axes = [op.attrs["dim"] % len(op.shape)]
        found[op.name] = tuple(sorted(set(axes)))
    return found


def apart(sizes: Iterable[Tensor]) -> float:
    """Return how many times the largest of some channels is larger than the smallest; each tensor has one axis."""
    found = 1.0
    for each in sizes:
        told = each[each > NOTHING * each.max()]
        found = max(found, float(told.max() / told.min())) if len(told) else found
    return found


def outputs_apart(
    graph: Graph, extremes: Mapping[str, tuple[float, float]], channels: Mapping[str, float]
) -> dict[str, str]:
    """Name the operators between unlike channels and an output, each with the reason to stay in float.

    `channels` says of an operator how many times one of its channels is larger than another. What joins unlike tensors
    is named, what a constant makes unlike, and a layer whose weights do; then what reads unlike channels, up to where
    they part.
    """
    fused, near = fused_activations(graph), _near(graph)
    reasons, unlike = dict[str, str](), dict[str, str]()
    for op in graph:
        if op.name not in near:
            continue
        last = fused[op.name].name if op.name in fused else op.name
        read = next((unlike[name] for name in op.inputs if name in unlike), None)
        made = _made_unlike(graph, op, extremes, channels.get(last, math.inf if read else 1.0), read)
        reasons |= dict.fromkeys((op.name, last), made or read or "") if made or read else {}
        unlike |= dict.fromkeys((op.name, last), made) if made else {}
    return reasons


def _made_unlike(
    graph: Graph,
    op: Op,
    extremes: Mapping[str, tuple[float, float]],
    times: float,
    read: str | None,
) -> str | None:
    """How what an operator gives comes to have channels of unlike sizes; None where they are alike.

    `times` is how many times one is larger than another, `read` the reason of unlike channels that it reads.
    """
    if op.kind in LAYERS:
        return _said(min(times, _of_weights(graph, op)))
    handed = read if times > MAX_APART else None
    joined = _joined([extremes.get(name, (0.0, 0.0)) for name in op.inputs]) if op.kind in ("cat", "add") else None
    if op.kind == "cat":
        return handed or joined
    return handed or (_said(times) if joined or _has_channels(graph, op) else None)


def _joined(pairs: list[tuple[float, float]]) -> str | None:
    widths = [width for low, high in pairs if (width := max(-low, high)) > 0]
    times = max(widths) / min(widths) if widths else 1.0
    return f"the ranges of what it joins differ {times:.0f} times, and are an output" if times > MAX_APART else None


def _said(times: float) -> str | None:
    return f"the ranges of its channels differ {times:.0f} times, and are an output" if times > MAX_APART else None


def _of_weights(graph: Graph, op: Op) -> float:
    """How many times the largest weight of one channel is larger than that of another."""
    weight = graph.tensors(op)["weight"].detach()
    rows = weight.transpose(0, 1) if op.kind == "conv_transpose" else weight
    return apart([rows.flatten(1).abs().amax(1)])


def _has_channels(graph: Graph, op: Op) -> bool:
    """Whether an operator takes a constant of several numbers."""
    beside = [graph[name].shape for name in op.inputs if graph[name].kind == "constant"]
    return any(tensor.numel() > 1 for tensor in graph.tensors(op).values()) or any(
        max(s, default=1) > 1 for s in beside
    )


def _near(graph: Graph) -> frozenset[str]:
    """The makers of the outputs, and what is between."""
    waiting, found = list(graph.outputs.values()), set[str]()
    while waiting:
        op = graph[waiting.pop()]
        if op.name not in found and op.kind not in ("input", "constant"):
            found.add(op.name)
            waiting += _computed(graph, op) if _passes(graph, op) else []
    return frozenset(found)


def _computed(graph: Graph, op: Op) -> list[str]:
    return [name for name in dict.fromkeys(op.inputs) if graph[name].kind != "constant"]


def _passes(graph: Graph, op: Op) -> bool:
    return op.kind == "cat" or (op.kind in _PASSING and len(_computed(graph, op)) == 1)


def _made(op: Op) -> list[int]:
    """The axis of the channels that a maker gives."""
    if len(op.shape) < 2:
        return []
    return [len(op.shape) - 1 if op.kind in ("linear", "matmul", "layer_norm") else 1]


def _carried(graph: Graph, op: Op, source: str, axes: tuple[int, ...]) -> list[int]:
    """Where axes of an operator's input lie in what it gives."""
    before, after = graph[source].shape, op.shape
    if op.kind == "permute":
        return [axis for axis, of in enumerate(op.attrs["dims"]) if of % len(before) in axes]
    if op.kind == "reshape":
        return [one for axis in axes for one in _split(before, axis, after)]
    return [axis + len(after) - len(before) for axis in axes]


def _split(before: tuple[int, ...], axis: int, after: tuple[int, ...]) -> list[int]:
    """The axes that one axis becomes; none where it is joined with others."""
    start = math.prod(before[:axis])
    end, found = start * before[axis], []
    for place, size in enumerate(after):
        first = math.prod(after[:place])
        if size > 1 and first >= start and first * size <= end:
            found.append(place)
    return found
