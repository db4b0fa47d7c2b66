"""A Keras model that is a chain of layers, one after the other as they run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgekit.checkpoints.keras.config import KerasLayer, KerasModel
from edgekit.errors import UsageError


@dataclass(frozen=True)
class Chain:
    """A chain of layers. `size` is (height, width, channels) of the input, each None where it is left open."""

    layers: tuple[KerasLayer, ...]
    size: tuple[int | None, int | None, int | None]


def chain_of(path: Path, model: KerasModel) -> Chain:
    """Return the layers in the order in which they run. Raises UsageError for a model that forks or joins."""
    shape = model.sizes[0]
    if shape is None or len(shape) != 4:
        return Chain(tuple(_in_order(path, model)), (None, None, None))
    channels, height, width = shape[1:] if model.channels_first else (shape[3], shape[1], shape[2])
    return Chain(tuple(_in_order(path, model)), (height, width, channels))


def _in_order(path: Path, model: KerasModel) -> Iterator[KerasLayer]:
    takers: dict[str, list[KerasLayer]] = {}
    first = []
    for layer in model.layers:
        refs = [ref for call in layer.calls for ref in call.refs]
        if len(refs) > 1 or len(layer.calls) > 1:
            raise _no_chain(path, layer)
        if refs and refs[0].layer:
            takers.setdefault(refs[0].layer, []).append(layer)
        else:
            first.append(layer)
    if len(first) != 1:
        raise _no_chain(path, first[1] if first else model.layers[0])
    found: KerasLayer | None = first[0]
    for _ in model.layers:
        if found is None:
            return
        yield from _in_order(path, found.model) if found.model else (found,)
        following = takers.get(found.name, [])
        if len(following) > 1:
            raise _no_chain(path, following[1])
        found = following[0] if following else None


def _no_chain(path: Path, layer: KerasLayer) -> UsageError:
    return UsageError(
        f"{path.name} is no chain of layers: it forks or joins at {layer.name[:80]}",
        f"give the file itself as the network: edgekit export {path.name}",
    )
