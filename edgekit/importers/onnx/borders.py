"""Inputs and outputs of a quantized ONNX file that are integers with a scale: the network has real numbers there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgekit.importers.onnx.node import Block
from edgekit.importers.onnx.quantized import GRIDS, grid_of
from edgekit.ir.quantized import QParams

_MOVERS = frozenset({"Transpose", "Reshape", "Identity", "Squeeze", "Unsqueeze", "Flatten", "Slice"})


def input_grids(block: Block, inputs: Sequence[str], arrays: Any, constants: Mapping[str, Any]) -> dict[str, QParams]:
    """Return the grids of the inputs that are only read with one scale and zero point, by name.

    `arrays` reads a constant by its name.
    """
    readers = block.readers()

    def grids(name: str) -> set[QParams | None]:
        """What its readers take a value for."""
        if name in block.outputs:
            return {None}
        found = set[QParams | None]()
        for node in readers.get(name, ()):
            if node.key in _MOVERS and node.inputs[0] == name:
                found |= grids(node.outputs[0])
            else:
                scale, zero = [*node.inputs[node.inputs.index(name) + 1 :], "", ""][:2]
                has_grids = node.key in GRIDS or node.key == "DequantizeLinear"
                found.add(grid_of(scale, zero, arrays, constants) if has_grids else None)
        return found

    each = {name: grids(name) for name in inputs}
    only = {name: found.pop() for name, found in each.items() if len(found) == 1}
    return {name: grid for name, grid in only.items() if grid is not None}


def output_grids(block: Block, arrays: Any, constants: Mapping[str, Any]) -> dict[str, QParams]:
    """Return the grids of the outputs that are integers with a scale, by name."""
    makers = {name: node for node in block.nodes for name in node.outputs}
    found = {}
    for output in block.outputs:
        node = makers.get(output)
        while node is not None and (node.key in _MOVERS or node.key == "MaxPool"):
            node = makers.get(node.inputs[0])
        if node is not None and node.key in GRIDS:
            at = GRIDS[node.key]
            scale, zero = [*node.inputs[at:], "", ""][:2]
            found[output] = grid_of(scale, zero, arrays, constants)
    return {name: grid for name, grid in found.items() if grid is not None}
