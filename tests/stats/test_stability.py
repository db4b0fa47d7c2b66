from __future__ import annotations

import numpy as np
import pytest

from edgekit.records.measurement import ProcessRun
from edgekit.stats import stability as s


def process(samples: list[int]) -> ProcessRun:
    return ProcessRun(samples_ns=tuple(samples), warmup_ns=(), load_ns=1, first_ns=1, wall_ns=1)


def test_drift_is_the_second_half_over_the_first() -> None:
    assert s.drift(np.array([100.0] * 10 + [103.0] * 10)) == pytest.approx(0.03)
    assert s.drift(np.array([100.0] * 19)) is None


def test_autocorrelation_tells_alternation_from_wandering() -> None:
    assert (s.autocorrelation(np.array([1.0, 2.0] * 20)) or 0) < -0.9
    assert (s.autocorrelation(np.linspace(0, 1, 50)) or 0) > 0.9
    assert abs(s.autocorrelation(np.random.default_rng(0).normal(size=5000)) or 1) < 0.05
    assert s.autocorrelation(np.ones(20)) == 0 and s.autocorrelation(np.ones(9)) is None


def test_outliers_are_counted_and_kept() -> None:
    samples = np.array([100.0, 101.0, 99.0, 100.0] * 25 + [102.5, 115.0])
    assert s.outliers(samples) == 1 and s.tukey(samples) == (0, 1)
    assert s.tukey(np.array([0.0, 1.0, 2.0, 3.0] * 10 + [7.0]))[0] == 1
    assert s.outliers(np.array([100.0] * 50 + [200.0])) == 1  # where nothing varies but one


def test_the_summary_of_some_processes() -> None:
    found = s.stability([process([1000, 1010] * 50), process([1100, 1111] * 50), process([])])
    assert found and found.n == 200 and found.between_processes == pytest.approx(0.1, abs=0.001)
    assert found.drift == 0 and found.wander == 0 and found.outliers == 0 and found.to_json()["n"] == 200
    assert s.stability([]) is None and s.stability([process([])]) is None
    lone = s.stability([process([5])])
    assert lone and lone.drift is lone.autocorrelation is lone.between_processes is None
