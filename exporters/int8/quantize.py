"""Recorded ranges -> an int8 network: scales of activations, rounded weights, corrected biases.

Weights are symmetric int8 per output channel. Rounding them shifts the mean of each output channel; the shift is known
from the mean inputs and taken off the bias (Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias
Correction", 2019, section 4.2, with measured means).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from edgekit.errors import UsageError, nearest
from edgekit.exporters.int8.activations import activations, scheme_of
from edgekit.exporters.int8.bias_correction import measured_biases, sample
from edgekit.exporters.int8.islands import islands
from edgekit.exporters.int8.level_rounding import level
from edgekit.exporters.int8.own_scales import own_activations, own_bias, own_weight
from edgekit.exporters.int8.pair_sums import adds_in_pairs, fitted, from_kernel_order, in_kernel_order
from edgekit.exporters.int8.pixel_input import PixelEntry, pixel_entry, response
from edgekit.exporters.int8.ranges import Ranges
from edgekit.ir.graph import Graph, Op, rebuilt
from edgekit.ir.kernels import along_axis
from edgekit.ir.quantized import WEIGHT_LIMIT, OwnIntegers, QParams, QuantizedGraph, QWeight
from edgekit.ir.reference import LAYERS
from edgekit.records.preprocessing import Preprocessing

EFFORTS = ("fast", "default")
# A channel's largest weight stands on an integer from here to the limit: any coarser grid is part of one of these.
LEAST_TOP = 64
JUDGING = 512  # weights of a channel that its grids are compared on, at most
TRIED_AT_ONCE = 2**17  # weights: half a megabyte stays near the processor
BIAS_LIMIT = 2.0**30  # of an int32, with room for the sum that is added to it
SUM_LIMIT = 2.0**30 / 255  # of a channel's integers without signs: times any activation they leave room for the bias
# Fixed-point multipliers of the runtimes reach down to 2^-31.
MIN_MULTIPLIER = 2.0**-30
MIN_WEIGHT_SCALE = 1e-30  # of a channel of zeros


def quantize(
    graph: Graph,
    ranges: Ranges,
    scheme: str,
    effort: str = "default",
    keep_float: Collection[str] = (),
    pixels: Preprocessing | None = None,
) -> QuantizedGraph:
    """Return the int8 form of a folded float32 graph in a scheme (tflite, onnxruntime or tensorrt).

    `effort`: fast rounds to nearest; default also corrects biases, measured on some calibration images where there are
    any. `keep_float` names layers that stay in float. With `pixels` a caller hands over and takes integers: input and
    output have scales even where the layers there are in float, and the input's integers are 8-bit pixels, exactly,
    where the network allows it (exporters.int8.pixel_input). Raises UsageError for weights or ranges that are not
    finite or that no int8 scale can hold.
    """
    if effort not in EFFORTS:
        raise UsageError(f"unknown int8 effort '{effort}'{nearest(effort, EFFORTS)}", f"choose: {', '.join(EFFORTS)}")
    scheme_of(scheme)
    in_float = islands(graph, scheme, keep_float, ranges.extremes, ranges.channels)
    entry = pixel_entry(graph, in_float, pixels) if pixels is not None else None
    border = pixels is not None
    quantized = _rounded(graph, ranges, scheme, in_float, entry, border, correct=effort != "fast")
    if effort == "fast" or ranges.images is None:
        return quantized
    return measured_biases(quantized, graph, sample(graph, ranges.images))


def _rounded(
    graph: Graph,
    ranges: Ranges,
    scheme: str,
    in_float: Mapping[str, str],
    entry: PixelEntry | None,
    border: bool,
    correct: bool,
) -> QuantizedGraph:
    scales, own = activations(graph, ranges.extremes, scheme, in_float, border), ranges.own
    if own is not None:
        scales |= own_activations(graph, own, scales, scheme)
    if entry is not None:
        scales[graph.input.name] = entry.grid
    pairs = scheme_of(scheme).pairs
    weights, kept = {}, set[str]()
    for op in graph:
        if _in_integers(op, in_float):
            found = own_weight(graph, op, own, channel_axis(op), pairs) if own is not None else None
            kept |= {op.name} if found is not None else set()
            weights[op.name] = found or round_weight(graph, op, scales, pairs)
    quantized = QuantizedGraph(graph, scheme, scales, weights, {}, in_float, entry.offset if entry else None, border)
    shifts = analytic_shifts(quantized, ranges) if correct else {}
    quantized = with_biases(quantized, {name: shift for name, shift in shifts.items() if name not in kept})
    return quantized if own is None else _with_own_biases(quantized, own, kept)


def _with_own_biases(quantized: QuantizedGraph, own: OwnIntegers, kept: Collection[str]) -> QuantizedGraph:
    """The same network with the file's own biases, to the last integer, where the layers' scales are the file's."""
    found = dict(quantized.biases)
    for op in quantized.graph:
        if op.name in kept:
            bias = own_bias(op, own, quantized.bias_step(op))
            found[op.name] = found[op.name] if bias is None else bias
    return replace(quantized, biases=found)


def _in_integers(op: Op, in_float: Collection[str]) -> bool:
    return op.kind in LAYERS and op.name not in in_float


def channel_axis(op: Op) -> int:
    """Return the axis of the output channels in the operator's weight."""
    return 1 if op.kind == "conv_transpose" else 0


def round_weight(graph: Graph, op: Op, scales: Mapping[str, QParams] | None = None, pairs: bool = False) -> QWeight:
    """Return the weight rounded to nearest, on the grid of each channel that rounds it best.

    `scales` are those of the activations; None where they stay in float and no mean is known that a bias could make up
    for: then the sums of weights are kept (level_rounding). With `pairs` no two products that a kernel adds in 16 bits
    can leave them (pair_sums).
    """
    axis = channel_axis(op)
    weight = _finite(op, "weight", graph.tensors(op)["weight"])
    pairs = pairs and adds_in_pairs(op, weight)
    rows = in_kernel_order(weight) if pairs else weight.transpose(0, axis).flatten(1)
    scale = (rows.abs().amax(1).double() / best_tops(rows, pairs)).clamp(min=MIN_WEIGHT_SCALE)
    if scales is not None:
        scale = torch.maximum(scale, _least_scale(graph, op, scale, scales))
    source = scales[op.inputs[0]].scale if scales is not None else 1.0
    if not bool((scale * source < 1e30).all()):
        raise UsageError(f"the weights of layer {op.name} are too large for int8", "keep it in float32, or check them")
    scale = scale.float()
    steps = weight / along_axis(scale, axis, weight.dim())
    values = _level(steps, axis) if scales is None else steps.round_().clamp_(-WEIGHT_LIMIT, WEIGHT_LIMIT)
    values = values.to(torch.int8)
    if pairs:
        values = from_kernel_order(fitted(in_kernel_order(values)), weight.shape)
    return QWeight(values, scale, axis)


def _level(steps: Tensor, axis: int) -> Tensor:
    """Integers for the steps of a weight, whose output channels lie on `axis`."""
    turned = steps.transpose(0, axis)
    integers = level(turned.flatten(1), math.prod(steps.shape[2:]), WEIGHT_LIMIT)
    return integers.reshape(turned.shape).transpose(0, axis)


def best_tops(rows: Tensor, pairs: bool = False) -> Tensor:
    """For each channel (channels, weights) the integer of its largest weight with which all are rounded best.

    Weights that lie on a grid already, as those of quantization-aware training do, stay exactly on it; and the few
    weights of a depthwise kernel lie nearer to some grid than to the finest. With `pairs`, what neighbors give to
    stay within 16 bits counts as an error too.
    """
    unit = _judged(rows, pairs) / rows.abs().amax(1, keepdim=True).clamp(min=1e-30)
    tops = torch.arange(WEIGHT_LIMIT, LEAST_TOP - 1, -1, dtype=torch.float32)
    best = []
    for part in torch.split(unit, max(TRIED_AT_ONCE // (len(tops) * unit.shape[1]), 1)):
        values = (part[:, None] * tops[:, None]).flatten(0, 1)
        integers = fitted(values.round()) if pairs else values.round()
        errors = (values - integers).square_().sum(1).reshape(len(part), len(tops)) / tops.square()
        best.append(tops[errors.argmin(1)])  # of equal ones the first: the finest grid
    return torch.cat(best).double()


def pair_cost(quantized: QuantizedGraph) -> dict[str, float | int] | None:
    """Return what it costs the weights that pairs of products fit 16 bits; None in a scheme that does not ask for it.

    `layers` and `channels` are those that the kernels add in pairs, `grown` the share of channels whose scale grew, by
    `growth` on average over all; the others are signal-to-noise of all weights together, in dB.
    """
    if not scheme_of(quantized.scheme).pairs:
        return None
    growths, noise, free_noise, signal = [], 0.0, 0.0, 0.0
    for name, weight in quantized.weights.items():
        real = quantized.graph.tensors(quantized.graph[name])["weight"].detach().float()
        if not adds_in_pairs(quantized.graph[name], real):
            continue
        rows, fit = in_kernel_order(real), in_kernel_order(weight.real())
        scale = (rows.abs().amax(1).double() / best_tops(rows)).float().clamp(min=1e-30)
        free = torch.round(rows / scale[:, None]) * scale[:, None]
        growths.append(weight.scale / scale)
        signal += float(rows.double().square().sum())
        noise += float((rows - fit).double().square().sum())
        free_noise += float((rows - free).double().square().sum())
    if not growths:
        return None
    growth = torch.cat(growths)
    growth = growth[growth <= 1.01 * WEIGHT_LIMIT / LEAST_TOP]  # what is beyond, _least_scale made so, of dead channels
    return {
        "layers": len(growths),
        "channels": sum(map(len, growths)),
        "grown": float((growth > 1.001).float().mean()) if len(growth) else 0.0,
        "growth": float(growth.mean()) if len(growth) else 1.0,
        "snr_db": decibel(signal, noise),
        "full_range_snr_db": decibel(signal, free_noise),
    }


def decibel(signal: float, noise: float) -> float:
    """Return the ratio of two sums of squares in dB, at most 99: more is as good as exact."""
    return min(10 * math.log10(max(signal, 1e-30) / max(noise, 1e-40)), 99.0)


def _judged(rows: Tensor, pairs: bool) -> Tensor:
    """At most JUDGING weights of each channel (channels, weights), evenly spread; whole pairs with `pairs`."""
    step = -(-rows.shape[1] // JUDGING)
    if not pairs or step == 1:
        return rows[:, ::step]
    places = torch.arange(rows.shape[1] // 2)[::step] * 2
    return rows[:, torch.stack([places, places + 1], 1).flatten()]


def _least_scale(graph: Graph, op: Op, scale: Tensor, scales: Mapping[str, QParams]) -> Tensor:
    """What keeps bias and sums within int32 and the multiplier within fixed point.

    Nothing needs it but dead channels, and sums of more than 33,000 products.
    """
    own, source = graph.tensors(op), scales[op.inputs[0]].scale
    bias = _finite(op, "bias", own["bias"]) if "bias" in own else torch.zeros_like(scale)
    for_bias = bias.abs().double() * 1.01 / (source * BIAS_LIMIT)  # the correction may add a little
    readers = [op.name, *(reader.name for reader in graph.consumers[op.name])]
    rows = own["weight"].detach().transpose(0, channel_axis(op)).flatten(1)
    for_sum = rows.abs().sum(1).double() / max(SUM_LIMIT - rows.shape[1] / 2, 1.0)  # each may be rounded up
    target = next((scales[name].scale for name in readers if name in scales), source)
    return torch.maximum(for_bias, for_sum).clamp(min=max(target * MIN_MULTIPLIER / source, MIN_WEIGHT_SCALE))


def _finite(op: Op, role: str, tensor: Tensor) -> Tensor:
    tensor = tensor.detach().float()
    if not bool(tensor.isfinite().all()):
        raise UsageError(f"the {role} of layer {op.name} is not finite", "check the weights file")
    return tensor


# Biases


def analytic_shifts(quantized: QuantizedGraph, ranges: Ranges) -> dict[str, Tensor]:
    """By how much rounded weights raise the mean of each output channel, (channels,) by operator name."""
    graph, shifts = quantized.graph, {}
    for op in graph:
        if op.name not in quantized.weights or op.name not in ranges.windows:
            continue
        error = quantized.weights[op.name].real() - graph.tensors(op)["weight"].detach()
        window = ranges.windows[op.name]
        if op.kind == "linear":
            shifts[op.name] = (error * window).sum(-1)
            continue
        groups = op.attrs["groups"]  # each group of outputs sees its own inputs
        error = error.reshape(groups, -1, *error.shape[1:])
        window = window.reshape(groups, 1, -1, *window.shape[1:])
        shifts[op.name] = (error * window).flatten(2).sum(-1).reshape(-1)
    return shifts


def with_biases(quantized: QuantizedGraph, shifts: dict[str, Tensor]) -> QuantizedGraph:
    """Return the same network with `shifts` taken off its biases, which are then rounded to int32."""
    graph, params, ops, biases = quantized.graph, {}, [], {}
    for op in graph:
        if op.name in quantized.weights:
            weight = quantized.weights[op.name]
            own = graph.tensors(op)
            bias = own["bias"].detach().float() if "bias" in own else torch.zeros_like(weight.scale)
            bias = bias - shifts.get(op.name, torch.zeros_like(bias))
            name = op.params.get("bias", f"{op.name}.bias")
            if name in params:  # two layers share it, and each needs its own now
                name = f"{op.name}.own_bias"
            params[name] = bias
            op = op.with_(params={**op.params, "bias": name})
            if quantized.input_offset is not None and op.inputs[0] == graph.input.name:
                bias = bias + response(op, weight.real(), quantized.input_offset)
            biases[op.name] = torch.round(bias / quantized.bias_step(op)).clamp(-(2**31), 2**31 - 1).to(torch.int32)
        ops.append(op)
    return replace(quantized, graph=rebuilt(graph, ops, params=params), biases=biases)
