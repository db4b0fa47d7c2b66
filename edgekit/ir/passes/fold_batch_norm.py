"""BatchNorm folding: Conv, ConvTranspose and Linear take the normalization that follows them into their own weights.

The rules go by data flow, not by neighborhood in a list of modules:

* after: y = s (W x + b) + t becomes (s W) x + (s b + t), where the normalization is the only reader of the layer; of
  a linear layer of tokens also where their rows are laid together in between;
* before: y = W (s x + t) + b becomes (W s) x + (W t + b), where the layer is the only reader of the normalization and
  does not pad (zeros that are padded after a shift are no longer zeros);
* otherwise it stays as one multiplication and one addition per channel ("scale"), and is named with the reason.

A multiplication by a number (the survival probability of stochastic depth) folds like a normalization without shift.
The arithmetic is in float64 whatever the network's own precision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from edgekit.ir.graph import Graph, Op, rebuilt
from edgekit.ir.passes.join_equal import join_equal
from edgekit.ir.reference import LAYERS


@dataclass(frozen=True)
class Folded:
    """A graph without BatchNorm, whose equal operators are joined.

    `remaining` names each normalization that stays as a scale, as "name: reason".
    """

    graph: Graph
    remaining: tuple[str, ...]


@torch.no_grad()
def fold(graph: Graph) -> Folded:
    """Fold every normalization that can be folded exactly, and join the operators that are equal afterwards."""
    graph = _fold_before(_fold_after(graph))
    readers = graph.consumers
    ops, params, remaining = [], dict(graph.params), []
    for op in graph:
        if op.kind == "batch_norm":
            remaining.append(f"{op.name}: {_reason(op, graph, readers)}")
            scale, shift = _affine(op, graph)
            own = graph.tensors(op)["mean"]
            op = _owning(op.with_(kind="scale", params={}, attrs={}), params, own, weight=scale, bias=shift)
        elif op.attrs.get("label") == "batch_norm without running statistics":
            remaining.append(f"{op.name}: it has no running statistics and normalizes by each input's own")
        ops.append(op)
    return Folded(join_equal(rebuilt(graph, ops, params=params)), tuple(remaining))


def _fold_after(graph: Graph) -> Graph:
    """Each normalization that is the only reader of a layer goes into that layer."""
    readers = {name: len(found) for name, found in graph.consumers.items()}
    for name in graph.outputs.values():
        readers[name] += 1
    done: dict[str, Op] = {}
    alias: dict[str, str] = {}
    params = dict(graph.params)
    graph = Graph(graph.ops, graph.outputs, params)  # sees what is folded on the way: conv, norm, norm
    for op in graph:
        op = op.with_(inputs=tuple(alias.get(name, name) for name in op.inputs))
        source = done.get(op.inputs[0]) if op.inputs else None
        layer = _layer_of(op, source, done) if source and readers[source.name] == 1 else None
        if source and layer and readers[layer.name] == 1:
            done[layer.name] = _scaled(layer, graph, params, *_affine(op, graph))
            alias[op.name] = source.name
            readers[source.name] = readers[op.name]
        else:
            done[op.name] = op
    outputs = {public: alias.get(name, name) for public, name in graph.outputs.items()}
    return rebuilt(graph, list(done.values()), outputs, params)


def _fold_before(graph: Graph) -> Graph:
    """Each normalization whose only reader is a layer that does not pad goes into that layer."""
    readers, params = graph.consumers, dict(graph.params)
    graph = Graph(graph.ops, graph.outputs, params)
    replaced: dict[str, Op] = {}
    removed: dict[str, str] = {}
    for op in graph:
        if op.kind != "batch_norm" or graph.is_output(op.name) or len(readers[op.name]) != 1:
            continue
        layer = replaced.get(readers[op.name][0].name, readers[op.name][0])
        if _takes_shift(layer):
            scale, shift = _affine(op, graph)
            replaced[layer.name] = _shifted(layer, graph, params, scale, shift)
            removed[op.name] = op.inputs[0]
    ops = [replaced.get(op.name, op) for op in graph if op.name not in removed]
    ops = [op.with_(inputs=tuple(removed.get(name, name) for name in op.inputs)) for op in ops]
    return rebuilt(graph, ops, params=params)


def _layer_of(op: Op, source: Op, done: Mapping[str, Op]) -> Op | None:
    """The layer on whose output channels `op` acts: its input, or what gives the rows that its input lays together."""
    if _follows(op, source):
        return source
    if op.kind != "batch_norm" or source.kind != "reshape" or len(source.shape) != 2:
        return None
    before = done[source.inputs[0]]
    return before if before.kind == "linear" and before.shape[-1] == source.shape[-1] else None


def _follows(op: Op, layer: Op) -> bool:
    """Whether `op` acts on the output channels of `layer`."""
    if layer.kind not in LAYERS or (layer.kind == "linear" and len(layer.shape) != 2 and op.kind == "batch_norm"):
        return False
    by_number = op.attrs.get("other") not in (None, 0.0) and (
        op.kind == "mul" or (op.kind == "div" and not op.attrs.get("reflected"))
    )
    return op.kind == "batch_norm" or by_number


def _takes_shift(layer: Op) -> bool:
    if layer.kind == "linear":
        return len(layer.shape) == 2
    return layer.kind == "conv" and all(pair == (0, 0) for pair in layer.attrs["padding"])


def _affine(op: Op, graph: Graph) -> tuple[Tensor, Tensor]:
    """(scale, shift) per channel in float64, of a normalization or a multiplication by a number."""
    if op.kind != "batch_norm":
        factor = op.attrs["other"] if op.kind == "mul" else 1 / op.attrs["other"]
        return torch.tensor([factor], dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    own = {role: tensor.detach().to(torch.float64) for role, tensor in graph.tensors(op).items()}
    scale = own.get("weight", torch.ones_like(own["var"])) / torch.sqrt(own["var"] + op.attrs["eps"])
    return scale, own.get("bias", torch.zeros_like(scale)) - own["mean"] * scale


def _scaled(layer: Op, graph: Graph, params: dict[str, Tensor], scale: Tensor, shift: Tensor) -> Op:
    """The layer followed by x * scale + shift on its output channels."""
    weight, bias = _weight_and_bias(layer, graph)
    scale, shift = scale.to(weight.device).expand_as(bias), shift.to(weight.device)
    if layer.kind == "conv_transpose":  # (in, out / groups, *kernel)
        groups = layer.attrs["groups"]
        by_group = weight.reshape(groups, -1, *weight.shape[1:])
        spatial = [1] * (weight.dim() - 2)
        folded = (by_group * scale.reshape(groups, 1, -1, *spatial)).reshape(weight.shape)
    else:  # (out, in / groups, *kernel)
        folded = weight * scale.reshape(-1, *[1] * (weight.dim() - 1))
    return _owning(layer, params, like=graph.tensors(layer)["weight"], weight=folded, bias=bias * scale + shift)


def _shifted(layer: Op, graph: Graph, params: dict[str, Tensor], scale: Tensor, shift: Tensor) -> Op:
    """The layer preceded by x * scale + shift on its input channels."""
    weight, bias = _weight_and_bias(layer, graph)
    groups = layer.attrs.get("groups", 1)
    spatial = [1] * (weight.dim() - 2)
    out_per_group = weight.shape[0] // groups
    by_input = scale.reshape(groups, 1, -1, *spatial), shift.reshape(groups, 1, -1, *spatial)
    grouped = weight.reshape(groups, out_per_group, *weight.shape[1:])
    moved = bias + (grouped * by_input[1]).flatten(2).sum(2).reshape(-1)
    return _owning(
        layer,
        params,
        like=graph.tensors(layer)["weight"],
        weight=(grouped * by_input[0]).reshape(weight.shape),
        bias=moved,
    )


def _weight_and_bias(layer: Op, graph: Graph) -> tuple[Tensor, Tensor]:
    own = {role: tensor.detach().to(torch.float64) for role, tensor in graph.tensors(layer).items()}
    weight = own["weight"]
    channels = weight.shape[1] * layer.attrs["groups"] if layer.kind == "conv_transpose" else weight.shape[0]
    return weight, own.get("bias", torch.zeros(channels, dtype=torch.float64, device=weight.device))


def _owning(op: Op, params: dict[str, Tensor], like: Tensor, **tensors: Tensor) -> Op:
    """The operator with tensors of its own, in the precision of `like`; those of other operators stay untouched."""
    names = {role: f"{op.name}.folded.{role}" for role in tensors}
    params.update({names[role]: tensor.to(like.dtype).contiguous() for role, tensor in tensors.items()})
    return op.with_(params={**op.params, **names})


def _reason(op: Op, graph: Graph, readers: Mapping[str, Sequence[Op]]) -> str:
    source = graph[op.inputs[0]]
    if source.kind in LAYERS:
        return f"its input {source.name} is also read by " + ", ".join(
            sorted(reader.name for reader in readers[source.name] if reader.name != op.name) or ["the output"]
        )
    after = " and ".join(sorted({reader.kind for reader in readers[op.name]})) or "the output"
    return f"it stands between {source.kind} and {after}, with no layer beside it that could take it exactly"
