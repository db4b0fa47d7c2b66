"""The configuration of a Keras model (JSON) as data: its layers, what each call of them takes, and what it gives.

Functional and Sequential models are read, one in another too. Keras 2 and 3 write the configuration alike but for how a
layer says what it takes (`inbound_nodes`).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.checkpoints.file import broken
from edgekit.errors import UsageError

MODELS = ("Functional", "Sequential", "Model")
Size = tuple[int | None, ...]


@dataclass(frozen=True)
class Ref:
    """A tensor of a model: an output of one call of a layer."""

    layer: str
    call: int = 0
    output: int = 0


GIVEN = Ref("")  # what a Sequential model without an input layer is called with


@dataclass(frozen=True)
class Call:
    """What a layer is called with: `Ref`s and constants, in lists and dictionaries as the file has them."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    @property
    def refs(self) -> list[Ref]:
        """The tensors that it takes, in order."""
        return [one for one in flat((self.args, self.kwargs)) if isinstance(one, Ref)]


@dataclass(frozen=True)
class KerasLayer:
    """A layer, or an operation of Keras that is called like one.

    `group` is the outermost model's name for it or for the model that it is in, under which .h5 files have its arrays;
    `place` is where a Keras 3 archive has them. `model` is the model that it is, `inputs` are what that takes.
    """

    name: str
    kind: str
    config: Mapping[str, Any]
    group: str
    place: str
    calls: tuple[Call, ...] = ()
    is_operation: bool = False
    model: KerasModel | None = None

    @property
    def constants(self) -> tuple[float, ...]:
        """The numbers that it is called with beside its input, as in `x / 127.5`."""
        found = [one for call in self.calls for one in flat((call.args, call.kwargs))]
        return tuple(float(one) for one in found if isinstance(one, (int, float)) and not isinstance(one, bool))


@dataclass(frozen=True)
class KerasModel:
    """A model. `inputs` and `outputs` are `Ref`s, in lists and dictionaries where there are several.

    `size` is the shape of each input with its batch, in the order of `flat(inputs)`; None for what is left open.
    """

    layers: tuple[KerasLayer, ...]
    inputs: Any
    outputs: Any
    sizes: tuple[Size | None, ...]
    dtypes: tuple[str, ...] = ()

    def all_layers(self) -> Iterator[KerasLayer]:
        """Yield every layer, those of models in it too, in the file's order."""
        for layer in self.layers:
            yield from layer.model.all_layers() if layer.model else (layer,)

    @property
    def channels_first(self) -> bool:
        """Whether its maps have their channels first."""
        return any(layer.config.get("data_format") == "channels_first" for layer in self.all_layers())


def read(path: Path, config: str) -> KerasModel:
    """Return the model of a configuration. Raises UsageError for one that is broken."""
    try:
        return _model(path, json.loads(config), "", "")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise broken(path, "Keras configuration", error) from error


def flat(value: Any) -> Iterator[Any]:
    """What stands in lists and dictionaries, one after the other; dictionaries in the order of their keys, as Keras."""
    if isinstance(value, (list, tuple)):
        for one in value:
            yield from flat(one)
    elif isinstance(value, Mapping):
        for key in sorted(value):
            yield from flat(value[key])
    else:
        yield value


def _model(path: Path, model: Mapping[str, Any], group: str, place: str) -> KerasModel:
    if model["class_name"] not in MODELS:
        raise UsageError(
            f"{path.name} is a model of the class {str(model['class_name'])[:80]}, whose layers only its code knows",
            "build it as a Functional or Sequential model, or save its weights for the torch network",
        )
    entries = _entries(model)
    places = _places(entries, place)
    layers = tuple(
        _layer(path, entry, group, one, index) for index, (entry, one) in enumerate(zip(entries, places, strict=True))
    )
    if model["class_name"] == "Sequential":
        return _sequential(model, layers, entries)
    config = model["config"]
    named = {layer.name: entry for layer, entry in zip(layers, entries, strict=True)}
    inputs, outputs = _ends(config["input_layers"]), _ends(config["output_layers"])
    first = [named[one.layer] for one in flat(inputs)]
    return KerasModel(layers, inputs, outputs, tuple(map(_size, first)), tuple(map(_dtype, first)))


def _sequential(model: Mapping[str, Any], layers: Sequence[KerasLayer], entries: Sequence[Any]) -> KerasModel:
    """A chain, whose layers do not say what they take."""
    before, called = GIVEN, []
    for layer in layers:
        is_input = layer.kind == "InputLayer" and before is GIVEN
        calls = () if is_input else (Call((before,), {}),)
        called.append(KerasLayer(**{**vars(layer), "calls": calls}))
        before = Ref(layer.name)
    first = Ref(layers[0].name) if layers[0].kind == "InputLayer" else GIVEN
    size = _size(entries[0]) or _sizes_of((model.get("build_config") or {}).get("input_shape"))
    if size is None and layers[0].model is not None:
        size = layers[0].model.sizes[0]
    return KerasModel(tuple(called), first, before, (size,), (_dtype(entries[0]),))


def _layer(path: Path, entry: Mapping[str, Any], group: str, place: str, index: int) -> KerasLayer:
    name, kind = _name(entry), str(entry["class_name"])
    inner = _model(path, entry, group or name, f"{place}/layers/") if kind in MODELS else None
    calls = tuple(map(_call, entry.get("inbound_nodes") or []))
    config = entry["config"] if isinstance(entry["config"], dict) else {}
    return KerasLayer(name, kind, config, group or name, place, calls, _is_operation(entry), inner)


def _is_operation(entry: Mapping[str, Any]) -> bool:
    """Whether it is one of keras.ops: an .h5 file has no module, but operations are never trainable there."""
    if entry.get("module"):
        return ".ops." in f"{entry['module']}."
    nodes = entry.get("inbound_nodes") or []
    of_keras_3 = bool(nodes) and all(isinstance(node, dict) for node in nodes)
    return of_keras_3 and entry["class_name"] not in MODELS and "trainable" not in entry["config"]


def _entries(model: Mapping[str, Any]) -> list[Any]:
    config = model["config"]
    found = config if isinstance(config, list) else config["layers"]  # a list is how the oldest Sequential is written
    return list(found)


def _name(entry: Mapping[str, Any]) -> str:
    return str(entry.get("name") or entry["config"]["name"])


def _places(entries: Sequence[Mapping[str, Any]], within: str) -> list[str]:
    """Where a Keras 3 archive has the arrays of each layer: called after its class, and numbered from the second on."""
    counts = Counter[str]()
    found = []
    for entry in entries:
        own = _snake(str(entry["class_name"])) if not _is_operation(entry) else ""
        found.append(f"{within}{own}_{counts[own]}" if counts[own] else within + own)
        counts[own] += 1
    return found


def _snake(name: str) -> str:
    """A class's name with underscores, as Keras makes it: DepthwiseConv2D is depthwise_conv2d, PReLU is p_re_lu."""
    parts = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", parts).lower()


# What layers are called with


def _call(node: Any) -> Call:
    """One call: Keras 3 tells its arguments, Keras 2 lists [layer, call, output, further arguments]."""
    if isinstance(node, dict):
        return Call(tuple(map(_value, node.get("args", ()))), {key: _value(one) for key, one in node["kwargs"].items()})
    entries = [node] if node and isinstance(node[0], str) else list(node)
    kwargs = {key: _old(one) for entry in entries for one_of in entry[3:4] for key, one in one_of.items()}
    taken = [_old(entry) for entry in entries]
    return Call((taken[0],) if len(taken) == 1 else (taken,), kwargs)


def _value(value: Any) -> Any:
    """An argument as Keras 3 writes it."""
    if isinstance(value, list):
        return [_value(one) for one in value]
    if not isinstance(value, dict):
        return value
    kind, config = value.get("class_name"), value.get("config")
    if kind == "__keras_tensor__":
        layer, call, output = value["config"]["keras_history"]
        return Ref(str(layer), int(call), int(output))
    if kind in ("__numpy__", "__tensor__"):
        return value["config"]["value"]
    if kind == "__tuple__":
        return [_value(one) for one in value["items"]]
    if kind == "__slice__":
        return slice(*(_value(config[key]) for key in ("start", "stop", "step")))  # type: ignore[index]
    if kind == "__ellipsis__":
        return Ellipsis
    return {key: _value(one) for key, one in value.items()}


def _old(value: Any) -> Any:
    """An argument as Keras 2 writes it."""
    if isinstance(value, list) and len(value) > 2 and isinstance(value[0], str) and isinstance(value[1], int):
        return value[2] if value[0] == "_CONSTANT_VALUE" else Ref(value[0], value[1], int(value[2]))
    if isinstance(value, list):
        return [_old(one) for one in value]
    if isinstance(value, dict) and {"start", "stop", "step"} == set(value):
        return slice(*(_old(value[key]) for key in ("start", "stop", "step")))
    return {key: _old(one) for key, one in value.items()} if isinstance(value, dict) else value


def _ends(value: Any) -> Any:
    """The inputs or outputs of a Functional model."""
    if isinstance(value, dict):
        return {key: _ends(one) for key, one in value.items()}
    if len(value) == 3 and isinstance(value[0], str):
        return Ref(value[0], int(value[1]), int(value[2]))
    return [_ends(one) for one in value]


def _size(entry: Mapping[str, Any]) -> Size | None:
    """The shape that a layer says it takes; None where it says none."""
    config = entry["config"]
    return _sizes_of(config.get("batch_input_shape") or config.get("batch_shape")) if isinstance(config, dict) else None


def _sizes_of(told: Any) -> Size | None:
    return None if told is None else tuple(None if one is None else int(one) for one in told)


def _dtype(entry: Mapping[str, Any]) -> str:
    """What an input layer takes; float32 where it says nothing."""
    config = entry["config"]
    told = config.get("dtype") if isinstance(config, dict) and entry["class_name"] == "InputLayer" else None
    if isinstance(told, dict):
        told = (told.get("config") or {}).get("name")
    return str(told or "float32")
