"""What TFLite's int8 kernels demand, for whoever chooses the ranges; where it is not kept, a QUANTIZE is inserted.

Sources: the kernels' own checks (tensorflow/lite/kernels/{activations,pooling,concatenation,pad}.cc) and TFLite's
8-bit quantization specification (https://ai.google.dev/edge/litert/models/quantization_spec).
"""

from __future__ import annotations

from edgekit.ir.graph import Graph, Op
from edgekit.ir.passes.fused_activations import activation_name
from edgekit.ir.quantized import QParams
from edgekit.ir.reference import ONE_TENSOR
from edgekit.ir.same_padding import Padding, padding_of

# The output's integers are prescribed: the kernel computes them whatever the tensor says.
FIXED_OUTPUT = {
    "softmax": QParams(1 / 256, -128),
    "sigmoid": QParams(1 / 256, -128),
    "tanh": QParams(1 / 128, 0),
}

# Of relu6(x + 3), which a hard sigmoid is a sixth of.
HARDSIGMOID_SUM = QParams(6 / 255, -128)

# Inputs and output share one scale and zero point: elements are moved or chosen, or averaged in integers.
SAME_SCALE = frozenset(
    {
        "max_pool",
        "avg_pool",
        "reshape",
        "pad",
        "cat",
        "slice",
        "permute",
        "upsample",
        "gather",
    }
    | {"max", "min", "maximum", "minimum"}
)

# Kinds whose int8 kernels, where TFLite has some, are not used yet.
_NO_INTEGERS = frozenset(
    {
        *ONE_TENSOR,
        "logical_not",
        "softplus",
        "cast",
        "sum",
        "prod",
        "cumsum",
        "topk_values",
        "pow",
    }
    | {"floor_div", "remainder", "where", "matmul", "conv_dynamic", "constant", "flip", "expand", "tile"}
    | {"layer_norm", "group_norm", "lstm", "lstm_cell", "gru", "grid_sample", "adaptive_max_pool"}
)
_FLOAT_ONLY = {
    "lrn": "local response normalization has no int8 kernel",
    "adaptive_avg_pool": "adaptive pooling with uneven windows has no int8 kernel",
    "batch_norm": "a normalization that was not folded has no int8 kernel",
    "call": "it is no operator of TFLite",
    "log_softmax": "the integers of a logarithm of shares are steps of 1/16",
}


def fixed_output(kind: str) -> QParams | None:
    """Return the only output quantization that an operator's int8 kernel has; None where any will do."""
    return FIXED_OUTPUT.get(kind)


def same_scale(kind: str) -> bool:
    """Whether an operator's int8 kernel wants its inputs and its output on one scale."""
    return kind in SAME_SCALE


def cuts_in_place(op: Op) -> bool:
    """Whether an operator cuts the integers of its input: MAXIMUM and MINIMUM, where no activation has the bounds."""
    return op.kind == "clip" and activation_name(op) is None


def float_only(op: Op) -> str | None:
    """Return why an operator has no int8 kernel and must be computed in float; None where it has one."""
    if op.kind in _FLOAT_ONLY:
        return _FLOAT_ONLY[op.kind]
    if op.kind in _NO_INTEGERS:
        return f"{op.kind} is computed in float"
    plain = op.kind == "conv" and op.attrs["groups"] == 1
    if op.kind in ("conv", "conv_transpose") and len(op.shape) == 5 and not plain:
        return "a grouped or transposed convolution of volumes has no int8 kernel"
    if op.kind == "max_pool" and any(d != 1 for d in op.attrs["dilation"]):
        return "pooling with gaps is computed in float"
    if op.kind == "upsample" and (op.attrs["mode"] == "bicubic" or op.attrs.get("scale") is not None):
        return "a resize by weights of its own is computed in float"
    if op.kind == "pad" and op.attrs.get("mode", "constant") == "replicate":
        return "edges that are continued are gathered in float"
    if op.kind == "elu" and op.attrs["alpha"] != 1:
        return "ELU with an alpha of its own has no int8 kernel"
    if op.kind == "div" and (len(op.inputs) == 2 or op.attrs.get("reflected")):
        return "a division by what is computed has no int8 kernel"
    return None


def mean_padding(graph: Graph, op: Op) -> Padding:
    """Return how TFLite says the padding of an average pooling."""
    a, sizes = op.attrs, graph[op.inputs[0]].shape[2:]
    return padding_of(sizes, op.shape[2:], a["kernel"], a["stride"], (1,) * len(sizes), a["padding"])


def padded_means(graph: Graph) -> dict[str, str]:
    """The average poolings that the file computes in float between integers, because they need a PAD; with the reason.

    They are no islands: the grid of their result is that of their input.
    """
    padded = (op.name for op in graph if op.kind == "avg_pool" and mean_padding(graph, op).explicit)
    return dict.fromkeys(padded, "an average over padding that is not TFLite's own is computed in float")
