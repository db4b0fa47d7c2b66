"""Weights from .npz archives: under the network's own key names, or SqueezeNet in Caffe's."""

from __future__ import annotations

import math
import re
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from edgekit.checkpoints.file import Checkpoint, broken, check_size
from edgekit.checkpoints.fit import most_elements
from edgekit.errors import UsageError
from edgekit.network.spec import ModelSpec
from edgekit.records.preprocessing import Preprocessing
from edgekit.util.zip_file import members

# The mean of BGR images in 0..255 that Caffe's ImageNet networks subtract; SqueezeNet's input is 227 x 227
# (Iandola et al., "SqueezeNet", 2016, and its deploy.prototxt).
CAFFE = Preprocessing(channels="BGR", mean=(104.0, 117.0, 123.0), std=(1.0, 1.0, 1.0))
CAFFE_RESOLUTION = 227
HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_CAFFE_NAME = re.compile(r"(conv1|conv10|fire(\d)_(squeeze1x1|expand1x1|expand3x3))_([wb])")


def read(path: Path, spec: ModelSpec) -> Checkpoint:
    """Return the arrays of an archive. Raises UsageError for what is broken, or holds pickled objects."""
    most = most_elements(spec)
    try:
        with path.open("rb") as stream:
            check_size(path, _elements(path, stream), most)
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
    except UsageError:
        raise
    except Exception as error:  # zip, zlib and numpy raise many kinds
        raise broken(path, "npz", error) from error
    tensors = {name: _tensor(array) for name, array in arrays.items()}
    if tensors and all(_CAFFE_NAME.fullmatch(name) for name in tensors):
        named = {_torchvision_name(name): tensor for name, tensor in tensors.items()}
        return Checkpoint(named, CAFFE, resolution=CAFFE_RESOLUTION)
    return Checkpoint(tensors)


def _elements(path: Path, stream: IO[bytes]) -> int:
    """How many numbers the members of an archive say that they hold. Reads their heads alone."""
    with zipfile.ZipFile(stream) as archive:
        return sum(_member_elements(path, archive, member) for member in members(archive))


def _member_elements(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> int:
    name = member.filename.removesuffix(".npy")
    with archive.open(member) as stream:
        if stream.read(len(np.lib.format.MAGIC_PREFIX)) != np.lib.format.MAGIC_PREFIX:
            raise UsageError(f"{path.name} holds '{name}', which is no array", "save arrays with numpy.savez")
        version = tuple(stream.read(2))
        if version not in HEADERS:
            raise ValueError(f"'{name}' is in version {version} of numpy's format")
        shape, _, dtype = HEADERS[version](stream)
    if dtype.hasobject:
        raise UsageError(
            f"{path.name} holds pickled objects, which would run code when opened: refused",
            "save plain numeric arrays with numpy.savez",
        )
    _check_kind(path, name, dtype)
    return abs(math.prod(shape))


def _check_kind(path: Path, name: str, dtype: np.dtype[Any]) -> None:
    if dtype.kind not in "fiub" or dtype.itemsize > 8:
        raise UsageError(
            f"{path.name} holds {dtype} in '{name}', which torch has not", "save arrays of float32 or float64"
        )


def _tensor(array: Any) -> Tensor:
    return torch.from_numpy(np.array(array, array.dtype.newbyteorder("="), order="C"))


# torchvision's SqueezeNet 1.0 numbers every layer of its `features`, activations and poolings too.
_FIRE = {2: 3, 3: 4, 4: 5, 5: 7, 6: 8, 7: 9, 8: 10, 9: 12}
_LAYER = {"conv1": "features.0", "conv10": "classifier.1"}
_PART = {"squeeze1x1": "squeeze", "expand1x1": "expand1x1", "expand3x3": "expand3x3"}
_ROLE = {"w": "weight", "b": "bias"}


def _torchvision_name(name: str) -> str:
    match = _CAFFE_NAME.fullmatch(name)
    assert match is not None
    layer, fire, part, role = match.groups()
    place = f"features.{_FIRE[int(fire)]}.{_PART[part]}" if fire else _LAYER[layer]
    return f"{place}.{_ROLE[role]}"
