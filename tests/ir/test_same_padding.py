"""Padding against TensorFlow's formula for SAME."""

from __future__ import annotations

import pytest

from edgekit.ir.same_padding import Padding, padding_of


@pytest.mark.parametrize("size", range(4, 18))
@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("dilation", [1, 2])
def test_tensorflows_padding_is_called_same(size: int, kernel: int, stride: int, dilation: int) -> None:
    out, reach = -(-size // stride), dilation * (kernel - 1) + 1
    total = max((out - 1) * stride + reach - size, 0)
    pairs = ((total // 2, total - total // 2),)
    word = padding_of((size,), (out,), (kernel,), (stride,), (dilation,), pairs)
    assert word == Padding("SAME" if total else "VALID")


def test_symmetric_padding_at_stride_two_is_same_only_on_odd_sizes() -> None:
    def word(size: int) -> Padding:
        return padding_of((size, size), ((size + 1) // 2,) * 2, (3, 3), (2, 2), (1, 1), ((1, 1), (1, 1)))

    assert word(7) == Padding("SAME")
    assert word(8) == Padding("VALID", ((1, 0), (1, 0)))  # the high side is never read
