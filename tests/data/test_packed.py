"""Packed sets: IDX files, and PNG files with one image a row."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgekit.data.images import labeled
from edgekit.data.packed import read
from edgekit.errors import UsageError
from tests.paths import DATA

Image = pytest.importorskip("PIL.Image", reason="pillow is not installed")


def _idx(values: NDArray[np.uint8]) -> bytes:
    return bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_files_give_gray_images(tmp_path: Path, suffix: str) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 5, 5), dtype=np.uint8)
    pack = gzip.compress if suffix else bytes
    path = tmp_path / f"t-images-idx3-ubyte{suffix}"
    path.write_bytes(pack(_idx(images)))
    (tmp_path / f"t-labels-idx1-ubyte{suffix}").write_bytes(pack(_idx(np.array([4, 0, 9], dtype=np.uint8))))
    samples = labeled(path)
    assert [s.label for s in samples] == [4, 0, 9]
    np.testing.assert_array_equal(np.asarray(samples[1].load()), np.stack([images[1]] * 3, -1))


def test_a_png_gives_one_image_a_row(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3), dtype=np.uint8)
    Image.fromarray(images.reshape(2, 16, 3)).save(tmp_path / "set.png")
    (tmp_path / "set_labels.txt").write_text("1\n0\n")
    samples = labeled(tmp_path / "set.png")
    assert [s.label for s in samples] == [1, 0] and samples[0].name == "set.png[0]"
    np.testing.assert_array_equal(np.asarray(samples[1].load()), images[1])


@pytest.mark.parametrize(
    ("columns", "labels", "cause"),
    [(16, None, "without labels"), (15, "1\n0\n", "no square image"), (16, "1\n", "2 images"), (16, "a\nb\n", "read")],
)
def test_a_wrong_set_says_what_is_wrong(tmp_path: Path, columns: int, labels: str | None, cause: str) -> None:
    Image.new("RGB", (columns, 2)).save(tmp_path / "set.png")
    if labels is not None:
        (tmp_path / "set_labels.txt").write_text(labels)
    with pytest.raises(UsageError, match=cause):
        read(tmp_path / "set.png")


@pytest.mark.parametrize(
    "data", [b"", b"\0\0\x08\x03\0\0", b"text", gzip.compress(_idx(np.zeros((2, 2, 2), np.uint8)), mtime=0)[:20]]
)
def test_a_broken_idx_file_is_named(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "t-images-idx3-ubyte.gz").write_bytes(data)
    (tmp_path / "t-labels-idx1-ubyte.gz").write_bytes(gzip.compress(_idx(np.zeros(2, np.uint8))))
    with pytest.raises(UsageError, match="t-images-idx3-ubyte.gz cannot be read"):
        read(tmp_path / "t-images-idx3-ubyte.gz")


@pytest.mark.data
def test_mnist_is_read_as_it_is_published() -> None:
    packed = read(DATA / "mnist" / "t10k-images-idx3-ubyte.gz")
    assert packed.pixels.shape == (10000, 28, 28, 1) and packed.labels[:5] == (7, 2, 1, 0, 4)


@pytest.mark.data
def test_cifar_is_read_row_by_row() -> None:
    packed = read(DATA / "cifar10" / "test_1000.png")
    assert packed.pixels.shape == (1000, 32, 32, 3) and packed.labels[:3] == (3, 8, 8)
