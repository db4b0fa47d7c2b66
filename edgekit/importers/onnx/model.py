"""The graph of an ONNX file: its nodes in order, what it owns, its inputs and outputs; and what is wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from typing import Any

import numpy as np
import onnx
import onnx.inliner
from numpy.typing import NDArray

from edgekit.errors import UsageError, first_line
from edgekit.importers.onnx.axes import channels_first
from edgekit.importers.onnx.borders import input_grids, output_grids
from edgekit.importers.onnx.file import OnnxFile
from edgekit.importers.onnx.node import STANDARD, Block, Node
from edgekit.importers.onnx.own import joined
from edgekit.importers.onnx.places import counted_from_end
from edgekit.importers.onnx.quantized import in_real_numbers
from edgekit.importers.source import refuse_unknown
from edgekit.ir.quantized import OwnIntegers, QParams

OLDEST = 7
MOST_NODES = 50_000
LAID_OUT = "com.microsoft.nchwc"
AGAIN = "get or export the file again"


@dataclass(frozen=True)
class Input:
    """An input of the file; a size that is free is its name, or "" where it has none.

    `dtype` is numpy's name, or ONNX's where numpy has none. With a `grid` the network takes the real numbers that the
    file's integers stand for.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]
    grid: QParams | None = None


@dataclass(frozen=True)
class Model:
    """What a file says, checked. `constants` maps a name to the tensor of the file that has its values."""

    file: OnnxFile
    inputs: tuple[Input, ...]
    block: Block
    constants: Mapping[str, Any]
    opset: int
    producer: str
    ranges: Mapping[str, tuple[float, float]]  # by layer, of a quantized file
    integers: OwnIntegers  # of a quantized file
    outputs: Mapping[str, QParams]  # those that are integers with a scale
    turned: frozenset[str]  # inputs that the file takes channels-last, and the network channels-first
    properties: Mapping[str, str]

    def array(self, name: str) -> NDArray[Any]:
        """The values of a constant."""
        return self.file.array(self.constants[name])


def read(file: OnnxFile, known: Iterable[str]) -> Model:
    """The graph of a file whose operators are all `known`. Raises UsageError for a file that is wrong or has others."""
    model = _inlined(file)
    versions = _opsets(file, model)
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for sparse in graph.sparse_initializer:
        raise UsageError(f"{file.path.name}: {sparse.values.name} is a sparse tensor", "store it as a whole one")
    nodes = _told_apart(_nodes(graph, versions, constants))
    inputs = tuple(_input(file, value) for value in graph.input if value.name not in constants)
    outputs = tuple(_output(file, value) for value in graph.output)
    found = Block(_needed(nodes, outputs), outputs)
    _refuse_same_names(file)
    _refuse_laid_out(file, found)
    refuse_unknown(file.path, (node.key for node in found.nodes), frozenset(known))
    made = [*constants, *(value.name for value in inputs), *(name for node in nodes for name in node.outputs if name)]
    _check(file, found, Counter(made))
    ordered = Block(_ordered(file, found.nodes), outputs)
    turned = frozenset[str]()

    def arrays(name: str) -> NDArray[Any]:
        return file.array(constants[name])

    foreign = model.producer_name != "edgekit"
    if foreign:  # in edgekit's own files a Transpose is the network's
        known_sizes = [(one.name, one.shape) for one in inputs]
        ordered, turned, own = channels_first(
            ordered, known_sizes, lambda name: arrays(name) if name in constants else None
        )
        constants |= {name: onnx.numpy_helper.from_array(array, name) for name, array in own.items()}
        ordered = counted_from_end(ordered)  # edgekit's own places are none below 0
    else:
        ordered = joined(ordered)
    grids = input_grids(ordered, [one.name for one in inputs if one.dtype in ("uint8", "int8")], arrays, constants)
    inputs = tuple(replace(one, grid=grids.get(one.name)) for one in inputs)
    taken = {one.name: one.grid for one in inputs}
    block, ranges, integers = in_real_numbers(ordered, taken, arrays, constants, may_cut_off=foreign)
    return Model(
        file,
        inputs,
        block,
        constants,
        versions[""],
        " ".join(filter(None, (model.producer_name, model.producer_version))),
        ranges,
        integers,
        output_grids(ordered, arrays, constants),
        turned,
        {entry.key: entry.value for entry in model.metadata_props},
    )


def _inlined(file: OnnxFile) -> Any:
    """The model with its own functions in the place of their calls."""
    model = file.model
    if not model.functions:
        return model
    try:
        return onnx.inliner.inline_local_functions(model)
    except Exception as error:  # what C++ says of functions that call themselves, among others
        raise UsageError(f"{file.path.name}: its functions cannot be read: {first_line(error)}", AGAIN) from error


def _refuse_same_names(file: OnnxFile) -> None:
    """Raise UsageError where two operators bear one name, which onnxruntime refuses, too."""
    counts = Counter(node.name for node in file.model.graph.node if node.name and node.op_type != "Constant")
    for name, count in counts.items():
        if count > 1:
            raise UsageError(
                f"{file.path.name}: {count} operators are called {name}", "give each a name of its own, or none"
            )


def _refuse_laid_out(file: OnnxFile, block: Block) -> None:
    """Raise UsageError for a file whose weights lie as one kind of processor reads them."""
    count = sum(node.domain == LAID_OUT for node in block.nodes)
    if count:
        raise UsageError(
            f"{file.path.name} was optimized by onnxruntime for one kind of processor: {count} operators of {LAID_OUT}",
            "give the file as it was before, or optimize it no further than ORT_ENABLE_EXTENDED",
        )


def _opsets(file: OnnxFile, model: Any) -> dict[str, int]:
    """The version of each domain; that of ONNX itself under ""."""
    found = {("" if one.domain in STANDARD else one.domain): one.version for one in model.opset_import}
    newest = onnx.defs.onnx_opset_version()
    if not OLDEST <= found.get("", 0) <= newest:
        raise UsageError(
            f"{file.path.name} is of ONNX opset {found.get('', 'none')}; edgekit reads {OLDEST} to {newest}",
            "convert it with onnx.version_converter, or export it again with another opset",
        )
    return found


def _input(file: OnnxFile, value: Any) -> Input:
    if value.type.WhichOneof("value") != "tensor_type":
        raise UsageError(f"input {value.name} of {file.path.name} is no tensor", "make a file that takes tensors")
    kind = value.type.tensor_type
    if kind.HasField("shape") and not kind.shape.dim:
        raise UsageError(
            f"input {value.name} of {file.path.name} is one number without axes, and an input has a batch",
            "make a file that holds this number as a constant, or takes it as 1 element for each example",
        )
    names = {number: name.lower() for name, number in onnx.TensorProto.DataType.items()}
    sizes = tuple(dim.dim_value if dim.dim_value > 0 else dim.dim_param for dim in kind.shape.dim)
    name = names.get(kind.elem_type, "undefined")
    return Input(value.name, {"float": "float32", "double": "float64"}.get(name, name), sizes)


def _output(file: OnnxFile, value: Any) -> str:
    if value.type.WhichOneof("value") not in (None, "tensor_type"):
        raise UsageError(f"output {value.name} of {file.path.name} is no tensor", "make a file that gives tensors")
    return str(value.name)


def _nodes(graph: Any, versions: Mapping[str, int], constants: dict[str, Any]) -> list[Node]:
    """The nodes of a graph; those that only hold a tensor are constants instead."""
    found = []
    for raw in graph.node:
        held = _held(raw)
        if held is not None:
            constants[raw.output[0]] = held
        else:
            found.append(_node(raw, versions, constants))
    return found


def _told_apart(nodes: Sequence[Node]) -> list[Node]:
    """The nodes with a number behind a name that one before them has: of a function called twice, or of its value."""
    taken, found = {node.name for node in nodes}, Counter[str]()
    told = []
    for node in nodes:
        found[node.name] += 1
        name, count = node.name, found[node.name]
        while count > 1 and name in taken:
            name, count = f"{node.name}#{count}", count + 1
        taken.add(name)
        told.append(node if name == node.name else replace(node, name=name))
    return told


def _held(raw: Any) -> Any:
    """The tensor of a Constant; None for another node."""
    if raw.op_type != "Constant" or raw.domain not in STANDARD or len(raw.attribute) != 1:
        return None
    (attribute,) = raw.attribute
    kinds = {"value_float": np.float32, "value_floats": np.float32, "value_int": np.int64, "value_ints": np.int64}
    if attribute.name == "value":
        return attribute.t
    if attribute.name not in kinds:
        return None
    value = np.array(onnx.helper.get_attribute_value(attribute), kinds[attribute.name])
    return onnx.numpy_helper.from_array(value, raw.output[0])


def _node(raw: Any, versions: Mapping[str, int], constants: dict[str, Any]) -> Node:
    name = raw.name or next(filter(None, raw.output), raw.op_type)
    domain = "" if raw.domain in STANDARD else raw.domain
    attributes = {one.name: _attribute(one, versions, constants) for one in raw.attribute}
    opset = versions.get(domain, 1)
    return Node(name, raw.op_type, tuple(raw.input), tuple(raw.output), opset, domain, attributes)


def _attribute(raw: Any, versions: Mapping[str, int], constants: dict[str, Any]) -> Any:
    if raw.type == onnx.AttributeProto.GRAPH:
        constants.update({tensor.name: tensor for tensor in raw.g.initializer})
        return Block(tuple(_nodes(raw.g, versions, constants)), tuple(value.name for value in raw.g.output))
    value = onnx.helper.get_attribute_value(raw)
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, onnx.TensorProto):
        return onnx.numpy_helper.to_array(value)
    if raw.type in _LISTS:
        return [one.decode(errors="replace") if isinstance(one, bytes) else one for one in value]
    return value


_LISTS = (onnx.AttributeProto.FLOATS, onnx.AttributeProto.INTS, onnx.AttributeProto.STRINGS)


def reads(node: Node) -> list[str]:
    """The names that a node reads, and those that its branches take from around them."""
    found = [name for name in node.inputs if name]
    for block in node.attributes.values():
        if isinstance(block, Block):
            made = {name for inner in block.nodes for name in inner.outputs}
            wanted = [name for inner in block.nodes for name in reads(inner)] + list(block.outputs)
            found += [name for name in wanted if name not in made]
    return found


def _needed(nodes: Sequence[Node], outputs: Sequence[str]) -> tuple[Node, ...]:
    """The nodes that an output depends on, in the order of the file."""
    makers = {name: node for node in nodes for name in node.outputs if name}
    waiting, found = list(outputs), set[int]()
    while waiting:
        node = makers.get(waiting.pop())
        if node is not None and id(node) not in found:
            found.add(id(node))
            waiting += reads(node)
    kept = [node for node in nodes if id(node) in found]
    read = {name for node in kept for name in reads(node)} | set(outputs)
    return tuple(_without_unread(node, read) for node in kept)


def _without_unread(node: Node, read: set[str]) -> Node:
    """The node without the names of outputs that nobody reads, so that it need not compute them."""
    return replace(node, outputs=tuple(name if name in read else "" for name in node.outputs))


def _check(file: OnnxFile, block: Block, made: Mapping[str, int]) -> None:
    """Every value must be made, and made once (`made`: how often each is). Raises UsageError."""
    if len(block.nodes) > MOST_NODES:
        raise UsageError(
            f"{file.path.name} has {len(block.nodes):,} operators, and edgekit reads at most {MOST_NODES:,}",
            "simplify it: most of so many compute constants",
        )
    twice = [name for name, count in made.items() if count > 1]
    if twice:
        raise UsageError(f"{file.path.name}: value {twice[0]} is made {made[twice[0]]} times", AGAIN)
    for node in block.nodes:
        missing = [name for name in reads(node) if name not in made]
        if missing:
            raise UsageError(f"{file.path.name}: {node} reads {missing[0]}, which nothing in the file makes", AGAIN)
    if not block.outputs:
        raise UsageError(f"{file.path.name} has no outputs", AGAIN)
    for name, count in Counter(block.outputs).items():
        if count > 1:
            raise UsageError(f"{file.path.name} names its output {name} {count} times", "name each output once")
        if name not in made:
            raise UsageError(f"{file.path.name}: nothing in the file makes its output {name}", AGAIN)


def _ordered(file: OnnxFile, nodes: Sequence[Node]) -> tuple[Node, ...]:
    """The nodes in an order in which they can run: the file's own where it is one."""
    makers = {name: index for index, node in enumerate(nodes) for name in node.outputs if name}
    before = [[makers[name] for name in reads(node) if name in makers] for node in nodes]
    if all(at < index for index, others in enumerate(before) for at in others):
        return tuple(nodes)
    try:
        order = list(TopologicalSorter(dict(enumerate(before))).static_order())
    except CycleError as error:
        names = " <- ".join(nodes[index].name for index in error.args[1][:4])
        raise UsageError(f"{file.path.name}: its operators wait for one another: {names}", AGAIN) from error
    return tuple(nodes[index] for index in order)
