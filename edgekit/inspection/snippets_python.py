"""A Python program that runs a file on an image: `python program.py picture.jpg`."""

from __future__ import annotations

from collections.abc import Mapping

from edgekit.inspection.snippets_call import Array, Call
from edgekit.records.manifest import TensorRecord

PIXELS = '''from PIL import Image, ImageOps


def pixels(path):
    """The image as the network wants it: upright, its central part, resized, {channels}."""
    image = ImageOps.exif_transpose(Image.open(path))
    if image.mode.startswith("I"):  # 16 bits
        image = Image.fromarray(((np.asarray(image).astype(np.int64) * 255 + 32767) // 65535).astype(np.uint8))
    image = image.convert("{mode}"){gray}
    width, height = {sides}
    left, top = (image.width - width) / 2, (image.height - height) / 2
    box = (left, top, left + width, top + height)
    image = {resized}
    array = np.asarray(image, dtype=np.float32).reshape({height}, {width}, {depth}){reverse}
    return {value}
'''
RESIZED = "{image}.resize(({{width}}, {{height}}), Image.Resampling.BILINEAR, box=box)"
MODEL = """
MODEL = Path(__file__).with_name({name})  # beside this program, where the two ship together
if not MODEL.exists():
    MODEL = Path({place})  # where it was when this was printed
"""
# Each channel by itself: pillow would weigh the colors with the fourth.
BANDS = f'Image.merge("RGBA", [{RESIZED.format(image="band")} for band in image.split()])'


def python(call: Call, parts: Mapping[str, str]) -> str:
    """Return a program that prints the five best classes, best first, or the one that the file answers with."""
    lines = [
        f'"""Run {call.title} on one image."""',
        "import sys",
        "from pathlib import Path",
        "",
        "import numpy as np",
        _pixels(call),
        model(call),
        "",
        "x = pixels(sys.argv[1])[None]  # (1, height, width, channels)",
        *(["x = x.transpose(0, 3, 1, 2)  # the file wants channels first"] if call.channels_first else []),
        _stored(call),
        parts["run"].strip(),
        *([parts["names"]] if call.manifest.labels else []),
        *_answer(call),
        "",
    ]
    return "\n".join(lines)


def model(call: Call) -> str:
    """Return the lines that find the file."""
    return MODEL.format(name=repr(call.name), place=repr(str(call.place)))


def _pixels(call: Call) -> str:
    how, (height, width, depth) = call.how, call.size
    crop = f" * {how.crop_fraction:g}" if how.crop_fraction != 1 else ""
    square, whole = f"(min(image.size){crop},) * 2", f"image.width{crop}, image.height{crop}"
    normalized = f"(array - np.float32({list(how.mean)})) / np.float32({list(how.std)})"
    return PIXELS.format(
        channels=how.channels,
        mode="RGBA" if how.has_alpha else "RGB",
        gray='.convert("L")' if how.channels == "L" else "",
        resized=(BANDS if how.has_alpha else RESIZED.format(image="image")).format(width=width, height=height),
        sides=square if how.square_crop else whole,
        height=height,
        width=width,
        depth=depth,
        reverse="[..., ::-1]" if how.channels == "BGR" else "",
        value="array" if call.takes_pixels else normalized,
    )


def _stored(call: Call) -> str:
    tensor = call.given
    if call.takes_pixels:
        return "x = x.astype(np.uint8)" if tensor.dtype == "uint8" else "x = (x - 128).astype(np.int8)"
    return in_type_of(tensor)


def in_type_of(tensor: TensorRecord) -> str:
    """Return the line that turns the network's numbers x into what a file's input holds."""
    if tensor.scale is None:
        return f"x = x.astype(np.{'bool_' if tensor.dtype == 'bool' else tensor.dtype})"
    low, high = Array(tensor).limits
    return f"x = np.clip(np.round(x / {tensor.scale!r}) + {tensor.zero_point}, {low}, {high}).astype(np.{tensor.dtype})"


def _answer(call: Call) -> list[str]:
    offset, tensor = call.how.class_offset, call.taken
    background = "  # index 0 is the background" if offset else ""
    if call.gives_index:
        name = ", names[int(y[0])]" if call.manifest.labels else ""
        return [f"print(int(y[0]){f' - {offset}' if offset else ''}{name}){background}"]
    name = f", names[index{f' + {offset}' if offset else ''}]" if call.manifest.labels else ""
    return [
        *([f"y = (y.astype(np.float32) - {tensor.zero_point}) * {tensor.scale!r}"] if tensor.scale is not None else []),
        f"scores = y.reshape(-1){f'[{offset}:]' if offset else ''}{background}",
        "for index in np.argsort(-scores, kind='stable')[:5]:",
        f'    print(index, f"{{scores[index]:.4f}}"{name})',
    ]
