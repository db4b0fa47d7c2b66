"""What a user says of how an image becomes a network's input: keys, their units, and other frameworks' words for them.

They stand in a file, or in Python in a mapping.

docs/preprocessing.md shows every key, and what torchvision, Keras, TF-slim and ultralytics do in these words.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from edgekit.errors import UsageError, in_one_line, nearest
from edgekit.records.preprocessing import CHANNELS, ForeignInput, Preprocessing, channels_for
from edgekit.util.text_file import text_of

# Networks take a few units, at most raw pixels; beyond this a mean or a scale is in the wrong unit.
LARGEST_INPUT = 1000.0
Described = str | Path | Mapping[str, Any]
Reader = Callable[[int | None], ForeignInput]  # by the channels of the input, where they are known
UNITS = {"0..255": 1.0, "0..1": 255.0}  # what a mean or std in these units is multiplied by to be in pixels
_KEYS = ("size", "crop", "square_crop", "channels", "units", "mean", "std", "scale", "layout", "class_offset")
_EXPONENT = re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+", re.ASCII)
_SHORT = reprlib.Repr()  # a value of a few lines can be any number of others, by YAML's aliases

_CROP = "a resize to 256 and a crop of 224 are `size: 224` and `crop: 0.875`, the one divided by the other"
_MEAN = "its values are `mean` and `std`, with `units: 0..1` where they are of pixels divided by 255"
_SCALE = "`scale` multiplies pixels; 1/255 is `mean: 0`, `std: 255`"
_CHANNELS = "`channels` is RGB, BGR, L (gray) or RGBA"
_BILINEAR = "images are resized bilinearly, with antialiasing; there is no other way"
_MODES = (
    "Keras' mode tf is `mean: 127.5`, `std: 127.5`; torch is `units: 0..1`, `mean: [0.485, 0.456, 0.406]`,"
    " `std: [0.229, 0.224, 0.225]`; caffe is `channels: BGR`, `mean: [103.939, 116.779, 123.68]`, `std: 1`"
)
# Words of torchvision, timm, Keras, Hugging Face and ultralytics.
_ELSEWHERE = {
    **dict.fromkeys(("resize", "resize_size", "center_crop", "crop_size", "crop_pct"), _CROP),
    **dict.fromkeys(("normalize", "normalise", "image_mean", "image_std", "do_normalize"), _MEAN),
    **dict.fromkeys(("rescale", "rescale_factor", "do_rescale", "to_tensor"), _SCALE),
    **dict.fromkeys(("color", "colour", "rgb", "bgr", "color_mode"), _CHANNELS),
    **dict.fromkeys(("interpolation", "antialias", "resample"), _BILINEAR),
    **dict.fromkeys(("input_size", "imgsz", "target_size"), "`size` is one whole number or [height, width]"),
    "mode": _MODES,
}


def reader(said: Described) -> Reader:
    """Read a preprocessing file, or a mapping with the same keys, once for inputs of any number of channels.

    What it returns tells what the keys mean for an input of so many, or of None where that is not known. Every key may
    be left out:

        size: 224            # or [height, width]; else the file's own
        crop: 0.875          # the central square of this fraction of the shorter side
        square_crop: true    # false: the fraction of each side
        channels: RGB        # RGB, BGR, L (gray) or RGBA; else L for an input of 1 channel, RGBA for 4, and RGB
        units: 0..255        # of mean, std and scale; 0..1 where they are of pixels divided by 255
        mean: 127.5          # one number, or one per channel
        std: 127.5           # x = (p - mean) / std; or `scale`, which multiplies: x = (p - mean) * scale
        layout: NHWC         # or NCHW
        class_offset: 0      # the output index of class 0; 1 where index 0 is background

    Both raise UsageError: for a file that is missing or broken, an unknown key (saying what another framework's word is
    here, or naming the nearest), values in units that were not said, or a value that cannot be meant.
    """
    raw = _known(name_of(said), said if isinstance(said, Mapping) else _in_file(Path(said)))
    return partial(_meant, said, raw)


def _meant(said: Described, values: dict[str, Any], channels: int | None) -> ForeignInput:
    name, raw = name_of(said), {"channels": _channels(values, channels), **values}
    try:
        read = ForeignInput(_preprocessing(raw), _size(raw.get("size")), _layout(raw.get("layout")))
        _refuse_silent_units(name, raw, read.preprocessing)
        _refuse_wrong_units(read.preprocessing)
    except (TypeError, ValueError, OverflowError) as error:
        cause = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise UsageError(
            f"{name} is wrong: {cause.removeprefix('Value error, ')}",
            "correct it" if isinstance(said, Mapping) else f"correct {Path(said).name}",
        ) from error
    return read


def name_of(said: Described) -> str:
    """Return what a message calls it."""
    return "the preprocessing" if isinstance(said, Mapping) else f"the preprocessing file {said}"


def _channels(raw: Mapping[str, Any], own: int | None) -> str:
    """The channels where none are written: as many as the input has, or else as the longest row of values."""
    rows = [len(value) for value in map(raw.get, ("mean", "std", "scale")) if isinstance(value, list)]
    return channels_for(own if own is not None else max(rows, default=3))


def _in_file(path: Path) -> Any:
    from edgekit.util import yaml_text

    try:
        return yaml_text.values(text_of(path))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"the preprocessing file {path} cannot be read: {in_one_line(error)}", "give a YAML file"
        ) from error


def _known(name: str, raw: Any) -> dict[str, Any]:
    """The values by key, rows of any kind as lists. Raises UsageError for what has no keys, or one that is unknown."""
    if not isinstance(raw, Mapping):
        raise UsageError(f"{name} holds no keys", f"its keys: {', '.join(_KEYS)}")
    for key in raw:
        if key not in _KEYS:
            raise _unknown(name, str(key))
    return {key: value.tolist() if hasattr(value, "tolist") else _list(value) for key, value in raw.items()}


def _list(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _unknown(name: str, key: str) -> UsageError:
    word = key.lower()
    if word in _ELSEWHERE:
        return UsageError(f"{name} has the key '{key}', which is another framework's", _ELSEWHERE[word])
    return UsageError(f"{name} has an unknown key '{key}'{nearest(key, _KEYS)}", f"its keys: {', '.join(_KEYS)}")


def _preprocessing(raw: dict[str, Any]) -> Preprocessing:
    if "std" in raw and "scale" in raw:
        raise ValueError("std and scale say the same (scale = 1 / std); give one of them")
    fields = {"channels": "channels", "crop": "crop_fraction", "square_crop": "square_crop"}
    values = {field: raw[key] for key, field in {**fields, "class_offset": "class_offset"}.items() if key in raw}
    unit, count = _unit(raw.get("units", "0..255")), CHANNELS.get(raw["channels"], 3)
    scale = _numbers("scale", raw["scale"], count) if "scale" in raw else None
    if scale is not None and 0.0 in scale:
        raise ValueError("scale must not be 0")
    std = tuple(1.0 / s for s in scale) if scale else _numbers("std", raw.get("std", 127.5 / unit), count)
    mean = _numbers("mean", raw.get("mean", 127.5 / unit), count)
    if unit != 1.0 and max(map(abs, mean)) > 1.0:
        raise ValueError(f"the units are 0..1, and a mean of {as_yaml(mean)} is beyond 1")
    return Preprocessing(**values, mean=_in_pixels(mean, unit), std=_in_pixels(std, unit))


def _in_pixels(values: tuple[float, ...], unit: float) -> tuple[float, ...]:
    return tuple(round(value * unit, 9) if unit != 1.0 else value for value in values)


def _unit(value: Any) -> float:
    if not isinstance(value, str) or value not in UNITS:
        raise ValueError(f"units must be {' or '.join(UNITS)}, not {_SHORT.repr(value)}")
    return UNITS[value]


def _numbers(key: str, value: Any, count: int) -> tuple[float, ...]:
    values = [_number(one) for one in value] if isinstance(value, list) else [_number(value)] * count
    if len(values) != count or any(isinstance(v, bool) or not isinstance(v, int | float) for v in values):
        else_ = f"or {count}" if count > 1 else "for images of 1 channel"
        raise ValueError(f"{key} must be one number {else_}, not {_SHORT.repr(value)}")
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


def _refuse_silent_units(name: str, raw: dict[str, Any], preprocessing: Preprocessing) -> None:
    """Refuse a mean and std that are of 0..1 by their size, unless the file says its units."""
    small = all(abs(mean) <= 1.0 for mean in preprocessing.mean) and all(std <= 1.0 for std in preprocessing.std)
    if "units" in raw or not small:
        return
    mean, std = (as_yaml(_in_pixels(values, 255.0)) for values in (preprocessing.mean, preprocessing.std))
    raise UsageError(
        f"{name} does not say its units: a mean of {as_yaml(preprocessing.mean)} and a std of"
        f" {as_yaml(preprocessing.std)} are of pixels of 0..1, as it seems, and mean and std here are of 0..255",
        f"write `mean: {mean}` and `std: {std}`, or add `units: 0..1`; `units: 0..255` if they are right as they are",
    )


def as_yaml(values: tuple[float, ...]) -> str:
    """Return the values as YAML: one number where all are the same."""
    texts = [f"{value:.9g}" for value in values]
    return texts[0] if len(set(texts)) == 1 else f"[{', '.join(texts)}]"
