"""Which operators of an int8 network are computed in float, each with the reason.

Where a runtime has no integer kernel, where its float kernel is quicker, and where eight bits would say too little.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from edgekit.exporters.int8 import tflite_constraints
from edgekit.exporters.int8.activations import carries, is_narrow
from edgekit.exporters.int8.far_from_zero import far_from_zero
from edgekit.exporters.int8.masks import masked
from edgekit.exporters.int8.output_channels import outputs_apart
from edgekit.exporters.int8.peaks import peaks
from edgekit.exporters.int8.sensitive import is_square, sensitive
from edgekit.exporters.int8.spectra import spectra
from edgekit.ir.graph import Graph, Op
from edgekit.ir.passes.fused_activations import fused_activations
from edgekit.ir.reference import LAYERS

LEAST_SHARE = 1 / 16  # of the largest element of a softmax, whose integers are steps of 1/256: four bits
MOST_SHARES = 256  # elements that a softmax is over: of more the mean is under one of its steps
Extremes = Mapping[str, tuple[float, float]]
# What onnxruntime's CPU provider computes in integers (QLinear operators, or moves without looking at the values).
_QLINEAR = frozenset(
    {"conv", "linear", "add", "mul", "avg_pool", "mean", "sigmoid", "leaky_relu", "relu", "clip"}
    | {"max_pool", "reshape", "permute", "slice", "pad", "cat"}
)
_CHOICES = frozenset({"argmax", "argmin", "topk_indices", "topk_values"})
_KEEPING_ORDER = frozenset({"upsample", "softmax", "log_softmax", "sigmoid", "reshape", "permute", "slice"})
_TOWARDS_DIVISORS = frozenset(
    {"add", "mul", "clip", "relu", "maximum", "sum", "mean", "avg_pool", "sqrt", "abs"}
    | {"slice", "reshape", "permute", "expand"}
)
_TOWARDS_DIVIDENDS = frozenset({"slice", "reshape", "permute", "expand"})
_SUMS = frozenset({"conv", "linear"})  # of squares around a place, where these lead to a divisor
_OF_SQUARES = "squares that are summed differ too much in size for eight bits"
_PREPARING = frozenset({"cast", "add", "sub", "mul", "div", "scale", "clip", "permute", "reshape"})
# Channels of a kernel and of the output up to which onnxruntime's integer convolutions lose to its float ones.
_FEW_READ, _FEW_MADE = 4, 31


def islands(
    graph: Graph,
    scheme: str,
    keep_float: Collection[str],
    extremes: Extremes | None = None,
    channels: Mapping[str, float] | None = None,
) -> dict[str, str]:
    """Return the operators that are computed in float, each with the reason; a fused activation goes with its producer.

    `extremes` and `channels` are what Ranges has.
    """
    extremes = extremes or {}
    apart = outputs_apart(graph, extremes, channels or {}) | fine_shares(graph, scheme, extremes)
    apart |= spectra(graph) | squares(graph) | sensitive(graph) | divisors(graph) | roots(graph) | preparation(graph)
    apart |= masked(graph, extremes) | peaks(graph) | far_from_zero(graph, extremes)
    if scheme == "tflite":
        apart |= before_choices(graph) | narrow(graph, extremes)
    fused = fused_activations(graph)
    quicker = thin_start(graph) if scheme.startswith("onnxruntime") else ()
    found: dict[str, str] = {}
    for op in graph.ops:
        if op.kind == "input":
            continue
        reason = "kept in float as asked" if op.name in keep_float else _why_float(op, scheme)
        if not all(graph[name].dtype.is_floating_point for name in op.inputs):
            reason = reason or "it reads whole numbers or truth values"
        reason = reason or apart.get(op.name)
        if op.name in quicker:
            reason = reason or "of so few channels onnxruntime is quicker in float"
        if reason:
            found.setdefault(op.name, reason)
        if op.name in found and op.name in fused:
            found[fused[op.name].name] = found[op.name]
    return found | enclosed(graph, found)


def enclosed(graph: Graph, in_float: Collection[str]) -> dict[str, str]:
    """Name the operators without weights that read what is made in float alone, and give to such or to the caller.

    In integers they would cost a rounding at both ends, as the scaling of scores between the products of attention.
    """
    readers, outside = graph.consumers, {*in_float, *(op.name for op in graph if op.kind == "constant")}
    found = {op.name for op in graph if op.inputs and op.kind not in LAYERS and op.name not in in_float}
    left = set[str]()
    while found != left:
        left, inside = found, found | outside
        found = {n for n in left if inside.issuperset(graph[n].inputs) and all(r.name in inside for r in readers[n])}
    return dict.fromkeys(found, "it stands between operators in float")


def fine_shares(graph: Graph, scheme: str, extremes: Extremes) -> dict[str, str]:
    """The softmaxes over so many elements that each is a few steps of 1/256, what moves them, and what reads them."""
    found: dict[str, str] = {}
    for op in graph.ops if scheme != "tensorrt" else ():  # whose integers are as fine as the values are small
        fine = op.kind == "softmax" and _is_fine(graph, op, extremes)
        if fine or any(_hands_on(graph[name], scheme) for name in op.inputs if name in found):
            found[op.name] = "of a softmax over so many, or with so small shares, integers would say too little"
    return found


def _is_fine(graph: Graph, op: Op, extremes: Extremes) -> bool:
    many = op.shape[op.attrs["dim"]] > MOST_SHARES and not graph.is_output(op.name)
    return many or extremes.get(op.name, (0.0, 1.0))[1] < LEAST_SHARE


def _hands_on(op: Op, scheme: str) -> bool:
    return op.kind == "softmax" or carries(op, scheme)


def narrow(graph: Graph, extremes: Extremes) -> dict[str, str]:
    """Return the sigmoids and tanhs whose values are a few steps of the only scale that TFLite has for them."""
    reason = "its values are too small for the scale that TFLite prescribes"
    return {op.name: reason for op in graph if is_narrow(op, extremes)}


def before_choices(graph: Graph) -> dict[str, str]:
    """What stands between integers and the place of the largest of them, which is another where rounded values tie."""
    readers, found = graph.consumers, dict[str, str]()
    for op in reversed(graph.ops):
        chosen = readers[op.name] and all(r.kind in _CHOICES or r.name in found for r in readers[op.name])
        if chosen and op.kind in _KEEPING_ORDER and not graph.is_output(op.name):
            found[op.name] = "the largest of its values is looked for, and integers tie"
    return found


def preparation(graph: Graph) -> dict[str, str]:
    """Return what makes the first layer's values of an input's whole numbers: in float they are rounded once."""
    whole, found = {op.name for op in graph.inputs if not op.dtype.is_floating_point}, dict[str, str]()
    for op in graph:
        if not op.inputs or not all(name in whole or name in found for name in op.inputs):
            continue
        if not op.dtype.is_floating_point:
            whole.add(op.name)
        elif op.kind in _PREPARING:
            found[op.name] = "it prepares whole numbers of the input"
    return found


def squares(graph: Graph) -> dict[str, str]:
    """Squares that are summed or averaged, as in variances and norms, and their sums: eight bits hold no squares."""
    readers, found = graph.consumers, dict[str, str]()
    for op in graph:
        summed = readers[op.name] and all(reader.kind in ("mean", "sum") for reader in readers[op.name])
        if is_square(op) and summed:
            found |= dict.fromkeys((op.name, *(reader.name for reader in readers[op.name])), _OF_SQUARES)
    return found


def divisors(graph: Graph) -> dict[str, str]:
    """What is divided by, with the steps that lead to it: in eight bits it would be zero, and its epsilon is gone.

    What is divided is moved in float, too: where a divisor is small, a step of it is many of the quotient.
    """
    found: dict[str, str] = {}
    for op in graph:
        if not _divides(op):
            continue
        _towards_small(graph, op.inputs[-1], "what is divided by it must not be rounded to zero", found)
        if len(op.inputs) == 2:
            reason = "its rounding would grow by the division behind it"
            _towards(graph, op.inputs[0], _TOWARDS_DIVIDENDS, reason, found)
    return found


def roots(graph: Graph) -> dict[str, str]:
    """What a root is taken of, with the steps that lead to it, as in means of powers: near zero its steps grow."""
    found: dict[str, str] = {}
    for op in graph:
        if op.kind == "sqrt" or (op.kind == "pow" and 0 < _exponent(op) < 1):
            _towards_small(graph, op.inputs[0], "the root behind it would make its rounding large", found)
    return found


def _exponent(op: Op) -> float:
    other = op.attrs.get("other", 0)  # 0: a tensor
    return float(other) if len(op.inputs) == 1 else 0.0


def _towards_small(graph: Graph, name: str, reason: str, found: dict[str, str]) -> None:
    """Name what leads to a divisor or a root, with the squares at its beginning and what adds them around a place."""
    name = _towards(graph, name, _TOWARDS_DIVISORS, reason, found)
    ends = (name, graph[name].inputs[0]) if graph[name].kind in _SUMS else (name,)
    if is_square(graph[ends[-1]]):
        found |= dict.fromkeys(ends, _OF_SQUARES)


def _towards(graph: Graph, name: str, kinds: frozenset[str], reason: str, found: dict[str, str]) -> str:
    """Name the operators from `name` backward, as far as they are of these kinds, of one tensor, and of no layer's.

    Returns the first that is not.
    """
    inside = {op.name for op in fused_activations(graph).values()}
    while len(graph[name].inputs) == 1 and graph[name].kind in kinds and name not in inside:
        found.setdefault(name, reason)
        name = graph[name].inputs[0]
    return name


def _divides(op: Op) -> bool:
    by_computed = op.kind == "div" and (len(op.inputs) == 2 or bool(op.attrs.get("reflected")))
    return by_computed or op.kind in ("rsqrt", "reciprocal")


def thin_start(graph: Graph) -> frozenset[str]:
    """Return the convolutions at a network's start that onnxruntime computes faster in float than in integers.

    Its integer kernels pay for every place of the kernel, whatever few channels are there, and the first layers have
    the most places. Once in integers a network stays so: each change of form costs a pass over the tensor.
    """
    fused = fused_activations(graph)
    reached, thin = {op.name for op in graph.inputs}, set()
    for op in graph.ops:
        if op.kind != "conv" or len(op.shape) != 4 or op.inputs[0] not in reached or op.shape[1] > _FEW_MADE:
            continue
        if graph.tensors(op)["weight"].shape[1] <= _FEW_READ:
            thin.add(op.name)
            reached.add(fused[op.name].name if op.name in fused else op.name)
    return frozenset(thin)


def _why_float(op: Op, scheme: str) -> str | None:
    if not op.dtype.is_floating_point:
        return "its values are integers already"
    if op.kind == "conv_transpose" and op.attrs["groups"] > 1:
        return "a grouped transposed convolution has no int8 kernel"
    if scheme == "tflite":
        return tflite_constraints.float_only(op)
    if op.kind not in _QLINEAR or (scheme == "tensorrt" and op.kind == "linear" and len(op.shape) != 2):
        return "onnxruntime has no int8 kernel for it"
    return None
