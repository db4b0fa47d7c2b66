"""For whom an ONNX file with pairs of QuantizeLinear and DequantizeLinear is: onnxruntime alone, or TensorRT too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

BOTH, ONE = ("onnxruntime", "TensorRT"), ("onnxruntime",)
PAIRED = "DequantizeLinear"  # what every such file has


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

    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type not in (PAIRED, "QuantizeLinear"):
            continue
        stored, zero = (constants.get(name) for name in (node.input[0], "".join(node.input[2:3])))
        if node.op_type == PAIRED and stored is not None and stored.data_type == onnx.TensorProto.INT32:
            yield "int32 biases"
        if zero is None:
            continue
        if zero.data_type == onnx.TensorProto.UINT8:
            yield "uint8 values"
        if zero.data_location != onnx.TensorProto.EXTERNAL and np.any(onnx.numpy_helper.to_array(zero)):
            yield "zero points that are not 0"


def in_words(found: dict[str, list[str]]) -> str:
    """Say so in one line."""
    if not found["tensorrt_refuses"]:
        return " and ".join(found["runtimes"])
    why = ", ".join(found["tensorrt_refuses"])
    return f"onnxruntime; TensorRT refuses {why}: export with --format tensorrt for it"
