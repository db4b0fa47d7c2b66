from __future__ import annotations

import math

import pytest

from edgekit.stats import proportions


@pytest.mark.parametrize("correct, n, classes, is_one", [
    (32, 360, 10, True), (50, 360, 10, False), (36, 360, 10, True), (0, 5, 1000, True),
    (5, 5, 1, False), (0, 5, 0, False),
])  # fmt: skip
def test_chance_is_within_the_interval_or_above_it(correct: int, n: int, classes: int, is_one: bool) -> None:
    assert proportions.is_at_chance(correct, n, classes) is is_one


def test_wilson_against_published_values() -> None:
    # Newcombe (1998), Statistics in Medicine 17: 81/263, 15/148, 0/20, 1/29
    for correct, n, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        assert proportions.wilson(correct, n) == pytest.approx((low, high), abs=5e-5)
    assert proportions.wilson(20, 20)[1] == 1.0
    assert proportions.wilson(0, 0) == (0.0, 1.0)


def test_paired_difference_against_published_values() -> None:
    # Newcombe (1998), Improved confidence intervals for paired data, method 10, contrast (a): 36, 12, 2, 0
    assert proportions.newcombe(36, 12, 2, 0) == pytest.approx((0.0569, 0.3404), abs=5e-5)


def test_paired_difference_counts_and_is_antisymmetric() -> None:
    a, b = [1] * 60 + [1] * 12 + [0] * 4 + [0] * 24, [1] * 60 + [0] * 12 + [1] * 4 + [0] * 24
    forward, back = proportions.paired_difference(a, b), proportions.paired_difference(b, a)
    assert (forward.n, forward.only_a, forward.only_b) == (100, 12, 4)
    assert forward.difference == pytest.approx(0.08)
    assert forward.ci95[0] < 0.08 < forward.ci95[1]
    assert forward.ci95 == pytest.approx((-back.ci95[1], -back.ci95[0]))
    assert forward.p_value == pytest.approx(0.076813, abs=1e-6)  # 2 P(Bin(16, 1/2) <= 4)
    # pairing is what makes it narrow: two independent samples of these sizes would give more
    assert forward.ci95[1] - forward.ci95[0] < 2 * 1.96 * math.sqrt(2 * 0.72 * 0.28 / 100)


def test_paired_difference_of_equals_is_not_certain() -> None:
    same = proportions.paired_difference([1, 1, 0] * 30, [1, 1, 0] * 30)
    assert same.difference == 0 and same.ci95[0] < 0 < same.ci95[1] and same.p_value == 1


@pytest.mark.parametrize("lists", [([], []), ([1], [1, 0])])
def test_paired_difference_refuses_other_lists(lists: tuple[list[int], list[int]]) -> None:
    with pytest.raises(ValueError, match="equally long"):
        proportions.paired_difference(*lists)
