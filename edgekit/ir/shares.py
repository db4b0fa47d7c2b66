"""Outputs that are shares of 1, as a sigmoid gives them.

A runtime computes e to the power of x so that the share is right beside 1: onnxruntime's are up to 1.3e-7 off, and 0
below 3e-8. Where a detector finds nothing, all of its shares may be that small. So an error of theirs is measured by
FAINT at least: 3e-4 of it are 3e-7.
"""

from __future__ import annotations

from edgekit.ir.graph import Graph, Op

FAINT = 1e-3
_KINDS = frozenset({"sigmoid"})
_MOVES = frozenset({"reshape", "permute", "slice", "pad", "gather", "flip"})


def is_share(op: Op) -> bool:
    """Return whether an operator gives shares of 1 that may all be near 0."""
    return op.kind in _KINDS


def least(graph: Graph) -> tuple[float, ...]:
    """Return for each output the least size by which its errors are measured: FAINT of shares, else 0."""
    return tuple(FAINT if is_share(_maker(graph, name)) else 0.0 for name in graph.outputs.values())


def _maker(graph: Graph, name: str) -> Op:
    """The operator that computes a value, which others may only move."""
    op = graph[name]
    while op.kind in _MOVES:
        op = graph[op.inputs[0]]
    return op
