"""int8w: the weights of layers in int8, everything else in float.

No activation becomes an integer, so no range is needed and no image. A file is a quarter as large, computes in float
at float's speed, and answers exactly what the rounded weights answer.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from edgekit.exporters.int8.quantize import analytic_shifts, decibel, round_weight
from edgekit.exporters.int8.ranges import Ranges
from edgekit.ir.graph import Graph, Op, rebuilt
from edgekit.ir.quantized import QuantizedGraph, QWeight
from edgekit.ir.reference import LAYERS

WEIGHTS = "weights"  # the scheme's name


def weights_only(graph: Graph, ranges: Ranges | None = None) -> QuantizedGraph:
    """Return the network with the weights of its convolutions and linear layers rounded to int8, one scale a channel.

    Its graph holds what the integers stand for, so that running it is what a file computes. A weight that several
    layers share is one tensor still. Rounding keeps the sums of weights; with `ranges` of images, what it still adds to
    the mean of a channel is taken off its bias. Raises UsageError for weights that are not finite or too large for a
    scale.
    """
    rounded: dict[str, QWeight] = {}
    weights: dict[str, QWeight] = {}
    for op in (one for one in graph if one.kind in LAYERS):
        name = _name(op)
        if name not in rounded:
            rounded[name] = round_weight(graph, op)
        weights[op.name] = rounded[name]
    quantized = QuantizedGraph(graph, WEIGHTS, {}, weights, {}, {})
    shifts = analytic_shifts(quantized, ranges) if ranges is not None else {}
    real = {name: weight.real() for name, weight in rounded.items()}
    return replace(quantized, graph=_rounded_graph(graph, weights, real, shifts))


def _rounded_graph(
    graph: Graph, weights: dict[str, QWeight], real: dict[str, Tensor], shifts: dict[str, Tensor]
) -> Graph:
    """The graph with the rounded weights, and with the shifts taken off biases that become each layer's own."""
    params, ops = dict(real), []
    for op in graph:
        if op.name in weights:
            own = {**op.params, "weight": _name(op)}
            if op.name in shifts:
                own["bias"] = f"{op.name}.bias/corrected"
                bias = graph.tensors(op).get("bias", torch.zeros_like(shifts[op.name]))
                params[own["bias"]] = bias.detach() - shifts[op.name]
            op = op.with_(params=own)
        ops.append(op)
    return rebuilt(graph, ops, params=params)


def _name(op: Op) -> str:
    """The rounded weight's name: a tensor that a layer reads the other way round is rounded along its other axis."""
    turned = "/transposed" if op.kind == "conv_transpose" else ""
    return f"{op.params['weight']}/int8{turned}"


def weight_facts(graph: Graph, quantized: QuantizedGraph) -> dict[str, Any]:
    """For the manifest: how much of the parameters is int8, how near the rounded weights are, and what stays float.

    `share` is of the parameters' number, `snr_db` the signal-to-noise of all rounded weights together; `float` are the
    operators with other matrices of their own, by name, with their kinds: they have no int8 form.
    """
    signal = noise = 0.0
    for name, weight in quantized.weights.items():
        real = graph.tensors(graph[name])["weight"].detach().double()
        signal += float(real.square().sum())
        noise += float((real - weight.real()).square().sum())
    own = quantized.graph.params
    stored = {quantized.graph[name].params["weight"] for name in quantized.weights}
    large = {name for name, tensor in own.items() if tensor.dim() > 1} - stored
    return {
        "layers": len(quantized.weights),
        "share": sum(own[name].numel() for name in stored) / max(sum(tensor.numel() for tensor in own.values()), 1),
        "snr_db": decibel(signal, noise),
        "float": {op.name: op.kind for op in quantized.graph if large & set(op.params.values())},
    }
