"""Which points are worth having: the Pareto front, and the rank correlation of two columns, as pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence

Point = tuple[float, float]  # cost (lower is better), accuracy (higher is better)


def front(points: Sequence[Point]) -> list[bool]:
    """For each (cost, accuracy), whether nothing dominates it.

    A point is dominated by one that is no worse in both and better in one: equal accuracy at a lower cost
    dominates, and so does more accuracy at an equal cost. Equal points do not dominate each other.
    Raises ValueError for a coordinate that is not a number.
    """
    if any(math.isnan(value) for point in points for value in point):
        raise ValueError("a point of the front is not a number")
    kept: set[Point] = set()
    best = -math.inf
    for cost, accuracy in sorted(set(points), key=lambda point: (point[0], -point[1])):
        if accuracy > best:
            kept.add((cost, accuracy))
            best = accuracy
    return [(cost, accuracy) in kept for cost, accuracy in points]


def ranks(values: Sequence[float]) -> list[float]:
    """Ranks from 1; equal values share the mean of the ranks that they take."""
    order = sorted(range(len(values)), key=values.__getitem__)
    result = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and values[order[end]] == values[order[start]]:
            end += 1
        for index in order[start:end]:
            result[index] = (start + 1 + end) / 2
        start = end
    return result


def spearman(x: Sequence[float], y: Sequence[float]) -> float | None:
    """Spearman's rank correlation, ties sharing their mean rank; None where it is not defined.

    It is not defined for fewer than two pairs, or where one side is constant. Raises ValueError for sides of
    different lengths or a value that is not a number.
    """
    if len(x) != len(y):
        raise ValueError(f"{len(x)} values cannot be paired with {len(y)}")
    if any(math.isnan(value) for value in (*x, *y)):
        raise ValueError("a value to be ranked is not a number")
    if len(x) < 2:
        return None
    middle = (len(x) + 1) / 2
    a = [rank - middle for rank in ranks(x)]
    b = [rank - middle for rank in ranks(y)]
    scale = math.sqrt(sum(value * value for value in a) * sum(value * value for value in b))
    return None if scale == 0 else sum(p * q for p, q in zip(a, b, strict=True)) / scale
