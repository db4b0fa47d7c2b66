"""Operator versions, and the oldest runtime that has them.

A runtime refuses an operator whose version is newer than its own, so each operator carries the lowest version that
covers how it is used. The rules and releases are TensorFlow's
(tensorflow/compiler/mlir/lite/tools/versioning/{op_version,runtime_version}.cc).
"""

from __future__ import annotations

from edgekit.exporters.tflite.program import Node, Program

# version -> first release of TensorFlow Lite with it
_RELEASES: dict[str, dict[int, str]] = {
    "ABS": {1: "1.13.1"},
    "ADD": {1: "1.5.0", 2: "1.14.0"},
    "ARG_MAX": {1: "1.7.0"},
    "ARG_MIN": {1: "1.9.0"},
    "ATAN2": {1: "2.10.0"},
    "AVERAGE_POOL_2D": {1: "1.5.0", 2: "1.14.0"},
    "BITWISE_XOR": {1: "2.13.0"},
    "BATCH_MATMUL": {1: "2.3.0", 2: "2.3.0"},
    "CAST": {1: "1.5.0", 3: "2.8.0"},
    "CEIL": {1: "1.14.0"},
    "CONCATENATION": {1: "1.5.0", 2: "1.14.0"},
    "CONV_3D_TRANSPOSE": {1: "2.6.0"},
    "COS": {1: "1.14.0"},
    "CUMSUM": {1: "2.4.0"},
    "CONV_2D": {1: "1.5.0", 3: "1.14.0", 6: "2.9.0"},
    "DEPTHWISE_CONV_2D": {1: "1.5.0", 2: "1.12.0", 3: "1.14.0"},
    "DEQUANTIZE": {2: "1.14.0", 3: "1.15.0", 5: "2.7.0"},
    "DIV": {1: "1.6.0", 2: "2.3.0"},
    "ELU": {1: "1.14.0"},
    "EQUAL": {1: "1.14.0"},
    "EXP": {1: "1.7.0"},
    "FLOOR": {1: "1.9.0"},
    "FLOOR_DIV": {1: "1.14.0", 2: "1.14.0"},
    "FLOOR_MOD": {1: "1.13.1"},
    "FULLY_CONNECTED": {1: "1.5.0", 4: "1.14.0", 5: "2.0.0"},
    "GATHER": {1: "1.6.0", 2: "1.14.0", 3: "2.2.0", 5: "2.5.0"},
    "GELU": {1: "2.9.0", 2: "2.9.0"},
    "GREATER": {1: "1.14.0"},
    "GREATER_EQUAL": {1: "1.14.0"},
    "HARD_SWISH": {1: "1.15.0"},
    "LEAKY_RELU": {1: "1.13.1"},
    "LESS": {1: "1.14.0"},
    "LESS_EQUAL": {1: "1.14.0"},
    "LOCAL_RESPONSE_NORMALIZATION": {1: "1.5.0"},
    "LOG": {1: "1.14.0"},
    "LOGICAL_AND": {1: "1.14.0"},
    "LOGICAL_NOT": {1: "1.14.0"},
    "LOGICAL_OR": {1: "1.14.0"},
    "LOGISTIC": {1: "1.14.0", 2: "1.14.0"},
    "LOG_SOFTMAX": {1: "1.14.0", 2: "1.14.0"},
    "MAXIMUM": {1: "1.14.0", 2: "1.14.0", 3: "2.3.0"},
    "MAX_POOL_2D": {1: "1.5.0", 2: "1.14.0"},
    "MEAN": {1: "1.6.0", 2: "1.14.0"},
    "MINIMUM": {1: "1.14.0", 2: "1.14.0", 3: "2.3.0"},
    "MIRROR_PAD": {1: "1.13.1", 2: "1.14.0"},
    "MUL": {1: "1.5.0", 2: "1.14.0", 3: "1.15.0"},
    "NEG": {1: "1.9.0"},
    "NOT_EQUAL": {1: "1.14.0"},
    "PAD": {1: "1.5.0", 2: "1.14.0", 4: "2.6.0"},
    "PADV2": {1: "1.9.0", 2: "1.14.0", 4: "2.6.0"},
    "POW": {1: "1.10.0"},
    "PRELU": {1: "1.8.0"},
    "QUANTIZE": {1: "1.14.0"},
    "REDUCE_MAX": {1: "1.11.0", 2: "1.14.0"},
    "REDUCE_MIN": {1: "1.11.0", 2: "1.14.0"},
    "REDUCE_PROD": {1: "1.11.0"},
    "RELU": {1: "1.5.0", 2: "2.1.0"},
    "RELU6": {1: "1.5.0", 2: "1.14.0"},
    "RELU_N1_TO_1": {1: "1.5.0"},
    "RESHAPE": {1: "1.5.0"},
    "RESIZE_BILINEAR": {1: "1.7.0", 2: "1.14.0", 3: "2.2.0"},
    "RESIZE_NEAREST_NEIGHBOR": {1: "1.13.1", 2: "1.14.0", 3: "2.3.0"},
    "REVERSE_V2": {1: "1.14.0"},
    "ROUND": {1: "1.14.0"},
    "RSQRT": {1: "1.10.0"},
    "SELECT_V2": {1: "2.2.0"},
    "SIGN": {1: "2.12.0"},
    "SIN": {1: "1.9.0"},
    "SOFTMAX": {1: "1.5.0", 2: "1.14.0"},
    "SQRT": {1: "1.10.0"},
    "STRIDED_SLICE": {1: "1.6.0", 2: "1.14.0", 3: "2.1.0", 4: "2.2.0"},
    "SUB": {1: "1.6.0", 2: "1.14.0", 3: "2.3.0"},
    "SUM": {1: "1.10.0", 2: "1.15.0"},
    "TANH": {1: "1.14.0", 2: "1.14.0"},
    "TILE": {1: "1.10.1"},
    "TOPK_V2": {1: "1.7.0", 2: "1.14.0"},
    "TRANSPOSE": {1: "1.6.0", 2: "1.14.0", 4: "2.3.0", 6: "2.12.0"},
    "TRANSPOSE_CONV": {3: "2.3.0"},
}
# The lowest version with an int8 kernel, where it is not 2.
_INT8 = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 4}
_ALWAYS_ONE = frozenset({"QUANTIZE", "RESHAPE", "PRELU", "ELU", "HARD_SWISH", "LEAKY_RELU", "RELU_N1_TO_1"})


def version(program: Program, node: Node) -> int:
    """Return the lowest version of the operator that covers this use of it."""
    tensors = [program.tensors[index] for index in node.inputs]
    special = _special(node, [t.shape for t in tensors], tensors[0].dtype)
    if special:
        return special
    if node.builtin == "CAST":
        return 3 if "int8" in (tensors[0].dtype, program.tensors[node.outputs[0]].dtype) else 1
    scales = [program.tensors[i].grid for i in (*node.inputs, *node.outputs)]
    if node.builtin == "DEQUANTIZE" and scales[0] and len(scales[0].scales) > 1:
        return 5  # a scale a channel
    if node.builtin == "MUL" and all(scales):
        one, two, out = (grid.scales[0] for grid in scales if grid)
        return 3 if one * two / out >= 1 else 2
    integers = tensors[0].dtype in ("int8", "uint8") and node.builtin not in _ALWAYS_ONE
    return _INT8.get(node.builtin, 2) if integers else 1


def _special(node: Node, shapes: list[tuple[int, ...]], dtype: str) -> int | None:
    """Versions that shapes and options ask for; these come before what int8 asks for."""
    builtin, options, rank = node.builtin, node.options, max(map(len, shapes))
    if builtin == "CONV_2D" and shapes[0][3] != shapes[1][3]:
        return 6  # groups
    if builtin == "DEPTHWISE_CONV_2D" and dtype == "float32" and _dilated(node):
        return 2
    if builtin == "FULLY_CONNECTED" and options["keepNumDims"]:
        return 5
    if builtin == "TRANSPOSE_CONV" or (builtin == "DEQUANTIZE" and dtype == "float16"):
        return 3
    if builtin in ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR") and options.get("halfPixelCenters"):
        return 3
    if builtin == "FLOOR_DIV" and dtype == "float32":
        return 2
    if builtin == "GATHER" and (options["batchDims"] or dtype == "bool"):
        return 5 if options["batchDims"] else 3
    if builtin in ("PAD", "PADV2", "TRANSPOSE", "STRIDED_SLICE") and len(shapes[0]) > 4:
        return 6 if builtin == "TRANSPOSE" and len(shapes[0]) > 5 else 4
    if builtin == "STRIDED_SLICE" and dtype == "bool":
        return 3
    if rank > 4 and shapes[0] != shapes[1 if len(shapes) > 1 else 0]:
        return {"SUB": 3, "MAXIMUM": 3, "MINIMUM": 3, "DIV": 2}.get(builtin)
    return None


def _dilated(node: Node) -> bool:
    return (node.options["dilationHFactor"], node.options["dilationWFactor"]) != (1, 1)


def minimum_runtime(versions: dict[str, int]) -> str:
    """Return the oldest release that has every operator in its version."""
    releases = [_RELEASES[builtin][needed] for builtin, needed in versions.items()]
    return max(releases, key=lambda release: tuple(map(int, release.split("."))), default="1.5.0")
