"""Which accuracies may be compared."""

from __future__ import annotations

import pytest

from edgekit.comparison.evaluated import differences
from tests.reporting.conftest import accuracy, manifest


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ""),
        ({"dataset_hash": "other", "dataset": "theirs"}, "other images: "),
        ({"device": "pi5"}, "device local and pi5"),
        ({"device": "pi5", "runtime": "litert"}, "device local and pi5; runtime "),
    ],
)
def test_what_two_accuracies_must_share(changes: dict[str, str], said: str) -> None:
    base = accuracy(manifest()).model_copy(update={"device": "local", "runtime": "onnxruntime"})
    told = differences(base, base.model_copy(update=changes))
    assert told.startswith(said) and bool(told) == bool(said)
