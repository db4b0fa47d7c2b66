"""Biases against the mean error of rounding, measured on some of the calibration images.

The int8 network is compared with the float one on the same images; labels are never looked at.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from edgekit.data.calibration import CalibrationSet
from edgekit.exporters.int8.simulate import integer_graph, round_values
from edgekit.ir.graph import Graph, Op
from edgekit.ir.quantized import QuantizedGraph

IMAGES = 32  # more changed nothing on eight MobileNets
SAMPLE_BYTES = 256 << 20  # of the largest activation of all images together


def sample(graph: Graph, images: CalibrationSet) -> list[Tensor]:
    """Return the set's first IMAGES images in one batch; fewer where a large network would not fit into memory."""
    largest = 4 * max(math.prod(op.shape[1:]) for op in graph)
    count = max(min(IMAGES, SAMPLE_BYTES // largest, images.n), 1)
    several = zip(*islice(images.inputs(1), count), strict=True)
    xs = [torch.from_numpy(np.concatenate(parts)) for parts in several]
    return [x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x for x in xs]


@torch.no_grad()
def measured_biases(quantized: QuantizedGraph, graph: Graph, xs: list[Tensor]) -> QuantizedGraph:
    """The same network with each bias moved so that the layer's mean output on the inputs is the float network's.

    From the input to the output, so that a layer is measured behind layers that are corrected already. What rounding
    activations does to means (values near zero become zero) is seen only so.
    """
    wanted = _means(graph, quantized, xs)
    biases = dict(quantized.biases)

    def correct(op: Op, sums: Tensor) -> Tensor:
        moved = _moved(quantized, op, biases[op.name], wanted[op.name], sums)
        shift = (moved - biases[op.name]).float()
        biases[op.name] = moved
        return sums + (shift if op.kind == "linear" else shift.reshape(1, -1, *[1] * (sums.dim() - 2)))

    integer_graph(quantized, correct).run(*xs, observe=round_values(quantized))
    return replace(quantized, biases=biases)


def _moved(quantized: QuantizedGraph, op: Op, bias: Tensor, wanted: Tensor, sums: Tensor) -> Tensor:
    shift = torch.round(wanted / quantized.bias_step(op) - _channel_mean(op, sums))
    return (bias.double() + shift).clamp(-(2.0**30), 2.0**30).to(torch.int32)


def _means(graph: Graph, quantized: QuantizedGraph, xs: list[Tensor]) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}

    def look(op: Op, y: Tensor) -> None:
        if op.name in quantized.weights:
            found[op.name] = _channel_mean(op, y)

    graph.run(*xs, observe=look)
    return found


def _channel_mean(op: Op, y: Tensor) -> Tensor:
    channels = y if op.kind == "linear" else y.movedim(1, -1)
    return channels.reshape(len(y), -1, channels.shape[-1]).mean(1).double().mean(0)
