"""The timed loop itself: samples, warm-up until times settle, and what clock and loop add of their own.

Times are nanoseconds of time.perf_counter_ns.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

# A sample shorter than this many clock readings would mostly be the clock: then several inferences make one sample.
CLOCK_READINGS = 100
MAX_SAMPLES = 100_000  # a p99 needs 662; beyond this only the store grows
# Two halves of a warm-up agree: their medians and their quartiles, as fractions.
WARM_MEDIAN, WARM_QUARTILE = 0.02, 0.05
# So many samples at the end of a warm-up, or more, tell what an inference takes: the very last is often one that was
# interrupted, because a warm-up ends when its time is up.
LAST = 10


def clock_cost() -> int:
    """Return what reading the clock costs, in nanoseconds."""
    clock = time.perf_counter_ns
    gaps = []
    for _ in range(1000):
        start = clock()
        gaps.append(clock() - start)
    return max(1, sorted(gaps)[500])


def repeats(clock_ns: int, samples: list[int], seconds: float = 0.0, most: int | None = None) -> int:
    """Return how many inferences make one sample, so that reading the clock takes little of it.

    And so that about `most` samples take so many `seconds`, where both are given.
    """
    each = max(1, _median(samples))
    fewest = 0 if most is None else seconds * 1e9 / most
    return max(1, math.ceil(max(CLOCK_READINGS * clock_ns, fewest) / each))


def take(
    step: Callable[[], object], seconds: float, runs: int, max_seconds: float, repeat: int = 1
) -> tuple[list[int], int]:
    """Return samples in nanoseconds per inference, and the wall time of the whole loop."""
    clock, samples = time.perf_counter_ns, []
    begin = clock()
    soonest, latest = begin + int(seconds * 1e9), begin + int(max_seconds * 1e9)
    while True:
        start = clock()
        for _ in range(repeat):
            step()
        stop = clock()
        samples.append((stop - start) // repeat)
        enough = stop >= soonest and len(samples) >= runs
        if enough or stop >= latest or len(samples) >= MAX_SAMPLES:
            return samples, stop - begin


def warm_up(step: Callable[[], object], job: Any) -> tuple[list[int], bool]:
    """Take samples until two neighboring halves agree, at least as many and as long as the job says.

    Return them, and whether the halves agreed.
    """
    half = (step, job.warmup_seconds / 2, math.ceil(job.warmup_runs / 2), job.max_seconds / 2)
    latest = time.perf_counter() + job.warmup_max_seconds
    samples, _ = take(*half)
    older = samples
    while True:
        newer, _ = take(*half)
        samples = samples + newer
        if settled(older, newer):
            return samples, True
        if time.perf_counter() >= latest or len(samples) >= MAX_SAMPLES:
            return samples, False
        older = newer


def settled(older: list[int], newer: list[int]) -> bool:
    """Return whether times no longer fall or rise: the medians and the quartiles of two stretches of them agree."""
    close = abs(_median(newer) / _median(older) - 1) <= WARM_MEDIAN
    return close and all(abs(_at(newer, p) / _at(older, p) - 1) <= WARM_QUARTILE for p in (0.25, 0.75))


def harness_cost(repeat: int) -> float:
    """Nanoseconds that the loop itself adds to an inference: the same loop around an empty call."""
    samples, _ = take(lambda: None, 0, 500, 1, repeat)
    return float(_median(samples))


def _median(samples: list[int]) -> int:
    return _at(samples, 0.5)


def _at(samples: list[int], fraction: float) -> int:
    return max(1, sorted(samples)[int(fraction * (len(samples) - 1) + 0.5)])
