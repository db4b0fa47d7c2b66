"""Which files are as accurate as the most accurate one, as far as the images can tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from edgekit.choosing.result import Candidate
from edgekit.reporting.rows import Row
from edgekit.stats.accuracy import paired
from edgekit.stats.medians import Interval

Hits = Mapping[str, str]  # sha256 -> a character an image, as of edgekit.stats.accuracy


def compared(one: Candidate, best: Row, hits: Hits) -> Candidate:
    """Add the difference from the best row's top-1: image by image, or by the intervals where hits are not known."""
    difference = (one.row.top1 or 0) - (best.top1 or 0)
    mine, theirs = hits.get(one.row.sha256, ""), hits.get(best.sha256, "")
    if mine and len(mine) == len(theirs):
        interval = paired(theirs, mine).ci95
        return replace(one, difference=difference, difference_ci95=interval, is_level=interval[1] >= 0)
    return replace(one, difference=difference, is_level=overlap(one.row.top1_ci95, best.top1_ci95))


def overlap(one: Interval | None, two: Interval | None) -> bool:
    """Return whether two intervals have a value in common; an unknown one may hold any."""
    return one is None or two is None or (one[0] <= two[1] and two[0] <= one[1])
