"""Preprocessing: from an image to the tensor that a network was trained on.

It belongs to the weights, not to the network, and travels in the artifact's manifest. One definition
serves calibration, evaluation and the code snippets. Needs numpy, and pillow where a file is decoded.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


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


TENSORFLOW = Preprocessing()  # x in [-1, 1]
TORCHVISION = Preprocessing(mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375))
