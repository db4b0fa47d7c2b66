"""Weights from torch checkpoints (.pth, .ckpt and their kin) and .safetensors, by the network's own key names."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from edgekit.checkpoints.dictionaries import chosen
from edgekit.checkpoints.file import Checkpoint, broken, check_bytes
from edgekit.checkpoints.fit import for_inference, most_elements, shapes_of
from edgekit.checkpoints.pickled import opened
from edgekit.errors import BackendMissing
from edgekit.network.spec import ModelSpec, variant
from edgekit.util.zip_file import members

_BLOCK = 1 << 20
# torchvision's DenseNet files are older than its module names: norm.1 is norm1 now.
_DOTTED = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")


def read(path: Path, spec: ModelSpec) -> Checkpoint:
    """Return the tensors of a torch or safetensors file. Raises UsageError for what is broken or not only tensors."""
    content = _safetensors(path) if path.suffix.lower() == ".safetensors" else _torch(path, most_elements(spec))
    tensors, notes = chosen(path, _dotted(content), for_inference(shapes_of(variant(spec)), spec))
    return Checkpoint(tensors, notes=notes)


def _dotted(content: Any) -> Any:
    """The same content, with DenseNet's older names as they are now."""
    if not isinstance(content, Mapping):
        return content
    return {_DOTTED.sub(r"\1\2", str(key)): _dotted(value) for key, value in content.items()}


def _torch(path: Path, most: int) -> Any:
    as_saved = False
    try:
        if zipfile.is_zipfile(path):
            as_saved = _as_saved(path, most)
            state = path.stat()
            _check_sums(path, state.st_mtime_ns, state.st_size)
        else:  # of before torch 1.6, read into memory
            check_bytes(path, path.stat().st_size, most)
    except (OSError, ValueError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        raise broken(path, "torch", error) from error
    return opened(path, mapped=as_saved)


def _as_saved(path: Path, most: int) -> bool:
    """Whether the members lie in the file as torch saves them: it can then look at them there.

    Where another program packed them again, torch would take the packed bytes for numbers. They are unpacked then, if
    they are no more than `most` numbers of the largest kind.
    """
    with zipfile.ZipFile(path) as archive:
        found = members(archive)
    packed = [member.file_size for member in found if member.compress_type != zipfile.ZIP_STORED]
    check_bytes(path, sum(packed), most)
    return not packed


@lru_cache(maxsize=8)
def _check_sums(path: Path, changed: int, size: int) -> None:
    """Raise BadZipFile where a member is not what was saved, which torch does not look at.

    VGG-16's 528 MB take about half a second, once for each state of a file in this process. torch can be told to save
    without sums, and then writes 0.
    """
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if member.CRC:
                with archive.open(member) as stream:
                    while stream.read(_BLOCK):
                        pass


def _safetensors(path: Path) -> Any:
    try:
        from safetensors.torch import load_file
    except ImportError as error:
        raise BackendMissing("safetensors is not installed", "pip install 'edgekit[export]'") from error
    try:
        return load_file(path)
    except Exception as error:
        raise broken(path, "safetensors", error) from error
