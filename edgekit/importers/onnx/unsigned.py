"""A quantized ONNX file with its weights in unsigned integers: the same numbers, summed up exactly everywhere.

Without VNNI, kernels of unsigned activations and signed weights add two products in 16 bits, and saturate.
What a file computes there is not what it says. With unsigned weights these kernels are others, and exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

# Where an operator has its weight, and that weight's zero point.
_WEIGHTS = {
    "QLinearConv": (3, 5),
    "QLinearMatMul": (3, 5),
    "QGemm": (3, 5),
    "ConvInteger": (1, 3),
    "MatMulInteger": (1, 3),
    "MatMulIntegerToFloat": (1, 5),
    "DynamicQuantizeMatMul": (1, 3),
}


def with_unsigned_weights(path: Path, to: Path) -> bool:
    """Write the file with unsigned weights. Returns False, and writes nothing, where it has no signed ones."""
    model = onnx.load(str(path))
    own = {tensor.name: tensor for tensor in model.graph.initializer}
    pairs = [pair for pair in _pairs(model.graph) if pair[0] in own and pair[1] in own and _is_signed(own, *pair)]
    for name in {name for pair in pairs for name in pair}:
        codes = numpy_helper.to_array(own[name]).astype(np.int16) + 128
        own[name].CopyFrom(numpy_helper.from_array(codes.astype(np.uint8), name))
    if pairs:
        onnx.save(model, str(to))
    return bool(pairs)


def _pairs(graph: Any) -> Iterator[tuple[str, str]]:
    """The names of each weight and its zero point, that nothing else reads."""
    reads: dict[str, set[tuple[str, int]]] = {}
    for node in graph.node:
        for at, name in enumerate(node.input):
            reads.setdefault(name, set()).add((node.op_type, at))
    for node in graph.node:
        weight, zero = _WEIGHTS.get(node.op_type, (0, 0))
        if weight and len(node.input) > zero:
            names = node.input[weight], node.input[zero]
            alone = (reads[name] == {(node.op_type, at)} for name, at in zip(names, (weight, zero), strict=True))
            if all(alone):
                yield names


def _is_signed(own: dict[str, Any], weight: str, zero: str) -> bool:
    return bool(own[weight].data_type == own[zero].data_type == onnx.TensorProto.INT8)
