"""The graph of a TFLite file: its operators in order, its inputs and outputs; and what is wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from edgekit.errors import UsageError
from edgekit.importers.source import WHOLE, refuse_unknown
from edgekit.importers.tflite.blocks import dilated
from edgekit.importers.tflite.file import Operator, Stored, TfliteFile
from edgekit.importers.tflite.node import ACTIVATIONS, Node
from edgekit.importers.tflite.signs import with_signs

AGAIN = "get or export the file again"
FROM_LAST = {4: (0, 2, 3, 1), 5: (0, 2, 3, 4, 1)}  # TRANSPOSE of a map or volume that makes it channels-last
TO_FIRST = {4: (0, 3, 1, 2), 5: (0, 4, 1, 2, 3)}
BIASES = {"CONV_2D": 2, "DEPTHWISE_CONV_2D": 2, "CONV_3D": 2, "FULLY_CONNECTED": 2, "TRANSPOSE_CONV": 3}
PASSING = frozenset({"QUANTIZE", "DEQUANTIZE", "CAST"})


@dataclass(frozen=True)
class Model:
    """What a file says, checked. `spanned` has, of a quantized file, the tensor of each layer's integers.

    `turned` are inputs and outputs whose maps are channels-first in the file; all others have their channels last.
    """

    file: TfliteFile
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    nodes: tuple[Node, ...]
    turned: frozenset[int]
    spanned: Mapping[str, int]

    def whole(self) -> list[int]:
        """The inputs that take whole numbers or truth values: integers without a scale."""
        inputs = [(index, self.file.tensor(index)) for index in self.inputs]
        return [index for index, one in inputs if one.dtype in WHOLE and one.grid is None]

    def constants(self) -> list[int]:
        """The tensors whose values the operators take from the file."""
        made = {index for node in self.nodes for index in node.outputs} | set(self.inputs)
        read = [index for node in self.nodes for index in node.inputs if index >= 0] + list(self.outputs)
        return [index for index in dict.fromkeys(read) if index not in made]


def read(file: TfliteFile, known: Iterable[str]) -> Model:
    """The graph of a file whose operators are all `known`. Raises UsageError for a file that is wrong or has others."""
    operators = _needed(file)
    refuse_unknown(file.path, (one.kind for one in operators), frozenset(known))
    inputs = tuple(index for index in file.inputs if not file.tensor(index).is_constant)
    _check(file, operators, inputs)
    nodes, spanned = with_signs(file, inputs, dilated(file, [_node(file, operator) for operator in operators]))
    return Model(file, inputs, file.outputs, nodes, _turned(file, nodes), spanned)


def _needed(file: TfliteFile) -> list[Operator]:
    """The operators that an output depends on."""
    makers = {index: at for at, operator in enumerate(file.operators) for index in operator.outputs}
    waiting, found = list(file.outputs), set[int]()
    while waiting:
        at = makers.get(waiting.pop())
        if at is not None and at not in found:
            found.add(at)
            waiting += file.operators[at].inputs
    return [operator for at, operator in enumerate(file.operators) if at in found]


def _check(file: TfliteFile, operators: Sequence[Operator], inputs: Sequence[int]) -> None:
    """Every value must be made once, before it is read: a TFLite file has its operators in order."""
    name = file.path.name
    if not inputs or not file.outputs:
        raise UsageError(f"{name} has no {'outputs' if inputs else 'inputs'}", "give a file of a network")
    counts = Counter(index for operator in file.operators for index in operator.outputs)
    twice = [index for index, count in counts.items() if count > 1 or index in inputs]
    if twice:
        raise UsageError(f"{name}: tensor {file.tensor(twice[0]).name} is made twice", AGAIN)
    made = set(inputs)
    for operator in operators:
        for index in operator.inputs:
            if index >= 0 and index not in made and not file.tensor(index).is_constant:
                raise UsageError(
                    f"{name}: {operator.kind} reads {file.tensor(index).name}, which no operator before it makes", AGAIN
                )
        for index in operator.outputs:
            if file.tensor(index).place is not None:
                raise UsageError(f"{name}: tensor {file.tensor(index).name} is made, and has values of its own", AGAIN)
            made.add(index)
    for index in file.outputs:
        if index not in made and not file.tensor(index).is_constant:
            raise UsageError(f"{name}: no operator makes its output {file.tensor(index).name}", AGAIN)


def _node(file: TfliteFile, operator: Operator) -> Node:
    """The operator with its names: that of its result, of which the first part is its own.

    A converter writes the names of all that it joined, with semicolons between.
    """
    parts = file.tensor(operator.outputs[0]).name.split(";")
    fused = getattr(operator.options, "FusedActivationFunction", None)
    number = file.guarded(fused) if fused is not None else 0
    activation = ACTIVATIONS.get(number, f"number {number}")
    name = parts[0] or operator.kind
    second = parts[1] if len(parts) == 2 and parts[1] else f"{name}/{activation.lower()}"
    inputs = _without_zeros(file, operator, name)
    return Node(name, operator.kind, inputs, operator.outputs, operator.options, activation, second)


def _without_zeros(file: TfliteFile, operator: Operator, name: str) -> tuple[int, ...]:
    """The inputs without zeros that a file adds where its layer has no bias; in ours a bias bears its name."""
    at = BIASES.get(operator.kind, 0)
    if not 0 < at < len(operator.inputs) or operator.inputs[at] < 0:
        return operator.inputs
    bias = file.tensor(operator.inputs[at])
    if not bias.is_constant or bias.dtype != "float32" or bias.name == f"{name}/bias" or file.array(bias).any():
        return operator.inputs
    return (*operator.inputs[:at], -1, *operator.inputs[at + 1 :])


def _turned(file: TfliteFile, nodes: Sequence[Node]) -> frozenset[int]:
    """The inputs that are only read to be made channels-last, and the outputs that were just made channels-first."""
    readers: dict[int, list[Node]] = {}
    makers = {index: node for node in nodes for index in node.outputs}
    for node in nodes:
        for index in node.inputs:
            readers.setdefault(index, []).append(node)

    def read_turned(index: int) -> bool:
        found = readers.get(index, [])
        while len(found) == 1 and found[0].kind in PASSING:
            found = readers.get(found[0].outputs[0], [])
        return bool(found) and all(_turns(file, node, FROM_LAST) for node in found)

    def made_turned(index: int) -> bool:
        node = makers.get(index)
        while node is not None and node.kind in PASSING:
            node = makers.get(node.inputs[0])
        return node is not None and _turns(file, node, TO_FIRST)

    return frozenset(filter(read_turned, file.inputs)) | frozenset(filter(made_turned, file.outputs))


def _turns(file: TfliteFile, node: Node, orders: Mapping[int, tuple[int, ...]]) -> bool:
    """Whether an operator moves the channels so: a TRANSPOSE, or a RESHAPE where an axis has size 1."""
    if node.kind not in ("TRANSPOSE", "RESHAPE") or len(node.inputs) != 2:
        return False
    told: Stored = file.tensor(node.inputs[1])
    if not told.is_constant or told.dtype not in ("int32", "int64") or len(told.shape) != 1:
        return False
    numbers, order = file.array(told).tolist(), orders.get(told.shape[0])
    if node.kind == "TRANSPOSE" or order is None:
        return order is not None and tuple(numbers) == order
    before = file.tensor(node.inputs[0]).shape
    moved = [before[axis] for axis in order] if len(before) == len(order) else []
    return (
        moved != list(before)
        and moved[1:] == numbers[1:]
        and [size for size in before if size != 1] == [size for size in moved if size != 1]
    )
