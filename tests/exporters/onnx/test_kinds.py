"""Each kind of operator alone in onnxruntime, in fp32 at every opset that changes a form and in fp16, against torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from edgekit.errors import UsageError
from edgekit.exporters import WriteJob
from edgekit.exporters.onnx.writer import write
from tests.exporters.kinds import CASES, SAMPLES, Case

OPSETS = (13, 17, 20)
NO_SAMPLES = 15  # the last opset without GridSample


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
@pytest.mark.parametrize("name", SAMPLES)
def test_sampling_by_a_grid_is_written_where_the_opset_has_it(name: str, opset: int, tmp_path: Path) -> None:
    case = SAMPLES[name]
    if opset <= NO_SAMPLES:
        with pytest.raises(UsageError, match="no sampling by a grid before opset 16"):
            check(case, tmp_path / "operator.onnx", "fp32", opset, case.close)
    else:
        check(case, tmp_path / "operator.onnx", "fp32", opset, case.close)


@pytest.mark.parametrize("name", {case.kind: name for name, case in CASES.items()}.values())
def test_onnxruntime_computes_each_kind_in_half_precision(name: str, tmp_path: Path) -> None:
    check(CASES[name], tmp_path / "operator.onnx", "fp16", 17, 1e-2, 0.99)
