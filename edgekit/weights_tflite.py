"""Weights from Google's hosted MobileNet v1 .tflite files, float or quantised; BN was folded there.

Integers become the reals that they stand for: (stored - zero_point) * scale.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from edgekit.errors import BackendMissing, UsageError
from edgekit.graph import Graph
from edgekit.preprocess import TENSORFLOW
from edgekit.spec import ModelSpec
from edgekit.weights_file import Checkpoint, broken
from edgekit.weights_layers import EXACT_EPS, Layer, name_ranges, name_tensors, traced

WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
POOLS = ("AVERAGE_POOL_2D", "MEAN")
OTHERS = ("RESHAPE", "SQUEEZE", "SOFTMAX", "QUANTIZE", "DEQUANTIZE")
DTYPES = {0: np.float32, 1: np.float16, 2: np.int32, 3: np.uint8, 9: np.int8}  # by the schema's TensorType
INTEGERS = {3: (0, 255), 9: (-128, 127)}  # what an activation of that type can hold
RELU6 = 3  # by the schema's ActivationFunctionType
SIX = 6.001  # a quantised file clips by its range, which training left a little off 6


def read(path: Path, spec: ModelSpec) -> Checkpoint:
    """The tensors of a MobileNet v1 file. Raises UsageError for what is broken or another network's."""
    file = _open(path)
    unknown = sorted({kind for kind, _ in file.operators} - {*WEIGHTED, *POOLS, *OTHERS})
    if unknown:
        raise _another(path, spec, f"it has {', '.join(unknown[:4])}")
    weighted = [(kind, op) for kind, op in file.operators if kind in WEIGHTED]
    if not weighted or not all(file.ends_in_relu6(op) for _, op in weighted[:-1]):
        raise _another(path, spec, "not every convolution ends in ReLU6")
    try:
        layers, resolution = [file.layer(kind, op) for kind, op in weighted], file.resolution()
    except Exception as error:  # numpy and torch on tensors of the wrong size, rank or type
        raise broken(path, ".tflite", error) from error
    graph = traced(spec)
    tensors = name_tensors(path.name, f"another network, of {len(layers)} layers", layers, graph, spec.name)
    # TensorFlow's own networks put a class "background" before ImageNet's.
    offset = int(layers[-1].weight.shape[0] == spec.classes + 1)
    preprocessing = TENSORFLOW.model_copy(update={"class_offset": offset})
    return Checkpoint(tensors, preprocessing, resolution, _ranges(file, layers, graph), EXACT_EPS, folded=True)


def _another(path: Path, spec: ModelSpec, why: str) -> UsageError:
    return UsageError(
        f"{path.name} is no MobileNet v1: {why}",
        f"give weights of {spec.name}; .tflite files are read for MobileNet v1 only",
    )


def _ranges(file: _File, layers: list[Layer], graph: Graph) -> dict[str, tuple[float, float]] | None:
    entry = file.range(file.graph.inputs[0])
    if entry is None or any(layer.range is None for layer in layers):
        return None
    pools = [file.range(op.outputs[0]) for kind, op in file.operators if kind in POOLS]
    names = [op.name for op in graph if op.kind in ("mean", "avg_pool")]
    pooled = {name: found for name, found in zip(names, pools, strict=False) if found is not None}
    return {graph.input.name: entry, **pooled, **name_ranges(layers, graph)}


def _open(path: Path) -> _File:
    try:
        from ai_edge_litert import schema_py_generated as schema
    except ImportError as error:
        raise BackendMissing("ai-edge-litert is not installed", "pip install 'edgekit[export]'") from error
    try:
        data = path.read_bytes()
        if data[4:8] != b"TFL3":
            raise ValueError("it does not begin like one")
        return _File(schema, schema.ModelT.InitFromPackedBuf(data, 0))
    except Exception as error:  # whatever the flatbuffer reader stumbles over
        raise broken(path, ".tflite", error) from error


class _File:
    """The operators, as (name, operator), and the tensors of a .tflite file's only graph."""

    def __init__(self, schema: Any, model: Any) -> None:
        names = {code: name for name, code in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
        codes = [names[max(code.builtinCode, code.deprecatedBuiltinCode)] for code in model.operatorCodes]
        self.buffers = model.buffers
        (self.graph,) = model.subgraphs
        self.operators = [(codes[op.opcodeIndex], op) for op in self.graph.operators]
        self._unpacked = {op.outputs[0]: op.inputs[0] for kind, op in self.operators if kind == "DEQUANTIZE"}

    def resolution(self) -> int:
        """Height of the square input."""
        _, height, width, _ = self.graph.tensors[self.graph.inputs[0]].shape
        if height != width:
            raise ValueError(f"its input is {height}x{width}, not square")
        return int(height)

    def ends_in_relu6(self, op: Any) -> bool:
        """Whether the operator's output is clipped to 0..6, by its activation or by its integers."""
        found = self.range(op.outputs[0])
        clipped = found is not None and found[0] >= 0 and found[1] <= SIX
        return clipped or getattr(op.builtinOptions, "fusedActivationFunction", None) == RELU6

    def layer(self, kind: str, op: Any) -> Layer:
        """One convolution or classifier in torch's layout."""
        weight, bias = self._constant(op.inputs[1]), self._constant(op.inputs[2])
        if kind == "CONV_2D":  # (O, H, W, I)
            weight = weight.permute(0, 3, 1, 2)
        elif kind == "DEPTHWISE_CONV_2D":  # (1, H, W, C)
            weight = weight.permute(3, 0, 1, 2)
        options = op.builtinOptions
        stride = None if kind == "FULLY_CONNECTED" else (int(options.strideH), int(options.strideW))
        return Layer(weight, bias, kind == "DEPTHWISE_CONV_2D", stride, range=self.range(op.outputs[0]))

    def range(self, index: int) -> tuple[float, float] | None:
        """The reals that the integers of an activation reach; None for a float tensor."""
        tensor = self.graph.tensors[index]
        if tensor.type not in INTEGERS or not _quantised(tensor):
            return None
        low, high = INTEGERS[tensor.type]
        scale, zero = float(tensor.quantization.scale[0]), float(tensor.quantization.zeroPoint[0])
        return (low - zero) * scale, (high - zero) * scale

    def _constant(self, index: int) -> Tensor:
        """A constant tensor as the reals that it stands for, float32."""
        tensor = self.graph.tensors[self._unpacked.get(index, index)]
        raw = np.asarray(self.buffers[tensor.buffer].data, np.uint8).tobytes()
        values = np.frombuffer(raw, DTYPES[tensor.type]).reshape([int(size) for size in tensor.shape])
        if _quantised(tensor):
            scale = np.asarray(tensor.quantization.scale, np.float64)
            shape = [1] * values.ndim
            shape[tensor.quantization.quantizedDimension] = len(scale)
            zero = np.asarray(tensor.quantization.zeroPoint).reshape(shape)
            values = (values.astype(np.float64) - zero) * scale.reshape(shape)
        return torch.from_numpy(values.astype(np.float32))


def _quantised(tensor: Any) -> bool:
    found = tensor.quantization
    return found is not None and found.scale is not None and len(found.scale) > 0
