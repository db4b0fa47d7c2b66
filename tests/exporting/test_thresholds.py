"""What a network's own rounding allows a file, and what is said of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgekit.exporting.parity import judge
from edgekit.exporting.thresholds import rounding_note
from tests.exporting.test_parity import noisy, reference


@pytest.mark.parametrize(
    ("precision", "own", "share", "passes"),
    [
        ("fp32", 1e-3, 4e-3, True),
        ("fp32", 1e-3, 9e-3, False),
        ("fp32", 4e-3, 0.02, False),
        ("fp32", 0.04, 0.07, True),
        ("fp32", 0.04, 0.2, False),
        ("fp32", 0.5, 0.4, False),
        ("fp16", 1e-3, 0.3, False),
    ],
)
def test_what_float32_cannot_tell_is_allowed_for(precision: str, own: float, share: float, passes: bool) -> None:
    chaotic = replace(reference(trained=False), rounding=(own,))
    record = judge([noisy(share)], chaotic, precision)
    assert record.passed == passes
    assert (rounding_note(record, precision, chaotic) is not None) == passes
