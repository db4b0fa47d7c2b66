"""Noise in the place of examples: of any shape, the same for the same seed, and like pixels where it can be."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.data.calibration import synthetic
from edgekit.records.preprocessing import TENSORFLOW


@pytest.mark.parametrize("shape", [(1, 3, 37, 50), (1, 4, 28, 28), (1, 3, 4, 20, 20), (1, 16)])
def test_noise_fits_any_input_and_repeats(shape: tuple[int, ...]) -> None:
    first, again = (next(synthetic(shape, TENSORFLOW, 4, seed=3).batches()) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert first.shape == (4, *shape[1:]) and first.dtype == np.float32 and np.isfinite(first).all()
    if shape[1] == 3:
        assert first.min() >= -1.0 and first.max() <= 1.0 and first.std() > 0.2
    else:  # no pixels
        assert 0.7 < first.std() < 1.4 and (len(shape) < 4 or first.max() > 2.0)
    assert not np.array_equal(first[0], first[1])


def test_every_input_gets_noise_of_its_own() -> None:
    noise = synthetic((1, 3, 8, 8), TENSORFLOW, 4, 3, ((1, 3, 8, 8), (1, 6)))
    (image, other, vector), (again, *_) = next(noise.inputs()), next(noise.inputs())
    assert [x.shape for x in (image, other, vector)] == [(4, 3, 8, 8), (4, 3, 8, 8), (4, 6)]
    assert not np.array_equal(image, other) and np.array_equal(image, again)
    np.testing.assert_array_equal(np.concatenate([x for _, x, _ in noise.inputs(3)]), other)
