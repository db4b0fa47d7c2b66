"""Axes and reshapes as arithmetic, against numpy for the elements."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from edgekit.exporters.tflite.layout import channels_last, order, reshaping, spatial, stored_shape

SHAPES = [
    ((1, 6, 4, 5), (1, 2, 3, 4, 5)),
    ((2, 6, 4, 5), (2, 120)),
    ((2, 6, 4, 5), (2, 6, 20)),
    ((2, 2, 3, 4, 5), (2, 6, 4, 5)),
    ((2, 6, 1, 1), (2, 6)),
    ((2, 6), (2, 6, 1, 1)),
    ((2, 6, 4), (2, 1, 6, 4)),
    ((2, 6, 4, 5), (12, 20)),
    ((1, 6, 4), (6, 4)),
    ((6, 4), (1, 6, 4)),
    ((1, 6, 4, 5), (1, 5, 24)),
    ((1, 1, 1), (1, 1)),
]


@pytest.mark.parametrize(("before", "after"), SHAPES)
def test_a_reshape_finds_its_elements_whatever_their_order(
    before: tuple[int, ...], after: tuple[int, ...]
) -> None:  # fmt: skip
    x = np.arange(np.prod(before)).reshape(before)
    for layout in permutations(range(len(before))):
        way = reshaping(before, after, layout)
        left = tuple(axis for axis in range(len(before)) if axis not in way.target)
        lying = layout if way.direct else (*way.target[:1], *left, *way.target[1:])
        stored = x.transpose(lying).reshape(stored_shape(after, way.layout))
        back = np.argsort(np.array([axis for axis in way.layout if axis is not None]))
        assert (stored.transpose(back) == x.reshape(after)).all()


def test_splitting_and_joining_channels_moves_nothing() -> None:
    assert reshaping((1, 6, 4, 5), (1, 2, 3, 4, 5), channels_last(4)).direct
    assert reshaping((1, 2, 3, 4, 5), (1, 6, 4, 5), (0, 3, 4, 1, 2)).direct
    assert not reshaping((1, 6, 4, 5), (1, 120), channels_last(4)).direct
    assert reshaping((1, 6, 1, 1), (1, 6), channels_last(4)).direct


def test_axes_of_one_need_no_transpose() -> None:
    assert order((2, 6, 1, 1), channels_last(4)) == order((2, 6, 1, 1), (0, 1, 2, 3)) == (0, 1)
    assert order((1, 6, 4), spatial(3)) == order((1, 6, 4), channels_last(3)) == (0, 2, 1)
    assert stored_shape((1, 6, 4), spatial(3)) == (1, 1, 4, 6)
