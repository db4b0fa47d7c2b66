"""What leads to a logarithm, or to the grid of a sampling: there eight bits lose what the operator behind them needs.

Below one step of its integers a logarithm says nothing, and spectra spread over many powers of ten. A grid over the
whole width of a map in 256 steps moves what is sampled by parts of a pixel.
"""

from __future__ import annotations

from edgekit.ir.graph import Graph, Op
from edgekit.ir.reference import LAYERS

_LOG = "the logarithm behind it would make its rounding large"
_GRID = "a step of eight bits would move what is sampled by it"
# Which input of an operator is meant, and why.
_READ = {"log": (0, _LOG), "grid_sample": (1, _GRID)}
MOVES = frozenset({"slice", "reshape", "permute", "expand", "cat", "pad", "flip", "gather", "tile", "upsample"})
# Named as well, but not what they read: rounded logits cost a logarithm of these no more than they cost themselves.
_FROM_LOGITS = frozenset({"exp", "softmax", "sigmoid", "softplus"})
_PRODUCTS = LAYERS | {"conv_dynamic", "matmul"}
_OF_ELEMENTS = frozenset(
    {"add", "sub", "mul", "div", "scale", "clip", "maximum", "minimum", "where", "neg", "abs", "sqrt", "rsqrt", "pow"}
    | {"reciprocal", "log", "sin", "cos", "tanh", "relu", "leaky_relu"}
)
_JOINING = frozenset({"sum", "mean", "max", "min", "prod", "cumsum", "max_pool", "avg_pool"})
BETWEEN = MOVES | _OF_ELEMENTS | _JOINING
_KEEPING = MOVES | {"add", "mul", "clip", "sqrt", "pow", "relu", "sum", "mean", "avg_pool"}  # powers are still powers


def sensitive(graph: Graph) -> dict[str, str]:
    """Return the sensitive operators, with those in front of them back to the nearest layers, each with the reason.

    Where a layer sums powers, as the filters of a spectrogram do, what makes the powers is named as well. A product
    with a constant (the places of a grid, turned and scaled) is no layer.
    """
    found: dict[str, str] = {}
    for op in graph:
        if op.kind in _READ:
            index, reason = _READ[op.kind]
            _back(graph, op.inputs[index], reason, found)
    return found


def _back(graph: Graph, name: str, reason: str, found: dict[str, str]) -> None:
    waiting = [name]
    while waiting:
        op = graph[waiting.pop()]
        if op.name in found or op.kind not in BETWEEN | _FROM_LOGITS | _PRODUCTS:
            continue
        found[op.name] = reason
        if op.kind in BETWEEN or any(graph[source].kind == "constant" for source in op.inputs):
            waiting += op.inputs
        elif op.kind in _PRODUCTS:
            waiting += [source for source in op.inputs if _is_power(graph, source)]


def _is_power(graph: Graph, name: str) -> bool:
    """Whether these are squares or sizes, or made of such alone."""
    op = graph[name]
    if op.kind == "abs" or is_square(op):
        return True
    return bool(op.inputs) and op.kind in _KEEPING and all(_is_power(graph, source) for source in op.inputs)


def is_square(op: Op) -> bool:
    """Whether a tensor is multiplied by itself."""
    return op.kind == "mul" and len(op.inputs) == 2 and len(set(op.inputs)) == 1
