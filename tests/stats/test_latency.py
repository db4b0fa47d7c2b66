from __future__ import annotations

import math

import numpy as np
import pytest

from edgekit.records.measurement import ProcessRun
from edgekit.stats import latency


def process(samples_ns: list[int], repeat: int = 1) -> ProcessRun:
    return ProcessRun(
        samples_ns=tuple(samples_ns),
        warmup_ns=(),
        load_ns=5_000_000,
        first_ns=2_000_000,
        wall_ns=sum(samples_ns) * repeat,
        inferences_per_sample=repeat,
    )


@pytest.mark.parametrize(
    ("n", "low", "high"),
    [(6, 1, 6), (7, 1, 7), (8, 1, 8), (9, 2, 8), (10, 2, 9), (12, 3, 10), (15, 4, 12), (20, 6, 15), (25, 8, 18)]
    + [(30, 10, 21), (50, 18, 33), (100, 40, 61)],
)
def test_ranks_of_the_median_interval(n: int, low: int, high: int) -> None:
    assert latency.order_interval([float(rank) for rank in range(n, 0, -1)]) == (low, high)


@pytest.mark.parametrize("n", range(6))
def test_no_interval_under_six_values(n: int) -> None:
    assert latency.order_interval([1.0] * n) is None


def test_order_interval_covers_what_it_says() -> None:
    random = np.random.default_rng(1)
    hits = 0
    for _ in range(2000):
        interval = latency.order_interval(random.exponential(size=9).tolist())
        assert interval
        hits += interval[0] <= math.log(2) <= interval[1]
    assert 0.95 <= hits / 2000 <= 0.975  # 96.1 % in theory


@pytest.mark.parametrize(("p", "n"), [(0.50, 11), (0.90, 64), (0.95, 130), (0.99, 662)])
def test_samples_that_a_percentile_needs(p: float, n: int) -> None:
    assert latency.samples_needed(p) == n


def test_discards_what_mlperf_discards() -> None:
    assert latency.discarded(935_541, 0.9) - 1 == 92_878  # a published log of a 600 s run says so


def test_upper_quantile_is_the_maximum_at_first_and_none_before() -> None:
    samples = np.arange(64.0)
    assert latency.upper_quantile(samples[:63], 0.9) is None
    assert latency.upper_quantile(samples, 0.9) == 63
    assert 900 <= (latency.upper_quantile(np.arange(1000.0), 0.9) or 0) < 940


def test_wilson_against_published_values() -> None:
    # Newcombe (1998), Statistics in Medicine 17: 81/263, 15/148, 0/20, 1/29
    for correct, n, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        assert latency.wilson(correct, n) == pytest.approx((low, high), abs=5e-5)
    assert latency.wilson(20, 20)[1] == 1.0
    assert latency.wilson(0, 0) == (0.0, 1.0)


def test_paired_difference_against_published_values() -> None:
    # Newcombe (1998), Improved confidence intervals for paired data, method 10, contrast (a): 36, 12, 2, 0
    assert latency.newcombe(36, 12, 2, 0) == pytest.approx((0.0569, 0.3404), abs=5e-5)


def test_paired_difference_counts_and_is_antisymmetric() -> None:
    a, b = [1] * 60 + [1] * 12 + [0] * 4 + [0] * 24, [1] * 60 + [0] * 12 + [1] * 4 + [0] * 24
    forward, back = latency.paired_difference(a, b), latency.paired_difference(b, a)
    assert (forward.n, forward.only_a, forward.only_b) == (100, 12, 4)
    assert forward.difference == pytest.approx(0.08)
    assert forward.ci95[0] < 0.08 < forward.ci95[1]
    assert forward.ci95 == pytest.approx((-back.ci95[1], -back.ci95[0]))
    assert forward.p_value == pytest.approx(0.076813, abs=1e-6)  # 2 P(Bin(16, 1/2) <= 4)
    # pairing is what makes it narrow: two independent samples of these sizes would give more
    assert forward.ci95[1] - forward.ci95[0] < 2 * 1.96 * math.sqrt(2 * 0.72 * 0.28 / 100)


def test_paired_difference_of_equals_is_not_certain() -> None:
    same = latency.paired_difference([1, 1, 0] * 30, [1, 1, 0] * 30)
    assert same.difference == 0 and same.ci95[0] < 0 < same.ci95[1] and same.p_value == 1


@pytest.mark.parametrize("lists", [([], []), ([1], [1, 0])])
def test_paired_difference_refuses_other_lists(lists: tuple[list[int], list[int]]) -> None:
    with pytest.raises(ValueError, match="equally long"):
        latency.paired_difference(*lists)


def test_block_length_grows_with_autocorrelation() -> None:
    random = np.random.default_rng(0)
    noise = random.standard_normal(4000)
    slow = np.convolve(noise, np.ones(50), "valid")
    assert latency.block_length(noise) == 10
    assert latency.block_length(slow) > 60
    assert latency.block_length(np.ones(50)) == 10


def test_block_interval_is_wider_for_neighbours_that_resemble_each_other() -> None:
    random = np.random.default_rng(0)
    noise = random.standard_normal(2000)
    slow = np.repeat(noise[:40], 50)

    def width(samples: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
        interval = latency.block_interval([samples])
        assert interval
        return interval[1] - interval[0]

    assert width(slow) > 3 * width(noise)
    assert latency.block_interval([noise[:19]]) is None
    assert latency.block_interval([noise]) == latency.block_interval([noise])


def test_latency_of_six_processes() -> None:
    runs = [
        process([base + step for step in range(200)])
        for base in (10**6, 2 * 10**6, 3 * 10**6, 4 * 10**6, 5 * 10**6, 6 * 10**6)
    ]
    found = latency.latency(runs, batch=2)
    assert found
    assert found.median_ms == pytest.approx(3.5000995)  # of the processes' medians
    assert found.ci95_ms == pytest.approx((1.0000995, 6.0000995))
    assert found.min_ms == 1 and found.first_ms == 2 and found.load_ms == 5
    assert (found.n, found.processes) == (1200, 6)
    assert found.p90_ms and found.p99_ms and found.p90_ms >= 6.0
    assert found.throughput_per_s == pytest.approx(1200 * 2 / (sum(sum(run.samples_ns) for run in runs) / 1e9))
    assert not found.reasons


def test_latency_says_what_it_cannot_know() -> None:
    found = latency.latency([process([100] * 30)])
    assert found and found.p90_ms is None and found.p99_ms is None and found.ci95_ms
    assert any("within-run only" in reason for reason in found.reasons)
    assert any("no p90: 30 samples, at least 64" in reason for reason in found.reasons)
    short = latency.latency([process([100] * 3)] * 5)
    assert short and short.ci95_ms is None and "no interval" in short.reasons[0]
    assert latency.latency([]) is None
    assert latency.latency([process([])]) is None


def test_throughput_counts_every_inference_of_a_sample() -> None:
    assert latency.throughput([process([1000] * 10, repeat=5)]) == pytest.approx(1e6)


def test_mad_is_deaf_to_an_outlier() -> None:
    assert latency.mad([1, 2, 3, 4, 1000]) == 1
