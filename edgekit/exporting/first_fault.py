"""Where a written file leaves its network, or its integer simulation: the first layer, and the likely cause.

Each layer is computed on what the *file* gives to it, so that a layer answers for itself alone and no rounding of an
earlier one is held against it. A file whose layers are all right differs from the network by rounding that grew.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from edgekit.exporters.int8.pair_sums import fitted, in_kernel_order
from edgekit.exporters.int8.plain_resize import plain_resize
from edgekit.exporters.int8.simulate import integer_graph, made_in_float, round_values
from edgekit.exporting.inner_values import Array, inner_values
from edgekit.ir import near_ties
from edgekit.ir.graph import Graph, Op
from edgekit.ir.kernels import pad_argument
from edgekit.ir.passes.fused_activations import fused_activations
from edgekit.ir.quantized import QuantizedGraph
from edgekit.ir.reference import ELEMENTWISE, KERNELS
from edgekit.ir.shares import FAINT, is_share
from edgekit.records.manifest import TensorRecord
from edgekit.records.preprocessing import Preprocessing

TOLERANCE = 2.5  # steps: kernels that scale in fixed point, or in several roundings, are up to two beside
FLOAT_STEP = 1e-3 / TOLERANCE  # of the largest value: of what is computed in float between integers
FP32_STEP = 3e-4 / TOLERANCE  # where nothing is in integers: what a whole fp32 file may be off
LARGEST = torch.finfo(torch.float32).max  # where LiteRT's kernels end that add or multiply: they give no infinity
PADDING = ("conv", "max_pool", "avg_pool", "conv_transpose")
_CHANNELS_LAST = ("linear", "layer_norm")
MOST = 0.98  # of the wrong values that a cause must explain
ANOTHER_ACTIVATION = "an activation that is missing or another"


@dataclass(frozen=True)
class Fault:
    """The first layer of a file that is not what it should be.

    `steps` is its largest error in steps of its output; of a layer in float in `part` of its largest value. What gives
    places, whole numbers or truth values has none.
    """

    layer: str
    kind: str
    steps: float | None
    share: float  # of its values that are wrong
    cause: str
    part: float | None = None  # None: in integers

    def __str__(self) -> str:
        most = ""
        if self.steps is not None:
            size = f"{self.steps * self.part:.2%} of the largest" if self.part else f"{self.steps:.0f} steps"
            most = f", by up to {size}"
        return (
            f"layer {self.layer} ({self.kind}) is the first that differs: {self.share:.1%} of its values{most}; "
            f"likely cause: {self.cause}"
        )


def in_float(graph: Graph) -> QuantizedGraph:
    """Return a graph without integers in the form in which layers are looked at."""
    return QuantizedGraph(graph, "float", {}, {}, {}, {op.name: "float32" for op in graph})


def file_fault(
    path: Path,
    quantized: QuantizedGraph,
    given: Sequence[TensorRecord],
    xs: Sequence[Array],
    preprocessing: Preprocessing | None = None,
    how: tuple[str, str] = ("float32", "nhwc"),
) -> Fault | None:
    """Return the first fault of a written file on inputs (N, C, *spatial), which `inner_values` takes alike.

    Where there is one, a second look tells whether an operator in float before it is wrong already. The first look
    leaves these alone, because onnxruntime joins no operators whose values are asked for.
    """

    def look(islands: bool) -> Fault | None:
        found = inner_values(path, quantized, given, xs, preprocessing, how, islands)
        return first_fault(quantized, found, *map(torch.from_numpy, xs))

    if not quantized.activations:
        return look(islands=True)
    seen = look(islands=False)
    finer = None if seen is None else look(islands=True)
    order = [op.name for op in quantized.graph]
    return min((one for one in (seen, finer) if one), key=lambda one: order.index(one.layer), default=None)


@torch.no_grad()
def first_fault(quantized: QuantizedGraph, found: dict[str, Tensor], *xs: Tensor) -> Fault | None:
    """Return the first layer whose value in `found` (of one file, on the inputs) is not what its own inputs make of it.

    None where every layer that the file keeps is right.
    """
    integer, rounding = integer_graph(quantized), round_values(quantized)
    values: dict[str, Tensor] = {}
    real: dict[str, Tensor] = {}  # what an island gives before it becomes integers, which TFLite's other islands read
    given = dict(zip((op.name for op in quantized.graph.inputs), xs, strict=True))
    unrounded = made_in_float(quantized) | frozenset(quantized.islands)
    for op, product in zip(quantized.graph, integer, strict=True):
        inputs = [(real if op.name in quantized.islands else values)[name] for name in op.inputs]
        y = given[op.name] if op.kind == "input" else KERNELS[product.kind](product, inputs, integer.tensors(product))
        rounded = rounding(op, y)
        want = y if rounded is None else rounded
        got = found.get(op.name)
        if got is None or got.shape != want.shape:
            values[op.name], real[op.name] = want, y if op.name in unrounded else want
            continue
        got = real[op.name] = got.to(want.dtype)
        if op.name in quantized.islands and op.name in quantized.activations:
            got = quantized.activations[op.name].fake(got)
        judge = _fault if want.is_floating_point() else _choice
        fault = judge(quantized, op, values, want, got)
        plain = plain_resize(op, inputs[0]) if fault and _in_tflites_integers(quantized, op) else None
        if plain is not None:
            fault = judge(quantized, op, values, quantized.activations[op.name].fake(plain), got)
        if fault is not None:
            return fault
        values[op.name] = got
    return None


def _in_tflites_integers(quantized: QuantizedGraph, op: Op) -> bool:
    known = quantized.activations
    return quantized.scheme == "tflite" and op.name in known and op.name not in quantized.islands


def _fault(quantized: QuantizedGraph, op: Op, values: dict[str, Tensor], want: Tensor, got: Tensor) -> Fault | None:
    want, got = (y.clamp(-LARGEST, LARGEST) for y in (want, got))
    step = _step(quantized, op.name, want)
    steps = (got - want) / step
    same = (got == want) | (got.isnan() & want.isnan())
    wrong = ~((steps.abs() <= TOLERANCE) | same)  # what is not a number is wrong, too
    if not bool(wrong.any()):
        return None
    layer = _layer(quantized, op)
    cause = _cause(quantized, layer, values, want / step, got / step, wrong)
    share = float(wrong.float().mean())
    part = None if op.name in quantized.activations else _part(quantized)
    return Fault(op.name, layer.kind, float(steps[wrong].abs().max()), share, cause, part)


def _choice(quantized: QuantizedGraph, op: Op, values: dict[str, Tensor], want: Tensor, got: Tensor) -> Fault | None:
    """What is wrong of places, whole numbers and truth values, beyond what values on an edge explain."""
    if not op.inputs:
        return None
    x = values[op.inputs[0]]
    tie = TOLERANCE * _step(quantized, op.inputs[0], x)
    share = float(near_ties.chosen_otherwise(op, x, want, got, tie).float().mean())
    return Fault(op.name, op.kind, None, share, "the runtime's own operator") if share > 1 - MOST else None


def _step(quantized: QuantizedGraph, name: str, y: Tensor) -> float:
    """A step of the integers of a tensor; of one in float a part of its largest finite value."""
    params, finite = quantized.activations.get(name), y[y.abs() < LARGEST].float().abs()
    if params:
        return params.scale
    least = FAINT if is_share(quantized.graph[name]) else 1e-30
    return _part(quantized) * max(float(finite.max()) if finite.numel() else 0.0, least)


def _part(quantized: QuantizedGraph) -> float:
    return FLOAT_STEP if quantized.activations else FP32_STEP


def _layer(quantized: QuantizedGraph, op: Op) -> Op:
    """The operator itself, or the one whose fused activation it is."""
    producers = {last.name: name for name, last in fused_activations(quantized.graph).items()}
    return quantized.graph[producers[op.name]] if op.name in producers else op


def _cause(
    quantized: QuantizedGraph, op: Op, values: dict[str, Tensor], want: Tensor, got: Tensor, wrong: Tensor
) -> str:
    """The first cause that explains the wrong values. `want` and `got` are in steps."""
    product = op.name in quantized.weights
    if product and _saturates(quantized, op, values, want, got, wrong):
        return "saturation: the kernel adds two products in 16 bits"
    if _only_at_borders(op, wrong) or _moved(op, want, got) or _pooled_beside(op, values, want, got):
        return "padding"
    if _cut(want, got, wrong):
        rectified = op.kind in ELEMENTWISE and not bool(got[wrong].any())
        return ANOTHER_ACTIVATION if rectified else "a range: values beyond it are cut"
    if _cut(got, want, wrong):  # the wrong values go on where those that are wanted stand at an end
        return ANOTHER_ACTIVATION
    shifted = _shift(op, want, got)
    if shifted is not None:
        everywhere = float(shifted.max() - shifted.min()) < 1 < float(shifted.abs().min()) and shifted.numel() > 1
        return "a zero point" if everywhere or "bias" not in op.params else "a bias"
    if _permuted(op, want, got, wrong):
        return "channels in another order"
    if _scaled(op, want, got):
        return "a scale"
    if float((got - want).abs().max()) < 2 * TOLERANCE:
        return "rounding"
    return "weights" if product or (op.params and not quantized.activations) else "the runtime's own operator"


def _explained(want: Tensor, got: Tensor, wrong: Tensor | None = None) -> bool:
    right = (want - got).abs() <= TOLERANCE
    share = right.float().mean() if wrong is None else right[wrong].float().mean()
    return float(share) >= MOST


def _saturates(
    quantized: QuantizedGraph, op: Op, values: dict[str, Tensor], want: Tensor, got: Tensor, wrong: Tensor
) -> bool:
    """Whether adding pairs of products in 16 bits gives what the file gives; where weights allow it at all."""
    weight = quantized.weights[op.name].values
    rows = in_kernel_order(weight)
    if not quantized.scheme.startswith("onnxruntime") or bool((fitted(rows) == rows).all()):
        return False
    lost = _lost_in_pairs(quantized, op, values[op.inputs[0]])
    if lost is None:
        return False
    return bool((lost != 0)[wrong].float().mean() >= MOST) and bool(((got - want) * lost >= 0)[wrong].all())


def _lost_in_pairs(quantized: QuantizedGraph, op: Op, x: Tensor) -> Tensor | None:
    """By how much saturated sums differ from the true ones, in products; None for what is not computed here."""
    source = quantized.activations[op.inputs[0]]
    codes = torch.round(x / source.scale) + source.zero_point
    weight = quantized.weights[op.name].values.float()
    if op.kind == "linear":
        columns = codes[..., None]
    elif len(op.shape) == 4 and op.attrs["groups"] == 1:
        a = op.attrs
        padded = F.pad(codes, pad_argument(a["padding"]), value=float(source.zero_point))
        columns = F.unfold(padded, weight.shape[2:], a["dilation"], 0, a["stride"])
        columns = columns.reshape(len(codes), weight.shape[1], -1, columns.shape[2]).transpose(1, 2).flatten(1, 2)
    else:
        return None
    rows = in_kernel_order(weight)
    even = rows.shape[1] - rows.shape[1] % 2
    lost = torch.zeros(len(codes), len(rows), columns.shape[2])
    for start in range(0, even, 2):
        pair = rows[:, start, None] * columns[:, start, None] + rows[:, start + 1, None] * columns[:, start + 1, None]
        lost += pair.clamp(-32768, 32767) - pair
    return lost.reshape(-1, *op.shape[1:])


def _pads(op: Op) -> bool:
    return op.kind == "pad" or (op.kind in PADDING and any(map(any, op.attrs["padding"])))


def _only_at_borders(op: Op, wrong: Tensor) -> bool:
    """Whether nothing is wrong but near the edges of the map, in a layer that pads."""
    if wrong.dim() < 3 or not _pads(op):
        return False
    inside = wrong
    for axis in range(2, wrong.dim()):
        if wrong.shape[axis] < 5:
            return False
        inside = inside.narrow(axis, 2, wrong.shape[axis] - 4)
    return not bool(inside.any())


def _moved(op: Op, want: Tensor, got: Tensor) -> bool:
    """Whether what the file gives is what is wanted, one or two places beside, in a layer that pads."""
    if want.dim() != 4 or not _pads(op) or min(want.shape[2:]) < 8:
        return False
    inside = got[:, :, 3:-3, 3:-3]
    beside = [(i, j) for i in range(-2, 3) for j in range(-2, 3) if i or j]
    return any(_explained(want.roll((i, j), (2, 3))[:, :, 3:-3, 3:-3], inside) for i, j in beside)


def _pooled_beside(op: Op, values: dict[str, Tensor], want: Tensor, got: Tensor) -> bool:
    """Whether a pooling whose padding lies more to one side gives what the file gives."""
    if op.kind not in ("max_pool", "avg_pool"):
        return False
    x, padding = values[op.inputs[0]], op.attrs["padding"]
    step = KERNELS[op.kind](op, [x], {}).abs().max() / want.abs().max().clamp(min=1e-30)
    for moves in itertools.product((-1, 0, 1), repeat=len(padding)):
        pads = tuple((low + move, high - move) for (low, high), move in zip(padding, moves, strict=True))
        if min(min(pair) for pair in pads) >= 0 and any(moves):
            other = KERNELS[op.kind](op.with_(attrs={**op.attrs, "padding": pads}), [x], {})
            if _explained(other / step, got):
                return True
    return False


def _cut(want: Tensor, got: Tensor, wrong: Tensor) -> bool:
    """Whether the wrong values all stand at the ends of what the file gives, short of what is wanted."""
    low, high = got.min(), got.max()
    short = ((got >= high - 1) & (want > got)) | ((got <= low + 1) & (want < got))
    return float(short[wrong].float().mean()) >= MOST and not bool(wrong.all())


def _channels(op: Op, y: Tensor) -> Tensor:
    """The channels of what an operator gives, (channels, everything else); those of tokens lie last."""
    return y.movedim(-1 if op.kind in _CHANNELS_LAST else 1, 0).flatten(1) if y.dim() > 1 else y[None]


def _alike(op: Op, y: Tensor) -> Tensor:
    """What one wrong number of a layer changes alike, (groups, everything else): a channel where it has tensors."""
    return _channels(op, y) if op.params else y.reshape(1, -1)


def _inside(want: Tensor, got: Tensor) -> Tensor:
    """Where neither stands at the ends of its range."""
    inside = torch.ones_like(want, dtype=torch.bool)
    for y in (want, got):
        inside &= (y > y.min() + 0.5) & (y < y.max() - 0.5)
    return inside


def _shift(op: Op, want: Tensor, got: Tensor) -> Tensor | None:
    """By how much each channel is off, where that alone explains what is wrong; only of channels that tell."""
    shifts = []
    for one, other, inside in zip(*(_alike(op, y) for y in (want, got, _inside(want, got))), strict=True):
        if not bool(inside.any()):
            continue
        gap = (other - one)[inside]
        if float((gap - gap.median()).abs().max()) > TOLERANCE:
            return None
        shifts.append(gap.median())
    return torch.stack(shifts) if shifts else None


def _scaled(op: Op, want: Tensor, got: Tensor) -> bool:
    """Whether a factor for each channel explains what is wrong, up to a tenth of it."""
    for one, other, inside in zip(*(_alike(op, y) for y in (want, got, _inside(want, got))), strict=True):
        a, b = one[inside], other[inside]
        if a.numel() < 2:
            continue
        a, b = a - a.mean(), b - b.mean()
        factor = (a * b).sum() / (a * a).sum().clamp(min=1e-30)
        left = (b - factor * a).abs()
        if float(left.max()) > TOLERANCE + 0.02 * float(b.abs().max()):
            return False
    return True


def _permuted(op: Op, want: Tensor, got: Tensor, wrong: Tensor) -> bool:
    """Whether each wrong channel is another one of those that are wanted."""
    ours, theirs = _channels(op, want), _channels(op, got)
    for channel in _channels(op, wrong).any(1).nonzero().flatten().tolist():
        if not bool(((ours - theirs[channel]).abs() <= TOLERANCE).float().mean(1).ge(MOST).any()):
            return False
    return True
