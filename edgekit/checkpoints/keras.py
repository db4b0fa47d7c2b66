"""Weights from a Keras .h5 file of MobileNet v1, as keras.applications names its layers; BN is not folded there."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from edgekit.checkpoints.by_layer import Layer, name_tensors, traced
from edgekit.checkpoints.file import AGAIN, Checkpoint, broken, check_size
from edgekit.checkpoints.fit import most_elements
from edgekit.errors import BackendMissing, UsageError
from edgekit.network.spec import ModelSpec
from edgekit.records.preprocessing import TENSORFLOW

EPS = 1e-3  # Keras' default for BatchNormalization, which its MobileNet keeps
BODY = ("conv1", *(f"conv_{kind}_{block}" for block in range(1, 14) for kind in ("dw", "pw")))
CLASSIFIERS = ("conv_preds", "predictions")
NORM_ROLES = ("gamma", "beta", "moving_mean", "moving_variance")
NEEDED = {
    *((name, role) for name in BODY for role in ("kernel", "depthwise_kernel")),
    *((f"{name}_bn", role) for name in BODY for role in NORM_ROLES),
    *((name, role) for name in CLASSIFIERS for role in ("kernel", "bias")),
}
LONGEST_CONFIG = 1 << 26  # bytes of a model's configuration, which Keras writes in some hundred thousand
Arrays = Mapping[tuple[str, str], np.ndarray]  # by layer and role


def read(path: Path, spec: ModelSpec) -> Checkpoint:
    """The tensors of a Keras MobileNet file. Raises UsageError for what is broken or another network's."""
    arrays, resolution = _content(path, most_elements(spec))
    layers = _layers(path, arrays, spec)
    tensors = name_tensors(path.name, "MobileNet v1", layers, traced(spec), spec.name)
    return Checkpoint(tensors, TENSORFLOW, resolution, batch_norm_eps=EPS)


def _content(path: Path, most: int) -> tuple[Arrays, int | None]:
    """The arrays that MobileNet has, at most `most` numbers together, and the input size."""
    try:
        import h5py
    except ImportError as error:
        raise BackendMissing("h5py is not installed", "pip install 'edgekit[export]'") from error
    try:
        with h5py.File(path, "r") as file:
            found = _datasets(path, h5py, file)
            for dataset in found.values():
                _check_dataset(path, dataset)
            check_size(path, sum(_size(dataset) for dataset in found.values()), most)
            arrays = {key: np.asarray(dataset[()]) for key, dataset in found.items()}
            return arrays, _resolution(_config(file))
    except UsageError:
        raise
    except Exception as error:  # HDF5's errors come as OSError, RuntimeError and KeyError
        raise broken(path, "HDF5", error) from error


def _datasets(path: Path, h5py: Any, file: Any) -> dict[tuple[str, str], Any]:
    """What is there of NEEDED, by layer and role. Links to elsewhere are not followed."""
    found: dict[tuple[str, str], Any] = {}

    def keep(name: str, item: Any) -> None:
        parts = name.split("/")
        key = (parts[-2], parts[-1].removesuffix(":0")) if len(parts) > 1 else ("", "")
        if isinstance(item, h5py.Dataset) and key in NEEDED:
            found[key] = item

    # A whole saved model has its weights below this group, and its optimizer's state elsewhere.
    link = file.get("model_weights", getlink=True)
    if link is not None and not isinstance(link, h5py.HardLink):
        raise _elsewhere(path, "model_weights")
    file.get("model_weights", file).visititems(keep)
    return found


def _elsewhere(path: Path, name: str) -> UsageError:
    return UsageError(
        f"{path.name} takes {name} from elsewhere, which can be any file of this machine: refused",
        "give a file that holds its weights itself, as Keras saves it",
    )


def _check_dataset(path: Path, dataset: Any) -> None:
    """Raise UsageError for what is in other files or no array of numbers, before a byte of it is read."""
    if dataset.external or dataset.is_virtual:
        raise _elsewhere(path, dataset.name)
    if dataset.shape is None or dataset.dtype.kind not in "fiu" or dataset.ndim > 4:
        raise UsageError(f"{path.name} holds '{dataset.name}', which is no array of numbers", AGAIN)


def _size(dataset: Any) -> int:
    """Elements that reading takes memory for: a chunk is read whole, however little of it is used."""
    return max(int(dataset.size), math.prod(dataset.chunks or ()))


def _config(file: Any) -> Any:
    """The model's configuration; None where there is none, or it is no text of a possible length."""
    if "model_config" not in file.attrs:
        return None
    attribute = file.attrs.get_id("model_config")
    if attribute.shape != () or attribute.get_storage_size() > LONGEST_CONFIG:
        return None
    return file.attrs["model_config"]


def _resolution(config: Any) -> int | None:
    """The input size that a saved model's configuration tells; None where there is none, or it is left open."""
    if config is None:
        return None
    try:
        first = json.loads(config)["config"]["layers"][0]["config"]
        shape = first.get("batch_input_shape") or first.get("batch_shape")
        return int(shape[1])
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError, RecursionError):
        return None


def _layers(path: Path, arrays: Arrays, spec: ModelSpec) -> list[Layer]:
    names = {layer for layer, _ in arrays}
    classifier = next((name for name in CLASSIFIERS if name in names), None)
    missing = [name for name in BODY if name not in names]
    if missing:
        raise UsageError(
            f"{path.name} is no Keras MobileNet v1: {len(missing)} of its {len(BODY)} convolutions are missing "
            f"({', '.join(missing[:3])})",
            f"give weights of {spec.name}; .h5 files are read for MobileNet v1 only",
        )
    if classifier is None:
        raise UsageError(
            f"{path.name} has no classifier (conv_preds)", "give the file with its top, not a `no_top` one"
        )
    try:
        return [*(_body_layer(arrays, name) for name in BODY), _classifier(arrays, classifier)]
    except KeyError as error:
        raise UsageError(
            f"{path.name} lacks a tensor of Keras' MobileNet v1: {error}", f"give weights of {spec.name}"
        ) from error
    except (ValueError, TypeError, RuntimeError) as error:  # numpy and torch on arrays of another type or rank
        raise broken(path, "Keras MobileNet v1", error) from error


def _body_layer(arrays: Arrays, name: str) -> Layer:
    depthwise = "_dw_" in name
    kernel = _tensor(arrays[name, "depthwise_kernel" if depthwise else "kernel"])
    weight = kernel.permute(2, 3, 0, 1) if depthwise else kernel.permute(3, 2, 0, 1)  # (H, W, C, 1) or (H, W, I, O)
    scale, shift, mean, var = (_tensor(arrays[f"{name}_bn", role]) for role in NORM_ROLES)
    return Layer(weight, None, depthwise, batch_norm=(scale, shift, mean, var))


def _classifier(arrays: Arrays, name: str) -> Layer:
    kernel = _tensor(arrays[name, "kernel"])
    weight = kernel.permute(3, 2, 0, 1) if kernel.dim() == 4 else kernel.permute(1, 0)
    return Layer(weight, _tensor(arrays[name, "bias"]), depthwise=False)


def _tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
