"""Many small images in one file: MNIST's IDX, and a PNG with one image a row. Labels stand in a file beside it.

* `NAME-images-idx3-ubyte[.gz]` with `NAME-labels-idx1-ubyte[.gz]` (http://yann.lecun.com/exdb/mnist)
* `NAME.png`, each row one square image of rows, columns and channels in turn, with `NAME_labels.txt`, a class a line
"""

from __future__ import annotations

import gzip
import math
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekit.data.decode import decode
from edgekit.errors import UsageError
from edgekit.util.text_file import text_of

LARGEST = 1 << 31  # bytes of pixels; EMNIST has a quarter of it
_BESIDE = "a packed set needs its labels beside it: NAME_labels.txt, or NAME-labels-idx1-ubyte; else give a folder"


@dataclass(frozen=True)
class Packed:
    """`pixels` is uint8 (N, H, W, C) with C 1 or 3; `labels` has N classes."""

    pixels: NDArray[np.uint8]
    labels: tuple[int, ...]


@lru_cache(maxsize=2)
def read(path: Path) -> Packed:
    """Return the images and labels of a packed set. Raises UsageError when it is none, or broken."""
    idx = "-images-idx3-" in path.name
    beside = path.with_name(path.name.replace("-images-idx3-", "-labels-idx1-") if idx else f"{path.stem}_labels.txt")
    if not beside.is_file():
        raise UsageError(f"{path} is a file without labels ({beside.name} is missing)", _BESIDE)
    try:
        pixels = _idx(path, 3)[:, :, :, None] if idx else _rows(path)
        labels = tuple(_idx(beside, 1).tolist() if idx else map(int, text_of(beside, "ascii").split()))
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise UsageError(f"the packed images {path} cannot be read: {error}", "fetch the files again") from error
    if len(pixels) != len(labels) or min(labels, default=0) < 0:
        raise UsageError(f"{path} has {len(pixels)} images and {beside.name} {len(labels)} labels", "make them fit")
    return Packed(pixels, labels)


def _idx(path: Path, axes: int) -> NDArray[np.uint8]:
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
        head = stream.read(4 + 4 * axes)
        if head[:4] != bytes((0, 0, 8, axes)):  # 8: unsigned bytes
            raise ValueError(f"{path.name} is no IDX file of bytes with {axes} axes")
        shape = np.frombuffer(head, dtype=">u4", count=axes, offset=4).tolist()
        if math.prod(shape) > LARGEST:  # a few packed bytes can be any number of them
            raise ValueError(f"{path.name} says that it has {math.prod(shape):,} bytes")
        data = stream.read(math.prod(shape) + 1)
    return np.frombuffer(data, dtype=np.uint8).reshape(shape)


def _rows(path: Path) -> NDArray[np.uint8]:
    image = np.asarray(decode(path))
    side = math.isqrt(image.shape[1])
    if side * side != image.shape[1]:
        raise ValueError(f"its {image.shape[1]} columns are no square image")
    return image.reshape(-1, side, side, 3)
