"""The float file of an evaluated one: of its own network and weights, and of its own format where there is one."""

from __future__ import annotations

import pytest

from edgekit.records.measurement import Accuracy
from edgekit.records.own_float import own_float
from tests.reporting.conftest import accuracy, manifest


def evaluated(format: str = "onnx", precision: str = "fp32", weights: str = "a") -> Accuracy:
    known = manifest(format=format, precision=precision)
    known = known.model_copy(update={"weights": known.weights.model_copy(update={"id": weights})})
    return accuracy(known, 0.5)


@pytest.mark.parametrize(
    ("one", "among", "place"),
    [
        (evaluated(precision="int8"), [evaluated("tflite"), evaluated()], 1),
        (evaluated(precision="int8"), [evaluated("tflite")], 0),
        (evaluated(precision="fp16"), [evaluated(precision="int8"), evaluated()], 1),
        (evaluated(precision="int8"), [evaluated(weights="b")], None),  # another training
        (evaluated(), [evaluated()], None),
        (evaluated().model_copy(update={"manifest": None}), [evaluated()], None),  # a foreign file
    ],
)
def test_of_the_same_network_and_weights(one: Accuracy, among: list[Accuracy], place: int | None) -> None:
    assert own_float(one, among) is (None if place is None else among[place])
