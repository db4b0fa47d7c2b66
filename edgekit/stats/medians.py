"""Medians with their distribution-free interval. Plain Python: who only compares loads no numpy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

MIN_PROCESSES = 6  # the smallest n for which an order-statistic interval of 95 % exists
NS_PER_MS = 1e6

Interval = tuple[float, float]


def order_interval(values: Sequence[float]) -> Interval | None:
    """Distribution-free 95 % interval of a median; None for fewer than 6 values, where there is none.

    [x(k), x(n+1-k)] with the largest k for which 1 - 2 P(Bin(n, 1/2) <= k - 1) >= 0.95.
    """
    k = _order_rank(len(values))
    ordered = sorted(values)
    return (ordered[k - 1], ordered[-k]) if k else None


@cache
def _order_rank(n: int) -> int:
    below, k = 0, 0
    while True:  # below = 2^n P(Bin(n, 1/2) <= k), exact
        below += math.comb(n, k)
        if 2 * below > 0.05 * 2**n:
            return k
        k += 1
