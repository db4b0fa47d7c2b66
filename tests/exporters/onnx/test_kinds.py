"""Each kind of operator alone in onnxruntime, in fp32 at every opset that changes a form and in fp16, against torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from edgekit.errors import UsageError
from edgekit.exporters import WriteJob
from edgekit.exporters.onnx.writer import write
from tests.exporters.kinds import BITS, CASES, SAMPLES, Case

OPSETS = (13, 17, 20)


def check(case: Case, path: Path, precision: str, opset: int, close: float, share: float = 1) -> None:
    """`share`: how many values must be close; one that lies on an edge may be rounded to either side."""
    written = write(WriteJob(case.graph(), precision, opset=opset), path)
    values = case.values()
    want = case.function(*values).numpy()
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]
    (got,) = session.run(None, dict(zip(names, [value.numpy() for value in values], strict=True)))
    assert (np.shape(got), written.outputs[0].dtype) == (want.shape, str(want.dtype))
    if want.dtype.kind == "f":
        assert (np.abs(got - want) <= close * np.abs(want).max()).mean() >= share
    else:
        assert (got == want).all()


@pytest.mark.parametrize("name", CASES)
def test_onnxruntime_computes_what_torch_computes(name: str, tmp_path: Path) -> None:
    for opset in OPSETS:
        check(CASES[name], tmp_path / f"opset_{opset}.onnx", "fp32", opset, CASES[name].close)


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("name", SAMPLES | BITS)
def test_what_only_later_opsets_have_is_written_there(name: str, opset: int, tmp_path: Path) -> None:
    case, (least, what) = (
        (SAMPLES | BITS)[name],
        (18, "bits of two tensors") if name in BITS else (16, "sampling by a grid"),
    )
    if opset < least:
        with pytest.raises(UsageError, match=f"no {what} before opset {least}"):
            check(case, tmp_path / "operator.onnx", "fp32", opset, case.close)
    else:
        check(case, tmp_path / "operator.onnx", "fp32", opset, case.close)


@pytest.mark.parametrize("name", {case.kind: name for name, case in CASES.items()}.values())
def test_onnxruntime_computes_each_kind_in_half_precision(name: str, tmp_path: Path) -> None:
    check(CASES[name], tmp_path / "operator.onnx", "fp16", 17, 1e-2, 0.99)


@pytest.mark.parametrize(("name", "opset"), [("truth plus", 17), (next(iter(BITS)), 18)])
def test_a_file_has_the_opset_that_its_operators_need(name: str, opset: int, tmp_path: Path) -> None:
    graph = (CASES | BITS)[name].graph()
    assert write(WriteJob(graph, "fp32"), tmp_path / "operator.onnx").details["opset"] == opset
