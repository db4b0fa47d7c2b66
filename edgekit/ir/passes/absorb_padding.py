"""Zero padding that stands in front of a convolution belongs to it; so does minus infinity before max-pooling."""

from __future__ import annotations

import math

from edgekit.ir.graph import Graph, Op, rebuilt


def absorb_padding(graph: Graph) -> Graph:
    """Return the same network with each pad that only one convolution or max-pooling reads moved into that operator."""
    ops, readers = graph.by_name, graph.consumers
    removed: set[str] = set()
    changed: list[Op] = []
    for op in graph.ops:
        pad = ops.get(op.inputs[0]) if op.inputs else None
        if pad and _belongs(pad, op) and len(readers[pad.name]) == 1 and not graph.is_output(pad.name):
            padding = tuple(
                (low + more_low, high + more_high)
                for (low, high), (more_low, more_high) in zip(op.attrs["padding"], pad.attrs["pads"][2:], strict=True)
            )
            op = op.with_(inputs=pad.inputs, attrs={**op.attrs, "padding": padding})
            removed.add(pad.name)
        changed.append(op)
    return rebuilt(graph, [op for op in changed if op.name not in removed])


def _belongs(pad: Op, op: Op) -> bool:
    if pad.kind != "pad" or op.kind not in ("conv", "max_pool"):
        return False
    fitting = 0.0 if op.kind == "conv" else -math.inf
    spatial_only = all(pair == (0, 0) for pair in pad.attrs["pads"][:2])
    growing = all(amount >= 0 for pair in pad.attrs["pads"] for amount in pair)
    constant = pad.attrs.get("mode", "constant") == "constant"
    return constant and spatial_only and growing and bool(pad.attrs["value"] == fitting)
