"""What the ONNX form of an operator is written into: nodes and constants, with names that stay those of our layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgekit.exporters.half import within
from edgekit.ir.graph import Graph, Op


@dataclass
class Emission:
    """Nodes in order and the constants that they read. A node that makes a layer's output bears the layer's name."""

    graph: Graph
    opset: int
    dynamic_batch: bool = False
    half: bool = False  # float values are float16
    nodes: list[Any] = field(default_factory=list)
    constants: dict[str, NDArray[Any]] = field(default_factory=dict)

    def node(self, kind: str, inputs: Sequence[str], output: str, name: str = "", **attributes: Any) -> str:
        """Add one node with one output; attributes that are None are left out. Returns the output's name."""
        self.nodes_of(kind, inputs, [output], name or output, **attributes)
        return output

    def nodes_of(self, kind: str, inputs: Sequence[str], outputs: Sequence[str], name: str, **attributes: Any) -> None:
        """Add one node with several outputs; one that is "" is left out."""
        given = {key: value for key, value in attributes.items() if value is not None}
        self.nodes.append(onnx.helper.make_node(kind, list(inputs), list(outputs), name=name, **given))

    def constant(self, name: str, value: Tensor | NDArray[Any]) -> str:
        """Add a constant (once for each name). Returns its name."""
        if name not in self.constants:
            self.constants[name] = as_array(value)
        return name

    def integers(self, name: str, values: Sequence[int]) -> str:
        """Add a constant of int64, as shapes, axes and pads are."""
        return self.constant(name, np.array(values, np.int64))

    def number(self, name: str, value: float, like: Op) -> str:
        """Add a scalar in the type of an operator, in float16 as near as that holds it."""
        kind = self.dtype(like)
        return self.constant(name, torch.tensor(within(value) if kind == torch.float16 else value).to(kind))

    def dtype(self, op: Op) -> torch.dtype:
        """Return the type in which an operator's values are kept: of real numbers one in the whole file."""
        if op.dtype.is_floating_point:
            return torch.float16 if self.half else torch.float32
        return op.dtype

    def own(self, op: Op) -> dict[str, str]:
        """Return the operator's own tensors as constants, by role."""
        return {role: self.constant(name, self.graph.params[name]) for role, name in op.params.items()}

    def drop_unread(self) -> None:
        """Forget the constants that no node reads."""
        read = {name for node in self.nodes for name in node.input}
        self.constants = {name: value for name, value in self.constants.items() if name in read}

    def tensors(self, op: Op) -> Mapping[str, Tensor]:
        """Return the operator's own tensors by role, to read shapes and values from."""
        return self.graph.tensors(op)


# Adds the nodes of one operator: emission, operator, names of its inputs, of its own tensors by role, of its output.
Operator = Callable[[Emission, Op, list[str], dict[str, str], str], None]


def onnx_type(dtype: torch.dtype | str) -> int:
    """Return the number of ONNX for a type of torch, or for its name."""
    name = str(dtype).removeprefix("torch.").upper()
    return int(getattr(onnx.TensorProto, {"FLOAT32": "FLOAT", "FLOAT64": "DOUBLE"}.get(name, name)))


def as_array(value: Tensor | NDArray[Any]) -> NDArray[Any]:
    """Return a view of the same memory where there can be one."""
    return value.detach().cpu().numpy() if isinstance(value, Tensor) else value


def value_names(graph: Graph) -> dict[str, str]:
    """The name of each operator's value: that of the output which it is, else its own as far as no output has it."""
    taken = set(graph.outputs)
    names = {op.name: f"{op.name}/inside" if op.name in taken and op.kind != "input" else op.name for op in graph}
    return names | published(graph)


def published(graph: Graph) -> dict[str, str]:
    """Return the operators that compute an output, each with the first name under which it is handed out."""
    found: dict[str, str] = {}
    for public, name in graph.outputs.items():
        if graph[name].kind != "input":
            found.setdefault(name, public)
    return found


def copies(graph: Graph) -> list[tuple[str, str]]:
    """Return the outputs that are what another output or an input is already: public names and operators."""
    first = published(graph)
    return [(public, name) for public, name in graph.outputs.items() if first.get(name) != public]
