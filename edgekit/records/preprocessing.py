"""Preprocessing: from an image to the tensor that a network was trained on.

It belongs to the weights, not to the network, and travels in the artifact's manifest. One definition
serves calibration, evaluation and the code snippets. Needs numpy, and pillow where an image is resized.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import model_validator

from edgekit.errors import UsageError
from edgekit.records.record import Record
from edgekit.util.formatting import shape_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

CHANNELS = {"RGB": 3, "BGR": 3, "L": 1, "RGBA": 4}


def channels_for(count: int) -> str:
    """Return the channels of images for an input of so many, where nothing else is said: L, RGBA or RGB."""
    return {1: "L", 4: "RGBA"}.get(count, "RGB")


class Preprocessing(Record):
    """How an image becomes an input tensor; every field is part of the accuracy that is measured.

    The image is decoded to `channels`, its central `crop_fraction` is taken (of the shorter side as a square
    when `square_crop`, else of each side), it is resized bilinearly to the network's input, and each pixel p in
    0..255 becomes (p - mean) / std. `class_offset` is the output index of class 0 (1 where index 0 is background).
    """

    channels: str = "RGB"  # RGB, BGR, L (gray) or RGBA
    crop_fraction: float = 0.875
    square_crop: bool = True
    mean: tuple[float, ...] = (127.5, 127.5, 127.5)  # in pixel units, one per channel
    std: tuple[float, ...] = (127.5, 127.5, 127.5)
    class_offset: int = 0

    @model_validator(mode="after")
    def _possible(self) -> Preprocessing:
        if self.channels not in CHANNELS:
            raise ValueError(f"channels must be one of {', '.join(CHANNELS)}, not '{self.channels}'")
        if not 0.0 < self.crop_fraction <= 1.0:
            raise ValueError(
                f"the crop is the fraction of the image that is kept, above 0 and at most 1, not {self.crop_fraction:g}"
                f" (a crop of 224 after a resize to 256 is 0.875)"
            )
        count = CHANNELS[self.channels]
        if len(self.mean) != count or len(self.std) != count:
            raise ValueError(f"{self.channels} needs {count} means and {count} standard deviations")
        if not all(map(math.isfinite, self.mean)) or not all(0.0 < s < math.inf for s in self.std):
            raise ValueError("means must be finite, and standard deviations finite and above 0")
        if self.class_offset < 0:
            raise ValueError(f"class_offset must be 0 or more, not {self.class_offset}")
        return self

    @property
    def has_alpha(self) -> bool:
        """Whether images are wanted with their fourth channel."""
        return self.channels == "RGBA"


TENSORFLOW = Preprocessing()  # x in [-1, 1]
TORCHVISION = Preprocessing(mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375))
TORCHVISION_GRAY = Preprocessing(channels="L", mean=(114.5,), std=(57.63,))  # the means of the three channels


def crop_box(preprocessing: Preprocessing, width: int, height: int) -> tuple[float, float, float, float]:
    """Return the central part that is kept, in pixels and parts of pixels: (left, top, right, bottom)."""
    base = (min(width, height),) * 2 if preprocessing.square_crop else (width, height)
    wide, high = (side * preprocessing.crop_fraction for side in base)
    left, top = (width - wide) / 2, (height - high) / 2
    return left, top, left + wide, top + high


def to_pixels(preprocessing: Preprocessing, image: Image, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return an image cropped and resized to `size` (height, width), before any arithmetic: uint8 (H, W, C).

    The box is resized in one step, unrounded, by pillow's BILINEAR, whose triangle filter widens when it shrinks (it
    antialiases). A whole image that has the right size already is not resampled. The fourth channel of RGBA is resized
    by itself: pillow would take it for transparency, and weigh the others with it.
    """
    import numpy as np
    from PIL.Image import Resampling, merge

    box, (height, width) = crop_box(preprocessing, image.width, image.height), size
    if preprocessing.has_alpha:
        bands = [band.resize((width, height), Resampling.BILINEAR, box=box) for band in image.split()]
        return np.asarray(merge("RGBA", bands), dtype=np.uint8)
    image = image.convert("L" if preprocessing.channels == "L" else "RGB")
    pixels = np.asarray(image.resize((width, height), Resampling.BILINEAR, box=box), dtype=np.uint8)
    pixels = pixels.reshape(height, width, -1)
    return pixels[:, :, ::-1] if preprocessing.channels == "BGR" else pixels


def normalize(preprocessing: Preprocessing, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """uint8 (..., H, W, C) to float32 (..., C, H, W): (p - mean) / std."""
    import numpy as np

    mean, std = (np.asarray(values, dtype=np.float32) for values in (preprocessing.mean, preprocessing.std))
    return np.ascontiguousarray(np.moveaxis((pixels.astype(np.float32) - mean) / std, -1, -3))


def apply(preprocessing: Preprocessing, image: Image, size: tuple[int, int]) -> NDArray[np.float32]:
    """Return an RGB image as the network's input: float32 (C, H, W), `size` being (height, width)."""
    return normalize(preprocessing, to_pixels(preprocessing, image, size))


def check_input(preprocessing: Preprocessing, input_shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the (height, width) of a network that takes images in this preprocessing, from its (N, C, H, W).

    Raises UsageError where images cannot be its input.
    """
    if len(input_shape) != 4 or input_shape[1] != CHANNELS[preprocessing.channels]:
        raise UsageError(
            f"images in {preprocessing.channels} do not fit an input of {shape_text(input_shape[1:])}",
            "images need an input of 1, 3 or 4 channels, height and width, and as many in `channels` of a preprocessing"
            " file: L, RGB, BGR or RGBA",
        )
    return input_shape[2], input_shape[3]


@dataclass(frozen=True)
class ForeignInput:
    """What a user says about the input of a file that has no manifest; None: as the file itself says."""

    preprocessing: Preprocessing
    size: tuple[int, int] | None = None  # height, width
    layout: str | None = None  # NCHW or NHWC
