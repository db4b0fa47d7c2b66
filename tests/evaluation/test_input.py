"""What a file's input integers mean, and how pixels become them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from edgekit.evaluation.input import FileInput, channels_of
from edgekit.records.manifest import TensorRecord
from edgekit.records.preprocessing import TENSORFLOW, TORCHVISION, Preprocessing, normalize
from edgekit.records.runtime import Session

PIXELS = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)


def _input(
    dtype: str,
    scale: float | None = None,
    zero_point: int | None = None,
    layout: str = "NHWC",
    preprocessing: Preprocessing = TENSORFLOW,
) -> FileInput:
    shape = (1, 16, 16, 3) if layout == "NHWC" else (1, 3, 16, 16)
    tensor = TensorRecord(name="x", dtype=dtype, shape=shape, layout=layout, scale=scale, zero_point=zero_point)
    return FileInput(preprocessing, tensor, (16, 16), 1)


@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_floats_are_normalized_in_the_files_layout(layout: str) -> None:
    got = _input("float32", layout=layout).stored(PIXELS)
    expected = normalize(TENSORFLOW, PIXELS)
    np.testing.assert_array_equal(got, expected.transpose(1, 2, 0) if layout == "NHWC" else expected)
    assert got.flags.c_contiguous
    assert _input("float16", layout=layout).stored(PIXELS).dtype == np.float16


@pytest.mark.parametrize(
    ("dtype", "scale", "zero_point"),
    [
        ("uint8", 1 / 128, 128),  # the hosted files
        ("uint8", 2 / 255, 127),
        ("uint8", 2 / 255, 128),
        ("uint8", 1.0, 0),  # the normalization is inside the file
        ("uint8", None, None),
        ("int8", 1 / 127.5, 0),  # half a step beside every pixel: rounding would tie
        ("int8", 1 / 127.5, -1),
        ("int8", 1.0, -128),
    ],
)
def test_a_pixel_is_its_own_code_where_the_codes_mean_pixels(
    dtype: str, scale: float | None, zero_point: int | None
) -> None:
    got = _input(dtype, scale, zero_point).stored(PIXELS)
    np.testing.assert_array_equal(got.astype(int), PIXELS.astype(int) - (128 if dtype == "int8" else 0))
    assert got.dtype == np.dtype(dtype)
    chw = _input(dtype, scale, zero_point, layout="NCHW").stored(PIXELS)
    np.testing.assert_array_equal(chw, got.transpose(2, 0, 1))


@pytest.mark.parametrize(("dtype", "zero_point"), [("int8", -14), ("uint8", 114)])
def test_other_codes_are_the_nearest_to_the_normalized_value(dtype: str, zero_point: int) -> None:
    scale = 4.8 / 255
    got = _input(dtype, scale, zero_point, preprocessing=TORCHVISION).stored(PIXELS)
    real = (got.astype(float) - zero_point) * scale
    wanted = normalize(TORCHVISION, PIXELS).transpose(1, 2, 0)
    assert np.abs(real - wanted).max() <= scale / 2 + 1e-6


def test_values_beyond_the_codes_are_clipped() -> None:
    got = _input("int8", 1 / 256, 0).stored(PIXELS)
    assert got.min() == -128 and got.max() == 127
    assert (np.diff(got[:, :, 0].astype(int).reshape(-1)) >= 0).all()


@pytest.mark.parametrize(
    ("shape", "layout", "channels"),
    [
        ((1, 1, 28, 28), None, 1),
        ((1, 28, 28, 1), None, 1),
        ((1, 28, 28, 4), None, 4),
        ((1, 3, 32, 32), None, 3),
        ((1, 3, 32, 1), None, None),
        ((1, 3, 32, 1), "NHWC", 1),
        ((1, 7, 8, 8), None, None),
        ((1, 784), None, None),
        ((), None, None),
    ],
)
def test_the_channels_of_a_file_are_those_that_an_image_can_have(
    shape: tuple[int, ...], layout: str | None, channels: int | None
) -> None:
    tensor = SimpleNamespace(name="x", dtype="float32", shape=shape)
    assert channels_of(cast("Session", SimpleNamespace(inputs=[tensor])), layout) == channels
