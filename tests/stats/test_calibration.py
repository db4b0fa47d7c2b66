"""The expected calibration error is the sum that its paper writes down."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.stats.calibration import calibration, softmax


def by_definition(confidences: list[float], hits: list[bool], bins: int) -> float:
    """Guo et al. 2017, equation 3, bin by bin: ((m - 1) / M, m / M]."""
    total = 0.0
    for m in range(1, bins + 1):
        inside = [i for i, one in enumerate(confidences) if (m - 1) / bins < one <= m / bins or (m == 1 and one == 0)]
        if inside:
            accuracy = sum(hits[i] for i in inside) / len(inside)
            confidence = sum(confidences[i] for i in inside) / len(inside)
            total += len(inside) / len(confidences) * abs(accuracy - confidence)
    return total


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_it_is_the_papers_sum(bins: int) -> None:
    random = np.random.default_rng(0)
    confidences = [0.0, 1.0, 0.5, *random.uniform(0.1, 1.0, 400)]
    hits = [bool(one) for one in random.uniform(size=403) < 0.8 * np.array(confidences)]
    found = calibration(confidences, hits, bins)
    assert found.ece == pytest.approx(by_definition(confidences, hits, bins)) and found.ece > 0.05
    assert sum(n for n, *_ in found.bins) == 403 and found.mean == pytest.approx(np.mean(confidences))


def test_a_file_that_is_sure_and_right_has_no_error() -> None:
    assert calibration([1.0, 1.0], [True, True]).ece == 0 and calibration([1.0, 1.0], [False, False]).ece == 1
    assert calibration([0.75] * 4, [True, True, True, False]).ece == 0


def test_softmax_of_large_scores() -> None:
    assert softmax(np.array([1000.0, 1000.0, -1000.0])).tolist() == [0.5, 0.5, 0.0]
