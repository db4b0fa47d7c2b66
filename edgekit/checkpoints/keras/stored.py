"""Where the arrays of a Keras model's layers stand in its file, and what each of them is."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from edgekit.checkpoints import hdf5
from edgekit.checkpoints.keras import archive, config
from edgekit.checkpoints.keras.config import KerasLayer, KerasModel
from edgekit.errors import UsageError
from edgekit.util.formatting import shape_text

NORM_ROLES = ("gamma", "beta", "moving_mean", "moving_variance")
Arrays = dict[tuple[int, str], Tensor]  # by the layer's number among all of the model, and the array's role
_RANKS = ("1D", "2D", "3D")


@dataclass(frozen=True)
class Whole:
    """A model with its configuration. `arrays` are those of `layers`; `version` is the Keras that wrote it."""

    model: KerasModel
    layers: tuple[KerasLayer, ...]
    arrays: Arrays
    version: str


def read(path: Path, most: int) -> Whole | None:
    """Return a model with its arrays, at most `most` numbers; None for an .h5 file of weights alone.

    Raises UsageError for what is broken, and where an array is missing.
    """
    if path.suffix.lower() == ".keras":
        found = archive.read(path, most)
        with hdf5.opened(path, found.arrays) as file:
            return _whole(path, found.config, found.version, file, by_place, most)
    with hdf5.opened(path) as file:
        told = hdf5.text(file, "model_config")
        if told is None:
            return None
        # A whole saved model has its weights below this group, and its optimizer's state elsewhere.
        below = hdf5.group(path, file, "model_weights") or file
        version = hdf5.text(file, "keras_version") or hdf5.text(below, "keras_version") or ""
        return _whole(path, told, version, below, by_name, most)


def _whole(
    path: Path, told: str, version: str, file: Any, placed: Callable[..., dict[tuple[int, str], Any]], most: int
) -> Whole:
    model = config.read(path, told)
    layers = tuple(model.all_layers())
    arrays = hdf5.tensors(path, placed(file, layers), most)
    _check_complete(path, layers, arrays)
    return Whole(model, layers, arrays, version)


def by_name(below: Any, layers: Sequence[KerasLayer]) -> dict[tuple[int, str], Any]:
    """Return the datasets of an .h5 file: they stand below the layer's name."""
    there = {key(name): dataset for name, dataset in hdf5.datasets(below).items()}
    return {
        (index, role): there[layer.group, layer.name, stored]
        for index, layer in enumerate(layers)
        for role in roles(layer)
        for stored in (role, f"depthwise_{role}", *_unnamed(layer))
        if (layer.group, layer.name, stored) in there
    }


def _unnamed(layer: KerasLayer) -> tuple[str, ...]:
    """What Keras calls the only array of a layer that gives it no name."""
    return ("variable",) if len(roles(layer)) == 1 else ()


def key(name: str) -> tuple[str, str, str]:
    """Return the outermost group, the layer and the role of an array's path."""
    parts = name.split("/")
    return parts[0], parts[-2] if len(parts) > 1 else "", parts[-1].removesuffix(":0")


def by_place(file: Any, layers: Sequence[KerasLayer]) -> dict[tuple[int, str], Any]:
    """Return the datasets of a .keras archive: they stand at the layer's place, numbered as the layer makes them."""
    there = hdf5.datasets(file)
    root = "layers" if any(name.startswith("layers/") for name in there) else "_layer_checkpoint_dependencies"
    return {
        (index, role): there[name]
        for index, layer in enumerate(layers)
        for number, role in enumerate(roles(layer))
        for name in [f"{root}/{layer.place}/vars/{number}"]
        if name in there
    }


def _check_complete(path: Path, layers: Sequence[KerasLayer], arrays: Arrays) -> None:
    for index, layer in enumerate(layers):
        missing = [role for role in roles(layer) if (index, role) not in arrays]
        if missing:
            raise UsageError(
                f"{path.name} lacks {missing[0]} of its layer {layer.name[:80]} ({layer.kind})",
                "save it with Keras again",
            )
        for role, told in _told_sizes(layer).items():
            own = arrays[index, role].shape if (index, role) in arrays else ()
            if own and (len(own) != len(told) or any(b not in (None, a) for a, b in zip(own, told, strict=True))):
                sizes = "x".join("?" if one is None else str(one)[:20] for one in told)
                raise UsageError(
                    f"the {role} of layer {layer.name[:80]} ({layer.kind}) in {path.name} is "
                    f"{shape_text(own)}, and its configuration says {sizes}",
                    "save it with Keras again",
                )


def _told_sizes(layer: KerasLayer) -> dict[str, tuple[Any, ...]]:
    """The shapes of a layer's kernels, as far as its configuration tells: None for an axis that it leaves open."""
    get, kind = layer.config.get, layer.kind
    if kind == "Dense":
        return {"kernel": (None, get("units"))}
    found = re.fullmatch(r"(Conv|DepthwiseConv|SeparableConv)([123])D(Transpose)?", kind)
    if found is None:
        return {}
    rank, size = int(found[2]), get("kernel_size")
    space = (*size,) if isinstance(size, list) else (size,) * rank
    if found[1] == "Conv":
        return {"kernel": (*space, get("filters"), None) if found[3] else (*space, None, get("filters"))}
    depthwise = (*space, None, get("depth_multiplier"))
    if found[1] == "DepthwiseConv":
        return {"kernel": depthwise}
    return {"depthwise_kernel": depthwise, "pointwise_kernel": (*(1,) * rank, None, get("filters"))}


def roles(layer: KerasLayer) -> tuple[str, ...]:
    """Return the arrays of a layer in the order in which it makes them, as its configuration says."""
    settings = layer.config
    found = () if layer.is_operation else ROLES.get(layer.kind, ())
    without = {
        "bias": not settings.get("use_bias", True),
        "gamma": not settings.get("scale", True) and layer.kind != "LayerScale",
        "beta": not settings.get("center", True),
        **dict.fromkeys(("mean", "variance"), settings.get("mean") is not None),
    }
    return tuple(role for role in found if not without.get(role, False))


ROLES: Mapping[str, tuple[str, ...]] = {
    **{
        f"{kind}{rank}{more}": ("kernel", "bias")
        for rank in _RANKS
        for kind, more in (("Conv", ""), ("Conv", "Transpose"), ("DepthwiseConv", ""))
    },
    **{f"SeparableConv{rank}": ("depthwise_kernel", "pointwise_kernel", "bias") for rank in _RANKS},
    "Dense": ("kernel", "bias"),
    "BatchNormalization": NORM_ROLES,
    "SyncBatchNormalization": NORM_ROLES,
    "LayerNormalization": ("gamma", "beta"),
    "GroupNormalization": ("gamma", "beta"),
    "Normalization": ("mean", "variance"),
    "PReLU": ("alpha",),
    "LayerScale": ("gamma",),
}
