"""What is known of the signs of a file's values, and what its integers span.

A quantized file may have no activation, and cut off at integers that begin at 0 instead: that is a Relu, or Relu6. A
pooling behind a PAD with zeros is one with padding where nothing is negative; so it is behind a PADV2 with the least of
the integers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edgekit.importers.tflite.file import Stored, TfliteFile
from edgekit.importers.tflite.node import Node

_SIX = 6.0
_CONSTANT = 1e-8  # a step so small stands for a value that was 0 on all images, and says nothing of signs
_NEVER_BELOW_0 = frozenset({"RELU", "RELU6", "RELU_0_TO_1", "LOGISTIC", "SOFTMAX", "EXP", "ABS", "SQRT", "SQUARE"})
_KEEP_SIGN = frozenset(
    {"MAX_POOL_2D", "AVERAGE_POOL_2D", "MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "RESHAPE", "TRANSPOSE", "SQUEEZE"}
    | {"EXPAND_DIMS", "PAD", "CONCATENATION", "PACK", "UNPACK", "SPLIT", "SPLIT_V", "SLICE", "STRIDED_SLICE", "TILE"}
    | {"GATHER", "REVERSE_V2", "DEPTH_TO_SPACE", "SPACE_TO_DEPTH", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"}
    | {"QUANTIZE", "DEQUANTIZE", "ADD", "MUL", "DIV", "MAXIMUM", "MINIMUM", "LOCAL_RESPONSE_NORMALIZATION"}
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
) -> tuple[tuple[Node, ...], dict[str, int]]:
    """The operators with what their signs make of them; and of a quantized file the tensor of each layer's integers."""
    positive, layers = set[int](), {index: file.tensor(index).name for index in inputs}
    spanned: dict[str, int] = {}
    readers = Counter(index for node in nodes for index in node.inputs)
    poolers = {
        node.inputs[0]: node for node in nodes if node.kind == "MAX_POOL_2D" and node.get("Padding", 0) == _VALID
    }
    found = []
    for index in inputs:
        _spanned(file, index, layers[index], spanned)
    for node in nodes:
        output = node.outputs[0]
        values = [index for index in node.inputs if index >= 0 and file.tensor(index).place is None]
        below = node.activation in ("RELU", "RELU6") or node.kind in _NEVER_BELOW_0
        keeps = node.kind in _KEEP_SIGN and node.activation == "NONE" and bool(values)
        keeps = keeps or (node.kind == "DEPTHWISE_CONV_2D" and _weighs_up(file, node))
        is_positive = below or (keeps and positive.issuperset(values) and _is_whole(file, node, len(values)))
        if (
            output in poolers
            and readers[output] == 1
            and ((node.kind == "PAD" and is_positive) or (node.kind == "PADV2" and _is_lowest(file, node)))
        ):
            node = replace(node, kind="PAD", inputs=node.inputs[:2], fill=-np.inf)
        if not is_positive and node.activation == "NONE" and not (node.kind in _PASS and node.inputs[0] in inputs):
            node = _cut_off(file, node)
        if is_positive or node.ends is not None:
            positive.update(node.outputs)
        ends = node.activation != "NONE" or node.ends is not None
        passes = node.kind in _PASS and not ends
        layers[output] = (
            layers.get(node.inputs[0], node.name) if passes else node.activation_name if ends else node.name
        )
        _spanned(file, output, layers[output], spanned)
        found.append(node)
    return tuple(found), spanned


def _is_lowest(file: TfliteFile, node: Node) -> bool:
    """Whether the number that a PADV2 puts around a map is the least that its integers say: nothing is below it."""
    found, value = span(file.tensor(node.outputs[0])), file.tensor(node.inputs[2])
    if found is None or value.place is None or value.grid is None:
        return False
    return float(file.array(value).reshape(-1)[0]) <= found[0] + found[2] / 2


def _weighs_up(file: TfliteFile, node: Node) -> bool:
    """Whether no weight and no bias is below 0, as of an average, or of every so many rows, that is written so."""
    own = [file.tensor(index) for index in node.inputs[1:] if index >= 0]
    return all(one.place is not None and bool((file.array(one) >= 0).all()) for one in own)


def _is_whole(file: TfliteFile, node: Node, values: int) -> bool:
    """Whether so many values of the network are all that decides the sign: what the file owns is not below 0."""
    if node.kind in ("ADD", "MUL", "DIV", "MAXIMUM", "MINIMUM"):
        own = [file.tensor(index) for index in node.inputs if index >= 0]
        return all(bool((file.array(one) >= 0).all()) for one in own if one.place is not None)
    return values == (len(node.inputs) if node.kind in ("CONCATENATION", "PACK") else 1)


def _spanned(file: TfliteFile, index: int, layer: str, spanned: dict[str, int]) -> None:
    if span(file.tensor(index)) is not None:
        spanned.setdefault(layer, index)


def _cut_off(file: TfliteFile, node: Node) -> Node:
    """The operator with the Relu that its integers are: those that begin at 0."""
    found = span(file.tensor(node.outputs[0]))
    if found is None or found[0] < 0 or found[2] < _CONSTANT:
        return node
    is_six = abs(found[1] - _SIX) < found[2]
    name = node.name if node.kind in _PASS else f"{node.name}/relu{'6' * is_six}"
    return replace(node, ends=(0.0, _SIX if is_six else None), activation_name=name)
