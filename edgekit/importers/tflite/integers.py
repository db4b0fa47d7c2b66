"""The integers of a quantized TFLite file: the grids of what it computes, and the scales and biases of its layers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from edgekit.importers.tflite.file import TfliteFile
from edgekit.importers.tflite.model import Model
from edgekit.importers.tflite.node import Node
from edgekit.importers.tflite.signs import span
from edgekit.ir.quantized import OwnIntegers, OwnLayer, QParams

# Where a layer's weight and its bias stand among its inputs.
_WEIGHTED = {
    "CONV_2D": (1, 2),
    "DEPTHWISE_CONV_2D": (1, 2),
    "FULLY_CONNECTED": (1, 2),
    "TRANSPOSE_CONV": (1, 3),
}


def own_integers(model: Model) -> OwnIntegers:
    """Return what a quantized file says of integers, by layer."""
    layers = {node.name: layer for node in model.nodes if (layer := _layer(model.file, node)) is not None}
    grids = {layer: grid for layer, index in model.spanned.items() if (grid := _grid(model.file, index)) is not None}
    return OwnIntegers(grids, layers)


def ranges(model: Model) -> dict[str, tuple[float, float]]:
    """Return what the integers of a quantized file span, by layer."""
    found = {layer: span(model.file.tensor(index)) for layer, index in model.spanned.items()}
    return {layer: ends[:2] for layer, ends in found.items() if ends is not None}


def _grid(file: TfliteFile, index: int) -> QParams | None:
    """The grid of an 8-bit tensor; None for others."""
    tensor = file.tensor(index)
    if span(tensor) is None or tensor.grid is None or tensor.dtype == "int16":
        return None
    ends = np.iinfo(tensor.dtype)
    return QParams(float(tensor.grid.scales[0]), int(tensor.grid.zeros[0]), int(ends.min), int(ends.max))


def _layer(file: TfliteFile, node: Node) -> OwnLayer | None:
    """The scales and the bias of a layer whose weight is symmetric int8."""
    if node.kind not in _WEIGHTED:
        return None
    at, behind = _WEIGHTED[node.kind]
    weight = file.tensor(node.inputs[at])
    if weight.dtype != "int8" or weight.grid is None or not weight.is_constant or weight.grid.zeros.any():
        return None
    scale = torch.from_numpy(weight.grid.scales.copy())
    index = node.inputs[behind] if behind < len(node.inputs) else -1
    bias = file.tensor(index) if index >= 0 else None
    if bias is None or bias.dtype != "int32" or bias.grid is None or not bias.is_constant:
        return OwnLayer(scale)
    integers = torch.from_numpy(file.array(replace(bias, grid=None)))
    return OwnLayer(scale, integers, torch.from_numpy(bias.grid.scales.copy()))
