"""What measuring on the calibration images adds to rounding: biases against the mean error, and narrower ranges.

Both compare the int8 network with the float one on the same images; labels are never looked at.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from edgekit.data.calibration import CalibrationSet
from edgekit.exporters.int8.activations import scale_groups
from edgekit.exporters.int8.ranges import Ranges
from edgekit.exporters.int8.simulate import integer_graph, round_values, run
from edgekit.ir.graph import Graph, Op
from edgekit.ir.quantized import QParams, QuantizedGraph
from edgekit.ir.reference import KERNELS

IMAGES = 32  # more changed nothing on eight MobileNets
SAMPLE_BYTES = 256 << 20  # of the largest activation of all images together
FACTORS = (0.95, 0.9, 0.8, 0.7)  # of a tensor's range


def sample(graph: Graph, images: CalibrationSet, start: int = 0, count: int = IMAGES) -> Tensor:
    """Some of the set's images in one batch, so few that a large network fits into memory."""
    largest = 4 * max(math.prod(op.shape[1:]) for op in graph)
    count = max(min(count, SAMPLE_BYTES // largest, images.n - start), 1)
    start = min(start, images.n - 1)
    found: list[Tensor] = []
    for batch in images.batches(1):
        if start > 0:
            start -= 1
            continue
        found.append(torch.from_numpy(batch))
        if len(found) == count:
            break
    x = torch.cat(found)
    return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x


@torch.no_grad()
def measured_biases(quantized: QuantizedGraph, graph: Graph, x: Tensor) -> QuantizedGraph:
    """The same network with each bias moved so that the layer's mean output on `x` is the float network's.

    From the input to the output, so that a layer is measured behind layers that are corrected already. What rounding
    activations does to means (values near zero become zero) is seen only so.
    """
    wanted = _means(graph, quantized, x)
    biases = dict(quantized.biases)

    def correct(op: Op, sums: Tensor) -> Tensor:
        moved = _moved(quantized, op, biases[op.name], wanted[op.name], sums)
        shift = (moved - biases[op.name]).float()
        biases[op.name] = moved
        return sums + (shift if op.kind == "linear" else shift.reshape(1, -1, *[1] * (sums.dim() - 2)))

    integer_graph(quantized, correct).run(x, observe=round_values(quantized))
    return replace(quantized, biases=biases)


def moved_bias(quantized: QuantizedGraph, op: Op, x: Tensor, own: Mapping[str, Tensor], wanted: Tensor) -> Tensor:
    """The int32 bias that gives a layer the mean output of `wanted` on `x`, which stands on the layer's input grid."""
    source = quantized.activations[op.inputs[0]].scale
    sums = KERNELS[op.kind](op, [torch.round(x / source)], own)
    return _moved(quantized, op, own["bias"], _channel_mean(op, wanted), sums)


def _moved(quantized: QuantizedGraph, op: Op, bias: Tensor, wanted: Tensor, sums: Tensor) -> Tensor:
    step = quantized.activations[op.inputs[0]].scale * quantized.weights[op.name].scale.double()
    shift = torch.round(wanted / step - _channel_mean(op, sums))
    return (bias.double() + shift).clamp(-(2.0**30), 2.0**30).to(torch.int32)


def _means(graph: Graph, quantized: QuantizedGraph, x: Tensor) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}

    def look(op: Op, y: Tensor) -> None:
        if op.name in quantized.weights:
            found[op.name] = _channel_mean(op, y)

    graph.run(x, observe=look)
    return found


def _channel_mean(op: Op, y: Tensor) -> Tensor:
    channels = y if op.kind == "linear" else y.movedim(1, -1)
    return channels.reshape(len(y), -1, channels.shape[-1]).mean(1).double().mean(0)


@torch.no_grad()
def measured_ranges(graph: Graph, quantized: QuantizedGraph, ranges: Ranges, x: Tensor) -> Ranges:
    """The ranges, each narrowed where rounding this tensor alone then disturbs the float network's output less.

    Values above a narrower range are cut, all others are kept more finely; which counts more, only the output tells.
    """
    exact = graph.run(x)
    narrowed: dict[str, tuple[float, float]] = {}
    for members in scale_groups(graph, quantized.scheme, quantized.islands):
        if graph.input.name in members or graph.output in members:
            continue
        params = quantized.activations[members[0]]
        errors = {1.0: _disturbance(graph, dict.fromkeys(members, params), x, exact)}
        for factor in FACTORS:
            narrow = replace(params, scale=params.scale * factor)
            errors[factor] = _disturbance(graph, dict.fromkeys(members, narrow), x, exact)
            if errors[factor] > 2 * min(errors.values()):
                break
        best = min(errors, key=lambda factor: errors[factor])
        narrowed.update(
            {name: (low * best, high * best) for name, (low, high) in ranges.extremes.items() if name in members}
        )
    return replace(ranges, extremes={**ranges.extremes, **narrowed})


def _disturbance(graph: Graph, rounded: Mapping[str, QParams], x: Tensor, exact: Tensor) -> float:
    y = graph.run(x, observe=lambda op, y: rounded[op.name].fake(y) if op.name in rounded else None)
    return float((y - exact).double().square().mean())


@torch.no_grad()
def output_error(graph: Graph, quantized: QuantizedGraph, x: Tensor) -> float:
    """The mean squared difference of the int8 network's output from the float one's."""
    return float((run(quantized, x) - graph.run(x)).double().square().mean())
