"""What a file lost against the float file it comes from, of those that may be compared image by image."""

from __future__ import annotations

import pytest

from edgekit.stats.losses import losses
from tests.reporting.conftest import accuracy, manifest

FULL, SMALL = manifest(), manifest(precision="int8")


def test_a_file_is_held_against_its_own_float_file_of_its_format() -> None:
    full, tflite = accuracy(FULL, 0.7, n=100), accuracy(manifest(format="tflite"), 0.9, n=100)
    small, other = accuracy(SMALL, 0.6, n=100), accuracy(manifest("net_1.0_96", precision="int8"), 0.6, n=100)
    found = losses([tflite, full, small, other], 0.02)
    loss = found[small.sha256]
    assert loss.held.value == pytest.approx(0.1) and (loss.held.verdict, loss.base) == ("failed", FULL.file)
    assert loss.within(0.1).is_held and not loss.within(0.09).is_held
    assert other.sha256 not in found and full.sha256 not in found
    assert not losses([full, small])[small.sha256].is_limited
    assert losses([tflite, small])[small.sha256].base == tflite.artifact, "of another format, where there is no other"


@pytest.mark.parametrize("other", [{"n": 90}, {"dataset_hash": "ef" * 32}])
def test_other_images_tell_nothing(other: dict[str, object]) -> None:
    small = accuracy(SMALL, 0.6, **{"n": 100} | other)  # type: ignore[arg-type]
    assert losses([accuracy(FULL, 0.7, n=100), small], 0.02) == {}
