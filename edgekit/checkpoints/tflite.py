"""Weights from Google's hosted MobileNet v1 .tflite files, float or quantised; BN was folded there.

Integers become the reals that they stand for: (stored - zero_point) * scale.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from edgekit.checkpoints.by_layer import EXACT_EPS, Layer, eps_of, name_ranges, name_tensors, traced
from edgekit.checkpoints.file import Checkpoint, broken, check_bytes, check_size
from edgekit.checkpoints.fit import most_elements
from edgekit.errors import BackendMissing, UsageError
from edgekit.ir.graph import Graph
from edgekit.network.spec import ModelSpec, variant
from edgekit.records.preprocessing import TENSORFLOW

WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
POOLS = ("AVERAGE_POOL_2D", "MEAN")
OTHERS = ("RESHAPE", "SQUEEZE", "SOFTMAX", "QUANTIZE", "DEQUANTIZE")
DTYPES = {0: np.float32, 1: np.float16, 2: np.int32, 3: np.uint8, 9: np.int8}  # by the schema's TensorType
INTEGERS = {3: (0, 255), 9: (-128, 127)}  # what an activation of that type can hold
RELU6 = 3  # by the schema's ActivationFunctionType
MOST_OPERATORS = 1000  # MobileNet has 31, and as many again where its weights are stored as float16
OPTIONS = {
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
}
SIX = 6.001  # a quantised file clips by its range, which training left a little off 6


def read(path: Path, spec: ModelSpec) -> Checkpoint:
    """The tensors of a MobileNet v1 file. Raises UsageError for what is broken or another network's."""
    file = _open(path, most_elements(spec))
    try:
        unknown = sorted({kind for kind, _ in file.operators} - {*WEIGHTED, *POOLS, *OTHERS})
        weighted = [(kind, op) for kind, op in file.operators if kind in WEIGHTED]
        if unknown:
            raise _another(path, spec, f"it has {', '.join(unknown[:4])}")
        if not weighted or not all(file.ends_in_relu6(kind, op) for kind, op in weighted[:-1]):
            raise _another(path, spec, "not every convolution ends in ReLU6")
        check_size(path, sum(file.elements(op) for _, op in weighted), most_elements(spec))
        layers, resolution = [file.layer(kind, op) for kind, op in weighted], file.resolution()
    except UsageError:
        raise
    except Exception as error:  # numpy and torch on tensors of the wrong size, rank or type
        raise broken(path, ".tflite", error) from error
    graph = traced(variant(spec))
    tensors = name_tensors(path.name, f"another network, of {len(layers)} layers", layers, graph, spec.name)
    # TensorFlow's own networks put a class "background" before ImageNet's.
    offset = int(layers[-1].weight.shape[0] == spec.classes + 1)
    preprocessing = TENSORFLOW.model_copy(update={"class_offset": offset})
    return Checkpoint(
        tensors, preprocessing, resolution, _ranges(file, layers, graph), eps_of(graph, EXACT_EPS), folded=True
    )


def _another(path: Path, spec: ModelSpec, why: str) -> UsageError:
    return UsageError(
        f"{path.name} is no MobileNet v1: {why}",
        f"give weights of {spec.name}; .tflite files are read for MobileNet v1 only",
    )


def _ranges(file: _File, layers: list[Layer], graph: Graph) -> dict[str, tuple[float, float]] | None:
    entry = file.range(_input(file.graph, 0))
    if entry is None or any(layer.range is None for layer in layers):
        return None
    pools = [file.range(_output(op)) for kind, op in file.operators if kind in POOLS]
    names = [op.name for op in graph if op.kind in ("mean", "avg_pool")]
    pooled = {name: found for name, found in zip(names, pools, strict=False) if found is not None}
    return {graph.input.name: entry, **pooled, **name_ranges(layers, graph)}


def _open(path: Path, most: int) -> _File:
    try:
        from ai_edge_litert import schema_py_generated as schema
    except ImportError as error:
        raise BackendMissing("ai-edge-litert is not installed", "pip install 'edgekit[export]'") from error
    check_bytes(path, path.stat().st_size, most)
    try:
        data = path.read_bytes()
        if data[4:8] != b"TFL3":
            raise ValueError("it does not begin like one")
        return _File(schema, schema.Model.GetRootAs(data, 0))
    except Exception as error:  # whatever the flatbuffer reader stumbles over
        raise broken(path, ".tflite", error) from error


class _File:
    """The operators, as (name, operator), and the tensors of a .tflite file's only graph.

    Parts are read where they lie in the file: there many can be one and the same, and taken out they would be copies.
    """

    def __init__(self, schema: Any, model: Any) -> None:
        names = {code: name for name, code in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
        if model.SubgraphsLength() != 1:
            raise ValueError(f"it has {model.SubgraphsLength()} graphs")
        self.model, self.graph, self._schema = model, model.Subgraphs(0), schema
        count = self.graph.OperatorsLength()
        if count > MOST_OPERATORS:
            raise ValueError(f"it has {count} operators")
        operators = [self.graph.Operators(index) for index in range(count)]
        codes = [model.OperatorCodes(_within(op.OpcodeIndex(), model.OperatorCodesLength())) for op in operators]
        kinds = [names[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())] for code in codes]
        self.operators = list(zip(kinds, operators, strict=True))
        self._unpacked = {_output(op): _input(op, 0) for kind, op in self.operators if kind == "DEQUANTIZE"}

    def resolution(self) -> int:
        """Height of the square input."""
        _, height, width, _ = _shape(self.tensor(_input(self.graph, 0)))
        if height != width:
            raise ValueError(f"its input is {height}x{width}, not square")
        return height

    def tensor(self, index: int) -> Any:
        """A tensor of the graph. Raises IndexError where there is none."""
        return self.graph.Tensors(_within(index, self.graph.TensorsLength()))

    def ends_in_relu6(self, kind: str, op: Any) -> bool:
        """Whether the operator's output is clipped to 0..6, by its activation or by its integers."""
        found = self.range(_output(op))
        clipped = found is not None and found[0] >= 0 and found[1] <= SIX
        return clipped or self._options(kind, op).FusedActivationFunction() == RELU6

    def _options(self, kind: str, op: Any) -> Any:
        options = getattr(self._schema, OPTIONS[kind])()
        table = op.BuiltinOptions()
        if table is None:
            raise ValueError(f"its {kind} says nothing of how")
        options.Init(table.Bytes, table.Pos)
        return options

    def layer(self, kind: str, op: Any) -> Layer:
        """One convolution or classifier in torch's layout."""
        weight, bias = self._constant(_input(op, 1)), self._constant(_input(op, 2))
        if kind == "CONV_2D":  # (O, H, W, I)
            weight = weight.permute(0, 3, 1, 2)
        elif kind == "DEPTHWISE_CONV_2D":  # (1, H, W, C)
            weight = weight.permute(3, 0, 1, 2)
        options = self._options(kind, op)
        stride = None if kind == "FULLY_CONNECTED" else (int(options.StrideH()), int(options.StrideW()))
        return Layer(weight, bias, kind == "DEPTHWISE_CONV_2D", stride, range=self.range(_output(op)))

    def elements(self, op: Any) -> int:
        """How many numbers the weight and the bias of an operator have."""
        return sum(math.prod(_shape(self._source(_input(op, place)))) for place in (1, 2))

    def range(self, index: int) -> tuple[float, float] | None:
        """The reals that the integers of an activation reach; None for a float tensor."""
        tensor = self.tensor(index)
        if tensor.Type() not in INTEGERS or not _quantised(tensor):
            return None
        low, high = INTEGERS[tensor.Type()]
        found = tensor.Quantization()
        scale, zero = float(found.Scale(0)), float(found.ZeroPoint(0))
        return (low - zero) * scale, (high - zero) * scale

    def _source(self, index: int) -> Any:
        """The tensor that a constant is stored in."""
        return self.tensor(self._unpacked.get(index, index))

    def _constant(self, index: int) -> Tensor:
        """A constant tensor as the reals that it stands for, float32."""
        tensor = self._source(index)
        raw = self.model.Buffers(_within(tensor.Buffer(), self.model.BuffersLength())).DataAsNumpy()
        raw = raw if isinstance(raw, np.ndarray) else np.empty(0, np.uint8)  # 0 where there is none
        values = np.frombuffer(raw.tobytes(), DTYPES[tensor.Type()]).reshape(_shape(tensor))
        if _quantised(tensor):
            found = tensor.Quantization()
            scale = np.asarray(found.ScaleAsNumpy(), np.float64)
            if len(scale) not in (1, values.shape[found.QuantizedDimension()]):
                raise ValueError(f"a tensor has {len(scale)} scales")
            shape = [1] * values.ndim
            shape[found.QuantizedDimension()] = len(scale)
            zero = np.asarray(found.ZeroPointAsNumpy()).reshape(shape)
            values = (values.astype(np.float64) - zero) * scale.reshape(shape)
        return torch.from_numpy(values.astype(np.float32))


def _within(index: int, length: int) -> int:
    """The index. The reader itself takes any, and gives what happens to lie there."""
    if not 0 <= index < length:
        raise IndexError(f"it speaks of a part {index} of {length}")
    return index


def _input(owner: Any, place: int) -> int:
    """The tensor at a place of an operator's or a graph's inputs."""
    return int(owner.Inputs(_within(place, owner.InputsLength())))


def _output(op: Any) -> int:
    """The tensor that an operator computes."""
    return int(op.Outputs(_within(0, op.OutputsLength())))


def _shape(tensor: Any) -> list[int]:
    if tensor.ShapeLength() > 4:
        raise ValueError(f"a tensor has {tensor.ShapeLength()} axes")
    return [max(0, int(tensor.Shape(axis))) for axis in range(tensor.ShapeLength())]


def _quantised(tensor: Any) -> bool:
    found = tensor.Quantization()
    return found is not None and found.ScaleLength() > 0
