"""Places that a network computes: those that may be below 0 count from the end of their axis, as ONNX says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from edgekit.importers.onnx.node import Block, Node

# Where the operators have their places that take or set elements along one axis. Others are indices as torch has them.
_AT = {"Gather": 1, "GatherElements": 1, "ScatterElements": 1, "OneHot": 0}
_NEVER_BELOW_0 = frozenset({"ArgMax", "ArgMin", "NonZero", "Abs", "Relu"})
_MOVES = frozenset(
    {"Cast", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Transpose", "Identity", "Slice", "Expand", "Tile"}
    | {"Floor", "Ceil", "Round"}
)


def counted_from_end(block: Block) -> Block:
    """Return the nodes, with the attribute `from_end` where the places that they are given may be below 0.

    Places that are an input of the network, however it is moved, are those of a table (an embedding), and stay as they
    are.
    """
    makers = {name: node for node in block.nodes for name in node.outputs if name}
    return replace(block, nodes=tuple(_marked(node, makers) for node in block.nodes))


def _marked(node: Node, makers: Mapping[str, Node]) -> Node:
    at = _AT.get(node.key)
    if at is None or not _below_0(node.inputs[at], makers):
        return node
    return replace(node, attributes={**node.attributes, "from_end": 1})


def _below_0(name: str, makers: Mapping[str, Node]) -> bool:
    """Whether a value may be below 0; not of inputs and constants."""
    while name in makers and makers[name].key in _MOVES:
        name = makers[name].inputs[0]
    maker = makers.get(name)
    if maker is None or maker.key in _NEVER_BELOW_0:
        return False
    return not (maker.key == "TopK" and name == maker.outputs[1])
