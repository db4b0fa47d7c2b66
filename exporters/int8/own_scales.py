"""The scales that a quantized file has, kept where the network that was read from it becomes integers again.

A grid keeps its step; its zero point moves with the integers of the scheme (uint8 0 is int8 -128). Weights keep their
integers where these are symmetric int8, as all three runtimes want them, and biases theirs where both scales are kept.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from edgekit.exporters.int8.activations import scheme_of
from edgekit.exporters.int8.pair_sums import adds_in_pairs, fitted, in_kernel_order
from edgekit.ir.graph import Graph, Op
from edgekit.ir.passes.fused_activations import fused_activations
from edgekit.ir.quantized import WEIGHT_LIMIT, OwnIntegers, QParams, QWeight


def own_activations(graph: Graph, own: OwnIntegers, scales: Mapping[str, QParams], scheme: str) -> dict[str, QParams]:
    """Return the file's own grids, in the integers of a scheme, of the tensors that have some in `scales`."""
    kind = scheme_of(scheme)
    followers = {producer: op.name for producer, op in fused_activations(graph).items()}
    found = {}
    for layer, grid in own.activations.items():
        name = followers.get(layer, layer)
        zero = grid.zero_point + kind.low - grid.low
        if name in scales and grid.high - grid.low == kind.high - kind.low and not (kind.symmetric and zero):
            found[name] = QParams(grid.scale, zero, kind.low, kind.high)
    return found


def own_weight(graph: Graph, op: Op, own: OwnIntegers, axis: int, pairs: bool) -> QWeight | None:
    """Return a layer's weight in the file's own integers; None where it has none that a runtime takes as they are."""
    layer = own.layers.get(op.name)
    weight = graph.tensors(op)["weight"].detach()
    if layer is None or layer.scale.numel() not in (1, weight.shape[axis]):
        return None
    scale = layer.scale.expand(weight.shape[axis]).contiguous()
    along = [1] * weight.dim()
    along[axis] = -1
    steps = torch.round(weight / scale.reshape(along))
    if float(steps.abs().max()) > WEIGHT_LIMIT:
        return None
    values = steps.to(torch.int8)
    if pairs and adds_in_pairs(op, weight):
        rows = in_kernel_order(values)
        if not torch.equal(fitted(rows), rows):
            return None
    return QWeight(values, scale, axis)


def own_bias(op: Op, own: OwnIntegers, step: Tensor) -> Tensor | None:
    """Return a layer's bias in the file's own integers; None where its step (channels,) is another one."""
    layer = own.layers.get(op.name)
    if layer is None or layer.bias is None or layer.bias_step is None or layer.bias.shape != step.shape:
        return None
    same = torch.allclose(layer.bias_step.double().expand_as(step), step.double(), rtol=1e-6, atol=0.0)
    return layer.bias if same else None
