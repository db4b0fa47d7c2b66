"""Scales of activations: which tensors become integers in a scheme, and how.

A scheme is what one runtime is fast at: tflite (int8, asymmetric), onnxruntime (uint8, asymmetric, what its x86 and Arm
kernels take; onnxruntime-vnni is for processors with VNNI alone) and tensorrt (int8, symmetric). All come from the same
recorded ranges.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from edgekit.errors import UsageError, nearest
from edgekit.exporters.int8 import tflite_constraints
from edgekit.ir.graph import Graph, Op
from edgekit.ir.passes.fused_activations import fused_activations
from edgekit.ir.quantized import QParams

MIN_SCALE = 1e-9  # of a tensor that is constant zero: any will do that later arithmetic can hold
# The runtimes multiply sums by input scale * weight scale / output scale, which their fixed point keeps under 256.
MAX_MULTIPLIER = 128.0
HARDSWISH_MARGIN = 1.1  # of TFLite's HARD_SWISH, whose limit is a multiplier below 128
PIXEL_MARGIN = 255 / 254
LOGIT_MARGIN = 0.1  # of the output's range, on both sides: other images reach further than those of the set


@dataclass(frozen=True)
class Scheme:
    """The integers of activations in one runtime. `pairs`: its kernels may add two products in 16 bits."""

    low: int
    high: int
    symmetric: bool
    pairs: bool = False


SCHEMES = {
    "tflite": Scheme(-128, 127, symmetric=False),
    "onnxruntime": Scheme(0, 255, symmetric=False, pairs=True),
    "onnxruntime-vnni": Scheme(0, 255, symmetric=False),
    "tensorrt": Scheme(-128, 127, symmetric=True),
}
_MOVING = frozenset({"max_pool", "reshape", "permute", "slice", "pad", "cat"})  # in onnxruntime
# What a runtime reads integers for and can hand out unrounded. A convolution it cannot.
_UNROUNDED = frozenset({"linear", "mean", "avg_pool", "add", "mul"})
NARROW = 1 / 4  # of what a fixed scale reaches to: two of eight bits


def scheme_of(name: str) -> Scheme:
    """Return the scheme of a name; UsageError for another."""
    if name not in SCHEMES:
        raise UsageError(
            f"unknown int8 scheme '{name}'{nearest(name, SCHEMES)}", f"choose one of: {', '.join(SCHEMES)}"
        )
    return SCHEMES[name]


def activations(
    graph: Graph,
    extremes: Mapping[str, tuple[float, float]],
    scheme: str,
    in_float: Collection[str],
    integer_border: bool = False,
) -> dict[str, QParams]:
    """QParams of every tensor that the runtime makes in integers, by operator name.

    An operator in float has some only where an integer operator reads it. With `integer_border` the network's input
    and output have some in any case: a caller hands over and takes integers. Raises UsageError for a tensor without a
    recorded range.
    """
    kind = scheme_of(scheme)
    wanted = _stored(graph, scheme, in_float)
    if integer_border:
        wanted += [name for name in _border(graph) if name not in wanted]
    prescribed = _prescribed(graph, scheme, extremes)
    leader = _groups(graph, scheme, wanted, prescribed)
    widest: dict[str, tuple[float, float]] = {}
    for name in wanted:
        low, high = _range(graph, extremes, name)
        before = widest.get(leader[name], (0.0, 0.0))  # zero is always one of the values
        widest[leader[name]] = (min(low, before[0]), max(high, before[1]))
    floors = _floors(graph, scheme, leader, widest, prescribed)
    found = {name: _params(*widest[leader[name]], kind, floors.get(leader[name], MIN_SCALE)) for name in wanted}
    return {name: prescribed.get(name, params) for name, params in found.items()}


def _range(graph: Graph, extremes: Mapping[str, tuple[float, float]], name: str) -> tuple[float, float]:
    if name not in extremes:
        raise UsageError(f"no range was recorded for layer {name}", "calibrate again, on the network as it is")
    low, high = extremes[name]
    if graph[name].kind == "input":
        # 8-bit pixels fill 255 steps: on a grid of just as many each could lie halfway between two integers.
        return low * PIXEL_MARGIN, high * PIXEL_MARGIN
    if graph.is_output(name) and graph[name].kind in ("conv", "linear"):
        margin = (high - low) * LOGIT_MARGIN
        return low - margin, high + margin
    return low, high


def _stored(graph: Graph, scheme: str, in_float: Collection[str]) -> list[str]:
    """The tensors that exist as integers, in order."""
    fused, readers = fused_activations(graph), graph.consumers
    free = _unrounded(graph, scheme, in_float)
    kept = []
    for op in graph:
        if op.name in fused:
            continue
        read_in_integers = any(reader.name not in in_float for reader in readers[op.name])
        made_in_integers = op.kind != "input" and op.name not in in_float
        if (made_in_integers or read_in_integers) and op.name not in free:
            kept.append(op.name)
    return kept


def _unrounded(graph: Graph, scheme: str, in_float: Collection[str]) -> frozenset[str]:
    """The tensors that nothing reads in integers, as a network's output, where the runtime can give them unrounded.

    TFLite's kernels give integers for integers.
    """
    if scheme == "tflite":
        return frozenset()
    readers, loose, found = graph.consumers, set[str](), set[str]()
    for op in reversed(graph.ops):
        if all(r.name in in_float or (r.name in loose and carries(r, scheme)) for r in readers[op.name]):
            loose.add(op.name)
    for op in graph:
        able = op.kind in _UNROUNDED or (carries(op, scheme) and op.inputs[0] in found)
        if able and op.name in loose and op.name not in in_float:
            found.add(op.name)
    return frozenset(found)


def _border(graph: Graph) -> list[str]:
    """The input and the output, as far as they are real numbers."""
    ends = [*graph.inputs, *(graph[name] for name in graph.outputs.values())]
    return [op.name for op in ends if op.dtype.is_floating_point]


def _prescribed(graph: Graph, scheme: str, extremes: Mapping[str, tuple[float, float]]) -> dict[str, QParams]:
    """The tensors whose integers follow from what makes them: a fixed function, or a move of what one gave.

    TFLite's kernels know no others. onnxruntime's softmax does, and overflows to zeros where they are finer.
    """
    if scheme == "tensorrt":
        return {}
    found: dict[str, QParams] = {}
    for op in graph:
        own = None if is_narrow(op, extremes) else tflite_constraints.fixed_output(op.kind)
        moved = {found.get(name) for name in op.inputs} if moves(op, scheme) else {None}
        if own is None and len(moved) == 1:
            own = moved.pop()
        elif own is not None and scheme != "tflite":
            own = own.unsigned
        if own is not None:
            found[op.name] = own
    return found


def is_narrow(op: Op, extremes: Mapping[str, tuple[float, float]]) -> bool:
    """Whether a sigmoid or tanh gives values so small that its fixed scale would leave them less than six bits."""
    low, high = extremes.get(op.name, (-1.0, 1.0))
    return op.kind in ("sigmoid", "tanh") and max(-low, high) < NARROW


def moves(op: Op, scheme: str) -> bool:
    """Whether an operator only moves or chooses elements, so that its inputs and its output share a scale."""
    return tflite_constraints.same_scale(op.kind) if scheme == "tflite" else op.kind in _MOVING


def carries(op: Op, scheme: str) -> bool:
    """Whether an operator moves or chooses elements of one tensor."""
    return moves(op, scheme) and len(op.inputs) == 1


def _groups(graph: Graph, scheme: str, wanted: list[str], prescribed: Collection[str]) -> dict[str, str]:
    """For each tensor the representative of those that must share its scale; prescribed scales join nothing."""
    leader = {name: name for name in wanted}

    def find(name: str) -> str:
        while leader[name] != name:
            name = leader[name]
        return name

    for op in graph.ops[1:]:
        shares = moves(op, scheme) or (scheme == "tflite" and tflite_constraints.cuts_in_place(op))
        if not shares or op.name not in leader or op.name in prescribed:
            continue
        for name in op.inputs:
            if name in leader and name not in prescribed:
                leader[find(op.name)] = find(name)
    return {name: find(name) for name in wanted}


def constant_of(op: Op, own: Mapping[str, Tensor]) -> Tensor:
    """Return what an operator takes beside its one input, a tensor of its own or a number, in float32."""
    return own.get("other", torch.tensor(op.attrs.get("other", 0.0))).detach().float()


def rounded_operand(constant: Tensor, scheme: str) -> Tensor:
    """Return a constant operand as the numbers that its integers stand for, in float32."""
    return operand(constant, scheme).fake(constant.detach().float())


def operand(tensor: Tensor, scheme: str) -> QParams:
    """Return how a constant operand of an addition or product becomes integers."""
    low, high = (float(value) for value in torch.aminmax(tensor.detach().float()))
    if scheme == "tflite":  # as its kernels like constants best
        return QParams(max(max(-low, high) / 127, MIN_SCALE), 0)
    return _params(min(low, 0.0), max(high, 0.0), scheme_of(scheme), MIN_SCALE)


def _params(low: float, high: float, kind: Scheme, floor: float) -> QParams:
    if kind.symmetric:
        return QParams(max(max(-low, high) / kind.high, floor), 0, kind.low, kind.high)
    scale = max((high - low) / (kind.high - kind.low), floor)
    zero_point = kind.low - round(low / scale)
    return QParams(scale, min(max(zero_point, kind.low), kind.high), kind.low, kind.high)


def _floors(
    graph: Graph,
    scheme: str,
    leader: Mapping[str, str],
    widest: Mapping[str, tuple[float, float]],
    prescribed: Mapping[str, QParams],
) -> dict[str, float]:
    """The least scale of each group so that nothing in front of it needs too large a multiplier (dead channels do).

    No step is lost: a 128th of what one step of the inputs makes of the output is finer than anything that comes.
    """
    kind, fused = scheme_of(scheme), fused_activations(graph)
    floors: dict[str, float] = {}

    def scale(name: str) -> float:
        first = leader[name]
        free = _params(*widest[first], kind, floors.get(first, MIN_SCALE))
        return prescribed.get(name, free).scale

    for op in graph:
        out = fused[op.name].name if op.name in fused else op.name
        if out not in leader or not op.inputs or any(name not in leader for name in op.inputs):
            continue
        step = _step(graph, op, [scale(name) for name in op.inputs], scheme)
        floors[leader[out]] = max(floors.get(leader[out], MIN_SCALE), step / MAX_MULTIPLIER)
    return floors


def _step(graph: Graph, op: Op, sources: list[float], scheme: str) -> float:
    """What one step of the inputs makes of the output; 0 where no limit is known."""
    own = graph.tensors(op)
    if op.kind in ("conv", "linear", "conv_transpose", "scale"):
        return sources[0] * float(own["weight"].detach().abs().max()) / 127
    if op.kind == "hardswish":
        return sources[0] * HARDSWISH_MARGIN
    if op.kind in ("mean", "avg_pool"):
        return sources[0]
    if op.kind not in ("add", "sub", "mul", "div") or op.attrs.get("reflected"):
        return 0.0
    if len(op.inputs) == 1:
        other = constant_of(op, own)
        sources = [*sources, operand(1 / other if op.kind == "div" else other, scheme).scale]
    return max(sources) if op.kind in ("add", "sub") else math.prod(sources)
