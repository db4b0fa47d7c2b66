"""Whether a classifier's confidence is how often it is right. Pure functions, numpy only.

Guo et al., On Calibration of Modern Neural Networks, ICML 2017, arXiv:1706.04599.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

BINS = 15


@dataclass(frozen=True)
class Calibration:
    """`ece` is the expected calibration error as a fraction; `bins`: images, mean confidence and accuracy of each."""

    ece: float
    mean: float
    bins: tuple[tuple[int, float, float], ...]


def calibration(confidences: ArrayLike, hits: Sequence[bool], bins: int = BINS) -> Calibration:
    """Return the expected calibration error over bins of equal width, (0, 1/15], (1/15, 2/15] ...; empty ones left out.

    It is the mean distance between confidence and accuracy, each bin counted by its images. `confidences` are those of
    the best class, 0 to 1, of at least one image.
    """
    sure, right = np.asarray(confidences, dtype=np.float64), np.asarray(hits, dtype=bool)
    places = np.clip(np.ceil(sure * bins).astype(int) - 1, 0, bins - 1)
    filled = [(sure[places == place], right[places == place]) for place in np.unique(places)]
    found = tuple((len(some), float(some.mean()), float(of.mean())) for some, of in filled)
    error = sum(n * abs(accuracy - confidence) for n, confidence, accuracy in found) / len(sure)
    return Calibration(float(error), float(sure.mean()), found)


def softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities of scores (C,)."""
    shifted = np.exp(scores - scores.max())
    shares: NDArray[np.float64] = shifted / shifted.sum()
    return shares
