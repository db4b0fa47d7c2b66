from __future__ import annotations

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


def test_block_length_grows_with_autocorrelation() -> None:
    random = np.random.default_rng(0)
    noise = random.standard_normal(4000)
    slow = np.convolve(noise, np.ones(50), "valid")
    assert latency.block_length(noise) == 10
    assert latency.block_length(slow) > 60
    assert latency.block_length(np.ones(50)) == 10


def test_block_interval_is_wider_for_neighbors_that_resemble_each_other() -> None:
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
