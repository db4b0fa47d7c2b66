"""What every join of operators does: go through a graph, change the last operator of a pattern, and drop the others."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from edgekit.ir.graph import Graph, Op, rebuilt


class Join:
    """One kind of join over a graph. What only the last operator of a pattern reads goes into it."""

    def __init__(self, graph: Graph) -> None:
        self.graph, self.ops = graph, dict(graph.by_name)
        self.consumers = graph.consumers
        self.readers = {name: len(found) for name, found in self.consumers.items()}
        self.params = dict(graph.params)
        self.gone: set[str] = set()
        self.alias: dict[str, str] = {}

    def joined(self) -> Graph:
        """Return the graph afterwards."""
        for op in self.graph:
            changed = self.change(self.ops[op.name])
            if changed is not None:
                self.ops[op.name] = changed
        ops = [self.ops[op.name] for op in self.graph if op.name not in self.gone]
        ops = [op.with_(inputs=tuple(self.alias.get(name, name) for name in op.inputs)) for op in ops]
        outputs = {public: self.alias.get(name, name) for public, name in self.graph.outputs.items()}
        return rebuilt(self.graph, ops, outputs, self.params)

    def change(self, op: Op) -> Op | None:
        """Return what an operator becomes as the last one of a pattern; None where it is none."""
        raise NotImplementedError

    def inner(self, name: str) -> Op | None:
        """Return an operator that is read once, and by nobody outside."""
        op = self.ops[name]
        return None if self.readers[name] != 1 or self.graph.is_output(name) or name in self.gone else op

    def tensor(self, op: Op) -> Tensor | None:
        """Return the constant operand of an operator; a number as a tensor."""
        if len(op.inputs) != 1 or op.attrs.get("reflected"):
            return None
        if "other" in op.params:
            found = self.params[op.params["other"]].detach()
            return found if found.is_floating_point() else None
        other = op.attrs.get("other")
        return torch.tensor(float(other)) if isinstance(other, (int, float)) else None

    def number(self, op: Op) -> float | None:
        """Return the number that an operator has as its other operand."""
        other = self.tensor(op)
        return float(other) if other is not None and other.numel() == 1 and not other.is_meta else None

    def drop(self, names: Sequence[str]) -> None:
        """Leave operators out."""
        self.gone.update(names)


def per_channel(other: Tensor, op: Op) -> Tensor | None:
    """Return a constant operand as a vector of the operator's channels; None where it is anything else."""
    axis = len(op.shape) - 1 if op.kind == "linear" else 1
    if op.kind == "linear" or len(op.shape) > 2:
        channels = op.shape[axis]
        padded = (1,) * (len(op.shape) - other.dim()) + tuple(other.shape)
        if len(padded) == len(op.shape) and other.numel() == channels == padded[axis]:
            return other if other.dim() == 1 else other.reshape(-1)
    return None
