"""The least memory that a network needs: its weights, and the activations that must live at once.

A lower bound to hold measured memory against. What it counts is what the layer table counts: the outputs of operators
that the table gives activation elements each have room of their own from when they are made until they were last read;
activation functions and the like work in place where nobody else still reads their input. Reshaping and padding cost
nothing, and no runtime, no workspace and no packed copy of the weights is counted.
"""

from __future__ import annotations

import math

from edgekit.ir.graph import Graph, Op
from edgekit.ir.layer_table import STORED

# Bytes of an element (weight, bias, activation) as the file's own arithmetic has them.
SIZES = {"fp32": (4, 4, 4), "fp16": (2, 2, 2), "int8": (1, 4, 1), "int8w": (1, 4, 4)}

# The same numbers seen otherwise; convolutions and pools pad as they read.
VIEWS = ("pad", "reshape")


def ideal_bytes(graph: Graph, precision: str) -> int:
    """Weights and peak activations of a folded graph in bytes, for the batch size that it was traced with."""
    weight, bias, activation = SIZES[precision]
    roles = {name: role for op in graph for role, name in op.params.items()}  # a shared tensor counts once
    sizes = {name: bias if role == "bias" else weight for name, role in roles.items()}
    stored = sum(graph.params[name].numel() * size for name, size in sizes.items())
    return stored + activation * peak_elements(graph)


def peak_elements(graph: Graph) -> int:
    """The most activation elements that must be kept at the same time, with the operators in the graph's order."""
    last = {name: index for index, op in enumerate(graph) for name in op.inputs}
    last |= dict.fromkeys(graph.outputs.values(), len(graph.ops))
    room: dict[str, str] = {}  # operator -> the one whose room its output lies in
    ends: dict[str, int] = {}  # room -> when it was last read
    sizes: dict[str, int] = {}
    for index, op in enumerate(graph):
        shared = _in_place(op, index, graph, room, ends)
        home = room[shared] if shared else op.name
        room[op.name] = home
        ends[home] = max(ends.get(home, index), last.get(op.name, index))
        sizes[home] = max(sizes.get(home, 0), 0 if op.kind == "pad" else math.prod(op.shape))
    begins = {op.name: index for index, op in enumerate(graph)}
    return max(
        sum(size for home, size in sizes.items() if begins[home] <= index <= ends[home]) for index in range(len(begins))
    )


def _in_place(op: Op, index: int, graph: Graph, room: dict[str, str], ends: dict[str, int]) -> str | None:
    """The input whose room this operator's output lies in, or None where it needs its own."""
    if op.kind in VIEWS:
        return op.inputs[0]
    if op.kind in STORED:
        return None
    elements = math.prod(op.shape)
    dying = (name for name in op.inputs if ends[room[name]] <= index)
    return next((name for name in dying if elements <= math.prod(graph[name].shape)), None)
