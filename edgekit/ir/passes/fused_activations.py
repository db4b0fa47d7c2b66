"""Which activations a runtime computes inside the operator before them; between the two no tensor exists."""

from __future__ import annotations

from edgekit.ir.graph import Graph, Op

PRODUCERS = frozenset({"conv", "linear", "scale", "add", "sub", "mul"})


def activation_name(op: Op) -> str | None:
    """relu, relu6 or relu_n1_to_1, where the operator is one of these; else None."""
    if op.kind == "relu":
        return "relu"
    if op.kind == "clip":
        return {(0.0, 6.0): "relu6", (-1.0, 1.0): "relu_n1_to_1"}.get((op.attrs["min"], op.attrs["max"]))
    return None


def fused_activations(graph: Graph) -> dict[str, Op]:
    """For each producer whose only reader is such an activation: the producer's name -> the activation."""
    readers = graph.consumers
    return {
        op.name: readers[op.name][0]
        for op in graph
        if op.kind in PRODUCERS
        and not graph.is_output(op.name)
        and len(readers[op.name]) == 1
        and activation_name(readers[op.name][0])
    }
