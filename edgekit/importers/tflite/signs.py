"""What is known of the signs of a file's values, and what its integers span.

A quantised file may have no activation, and cut off at integers that begin at 0 instead: that is a Relu, or Relu6. A
pooling behind a PAD with zeros is one with padding where nothing is negative.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edgekit.importers.tflite.file import Stored, TfliteFile
from edgekit.importers.tflite.node import Node

Range = tuple[float, float]
_SIX = 6.0
_NEVER_BELOW_0 = frozenset({"RELU", "RELU6", "RELU_0_TO_1", "LOGISTIC", "SOFTMAX", "EXP", "ABS", "SQRT", "SQUARE"})
_KEEP_SIGN = frozenset(
    {"MAX_POOL_2D", "AVERAGE_POOL_2D", "MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "RESHAPE", "TRANSPOSE", "SQUEEZE"}
    | {"EXPAND_DIMS", "PAD", "CONCATENATION", "PACK", "UNPACK", "SPLIT", "SPLIT_V", "SLICE", "STRIDED_SLICE", "TILE"}
    | {"GATHER", "REVERSE_V2", "DEPTH_TO_SPACE", "SPACE_TO_DEPTH", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"}
    | {"QUANTIZE", "DEQUANTIZE", "ADD", "MUL", "MAXIMUM", "MINIMUM"}
)
_PASS = frozenset({"QUANTIZE", "DEQUANTIZE"})
_VALID = 1  # of the schema's Padding


def span(tensor: Stored) -> tuple[float, float, float] | None:
    """The least and the largest real number that a tensor's integers mean, and their step; None for other tensors."""
    if tensor.grid is None or tensor.dtype not in ("int8", "uint8", "int16"):
        return None
    step, zero, ends = float(tensor.grid.scales[0]), int(tensor.grid.zeros[0]), np.iinfo(tensor.dtype)
    return (int(ends.min) - zero) * step, (int(ends.max) - zero) * step, step


def with_signs(
    file: TfliteFile, inputs: Sequence[int], nodes: Sequence[Node]
) -> tuple[tuple[Node, ...], dict[str, Range]]:
    """The operators with what their signs make of them, and the ranges of a quantised file by layer."""
    positive, layers = set[int](), {index: file.tensor(index).name for index in inputs}
    ranges: dict[str, Range] = {}
    readers = Counter(index for node in nodes for index in node.inputs)
    poolers = {
        node.inputs[0]: node for node in nodes if node.kind == "MAX_POOL_2D" and node.get("Padding", 0) == _VALID
    }
    found = []
    for index in inputs:
        _spanned(file, index, layers[index], ranges)
    for node in nodes:
        output = node.outputs[0]
        values = [index for index in node.inputs if index >= 0 and file.tensor(index).place is None]
        below = node.activation in ("RELU", "RELU6") or node.kind in _NEVER_BELOW_0
        keeps = node.kind in _KEEP_SIGN and node.activation == "NONE" and bool(values)
        is_positive = below or (keeps and positive.issuperset(values) and len(values) == _operands(node))
        if node.kind == "PAD" and is_positive and output in poolers and readers[output] == 1:
            node = replace(node, fill=-np.inf)
        if not is_positive and node.activation == "NONE" and node.kind not in _PASS:
            node = _cut_off(file, node)
        if is_positive or node.ends is not None:
            positive.update(node.outputs)
        own = node.activation_name if node.activation != "NONE" or node.ends is not None else node.name
        layers[output] = layers.get(node.inputs[0], node.name) if node.kind in _PASS else own
        _spanned(file, output, layers[output], ranges)
        found.append(node)
    return tuple(found), ranges


def _operands(node: Node) -> int:
    """How many of an operator's inputs are values of the network."""
    if node.kind in ("ADD", "MUL", "MAXIMUM", "MINIMUM"):
        return 2
    return len(node.inputs) if node.kind in ("CONCATENATION", "PACK") else 1


def _spanned(file: TfliteFile, index: int, layer: str, ranges: dict[str, Range]) -> None:
    found = span(file.tensor(index))
    if found is not None:
        ranges.setdefault(layer, found[:2])


def _cut_off(file: TfliteFile, node: Node) -> Node:
    """The operator with the Relu that its integers are: those that begin at 0."""
    found = span(file.tensor(node.outputs[0]))
    if found is None or found[0] < 0:
        return node
    is_six = abs(found[1] - _SIX) < found[2]
    return replace(node, ends=(0.0, _SIX if is_six else None), activation_name=f"{node.name}/relu{'6' * is_six}")
