"""The layer table: a row per operator with its shape, parameters, MACs, activation elements and receptive field.

Conventions (the same before and after folding):

* MACs are the multiply-accumulates of convolution, linear and recurrent layers and of products of two computed
  matrices; no bias, no normalization, no pooling.
* Parameters are weights, biases and BatchNorm's scale and shift; running statistics are not. A shared one counts once.
* Activation elements are the input and the output of each convolution, pooling, linear, LRN, concatenation and
  addition; BatchNorm, activation functions, dropout, flatten, softmax and a concatenation of one tensor count nothing.

What edgekit cannot count is listed by name, never taken as zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # so that a table can be read where torch is missing
    from edgekit.ir.graph import Graph, Op

STORED = frozenset(
    {
        "input",
        "conv",
        "conv_transpose",
        "linear",
        "max_pool",
        "avg_pool",
        "mean",
        "adaptive_avg_pool",
        "adaptive_max_pool",
        "lrn",
        "cat",
        "add",
    }
)


@dataclass(frozen=True)
class LayerRow:
    """One operator. `kind` groups rows for shares, e.g. "conv 1x1" or "depthwise 3x3"."""

    name: str
    op: str
    kind: str
    output_shape: tuple[int, ...]
    params: int
    macs: int
    activation_elements: int
    receptive_field: int | None  # input pixels, along the wider axis; None where no input reaches it

    def to_json(self) -> dict[str, Any]:
        """Return the row under its documented keys."""
        return asdict(self) | {"output_shape": list(self.output_shape)}


@dataclass(frozen=True)
class LayerTable:
    """The rows in order, their sums, and "name: operator" for each that could not be counted."""

    rows: tuple[LayerRow, ...]
    params: int
    macs: int
    activation_elements: int
    uncounted: tuple[str, ...]

    def shares(self, of: str) -> dict[str, float]:
        """Return the fraction of `of` (macs, params or activation_elements) in each kind of operator, largest first."""
        return shares((row.kind, getattr(row, of)) for row in self.rows)


def shares(amounts: Iterable[tuple[str, int]]) -> dict[str, float]:
    """Return the fraction of all in each kind, largest first, without those that have nothing."""
    sums: dict[str, int] = {}
    for kind, amount in amounts:
        sums[kind] = sums.get(kind, 0) + amount
    total = sum(sums.values())
    ordered = sorted(sums.items(), key=lambda item: -item[1])
    return {kind: value / total for kind, value in ordered if value}


def table(graph: Graph) -> LayerTable:
    """Return the layer table of a graph, for the batch size that it was traced with."""
    seen: set[str] = set()
    fields: dict[str, Reach | None] = {}
    shapes = {op.name: op.shape for op in graph}
    rows = []
    for op in graph:
        source = shapes[op.inputs[0]] if op.inputs else ()
        fields[op.name] = _reach(op, graph, source, [fields[name] for name in op.inputs])
        rows.append(_row(op, graph, source, seen, fields[op.name]))
    uncounted = tuple(f"{op.name}: {op.attrs['label']}" for op in graph if op.kind == "call")
    return LayerTable(
        tuple(rows),
        sum(row.params for row in rows),
        sum(row.macs for row in rows),
        sum(row.activation_elements for row in rows),
        uncounted,
    )


def _row(op: Op, graph: Graph, source: tuple[int, ...], seen: set[str], reach: Reach | None) -> LayerRow:
    counter = MACS.get(op.kind)
    return LayerRow(
        name=op.name,
        op=op.kind,
        kind=_kind(op, graph),
        output_shape=op.shape,
        params=_params(op, graph, seen),
        macs=counter(op, graph, source) if counter else 0,
        activation_elements=math.prod(op.shape) if _stored(op) else 0,
        receptive_field=round(max(reach.size)) if reach else None,
    )


def _stored(op: Op) -> bool:
    return op.kind in STORED and not (op.kind == "cat" and len(op.inputs) == 1)


def _params(op: Op, graph: Graph, seen: set[str]) -> int:
    if "spectrum" in op.attrs:  # waves are nobody's parameters
        return 0
    count = 0
    for role, name in op.params.items():
        statistic = role in ("mean", "var") or "running_" in role or role.endswith("num_batches_tracked")
        if name not in seen and not statistic:
            seen.add(name)
            count += graph.params[name].numel()
    return count


# Multiply-accumulates by kind of operator; `source` is the shape of the first input


def _conv_macs(op: Op, graph: Graph, source: tuple[int, ...]) -> int:
    return math.prod(op.shape) * math.prod(_weight(op, graph)[1:])


def _conv_transpose_macs(op: Op, graph: Graph, source: tuple[int, ...]) -> int:
    return math.prod(source) * math.prod(_weight(op, graph)[1:])


def _linear_macs(op: Op, graph: Graph, source: tuple[int, ...]) -> int:
    return math.prod(op.shape) * _weight(op, graph)[1]


def _matmul_macs(op: Op, graph: Graph, source: tuple[int, ...]) -> int:
    return math.prod(op.shape) * source[-1]


def _dynamic_macs(op: Op, graph: Graph, source: tuple[int, ...]) -> int:
    return math.prod(op.shape) * math.prod(graph[op.inputs[1]].shape[1:])


def _recurrent_macs(op: Op, graph: Graph, source: tuple[int, ...]) -> int:
    from edgekit.ir.graph import same_steps

    if op.kind == "lstm_cell" and any(one.kind == "lstm" and same_steps(one, op) for one in graph):
        return 0
    steps = math.prod(source[:2])
    return steps * sum(graph.params[op.params[role]].numel() for role in ("w_ih", "w_hh"))


def _weight(op: Op, graph: Graph) -> tuple[int, ...]:
    return tuple(graph.params[op.params["weight"]].shape)


MACS: dict[str, Callable[[Op, Graph, tuple[int, ...]], int]] = {
    "conv": _conv_macs,
    "conv_transpose": _conv_transpose_macs,
    "linear": _linear_macs,
    "matmul": _matmul_macs,
    "conv_dynamic": _dynamic_macs,
    "lstm": _recurrent_macs,
    "lstm_cell": _recurrent_macs,
    "gru": _recurrent_macs,
}


def _kind(op: Op, graph: Graph) -> str:
    if op.kind in ("conv", "conv_transpose"):
        weight = _weight(op, graph)
        kernel = "x".join(str(size) for size in weight[2:])
        groups = op.attrs["groups"]
        channels = weight[0] if op.kind == "conv_transpose" else weight[1] * groups
        label = "depthwise" if groups > 1 and groups == channels else ("grouped " if groups > 1 else "") + op.kind
        return f"{label} {kernel}"
    if op.kind in ("max_pool", "avg_pool"):
        return f"{op.kind} " + "x".join(str(size) for size in op.attrs["kernel"])
    return op.kind


# Receptive field (how many input pixels one output pixel sees) by the usual recurrence:
# size += (reach of the kernel - 1) * jump; jump *= stride.


@dataclass(frozen=True)
class Reach:
    """Per spatial axis: the receptive field in input pixels, the input pixels between neighbors, and which axis of the
    tensor it is (None: it has become one with others)."""

    size: tuple[float, ...]
    jump: tuple[float, ...]
    axes: tuple[int | None, ...]


def _widest(inputs: list[Reach]) -> Reach:
    """The reach of several inputs together; one that has fewer axes of the image says nothing about the others."""
    most = max(len(x.size) for x in inputs)
    sizes, jumps, axes = zip(*((x.size, x.jump, x.axes) for x in inputs if len(x.size) == most), strict=True)
    kept = (next((axis for axis in given if axis is not None), None) for given in zip(*axes, strict=True))
    return Reach(tuple(map(max, zip(*sizes, strict=True))), tuple(map(max, zip(*jumps, strict=True))), tuple(kept))


def _reach(op: Op, graph: Graph, source: tuple[int, ...], inputs: list[Reach | None]) -> Reach | None:
    if op.kind == "input":
        spatial = tuple(range(2, len(op.shape))) or (min(1, len(op.shape) - 1),)
        return Reach((1,) * len(spatial), (1,) * len(spatial), spatial)
    known = [reach for reach in inputs if reach]
    if not known:
        return None
    widest = known[0] if len(known) == 1 else _widest(known)
    if inputs[0] is None:
        source = op.shape
    if op.kind in ("conv", "conv_transpose", "max_pool", "avg_pool"):
        kernel = op.attrs["kernel"] if op.kind.endswith("pool") else _weight(op, graph)[2:]
        return _slid(widest, op, kernel) if len(kernel) == len(widest.size) else _everything(widest, source)
    if op.kind.startswith("adaptive"):
        same = len(op.shape) - 2 == len(widest.size)
        return _adaptive(widest, source[2:], op.shape[2:]) if same else _everything(widest, source)
    if op.kind in ("mean", "sum", "max", "min", "prod"):
        return _averaged(widest, op, source)
    if op.kind == "reshape":
        axes = tuple(None if axis is None else _place(axis, source, op.shape) for axis in widest.axes)
        return _seen_whole(widest, source, [axis is None for axis in axes], axes)
    if op.kind == "permute":
        dims = list(op.attrs["dims"])
        return replace(widest, axes=tuple(None if axis is None else dims.index(axis) for axis in widest.axes))
    if op.kind in ("matmul", "lstm", "lstm_cell", "gru", "grid_sample") or len(op.shape) != len(source):
        return _everything(widest, source)
    return widest


def _everything(reach: Reach, source: tuple[int, ...]) -> Reach:
    """What has seen the whole of what is left of every axis."""
    return _seen_whole(reach, source, [True] * len(reach.size), (None,) * len(reach.size))


def _slid(reach: Reach, op: Op, kernel: tuple[int, ...]) -> Reach:
    stride = op.attrs.get("stride", (1,) * len(kernel))
    dilation = op.attrs.get("dilation", (1,) * len(kernel))
    grown = zip(reach.size, reach.jump, kernel, dilation, strict=False)
    upwards = op.kind == "conv_transpose"
    return Reach(
        tuple(
            size + (k - 1) * d * (jump / s if upwards else jump)
            for (size, jump, k, d), s in zip(grown, stride, strict=False)
        ),
        tuple(jump / s if upwards else jump * s for jump, s in zip(reach.jump, stride, strict=False)),
        reach.axes,
    )


def _adaptive(reach: Reach, before: tuple[int, ...], after: tuple[int, ...]) -> Reach:
    """Output i reads the inputs from floor(i n / o) to ceil((i + 1) n / o): the first and last end at the borders."""
    windows = [max(-(-(i + 1) * n // o) - i * n // o for i in range(o)) for n, o in zip(before, after, strict=True)]
    sizes = (size + (k - 1) * jump for size, jump, k in zip(reach.size, reach.jump, windows, strict=False))
    steps = ((n - k) / (o - 1) if o > 1 else 1 for n, o, k in zip(before, after, windows, strict=True))
    jumps = (jump * step for jump, step in zip(reach.jump, steps, strict=False))
    return Reach(tuple(sizes), tuple(jumps), reach.axes)


def _averaged(reach: Reach, op: Op, source: tuple[int, ...]) -> Reach:
    dims = {dim % len(source) for dim in op.attrs["dims"]}
    axes = reach.axes
    if not op.attrs["keepdim"]:
        axes = tuple(
            None if axis is None or axis in dims else axis - sum(dim < axis for dim in dims) for axis in reach.axes
        )
    return _seen_whole(reach, source, [axis in dims for axis in reach.axes], axes)


def _place(axis: int, source: tuple[int, ...], shape: tuple[int, ...]) -> int | None:
    """Where an axis lies after a reshape: as long as before, and with as much in front of it."""
    front = math.prod(source[:axis])
    places = (at for at, length in enumerate(shape) if length == source[axis] and math.prod(shape[:at]) == front)
    return next(places, None)


def _seen_whole(reach: Reach, source: tuple[int, ...], whole: Sequence[bool], axes: tuple[int | None, ...]) -> Reach:
    """The reach with other axes; everything that is left along the ones that are `whole` is seen."""
    sizes = (
        size + (source[axis] - 1) * jump if gone and axis is not None and axis < len(source) else size
        for size, jump, axis, gone in zip(reach.size, reach.jump, reach.axes, whole, strict=True)
    )
    return Reach(tuple(sizes), reach.jump, axes)
