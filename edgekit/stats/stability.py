"""Whether samples hold still: drift, alternation, outliers and the spread between processes. Pure functions.

Nothing here drops a sample; it counts them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.records.measurement import ProcessRun
from edgekit.stats.latency import mad, samples_of

OUTLIER_MADS = 14.826  # 10 normal standard deviations, as hyperfine counts them
GROUP = 10  # neighboring samples averaged before their autocorrelation is looked at


@dataclass(frozen=True)
class Stability:
    """How still the samples held; fractions. None where there are too few samples or processes to say.

    `spread` is the median absolute deviation over the median, `drift` the median of the second half over that of the
    first, less 1, and `autocorrelation` that of means of ten neighbors at lag 1; each the median over the processes.
    """

    spread: float
    drift: float | None
    autocorrelation: float | None
    wander: float | None  # the 10th to 90th percentile of those means, over the median
    between_processes: float | None  # the largest of the processes' medians over the smallest, less 1
    outliers: int  # beyond 14.826 median absolute deviations from their process's median
    mild: int  # Tukey's fences: beyond 1.5, and beyond 3 interquartile ranges
    severe: int
    n: int

    def to_json(self) -> dict[str, Any]:
        """Its fields, rounded."""
        return {key: round(value, 5) if isinstance(value, float) else value for key, value in asdict(self).items()}


def stability(runs: Sequence[ProcessRun]) -> Stability | None:
    """Return the stability of a measurement's runs; None where no sample was taken."""
    series = samples_of(runs)
    if not series:
        return None
    medians = [float(np.median(one)) for one in series]
    groups = [group_means(one) for one in series]
    fences = [tukey(one) for one in series]
    return Stability(
        spread=median([mad(one) / max(middle, 1.0) for one, middle in zip(series, medians, strict=True)]),
        drift=_median(drift(one) for one in series),
        autocorrelation=_median(autocorrelation(one) for one in groups),
        wander=_median(wander(one) for one in groups),
        between_processes=max(medians) / max(min(medians), 1.0) - 1 if len(medians) > 1 else None,
        outliers=sum(outliers(one) for one in series),
        mild=sum(mild for mild, _ in fences),
        severe=sum(severe for _, severe in fences),
        n=sum(map(len, series)),
    )


def drift(samples: NDArray[np.float64]) -> float | None:
    """Return the median of the second half over that of the first, less 1; None for fewer than 20 samples."""
    half = len(samples) // 2
    if half < 10:
        return None
    return float(np.median(samples[half:]) / max(np.median(samples[:half]), 1.0)) - 1


def group_means(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means of ten neighbors each; a rest is left out."""
    whole = len(samples) // GROUP * GROUP
    return np.asarray(samples[:whole].reshape(-1, GROUP).mean(axis=1))


def autocorrelation(values: NDArray[np.float64]) -> float | None:
    """Correlation of each value with the next; None for fewer than 10 values, 0 where nothing varies."""
    if len(values) < 10:
        return None
    centered = values - values.mean()
    power = float(centered @ centered)
    return float(centered[1:] @ centered[:-1]) / power if power > 0 else 0.0


def wander(values: NDArray[np.float64]) -> float | None:
    """Return the distance from the 10th to the 90th percentile over the median; None for fewer than 10 values."""
    if len(values) < 10:
        return None
    low, high = np.quantile(values, (0.1, 0.9))
    return float((high - low) / max(np.median(values), 1.0))


def outliers(samples: NDArray[np.float64]) -> int:
    """Samples further from the median than 14.826 median absolute deviations."""
    middle = np.median(samples)
    return int((np.abs(samples - middle) > OUTLIER_MADS * max(mad(samples), 0.001 * middle)).sum())


def tukey(samples: NDArray[np.float64]) -> tuple[int, int]:
    """(mild, severe): samples beyond 1.5 and beyond 3 interquartile ranges of the quartiles."""
    low, high = np.quantile(samples, (0.25, 0.75))
    reach = np.maximum(low - samples, samples - high)
    return int(((reach > 1.5 * (high - low)) & (reach <= 3 * (high - low))).sum()), int(
        (reach > 3 * (high - low)).sum()
    )


def _median(values: Any) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None
