from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from edgekit.stats import ratio
from edgekit.stats.ratio import Ratio, decide, paired, unpaired


@pytest.mark.parametrize(("n", "u"), [(4, 0), (5, 2), (6, 5), (7, 8), (8, 13), (10, 23), (15, 64), (20, 127)])
def test_ranks_are_those_of_printed_tables(n: int, u: int) -> None:
    assert ratio._rank(n, n) == u + 1  # Mann-Whitney, 5 % two-sided, as printed in any table


@pytest.mark.parametrize(("n", "m"), [(1, 4), (3, 3), (4, 6), (5, 2)])
def test_rank_sums_against_counting(n: int, m: int) -> None:
    counted = [0] * (n * m + 1)
    for places in itertools.combinations(range(n + m), n):
        counted[sum(place - index for index, place in enumerate(places))] += 1
    assert ratio._rank_sums(n, m) == counted and sum(counted) == math.comb(n + m, n)


def test_too_few_processes_have_a_ratio_and_no_interval() -> None:
    assert unpaired([2.0], [3.0]) == Ratio(1.5, None)
    assert unpaired([2.0] * 3, [3.0] * 3).ci95 is None and unpaired([2.0] * 4, [3.0] * 4).ci95 == (1.5, 1.5)
    assert paired([2.0] * 5).ci95 is None


def test_intervals_cover_what_they_say() -> None:
    random, hits_apart, hits_paired = np.random.default_rng(3), 0, 0
    for _ in range(1500):
        base, new = np.exp(random.normal(0, 0.05, 7)), 1.1 * np.exp(random.normal(0, 0.05, 7))
        low, high = unpaired(base.tolist(), new.tolist()).ci95 or (0, 0)
        hits_apart += low <= 1.1 <= high
        low, high = paired((new / base).tolist()).ci95 or (0, 0)
        hits_paired += low <= 1.1 <= high
    assert hits_apart / 1500 >= 0.94 and hits_paired / 1500 >= 0.96


def test_pairs_have_the_interval_of_their_median() -> None:
    assert paired([1.0, 1.1, 1.2, 1.3, 1.4, 1.5]) == Ratio(1.25, (1.0, 1.5))
    found = paired([1.1] * 7)
    assert found.ratio == pytest.approx(1.1) and found.ci95 == pytest.approx((1.1, 1.1))
    assert decide(found) == "slower"


@pytest.mark.parametrize(
    ("interval", "margin", "word"),
    [
        ((1.03, 1.2), 0.02, "slower"),
        ((1.01, 1.2), 0.02, "cannot tell"),
        ((0.99, 1.01), 0.02, "same"),
        ((0.9, 0.97), 0.02, "faster"),
        ((0.9, 0.99), 0.02, "cannot tell"),
        ((0.9, 1.1), 0.02, "cannot tell"),
        ((1.03, 1.04), 0.05, "same"),
        ((0.961, 1.049), 0.05, "same"),
        (None, 0.02, "cannot tell"),
    ],
)
def test_words(interval: tuple[float, float] | None, margin: float, word: str) -> None:
    assert decide(Ratio(1.0, interval), margin) == word
