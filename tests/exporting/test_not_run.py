"""What is recorded of an engine that was built where nothing can run it."""

from __future__ import annotations

from edgekit.exporting.not_run import UNKNOWN, not_run
from edgekit.records.manifest import ParityRecord

RIGHT = ParityRecord(
    passed=True, n=3, n_real=0, max_abs_error=1e-6, max_rel_error=1e-6, cosine=1.0, top1_agreement=1.0, snr_db=120.0
)


def test_a_right_source_leaves_the_engine_unknown() -> None:
    parity, proof = not_run("there is no GPU here", RIGHT, {"runtime": "onnxruntime"})
    assert parity.passed is None and parity.reasons == ("built, not run: there is no GPU here",)
    assert parity.model_copy(update={"reasons": ()}) == UNKNOWN
    assert proof["runtime"] is None and proof["device"] is None and proof["not_run"] == "there is no GPU here"
    assert proof["source"]["runtime"] == "onnxruntime" and proof["source"]["parity"]["cosine"] == 1.0


def test_a_wrong_source_fails_the_engine() -> None:
    wrong = RIGHT.model_copy(update={"passed": False, "reasons": ("cosine 0.1",)})
    parity, proof = not_run("there is no GPU here", wrong, {"runtime": "onnxruntime"})
    assert parity.passed is False and parity.reasons == ("the ONNX file that it was built from: cosine 0.1",)
    assert proof == {"runtime": "onnxruntime"}
