"""A folded graph as a torch module, so that torch.export can write it.

Each operator is a module of its own, at the place that its name says: "layer1.0.conv1" is the attribute conv1 of the
attribute 0 of the attribute layer1. So torch keeps the names of layers and weights in the archive.
"""

from __future__ import annotations

import inspect
import keyword
import re
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from edgekit.errors import UsageError, first_line
from edgekit.ir.graph import Graph, Op
from edgekit.ir.reference import KERNELS

_NOT_PLAIN = re.compile(r"[^\w/:-]", re.ASCII)
_NOT_WORD = re.compile(r"\W", re.ASCII)
_TAKEN = frozenset(dir(nn.Module()))


class Place(nn.Module):
    """A place in the tree of names: an operator, or only the way to others."""

    op: Op | None = None

    def __init__(self) -> None:
        super().__init__()
        self._roles: dict[str, str] = {}  # the names of its tensors by role

    def hold(self, op: Op, tensors: Iterable[tuple[str, Tensor]]) -> None:
        """Become an operator with its own tensors, by role. They are not copied."""
        self.op = op
        for role, tensor in tensors:
            self._roles[role] = name = _free(role, {*_TAKEN, *self._modules, *self._roles.values()})
            if tensor.is_floating_point():
                self._parameters[name] = nn.Parameter(_alone(tensor), requires_grad=False)
            else:
                self._buffers[name] = _alone(tensor)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Compute the operator. Raises UsageError for what torch.export cannot write."""
        assert self.op is not None
        own = {role: getattr(self, name) for role, name in self._roles.items()}
        try:
            if self.op.dtype == torch.float16 and _lacks_half(self.op):
                return KERNELS[self.op.kind](self.op, [x.float() for x in inputs], own).half()
            return KERNELS[self.op.kind](self.op, list(inputs), own)
        except Exception as error:  # torch.export has many kinds of errors of its own
            raise UsageError(
                f"{self.op.place} ({self.op.kind}) cannot be written by torch.export: {first_line(error)}",
                "choose --precision fp32, or --format onnx or tflite",
            ) from error


class Network(Place):
    """The graph. forward() takes a tensor for each input and returns the output, or a tuple of several.

    Real numbers of callers are float32, whatever the graph computes in.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self._graph = graph
        self._places = {op.name: self._place(op) for op in graph if op.kind != "input"}
        self.input_names: list[str] = []
        for op in graph.inputs:
            self.input_names.append(_free(_identifier(op.name), self.input_names))

        def forward(*xs: Tensor) -> Any:
            return self._run(xs)

        kinds = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in self.input_names]
        forward.__dict__["__signature__"] = inspect.Signature(kinds)
        self.__dict__["forward"] = forward

    def _place(self, op: Op) -> Place:
        """The place of an operator's name; another one beside it where that is taken."""
        *way, last = (_NOT_PLAIN.sub("_", part) or "_" for part in op.name.split("."))
        place: Place = self
        for part in way:
            place = _within(place, part)
        number, name = 0, last
        while name in place._modules and place._modules[name].op is not None:  # type: ignore[union-attr]
            number, name = number + 1, f"{last}_{number + 1}"
        found = _within(place, name)
        found.hold(op, self._graph.tensors(op).items())
        return found

    def _run(self, xs: tuple[Tensor, ...]) -> Any:
        graph = self._graph
        values = {op.name: _in(op.dtype, x) for op, x in zip(graph.inputs, xs, strict=True)}
        for name, place in self._places.items():
            values[name] = place(*[values[one] for one in graph[name].inputs])
        found = tuple(_in(torch.float32, values[name]) for name in graph.outputs.values())
        return found[0] if len(found) == 1 else found


def _in(dtype: torch.dtype, x: Tensor) -> Tensor:
    """Real numbers in another type; without a call where they are in it already."""
    return x if x.dtype == dtype or not x.is_floating_point() else x.to(dtype)


def _within(place: Place, part: str) -> Place:
    """The place called `part` in another, which is made where there is none."""
    own = {*place._parameters, *place._buffers}
    name = _free(part, {*_TAKEN, *own})
    if name not in place._modules:
        place._modules[name] = Place()
    found = place._modules[name]
    assert isinstance(found, Place)
    return found


def _free(name: str, taken: Iterable[str]) -> str:
    while name in taken:
        name += "_"
    return name


def _identifier(name: str) -> str:
    """A name that a parameter of a function can have."""
    plain = _NOT_WORD.sub("_", name)
    return plain if plain.isidentifier() and not keyword.iskeyword(plain) else f"x_{plain}"


def _alone(tensor: Tensor) -> Tensor:
    """A tensor that does not lie in the memory of a larger one, of which the archive would keep all."""
    found = tensor.detach().contiguous()
    return found if found.untyped_storage().nbytes() == found.nbytes else found.clone()


def _lacks_half(op: Op) -> bool:
    """Whether torch computes it in float16 on GPUs only."""
    return op.kind == "lrn" or (op.kind == "avg_pool" and len(op.shape) == 5)
