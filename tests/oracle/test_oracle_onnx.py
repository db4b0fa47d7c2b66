"""Every network of the zoo: our ONNX file against those of torch's own two exporters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekit.exporters import WriteJob
from edgekit.exporters.onnx import write
from tests.oracle.client import Oracle, Refused, run_onnx
from tests.oracle.conftest import Case

# What an exporter cannot do, with a part of what it says.
UNEVEN = ("alexnet_tv", *(f"vgg{depth}{norm}" for depth in (11, 13, 16, 19) for norm in ("", "_bn")))
NOT_EXPORTED = {(name, "torchscript"): "output size that are not factor of input size" for name in UNEVEN}


@pytest.mark.parametrize("exporter", ["torchscript", "dynamo"])
def test_the_file_answers_like_torchs_own_exporters(exporter: str, case: Case, oracle: Oracle) -> None:
    path: Path = case.folder / "ours.onnx"
    write(WriteJob(case.graph, "fp32"), path)
    got = run_onnx(path, case.inputs)
    largest = np.abs(case.outputs).max()
    assert np.abs(got - case.outputs).max() <= case.tolerance * largest
    key = (case.point.spec.name, exporter)
    other = case.folder / f"{exporter}.onnx"
    try:
        oracle.ask("onnx", **case.described, dynamo=exporter == "dynamo", to=other)
    except Refused as refused:
        assert key in NOT_EXPORTED and NOT_EXPORTED[key] in str(refused), f"not known yet: {refused}"
        pytest.skip(f"it cannot: {refused}"[:300])
    assert key not in NOT_EXPORTED
    assert np.abs(got - run_onnx(other, case.inputs)).max() <= case.tolerance * largest
