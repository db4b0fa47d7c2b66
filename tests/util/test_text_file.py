"""Text files that never end are refused wherever one is read, and within the memory that a text may take."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgekit.data import labels, packed
from edgekit.data.images import find
from edgekit.device.registry import load
from edgekit.errors import UsageError
from edgekit.records.preprocessing_file import reader
from edgekit.sweeps.grid.reading import grid
from edgekit.util.text_file import text_of

READ: dict[str, Callable[[Path], object]] = {
    "p.yaml": reader,
    "devices.yaml": load,
    "labels.txt": lambda path: labels.read(path, 10, 0),
    "grid.yaml": lambda path: grid(str(path)),
}


@pytest.mark.parametrize("make", [lambda path: path.symlink_to("/dev/zero"), os.mkfifo], ids=["endless", "a pipe"])
@pytest.mark.parametrize("name", READ)
def test_what_never_ends_is_no_text(name: str, make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / name)
    with pytest.raises(UsageError) as caught:
        READ[name](tmp_path / name)
    assert "\n" not in caught.value.message and len(caught.value.message) < 1000


def test_a_huge_list_of_images_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "labels.csv").open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(UsageError, match="larger than 64 MiB"):
        find(tmp_path)


def test_a_text(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\xef\xbb\xbfm\xc3\xbcller\n")
    assert text_of(tmp_path / "a", "utf-8-sig") == "müller\n"
    (tmp_path / "a").write_bytes(b"\xff")
    with pytest.raises(ValueError, match="codec"):
        text_of(tmp_path / "a")


@pytest.mark.parametrize("shape", [(60_000, 28, 28), (2**32 - 1,) * 3, (1, 1, 1)])
def test_packed_images_are_no_more_than_they_say(shape: tuple[int, int, int], tmp_path: Path) -> None:
    path = tmp_path / "x-images-idx3-ubyte.gz"
    with gzip.open(path, "wb", compresslevel=1) as stream:
        stream.write(bytes((0, 0, 8, 3)) + np.array(shape, ">u4").tobytes())
        for _ in range(256):
            stream.write(bytes(1 << 20))
    (tmp_path / "x-labels-idx1-ubyte.gz").write_bytes(gzip.compress(bytes((0, 0, 8, 1)) + bytes(4)))
    with pytest.raises(UsageError, match="cannot be read"):
        packed.read(path)
