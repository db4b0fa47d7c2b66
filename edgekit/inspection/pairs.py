"""For whom an ONNX file with pairs of QuantizeLinear and DequantizeLinear is: onnxruntime alone, or TensorRT too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

BOTH, ONE = ("onnxruntime", "TensorRT"), ("onnxruntime",)
PAIRED = "DequantizeLinear"  # what every such file has
TAKEN = ("int8", "int4", "float8e4m3fn", "float4e2m1")  # between the halves of a pair, by NVIDIA's parser


def quantized_for(path: str) -> dict[str, list[str]]:
    """Return the runtimes that take a file's pairs, and what NVIDIA's parser refuses in it.

    The file is one that edgekit.inspection.contents read. {"runtimes": [...], "tensorrt_refuses": [...]}
    """
    import onnx

    model = onnx.load(path, load_external_data=False)
    refused = sorted(set(_refused(model, onnx)))
    return {"runtimes": list(ONE if refused else BOTH), "tensorrt_refuses": refused}


def _refused(model: Any, onnx: Any) -> Iterator[str]:
    """What NVIDIA's parser takes only for DLA, or not at all."""
    import numpy as np

    constants = dict(_constants(model.graph, onnx))
    for node in model.graph.node:
        if node.op_type not in (PAIRED, "QuantizeLinear"):
            continue
        stored, zero = (constants.get(name) for name in (node.input[0], "".join(node.input[2:3])))
        kind = _kind(node, stored, zero, onnx)
        if kind is not None and kind not in TAKEN:
            yield "int32 biases" if kind == "int32" else f"{kind} values"
        is_here = zero is not None and zero.data_location != onnx.TensorProto.EXTERNAL
        if is_here and np.any(onnx.numpy_helper.to_array(zero)):
            yield "zero points that are not 0"


def _constants(graph: Any, onnx: Any) -> Iterator[tuple[str, Any]]:
    """What is known before a graph runs, by name: some exporters write it as nodes."""
    yield from ((tensor.name, tensor) for tensor in graph.initializer)
    for node in graph.node:
        if node.op_type == "Constant":
            yield from ((node.output[0], one.t) for one in node.attribute if one.type == onnx.AttributeProto.TENSOR)


def _kind(node: Any, stored: Any, zero: Any, onnx: Any) -> str | None:
    """The type on the quantized side of a half, as ONNX names it; None where nothing tells."""
    asked = [one.i for one in node.attribute if one.name == "output_dtype" and node.op_type != PAIRED]
    told = [one.data_type for one in (zero, stored if node.op_type == PAIRED else None) if one is not None]
    return next((str(onnx.TensorProto.DataType.Name(kind)).lower() for kind in (*asked, *told) if kind), None)


def in_words(found: dict[str, list[str]]) -> str:
    """Return what `quantized_for` found, in a line: for which runtimes the file is, and why TensorRT refuses it."""
    if not found["tensorrt_refuses"]:
        return " and ".join(found["runtimes"])
    why = ", ".join(found["tensorrt_refuses"])
    return f"onnxruntime; TensorRT refuses {why}: export with --format tensorrt for it"
