"""Preprocessing: what a pixel becomes."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edgekit.errors import UsageError
from edgekit.records.preprocessing import (
    TENSORFLOW,
    TORCHVISION,
    Preprocessing,
    apply,
    check_input,
    crop_box,
    to_pixels,
)

Image = pytest.importorskip("PIL.Image", reason="pillow is not installed")


def _picture(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_an_image_of_the_right_size_keeps_its_pixels() -> None:
    pixels = _picture(32, 32)
    got = to_pixels(Preprocessing(crop_fraction=1.0), Image.fromarray(pixels), (32, 32))
    np.testing.assert_array_equal(got, pixels)


def test_pixels_become_the_numbers_that_the_network_was_trained_on() -> None:
    pixels = _picture(8, 8)
    how = TORCHVISION.model_copy(update={"crop_fraction": 1.0})
    got = apply(how, Image.fromarray(pixels), (8, 8))
    assert got.dtype == np.float32 and got.shape == (3, 8, 8) and got.flags.c_contiguous
    unit = pixels[3, 5] / 255
    np.testing.assert_allclose(got[:, 3, 5], (unit - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225], rtol=1e-5)


def test_bgr_is_rgb_backwards_and_gray_is_one_channel() -> None:
    image = Image.fromarray(_picture(8, 8))
    rgb = to_pixels(Preprocessing(crop_fraction=1.0), image, (8, 8))
    bgr = to_pixels(Preprocessing(crop_fraction=1.0, channels="BGR"), image, (8, 8))
    gray = Preprocessing(crop_fraction=1.0, channels="L", mean=(0.0,), std=(255.0,))
    np.testing.assert_array_equal(bgr, rgb[:, :, ::-1])
    assert to_pixels(gray, image, (8, 8)).shape == (8, 8, 1)
    np.testing.assert_array_equal(to_pixels(gray, image, (8, 8))[:, :, 0], np.asarray(image.convert("L")))


def test_the_crop_is_central_and_square_unless_told_otherwise() -> None:
    assert crop_box(TENSORFLOW, 300, 200) == (62.5, 12.5, 237.5, 187.5)
    assert crop_box(Preprocessing(crop_fraction=0.5, square_crop=False), 300, 200) == (75.0, 50.0, 225.0, 150.0)
    assert crop_box(Preprocessing(crop_fraction=1.0), 300, 200) == (50.0, 0.0, 250.0, 200.0)


def test_what_lies_outside_the_crop_does_not_matter() -> None:
    pixels = _picture(64, 64)
    inside = pixels.copy()
    inside[:4] = inside[-4:] = 0
    inside[:, :4] = inside[:, -4:] = 0
    got = [to_pixels(TENSORFLOW, Image.fromarray(one), (56, 56)) for one in (pixels, inside)]
    np.testing.assert_array_equal(got[0], got[1])
    np.testing.assert_array_equal(got[0], pixels[4:-4, 4:-4])


def test_shrinking_averages_every_pixel() -> None:
    stripes = np.zeros((64, 64, 3), dtype=np.uint8)
    stripes[:, ::4] = 200  # a filter of two pixels would see either 0 or 200 in some places
    got = to_pixels(Preprocessing(crop_fraction=1.0), Image.fromarray(stripes), (8, 8))
    assert abs(got.astype(int) - 50).max() <= 6


@pytest.mark.parametrize(
    "wrong",
    [
        {"channels": "RGBA"},
        {"crop_fraction": 0.0},
        {"crop_fraction": 1.5},
        {"crop_fraction": float("nan")},
        {"std": (1.0, 0.0, 1.0)},
        {"mean": (0.0, float("nan"), 0.0)},
        {"channels": "L"},
        {"class_offset": -1},
    ],
)
def test_an_impossible_preprocessing_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        Preprocessing.model_validate(wrong)


def test_the_presets_are_the_published_ones() -> None:
    assert TENSORFLOW.mean == TENSORFLOW.std == (127.5,) * 3
    np.testing.assert_allclose(np.divide(TORCHVISION.mean, 255), [0.485, 0.456, 0.406])


def test_images_must_fit_the_network() -> None:
    assert check_input(TENSORFLOW, (1, 3, 96, 64)) == (96, 64)
    for shape in ((1, 1, 32, 32), (1, 3, 16, 112, 112), (1, 10)):
        with pytest.raises(UsageError, match="RGB do not fit"):
            check_input(TENSORFLOW, shape)
