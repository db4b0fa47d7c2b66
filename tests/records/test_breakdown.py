"""What a breakdown says of the classes in a few words."""

from __future__ import annotations

from edgekit.records.breakdown import Breakdown


def test_one_image_makes_no_class_the_weakest() -> None:
    found = Breakdown(counts=((0, 0, 1), (0, 1, 9), (1, 0, 1)), names={}, confusions=(), mistakes=(), confidence=None)
    assert found.summary(2) == {"weakest class": "0, 10.0 % of 10; 1, 0.0 % of 1"}
