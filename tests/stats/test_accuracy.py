"""Ranks and hits: the tie rule, the counts, the comparison in pairs."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.stats.accuracy import correct1, correct5, hit, paired, rank


def test_ties_are_broken_by_the_lower_index() -> None:
    scores = np.array([3, 9, 9, 9, 1], dtype=np.uint8)
    assert [rank(scores, label) for label in range(5)] == [3, 0, 1, 2, 4]


def test_the_rank_is_that_of_a_stable_sort() -> None:
    random = np.random.default_rng(0)
    for _ in range(200):
        scores = random.integers(-3, 3, 12).astype(np.int8)
        order = sorted(range(12), key=lambda index: -int(scores[index]))
        assert [rank(scores, label) for label in range(12)] == [order.index(label) for label in range(12)]


def test_a_hit_is_one_character() -> None:
    scores = np.arange(10.0)
    assert "".join(hit(scores, label) for label in range(10)) == "-----55551"
    assert correct1("115-5") == 2 and correct5("115-5") == 4


def test_nan_is_no_hit_but_an_error() -> None:
    with pytest.raises(ValueError, match="NaN"):
        hit(np.array([0.0, np.nan]), 1)


def test_a_pair_counts_who_alone_was_right() -> None:
    difference = paired("11-51-", "1-1--1")
    assert (difference.only_b, difference.only_a) == (2, 2) and difference.difference == 0.0
    better = paired("-" * 50 + "1" * 50, "1" * 100)
    assert better.difference == 0.5 and better.ci95[0] < 0.5 < better.ci95[1] and better.ci95[0] > 0.3


def test_other_images_cannot_be_paired() -> None:
    with pytest.raises(ValueError):
        paired("1", "11")
