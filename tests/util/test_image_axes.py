"""Shapes that look like images of other programs."""

from __future__ import annotations

import pytest

from edgekit.util.image_axes import channels_first, said


@pytest.mark.parametrize(
    ("shape", "meant"),
    [
        ((1, 28, 28, 1), (1, 1, 28, 28)),
        ((1, 224, 160, 3), (1, 3, 224, 160)),
        ((1, 1, 28, 28), None),
        ((1, 3, 224, 224), None),
        ((1, 64, 1, 1), None),
        ((1, 3, 4, 4), None),
        ((1, 28, 28), None),
        ((1, 8, 28, 28, 1), None),
    ],
)
def test_channels_that_come_last_are_seen(shape: tuple[int, ...], meant: tuple[int, ...] | None) -> None:
    assert channels_first(shape) == meant


def test_what_is_said_is_a_shape_to_type() -> None:
    assert said([(1, 64), (1, 28, 28, 1)]) == "channels come first, as in --input 1,1,28,28"
    assert said([(1, 64)]) == ""
