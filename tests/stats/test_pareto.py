"""The Pareto front and the rank correlation, on the published MobileNet v1 rows and on small cases by hand."""

from __future__ import annotations

import math

import pytest

from edgekit.stats.pareto import front, spearman

# MobileNet v1 by (alpha, resolution). MACs are counted (convolution and linear, 1000 classes), in millions; TF-slim's
# top-1; then the hosted TFLite files on a Pixel 3 (4 CPU threads): float top-1, CPU, GPU and NNAPI ms, int8 top-1,
# CPU and NNAPI ms.
ROWS: dict[str, tuple[float, ...]] = {
    "1.0_224": (568.74, 70.9, 71.0, 24.0, 6.5, 13.8, 70.0, 13.0, 6.0),
    "1.0_192": (418.12, 70.0, 69.9, 18.1, 6.3, 10.6, 69.1, 9.9, 5.2),
    "1.0_160": (290.68, 68.0, 68.0, 13.4, 5.0, 8.4, 66.9, 7.3, 4.6),
    "1.0_128": (186.40, 65.2, 65.2, 9.0, 4.4, 6.3, 63.3, 4.8, 3.8),
    "0.75_224": (325.40, 68.4, 68.3, 14.6, 4.9, 9.9, 66.9, 8.5, 4.8),
    "0.75_192": (239.27, 67.2, 67.1, 11.0, 4.5, 7.2, 66.1, 6.4, 4.2),
    "0.75_160": (166.40, 65.3, 65.2, 8.2, 3.1, 6.3, 62.4, 4.7, 3.8),
    "0.75_128": (106.77, 62.1, 62.0, 5.5, 2.6, 5.1, 55.9, 3.1, 3.2),
    "0.50_224": (149.50, 63.3, 63.2, 7.9, 2.8, 6.1, 61.2, 4.7, 3.6),
    "0.50_192": (109.97, 61.7, 61.7, 6.0, 2.5, 4.8, 59.9, 3.6, 3.3),
    "0.50_160": (76.52, 59.1, 59.0, 4.4, 2.0, 4.0, 57.2, 2.6, 2.9),
    "0.50_128": (49.16, 56.3, 56.2, 3.0, 1.7, 3.2, 54.9, 1.7, 2.6),
    "0.25_224": (41.03, 49.8, 49.7, 3.3, 1.8, 3.6, 48.2, 2.3, 2.9),
    "0.25_192": (30.21, 47.7, 47.1, 2.4, 1.8, 3.0, 45.7, 1.8, 2.6),
    "0.25_160": (21.06, 45.5, 45.4, 1.7, 1.7, 3.2, 42.8, 1.3, 2.4),
    "0.25_128": (13.57, 41.5, 41.4, 1.2, 1.6, 3.0, 39.5, 0.8, 2.0),
}
PUBLISHED_MACS = (569, 418, 291, 186, 317, 233, 162, 104, 150, 110, 77, 49, 41, 34, 21, 14)

DOMINATED = {
    "MACs": (0, 1, {"0.50_192", "1.0_128"}),
    "float CPU": (3, 2, {"0.25_224", "0.50_192", "1.0_128"}),
    "float GPU": (4, 2, {"0.25_160", "0.25_192", "0.25_224", "1.0_128", "1.0_160"}),
    "float NNAPI": (5, 2, {"0.25_128", "0.25_160", "0.25_224"}),
    "int8 CPU": (7, 6, {"0.25_192", "0.25_224", "0.50_224", "0.75_128", "0.75_224"}),
    "int8 NNAPI": (8, 6, {"0.25_192", "0.25_224", "0.75_128", "0.75_160", "0.75_224"}),
}


def dominated(points: list[tuple[float, float]]) -> set[str]:
    return {name for name, kept in zip(ROWS, front(points), strict=True) if not kept}


@pytest.mark.parametrize("axis", DOMINATED)
def test_the_published_rows_have_their_known_front(axis: str) -> None:
    cost, accuracy, expected = DOMINATED[axis]
    assert dominated([(row[cost], row[accuracy]) for row in ROWS.values()]) == expected


def test_published_macs_choose_the_same_front_as_exact_ones() -> None:
    points = [(float(macs), row[1]) for macs, row in zip(PUBLISHED_MACS, ROWS.values(), strict=True)]
    assert dominated(points) == DOMINATED["MACs"][2]


def test_ties() -> None:
    assert front([(1, 70), (2, 70)]) == [True, False], "equal accuracy at a lower cost dominates"
    assert front([(1, 70), (1, 71)]) == [False, True], "more accuracy at an equal cost dominates"
    assert front([(1, 70), (1, 70), (2, 71)]) == [True, True, True], "equal points do not dominate each other"


def test_the_front_of_little() -> None:
    assert front([]) == [] and front([(5, 0.0)]) == [True]
    with pytest.raises(ValueError, match="not a number"):
        front([(math.nan, 1.0)])


def test_spearman_by_hand() -> None:
    assert spearman([1, 2, 3, 4], [10, 20, 30, 40]) == pytest.approx(1)
    assert spearman([1, 2, 3, 4], [4, 3, 2, 1]) == pytest.approx(-1)
    # 1 - 6 * sum(d^2) / (n (n^2 - 1)) with d = 0, 1, -1, 0 of n = 4
    assert spearman([1, 2, 3, 4], [1, 3, 2, 4]) == pytest.approx(1 - 6 * 2 / (4 * 15))
    # ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4: 4.5 / sqrt(4.5 * 5)
    assert spearman([1, 2, 2, 3], [1, 2, 3, 4]) == pytest.approx(4.5 / math.sqrt(4.5 * 5))


def test_spearman_of_the_published_tables_is_near_one() -> None:
    value = spearman([row[1] for row in ROWS.values()], [row[6] for row in ROWS.values()])
    assert value is not None and value == pytest.approx(0.98, abs=0.015)


def test_spearman_is_not_defined_for_a_constant_or_a_single_pair() -> None:
    assert spearman([1, 1, 1], [1, 2, 3]) is None and spearman([1], [2]) is None and spearman([], []) is None
    with pytest.raises(ValueError, match="paired"):
        spearman([1, 2], [1])
    with pytest.raises(ValueError, match="not a number"):
        spearman([1, math.nan], [1, 2])
