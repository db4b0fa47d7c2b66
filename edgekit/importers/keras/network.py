"""A network that computes what a Keras model's configuration says, one call of torch's functions after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from edgekit.checkpoints.keras.config import Call, KerasLayer, KerasModel, Ref, flat
from edgekit.checkpoints.keras.stored import Whole
from edgekit.errors import UsageError, first_line
from edgekit.frontend.imported import Imported, Layer
from edgekit.importers.held import Held, channels_first, first, plain
from edgekit.importers.keras.node import Node
from edgekit.importers.keras.plan import Made, Step, steps
from edgekit.importers.keras.table import operator
from edgekit.importers.source import LARGEST, NOT_COMPUTED

Values = dict[Made, tuple[Held, ...]]


class KerasNetwork(Imported):
    """The network of a file. What a layer owns is a parameter under the layer's name, in float32.

    Maps and volumes come and go channels-first, as torch has them.
    """

    def __init__(self, path: Path, whole: Whole, names: Sequence[str]) -> None:
        super().__init__()
        self._model, self.input_names = whole.model, tuple(names)
        self._output_names = output_names(whole.model)
        self._plans = dict(_plans(path, whole.model, ""))
        self._nodes: dict[str, tuple[Node, Mapping[str, str]]] = {}
        labels = dict(_labels(whole.model, ""))
        for index, layer in enumerate(whole.layers):
            label = labels[id(layer)]
            roles = {role: f"{label}.{role}" for number, role in whole.arrays if number == index}
            for role, name in roles.items():
                self.own(name, whole.arrays[index, role])
            self._nodes[label] = (Node(label, layer.kind, layer.config, {}, whole.version.startswith("2")), roles)

    def forward(self, *inputs: Tensor) -> dict[str, Tensor]:
        """The outputs by name."""
        held = [self._taken(tensor) for tensor in inputs]
        made = self._run(self._model, "", held)
        return {name: self._given(value) for name, value in zip(self._output_names, made, strict=True)}

    def _taken(self, tensor: Tensor) -> Held:
        """An input: maps have their channels last in the file, unless its layers say otherwise."""
        rank = tensor.dim()
        is_map = rank in (4, 5) and not self._model.channels_first
        return Held(tensor, channels_first(rank) if is_map else tuple(range(rank)))

    def _given(self, value: Held) -> Tensor:
        return first(value) if value.rank in (4, 5) and not self._model.channels_first else plain(value)

    def _run(self, model: KerasModel, within: str, inputs: Sequence[Held]) -> tuple[Held, ...]:
        """What a model gives, its outputs one after the other."""
        ends: list[Ref] = list(flat(model.inputs))
        values: Values = {(ref.layer, ref.call): (value,) for ref, value in zip(ends, inputs, strict=True)}
        for step in self._plans[within]:
            values[step.layer.name, step.number] = self._step(step, within, values)
            for made in step.dead:
                values.pop(made, None)
        return tuple(_read(values, ref) for ref in flat(model.outputs))

    def _step(self, step: Step, within: str, values: Values) -> tuple[Held, ...]:
        label = within + step.layer.name
        if step.layer.model is not None:
            given = [value for value in flat(_resolved(step.call.args, values)) if isinstance(value, Held)]
            return self._run(step.layer.model, f"{label}/", given)
        node, roles = self._nodes[label]
        weights = {role: self._parameters[name] for role, name in roles.items()}
        node = Node(node.name, node.kind, node.config, weights, node.old)  # type: ignore[arg-type]
        compute = operator(node.kind, node.config, step.layer.is_operation)
        assert compute is not None, "refused when the file was opened"
        return _named(node, compute, *_arguments(step.layer, step.call, values))


def _read(values: Values, ref: Ref) -> Held:
    several = values[ref.layer, ref.call]
    if not 0 <= ref.output < len(several):
        raise UsageError(
            f"output {ref.output} of layer {ref.layer[:80]} is read, which makes {len(several)}",
            "save it with Keras again",
        )
    return several[ref.output]


def _resolved(value: Any, values: Values) -> Any:
    """What a call is given, with its tensors."""
    if isinstance(value, Ref):
        return _read(values, value)
    if isinstance(value, (list, tuple)):
        return [_resolved(one, values) for one in value]
    return {key: _resolved(one, values) for key, one in value.items()} if isinstance(value, Mapping) else value


def _arguments(layer: KerasLayer, call: Call, values: Values) -> tuple[list[Any], dict[str, Any]]:
    """Lists of tensors are taken apart. Layers take tensors alone; operations take what the call says beside them."""
    args: list[Any] = []
    for one in _resolved(call.args, values):
        args += one if isinstance(one, list) and any(isinstance(value, Held) for value in one) else [one]
    named = _resolved(call.kwargs, values)
    if layer.is_operation or layer.kind.endswith("OpLambda"):
        return args, {key: one for key, one in named.items() if one is not None and key != "name"}
    return [one for one in [*args, *named.values()] if isinstance(one, Held)], {}


def _named(node: Node, compute: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Held, ...]:
    """What a layer gives; what it calls bears its name."""
    found: list[Held] = []

    def computed(*values: Any) -> Any:
        found.extend(_computed(node, compute, values, kwargs))
        return found[0].tensor if len(found) == 1 else tuple(one.tensor for one in found)

    Layer(node.name, computed)(*args)
    return tuple(found)


def _computed(node: Node, compute: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Held]:
    try:
        made = compute(node, *args, **kwargs)
        several = list(made) if isinstance(made, (list, tuple)) else [made]
    except UsageError:
        raise
    except NOT_COMPUTED as error:
        raise node.refusal(f"cannot be computed: {first_line(error)}", "check that Keras loads the file") from error
    if any(one.tensor.numel() > LARGEST for one in several):
        raise node.refusal("makes a tensor that no network needs", "save it with Keras again")
    return several


def _labels(model: KerasModel, within: str) -> Iterator[tuple[int, str]]:
    """The name of each layer with those of the models that it is in."""
    for layer in model.layers:
        if layer.model is None:
            yield id(layer), within + layer.name
        else:
            yield from _labels(layer.model, f"{within}{layer.name}/")


def _plans(path: Path, model: KerasModel, within: str) -> Iterator[tuple[str, tuple[Step, ...]]]:
    yield within, steps(path, model)
    for layer in model.layers:
        if layer.model is not None:
            yield from _plans(path, layer.model, f"{within}{layer.name}/")


def output_names(model: KerasModel) -> tuple[str, ...]:
    """The keys of outputs that are a dictionary, else the layers that make them, numbered where one makes several."""
    if isinstance(model.outputs, Mapping) and all(isinstance(one, Ref) for one in model.outputs.values()):
        return tuple(sorted(model.outputs))
    found: list[str] = []
    for ref in flat(model.outputs):
        count = sum(name.partition(":")[0] == ref.layer for name in found)
        found.append(f"{ref.layer}:{count}" if count else ref.layer)
    return tuple(found)
