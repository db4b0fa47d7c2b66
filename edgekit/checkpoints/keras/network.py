"""Arrays of a Keras model under the names of a network: each layer with the next of its kind, in execution's order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from edgekit.checkpoints.by_layer import BN_ROLES
from edgekit.errors import UsageError
from edgekit.ir.graph import Graph, Op

CALLED = {"full": "convolutions and dense layers", "depthwise": "depthwise convolutions", "norm": "BatchNormalizations"}


@dataclass(frozen=True)
class Weighted:
    """A layer with arrays, in Keras' layout. `kind` is a key of CALLED; `eps` is a BatchNormalization's."""

    name: str
    kind: str
    arrays: Mapping[str, Tensor]
    eps: float | None = None
    channels_first: bool = False


def named(
    path: Path, layers: Sequence[Weighted], graph: Graph, model: str
) -> tuple[dict[str, Tensor], dict[str, float]]:
    """Return the tensors under the network's names, and the epsilon of each BatchNorm by its module.

    Raises UsageError for another count of layers, and for a network whose layers are no chain.
    """
    _check_chain(path, graph, model)
    ops = {kind: [op for op in graph if _kind(op) == kind] for kind in CALLED}
    found = {kind: [layer for layer in layers if layer.kind == kind] for kind in CALLED}
    _check_counts(path, found, ops, model)
    tensors: dict[str, Tensor] = {}
    eps: dict[str, float] = {}
    for kind in CALLED:
        for layer, op in zip(found[kind], ops[kind], strict=True):
            if layer.eps is None:
                tensors |= _convolution(layer, op, graph)
            else:
                tensors |= _norm(layer, op)
                eps[op.params["mean"].rpartition(".")[0]] = layer.eps
    for kind in ("full", "depthwise"):
        for layer, op in zip(found[kind], ops[kind], strict=True):
            if "bias" in layer.arrays and "bias" not in op.params:
                _move_bias(path, layer, op, graph, tensors)
    return tensors, eps


def _kind(op: Op) -> str | None:
    if op.kind in ("conv", "linear"):
        return "depthwise" if op.attrs.get("groups", 1) > 1 else "full"
    return "norm" if op.kind == "batch_norm" else None


def _check_chain(path: Path, graph: Graph, model: str) -> None:
    if any(len(op.inputs) > 1 for op in graph) or any(len(readers) > 1 for readers in graph.consumers.values()):
        raise UsageError(
            f"{path.name}: Keras files are read for networks that are a chain of layers, and {model} is none",
            f"give weights of {model} by torch's names",
        )


def _check_counts(
    path: Path, found: Mapping[str, Sequence[Weighted]], ops: Mapping[str, Sequence[Op]], model: str
) -> None:
    counts = {kind: (len(found[kind]), len(ops[kind])) for kind in CALLED}
    lacking = counts.pop("full")
    if all(one == other for one, other in counts.values()) and lacking[0] == lacking[1] - 1:
        raise UsageError(
            f"{path.name} has no classifier (as conv_preds)",
            "give the file with its top, not a `no_top` one; or bring the network without one as FILE.py:function",
        )
    for kind, (one, other) in {"full": lacking, **counts}.items():
        if one != other:
            raise UsageError(
                f"{path.name} has {one} {CALLED[kind]}, and {model} has {other}", f"give weights of {model}"
            )


def _convolution(layer: Weighted, op: Op, graph: Graph) -> dict[str, Tensor]:
    own = graph.params[op.params["weight"]]
    found = {op.params["weight"]: _kernel(layer, op, graph, own)}
    if "bias" in op.params:
        found[op.params["bias"]] = layer.arrays.get("bias", torch.zeros(own.shape[0]))
    return found


def _kernel(layer: Weighted, op: Op, graph: Graph, own: Tensor) -> Tensor:
    """(H, W, in, out), depthwise (H, W, C, 1), or (in, out), in torch's layout."""
    kernel = layer.arrays["kernel"]
    if kernel.dim() == 4:
        kernel = kernel.permute(2, 3, 0, 1) if layer.kind == "depthwise" else kernel.permute(3, 2, 0, 1)
        return kernel.flatten(1) if own.dim() == 2 and kernel.shape[2:] == (1, 1) else kernel
    if kernel.dim() != 2:
        raise UsageError(
            f"the kernel of {layer.name[:80]} has {kernel.dim()} axes, and the network's has {own.dim()}",
            "give weights of this network",
        )
    kernel = kernel.permute(1, 0)
    if own.dim() == 4:
        return kernel[:, :, None, None]
    size = _flattened(op, graph)
    if layer.channels_first:
        return kernel
    return kernel.reshape(len(kernel), *size, -1).permute(0, 3, 1, 2).flatten(1)


def _flattened(op: Op, graph: Graph) -> tuple[int, int]:
    """Height and width of the map that a linear layer reads as one row."""
    source = graph[op.inputs[0]]
    while source.inputs and source.kind not in ("reshape", "linear", "conv"):
        source = graph[source.inputs[0]]
    before = graph[source.inputs[0]].shape if source.kind == "reshape" else ()
    return (before[2], before[3]) if len(before) == 4 else (1, 1)


def _norm(layer: Weighted, op: Op) -> dict[str, Tensor]:
    mean = layer.arrays["moving_mean"]
    scale = layer.arrays.get("gamma", torch.ones_like(mean))  # scale=False
    shift = layer.arrays.get("beta", torch.zeros_like(mean))  # center=False
    roles = (scale, shift, mean, layer.arrays["moving_variance"])
    return {op.params[role]: tensor for role, tensor in zip(BN_ROLES, roles, strict=True)}


def _move_bias(path: Path, layer: Weighted, op: Op, graph: Graph, tensors: dict[str, Tensor]) -> None:
    """A bias in front of a BatchNorm is the same as a smaller mean."""
    norm = next((reader for reader in graph.consumers[op.name] if reader.kind == "batch_norm"), None)
    if norm is None:
        raise UsageError(
            f"{path.name}: its layer {layer.name[:80]} has a bias, and {op.name} has none", "leave out what is another"
        )
    mean = norm.params["mean"]
    tensors[mean] = tensors[mean] - layer.arrays["bias"]
