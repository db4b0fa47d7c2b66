"""A network that computes what a TFLite file says, one call of torch's functions after the other."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from edgekit.errors import UsageError, first_line
from edgekit.frontend.imported import Imported, Layer
from edgekit.importers.held import Held, channels_first, first, plain, plainly
from edgekit.importers.source import NOT_COMPUTED, dead
from edgekit.importers.tensors import as_tensor
from edgekit.importers.tflite.model import Model
from edgekit.importers.tflite.node import Node
from edgekit.importers.tflite.operators.elementwise import FUSED
from edgekit.importers.tflite.table import OPERATORS

_LARGE = 1024  # elements from which on a weight has no values where only shapes are asked for


class TfliteNetwork(Imported):
    """The network of a file. What the file owns is a parameter or a buffer under its name, real numbers in float32.

    Maps and volumes come and go channels-first, as torch has them.
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        self._model = model
        self._names = _unique(model)
        self.input_names = tuple(self._names[index] for index in model.inputs)
        self.input_types = {
            self._names[index]: getattr(torch, model.file.tensor(index).dtype) for index in model.whole()
        }
        steps = [(node.outputs, (index for index in node.inputs if index >= 0)) for node in model.nodes]
        self._dead = dead(steps, model.outputs)
        self._constants = model.constants()
        for index in self._constants:
            self.own(self._names[index], _tensor(model, index))

    def forward(self, *inputs: Tensor) -> dict[str, Tensor]:
        """The outputs by name."""
        held = {**self._parameters, **self._buffers}
        values = {index: plainly(held[self._names[index]]) for index in self._constants}  # type: ignore[arg-type]
        for index, tensor in zip(self._model.inputs, inputs, strict=True):
            rank = tensor.dim()
            axes = channels_first(rank) if self._is_map(index, rank) else tuple(range(rank))
            values[index] = self._rounded(index, Held(tensor, axes))
        for node, gone in zip(self._model.nodes, self._dead, strict=True):
            self._run(node, values)
            for index in gone:
                values.pop(index, None)
        return {self._names[index]: self._given(index, values[index]) for index in self._model.outputs}

    def _given(self, index: int, value: Held) -> Tensor:
        return first(value) if self._is_map(index, value.rank) else plain(value)

    def _is_map(self, index: int, rank: int) -> bool:
        """Whether an input or output is a map or volume with its channels last."""
        return rank in (4, 5) and index not in self._model.turned

    def _run(self, node: Node, values: dict[int, Held]) -> None:
        given = [values[index] if index >= 0 else None for index in node.inputs]
        made = _named(node.name, node, OPERATORS[node.kind], *given)
        if node.activation != "NONE" or node.ends is not None:
            made = _named(node.activation_name, node, _ended, *made)
        for index, value in zip(node.outputs, made, strict=False):
            values[index] = self._rounded(index, value)

    def _rounded(self, index: int, value: Held) -> Held:
        """The value as the file's integers have it, while the network rounds."""
        tensor = self._model.file.tensor(index)
        if not self.rounds or tensor.grid is None or not value.tensor.is_floating_point():
            return value
        ends, step, zero = torch.iinfo(getattr(torch, tensor.dtype)), tensor.grid.scales[0], tensor.grid.zeros[0]
        integers = torch.clamp(torch.round(value.tensor / float(step)) + int(zero), ends.min, ends.max)
        return value.to((integers - int(zero)) * float(step))


def _named(label: str, node: Node, operator: Callable[..., Any], *given: Held | None) -> tuple[Held, ...]:
    """What an operator gives; what it calls bears its layer's name."""
    found: list[Held] = []

    def computed(*values: Held | None) -> Any:
        found.extend(_computed(node, operator, *values))
        return found[0].tensor if len(found) == 1 else tuple(one.tensor for one in found)

    Layer(label, computed)(*given)
    return tuple(found)


def _computed(node: Node, operator: Callable[..., Any], *given: Held | None) -> tuple[Held, ...]:
    try:
        made = operator(node, *given)
    except UsageError:
        raise
    except NOT_COMPUTED as error:
        raise node.refusal(f"cannot be computed: {first_line(error)}", "check that LiteRT runs the file") from error
    return made if isinstance(made, tuple) else (made,)


def _ended(node: Node, x: Held, *rest: Held) -> tuple[Held, ...]:
    """What the operator computes on its result: its activation, or what its integers cut off."""
    if node.ends is not None:
        low, high = node.ends
        return (x.to(torch.relu(x.tensor) if high is None else torch.clamp(x.tensor, low, high)), *rest)
    if node.activation not in FUSED:
        raise node.refusal(f"ends in the activation {node.activation}")
    return (x.to(FUSED[node.activation](x.tensor)), *rest)


def _tensor(model: Model, index: int) -> Tensor:
    """A constant, as torch has it; without its values where only shapes are asked for."""
    stored = model.file.tensor(index)
    is_real = stored.grid is not None or stored.dtype.startswith("float")
    if is_real and math.prod(stored.shape) >= _LARGE and torch.get_default_device().type == "meta":
        return torch.empty(stored.shape, dtype=torch.float32, device="meta")
    return as_tensor(model.file.array(stored))


def _unique(model: Model) -> dict[int, str]:
    """A name for each tensor that the file owns, takes or gives: its own, with a number where another one has it.

    What it owns has no layer's name either: a layer may be called like its weight, and in ONNX files both are values.
    """
    found: dict[int, str] = {}
    given, taken = {*model.inputs, *model.outputs}, set[str]()
    layers = {name for node in model.nodes for name in (node.name, node.activation_name)}
    for index in dict.fromkeys([*model.inputs, *model.outputs, *model.constants()]):
        name = wanted = model.file.tensor(index).name
        count = 1
        while name in taken or (index not in given and name in layers):
            count += 1
            name = f"{wanted}_{count}"
        taken.add(name)
        found[index] = name
    return found
