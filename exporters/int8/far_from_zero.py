"""Outputs that vary little about a value far from zero, as an expected depth: most of eight bits would say that value.

Every range of integers has zero in it, which padding and rectifying need.
"""

from __future__ import annotations

from collections.abc import Mapping

from edgekit.ir.graph import Graph
from edgekit.ir.reference import LAYERS

FAR = 4  # times the width of its range: two of eight bits
_REASON = "the output varies little about a value far from zero"
_KEEPS_DIFFERENCES = "log_softmax"  # integers serve what it reads, whose values need not be far from zero
_NOT_BACK = LAYERS | {"input", "constant", "lstm", "gru", "lstm_cell", "matmul", "conv_dynamic"}


def far_from_zero(graph: Graph, extremes: Mapping[str, tuple[float, float]]) -> dict[str, str]:
    """Return what makes such outputs of the last layers' values, each with the reason to stay in float."""
    waiting = [name for name in graph.outputs.values() if _is_far(*extremes.get(name, (0.0, 0.0)))]
    found: dict[str, str] = {}
    while waiting:
        op = graph[waiting.pop()]
        if op.name not in found and op.kind not in _NOT_BACK and op.dtype.is_floating_point:
            found[op.name] = _REASON
            waiting += () if op.kind == _KEEPS_DIFFERENCES else op.inputs
    return found


def _is_far(low: float, high: float) -> bool:
    near = min(abs(low), abs(high))
    return low * high > 0 and near > FAR * (high - low) > 0
