"""Writes operators down: their names, their shapes, and the tensors that the network owns or made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from edgekit.errors import UsageError
from edgekit.frontend import scope
from edgekit.frontend.node import Complex, Node, halves
from edgekit.frontend.refusals import REFUSALS, at, refused
from edgekit.frontend.shapes import known_shape
from edgekit.ir.reference import KERNELS


class Builder:
    """The operators of a graph in the order in which they are asked for. What the converters use."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._taken: dict[str, int] = {}
        self._where: str | None = None

    def emit(
        self, name: str, kind: str, inputs: Sequence[Node], params: dict[str, Tensor | None] | None = None, **attrs: Any
    ) -> Node:
        """Add one operator and work out its shape. Raises UsageError where torch refuses it."""
        own = {role: tensor for role, tensor in (params or {}).items() if tensor is not None}
        node = Node(name, kind, tuple(inputs), params=own, attrs=attrs)
        node.shape, node.dtype = self._result(node)
        if node.dtype.is_complex:
            raise UsageError(
                at(scope.line(), f"{attrs.get('label', name)} gives complex numbers, which no format has"),
                "compute it from real tensors",
            )
        return self.add(node)

    def add(self, node: Node) -> Node:
        """Add a finished operator; it gets a name of its own, and the line that is running."""
        node.name = self._unique(node.name)
        if self._where is None:
            self._where = scope.line()
        node.where = self._where
        self.nodes.append(node)
        return node

    def next_call(self) -> None:
        """Another call of the user's begins: it stands in another line."""
        self._where = None

    def input(self, name: str, shape: tuple[int, ...], dtype: torch.dtype) -> Node:
        """Add an input."""
        node = Node(self._unique(name), "input", (), shape, dtype)
        self.nodes.append(node)
        return node

    def constant(self, name: str, value: Tensor) -> Node:
        """Add a tensor that no input reaches, as an operand; a complex one in two parts."""
        if value.is_complex():
            real, imag = halves(value)
            return Complex.of(self.constant(f"{name}/real", real), self.constant(f"{name}/imag", imag))
        return self.add(Node(name, "constant", (), tuple(value.shape), value.dtype, {"value": value}))

    def number(self, name: str, value: float, like: Node) -> Node:
        """Add a number as an operand, in the type of `like`."""
        return self.constant(name, torch.tensor(value, dtype=like.dtype))

    def operand(self, name: str, value: Any, like: Node) -> Node:
        """A node for whatever can be added to `like`: a node, a tensor that no input reaches, or a number."""
        if isinstance(value, Node):
            return value
        return self.constant(name, value) if isinstance(value, Tensor) else self.number(name, value, like)

    def call(self, name: str, label: str, function: Any, inputs: Sequence[Node], params: dict[str, Tensor]) -> Node:
        """Add what has no form: `function` of the inputs and of own tensors by role."""
        return self.emit(name, "call", inputs, dict(params), function=function, label=label)

    def _result(self, node: Node) -> tuple[tuple[int, ...], torch.dtype]:
        known = known_shape(node.kind, node.attrs, node.inputs, node.params)
        if known is not None:
            return known
        values = [x.meta() for x in node.inputs]
        own = {role: tensor.detach().to("meta") for role, tensor in node.params.items()}
        try:
            y = KERNELS[node.kind](node.op({}), values, own)
        except REFUSALS as error:
            raise refused(f"{node.name} ({node.attrs.get('label', node.kind)})", values, error) from error
        if not isinstance(y, Tensor):
            raise UsageError(
                at(scope.line(), f"{node.name} gives {type(y).__name__}, not a tensor"), "give tensors only"
            )
        return tuple(y.shape), y.dtype

    def _unique(self, name: str) -> str:
        count = self._taken[name] = self._taken.get(name, 0) + 1
        return name if count == 1 else f"{name}#{count}"
