from __future__ import annotations

import math

import numpy as np
import pytest

from edgekit.stats.medians import order_interval


@pytest.mark.parametrize(
    ("n", "low", "high"),
    [(6, 1, 6), (7, 1, 7), (8, 1, 8), (9, 2, 8), (10, 2, 9), (12, 3, 10), (15, 4, 12), (20, 6, 15), (25, 8, 18)]
    + [(30, 10, 21), (50, 18, 33), (100, 40, 61)],
)
def test_ranks_of_the_median_interval(n: int, low: int, high: int) -> None:
    assert order_interval([float(rank) for rank in range(n, 0, -1)]) == (low, high)


@pytest.mark.parametrize("n", range(6))
def test_no_interval_under_six_values(n: int) -> None:
    assert order_interval([1.0] * n) is None


def test_order_interval_covers_what_it_says() -> None:
    random = np.random.default_rng(1)
    hits = 0
    for _ in range(2000):
        interval = order_interval(random.exponential(size=9).tolist())
        assert interval
        hits += interval[0] <= math.log(2) <= interval[1]
    assert 0.95 <= hits / 2000 <= 0.975  # 96.1 % in theory
