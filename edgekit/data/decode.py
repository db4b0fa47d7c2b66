"""One image file as 8-bit RGB, or RGBA, whatever it is stored as."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from edgekit.data.unreadable import Unreadable
from edgekit.errors import BackendMissing, UsageError, in_one_line

if TYPE_CHECKING:
    from PIL.Image import Image

_REMOVE = "replace the file, or remove it from the set"


def decode(path: Path, refused_modes: Iterable[str] = (), alpha: bool = False) -> Image:
    """Return an image file as 8-bit RGB, turned upright as its EXIF orientation says.

    Gray is repeated in three channels, 16 bits are scaled to 8, palettes are looked up, CMYK is converted without its
    color profile, transparency is dropped (the colors under it stay, as in the usual training loaders). Of several
    frames the first is taken. With `alpha` the image is RGBA, and must have such a channel.

    Raises Unreadable naming the file when it is broken, floating-point, of a refused mode or under 2 pixels wide or
    high, UsageError when it is not there or lacks the fourth channel, and BackendMissing without pillow.
    """
    reader = pillow()
    try:
        with reader.open(path) as opened:
            if alpha and not _has_alpha(opened):
                raise UsageError(
                    f"the image {path} is in {opened.mode}, without the fourth channel that the network takes",
                    "save the images in RGBA",
                )
            mode, image = opened.mode, _upright(opened)
            image = image.convert("RGBA") if alpha else _rgb(image)
    except FileNotFoundError as error:
        raise UsageError(f"the image {path} does not exist", "correct the path") from error
    except UsageError:
        raise
    except Exception as error:  # pillow's decoders raise anything from OSError to struct.error on broken files
        raise Unreadable(f"the image {path} cannot be read: {in_one_line(error)}", _REMOVE) from error
    if mode in refused_modes:
        raise Unreadable(f"the image {path} is in {mode}, whose colors depend on a profile", "convert it to RGB")
    if min(image.size) < 2:
        raise Unreadable(f"the image {path} is only {image.width}x{image.height} pixels", _REMOVE)
    return image


def pillow() -> ModuleType:
    """Return pillow's module `Image`. Raises BackendMissing where it is not installed."""
    try:
        from PIL import Image
    except ImportError as error:
        raise BackendMissing(
            "images are read with pillow, which is not installed", "pip install 'edgekit[litert]', or [onnxruntime]"
        ) from error
    return Image


def _upright(image: Image) -> Image:
    from PIL.ImageOps import exif_transpose

    return exif_transpose(image)


def _has_alpha(image: Image) -> bool:
    return "A" in image.mode.upper() or "transparency" in image.info


def _rgb(image: Image) -> Image:
    from PIL.Image import fromarray

    if image.mode == "RGB":
        return image.copy()
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise ValueError("its pixels have more than 16 bits")
        return fromarray(((values * 255 + 32767) // 65535).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise ValueError("floating-point pixels have no agreed range")
    if image.mode in ("P", "PA") and "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert("RGB")
