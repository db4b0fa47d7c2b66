"""Outputs that are places of a largest element: the same ones are counted, and no distance is asked."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.exporting.parity import judge
from edgekit.exporting.reference import Array, Reference

WANT = np.random.default_rng(0).integers(0, 1000, (8, 100)).astype(np.float32)


def reference(trained: bool = True, n_real: int = 4) -> Reference:
    return Reference((np.zeros((8, 3), np.float32),), (WANT,), n_real, trained, places=(0,))


def changed(count: int) -> Array:
    got = WANT.copy()
    got.reshape(-1)[:count] = 1000 - got.reshape(-1)[:count]
    return got


@pytest.mark.parametrize(
    ("precision", "different", "passed"),
    [("fp32", 0, True), ("fp32", 2, False), ("fp16", 70, True), ("fp16", 90, False), ("int8", 400, True)],
)
def test_the_same_elements_are_counted(precision: str, different: int, passed: bool) -> None:
    record = judge([changed(different)], reference(), precision)
    assert record.passed == passed and record.snr_db is None
    assert record.top1_agreement is not None and record.top1_agreement <= 1 - 0.9 * different / WANT.size


def test_int8_must_agree_on_enough_images() -> None:
    record = judge([changed(400)], reference(n_real=16), "int8")
    assert not record.passed and "of its elements are the same, under 80%" in record.reasons[0]
    assert judge([changed(400)], reference(trained=False, n_real=16), "int8").passed


def test_int8_must_agree_as_its_simulation_does() -> None:
    record = judge([changed(400)], reference(False), "int8", (changed(100),))
    assert not record.passed and "of its integer simulation's" in record.reasons[0]
    assert judge([changed(400)], reference(False), "int8", (changed(390),)).passed


def test_places_that_never_move_prove_nothing() -> None:
    still = Reference((np.zeros((2, 3), np.float32),), (WANT[:1].repeat(2, 0),), 0, False, places=(0,))
    assert "does not vary" in judge([WANT[:1].repeat(2, 0)], still, "fp32").reasons[0]
