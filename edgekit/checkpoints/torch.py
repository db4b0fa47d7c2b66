"""Weights from torch checkpoints (.pth, .pt, .th) and .safetensors, by the network's own key names.

A checkpoint is a pickle; only `weights_only=True` opens it, which runs no code from it.
"""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from edgekit.checkpoints.file import Checkpoint, broken, check_size
from edgekit.checkpoints.fit import most_elements
from edgekit.errors import BackendMissing, UsageError
from edgekit.network.spec import ModelSpec

_BLOCK = 1 << 20
_LARGEST = 8  # bytes of a number
# What training scripts put around the weights; averaged ones are meant only where there are no others.
WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "weights", "ema", "model_ema", "state_dict_ema")
AVERAGED = "n_averaged"  # how many AveragedModel has seen, beside the weights
PREFIXES = ("module.", "_orig_mod.")  # DataParallel or AveragedModel, and torch.compile; in any order
# torchvision's DenseNet files are older than its module names: norm.1 is norm1 now.
_DOTTED = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")


def read(path: Path, spec: ModelSpec) -> Checkpoint:
    """The tensors of a torch or safetensors file. Raises UsageError for what is broken or not only tensors."""
    content = _safetensors(path) if path.suffix.lower() == ".safetensors" else _torch(path, most_elements(spec))
    tensors = _plain(path, content).items()
    return Checkpoint({_DOTTED.sub(r"\1\2", name): tensor for name, tensor in tensors})


def _torch(path: Path, most: int) -> Any:
    zipped = zipfile.is_zipfile(path)
    as_saved = False
    try:
        if zipped:
            as_saved = _as_saved(path, most)
            state = path.stat()
            _check_sums(path, state.st_mtime_ns, state.st_size)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the pickle's age; the content is checked below
            return torch.load(path, map_location="cpu", weights_only=True, mmap=as_saved)
    except UsageError:
        raise
    except UnpicklingError as error:
        if "Unsupported" in str(error) or "GLOBAL" in str(error):
            raise UsageError(
                f"{path.name} holds more than tensors and would run code when opened: refused",
                "save only the weights: torch.save(model.state_dict(), ...), or use .safetensors",
            ) from error
        raise broken(path, "torch", error) from error
    except Exception as error:  # torch raises many kinds for bytes that are not its own
        if "TorchScript" in str(error):
            raise UsageError(
                f"{path.name} is a TorchScript program, not weights", "save model.state_dict() instead"
            ) from error
        raise broken(path, "torch", error) from error


def _as_saved(path: Path, most: int) -> bool:
    """Whether the members lie in the file as torch saves them: it can then look at them there.

    Where another program packed them again, torch would take the packed bytes for numbers. They are unpacked then, if
    they are no more than `most` numbers of the largest kind.
    """
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    packed = [member.file_size for member in members if member.compress_type != zipfile.ZIP_STORED]
    check_size(path, sum(packed) // _LARGEST, most)
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


def _plain(path: Path, content: Any) -> dict[str, Tensor]:
    """Names and tensors, without what training scripts wrap around them."""
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
            break
    if not isinstance(content, Mapping) or not content:
        raise UsageError(
            f"{path.name} holds {type(content).__name__}, not named tensors", "save model.state_dict() in it"
        )
    strange = [str(name) for name, value in content.items() if not isinstance(value, Tensor)]
    if strange:
        raise UsageError(
            f"{path.name} holds something other than tensors, first '{strange[0]}'", "save model.state_dict() in it"
        )
    tensors = {str(name): value for name, value in content.items()}
    return _without_prefixes(tensors)


def _without_prefixes(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    rest = {name: value for name, value in tensors.items() if name != AVERAGED}
    prefix = next((prefix for prefix in PREFIXES if rest and all(name.startswith(prefix) for name in rest)), None)
    if prefix is None:
        return tensors
    return _without_prefixes({name.removeprefix(prefix): value for name, value in rest.items()})
