"""Writing an ONNX file with its weights streamed after the graph, so that they are never copied into a message.

The wire format is protobuf's: a tag, a length, the bytes. Lengths are known before anything is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgekit.errors import GateFailed, UsageError
from edgekit.records.onnx_parts import as_varint
from edgekit.util.files import environment

LIMIT_BYTES = 2**31 - 1  # of one protobuf message
_GRAPH, _INITIALIZER, _RAW_DATA = b"\x3a", b"\x2a", b"\x4a"  # field numbers 7, 5 and 9, each length-delimited


def save(model: Any, constants: Mapping[str, NDArray[Any]], path: Path) -> None:
    """Write `model` (a ModelProto without initializers) and its initializers to one file.

    Raises UsageError above 2 GB, which one ONNX file cannot hold, and EnvironmentRefused where it cannot be written.
    """
    arrays = {name: np.asarray(array, order="C") for name, array in constants.items()}
    heads = {name: _head(name, array) for name, array in arrays.items()}
    lengths = {name: len(heads[name]) + array.nbytes for name, array in arrays.items()}
    graph = model.graph.SerializeToString(deterministic=True)
    graph_length = len(graph) + sum(1 + len(as_varint(length)) + length for length in lengths.values())
    outer = onnx.ModelProto()
    outer.CopyFrom(model)
    outer.ClearField("graph")
    if graph_length + outer.ByteSize() + 16 > LIMIT_BYTES:
        raise UsageError(
            f"the network needs {graph_length / 1e9:.2f} GB, and one ONNX file holds at most 2.14 GB",
            "choose --format tflite, or --precision fp16 or int8",
        )
    with environment(path), path.open("wb") as stream:
        stream.write(outer.SerializeToString(deterministic=True))
        stream.write(_GRAPH + as_varint(graph_length) + graph)
        for name, array in arrays.items():
            stream.write(_INITIALIZER + as_varint(lengths[name]) + heads[name])
            stream.write(array.reshape(-1).view(np.uint8).data)


def check(model: Any, constants: Mapping[str, NDArray[Any]]) -> None:
    """Let onnx's checker walk the graph, types and shapes included; large weights are declared, not copied.

    Raises GateFailed with what it says.
    """
    checked = onnx.ModelProto()
    checked.CopyFrom(model)
    for name, array in constants.items():
        kind = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
        if array.size <= 4096:  # shapes, axes and limits, whose values shape inference reads
            checked.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(array, order="C"), name))
        else:
            checked.graph.input.append(onnx.helper.make_tensor_value_info(name, kind, array.shape))
    try:
        onnx.checker.check_model(checked, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise GateFailed(
            f"onnx's checker refuses what was written: {' '.join(str(error).split())}",
            "choose another --precision or --opset, or replace the layer that it names",
        ) from error


def _head(name: str, array: NDArray[Any]) -> bytes:
    kind = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
    head: bytes = onnx.TensorProto(name=name, data_type=kind, dims=array.shape).SerializeToString(deterministic=True)
    return head + _RAW_DATA + as_varint(array.nbytes)
