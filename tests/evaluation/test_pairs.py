"""What a file is compared with: its own fp32 file, wherever that stands among the others."""

from __future__ import annotations

import pytest

from edgekit.evaluation.pairs import bases, in_words
from edgekit.records.measurement import Accuracy
from edgekit.stats.accuracy import gained
from edgekit.stats.limit import Held
from tests.reporting.conftest import accuracy, manifest


def record(precision: str, format: str = "onnx", weights: str = "aa", network: str = "mobilenet_1.0_160") -> Accuracy:
    known = manifest(network, format=format, precision=precision)
    known = known.model_copy(update={"weights": known.weights.model_copy(update={"id": weights})})
    return accuracy(known, 0.5)


A, A8, A_TFLITE, A8_TFLITE = (record(p, f) for f in ("onnx", "tflite") for p in ("fp32", "int8"))
B, B8 = (record(p, weights="bb") for p in ("fp32", "int8"))
FOREIGN = A.model_copy(update={"manifest": None})


@pytest.mark.parametrize(
    ("records", "wanted"),
    [
        ([], []),
        ([A], [None]),
        ([A, A8, A_TFLITE, A8_TFLITE], [None, 0, 0, 2]),
        ([A8_TFLITE, A8, A], [2, 2, None]),  # the other format's where its own is not there
        ([A, B8, B], [None, 2, 0]),
        ([B8, A], [None, 0]),  # other weights are another network
        ([A8, FOREIGN, A, B], [2, None, 1, 1]),
        ([record("int8", network="mobilenet_0.5_160"), A], [None, 0]),
        ([FOREIGN, FOREIGN], [None, 0]),
    ],
)
def test_each_has_its_base(records: list[Accuracy], wanted: list[int | None]) -> None:
    assert bases(records) == wanted


def test_a_named_file_is_the_base_of_all() -> None:
    assert bases([A, A8, B], against=2) == [2, 2, None]


def test_a_difference_has_the_sign_and_the_decimals_of_its_gate() -> None:
    pair = {"artifact": "out/new.onnx", "base": "base.onnx", "top1_difference": 1 / 60, "ci95": (-0.0632, 0.0964)}
    assert in_words(pair) == "new.onnx: +1.67 points (95 % paired -6.32 .. +9.64) against base.onnx"
    lost = Held(-1 / 60, (-0.0964, 0.0632), 60, 0.02)
    assert gained(lost, "base.onnx") == "a gain of 1.67 points against base.onnx (95 % paired -6.32 .. +9.64)"
    same = Held(0.0, (-0.01, 0.02), 60, 0.02)
    assert gained(same) == "no change of top-1 (95 % paired -2.00 .. +1.00)"
