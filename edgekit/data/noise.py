"""Seeded noise in the place of examples: shaped like images where it can be one, so that files of it run as others."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgekit.records.preprocessing import Preprocessing

if TYPE_CHECKING:
    from edgekit.ir.whole_inputs import WholeNumbers

IMAGE_AXES = 3  # of an image without its batch
BLOCK = 8  # elements along each side of a block


def noise(shape: tuple[int, ...], preprocessing: Preprocessing, seed: tuple[int, ...]) -> NDArray[np.float32]:
    """Coarse blocks with fine grain over them, as pixels 0..255 normalized, where the preprocessing has such channels.

    What can be no image gets values of mean 0 and variance 1, as normalized signals have; a map half of it as blocks.
    """
    random = np.random.default_rng(seed)
    if len(shape) < IMAGE_AXES:
        return random.standard_normal(shape).astype(np.float32)
    if shape[0] == len(preprocessing.mean):
        pixels = _blocks(shape, lambda size: random.uniform(0.0, 255.0, size))
        pixels = np.clip(pixels + random.normal(0.0, 16.0, pixels.shape), 0.0, 255.0)
        values = (pixels - preprocessing.mean) / preprocessing.std
    else:
        values = _blocks(shape, lambda size: random.normal(0.0, math.sqrt(0.5), size))
        values += random.normal(0.0, math.sqrt(0.5), values.shape)
    return np.ascontiguousarray(np.moveaxis(values, -1, 0), dtype=np.float32)


def whole_noise(shape: tuple[int, ...], kind: WholeNumbers, seed: tuple[int, ...]) -> NDArray[Any]:
    """Return whole numbers of all sizes that an input takes.

    Maps and volumes get coarse blocks with fine grain over them.
    """
    random, width = np.random.default_rng(seed), kind.high - kind.low
    values = random.integers(kind.low, kind.high, shape, endpoint=True).astype(np.float64)
    if len(shape) >= IMAGE_AXES and width > 1 and not kind.chooses:
        coarse = _blocks(shape, lambda size: random.uniform(kind.low, kind.high, size))
        values = np.rint(np.moveaxis(coarse, -1, 0) + random.normal(0.0, width / 16, shape))
    return np.ascontiguousarray(np.clip(values, kind.low, kind.high), dtype=kind.dtype)


def _blocks(shape: tuple[int, ...], draw: Callable[[list[int]], NDArray[np.float64]]) -> NDArray[np.float64]:
    """(C, *sides) as (*sides, C), where the elements of a block are the same."""
    channels, *sides = shape
    values = draw([-(-side // BLOCK) for side in sides] + [channels])
    for axis, side in enumerate(sides):
        values = values.repeat(BLOCK, axis=axis).take(np.arange(side), axis=axis)
    return values
