"""A network whose weights are float16."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from edgekit.errors import UsageError
from edgekit.ir.graph import Graph

_LAYERS = frozenset({"conv", "conv_transpose", "linear", "scale", "batch_norm", "lstm", "lstm_cell", "gru"})


def halved(graph: Graph) -> Graph:
    """Return the graph with its weights in float16. Raises UsageError for a layer that float16 cannot hold."""
    limit = torch.finfo(torch.float16).max
    for op in graph:
        for role, tensor in graph.tensors(op).items():
            if op.kind in _LAYERS and tensor.numel() and float(tensor.detach().abs().max()) > limit:
                raise UsageError(
                    f"the {role} of layer {op.name} exceeds what float16 can hold ({limit:g})",
                    "choose --precision fp32",
                )
    return replace(graph, params={name: _within_half(tensor) for name, tensor in graph.params.items()})


def _within_half(tensor: Tensor) -> Tensor:
    """In float16; what is beyond it, as masks of attention are, at its largest. Infinities stay."""
    if not tensor.is_floating_point():
        return tensor
    limit = torch.finfo(torch.float16).max
    return torch.where(tensor.isfinite(), tensor.detach().clamp(-limit, limit), tensor.detach()).to(torch.float16)
