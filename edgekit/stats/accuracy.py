"""Arithmetic of accuracy: ranks, hits, and differences in pairs. Pure functions.

A run over N images is kept as N characters in the images' order: "1" where the right class came first, "5" where it
came second to fifth, "-" where it came later. Two such strings over the same images can be compared in pairs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgekit.stats.limit import Held
from edgekit.stats.proportions import PairedDifference, paired_difference
from edgekit.util.formatting import fixed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HIT1, HIT5, MISS = "1", "5", "-"


def rank(scores: NDArray[np.generic], label: int) -> int:
    """Return how many classes come before `label`, 0 when it is first.

    Equal scores (quantized outputs tie often) are ordered by class index, the lower first: a rule that depends on no
    sorting algorithm. Raises ValueError for NaN, which would compare as beaten by everything.
    """
    import numpy as np

    if np.isnan(scores).any():
        raise ValueError("the output holds NaN")
    own = scores[label]
    return int(np.count_nonzero(scores > own) + np.count_nonzero(scores[:label] == own))


def hit(scores: NDArray[np.generic], label: int) -> str:
    """Return the character of one image."""
    position = rank(scores, label)
    return HIT1 if position == 0 else HIT5 if position < 5 else MISS


def correct1(hits: str) -> int:
    """Images whose class came first."""
    return hits.count(HIT1)


def correct5(hits: str) -> int:
    """Images whose class was among the first five."""
    return len(hits) - hits.count(MISS)


def fraction(correct: int | None, n: int) -> float | None:
    """Of 1; None stays unknown."""
    return None if correct is None else correct / n


def paired(base: str, new: str) -> PairedDifference:
    """Top-1 of `new` minus top-1 of `base` over the same images (A is `new`). Raises ValueError for other lengths."""
    return paired_difference([one == HIT1 for one in new], [one == HIT1 for one in base])


def drop(base: str, new: str, limit: float) -> Held:
    """Return how far top-1 of `new` is under that of `base` over the same images, against the most that it may be.

    All are fractions of 1; a drop below 0 is a gain. Raises ValueError for other lengths.
    """
    found = paired(new, base)
    return Held(found.difference, found.ci95, found.n, limit)


def gained(lost: Held, against: str = "") -> str:
    """Return in words what `drop` found, in points: "a loss of 3.33 points (95 % paired -10.49 .. +3.91)".

    The interval has the sign of every other difference: that of the new file's top-1 minus the base's.
    """
    low, high = (fixed(100 * bound, 2, "+") for bound in (-lost.ci95[1], -lost.ci95[0]))
    points = fixed(100 * abs(lost.value), 2)
    change = f"{'a loss' if lost.value > 0 else 'a gain'} of {points} points" if lost.value else "no change of top-1"
    return f"{change}{f' against {against}' if against else ''} (95 % paired {low} .. {high})"
