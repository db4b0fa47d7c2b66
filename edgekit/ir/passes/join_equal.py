"""Common subexpressions: one operator for all that compute the same of the same values.

Networks of cells begin each of their branches with an activation of the same map. Without this pass a file would hold
them apart or as one, as its writer does, and a file read back would differ from the network that it was written of.
"""

from __future__ import annotations

from typing import Any

from edgekit.ir.graph import Graph, Op, rebuilt

_OWN = frozenset({"input", "call"})  # an input is given from outside, and a function may answer differently each time


def join_equal(graph: Graph) -> Graph:
    """Return the same network with one operator for all that do the same to the same values.

    The first one keeps its name. An operator that computes an output stays.
    """
    alias: dict[str, str] = {}
    made: dict[tuple[Any, ...], list[Op]] = {}
    ops = []
    for op in graph:
        op = op.with_(inputs=tuple(alias.get(name, name) for name in op.inputs))
        alike = made.setdefault((op.kind, op.inputs, tuple(sorted(op.params.items())), op.dtype), [])
        same = next((one for one in alike if one.attrs == op.attrs), None)
        if same is not None and op.kind not in _OWN and not graph.is_output(op.name):
            alias[op.name] = same.name
            continue
        alike.append(op)
        ops.append(op)
    return rebuilt(graph, ops) if alias else graph
