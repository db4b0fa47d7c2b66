"""Convolutions between SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND, which TensorFlow writes for dilated ones.

The first pads a map and makes an image of each place of a block; a convolution of stride 1 without padding then sees
every so many elements; the second puts the places back and crops. So the padding of the dilated convolution is what the
first pads less what the second crops.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from edgekit.importers.tflite.file import TfliteFile
from edgekit.importers.tflite.node import Blocks, Node

_VALID = 1  # of the schema's Padding
_STEPS = ("StrideH", "StrideW", "DilationHFactor", "DilationWFactor")


def dilated(file: TfliteFile, nodes: Sequence[Node]) -> tuple[Node, ...]:
    """Return the operators with a dilated convolution in the place of each such three."""
    makers = {index: node for node in nodes for index in node.outputs}
    readers: dict[int, list[Node]] = {}
    for node in nodes:
        for index in node.inputs:
            readers.setdefault(index, []).append(node)
    changed: dict[int, Node | None] = {}
    for node in nodes:
        before = makers.get(node.inputs[0]) if node.kind in ("CONV_2D", "DEPTHWISE_CONV_2D") else None
        behind = readers.get(node.outputs[0], [])
        if before is None or len(behind) != 1 or len(readers[node.inputs[0]]) != 1:
            continue
        blocks = _blocks(file, before, node, behind[0])
        if blocks is not None and not {node.inputs[0], node.outputs[0]}.intersection(file.outputs):
            inputs, outputs = (before.inputs[0], *node.inputs[1:]), behind[0].outputs
            changed |= {id(before): None, id(node): replace(node, inputs=inputs, outputs=outputs, blocks=blocks)}
            changed[id(behind[0])] = None
    found = (changed.get(id(node), node) for node in nodes)
    return tuple(node for node in found if node is not None)


def _blocks(file: TfliteFile, before: Node, node: Node, behind: Node) -> Blocks | None:
    """The dilation and padding of the whole; None where it is no such convolution."""
    if (before.kind, behind.kind) != ("SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND"):
        return None
    if node.get("Padding", 0) != _VALID or any(node.get(step, 1) != 1 for step in _STEPS):
        return None
    told = [file.tensor(index) for index in (*before.inputs[1:3], *behind.inputs[1:3])]
    if len(told) != 4 or not all(one.is_constant and one.dtype == "int32" for one in told):
        return None
    block, pads, again, crops = (file.array(one).tolist() for one in told)
    if block != again or len(block) != 2 or [len(pads), len(crops)] != [2, 2] or min(block) < 1:
        return None
    pairs = [(low - first, high - last) for (low, high), (first, last) in zip(pads, crops, strict=True)]
    if min(amount for pair in pairs for amount in pair) < 0:
        return None
    return Blocks((block[0], block[1]), (pairs[0], pairs[1]))
