"""What the families share."""

from __future__ import annotations

import pytest

from edgekit.errors import UsageError
from edgekit.models.blocks import make_divisible, only_resolution, same_padding


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding"),
    [
        (224, 3, 2, (0, 1)),
        (100, 3, 2, (0, 1)),
        (50, 3, 2, (0, 1)),
        (25, 3, 2, (1, 1)),  # an odd size is padded on both sides
        (112, 3, 1, (1, 1)),
        (7, 5, 1, (2, 2)),
        (224, 7, 2, (2, 3)),
        (10, 1, 1, (0, 0)),
        (10, 1, 2, (0, 0)),  # a window smaller than the stride needs nothing
        (1, 3, 2, (1, 1)),
    ],
)
def test_same_padding_is_tensorflows(size: int, kernel: int, stride: int, padding: tuple[int, int]) -> None:
    assert same_padding(size, kernel, stride) == padding


@pytest.mark.parametrize("size", range(1, 40))
def test_same_padding_gives_the_ceiling(size: int) -> None:
    low, high = same_padding(size, 3, 2)
    assert (size + low + high - 3) // 2 + 1 == -(-size // 2)
    assert 0 <= high - low <= 1


def test_channels_are_rounded_to_eight_and_never_lose_a_tenth() -> None:
    assert [make_divisible(c * 0.35) for c in (16, 24, 32, 64, 96, 160, 320)] == [8, 8, 16, 24, 32, 56, 112]
    assert make_divisible(1) == 8
    assert make_divisible(11) == 16  # 8 would lose more than a tenth


def test_a_fixed_resolution_is_an_error_elsewhere() -> None:
    only_resolution("lenet5", 32, 32)
    with pytest.raises(UsageError, match="lenet5 fixes its resolution at 32, not 28"):
        only_resolution("lenet5", 28, 32)
