"""Between torch's layout and the file's, and between real numbers and the file's integers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.records.formats import CHANNELS_LAST
from edgekit.records.manifest import TensorRecord, pixels_are_codes
from edgekit.records.preprocessing import Preprocessing

Array = NDArray[np.float32]


def to_layout(x: NDArray[Any], layout: str) -> NDArray[Any]:
    """(N, C, *spatial) in the file's layout."""
    return np.ascontiguousarray(np.moveaxis(x, 1, -1)) if layout in CHANNELS_LAST else x


def from_layout(y: Array, layout: str) -> Array:
    """Return the file's layout in (N, C, *spatial)."""
    return np.moveaxis(y, -1, 1) if layout in CHANNELS_LAST else y


def stored(x: Array, record: TensorRecord, preprocessing: Preprocessing | None = None) -> NDArray[Any]:
    """Normalized inputs (N, C, *spatial) as the file wants its integers; as they are where it takes their type."""
    if x.dtype == record.dtype or preprocessing is None or not pixels_are_codes(preprocessing, record):
        return quantized(x, record)
    shape = (1, -1, *[1] * (x.ndim - 2))
    mean, std = (np.reshape(values, shape) for values in (preprocessing.mean, preprocessing.std))
    pixels = np.clip(np.round(x * std + mean), 0, 255).astype(np.int16)
    codes: NDArray[Any] = (pixels + np.iinfo(record.dtype).min).astype(record.dtype)
    return codes


def quantized(x: Array, record: TensorRecord) -> NDArray[np.generic]:
    """Real numbers as the file wants them."""
    if record.scale is None or record.zero_point is None:
        return x
    limits = np.iinfo(record.dtype)
    integers: NDArray[np.generic] = np.clip(np.round(x / record.scale) + record.zero_point, limits.min, limits.max)
    return integers.astype(record.dtype)


def dequantized(y: NDArray[np.generic], record: TensorRecord) -> Array:
    """Return what the file returns, as real numbers."""
    if record.scale is None or record.zero_point is None:
        return y.astype(np.float32)
    return ((y.astype(np.float32) - record.zero_point) * record.scale).astype(np.float32)
