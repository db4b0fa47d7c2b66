"""Statistics of samples as pure functions: no device, no clock, no disk.

Timing noise is positive, autocorrelated and changes from process to process. Therefore the headline is a median; its
interval counts processes, not iterations; and a percentile is an upper estimate that exists only where there are enough
samples for it. See docs/measuring.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from statistics import median

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgekit.records.measurement import ProcessRun
from edgekit.stats.medians import MIN_PROCESSES, NS_PER_MS, Interval, order_interval

RESAMPLES = 400
RESAMPLED_AT_ONCE = 1_000_000  # samples: bounds the memory that resampling takes


@dataclass(frozen=True)
class Latency:
    """Milliseconds of one inference of the whole batch. None where a number cannot be known, with its reason.

    `median_ms` is the median of the processes' medians; percentiles pool the samples of all processes.
    """

    median_ms: float
    ci95_ms: Interval | None
    p90_ms: float | None
    p99_ms: float | None
    min_ms: float
    mad_ms: float
    first_ms: float | None
    load_ms: float | None
    throughput_per_s: float  # items a second: completed inferences x batch over wall time
    n: int
    processes: int
    reasons: tuple[str, ...]


def samples_of(runs: Sequence[ProcessRun]) -> list[NDArray[np.float64]]:
    """Return the samples of each run that has some, in nanoseconds and in their order."""
    return [np.asarray(run.samples_ns, dtype=np.float64) for run in runs if run.samples_ns]


def latency(runs: Sequence[ProcessRun], batch: int = 1, resample: bool = True) -> Latency | None:
    """Return the statistics of a measurement's runs; None where no sample was taken.

    Resampling takes milliseconds; without `resample` an interval that needs it is None, with its reason.
    """
    series = samples_of(runs)
    if not series:
        return None
    samples = np.sort(np.concatenate(series))
    medians = [median(run.samples_ns) for run in runs if run.samples_ns]
    interval, why = median_interval(series, resample)
    p90, p99 = (upper_quantile(samples, p) for p in (0.90, 0.99))
    return Latency(
        median_ms=median(medians) / NS_PER_MS,
        ci95_ms=(interval[0] / NS_PER_MS, interval[1] / NS_PER_MS) if interval else None,
        p90_ms=None if p90 is None else p90 / NS_PER_MS,
        p99_ms=None if p99 is None else p99 / NS_PER_MS,
        min_ms=float(samples[0]) / NS_PER_MS,
        mad_ms=mad(samples) / NS_PER_MS,
        first_ms=_told([run.first_ns for run in runs]),
        load_ms=_told([run.load_ns for run in runs]),
        throughput_per_s=throughput(runs, batch),
        n=len(samples),
        processes=len(series),
        reasons=tuple(filter(None, (why, _missing(p90, 0.90, len(samples)), _missing(p99, 0.99, len(samples))))),
    )


def _told(nanoseconds: Sequence[int | None]) -> float | None:
    """The median in milliseconds of those that are told; None where none is."""
    known = [value for value in nanoseconds if value is not None]
    return median(known) / NS_PER_MS if known else None


def _missing(value: float | None, p: float, n: int) -> str:
    return "" if value is not None else f"no p{p * 100:.0f}: {n} samples, at least {samples_needed(p)} are needed"


def throughput(runs: Sequence[ProcessRun], batch: int = 1) -> float:
    """Items a second: what was completed over the wall time that it took, never 1 / latency."""
    completed = sum(len(run.samples_ns) * run.inferences_per_sample for run in runs) * batch
    return completed / (sum(run.wall_ns for run in runs) / 1e9)


def mad(samples: ArrayLike) -> float:
    """Median absolute deviation from the median, not scaled."""
    values = np.asarray(samples, dtype=np.float64)
    return float(np.median(np.abs(values - np.median(values))))


def median_interval(series: Sequence[NDArray[np.float64]], resample: bool = True) -> tuple[Interval | None, str]:
    """Return the 95 % interval of the median latency of several processes' samples, and what must be said about it.

    From 6 processes on by order statistics over their medians; with fewer by resampling within the processes, which
    knows nothing of how they differ, and therefore says so.
    """
    if len(series) >= MIN_PROCESSES:
        return order_interval([float(np.median(one)) for one in series]), ""
    few = "one process" if len(series) == 1 else f"{len(series)} processes"
    if not resample:
        return None, f"no interval: {few}, and resampling was left out"
    interval = block_interval(series)
    if interval is None:
        return None, f"no interval: {few} with too few samples"
    return interval, f"the interval is within-run only: {few}, {MIN_PROCESSES} are needed to see how they differ"


def block_interval(series: Sequence[NDArray[np.float64]], seed: int = 0) -> Interval | None:
    """95 % moving-block bootstrap interval of the median of the series' medians; None for fewer than 20 samples each.

    Neighboring samples resemble each other, so blocks of neighbors are drawn, never single samples (Künsch 1989).
    """
    if any(len(one) < 20 for one in series):
        return None
    random = np.random.default_rng(seed)
    medians = np.median([_resampled_medians(one, random) for one in series], axis=0)
    low, high = np.quantile(medians, (0.025, 0.975))
    return float(low), float(high)


def _resampled_medians(samples: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float64]:
    n = len(samples)
    block = min(block_length(samples), n)
    count = math.ceil(n / block)
    at_once = max(1, RESAMPLED_AT_ONCE // n)
    medians = []
    for first in range(0, RESAMPLES, at_once):
        rows = min(at_once, RESAMPLES - first)
        starts = random.integers(0, n - block + 1, (rows, count, 1))
        chosen = (starts + np.arange(block)).reshape(rows, -1)[:, :n]
        medians.append(np.median(samples[chosen], axis=1))
    return np.concatenate(medians)


def block_length(samples: NDArray[np.float64]) -> int:
    """Return how many neighbors to draw together: max(10, twice the first lag whose autocorrelation is under 0.1)."""
    centered = samples - samples.mean()
    power = np.abs(np.fft.rfft(centered, 2 * len(samples))) ** 2
    correlation = np.fft.irfft(power)[: len(samples)]
    if correlation[0] <= 0:
        return 10
    quiet = np.flatnonzero(correlation / correlation[0] < 0.1)
    return max(10, 2 * int(quiet[0]) if len(quiet) else len(samples))


def upper_quantile(ordered: NDArray[np.float64], p: float) -> float | None:
    """MLPerf's early-stopping estimate of the p-quantile: with 99 % confidence the true one is not above it.

    `ordered` is sorted. None where there are too few samples: interpolating would claim more than is known.
    """
    t = discarded(len(ordered), p)
    return float(ordered[len(ordered) - t]) if t else None


@cache
def discarded(n: int, p: float, confidence: float = 0.99) -> int:
    """The largest t with P(Bin(n, 1-p) <= t) <= 1 - confidence, 0 where there is none; t - 1 samples are discarded.

    As MLPerf's loadgen/early_stopping.cc with tolerance 0.
    """
    q = 1 - p
    k = np.arange(1, int(n * q) + 1)  # t lies below the mean
    steps = np.log((n - k + 1) / k) + math.log(q / p)
    log_mass = n * math.log(p) + np.concatenate([[0.0], np.cumsum(steps)])
    below = np.cumsum(np.exp(log_mass))
    return max(0, int(np.searchsorted(below, 1 - confidence, side="right")) - 1)


@cache
def samples_needed(p: float) -> int:
    """Return the smallest n for which `upper_quantile` exists: 64 for p90, 662 for p99."""
    n = 1
    while not discarded(n, p):
        n += 1
    return n
