"""Values that a network compares with one another, as a heat map with the largest around each place.

In eight bits neighbors tie, and each of them would be a peak.
"""

from __future__ import annotations

from edgekit.ir.graph import Graph
from edgekit.ir.reference import LAYERS

_REASON = "its values are compared with one another, and integers tie"
_COMPARISONS = frozenset({"equal", "not_equal", "less", "less_equal", "greater", "greater_equal"})
# What leads from the nearest layers to the two sides.
_BETWEEN = frozenset(
    {"sigmoid", "softmax", "tanh", "relu", "clip", "upsample", "max", "min", "max_pool", "adaptive_max_pool", "where"}
    | {"maximum", "minimum", "slice", "reshape", "permute", "gather", "expand", "pad", "cat"}
)


def peaks(graph: Graph) -> dict[str, str]:
    """Return both sides of each comparison whose sides come from one tensor, back to the nearest layers and with these.

    These are the last ones, as the head that makes a heat map.
    """
    found: dict[str, str] = {}
    for op in graph:
        if op.kind in _COMPARISONS and len(op.inputs) == 2:
            left, right = (_sources(graph, name) for name in op.inputs)
            if left & right:
                found |= dict.fromkeys(left | right, _REASON)
    return found


def _sources(graph: Graph, name: str) -> set[str]:
    """The operators that lead to a value, of real numbers, with the layers that they begin at."""
    found, waiting = set[str](), [name]
    while waiting:
        op = graph[waiting.pop()]
        if op.name in found or op.kind not in _BETWEEN | LAYERS or not op.dtype.is_floating_point:
            continue
        found.add(op.name)
        waiting += op.inputs if op.kind in _BETWEEN else ()
    return found
