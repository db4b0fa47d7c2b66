"""The arrays of a Keras file as layers, in the order in which they run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from edgekit.checkpoints import hdf5
from edgekit.checkpoints.keras import stored
from edgekit.checkpoints.keras.network import Weighted
from edgekit.checkpoints.keras.order import Chain, chain_of
from edgekit.checkpoints.keras.stored import NORM_ROLES
from edgekit.errors import UsageError

EPS = 1e-3  # Keras' default for BatchNormalization, which its MobileNet keeps
# The layers of keras.applications' MobileNet, for files that do not tell the order of theirs.
BODY = ("conv1", *(f"conv_{kind}_{block}" for block in range(1, 14) for kind in ("dw", "pw")))
CLASSIFIERS = ("conv_preds", "predictions")
KINDS = {"Conv2D": "full", "Dense": "full", "DepthwiseConv2D": "depthwise", "BatchNormalization": "norm"}
ROLES = ("kernel", "depthwise_kernel", "bias", *NORM_ROLES)
_PLACE = re.compile(
    r"((?:(?:layers|_layer_checkpoint_dependencies)/(?:functional|sequential|model)/)*)"  # one model in another
    r"(?:layers|_layer_checkpoint_dependencies)/(conv2d|depthwise_conv2d|batch_normalization|dense)(?:_(\d+))?/vars/(\d)"
)


@dataclass(frozen=True)
class Found:
    """What a file holds. `model` None: it has no configuration."""

    layers: Sequence[Weighted]
    model: Chain | None


def read(path: Path, most: int) -> Found:
    """What a file holds, at most `most` numbers. Raises UsageError for what is broken, or does not tell its layers."""
    whole = stored.read(path, most)
    return _of_weights(path, most) if whole is None else _of_chain(path, whole)


def _of_weights(path: Path, most: int) -> Found:
    """Weights alone."""
    with hdf5.opened(path) as file:
        if hdf5.group(path, file, "layers") or hdf5.group(path, file, "_layer_checkpoint_dependencies"):
            return _by_count(path, file, most)
        return _in_order(path, hdf5.group(path, file, "model_weights") or file, most)


def _of_chain(path: Path, whole: stored.Whole) -> Found:
    chain = chain_of(path, whole.model)
    number = {id(layer): index for index, layer in enumerate(whole.layers)}
    layers = []
    for layer in chain.layers:
        own = {role: whole.arrays[number[id(layer)], role] for role in stored.roles(layer)}
        if own and layer.kind in KINDS:
            eps = float(layer.config.get("epsilon", EPS)) if layer.kind == "BatchNormalization" else None
            first = layer.config.get("data_format") == "channels_first"
            layers.append(Weighted(layer.name, KINDS[layer.kind], own, eps, first))
    return Found(layers, chain)


def _by_count(path: Path, file: Any, most: int) -> Found:
    """Weights alone of Keras 3: each kind of layer is numbered by itself, in an inner model before those around it."""
    wanted = {}
    for name, dataset in hdf5.datasets(file).items():
        place = _PLACE.fullmatch(name)
        if place is not None:
            wanted[place[2], -place[1].count("/"), int(place[3] or 0), int(place[4])] = dataset
        elif not name.startswith(("vars/", "optimizer/")):
            raise UsageError(
                f"{path.name} holds {name[:80]}, and no configuration that says what it is",
                "save the whole model with Keras: model.save('FILE.keras')",
            )
    arrays = hdf5.tensors(path, wanted, most)
    layers = []
    for key in sorted({key[:3] for key in arrays}, key=lambda one: (one[0] == "dense", *one)):
        own = [arrays[one] for one in sorted(arrays) if one[:3] == key]
        layers.append(_unnamed(path, f"{key[0]}_{key[2]}", key[0], own))
    return Found(layers, None)


def _unnamed(path: Path, name: str, kind: str, arrays: Sequence[Tensor]) -> Weighted:
    roles = NORM_ROLES if kind == "batch_normalization" else ("kernel", "bias")
    if len(arrays) > len(roles) or (roles is NORM_ROLES and len(arrays) != len(roles)):
        raise UsageError(
            f"{path.name} has {len(arrays)} arrays for {name}, and no configuration that says which",
            "save the whole model with Keras: model.save('FILE.keras')",
        )
    own = dict(zip(roles, arrays, strict=False))
    told = {"depthwise_conv2d": "depthwise", "batch_normalization": "norm"}.get(kind, "full")
    return Weighted(name, told, own, EPS if told == "norm" else None)


def _in_order(path: Path, below: Any, most: int) -> Found:
    """Weights alone of Keras 2: a list says the order of the layers; without one, their names must be Keras' own."""
    found = {
        stored.key(name): dataset for name, dataset in hdf5.datasets(below).items() if stored.key(name)[2] in ROLES
    }
    order = hdf5.names(below, "layer_names") or _known_order(path, {layer for _, layer, _ in found})
    inner = [layer for name in order for layer in _layers_of(path, below, name, found)]
    arrays = hdf5.tensors(path, {key[1:]: found[key] for key in found if key[1] in inner}, most)
    layers = []
    for name in dict.fromkeys(inner):
        own = {role.removeprefix("depthwise_"): arrays[name, role] for role in ROLES if (name, role) in arrays}
        kind = "depthwise" if (name, "depthwise_kernel") in arrays else "full" if "kernel" in own else "norm"
        missing = [role for role in NORM_ROLES if kind == "norm" and role not in own]
        if missing:
            raise UsageError(
                f"{path.name} lacks {missing[0]} of {name[:80]}",
                "save the whole model with Keras: model.save('FILE.keras')",
            )
        layers.append(Weighted(name, kind, own, EPS if kind == "norm" else None))
    return Found(layers, None)


def _layers_of(path: Path, below: Any, name: str, found: Mapping[tuple[str, str, str], Any]) -> Iterator[str]:
    """The layers that stand below a name, in their order: itself, or those of a model in the model."""
    owner = hdf5.group(path, below, name)
    inner = hdf5.names(owner, "weight_names") if owner else None
    yield from [stored.key(one)[1] for one in inner] if inner else [layer for group, layer, _ in found if group == name]


def _known_order(path: Path, names: set[str]) -> list[str]:
    missing = [name for name in BODY if name not in names]
    if missing:
        raise UsageError(
            f"{path.name} is no Keras MobileNet v1: {len(missing)} of its {len(BODY)} convolutions are missing "
            f"({', '.join(missing[:3])})",
            "give weights of MobileNet v1; a file of another network needs its configuration: model.save('FILE.keras')",
        )
    return [
        part
        for name in (*BODY, *CLASSIFIERS)
        for part in (name, f"{name}_bn")
        if part in names or part == f"{name}_bn" and name in BODY
    ]
