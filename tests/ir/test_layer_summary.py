"""Where a network's memory, parameters and multiply-accumulates sit, in sentences."""

from __future__ import annotations

import pytest

import edgekit
import edgekit.models  # registers the zoo
from edgekit.ir.layer_summary import where


@pytest.mark.parametrize(
    ("name", "sentences"),
    [
        (
            "vgg16",
            (
                "Memory: half of the activations are in the first 5 of 22 tensors, up to features.5; "
                "88.91 % are what conv 3x3 puts out.",
                "Parameters: linear has 89.36 %; the largest layer is classifier.0 (linear) with 74.27 %.",
                "MACs: conv 3x3 has 99.20 %; the largest layer is features.2 (conv 3x3) with 11.96 %.",
            ),
        ),
        (
            "mobilenet",
            (
                "Memory: half of the activations are in the first 7 of 30 tensors, up to blocks.2.depthwise.conv; "
                "52.15 % are what conv 1x1 puts out.",
                "Parameters: conv 1x1 has 74.19 %; the largest layer is blocks.12.pointwise.conv (conv 1x1) "
                "with 24.78 %.",
                "MACs: conv 1x1 has 94.86 %; the largest layer is blocks.2.pointwise.conv (conv 1x1) with 9.03 %.",
            ),
        ),
    ],
)
def test_where_most_of_it_is(name: str, sentences: tuple[str, ...]) -> None:
    found = edgekit.summary(name)
    assert where(found.table) == sentences
    assert tuple(found.to_json()["where"]) == sentences
