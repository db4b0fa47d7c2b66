"""Whether one latency is larger than another, with the noise in view. Pure functions.

One number for each process or block is an observation; iterations within a process resemble each other too much.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from statistics import median

from edgekit.stats.medians import Interval, order_interval

NOISE = 0.02  # differences below this are not told apart: the same file measured twice differs by as much
FASTER, SAME, SLOWER, CANNOT_TELL = "faster", "same", "slower", "cannot tell"


@dataclass(frozen=True)
class Ratio:
    """New over base: above 1 is slower. `ci95` None: too few processes for an interval."""

    ratio: float
    ci95: Interval | None


def paired(ratios: Sequence[float]) -> Ratio:
    """Of the ratio that each block found: their median, with its order-statistic interval."""
    return Ratio(median(ratios), order_interval(ratios))


def unpaired(base: Sequence[float], new: Sequence[float]) -> Ratio:
    """Of medians measured apart: the median of all ratios between them, with the interval of Hodges and Lehmann (1963).

    Distribution-free: the interval holds the factors that a two-sided rank test (Mann-Whitney, exact) does not reject
    at 5 %. It exists from 4 and 4 processes on.
    """
    ratios = sorted(b / a for a in base for b in new)
    k = _rank(len(base), len(new))
    return Ratio(median(ratios), (ratios[k - 1], ratios[-k]) if k else None)


@cache
def _rank(n: int, m: int) -> int:
    """The largest k with 2 P(U <= k - 1) <= 0.05 for n and m observations of the same kind; 0 where there is none."""
    counts = _rank_sums(n, m)
    below, k = 0, 0
    while True:
        below += counts[k]
        if 2 * below > 0.05 * math.comb(n + m, n):
            return k
        k += 1


def _rank_sums(n: int, m: int) -> list[int]:
    """In how many of the orders of n and m observations Mann-Whitney's U is 0, 1, 2 ...: a Gaussian binomial."""
    counts = [1] + [0] * (n * m)
    for i in range(1, n + 1):
        for u in range(n * m, m + i - 1, -1):  # times (1 - q^(m+i))
            counts[u] -= counts[u - m - i]
        for u in range(i, n * m + 1):  # over (1 - q^i)
            counts[u] += counts[u - i]
    return counts


def decide(found: Ratio, margin: float = NOISE) -> str:
    """slower or faster where the whole interval lies beyond the margin, same where it lies within it."""
    if found.ci95 is None:
        return CANNOT_TELL
    low, high = found.ci95
    if low > 1 + margin:
        return SLOWER
    if high < 1 / (1 + margin):
        return FASTER
    return SAME if low >= 1 / (1 + margin) and high <= 1 + margin else CANNOT_TELL
