"""What edgekit's own files say in several operators, as the one that it was."""

from __future__ import annotations

from dataclasses import replace

from edgekit.importers.onnx.node import Block, Node


def joined(block: Block) -> Block:
    """Return the nodes with each mean over the places of a map that drops these axes as one: it is written as two.

    The sum of a scale by channel, which is joined with its product later, says whose range its integers span.
    """
    readers, makers = block.readers(), {name: node for node in block.nodes for name in node.outputs}
    found, gone = list[Node](), set[int]()
    for node in block.nodes:
        before = makers.get(node.inputs[0]) if node.inputs else None
        if before is not None and len(readers[before.outputs[0]]) == 1:
            if _are(before, node, "GlobalAveragePool", "Reshape", "flat"):
                gone.add(id(before))
                node = replace(before, outputs=node.outputs, attributes={"keepdims": 0})
            elif _are(before, node, "Mul", "Add", "shift"):
                node = replace(node, attributes={"layer": before.name})
        found.append(node)
    return replace(block, nodes=tuple(node for node in found if id(node) not in gone))


def _are(before: Node, node: Node, first: str, second: str, part: str) -> bool:
    """Whether two operators are those of one, of which the second bears the name of a part."""
    return (before.key, node.key) == (first, second) and node.name == f"{before.name}/{part}"
