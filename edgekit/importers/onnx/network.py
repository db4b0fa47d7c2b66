"""A network that computes what an ONNX file says, one call of torch's functions after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from edgekit.errors import UsageError, first_line
from edgekit.frontend.imported import Imported, Layer
from edgekit.importers.onnx.file import LARGE
from edgekit.importers.onnx.model import Model, reads
from edgekit.importers.onnx.node import Block, Node
from edgekit.importers.onnx.operators.quantization import rounded
from edgekit.importers.onnx.table import OPERATORS
from edgekit.importers.source import NOT_COMPUTED, WHOLE, dead
from edgekit.importers.tensors import as_tensor, is_known


class OnnxNetwork(Imported):
    """The network of a file. What the file owns is a parameter or a buffer under its name, real numbers in float32."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.input_names = tuple(one.name for one in model.inputs)
        self.input_types = {
            one.name: getattr(torch, one.dtype) for one in model.inputs if one.dtype in WHOLE and one.grid is None
        }
        self._grids = {one.name: one.grid for one in model.inputs if one.grid is not None}
        self._block = model.block
        self._layers = {id(node): _layer(node) for node in _all(model.block.nodes)}
        steps = [(filter(None, node.outputs), reads(node)) for node in model.block.nodes]
        self._dead = dead(steps, model.block.outputs)
        for name in {name for node in _all(model.block.nodes) for name in reads(node)} | set(model.block.outputs):
            if name in model.constants:
                self.own(name, _tensor(model, name))

    def forward(self, *inputs: Tensor) -> dict[str, Tensor]:
        """The outputs by name."""
        values: dict[str, Any] = {**self._parameters, **self._buffers}
        for name, tensor in zip(self.input_names, inputs, strict=True):
            values[name] = self._grids[name].fake(tensor) if self.rounds and name in self._grids else tensor
        self._run(self._block.nodes, values, self._dead)
        return {name: values[name] for name in self._block.outputs}

    def _run(self, nodes: Sequence[Node], values: dict[str, Any], gone: Sequence[Sequence[str]] = ()) -> None:
        for index, node in enumerate(nodes):
            given = [values[name] if name else None for name in node.inputs]
            made = self._chosen(node, given, values) if node.kind == "If" else self._layers[id(node)](*given)
            if self.rounds and node.get("grid") and isinstance(made, Tensor):
                scale, zero = (values.get(name) for name in node.get("grid"))
                made = rounded(node, made, scale, zero)
            values.update(zip(node.outputs, made if isinstance(made, (tuple, list)) else (made,), strict=False))
            for name in gone[index] if gone else ():
                del values[name]

    def _chosen(self, node: Node, given: Sequence[Any], values: Mapping[str, Any]) -> Any:
        """What the branch gives that a known condition chooses; what both give, where the network computes it."""
        blocks = [node.get("else_branch"), node.get("then_branch")]
        if is_known(given[0]):
            return self._inside(blocks[int(node.numbers(given[0], "condition")[0])], values)
        return self._layers[id(node)](*given, *self._inside(blocks[1], values), *self._inside(blocks[0], values))

    def _inside(self, block: Block, values: Mapping[str, Any]) -> list[Any]:
        """What a branch gives."""
        inside = dict(values)
        self._run(block.nodes, inside)
        return [inside[name] for name in block.outputs]


def _all(nodes: Sequence[Node]) -> Iterator[Node]:
    """The nodes, and those of their branches."""
    for node in nodes:
        yield node
        for block in node.attributes.values():
            if isinstance(block, Block):
                yield from _all(block.nodes)


def _layer(node: Node) -> Layer:
    return Layer(node.name, partial(_computed, node, OPERATORS.get(node.key)))


def _computed(node: Node, operator: Callable[..., Any] | None, *given: Any) -> Any:
    if operator is None:
        raise node.refusal("is an operator that edgekit does not read")
    try:
        return operator(node, *given)
    except UsageError:
        raise
    except NOT_COMPUTED as error:
        raise node.refusal(f"cannot be computed: {first_line(error)}", "check the file with onnx.checker") from error


def _tensor(model: Model, name: str) -> Tensor:
    """A constant, as torch has it; without its values where only shapes are asked for."""
    held = model.constants[name]
    size = int(np.prod(held.dims, dtype=np.int64))
    floating = held.data_type in _FLOATS
    if floating and size * 4 >= LARGE and torch.get_default_device().type == "meta":
        return torch.empty(tuple(held.dims), dtype=torch.float32, device="meta")
    return as_tensor(model.array(name))


_FLOATS = frozenset({1, 10, 11, 16})  # FLOAT, FLOAT16, DOUBLE, BFLOAT16 of TensorProto
