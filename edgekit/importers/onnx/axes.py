"""Inputs that a file takes channels-last and transposes first, as converters of TensorFlow write them.

They are read channels-first, as torch has maps, so that images can fill them; the file's own Transpose goes. What
prepares the pixels before it (a cast, a mean, a scale) is computed channels-first, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from edgekit.importers.onnx.node import Block, Node

_TO_FIRST = {4: [0, 3, 1, 2], 5: [0, 4, 1, 2, 3]}
_PASSING = frozenset({"Cast", "Identity"})
_OF_ONE_SCALE = frozenset({"QuantizeLinear", "DequantizeLinear"})
_PREPARING = frozenset({"Add", "Sub", "Mul", "Div", "Clip", "Max", "Min", "Neg"})
Sizes = Sequence[int | str]


def channels_first(
    block: Block, inputs: Sequence[tuple[str, Sizes]], constants: Any
) -> tuple[Block, frozenset[str], dict[str, NDArray[Any]]]:
    """Return the nodes without such a Transpose, the inputs that it turned, and constants that were turned with them.

    `inputs` are names and sizes as the file has them; `constants` gives the values of what the file owns, or None.
    """
    readers = block.readers()
    found, changed, own = set[str](), dict[int, Node](), dict[str, NDArray[Any]]()
    for name, sizes in inputs:
        last, reading, before = name, readers.get(name, []), list[Node]()
        while len(reading) == 1 and _passes(reading[0], last, len(sizes), constants):
            before += reading
            last = reading[0].outputs[0]
            reading = readers.get(last, [])
        given = {name, *(output for node in before for output in node.outputs)}
        if (
            reading
            and given.isdisjoint(block.outputs)
            and all(_turns(node, last, sizes, constants) for node in reading)
        ):
            found.add(name)
            changed |= {id(node): replace(node, kind="Identity", inputs=node.inputs[:1]) for node in reading}
            changed |= {id(node): _prepared(node, given, len(sizes), constants, own) for node in before}
    return replace(block, nodes=tuple(changed.get(id(node), node) for node in block.nodes)), frozenset(found), own


def _passes(node: Node, name: str, rank: int, constants: Any) -> bool:
    """Whether an operator treats the elements of `name` alike, but for constants that broadcast over them."""
    if node.key in _PASSING:
        return True
    if node.key not in _OF_ONE_SCALE and (node.key not in _PREPARING or rank not in _TO_FIRST):
        return False
    others = [constants(other) for other in node.inputs if other and other != name]
    if node.key in _OF_ONE_SCALE:
        return all(one is not None and one.size == 1 for one in others)
    return all(one is not None and one.ndim <= rank for one in others)


def _prepared(node: Node, given: set[str], rank: int, constants: Any, own: dict[str, NDArray[Any]]) -> Node:
    """The operator with its constants channels-first; these are added to `own`."""
    inputs = list(node.inputs)
    for index, name in enumerate(inputs):
        value = constants(name) if name and name not in given else None
        if value is not None and value.size > 1:
            inputs[index] = f"{name}/channels_first"
            own[inputs[index]] = value.reshape((1,) * (rank - value.ndim) + value.shape).transpose(_TO_FIRST[rank])
    return replace(node, inputs=tuple(inputs))


def _turns(node: Node, name: str, sizes: Sizes, constants: Any) -> bool:
    """Whether a node makes a map channels-first; of one channel a Reshape does, too."""
    if node.inputs[0] != name:
        return False
    if node.key == "Transpose":
        return list(node.get("perm") or ()) == _TO_FIRST.get(len(sizes))
    if node.key != "Reshape" or len(sizes) not in _TO_FIRST or sizes[-1] != 1 or len(node.inputs) < 2:
        return False
    shape = constants(node.inputs[1])
    wanted = [sizes[axis] for axis in _TO_FIRST[len(sizes)]]
    return shape is not None and shape.tolist()[1:] == wanted[1:] and wanted[1:] != list(sizes[1:])
