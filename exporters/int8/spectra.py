"""Fourier transforms of an int8 network and what is done to frequencies, most of which would be zero in eight bits.

Of a signal or a picture the first frequencies are some hundred times the others.
"""

from __future__ import annotations

from edgekit.exporters.int8.sensitive import BETWEEN, MOVES
from edgekit.ir.graph import Graph
from edgekit.ir.reference import FROM_FREQUENCIES, TO_FREQUENCIES

_REASON = "frequencies differ too much in size for eight bits"


def spectra(graph: Graph) -> dict[str, str]:
    """The products with waves, what moves or changes frequencies up to the next layer, and what moves them back."""
    found: dict[str, str] = {}
    frequencies = set[str]()
    for op in graph:
        way = op.attrs.get("spectrum")
        if way:
            found[op.name] = _REASON
        if way == FROM_FREQUENCIES:
            _moved_there(graph, op.inputs[0], found)
        elif way == TO_FREQUENCIES or (
            op.kind in BETWEEN | {"matmul"} and any(name in frequencies for name in op.inputs)
        ):
            frequencies.add(op.name)
            found[op.name] = _REASON
    return found


def _moved_there(graph: Graph, name: str, found: dict[str, str]) -> None:
    """Name what only moves values on their way to a transform."""
    waiting = [name]
    while waiting:
        op = graph[waiting.pop()]
        if op.kind in MOVES and op.name not in found:
            found[op.name] = _REASON
            waiting += op.inputs
