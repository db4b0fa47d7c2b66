"""Accuracies that a guess would reach."""

from __future__ import annotations

import pytest

from edgekit.evaluation.chance import at_chance, told_by_manifest
from tests.reporting.conftest import accuracy, manifest


@pytest.mark.parametrize(
    ("top1", "classes", "is_told"), [(0.1, 10, True), (0.5, 10, False), (0.1, 0, False), (1.0, 1, False)]
)
def test_a_guess_is_told_with_what_to_check(top1: float, classes: int, is_told: bool) -> None:
    remark = at_chance(accuracy(manifest(), top1), classes)
    assert (remark is not None) is is_told
    assert remark is None or (manifest().file in remark and f"1 of {classes} classes" in remark)


def test_the_manifest_tells_how_many_classes_there_are() -> None:
    assert told_by_manifest(accuracy(manifest(), 0.001)) and not told_by_manifest(accuracy(manifest(), 0.5))
