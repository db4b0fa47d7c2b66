"""Real numbers to a file's integers and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgekit.exporting.stored_values import dequantized, from_layout, quantized, stored, to_layout
from edgekit.records.manifest import TensorRecord
from edgekit.records.preprocessing import Preprocessing


def tensor(dtype: str, scale: float | None = None, zero_point: int | None = None, **more: Any) -> TensorRecord:
    """An input of one pixel."""
    known = {"name": "x", "shape": (1, 1, 1, 3), "layout": "NHWC"} | more
    return TensorRecord(**known, dtype=dtype, scale=scale, zero_point=zero_point)


@pytest.mark.parametrize(("layout", "rank"), [("NHWC", 4), ("NDHWC", 5), ("NWC", 3), ("NCHW", 4), ("NC", 2)])
def test_layouts_go_there_and_back(layout: str, rank: int) -> None:
    x = np.arange(2 * 3 * 4 ** (rank - 2), dtype=np.float32).reshape(2, 3, *[4] * (rank - 2))
    there = to_layout(x, layout)
    assert there.flags["C_CONTIGUOUS"] and np.array_equal(from_layout(there, layout), x)
    assert there.shape[-1] == (3 if layout.endswith("C") and rank > 2 else x.shape[-1])


def test_integers_are_rounded_and_held_in_their_limits() -> None:
    record = tensor("int8", 0.5, 3)
    x = np.array([0.0, 0.26, -500.0, 500.0], dtype=np.float32)
    assert quantized(x, record).tolist() == [3, 4, -128, 127]
    assert dequantized(quantized(x, record), record).tolist() == [0.0, 0.5, -65.5, 62.0]


def test_floats_stay() -> None:
    x = np.array([0.1], dtype=np.float32)
    assert quantized(x, tensor("float32")) is x
    assert dequantized(np.array([1, 2]), tensor("int64")).dtype == np.float32


@pytest.mark.parametrize(("dtype", "less"), [("uint8", 0), ("int8", 128)])
def test_pixels_are_handed_over_as_they_are(dtype: str, less: int) -> None:
    how = Preprocessing(mean=(127.5,) * 3, std=(127.5,) * 3)
    pixels = np.array([0, 100, 255], dtype=np.float32).reshape(1, 3, 1, 1)
    low = int(np.iinfo(dtype).min)
    record = tensor(dtype, 2 / 255, low + 128)
    assert (stored((pixels - 127.5) / 127.5, record, how).reshape(-1).astype(int) + less).tolist() == [0, 100, 255]
