"""Inputs that a file takes channels-last and transposes first, as converters of TensorFlow write them.

They are read channels-first, as torch has maps, so that images can fill them; the file's own Transpose goes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from edgekit.importers.onnx.node import STANDARD, Block, Node

_TO_FIRST = {4: [0, 3, 1, 2], 5: [0, 4, 1, 2, 3]}
_PASSING = frozenset({"QuantizeLinear", "DequantizeLinear", "Cast", "Identity"})
Sizes = Sequence[int | str]


def channels_first(block: Block, inputs: Sequence[tuple[str, Sizes]], constants: Any) -> tuple[Block, frozenset[str]]:
    """Return the nodes without such a Transpose, and the inputs that it turned.

    `inputs` are names and sizes as the file has them; `constants` gives the values of what the file owns, or None.
    """
    readers = block.readers()
    found, gone = set[str](), set[int]()
    for name, sizes in inputs:
        last, reading = name, readers.get(name, [])
        while len(reading) == 1 and reading[0].kind in _PASSING and reading[0].outputs[0] not in block.outputs:
            last = reading[0].outputs[0]
            reading = readers.get(last, [])
        if reading and last not in block.outputs and all(_turns(node, last, sizes, constants) for node in reading):
            found.add(name)
            gone.update(map(id, reading))
    nodes = tuple(
        replace(node, kind="Identity", inputs=node.inputs[:1]) if id(node) in gone else node for node in block.nodes
    )
    return replace(block, nodes=nodes), frozenset(found)


def _turns(node: Node, name: str, sizes: Sizes, constants: Any) -> bool:
    """Whether a node makes a map channels-first; of one channel a Reshape does, too."""
    if node.domain not in STANDARD or node.inputs[0] != name:
        return False
    if node.kind == "Transpose":
        return list(node.get("perm") or ()) == _TO_FIRST.get(len(sizes))
    if node.kind != "Reshape" or len(sizes) not in _TO_FIRST or sizes[-1] != 1 or len(node.inputs) < 2:
        return False
    shape = constants(node.inputs[1])
    wanted = [sizes[axis] for axis in _TO_FIRST[len(sizes)]]
    return shape is not None and shape.tolist()[1:] == wanted[1:] and wanted[1:] != list(sizes[1:])


def as_torch(sizes: Sizes) -> tuple[int | str, ...]:
    """Return the sizes of such an input channels-first."""
    return tuple(sizes[axis] for axis in _TO_FIRST[len(sizes)])
