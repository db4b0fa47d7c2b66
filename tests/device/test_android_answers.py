"""How far a phone's answers are from LiteRT's here, and what is told of it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgekit.device.android_answers import apart, told

HERE = (np.array([[1.0, -4.0]], np.float32), np.array([3], np.int8))


@pytest.mark.parametrize(
    ("first", "second", "error"),
    [(1.0, 3, 0.0), (1.5, 3, 0.5), (1.0, -128, 131.0), (math.nan, 3, math.nan), (-math.inf, 3, math.inf)],
)
def test_the_largest_difference_of_all_outputs(first: float, second: int, error: float) -> None:
    there: list[NDArray[Any]] = [np.array([[first, -4.0]], np.float32), np.array([second], np.int8)]
    assert apart(there, HERE) == pytest.approx((error, 4.0), nan_ok=True)
    assert apart(there[::-1], HERE[::-1]) == pytest.approx((error, 4.0), nan_ok=True)


@pytest.mark.parametrize(
    ("error", "measured", "remark"),
    [(0.2, 0.2, None), (0.3, 0.3, "by up to 0.3"), (math.nan, None, "not finite"), (math.inf, None, "not finite")],
)
def test_what_is_told_of_a_difference(error: float, measured: float | None, remark: str | None) -> None:
    found = told(error, 4.0, "LiteRT 2 here")
    assert (found["max_error"], found["largest"], found["reference"]) == (measured, 4.0, "LiteRT 2 here")
    assert found["remarks"] == [] if remark is None else remark in found["remarks"][0]
