"""The layers of a Keras model in the order in which they run, from its own configuration (JSON).

Functional and Sequential models are read, one in another too, as transfer learning makes them. Keras 2 and 3 write the
configuration alike but for how a layer says what it takes (`inbound_nodes`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.checkpoints.file import broken
from edgekit.errors import UsageError

MODELS = ("Functional", "Sequential", "Model")
# Keras 3 calls the place of a layer's arrays after its class. Only these have arrays, or layers with arrays.
PLACES = {
    "Conv2D": "conv2d",
    "DepthwiseConv2D": "depthwise_conv2d",
    "BatchNormalization": "batch_normalization",
    "Dense": "dense",
    "Functional": "functional",
    "Sequential": "sequential",
    "Model": "model",
}


@dataclass(frozen=True)
class KerasLayer:
    """A layer. `constants` are the numbers that it is called with beside its input, as in `x / 127.5`.

    `group` is the outermost model's name for it or for the model that it is in, under which .h5 files have its arrays;
    `place` is where a Keras 3 archive has them.
    """

    name: str
    kind: str
    config: Mapping[str, Any]
    group: str
    place: str
    constants: tuple[float, ...] = ()


@dataclass(frozen=True)
class KerasModel:
    """A chain of layers. `size` is (height, width, channels) of the input, each None where it is left open."""

    layers: tuple[KerasLayer, ...]
    size: tuple[int | None, int | None, int | None]
    channels_first: bool


def read(path: Path, config: str) -> KerasModel:
    """The model of a configuration. Raises UsageError for one that is broken or is no chain of layers."""
    try:
        model = json.loads(config)
        layers = tuple(_chain(path, model, "", ""))
        first = any(layer.config.get("data_format") == "channels_first" for layer in layers)
        return KerasModel(layers, _size(model, first), first)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise broken(path, "Keras configuration", error) from error


def _chain(path: Path, model: Mapping[str, Any], group: str, place: str) -> Iterator[KerasLayer]:
    """The layers of a model, with those of models in it."""
    if model["class_name"] not in MODELS:
        raise UsageError(
            f"{path.name} is a model of the class {str(model['class_name'])[:80]}, whose layers only its code knows",
            "build it as a Functional or Sequential model, or save its weights for the torch network",
        )
    entries = _entries(model)
    places, counts = {}, Counter[str]()
    for entry in entries:
        kind = entry["class_name"]
        own = PLACES.get(kind, "")
        places[_name(entry)] = f"{place}{own}_{counts[kind]}" if counts[kind] else place + own
        counts[kind] += 1
    for entry in entries if model["class_name"] == "Sequential" else _in_order(path, entries):
        name = _name(entry)
        if entry["class_name"] in MODELS:
            yield from _chain(path, entry, group or name, f"{places[name]}/layers/")
        else:
            kind, config = str(entry["class_name"]), entry["config"]
            yield KerasLayer(name, kind, config, group or name, places[name], tuple(_constants(entry)))


def _entries(model: Mapping[str, Any]) -> list[Any]:
    config = model["config"]
    found = config if isinstance(config, list) else config["layers"]  # a list is how the oldest Sequential is written
    return list(found)


def _name(entry: Mapping[str, Any]) -> str:
    return str(entry.get("name") or entry["config"]["name"])


def _in_order(path: Path, entries: list[Any]) -> Iterator[Any]:
    """The layers of a Functional model from its input on. Raises UsageError where it forks or joins."""
    takers: dict[str, list[Any]] = {}
    first = []
    for entry in entries:
        calls, sources = entry.get("inbound_nodes") or [], list(_sources(entry.get("inbound_nodes")))
        if len(sources) > 1 or len(calls) > 1:
            raise _no_chain(path, entry)
        if sources:
            takers.setdefault(sources[0], []).append(entry)
        else:
            first.append(entry)
    (found,) = first
    for _ in entries:
        yield found
        following = takers.get(_name(found), [])
        if not following:
            return
        if len(following) > 1:
            raise _no_chain(path, following[1])
        found = following[0]


def _no_chain(path: Path, entry: Mapping[str, Any]) -> UsageError:
    return UsageError(
        f"{path.name} is no chain of layers: it forks or joins at {_name(entry)[:80]}",
        "Keras files are read for chains, as MobileNet v1 and VGG are; save others for the torch network",
    )


def _sources(nodes: Any) -> Iterator[str]:
    """The layers whose outputs stand in a description of calls."""
    if isinstance(nodes, dict):
        if nodes.get("class_name") == "__keras_tensor__":
            yield nodes["config"]["keras_history"][0]
        else:
            for one in nodes.values():
                yield from _sources(one)
    elif isinstance(nodes, list):
        if len(nodes) > 2 and isinstance(nodes[0], str) and isinstance(nodes[1], int):  # Keras 2: [name, node, tensor]
            yield nodes[0]
            nodes = nodes[3:]
        for one in nodes:
            yield from _sources(one)


def _constants(entry: Mapping[str, Any]) -> Iterator[float]:
    """The numbers in a call: Keras 3 has them among the positional arguments, Keras 2 in the last place."""
    for node in entry.get("inbound_nodes") or []:
        if isinstance(node, dict):
            found = [*node.get("args", ())]
        else:
            found = [value for one in node if isinstance(one, dict) for value in one.values()]
        yield from (float(one) for one in found if isinstance(one, (int, float)) and not isinstance(one, bool))


def _size(model: Mapping[str, Any], channels_first: bool) -> tuple[int | None, int | None, int | None]:
    shape = _input_shape(model)
    if shape is None or len(shape) != 4:
        return (None, None, None)
    channels, height, width = shape[1:] if channels_first else (shape[3], shape[1], shape[2])
    return tuple(None if one is None else int(one) for one in (height, width, channels))  # type: ignore[return-value]


def _input_shape(model: Mapping[str, Any]) -> Any:
    """The shape that a model, its first layer or the first layer of a model in it tells; None where none does."""
    entry = _entries(model)[0]
    config = entry["config"]
    told = config.get("batch_input_shape") or config.get("batch_shape") if isinstance(config, dict) else None
    told = told or (model.get("build_config") or {}).get("input_shape")
    return told or (_input_shape(entry) if entry["class_name"] in MODELS else None)
