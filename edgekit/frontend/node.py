"""What a call of forward() became: an operator that is still being written down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from edgekit.ir.graph import Op


@dataclass(eq=False)
class Node:
    """An operator; it stands for its output too. `params` maps a role to a tensor that the network owns or made."""

    name: str
    kind: str
    inputs: tuple[Node, ...]
    shape: tuple[int, ...] = ()
    dtype: torch.dtype = torch.float32
    params: dict[str, Tensor] = field(default_factory=dict)
    attrs: dict[str, Any] = field(default_factory=dict)
    where: str = ""

    @property
    def rank(self) -> int:
        """How many axes the output has."""
        return len(self.shape)

    def meta(self) -> Tensor:
        """A tensor without data in the output's place, to ask torch for shapes."""
        return torch.empty(self.shape, dtype=self.dtype, device="meta")

    def op(self, names: dict[str, str]) -> Op:
        """The finished operator; `names` are those of its tensors by role."""
        inputs = tuple(node.name for node in self.inputs)
        return Op(self.name, self.kind, inputs, self.shape, names, self.attrs, self.dtype, self.where)


@dataclass(eq=False)
class Complex(Node):
    """A complex tensor: two operators give its real and its imaginary part. It is none itself, and in no graph."""

    @staticmethod
    def of(real: Node, imag: Node) -> Complex:
        """The pair of two parts of one shape."""
        dtype = torch.complex128 if real.dtype == torch.float64 else torch.complex64
        return Complex("complex", "complex", (real, imag), real.shape, dtype)

    @property
    def real(self) -> Node:
        """The operator that gives the real part."""
        return self.inputs[0]

    @property
    def imag(self) -> Node:
        """The operator that gives the imaginary part."""
        return self.inputs[1]


def halves(value: Tensor) -> tuple[Tensor, Tensor]:
    """The real and the imaginary part of a complex tensor that no input reaches."""
    real, imag = torch.view_as_real(value.detach().resolve_conj()).unbind(-1)
    return real.contiguous(), imag.contiguous()


Value = Any  # an argument of a call: a Node, a tensor that no input reaches, a number, or a structure of these


def mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """The same structure of lists, tuples, dictionaries and slices with each leaf changed."""
    if isinstance(value, (tuple, list)):
        parts = [mapped(item, change) for item in value]
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return type(value)(*parts)
        if type(value).__module__ == "torch.return_types":
            made: Any = type(value)
            return made(parts)
        return tuple(parts) if isinstance(value, tuple) else parts
    if isinstance(value, dict):
        return {key: mapped(item, change) for key, item in value.items()}
    if isinstance(value, slice):
        return slice(*(mapped(item, change) for item in (value.start, value.stop, value.step)))
    return change(value)


def leaves(value: Any, kind: type | tuple[type, ...]) -> list[Any]:
    """What is of a type in a structure of lists, tuples, dictionaries and slices, in order."""
    if isinstance(value, kind):
        return [value]
    if isinstance(value, (tuple, list)):
        return [leaf for item in value for leaf in leaves(item, kind)]
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in leaves(item, kind)]
    if isinstance(value, slice):
        return [leaf for item in (value.start, value.stop, value.step) for leaf in leaves(item, kind)]
    return []


def per_axis(value: Any, rank: int) -> tuple[int, ...]:
    """torch's "a number or one for each axis" as one for each axis."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    return values * rank if len(values) == 1 else values
