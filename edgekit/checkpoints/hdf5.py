"""Read arrays of an HDF5 file that a stranger may have made: none from another file, none larger than is needed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from edgekit.checkpoints.file import AGAIN, broken, check_size
from edgekit.errors import BackendMissing, UsageError

Key = TypeVar("Key")
LONGEST_TEXT = 1 << 26  # bytes of an attribute; Keras writes some hundred thousand
MOST_NAMES = 100_000
MOST_SHARED = 1 << 30  # bytes that a list could take whose texts lie elsewhere in the file, all in the same place
MOST_AXES = 5  # of the kernel of a convolution of volumes


@contextmanager
def opened(path: Path, content: IO[bytes] | None = None) -> Iterator[Any]:
    """The open file, or the one in `content`. Whatever its reading raises is told as a UsageError about `path`."""
    try:
        import h5py
    except ImportError as error:
        raise BackendMissing("h5py is not installed", "pip install 'edgekit[export]'") from error
    try:
        with h5py.File(content or path, "r") as file:
            yield file
    except UsageError:
        raise
    except Exception as error:  # HDF5's errors come as OSError, RuntimeError and KeyError
        raise broken(path, "HDF5", error) from error


def group(path: Path, file: Any, name: str) -> Any:
    """Return the group of a name, or None. Raises UsageError where a part of the name is a link to elsewhere."""
    import h5py

    found = file
    for part in name.split("/"):
        link = found.get(part, getlink=True) if isinstance(found, h5py.Group) and part else None
        if link is None:
            return None
        if not isinstance(link, h5py.HardLink):
            raise _elsewhere(path, name)
        found = found[part]
    return found if isinstance(found, h5py.Group) else None


def datasets(within: Any) -> dict[str, Any]:
    """Return every dataset below a group, by its path from there. Links are not followed."""
    import h5py

    found: dict[str, Any] = {}

    def keep(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item

    within.visititems(keep)
    return found


def tensors(path: Path, wanted: Mapping[Key, Any], most: int) -> dict[Key, Tensor]:
    """Return the datasets as float32, all of them at most `most` numbers. Raises UsageError before a byte is read."""
    for dataset in wanted.values():
        _check(path, dataset)
    check_size(path, sum(_size(dataset) for dataset in wanted.values()), most)
    return {key: torch.from_numpy(np.asarray(dataset[()], dtype=np.float32)) for key, dataset in wanted.items()}


def text(owner: Any, name: str) -> str | None:
    """Return an attribute that is one text; None where there is none of a possible length."""
    if name not in owner.attrs:
        return None
    attribute = owner.attrs.get_id(name)
    if attribute.shape != () or attribute.get_storage_size() > LONGEST_TEXT:
        return None
    value = owner.attrs[name]
    value = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return value if isinstance(value, str) else None


def names(owner: Any, name: str) -> list[str] | None:
    """Return an attribute that is a list of texts; None where there is none of a possible length."""
    if name not in owner.attrs:
        return None
    attribute = owner.attrs.get_id(name)
    if attribute.shape == (0,):  # of which HDF5 cannot tell the size
        return []
    if len(attribute.shape) != 1 or attribute.shape[0] > MOST_NAMES or attribute.get_storage_size() > LONGEST_TEXT:
        return None
    # A text of variable length is a reference, and many can lead to one that fills the file. Keras writes none.
    if attribute.dtype.hasobject and attribute.shape[0] * owner.file.id.get_filesize() > MOST_SHARED:
        return None
    return [one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one) for one in owner.attrs[name]]


def _elsewhere(path: Path, name: str) -> UsageError:
    return UsageError(
        f"{path.name} takes {name} from elsewhere, which can be any file of this machine: refused",
        "give a file that holds its weights itself, as Keras saves it",
    )


def _check(path: Path, dataset: Any) -> None:
    """Raise UsageError for what is in other files or no array of numbers, before a byte of it is read."""
    if dataset.external or dataset.is_virtual:
        raise _elsewhere(path, dataset.name)
    if dataset.shape is None or dataset.dtype.kind not in "fiu" or dataset.ndim > MOST_AXES:
        raise UsageError(f"{path.name} holds '{dataset.name}', which is no array of numbers", AGAIN)


def _size(dataset: Any) -> int:
    """Elements that reading takes memory for: a chunk is read whole, however little of it is used."""
    return max(int(dataset.size), math.prod(dataset.chunks or ()))
