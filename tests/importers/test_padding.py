"""Padding by rule, against torch's own \"same\", and in the order of F.pad."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from edgekit.importers.padding import Pairs, flat, padded, same


@pytest.mark.parametrize(
    ("size", "k", "s", "d"), [(5, 3, 1, 1), (6, 3, 2, 1), (7, 2, 2, 1), (9, 4, 1, 2), (4, 1, 3, 1)]
)
def test_every_stride_has_a_window(size: int, k: int, s: int, d: int) -> None:
    low, high = same(size, k, s, d)
    windows = (size + low + high - d * (k - 1) - 1) // s + 1
    assert windows == -(-size // s) and 0 <= high - low <= 1
    assert same(size, k, s, d, upper=False) == (high, low)
    if s == 1:
        x, weight = torch.randn(1, 1, size), torch.randn(1, 1, k)
        want = F.conv1d(x, weight, padding="same", dilation=d)
        torch.testing.assert_close(F.conv1d(F.pad(x, (low, high)), weight, dilation=d), want)


def test_the_last_axis_comes_first() -> None:
    assert F.pad(torch.zeros(2, 3), flat(((1, 0), (0, 4)))).shape == (3, 7)


@pytest.mark.parametrize(("pairs", "both"), [(((1, 1), (2, 2)), (1, 2)), (((0, 1), (1, 1)), (0, 0))])
def test_a_convolution_pads_both_ends_alike_by_itself(pairs: Pairs, both: tuple[int, int]) -> None:
    x, weight = torch.randn(1, 1, 5, 6), torch.randn(1, 1, 3, 3)
    given, own = padded(x, pairs)
    assert own == both and (given is x) == (both != (0, 0))
    torch.testing.assert_close(F.conv2d(given, weight, padding=own), F.conv2d(F.pad(x, flat(pairs)), weight))
