"""Preprocessing: from an image to the tensor that a network was trained on.

It belongs to the weights, not to the network, and travels in the artifact's manifest. One definition
serves calibration, evaluation and the code snippets. Needs numpy, and pillow where an image is resized.
"""

from __future__ import annotations

import re
import reprlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from edgekit.errors import UsageError, nearest
from edgekit.util.text_file import text_of

if TYPE_CHECKING:
    from PIL.Image import Image

CHANNELS = {"RGB": 3, "BGR": 3, "L": 1}
# Networks take a few units, at most raw pixels; beyond this a mean or a scale is in the wrong unit.
LARGEST_INPUT = 1000.0


class Preprocessing(BaseModel):
    """How an image becomes an input tensor; every field is part of the accuracy that is measured.

    The image is decoded to `channels`, its central `crop_fraction` is taken (of the shorter side as a square
    when `square_crop`, else of each side), it is resized bilinearly to the network's input, and each pixel p in
    0..255 becomes (p - mean) / std. `class_offset` is the output index of class 0 (1 where index 0 is background).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: str = "RGB"  # RGB, BGR or L (grey)
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
            raise ValueError(f"crop_fraction must be in (0, 1], not {self.crop_fraction:g}")
        count = CHANNELS[self.channels]
        if len(self.mean) != count or len(self.std) != count:
            raise ValueError(f"{self.channels} needs {count} means and {count} standard deviations")
        if not np.all(np.isfinite(self.mean)) or not all(0.0 < s < np.inf for s in self.std):
            raise ValueError("means must be finite, and standard deviations finite and above 0")
        if self.class_offset < 0:
            raise ValueError(f"class_offset must be 0 or more, not {self.class_offset}")
        return self


TENSORFLOW = Preprocessing()  # x in [-1, 1]
TORCHVISION = Preprocessing(mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375))
TORCHVISION_GREY = Preprocessing(channels="L", mean=(114.5,), std=(57.63,))  # the means of the three channels


def crop_box(preprocessing: Preprocessing, width: int, height: int) -> tuple[float, float, float, float]:
    """The central part that is kept, in pixels and parts of pixels: (left, top, right, bottom)."""
    base = (min(width, height),) * 2 if preprocessing.square_crop else (width, height)
    wide, high = (side * preprocessing.crop_fraction for side in base)
    left, top = (width - wide) / 2, (height - high) / 2
    return left, top, left + wide, top + high


def to_pixels(preprocessing: Preprocessing, image: Image, size: tuple[int, int]) -> NDArray[np.uint8]:
    """An image cropped and resized to `size` (height, width), before any arithmetic: uint8 (H, W, C).

    The box is resized in one step, unrounded, by pillow's BILINEAR, whose triangle filter widens when it shrinks (it
    antialiases). A whole image that has the right size already is not resampled.
    """
    from PIL.Image import Resampling

    box, (height, width) = crop_box(preprocessing, image.width, image.height), size
    image = image.convert("L" if preprocessing.channels == "L" else "RGB")
    pixels = np.asarray(image.resize((width, height), Resampling.BILINEAR, box=box), dtype=np.uint8)
    pixels = pixels.reshape(height, width, -1)
    return pixels[:, :, ::-1] if preprocessing.channels == "BGR" else pixels


def normalise(preprocessing: Preprocessing, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """uint8 (..., H, W, C) to float32 (..., C, H, W): (p - mean) / std."""
    mean, std = (np.asarray(values, dtype=np.float32) for values in (preprocessing.mean, preprocessing.std))
    return np.ascontiguousarray(np.moveaxis((pixels.astype(np.float32) - mean) / std, -1, -3))


def apply(preprocessing: Preprocessing, image: Image, size: tuple[int, int]) -> NDArray[np.float32]:
    """An RGB image as the network's input: float32 (C, H, W), `size` being (height, width)."""
    return normalise(preprocessing, to_pixels(preprocessing, image, size))


def check_input(preprocessing: Preprocessing, input_shape: tuple[int, ...]) -> tuple[int, int]:
    """The (height, width) of a network that takes images in this preprocessing, from its (N, C, H, W).

    Raises UsageError where images cannot be its input.
    """
    if len(input_shape) != 4 or input_shape[1] != CHANNELS[preprocessing.channels]:
        raise UsageError(
            f"images in {preprocessing.channels} do not fit an input of {'x'.join(map(str, input_shape[1:]))}",
            "images need an input of 1 or 3 channels, height and width, and a preprocessing with as many channels",
        )
    return input_shape[2], input_shape[3]


@dataclass(frozen=True)
class ForeignInput:
    """What a user says about the input of a file that has no manifest; None: as the file itself says."""

    preprocessing: Preprocessing
    size: tuple[int, int] | None = None  # height, width
    layout: str | None = None  # NCHW or NHWC


_EXPONENT = re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+", re.ASCII)
_KEYS = ("size", "crop", "square_crop", "channels", "mean", "std", "scale", "layout", "class_offset")


_SHORT = reprlib.Repr()  # a value of a few lines can be any number of others, by YAML's aliases


def from_yaml(path: Path) -> Preprocessing:
    """The preprocessing that a file like `foreign_input`'s describes, where the network's own size and layout hold."""
    return foreign_input(path).preprocessing


def foreign_input(path: Path) -> ForeignInput:
    """Read a preprocessing file. Every key may be left out:

        size: 224            # or [height, width]; else the file's own
        crop: 0.875          # the central square of this fraction of the shorter side
        square_crop: true    # false: the fraction of each side
        channels: RGB        # RGB, BGR or L (grey)
        mean: 127.5          # one number, or one per channel, in pixel units (0..255)
        std: 127.5           # x = (p - mean) / std; or `scale`, which multiplies: x = (p - mean) * scale
        layout: NHWC         # or NCHW
        class_offset: 0      # the output index of class 0; 1 where index 0 is background

    Raises UsageError for a file that is missing or broken, an unknown key (naming the nearest), or a value that
    cannot be meant.
    """
    raw = _mapping(path)
    try:
        read = ForeignInput(_preprocessing(raw), _size(raw.get("size")), _layout(raw.get("layout")))
        _refuse_wrong_units(read.preprocessing)
    except (TypeError, ValueError, OverflowError) as error:
        cause = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise UsageError(
            f"the preprocessing file {path} is wrong: {cause.removeprefix('Value error, ')}", f"correct {path.name}"
        ) from error
    return read


def _mapping(path: Path) -> dict[str, Any]:
    from edgekit.util import yaml_text

    try:
        raw = yaml_text.values(text_of(path))
    except (OSError, ValueError) as error:
        cause = " ".join(str(error).split())
        raise UsageError(f"the preprocessing file {path} cannot be read: {cause}", "give a YAML file") from error
    if not isinstance(raw, dict):
        raise UsageError(f"the preprocessing file {path} holds no keys", f"its keys: {', '.join(_KEYS)}")
    for key in raw:
        if key not in _KEYS:
            hint = nearest(str(key), _KEYS)
            raise UsageError(f"{path} has an unknown key '{key}'{hint}", f"its keys: {', '.join(_KEYS)}")
    return raw


def _preprocessing(raw: dict[str, Any]) -> Preprocessing:
    if "std" in raw and "scale" in raw:
        raise ValueError("std and scale say the same (scale = 1 / std); give one of them")
    fields = {"channels": "channels", "crop": "crop_fraction", "square_crop": "square_crop"}
    values = {field: raw[key] for key, field in {**fields, "class_offset": "class_offset"}.items() if key in raw}
    count = CHANNELS.get(raw.get("channels", "RGB"), 3)
    scale = _numbers("scale", raw["scale"], count) if "scale" in raw else None
    if scale is not None and 0.0 in scale:
        raise ValueError("scale must not be 0")
    std = tuple(1.0 / s for s in scale) if scale else _numbers("std", raw.get("std", 127.5), count)
    return Preprocessing(**values, mean=_numbers("mean", raw.get("mean", 127.5), count), std=std)


def _numbers(key: str, value: Any, count: int) -> tuple[float, ...]:
    values = [_number(one) for one in value] if isinstance(value, list) else [_number(value)] * count
    if len(values) != count or any(isinstance(v, bool) or not isinstance(v, int | float) for v in values):
        raise ValueError(f"{key} must be one number or {count}, not {_SHORT.repr(value)}")
    return tuple(map(float, values))


def _number(value: Any) -> Any:
    """The number in a text such as 1e-3, which YAML 1.1 reads as text for want of a point; else the value."""
    if isinstance(value, str) and len(value) < 40 and _EXPONENT.fullmatch(value):
        return float(value)
    return value


def _size(value: Any) -> tuple[int, int] | None:
    sides = [value, value] if isinstance(value, int) else value
    if sides is None:
        return None
    if not isinstance(sides, list) or len(sides) != 2 or any(type(s) is not int or s < 1 for s in sides):
        raise ValueError(f"size must be one whole number or [height, width], not {_SHORT.repr(value)}")
    return sides[0], sides[1]


def _layout(value: Any) -> str | None:
    if value not in (None, "NCHW", "NHWC"):
        raise ValueError(f"layout must be NCHW or NHWC, not {_SHORT.repr(value)}")
    return value  # type: ignore[no-any-return]


def _refuse_wrong_units(preprocessing: Preprocessing) -> None:
    mean, std = np.asarray(preprocessing.mean), np.asarray(preprocessing.std)
    with np.errstate(over="ignore"):
        largest = float(np.abs(np.concatenate([-mean / std, (255.0 - mean) / std])).max())
    if largest > LARGEST_INPUT:
        raise ValueError(
            f"inputs would reach {largest:g}; mean and std are in pixel units (0..255), and scale multiplies"
            f" (1/127.5 = 0.00784)"
        )
