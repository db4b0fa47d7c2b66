"""Weights that come as a chain of layers without torch's names: each is matched with a layer of the traced network.

The order of execution names them, so that no table of module names is needed and a file of another network is noticed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from edgekit.checkpoints.fit import without_memory
from edgekit.errors import UsageError
from edgekit.frontend.tracer import trace
from edgekit.ir.graph import Graph, Op
from edgekit.network.spec import Variant

# With this epsilon, 1 - eps and (1 - eps) + eps are exact in float32: such a BN divides by exactly one.
EXACT_EPS = 2.0**-10
BN_ROLES = ("weight", "bias", "mean", "var")


@dataclass(frozen=True)
class Layer:
    """A convolution or classifier of a file.

    `weight` is (out, in / groups, height, width), or (out, in). `batch_norm` is (scale, shift, mean, variance), None
    where it was folded into weight and bias. `stride` and `range` (of the output after its activation) are None where
    the file does not tell them.
    """

    weight: Tensor
    bias: Tensor | None
    depthwise: bool
    stride: tuple[int, int] | None = None
    batch_norm: tuple[Tensor, Tensor, Tensor, Tensor] | None = None
    range: tuple[float, float] | None = None


def traced(point: Variant) -> Graph:
    """Return the graph of a variant, without memory for its tensors."""
    return trace(without_memory(point), *point.input_shapes)


def eps_of(graph: Graph, eps: float) -> dict[str, float]:
    """Return the same epsilon for every BatchNorm of a graph, by the name of its module."""
    return {op.params["mean"].rpartition(".")[0]: eps for op in graph if op.kind == "batch_norm"}


def name_tensors(file: str, family: str, layers: Sequence[Layer], graph: Graph, model: str) -> dict[str, Tensor]:
    """The tensors of `layers` under the names that they have in the network. Raises UsageError for another network."""
    weighted = [op for op in graph if op.kind in ("conv", "linear")]
    if not _alike(layers, weighted):
        raise UsageError(f"{file} holds {family}, not {model}", f"give weights of {model}, or export mobilenet")
    readers = graph.consumers
    tensors: dict[str, Tensor] = {}
    for layer, op in zip(layers, weighted, strict=True):
        tensors[op.params["weight"]] = _as_in(layer.weight, graph.params[op.params["weight"]])
        norm = next((reader for reader in readers[op.name] if reader.kind == "batch_norm"), None)
        tensors.update(_shifts(layer, op, norm))
    return tensors


def _alike(layers: Sequence[Layer], ops: Sequence[Op]) -> bool:
    return len(layers) == len(ops) and all(
        layer.depthwise == (op.attrs.get("groups", 1) > 1)
        and (layer.stride is None or op.kind == "linear" or layer.stride == op.attrs["stride"])
        for layer, op in zip(layers, ops, strict=True)
    )


def _as_in(weight: Tensor, own: Tensor) -> Tensor:
    """A 1x1 convolution and a linear layer are the same numbers; which one it is, the network decides."""
    if weight.dim() == 4 and own.dim() == 2 and weight.shape[2:] == (1, 1):
        return weight.flatten(1)
    if weight.dim() == 2 and own.dim() == 4:
        return weight[:, :, None, None]
    return weight


def _shifts(layer: Layer, op: Op, norm: Op | None) -> Iterator[tuple[str, Tensor]]:
    """Bias and BN of one layer by name; folded weights get a BN that only adds their bias."""
    zeros = torch.zeros(layer.weight.shape[0])
    bias = zeros if layer.bias is None else layer.bias
    if "bias" in op.params:
        yield op.params["bias"], bias
    if norm is None:
        return
    shift = zeros if "bias" in op.params else bias
    folded = (torch.ones_like(zeros), shift, zeros, torch.full_like(zeros, 1 - EXACT_EPS))
    for role, tensor in zip(BN_ROLES, layer.batch_norm or folded, strict=True):
        yield norm.params[role], tensor


def name_ranges(layers: Sequence[Layer], graph: Graph) -> dict[str, tuple[float, float]]:
    """Return the ranges of the layers' outputs by the operator that computes each in the network.

    A runtime computes the activation inside the layer, so the range is the activation's; what only reshapes the
    output has its range too.
    """
    readers = graph.consumers
    ranges: dict[str, tuple[float, float]] = {}
    weighted = [op for op in graph if op.kind in ("conv", "linear")]
    for layer, op in zip(layers, weighted, strict=True):
        if layer.range is not None:
            ranges.update(dict.fromkeys(_carriers(op, readers), layer.range))
    return ranges


def _carriers(op: Op, readers: Mapping[str, Sequence[Op]]) -> list[str]:
    names = [op.name]
    while len(readers[op.name]) == 1:
        op = readers[op.name][0]
        if op.kind in ("relu", "clip"):
            names = [op.name]
        elif op.kind in ("batch_norm", "reshape", "permute"):
            names.append(op.name)
        else:
            break
    return names
