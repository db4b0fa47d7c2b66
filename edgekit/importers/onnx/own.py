"""What edgekit's own files say in several operators, as the one that it was."""

from __future__ import annotations

from dataclasses import replace

from edgekit.importers.onnx.node import Block, Node


def joined(block: Block) -> Block:
    """Return the nodes with each mean over the places of a map that drops these axes as one: it is written as two."""
    readers, makers = block.readers(), {name: node for node in block.nodes for name in node.outputs}
    found, gone = list[Node](), set[int]()
    for node in block.nodes:
        pool = makers.get(node.inputs[0]) if node.key == "Reshape" else None
        if pool is not None and _is_mean(pool, node) and len(readers[pool.outputs[0]]) == 1:
            gone.add(id(pool))
            node = replace(pool, outputs=node.outputs, attributes={"keepdims": 0})
        found.append(node)
    return replace(block, nodes=tuple(node for node in found if id(node) not in gone))


def _is_mean(pool: Node, flat: Node) -> bool:
    return pool.key == "GlobalAveragePool" and flat.name == f"{pool.name}/flat"
