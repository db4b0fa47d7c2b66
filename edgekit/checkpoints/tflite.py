"""Weights from Google's hosted MobileNet v1 .tflite files, float or quantized; BN was folded there.

Integers become the reals that they stand for.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from edgekit.importers.tflite.file import Operator, TfliteFile

WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
POOLS = ("AVERAGE_POOL_2D", "MEAN")
OTHERS = ("RESHAPE", "SQUEEZE", "SOFTMAX", "QUANTIZE", "DEQUANTIZE")
INTEGERS = {"uint8": (0, 255), "int8": (-128, 127)}  # what an activation of that type can hold
RELU6 = 3  # by the schema's ActivationFunctionType
SIX = 6.001  # a quantized file clips by its range, which training left a little off 6


def read(path: Path, spec: ModelSpec) -> Checkpoint:
    """Return the tensors of a MobileNet v1 file. Raises UsageError for what is broken or another network's."""
    file = _open(path, most_elements(spec))
    unknown = sorted({op.kind for op in file.operators} - {*WEIGHTED, *POOLS, *OTHERS})
    weighted = [op for op in file.operators if op.kind in WEIGHTED]
    if unknown:
        raise _another(path, spec, f"it has {', '.join(unknown[:4])}")
    try:
        if not weighted or not all(_ends_in_relu6(file, op) for op in weighted[:-1]):
            raise _another(path, spec, "not every convolution ends in ReLU6")
        stored = {op.outputs[0]: op.inputs[0] for op in file.operators if op.kind == "DEQUANTIZE"}  # as float16
        constants = [[stored.get(index, index) for index in op.inputs[1:3]] for op in weighted]
        elements = sum(math.prod(file.tensor(index).shape) for both in constants for index in both)
        check_size(path, elements, most_elements(spec))
        layers = [_layer(file, op, *both) for op, both in zip(weighted, constants, strict=True)]
        _, height, width, _ = file.tensor(file.inputs[0]).shape
        if height != width:
            raise ValueError(f"its input is {height}x{width}, not square")
    except UsageError:
        raise
    except Exception as error:  # numpy and torch on tensors of the wrong size, rank or type
        raise broken(path, ".tflite", error) from error
    graph = traced(variant(spec))
    tensors = name_tensors(path.name, f"another network, of {len(layers)} layers", layers, graph, spec.name)
    # TensorFlow's own networks put a class "background" before ImageNet's.
    offset = int(layers[-1].weight.shape[0] == spec.classes + 1)
    preprocessing = TENSORFLOW.model_copy(update={"class_offset": offset})
    ranges = _ranges(file, layers, graph)
    return Checkpoint(tensors, preprocessing, height, ranges, eps_of(graph, EXACT_EPS))


def _another(path: Path, spec: ModelSpec, why: str) -> UsageError:
    return UsageError(
        f"{path.name} is no MobileNet v1: {why}",
        f"give weights of {spec.name}; .tflite files are read for MobileNet v1 only",
    )


def _open(path: Path, most: int) -> TfliteFile:
    try:
        from edgekit.importers.tflite.file import TfliteFile
    except ImportError as error:
        raise BackendMissing("ai-edge-litert is not installed", "pip install 'edgekit[export]'") from error
    check_bytes(path, path.stat().st_size, most)
    return TfliteFile(path)


def _ranges(file: TfliteFile, layers: list[Layer], graph: Graph) -> dict[str, tuple[float, float]] | None:
    entry = _range(file, file.inputs[0])
    if entry is None or any(layer.range is None for layer in layers):
        return None
    pools = [_range(file, op.outputs[0]) for op in file.operators if op.kind in POOLS]
    names = [op.name for op in graph if op.kind in ("mean", "avg_pool")]
    pooled = {name: found for name, found in zip(names, pools, strict=False) if found is not None}
    return {graph.input.name: entry, **pooled, **name_ranges(layers, graph)}


def _range(file: TfliteFile, index: int) -> tuple[float, float] | None:
    """The reals that the integers of an activation reach; None for a float tensor."""
    tensor = file.tensor(index)
    if tensor.dtype not in INTEGERS or tensor.grid is None:
        return None
    low, high = INTEGERS[tensor.dtype]
    scale, zero = float(tensor.grid.scales[0]), float(tensor.grid.zeros[0])
    return (low - zero) * scale, (high - zero) * scale


def _ends_in_relu6(file: TfliteFile, op: Operator) -> bool:
    """Whether the operator's output is clipped to 0..6, by its activation or by its integers."""
    found = _range(file, op.outputs[0])
    clipped = found is not None and found[0] >= 0 and found[1] <= SIX
    return clipped or op.options.FusedActivationFunction() == RELU6


def _layer(file: TfliteFile, op: Operator, weight_index: int, bias_index: int) -> Layer:
    """One convolution or classifier in torch's layout."""
    weight, bias = _constant(file, weight_index), _constant(file, bias_index)
    if op.kind == "CONV_2D":  # (O, H, W, I)
        weight = weight.permute(0, 3, 1, 2)
    elif op.kind == "DEPTHWISE_CONV_2D":  # (1, H, W, C)
        weight = weight.permute(3, 0, 1, 2)
    stride = None if op.kind == "FULLY_CONNECTED" else (int(op.options.StrideH()), int(op.options.StrideW()))
    return Layer(weight, bias, op.kind == "DEPTHWISE_CONV_2D", stride, range=_range(file, op.outputs[0]))


def _constant(file: TfliteFile, index: int) -> Tensor:
    """A constant tensor as the reals that it stands for, float32."""
    return torch.from_numpy(file.array(file.tensor(index)).astype(np.float32))
