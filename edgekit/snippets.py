"""Code that runs an artifact on one image, from nothing but its manifest: what to paste into one's own program."""

from __future__ import annotations

from collections.abc import Callable

from edgekit.artifact import Manifest, TensorRecord, pixels_are_codes

_PIXELS = '''from PIL import Image, ImageOps


def pixels(path):
    """The image as the network wants it: its central part, resized, {channels}."""
    image = ImageOps.exif_transpose(Image.open(path)).convert("{mode}")
    width, height = {sides}
    left, top = (image.width - width) / 2, (image.height - height) / 2
    box = (left, top, left + width, top + height)
    image = image.resize(({size[1]}, {size[0]}), Image.Resampling.BILINEAR, box=box)
    array = np.asarray(image, dtype=np.float32).reshape({size[0]}, {size[1]}, {depth}){reverse}
    return {value}
'''


def python(manifest: Manifest) -> str:
    """A complete Python program: `python program.py picture.jpg` prints the five best classes."""
    body = _ONNX if manifest.format == "onnx" else _TFLITE
    output = manifest.outputs[0]
    offset = manifest.preprocessing.class_offset
    return "\n".join(
        [
            f'"""Run {manifest.file} ({manifest.variant.name}, {manifest.precision}) on one image."""',
            "import sys",
            "",
            "import numpy as np",
            _pixels(manifest),
            "",
            "x = pixels(sys.argv[1])[None]  # (1, height, width, channels)",
            *(["x = x.transpose(0, 3, 1, 2)  # the file wants channels first"] if _channels_first(manifest) else []),
            _quantize(manifest),
            body.format(file=manifest.file).strip(),
            _dequantize(output),
            f"scores = y.reshape(-1){f'[{offset}:]  # index 0 is the background' if offset else ''}",
            "for index in np.argsort(-scores, kind='stable')[:5]:",
            '    print(index, f"{scores[index]:.4f}")',
            "",
        ]
    )


_ONNX = """
import onnxruntime
session = onnxruntime.InferenceSession("{file}", providers=["CPUExecutionProvider"])
y = session.run(None, {{session.get_inputs()[0].name: np.ascontiguousarray(x)}})[0]
"""
_TFLITE = """
from ai_edge_litert.interpreter import Interpreter
interpreter = Interpreter("{file}")
interpreter.allocate_tensors()
interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
interpreter.invoke()
y = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
"""


def _pixels(manifest: Manifest) -> str:
    how = manifest.preprocessing
    side = f"min(image.size) * {how.crop_fraction:g}"
    sides = (
        f"({side},) * 2"
        if how.square_crop
        else f"image.width * {how.crop_fraction:g}, image.height * {how.crop_fraction:g}"
    )
    return _PIXELS.format(
        channels=how.channels,
        mode="L" if how.channels == "L" else "RGB",
        sides=sides,
        size=manifest.variant.input_shape[-2:],
        depth=manifest.variant.input_shape[1],
        reverse="[..., ::-1]" if how.channels == "BGR" else "",
        value="array"
        if _takes_pixels(manifest)
        else f"(array - np.float32({list(how.mean)})) / np.float32({list(how.std)})",
    )


def _channels_first(manifest: Manifest) -> bool:
    return manifest.inputs[0].layout.startswith("NC")


def _takes_pixels(manifest: Manifest) -> bool:
    tensor = manifest.inputs[0]
    return tensor.dtype in ("uint8", "int8") and pixels_are_codes(manifest.preprocessing, tensor)


def _quantize(manifest: Manifest) -> str:
    tensor = manifest.inputs[0]
    if _takes_pixels(manifest):
        return "x = x.astype(np.uint8)" if tensor.dtype == "uint8" else "x = (x - 128).astype(np.int8)"
    if tensor.scale is None:
        return "x = x.astype(np.float32)"
    low, high = (0, 255) if tensor.dtype == "uint8" else (-128, 127)
    return f"x = np.clip(np.round(x / {tensor.scale!r}) + {tensor.zero_point}, {low}, {high}).astype(np.{tensor.dtype})"


def _dequantize(tensor: TensorRecord) -> str:
    if tensor.scale is None:
        return ""
    return f"y = (y.astype(np.float32) - {tensor.zero_point}) * {tensor.scale!r}"


SNIPPETS: dict[str, Callable[[Manifest], str]] = {"python": python}
