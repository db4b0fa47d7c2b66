"""Fractions of counts, and their differences in pairs, with their intervals. Plain Python, pure functions."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from edgekit.stats.medians import Interval

Z95 = 1.959963984540054


def wilson(correct: int, n: int, z: float = Z95) -> Interval:
    """Wilson's score interval of a fraction (Wilson 1927); (0, 1) for n = 0."""
    if n == 0:
        return 0.0, 1.0
    p = correct / n
    middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    low, high = (middle - half) / scale, (middle + half) / scale
    return (0.0 if correct == 0 else low), (1.0 if correct == n else high)


def is_at_chance(correct: int, n: int, classes: int) -> bool:
    """Return whether a fraction may be that of a guess among `classes`: its 95 % interval does not lie above it."""
    return classes > 1 and n > 0 and wilson(correct, n)[0] <= 1 / classes


@dataclass(frozen=True)
class PairedDifference:
    """The accuracy of A minus that of B on the same images, as fractions."""

    difference: float
    ci95: Interval
    p_value: float  # McNemar's exact test: how often equals would disagree so one-sidedly
    n: int
    only_a: int
    only_b: int


def paired_difference(a: Sequence[Any], b: Sequence[Any]) -> PairedDifference:
    """Compare two lists of hits (truthy: correct) on the same images in the same order.

    The interval is Newcombe's for paired proportions (1998, method 10), which also holds where the two hardly differ.
    """
    if len(a) != len(b) or not len(a):
        raise ValueError("paired comparison needs two equally long, non-empty lists")
    counts = Counter(zip(map(bool, a), map(bool, b), strict=True))
    both, only_a, only_b, neither = (counts[hit_a, hit_b] for hit_a, hit_b in product((True, False), repeat=2))
    interval = newcombe(both, only_a, only_b, neither)
    return PairedDifference((only_a - only_b) / len(a), interval, mcnemar(only_a, only_b), len(a), only_a, only_b)


def newcombe(both: int, only_a: int, only_b: int, neither: int) -> Interval:
    """95 % interval of p(A) - p(B) from the four counts of paired outcomes."""
    n = both + only_a + only_b + neither
    p_a, p_b = (both + only_a) / n, (both + only_b) / n
    (low_a, high_a), (low_b, high_b) = wilson(both + only_a, n), wilson(both + only_b, n)
    phi = _phi(both, only_a, only_b, neither)

    def reach(x: float, y: float) -> float:
        return math.sqrt(max(0.0, x * x - 2 * phi * x * y + y * y))

    difference = p_a - p_b
    return difference - reach(p_a - low_a, high_b - p_b), difference + reach(high_a - p_a, p_b - low_b)


def _phi(both: int, only_a: int, only_b: int, neither: int) -> float:
    size = (both + only_a) * (only_b + neither) * (both + only_b) * (only_a + neither)
    if not size:
        return 0.0
    cross, n = float(both * neither - only_a * only_b), both + only_a + only_b + neither
    if cross > 0:
        cross = max(cross - n / 2, 0.0)  # the continuity correction of method 10
    return cross / math.sqrt(size)


def mcnemar(only_a: int, only_b: int) -> float:
    """Two-sided exact p-value of the discordant pairs."""
    n = only_a + only_b
    tail = sum(math.comb(n, k) for k in range(min(only_a, only_b) + 1))
    return min(1.0, float(2 * tail / 2**n)) if n else 1.0
